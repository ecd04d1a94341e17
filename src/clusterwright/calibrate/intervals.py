"""Set the intervals from residuals of published runs (grouped conformal prediction).

In each group the interval is the 10 % to 90 % quantile of the log of measured over predicted time,
widened for the finite number of rows. A row weighs the less the more rows its source has in the
group (with the root of that number), so that a sweep does not speak for everybody.

References
----------
.. [1] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World," 2005, section 4.5
   (Mondrian conformal predictors).
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import ClusterwrightError, InputError
from clusterwright.facts import profile_of
from clusterwright.records import Record
from clusterwright.training.intervals import (
    Circumstances,
    IntervalGroup,
    Intervals,
    circumstances_of,
)
from clusterwright.validation.lookup import Lookup
from clusterwright.validation.metrics import time_of
from clusterwright.validation.questions import Question, Unasked, question_of
from clusterwright.validation.runs import Run
from clusterwright.validation.scoring import Predict, answer

Pairs = list[tuple[float, float]]
"""Values and their weights."""

LEVEL = 0.8
LEAST_ROWS, LEAST_SOURCES = 20, 3
OWN_ROWS = 40
"""A framework gets groups of its own from so many rows; others need several sources as well."""

FIELDS: tuple[tuple[str, ...], ...] = (
    ("software", "kind", "scale"),
    ("software", "kind"),
    ("software",),
    ("chip", "kind", "scale"),
    ("chip", "kind"),
    ("kind",),
    ("chip",),
    (),
)
"""What groups are told apart by, the most particular first."""


class Residual(Record, frozen=True, kw_only=True):
    """One run: log of measured over predicted time, and what it may depend on."""

    id: str
    source: str
    log_ratio: float
    circumstances: Circumstances


class Coverage(Record, frozen=True, kw_only=True):
    """Share of runs inside their interval: of all rows, and as the mean over sources. [1]"""

    rows: float
    sources: float


def residuals_of(runs: Iterable[Run], facts: Catalogue, predict: Predict) -> list[Residual]:
    """Return the residual of every run whose configuration is complete."""
    lookup = Lookup(facts)
    found = []
    for run in runs:
        question = question_of(run, lookup)
        if run.config_complete is False or isinstance(question, Unasked):
            continue
        try:
            asked, prediction = answer(question, predict)
        except ClusterwrightError:
            continue
        measured = time_of(run, asked, run.measured_value)
        found.append(
            Residual(
                id=run.id,
                source=run.source,
                log_ratio=math.log(measured / prediction.step_time),
                circumstances=_circumstances(asked, facts),
            )
        )
    return found


def _circumstances(question: Question, facts: Catalogue) -> Circumstances:
    cluster = question.cluster
    return circumstances_of(
        question.model,
        question.workload,
        profile_of(facts, cluster),
        software=question.software.id,
        num_nodes=question.strategy.accelerators / cluster.levels[0].size,
    )


def coverage_of(residuals: Sequence[Residual]) -> dict[str, Coverage]:
    """Return the coverage of what no interval was set from, by what it is of.

    Nothing for a table of few runs or sources, which says nothing about others.
    """
    sources = {residual.source for residual in residuals}
    if len(residuals) < LEAST_ROWS or len(sources) < LEAST_SOURCES:
        return {}
    return {
        "of runs that no interval was set from": cross_validated(residuals),
        "of sources that no interval was set from": unseen_sources(residuals),
    }


def check_enough(residuals: Sequence[Residual]) -> None:
    """Refuse to set an interval from a few runs: their spread is not that of the next one.

    Raises
    ------
    InputError
        When fewer than `LEAST_ROWS` runs could be predicted.
    """
    if len(residuals) < LEAST_ROWS:
        raise InputError(
            f"{len(residuals)} runs with a complete configuration are too few for an 80 % "
            f"interval: give {LEAST_ROWS} or more "
            f"(`validate RUNS.csv --out rows.csv` says what each lacks)"
        )


def intervals_from(residuals: Sequence[Residual], *, level: float = LEVEL) -> Intervals:
    """Return the intervals of every group that enough runs are known of.

    Parameters
    ----------
    level
        Share of runs that an interval is to hold. [1]
    """
    groups: list[IntervalGroup] = []
    for fields in FIELDS:
        sorted_out: dict[tuple[str, ...], list[Residual]] = {}
        for residual in residuals:
            key = tuple(getattr(residual.circumstances, name) for name in fields)
            sorted_out.setdefault(key, []).append(residual)
        for key, members in sorted(sorted_out.items()):
            if _enough(members, fields):
                named = dict(zip(fields, key, strict=True))
                groups.append(_group(members, named, level))
    return Intervals(groups=tuple(groups))


def cross_validated(residuals: Sequence[Residual], *, folds: int = 5) -> Coverage:
    """Return the coverage of runs that their interval was not set from, by folds of runs."""
    inside: list[tuple[str, bool]] = []
    for fold in range(folds):
        kept = [r for r in residuals if _fold(r.id, folds) != fold]
        asked = [r for r in residuals if _fold(r.id, folds) == fold]
        inside += _inside(intervals_from(kept), asked)
    return _coverage(inside)


def unseen_sources(residuals: Sequence[Residual]) -> Coverage:
    """Return the coverage of each source by intervals that no row of it had a part in."""
    inside: list[tuple[str, bool]] = []
    for source in sorted({r.source for r in residuals}):
        kept = [r for r in residuals if r.source != source]
        inside += _inside(intervals_from(kept), [r for r in residuals if r.source == source])
    return _coverage(inside)


def _enough(members: Sequence[Residual], fields: Sequence[str]) -> bool:
    """Whether a group is large and mixed enough to speak for runs like it."""
    sources = len({r.source for r in members})
    if not fields:
        return True
    if "software" in fields and len(members) >= OWN_ROWS:
        return True
    return len(members) >= LEAST_ROWS and sources >= LEAST_SOURCES


def _group(members: Sequence[Residual], named: dict[str, str], level: float) -> IntervalGroup:
    """Quantiles of one group."""
    low, high = bounds_of(weighed([(r.source, r.log_ratio) for r in members]), level)
    return IntervalGroup(
        low=round(low, 3),
        high=round(high, 3),
        rows=len(members),
        sources=len({r.source for r in members}),
        **named,  # type: ignore[arg-type]
    )


def weighed(rows: Sequence[tuple[str, float]], *, power: float = 0.5) -> Pairs:
    """Each value and its weight, less where its source has many rows; by ``power`` 1 once each."""
    counts = Counter(source for source, _ in rows)
    return [(value, counts[source] ** -power) for source, value in rows]


def effective(pairs: Pairs) -> float:
    """Rows of equal weight that say as much as these, after Kish. [1]"""
    return sum(w for _, w in pairs) ** 2 / sum(w * w for _, w in pairs)


def bounds_of(pairs: Pairs, level: float) -> tuple[float, float]:
    """Bounds of measured over predicted that hold a share ``level`` of rows alike. [1]

    ``pairs``: logarithms of it, and their weights. One row more is reckoned with.
    """
    tail = (1.0 - level) / 2.0
    upper = min(1.0, (1.0 - tail) * (1.0 + 1.0 / effective(pairs)))
    ordered = sorted(pairs)
    return math.exp(_quantile(ordered, 1.0 - upper)), math.exp(_quantile(ordered, upper))


def _quantile(pairs: Pairs, share: float) -> float:
    """Weighted quantile of sorted (value, weight) pairs."""
    wanted = share * sum(w for _, w in pairs)
    passed = 0.0
    for value, weight in pairs:
        passed += weight
        if passed >= wanted:
            return value
    return pairs[-1][0]


def _inside(intervals: Intervals, asked: Iterable[Residual]) -> list[tuple[str, bool]]:
    """By run: its source, and whether it lies inside its interval."""
    found = []
    for residual in asked:
        group = intervals.group_for(residual.circumstances)
        ratio = math.exp(residual.log_ratio)
        found.append((residual.source, group.low <= ratio <= group.high))
    return found


def _coverage(inside: Sequence[tuple[str, bool]]) -> Coverage:
    """Share of rows inside, and the mean of that share over sources."""
    by_source: dict[str, list[bool]] = {}
    for source, held in inside:
        by_source.setdefault(source, []).append(held)
    shares = [sum(held) / len(held) for held in by_source.values()]
    return Coverage(
        rows=sum(held for _, held in inside) / len(inside), sources=sum(shares) / len(shares)
    )


def _fold(name: str, folds: int) -> int:
    """The fold that a run belongs to, by its name."""
    return zlib.crc32(name.encode()) % folds
