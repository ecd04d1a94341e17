"""Would we have chosen well? The configuration we pick under a promise, against what was measured.

Runs of one source that serve the same model in the same format on the same chips, by one era of an
engine and at the same lengths, answer one question: which of these cuts and loads is best, if each
token must come within so much time? Our pick has the highest predicted throughput for each
accelerator among those predicted to keep the promise. It is *kept* if the pick kept it when it was
measured. What it *loses* is throughput, against the best of those that kept it. [1]

A planner that promises must leave room for its own error: `LEAVING_ROOM` holds the upper end of the
80 % interval against the promise (`clusterwright.serving.intervals.at_worst`), as the planner does;
`BARE` trusts the prediction as it is.

Where a source prints latencies and no throughput, users who wait for their answers give it by
Little's law. [1]_

References
----------
.. [1] J. D. C. Little, "A Proof for the Queuing Formula: L = λW," Operations Research 9, 1961.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from clusterwright.aligned import aligned, percent
from clusterwright.records import Record
from clusterwright.validation.serving.predicting import lengths_of
from clusterwright.validation.serving.rows import PER_TOKEN, ServeRun
from clusterwright.validation.serving.scoring import ServeResult
from clusterwright.validation.serving.tenths import run_key, seen_keys

Promise = Literal["TPOT", "TPOT and TTFT"]
Rule = Literal["leaving room", "bare"]
LEAVING_ROOM: Rule = "leaving room"
BARE: Rule = "bare"
TPOT_LIMITS = tuple(1e-3 * value for value in (1, 2, 5, 10, 20, 50, 100, 200, 500))
"""Promised times per token: the round numbers of each decade, whatever was measured. [s]"""
TTFT_LIMITS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Promised times to the first token. [s]"""
USUAL = ("mean", "", "median", "p50")
"""Statistics of a latency that stand for all requests, the first that is there."""

Pair = tuple[ServeRun, ServeResult]


class Figure(Record, frozen=True, kw_only=True):
    """One figure of a configuration; ``worst``: the upper end of its interval, if it has one."""

    measured: float
    predicted: float
    worst: float

    def keeps(self, limit: float, rule: Rule) -> bool:
        """Whether it is predicted to stay within a limit."""
        return (self.worst if rule == LEAVING_ROOM else self.predicted) <= limit


class Option(Record, frozen=True, kw_only=True):
    """A configuration that was measured: latencies [s], tokens out a second of an accelerator."""

    run: str
    tpot: Figure
    ttft: Figure | None = None
    rate: Figure


class Choice(Record, frozen=True, kw_only=True):
    """What we pick of a group under one promise.

    ``limits``: per token and to the first. [s] ``pick``: empty if none is predicted to keep it.
    ``loss``: of throughput against the best that kept it; below 0 where the pick broke it. [1]
    """

    source: str
    group: str
    limits: tuple[float, float]
    rule: Rule
    pick: str = ""
    kept: bool = False
    loss: float = 0.0


class Tally(Record, frozen=True, kw_only=True):
    """Choices of one source, sort of promise and rule.

    ``refused``: promises that nothing was predicted to keep. ``kept``: share of picks that kept
    theirs. ``median_loss``, ``p90_loss``: of the picks that did. [1]
    """

    source: str
    promise: Promise
    rule: Rule
    groups: int
    asked: int
    refused: int
    kept: float | None
    median_loss: float | None
    p90_loss: float | None


def choices_of(runs: Sequence[ServeRun], results: Sequence[ServeResult]) -> tuple[Choice, ...]:
    """Every choice among runs that neither factors nor intervals rest on.

    Parameters
    ----------
    runs, results
        Rows of a table and what was predicted of them, in the same order.
    """
    return tuple(
        choose(source, " ".join(words), options, limits, rule)
        for (source, *words), options in groups_of(runs, results).items()
        for limits in _promises(options)
        for rule in (LEAVING_ROOM, BARE)
    )


