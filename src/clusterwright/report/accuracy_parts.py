"""The generated parts of the accuracy page, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from clusterwright.aligned import percent
from clusterwright.report.accuracy_pictures import SHORT, signed
from clusterwright.report.gaps import LEAST_BIAS, LONG_TAIL, Gap
from clusterwright.report.written import spaced, table
from clusterwright.validation.choosing import Contest
from clusterwright.validation.peers import DataSet, Peers, Reached, reached, reached_by_formula
from clusterwright.validation.scoring import Result, Score, Summary, summarise

TITLES = {
    "headline": "All runs",
    "sources": "By source",
    "chips": "By accelerator",
    "peers": "Other tools on the same runs",
    "choosing": "Choosing among measured strategies",
    "coverage": "Coverage of the intervals",
    "unexplained": "What is not explained",
}
SELDOM = 0.6
"""Sources of whose runs fewer are inside the interval are named."""


class Covered(Protocol):
    """Shares of runs inside their interval."""

    @property
    def rows(self) -> float:
        """Of all rows. [1]"""

    @property
    def sources(self) -> float:
        """Mean of the shares of each source. [1]"""


def headline(results: Sequence[Result], score: Score) -> str:
    """All runs in one picture and a few sentences."""
    if not score.sources:
        return "No run could be predicted.\n"
    flat = statistics.fmean(s.flat_median_abs_error for s in score.sources)
    nearer = sum(s.median_abs_error < s.flat_median_abs_error for s in score.sources)
    within = {
        share: sum(abs(r.error or 0.0) <= share for r in results if r.status == "ok") / score.ok
        for share in (0.1, 0.25)
    }
    return (
        f"{score.ok:,} of {score.rows:,} runs whose configuration is complete are predicted; "
        f"{score.unsupported} are not supported, and {score.incomplete} lack something that is "
        f"needed all the same.\n"
        f"The mean over sources of the median error is "
        f"**{percent(score.mean_source_median_abs_error or 0.0)}** "
        f"(one-line formula: {percent(flat)}); the formula is nearer in "
        f"{len(score.sources) - nearer} of {len(score.sources)} lines below.\n"
        f"Of the runs, {percent(within[0.1], digits=0)} are within 10 % and "
        f"{percent(within[0.25], digits=0)} within 25 %.\n\n"
        f"![Predicted against measured step time of all runs](accuracy/all.svg)\n"
    )


def sources(score: Score) -> str:
    """Return the table by source and metric, with its pictures."""
    header = ["source", "metric", *_COLUMNS]
    rows = [[s.source, SHORT.get(s.metric, s.metric), *_figures(s)] for s in score.sources]
    return (
        "![Median error by source, with its 90 % quantile and that of the one-line formula]"
        "(accuracy/errors.svg)\n\n"
        + table(header, rows)
        + "\n![Predicted against measured by source](accuracy/by-source.svg)\n"
    )


def chips(results: Sequence[Result]) -> str:
    """Return the table by accelerator, with its picture."""
    groups = summarise(results, lambda r: (r.accelerator, "all"))
    by_chip: dict[str, set[str]] = {}
    for r in results:
        if r.status == "ok":
            by_chip.setdefault(r.accelerator, set()).add(r.source)
    rows = [[f"`{g.source}`", str(len(by_chip[g.source])), *_figures(g)] for g in groups]
    return "![Predicted against measured by accelerator](accuracy/by-chip.svg)\n\n" + table(
        ["accelerator", "sources", *_COLUMNS], rows
    )


def peers(peers: Peers, results: Sequence[Result], without_stacks: Sequence[Result]) -> str:
    """Return what other tools reach beside what we reach, and in which sets one is nearer."""
    peers = msgspec.structs.replace(peers, sets=tuple(s for s in peers.sets if s.rows(results)))
    if not peers.sets:
        return "None of these runs is in a table that other tools were tried on.\n"
    names = [tool.name for tool in peers.tools]
    ours = ["clusterwright", "without stack factors", "one-line formula, our rows"]
    header = ["data set", "runs", *ours, *names]
    lines, means = [], []
    for one in peers.sets:
        cells = _compared(one, peers, results, without_stacks)
        lines.append([one.name, _runs(one, results), *_cells(cells)])
        if one.headline:
            means.append([cell.error if cell else None for cell in cells])
    columns = list(zip(*means, strict=True))
    whole = [_mean(column) for column in columns]
    shown = [_number(m, _best(whole)) for m in whole]
    lines.insert(len(means), [f"**mean of these {len(means)}**", "", *shown])
    return "\n".join(
        [
            _PEERS_HEAD,
            table(header, lines),
            _where_better(peers, results),
            _FITTED_HEAD,
            table(["data set", "clusterwright", *_fitted_names(peers)], _fitted(peers, results)),
            _differences(peers),
        ]
    )


def choosing(contests: Sequence[Contest]) -> str:
    """Return how much longer our pick took than the best, by source of sweeps."""
    if not contests:
        return "Nobody measured several strategies of one job here.\n"
    by_source: dict[str, list[Contest]] = {}
    for contest in contests:
        by_source.setdefault(contest.source, []).append(contest)
    rows = [
        [
            source,
            str(len(group)),
            f"{sum(contest.entrants for contest in group):,}",
            percent(sum(contest.pick == contest.best for contest in group) / len(group), digits=0),
            percent(statistics.median(contest.regret for contest in group)),
            percent(max(contest.regret for contest in group)),
        ]
        for source, group in sorted(by_source.items())
    ]
    return table(["source", "jobs", "strategies", "best picked", "median regret", "worst"], rows)


def coverage(results: Sequence[Result], held_out: Mapping[str, Covered]) -> str:
    """Return how often measurements lie inside the 80 % interval, and how wide it is."""
    known = [r for r in results if r.inside is not None]
    if not known:
        return "No run has an interval.\n"
    by_source = summarise(results, lambda r: (r.source, "all"))
    rows = [
        [
            "of all runs above",
            percent(statistics.fmean(s.coverage80 for s in by_source)),
            percent(sum(bool(r.inside) for r in known) / len(known)),
        ]
    ]
    rows += [[name, percent(c.sources), percent(c.rows)] for name, c in held_out.items()]
    low = [s for s in sorted(by_source, key=lambda s: s.coverage80) if s.coverage80 < SELDOM]
    full = sum(s.coverage80 == 1.0 for s in by_source)
    seldom = percent(SELDOM, digits=0)
    listed = "; ".join(f"{s.source} ({percent(s.coverage80, digits=0)} of {s.rows})" for s in low)
    return "\n".join(
        [
            table(["measured inside the 80 % interval", "mean over sources", "over runs"], rows),
            f"{_width(known)}\n",
            f"All runs of {full} of {len(by_source)} sources are inside.",
            f"Fewer than {seldom} are inside for {len(low)}: {listed or 'none'}.",
        ]
    )


def gaps(found: Sequence[Gap]) -> str:
    """Return what is not explained, a line for each source."""
    one_sided = [_gap_line(gap) for gap in found if gap.kind == "bias"]
    told = {gap.summary for gap in found if gap.kind == "bias"}
    tails = [_tail_line(gap, told=gap.summary in told) for gap in found if gap.kind == "tail"]
    return "\n".join(
        [
            _ONE_SIDED,
            *(one_sided or ["- none"]),
            _LONG_TAILS,
            *(tails or ["- none"]),
            "",
        ]
    )


_PEERS_HEAD = (
    "Mean error of the step time in % (bias in brackets, positive: too slow); the nearest in bold. "
    "*Without stack factors*: ours, as if nothing had been fitted of the frameworks.\n"
)
_FITTED_HEAD = (
    "Each tool's times multiplied by the one factor per set that suits it best: what is left is "
    "structure. Sets of two or three runs say little here.\n"
)
_ONE_SIDED = (
    f"**One-sided** (bias above half of the median error, and above {LEAST_BIAS:.0%}): something "
    "is missing, or too much, for most runs of the source.\n"
).replace("%", " %")
_LONG_TAILS = (
    f"\n**Long tails**: a tenth of the runs or more is over {LONG_TAIL:.0%} off.\n"
).replace("%", " %")
_COLUMNS = ("runs", "median", "p90", "bias", "in 80 %", "flat", "no fit")


def _figures(s: Summary) -> list[str]:
    shares = (s.median_abs_error, s.p90_abs_error)
    rest = (s.coverage80, s.flat_median_abs_error, s.false_oom)
    return [str(s.rows), *map(percent, shares), spaced(signed(s.bias)), *map(percent, rest)]


def _compared(
    one: DataSet, peers: Peers, results: Sequence[Result], bare: Sequence[Result]
) -> list[Reached | None]:
    """Return ours, ours without stack factors, the formula on our rows, and every peer's."""
    ours = [reached(one, results), reached(one, bare), reached_by_formula(one, results)]
    return [*ours, *(tool.on(one) for tool in peers.tools)]


