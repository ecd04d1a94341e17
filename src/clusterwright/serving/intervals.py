"""How sure a prediction of serving is: what measured runs alike took over what was predicted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import CatalogueError
from clusterwright.records import Record

BORROWED = 20.0
"""Rows of its own that the rows of the larger group weigh as much as. [1]"""
Sort = Literal["TTFT", "TPOT dense", "TPOT sparse", "throughput", "prefill", "latency"]


class ServingInterval(Record, frozen=True, kw_only=True):
    """Runs alike, and the 10 % and 90 % quantiles of measured over predicted among them.

    ``sort``: of metric. ``engine``, ``profile``: by id (empty: any), the latter a generation of
    chips. ``rows``, ``sources``: of its own; the quantiles are of these and of the larger group's
    ``lent_rows`` of ``lent_sources``, which weigh as much as `BORROWED` of them.
    """

    sort: Sort
    low: float
    high: float
    engine: str = ""
    profile: str = ""
    rows: int = 0
    sources: int = 0
    lent_rows: int = 0
    lent_sources: int = 0

    def __post_init__(self) -> None:
        """Refuse bounds that are no interval."""
        if not 0.0 < self.low <= self.high:
            raise CatalogueError(
                f"serving interval of {self.sort}: low {self.low:g} and high {self.high:g} are no "
                f"interval: give 0 < low <= high"
            )


def intervals_in(catalogue: Catalogue) -> tuple[ServingInterval, ...]:
    """All intervals of a catalogue, from general to special.

    Raises
    ------
    CatalogueError
        One is no interval.
    """
    try:
        return tuple(
            msgspec.convert(one, ServingInterval)
            for entry in catalogue.entries("serving_intervals").values()
            for one in entry.data["groups"]
        )
    except msgspec.ValidationError as error:
        raise CatalogueError(f"serving intervals: {error}") from None


def interval_of(
    intervals: Iterable[ServingInterval], sort: Sort, *, engine: str, profile: str
) -> ServingInterval | None:
    """The most special interval that holds; None: no run of the sort was ever compared."""
    asked: dict[str, Any] = {"engine": engine, "profile": profile}
    found: ServingInterval | None = None
    for one in intervals:
        same = all(getattr(one, name) in ("", value) for name, value in asked.items())
        if one.sort == sort and same:
            found = _lent(one, found)
    return found


def _lent(one: ServingInterval, wider: ServingInterval | None) -> ServingInterval:
    """An interval with the runs that it has from the larger group."""
    if wider is None:
        return one
    return msgspec.structs.replace(one, lent_rows=wider.rows, lent_sources=wider.sources)


def at_worst(predicted: float, interval: ServingInterval | None) -> float:
    """The time that a promise is held against: the upper end of the 80 % interval.

    Nine in ten runs alike took no longer. A plan on the prediction itself would break half of the
    promises that it is near to; without an interval there is nothing better.
    """
    return predicted if interval is None else predicted * interval.high
