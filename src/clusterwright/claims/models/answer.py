"""What a model of a claim answers with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clusterwright.claims.given import Given
from clusterwright.records import Record
from clusterwright.uncertain import Input, Interval, draw, from_interval

Floats = Any
ClaimModel = Callable[[Given], "Answer"]


class Answer(Record, frozen=True, kw_only=True):
    """Results by name in SI: numbers, draws or intervals; the first is meant unless a claim says.

    ``dimensions``: their SI units, as far as they are always the same. ``beside``: those that are
    worth showing beside the one that is meant; empty: all that have a dimension. ``assumed``: in
    words, what they rest on beside what the claim gives.
    """

    results: dict[str, Any]
    dimensions: dict[str, str] = {}
    beside: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def drawn(inputs: Mapping[str, Input]) -> dict[str, Floats]:
    """Draws of inputs; what is certain stays a number."""
    return draw(inputs)


def spread(found: Interval, *, seed: int) -> Floats:
    """Draws of a quantity of which an interval is known; ``seed``: one for each such quantity."""
    if found.low == found.high:
        return found.middle
    one = from_interval(found.low, found.middle, found.high)
    return draw({"x": one}, seed=seed)["x"]
