"""Saved plans that were edited by hand: what cannot be is told where a plan is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from clusterwright.errors import InputError
from clusterwright.uncertain import Input, Interval

MOST: Final = 1e40
"""No figure of a plan goes further, in SI: a run of a thousand years is 1e39 FLOP at most."""
ALIKE: Final = 1e-6
"""By which parts of a plan may miss each other. [1]"""


def check_unedited(path: Path, amiss: Iterable[str]) -> None:
    """Refuse a plan of which something is amiss.

    Parameters
    ----------
    path
        It was read from.
    amiss
        What cannot be, one after the other; only the first is told.

    Raises
    ------
    InputError
        Something is.
    """
    for what in amiss:
        raise InputError(f"{str(path)!r} was edited: {what}; save it anew with --save")


def emptied(parts: Mapping[str, object]) -> Iterator[str]:
    """Tell which of the parts, by name, are empty."""
    for name, part in parts.items():
        if not part:
            yield f"{name} is empty"


def too_low(numbers: Mapping[str, float]) -> Iterator[str]:
    """Tell which of the numbers, by name, are not above zero."""
    for name, value in numbers.items():
        if not value > 0:
            yield f"{name} is {value:g}, but must be above zero"


def out_of_range(
    name: str, value: object, *, signed: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Tell which numbers of a record, and of its parts, are below zero or beyond any that can be.

    Parameters
    ----------
    name
        What the record is called in the file.
    value
        The record, or a part of it.
    signed
        Names of fields that may be below zero.
    """
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        last = name.rpartition(".")[2]
        if value < 0 and last not in signed:
            yield f"{name} is {value:g}, which cannot be below zero"
        elif not abs(value) < MOST:
            yield f"{name} is {value:g}, which is more than can be"
        return
    if isinstance(value, Interval | Input):
        yield from disordered(name, value)
    for key, one in _parts(value):
        yield from out_of_range(f"{name}{key}", one, signed=signed)


def disordered(name: str, one: Interval | Input) -> Iterator[str]:
    """Tell where a middle lies outside of its interval."""
    middle = one.middle if isinstance(one, Interval) else one.value
    if not one.low <= middle <= one.high:
        yield f"{name} is {middle:g}, outside of its interval of {one.low:g} to {one.high:g}"


def apart(name: str, value: float, other: float, by: str) -> Iterator[str]:
    """Tell where a number is not what others give; ``by``: these, in words."""
    if not math.isclose(value, other, rel_tol=ALIKE):
        yield f"{name} is {value:g}, but {by} give {other:g}"


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield f".{name}", getattr(value, name)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield f".{key}", one
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield f"[{index}]", one
