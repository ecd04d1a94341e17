"""What errors of serving runs come to in groups: by source, by engine, by accelerator."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from clusterwright.records import Record
from clusterwright.serving.intervals import Sort
from clusterwright.validation.serving.scoring import ServeResult

SORTS: tuple[Sort, ...] = (
    "TPOT dense",
    "TPOT sparse",
    "TTFT",
    "throughput",
    "prefill",
    "latency",
)
"""Sorts of metric, in the order in which they are shown."""


class Grouped(Record, frozen=True, kw_only=True):
    """Rows of one sort of metric that have something in common, ``name``.

    ``median_abs_error``, ``p90_abs_error``: absolute errors that half, and nine tenths, of the
    rows stay below. ``bias``: the median signed error. ``coverage``: share of the rows inside their
    80 % interval; None: they have none. [1]
    """

    name: str
    sort: Sort
    rows: int
    sources: int
    median_abs_error: float
    p90_abs_error: float
    bias: float
    coverage: float | None


def grouped(
    results: Iterable[ServeResult], key: Callable[[ServeResult], str]
) -> tuple[Grouped, ...]:
    """Sum predicted rows up by what ``key`` says of them, sort by sort, the worst first."""
    groups: dict[tuple[Sort, str], list[ServeResult]] = {}
    for one in results:
        if one.error is not None:
            groups.setdefault((one.sort, key(one)), []).append(one)
    made = [_grouped(name, sort, rows) for (sort, name), rows in groups.items()]
    return tuple(sorted(made, key=lambda one: (SORTS.index(one.sort), -one.median_abs_error)))


def _grouped(name: str, sort: Sort, rows: Sequence[ServeResult]) -> Grouped:
    errors = [one.error for one in rows if one.error is not None]
    return Grouped(
        name=name,
        sort=sort,
        rows=len(rows),
        sources=len({one.source for one in rows}),
        median_abs_error=statistics.median(map(abs, errors)),
        p90_abs_error=float(np.quantile(np.abs(errors), 0.9)),
        bias=statistics.median(errors),
        coverage=_coverage(rows),
    )


class Sorted(Record, frozen=True, kw_only=True):
    """What all rows of one sort of metric come to, each source weighing the same.

    ``error``: mean over sources of the median absolute error; ``judged``: of the runs alone that
    neither factors nor intervals rest on. ``bias``: the median over sources of their median signed
    error. ``coverage``, ``judged_coverage``: share of rows inside their 80 % interval. [1]
    """

    sort: Sort
    rows: int
    sources: int
    error: float
    judged: float | None
    bias: float
    coverage: float | None
    judged_coverage: float | None


def by_sort(results: Sequence[ServeResult]) -> tuple[Sorted, ...]:
    """Sum predicted rows up by sort of metric."""
    found = []
    for sort in SORTS:
        rows = [one for one in results if one.sort == sort and one.error is not None]
        if rows:
            found.append(_sorted(sort, rows))
    return tuple(found)


def _sorted(sort: Sort, rows: Sequence[ServeResult]) -> Sorted:
    judged = [one for one in rows if not one.seen]
    sources = _by_source(rows)
    return Sorted(
        sort=sort,
        rows=len(rows),
        sources=len(sources),
        error=_error(sources),
        judged=_error(_by_source(judged)) if judged else None,
        bias=statistics.median(one.bias for one in sources),
        coverage=_coverage(rows),
        judged_coverage=_coverage(judged),
    )


def _by_source(rows: Sequence[ServeResult]) -> tuple[Grouped, ...]:
    return grouped(rows, lambda one: one.source)


def _error(sources: Sequence[Grouped]) -> float:
    return statistics.fmean(one.median_abs_error for one in sources)


def _coverage(rows: Sequence[ServeResult]) -> float | None:
    inside = [one.inside for one in rows if one.inside is not None]
    return statistics.fmean(inside) if inside else None
