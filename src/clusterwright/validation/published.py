"""The results of the published runs, kept small, for where their table is not at hand.

`renew_page` writes them beside the accuracy page, and ``make docs`` from there into the package's
data: one row for each run, names by their place in lists of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from clusterwright import __version__
from clusterwright.records import Record
from clusterwright.validation.scoring import Result

DIGITS = 6
"""Of a number that is kept."""
NEAR = 1e-3
"""Share by which numbers may differ between machines."""


class Published(Record, frozen=True, kw_only=True):
    """What came out, on which day (""), by which version and facts."""

    date: str
    version: str
    catalogue: str
    results: tuple[Result, ...]


class _Row(msgspec.Struct, array_like=True, frozen=True):
    """One run; names are places in `_Table.names`."""

    id: str
    source: int
    metric: int
    status: int
    complete: bool
    accelerator: int
    software: int
    measured_value: float
    predicted_value: float | None
    predicted_low: float | None
    predicted_high: float | None
    measured_time: float | None
    predicted_time: float | None
    flat_error: float | None
    inside: bool | None
    fits: bool | None


class _Table(msgspec.Struct, frozen=True):
    date: str
    version: str
    catalogue: str
    names: tuple[str, ...]
    rows: tuple[_Row, ...]


NAMED = ("source", "metric", "status", "accelerator", "software")
PLAIN = tuple(name for name in _Row.__struct_fields__ if name not in NAMED)


@cache
def published() -> Published:
    """The results that come with the package."""
    content = resources.files("clusterwright").joinpath("data/accuracy.json").read_bytes()
    return decode(content)


def encode(results: Sequence[Result], *, catalogue: str, date: str = "") -> bytes:
    """Results as a file, a run a line; reasons, memory and causes are left out."""
    names = list(dict.fromkeys(getattr(one, name) for name in NAMED for one in results))
    places = {name: place for place, name in enumerate(names)}
    table = _Table(
        date=date,
        version=__version__,
        catalogue=catalogue,
        names=tuple(names),
        rows=tuple(_row(one, places) for one in results),
    )
    text = msgspec.json.encode(table).decode()
    return (text.replace("],[", "],\n[") + "\n").encode()


def decode(content: bytes) -> Published:
    """Read a file of results."""
    table = msgspec.json.decode(content, type=_Table)
    return Published(
        date=table.date,
        version=table.version,
        catalogue=table.catalogue,
        results=tuple(_result(row, table.names) for row in table.rows),
    )


def alike(some: Iterable[Result], others: Iterable[Result]) -> bool:
    """Whether two sets of results say the same, but for the last digits."""
    ours, theirs = ({one.id: one for one in every} for every in (some, others))
    return ours.keys() == theirs.keys() and all(
        _near(getattr(one, name), getattr(theirs[key], name))
        for key, one in ours.items()
        for name in (*NAMED, *PLAIN)
    )


def _near(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= NEAR * max(abs(one), abs(other), NEAR)
    return one == other


def _row(one: Result, places: dict[str, int]) -> _Row:
    named: dict[str, Any] = {name: places[getattr(one, name)] for name in NAMED}
    plain: dict[str, Any] = {name: _short(getattr(one, name)) for name in PLAIN}
    return _Row(**named, **plain)


def _short(value: object) -> object:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _result(row: _Row, names: Sequence[str]) -> Result:
    named = {name: names[getattr(row, name)] for name in NAMED}
    plain = {name: getattr(row, name) for name in PLAIN}
    error = None
    if row.measured_time is not None and row.predicted_time is not None:
        error = row.predicted_time / row.measured_time - 1.0
    return Result(**named, **plain, error=error)
