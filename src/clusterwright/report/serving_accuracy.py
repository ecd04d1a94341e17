"""The accuracy page of serving: tables and pictures of predictions against measured services.

`renew_serving_page` is the one door.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clusterwright.aligned import percent
from clusterwright.catalogue.store import Catalogue
from clusterwright.report.accuracy_pictures import signed
from clusterwright.report.scatter import Pair, Panel, sheet
from clusterwright.report.written import RESULTS, Page, spaced, table
from clusterwright.serving.intervals import Sort
from clusterwright.validation.published import SERVING, encode
from clusterwright.validation.serving.grouping import Grouped, Sorted, by_sort, grouped
from clusterwright.validation.serving.picks import Tally, choices_of, tallies_of
from clusterwright.validation.serving.rows import read_serve_runs
from clusterwright.validation.serving.scoring import (
    ServeResult,
    Watch,
    score_serving,
    unsupported_reasons,
    validate_serving,
)

NAME = "accuracy-serving"
TITLES: Final = {
    "headline": "All runs",
    "sources": "By source",
    "engines": "By engine",
    "chips": "By accelerator",
    "choosing": "Choosing under a promise",
    "coverage": "Coverage of the intervals",
    "refused": "What is not predicted",
}
SELDOM: Final = 0.6
"""Sources of which fewer rows are inside the interval are named."""
FEWEST: Final = 5
"""Rows of a source from which that says something."""
COLUMNS: Final = 3
"""Charts beside each other."""
UNITS: Final[dict[Sort, str]] = {
    "TPOT dense": "ms",
    "TPOT sparse": "ms",
    "TTFT": "ms",
    "latency": "ms",
    "prefill": "tokens/s",
    "throughput": "1/s",
}
HEAD: Final = ("rows", "median", "p90", "bias", "in 80 %")


def renew_serving_page(
    folder: Path, runs: Path, *, catalogue: Catalogue, watch: Watch | None = None
) -> tuple[ServeResult, ...]:
    """Hold the cost model against measured services and write the page.

    Parameters
    ----------
    folder
        Where ``accuracy-serving.md`` is written, or renewed if it is there.
    runs, catalogue, watch
        As for `validate_serving`.
    """
    results = validate_serving(runs, catalogue, watch=watch)
    tallies = tallies_of(choices_of(read_serve_runs(runs), results))
    serving_page(results, tallies).write(folder)
    complete = [one for one in results if one.status != "incomplete"]
    (folder / NAME / RESULTS).write_bytes(encode(complete, SERVING, catalogue=catalogue.hash))
    return results


def serving_page(results: Sequence[ServeResult], tallies: Sequence[Tally]) -> Page:
    """Make the parts and pictures of the page.

    Parameters
    ----------
    results
        Of all rows.
    tallies
        How well configurations are chosen among those measured.
    """
    groups = {
        "sources": grouped(results, lambda one: one.source),
        "engines": grouped(results, lambda one: one.engine),
        "chips": grouped(results, lambda one: one.accelerator),
    }
    return Page(
        name=NAME,
        title="Accuracy of serving",
        heads=TITLES,
        parts={
            "headline": _headline(results),
            **{name: _groups(TITLES[name], found) for name, found in groups.items()},
            "choosing": _choosing(tallies),
            "coverage": _coverage(results, groups["sources"]),
            "refused": _refused(results),
        },
        pictures={
            "by-metric.svg": sheet(
                "Predicted against measured, by sort of metric",
                [_panel(one, results) for one in by_sort(results)],
                columns=COLUMNS,
                what="each in its unit",
            )
        },
    )


def _headline(results: Sequence[ServeResult]) -> str:
    total = score_serving(results)
    if not total.ok:
        return "No run could be predicted.\n"
    header = ("metric", "rows", "sources", "median", "of unseen", "bias", "in 80 %", "of unseen")
    rows = [
        (
            *(one.sort, f"{one.rows:,}", str(one.sources), percent(one.error), _share(one.judged)),
            *(_signed(one.bias), _share(one.coverage), _share(one.judged_coverage)),
        )
        for one in by_sort(results)
    ]
    complete = total.ok + total.unsupported
    return (
        f"{total.ok:,} of {complete:,} rows whose configuration is complete are predicted; "
        f"{total.incomplete:,} are not complete.\n\n"
        f"{table(header, rows)}\n"
        f"![Predicted against measured, a chart for each sort of metric]({NAME}/by-metric.svg)\n"
    )


def _groups(title: str, found: Sequence[Grouped]) -> str:
    """A table of groups, the worst of each sort of metric first."""
    name = title.removeprefix("By ")
    rows = [
        (
            *(one.sort, one.name, f"{one.rows:,}"),
            *(percent(one.median_abs_error), percent(one.p90_abs_error)),
            *(_signed(one.bias), _share(one.coverage)),
        )
        for one in found
    ]
    return table(("metric", name, *HEAD), rows, left=2)


def _choosing(tallies: Sequence[Tally]) -> str:
    if not tallies:
        return "Nobody measured several configurations of one question here.\n"
    header = ("source", "promise", "rule", "groups", "promises", "refused", "kept", "loss", "p90")
    rows = [
        (
            *(one.source, one.promise, one.rule),
            *(str(one.groups), str(one.asked), str(one.refused)),
            *map(_share, (one.kept, one.median_loss, one.p90_loss)),
        )
        for one in tallies
    ]
    return table(header, rows, left=3)


def _coverage(results: Sequence[ServeResult], sources: Sequence[Grouped]) -> str:
    known = [one for one in results if one.inside is not None]
    if not known:
        return "No run has an interval.\n"
    lines = [
        (words, _mean_over_sources(rows), _share(statistics.fmean(bool(r.inside) for r in rows)))
        for words, rows in (
            ("of all rows", known),
            ("of rows that no factor and no interval rests on", [r for r in known if not r.seen]),
        )
        if rows
    ]
    head = ("measured inside the 80 % interval", "mean over sources and metrics", "over rows")
    low = [
        f"{one.name} ({one.sort}: {percent(one.coverage, digits=0)} of {one.rows})"
        for one in sorted(sources, key=lambda one: one.coverage or 0.0)
        if one.coverage is not None and one.coverage < SELDOM and one.rows >= FEWEST
    ]
    seldom = percent(SELDOM, digits=0)
    return (
        f"{table(head, lines)}\n{_width(known)}\n\n"
        f"Of sources with {FEWEST} rows or more, fewer than {seldom} are inside for {len(low)}: "
        f"{'; '.join(low) or 'none'}.\n"
    )


def _mean_over_sources(rows: Sequence[ServeResult]) -> str:
    shares = [one.coverage for one in grouped(rows, lambda one: one.source)]
    return _share(statistics.fmean(one for one in shares if one is not None))


def _width(known: Sequence[ServeResult]) -> str:
    """Say how wide the intervals are, by sort of metric."""
    widths: dict[Sort, list[float]] = {}
    for one in known:
        if one.low and one.high:
            widths.setdefault(one.sort, []).append(one.high / one.low)
    words = (f"{sort} {statistics.median(found):.2f}" for sort, found in sorted(widths.items()))
    return f"Upper over lower end of the interval, in the median row: {', '.join(words)}."


def _refused(results: Sequence[ServeResult]) -> str:
    reasons = unsupported_reasons(results)
    if not reasons:
        return "Every complete row is predicted.\n"
    return table(("reason", "rows"), ((why, str(number)) for why, number in reasons))


def _panel(one: Sorted, results: Sequence[ServeResult]) -> Panel:
    pairs = tuple(
        Pair(row.measured_value, row.predicted_value)
        for row in results
        if row.sort == one.sort and row.predicted_value is not None
    )
    return Panel(
        title=f"{one.sort} [{UNITS[one.sort]}]",
        subtitle=f"{one.rows:,} rows, {one.sources} sources, median {percent(one.error)}",
        pairs=pairs,
    )


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _signed(value: float) -> str:
    return spaced(signed(value))
