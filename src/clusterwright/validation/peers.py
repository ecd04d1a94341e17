"""Other tools on the same published runs: what they reach, and what we reach on our rows."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import CatalogueError
from clusterwright.records import Record
from clusterwright.validation.scoring import Result


class DataSet(Record, frozen=True, kw_only=True):
    """A table of published runs: those whose id starts with one of ``prefixes``.

    ``runs``: how many the peers were given. ``headline``: whether it counts in the mean over sets.
    """

    id: str
    name: str
    prefixes: tuple[str, ...]
    runs: int
    headline: bool = False
    note: str = ""

    def rows(self, results: Sequence[Result]) -> list[Result]:
        """Return the predicted runs of it, complete or not."""
        return [r for r in results if r.status == "ok" and r.id.startswith(self.prefixes)]


class Reached(Record, frozen=True, kw_only=True):
    """What a tool reaches on a data set: mean absolute and mean signed error of the step time.

    ``fitted``: the mean absolute error left after the one factor that suits the set best.
    ``note``: why there is none. ``runs``: of how many.
    """

    set: str
    error: float | None = None
    bias: float | None = None
    fitted: float | None = None
    runs: int | None = None
    note: str = ""


class Peer(Record, frozen=True, kw_only=True):
    """A tool, how it was run, and what it reaches."""

    id: str
    name: str
    source: str
    notes: str
    results: tuple[Reached, ...]

    def on(self, data_set: DataSet) -> Reached | None:
        """Return what it reaches on one set, if it was tried."""
        return next((r for r in self.results if r.set == data_set.id), None)


class Peers(Record, frozen=True, kw_only=True):
    """The data sets in their order, and the tools."""

    sets: tuple[DataSet, ...]
    tools: tuple[Peer, ...]


def peers_of(catalogue: Catalogue) -> Peers:
    """Read what other tools reach from ``catalogue/peers``.

    Raises
    ------
    CatalogueError
        A tool names a set that is not there.
    """
    entries = catalogue.entries("peers")
    sets = msgspec.convert(entries["sets"].data["sets"], tuple[DataSet, ...])
    tools = tuple(_peer(e.data) for name, e in sorted(entries.items()) if name != "sets")
    known = {one.id for one in sets}
    for tool in tools:
        for result in tool.results:
            if result.set not in known:
                raise CatalogueError(
                    f"catalogue/peers: {tool.id} has results on {result.set!r}, but the sets are "
                    f"{', '.join(sorted(known))}"
                )
    return Peers(sets=sets, tools=tools)


def reached(data_set: DataSet, results: Sequence[Result]) -> Reached:
    """Return what we reach on our rows of a data set, of which there may be none."""
    errors = [r.error for r in data_set.rows(results) if r.error is not None]
    return _reached(data_set, errors)


def reached_by_formula(data_set: DataSet, results: Sequence[Result]) -> Reached:
    """Return what the one-line formula reaches on our rows of a data set."""
    errors = [r.flat_error for r in data_set.rows(results) if r.flat_error is not None]
    return _reached(data_set, errors)


def _reached(data_set: DataSet, errors: Sequence[float]) -> Reached:
    if not errors:
        return Reached(set=data_set.id, note="no rows", runs=0)
    return Reached(
        set=data_set.id,
        error=statistics.fmean(map(abs, errors)),
        bias=statistics.fmean(errors),
        fitted=fitted_error(errors),
        runs=len(errors),
    )


def fitted_error(errors: Sequence[float]) -> float:
    """Return the mean absolute error after the one factor on all predictions that suits best.

    The best factor is the inverse of one of the ratios: between two of them the mean is linear.

    >>> fitted_error([0.5, 0.5, 0.5])
    0.0
    """
    ratios = [1.0 + error for error in errors]
    return min(statistics.fmean(abs(r / one - 1.0) for r in ratios) for one in ratios if one > 0.0)


def _peer(data: Mapping[str, Any]) -> Peer:
    names = Peer.__struct_fields__
    return msgspec.convert({k: v for k, v in data.items() if k in names}, Peer)
