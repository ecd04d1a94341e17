"""The results of the published runs, kept small, for where their tables are not at hand.

The accuracy pages write them beside themselves, and ``make docs`` from there into the package's
data: one row for each run, names by their place in a list of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final, Generic, TypeVar

import msgspec

from clusterwright import __version__
from clusterwright.records import Record
from clusterwright.validation.scoring import Result
from clusterwright.validation.serving.scoring import ServeResult

R = TypeVar("R", bound=Result | ServeResult)
DIGITS = 10
"""Of a number that is kept."""
NEAR = 1e-3
"""Share by which numbers may differ between machines."""


class Published(Record, Generic[R], frozen=True, kw_only=True):
    """What came out, on which day (""), by which version and facts."""

    date: str
    version: str
    catalogue: str
    results: tuple[R, ...]


class Kept(Record, Generic[R], frozen=True, kw_only=True):
    """What is kept of results, and where.

    ``file``: of the package's data. ``named``, ``plain``: fields that are kept, the former as
    places in a list of names. ``ends``: fields of which the error is made, measured and predicted.
    """

    file: str
    type: type[R]
    named: tuple[str, ...]
    plain: tuple[str, ...]
    ends: tuple[str, str]


TRAINING: Final = Kept(
    file="accuracy.json",
    type=Result,
    named=("source", "metric", "status", "accelerator", "software"),
    plain=(
        *("id", "complete", "measured_value", "predicted_value", "predicted_low"),
        *("predicted_high", "measured_time", "predicted_time", "flat_error", "inside", "fits"),
    ),
    ends=("measured_time", "predicted_time"),
)
SERVING: Final = Kept(
    file="accuracy-serving.json",
    type=ServeResult,
    named=("source", "metric", "status", "model", "accelerator", "engine", "sort"),
    plain=("id", "seen", "measured_value", "predicted_value", "low", "high"),
    ends=("measured_value", "predicted_value"),
)


class _Table(msgspec.Struct, frozen=True):
    date: str
    version: str
    catalogue: str
    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@cache
def published() -> Published[Result]:
    """The results of training that come with the package."""
    return decode(_shipped(TRAINING.file), TRAINING)


@cache
def published_serving() -> Published[ServeResult]:
    """The results of serving that come with the package: of runs that are complete."""
    return decode(_shipped(SERVING.file), SERVING)


def _shipped(file: str) -> bytes:
    return resources.files("clusterwright").joinpath("data", file).read_bytes()


def encode(results: Sequence[R], kept: Kept[R], *, catalogue: str, date: str = "") -> bytes:
    """Results as a file, a run a line; what is not among the kept fields is left out."""
    names = list(dict.fromkeys(getattr(one, name) for name in kept.named for one in results))
    places = {name: place for place, name in enumerate(names)}
    rows = tuple(
        (
            *(places[getattr(one, name)] for name in kept.named),
            *(_short(getattr(one, name)) for name in kept.plain),
        )
        for one in results
    )
    table = _Table(
        date=date, version=__version__, catalogue=catalogue, names=tuple(names), rows=rows
    )
    text = msgspec.json.encode(table).decode()
    return (text.replace("],[", "],\n[") + "\n").encode()


def decode(content: bytes, kept: Kept[R]) -> Published[R]:
    """Read a file of results."""
    table = msgspec.json.decode(content, type=_Table)
    results = (_fields(row, kept, table.names) for row in table.rows)
    return Published(
        date=table.date,
        version=table.version,
        catalogue=table.catalogue,
        results=tuple(msgspec.convert(one, kept.type) for one in results),
    )


def alike(some: Iterable[R], others: Iterable[R], kept: Kept[R]) -> bool:
    """Whether two sets of results say the same, but for the last digits."""
    ours, theirs = ({one.id: one for one in every} for every in (some, others))
    return ours.keys() == theirs.keys() and all(
        _near(getattr(one, name), getattr(theirs[key], name))
        for key, one in ours.items()
        for name in (*kept.named, *kept.plain)
    )


def _near(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= NEAR * max(abs(one), abs(other), NEAR)
    return one == other


def _short(value: object) -> object:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _fields(row: Sequence[Any], kept: Kept[R], names: Sequence[str]) -> Mapping[str, Any]:
    """The fields of one result, its error made again."""
    places, plain = row[: len(kept.named)], row[len(kept.named) :]
    found: dict[str, Any] = dict(zip(kept.plain, plain, strict=True))
    found |= {name: names[place] for name, place in zip(kept.named, places, strict=True)}
    measured, predicted = (found[name] for name in kept.ends)
    known = measured is not None and predicted is not None
    return {**found, "error": predicted / measured - 1.0 if known else None}