def _cells(found: Sequence[Reached | None]) -> list[str]:
    best = _best(f.error if f else None for f in found)
    return [_cell(f, best) for f in found]


def _cell(found: Reached | None, best: str) -> str:
    if found is None:
        return "–"
    if found.error is None:
        return found.note or "–"
    shown = _number(found.error, best)
    if found.bias is None:
        return shown
    return f"{shown} ({signed(found.bias).rstrip('%')})"


def _runs(one: DataSet, results: Sequence[Result]) -> str:
    ours = len(one.rows(results))
    return f"{one.runs:,}" if ours == one.runs else f"{one.runs:,} (ours {ours:,})"


def _where_better(peers: Peers, results: Sequence[Result]) -> str:
    """Say in which sets a peer is nearer than we are, and by how much."""
    behind = []
    for one in peers.sets:
        ours = reached(one, results).error
        tried = [(tool.name, r.error) for tool in peers.tools if (r := tool.on(one))]
        nearer = [(error, name) for name, error in tried if error is not None]
        if ours is not None and nearer and min(nearer)[0] < ours:
            error, name = min(nearer)
            behind.append(f"{one.name}: {name}, {_points(error)} against {_points(ours)}")
    if not behind:
        return "On none of these sets is another tool nearer.\n"
    return "Another tool is nearer on:\n\n" + "".join(f"- {line}\n" for line in behind)