def groups_of(
    runs: Sequence[ServeRun], results: Sequence[ServeResult]
) -> dict[tuple[str, ...], list[Option]]:
    """Configurations that answer the same question, where there are two or more."""
    seen = seen_keys(runs)
    rows: dict[str, list[Pair]] = {}
    for run, result in zip(runs, results, strict=True):
        if result.status == "ok" and run_key(run) not in seen:
            rows.setdefault(run_key(run), []).append((run, result))
    groups: dict[tuple[str, ...], dict[tuple[Any, ...], list[Option]]] = {}
    for pairs in rows.values():
        option = _option(pairs)
        if option is not None:
            run, result = pairs[0]
            group = groups.setdefault(_question(run, result), {})
            group.setdefault(_configuration(run), []).append(option)
    return {
        key: [_merged(again) for again in group.values()]
        for key, group in groups.items()
        if len(group) > 1
    }


def choose(
    source: str, group: str, options: Sequence[Option], limits: tuple[float, float], rule: Rule
) -> Choice:
    """Pick one of a group's configurations under a promise, and judge it by what was measured."""
    base: dict[str, Any] = {"source": source, "group": group, "limits": limits, "rule": rule}
    able = [one for one in options if _predicted_to_keep(one, limits, rule)]
    if not able:
        return Choice(**base)
    pick = max(able, key=lambda one: one.rate.predicted)
    best = max(one.rate.measured for one in options if _kept(one, limits))
    loss = 1.0 - pick.rate.measured / best
    return Choice(**base, pick=pick.run, kept=_kept(pick, limits), loss=loss)


def tallies_of(choices: Iterable[Choice]) -> tuple[Tally, ...]:
    """Sum choices up by source, sort of promise and rule."""
    found: dict[tuple[str, Promise, Rule], list[Choice]] = {}
    for one in choices:
        promise: Promise = "TPOT" if math.isinf(one.limits[1]) else "TPOT and TTFT"
        found.setdefault((one.source, promise, one.rule), []).append(one)
    return tuple(_tally(*key, members) for key, members in sorted(found.items()))


def as_lines(tallies: Sequence[Tally]) -> list[str]:
    """How well we choose, by source; nothing where nobody measured several configurations."""
    if not tallies:
        return []
    rows = [
        [t.source, t.promise, t.rule, str(t.groups), str(t.asked), str(t.refused)]
        + ["-" if v is None else percent(v) for v in (t.kept, t.median_loss, t.p90_loss)]
        for t in tallies
    ]
    header = ("source", "promise", "rule", "groups", "asked", "refused", "kept", "loss", "p90")
    return [
        "Best configuration under a promise, picked among those measured: promises that the picks",
        "kept, and throughput that those lose to the best:",
        *aligned(header, rows, align="lllrrrrrr"),
    ]


def as_json(tallies: Sequence[Tally]) -> list[dict[str, Any]]:
    """One entry for each source, with its tallies by sort of promise and rule."""
    sources: dict[str, list[Any]] = {}
    for one in tallies:
        plain = msgspec.to_builtins(one)
        sources.setdefault(plain.pop("source"), []).append(plain)
    return [{"source": source, "tallies": found} for source, found in sources.items()]


def _question(run: ServeRun, result: ServeResult) -> tuple[str, ...]:
    """What runs must share to be compared."""
    lengths = "/".join(
        "?" if one is None else f"{one:g}" for one in (run.input_len, run.output_len)
    )
    words = (run.model_name, run.accelerator, run.weight_precision, result.engine)
    return (run.source, *words, lengths)


def _configuration(run: ServeRun) -> tuple[Any, ...]:
    """What tells configurations apart; of those split, the note says how."""
    split = run.notes.split(";")[0] if run.disaggregated else ""
    return (run.tp, run.pp, run.ep, run.dp, run.n_accel, run.batch_or_concurrency, split)