def _fitted_names(peers: Peers) -> list[str]:
    return [tool.name for tool in peers.tools if any(r.fitted for r in tool.results)]


def _fitted(peers: Peers, results: Sequence[Result]) -> list[list[str]]:
    rows, columns = [], []
    tools = [tool for tool in peers.tools if any(r.fitted for r in tool.results)]
    for one in (s for s in peers.sets if s.headline):
        found = [reached(one, results), *(tool.on(one) for tool in tools)]
        values = [f.fitted if f else None for f in found]
        rows.append([one.name, *(_number(v, _best(values)) for v in values)])
        columns.append(values)
    means = [_mean(column) for column in zip(*columns, strict=True)]
    shown = [_number(m, _best(means)) for m in means]
    return [*rows, [f"**mean of these {len(columns)}**", *shown]]


def _differences(peers: Peers) -> str:
    """Say how each tool was run, and where the rows differ."""
    lines = [f"- {tool.name}: {tool.notes}" for tool in peers.tools]
    lines += [f"- {one.name}: {one.note}." for one in peers.sets if one.note]
    return "\n".join(lines) + "\n"


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean, or None where one is missing."""
    known = list(values)
    held = [v for v in known if v is not None]
    return statistics.fmean(held) if held and len(held) == len(known) else None


def _width(results: Sequence[Result]) -> str:
    """Say how wide the intervals are."""
    ratios = [
        r.predicted_high / r.predicted_low for r in results if r.predicted_low and r.predicted_high
    ]
    if not ratios:
        return ""
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    return (
        f"Upper over lower end of the interval: {middle:.2f} in the median run, from {low:.2f} to "
        f"{high:.2f}."
    )


def _gap_line(gap: Gap) -> str:
    s = gap.summary
    direction = "too fast" if s.bias < 0.0 else "too slow"
    metric = SHORT.get(s.metric, s.metric)
    return (
        f"- **{s.source}** ({metric}, {s.rows} run{'s' * (s.rows != 1)}): predicted "
        f"{percent(abs(s.bias))} {direction}, median error {percent(s.median_abs_error)}. "
        f"{_terms(gap)}{_reason(gap)}"
    )


def _tail_line(gap: Gap, *, told: bool) -> str:
    s = gap.summary
    why = "See above." if told else f"{_terms(gap)}{_reason(gap)}"
    return (
        f"- **{s.source}** ({SHORT.get(s.metric, s.metric)}): {gap.far} of {s.rows} runs, "
        f"{gap.too_fast} of them predicted too fast; the worst is `{gap.worst}`. "
        f"{why}"
    )


def _terms(gap: Gap) -> str:
    words = ", ".join(f"{name} {percent(share, digits=0)}" for name, share in gap.terms)
    said = f"Beyond the ideal the time is mostly {words}." if words else ""
    if gap.goes_with:
        name, rank = gap.goes_with
        more = "slow" if rank > 0.0 else "fast"
        said += (
            f" The larger the share of *{name}*, the more it is predicted too {more} "
            f"(rank correlation {signed(rank / 100.0, 2).rstrip('%')})."
        )
    return said


def _reason(gap: Gap) -> str:
    return f" *{gap.reason}*" if gap.reason else " *No reason known.*"


def _best(errors: Iterable[float | None]) -> str:
    """Return the smallest error as it is printed, so that equals are equals."""
    known = [error for error in errors if error is not None]
    return _points(min(known)) if known else ""


def _number(error: float | None, best: str) -> str:
    """Return an error, in bold where it is the smallest."""
    if error is None:
        return "–"
    shown = _points(error)
    return f"**{shown}**" if shown == best else shown


def _points(share: float) -> str:
    return f"{100.0 * share:.1f}"