def _option(pairs: Sequence[Pair]) -> Option | None:
    """A run's latencies and throughput; none where it lacks the time per token or the rate."""
    tpot = _latency(pairs, PER_TOKEN)
    ttft = _latency(pairs, ("ttft_ms",))
    rate = _printed_rate(pairs)
    if rate is None and tpot is not None and ttft is not None:
        rate = _little(pairs[0][0], tpot, ttft)
    if tpot is None or rate is None:
        return None
    return Option(run=run_key(pairs[0][0]), tpot=tpot, ttft=ttft, rate=rate)


def _latency(pairs: Sequence[Pair], metrics: Sequence[str]) -> Figure | None:
    for statistic in USUAL:
        for run, result in pairs:
            if run.measured_metric in metrics and run.percentile == statistic:
                return _figure(result, 1e-3)
    return None


def _printed_rate(pairs: Sequence[Pair]) -> Figure | None:
    for run, result in pairs:
        if run.measured_metric == "output_tokens_per_s" and run.per in ("system", "accelerator"):
            return _figure(result, 1.0 if run.per == "accelerator" else 1.0 / run.n_accel)
    return None


def _little(run: ServeRun, tpot: Figure, ttft: Figure) -> Figure | None:
    """Tokens out a second of users who each wait for their answer."""
    if run.batch is None or "closed-loop" not in run.scenario:
        return None
    _, output, _ = lengths_of(run)
    rates = [
        run.batch * output / (first + (output - 1.0) * each) / run.n_accel
        for first, each in zip(_values(ttft), _values(tpot), strict=True)
    ]
    return Figure(measured=rates[0], predicted=rates[1], worst=rates[2])


def _figure(result: ServeResult, unit: float) -> Figure:
    predicted = result.predicted_value or math.nan
    worst = predicted if result.high is None else result.high
    return Figure(
        measured=unit * result.measured_value, predicted=unit * predicted, worst=unit * worst
    )


def _values(figure: Figure) -> tuple[float, float, float]:
    return figure.measured, figure.predicted, figure.worst


def _merged(options: Sequence[Option]) -> Option:
    """One configuration measured again and again: geometric means."""
    if len(options) == 1:
        return options[0]

    def mean(figures: Sequence[Figure]) -> Figure:
        values = [
            statistics.geometric_mean(some) for some in zip(*map(_values, figures), strict=True)
        ]
        return Figure(measured=values[0], predicted=values[1], worst=values[2])

    firsts = [one.ttft for one in options if one.ttft is not None]
    return Option(
        run=options[0].run,
        tpot=mean([one.tpot for one in options]),
        ttft=mean(firsts) if firsts else None,
        rate=mean([one.rate for one in options]),
    )


def _promises(options: Sequence[Option]) -> list[tuple[float, float]]:
    """Promises that decide: some configuration kept it, and each part of it some did not."""
    each = [one for one in TPOT_LIMITS if any(o.tpot.measured > one for o in options)]
    first = [one for one in TTFT_LIMITS if any(o.ttft and o.ttft.measured > one for o in options)]
    pairs = [(a, b) for a in each for b in (math.inf, *first)]
    return [limits for limits in pairs if any(_kept(one, limits) for one in options)]


def _kept(option: Option, limits: tuple[float, float]) -> bool:
    each, first = limits
    soon = math.isinf(first) or (option.ttft is not None and option.ttft.measured <= first)
    return soon and option.tpot.measured <= each


def _predicted_to_keep(option: Option, limits: tuple[float, float], rule: Rule) -> bool:
    each, first = limits
    soon = math.isinf(first) or (option.ttft is not None and option.ttft.keeps(first, rule))
    return soon and option.tpot.keeps(each, rule)


def _tally(source: str, promise: Promise, rule: Rule, choices: Sequence[Choice]) -> Tally:
    picks = [one for one in choices if one.pick]
    losses = [one.loss for one in picks if one.kept]
    return Tally(
        source=source,
        promise=promise,
        rule=rule,
        groups=len({one.group for one in choices}),
        asked=len(choices),
        refused=len(choices) - len(picks),
        kept=len(losses) / len(picks) if picks else None,
        median_loss=statistics.median(losses) if losses else None,
        p90_loss=float(np.quantile(losses, 0.9)) if losses else None,
    )
