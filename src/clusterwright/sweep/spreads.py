"""Options that nobody knows exactly: what a study draws them from."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.records import Record
from clusterwright.sweep.options import (
    Option,
    Value,
    dimension_of,
    number_of,
    read_value,
    written_of,
)
from clusterwright.uncertain import Input, from_interval

Shape = Literal["peak", "even", "log", "choice"]
FORMS = (
    '["$0.05/kWh", "$0.08/kWh", "$0.12/kWh"] for low, likely and high, or a table of p10, p50 and '
    "p90, of between = [low, high] (with log = true if that spans powers of ten), or of one-of"
)


class Spread(Record, frozen=True, kw_only=True):
    """What values an option may have.

    ``peak``: most likely about ``value``, none beyond ``low`` and ``high``, as `uncertain.Input`;
    ``even``: between them, all alike; ``log``: the same of their logarithms; ``choice``: one of
    ``choices``, all alike.
    """

    shape: Shape
    dimension: str = "1"
    low: float = 0.0
    value: float = 0.0
    high: float = 0.0
    choices: tuple[Value, ...] = ()

    def quantile(self, probability: float) -> float | Value:
        """The value that it stays below with a probability; of choices, in the order given.

        >>> Spread(shape="log", low=1.0, high=100.0).quantile(0.5)
        10.0
        """
        if self.shape == "choice":
            return self.choices[min(len(self.choices) - 1, int(probability * len(self.choices)))]
        if self.shape == "even":
            return self.low + (self.high - self.low) * probability
        if self.shape == "log":
            return self.low * float((self.high / self.low) ** probability)
        one = Input(value=self.value, low=self.low, high=self.high)
        return float(one.quantile(np.asarray(probability)))

    def at(self, option: Option, probability: float) -> Value:
        """The value at a probability, as the option takes it."""
        found = self.quantile(probability)
        if self.shape == "choice" or isinstance(found, str):
            return found
        return written_of(option, found, self.dimension)


def read_spread(option: Option, written: Any, name: str, facts: Catalogue) -> Spread:  # noqa: ANN401 - TOML
    """Read what one uncertain option is drawn from.

    Raises
    ------
    InputError
        It is none of the forms, or its values do not rise, or are not the option's.
    """
    if isinstance(written, list) and len(written) == 3:
        return _risen("peak", option, written, name, facts)
    if not isinstance(written, dict):
        raise InputError(f"[uncertain] {name} is {written!r}: write {FORMS}")
    given = {key.replace("-", "_"): one for key, one in written.items()}
    keys = set(given)
    if keys == {"p10", "p50", "p90"}:
        found = _risen("peak", option, [given[key] for key in sorted(keys)], name, facts)
        one = from_interval(found.low, found.value, found.high)
        if one.low <= 0.0:
            raise InputError(f"[uncertain] {name} reaches below zero: write low, likely and high")
        return Spread(
            shape="peak", dimension=found.dimension, low=one.low, value=one.value, high=one.high
        )
    if keys in ({"between"}, {"between", "log"}) and len(_listed(given["between"], name)) == 2:
        shape: Shape = "log" if given.get("log") else "even"
        return _risen(shape, option, given["between"], name, facts)
    if keys == {"one_of"} and len(_listed(given["one_of"], name)) > 1:
        chosen = tuple(read_value(option, one, name, facts) for one in given["one_of"])
        return Spread(shape="choice", choices=chosen)
    raise InputError(f"[uncertain] {name} has {', '.join(written) or 'nothing'}: write {FORMS}")


def _listed(written: Any, name: str) -> list[Any]:  # noqa: ANN401 - TOML
    if not isinstance(written, list):
        raise InputError(f"[uncertain] {name} is {written!r}, but must be a list: write {FORMS}")
    return written


def _risen(
    shape: Shape,
    option: Option,
    written: list[Any],
    name: str,
    facts: Catalogue,
) -> Spread:
    """A spread with two or three ends that rise."""
    ends = [number_of(option, one, name, facts) for one in written]
    if sorted(ends) != ends or ends[0] == ends[-1]:
        shown = ", ".join(map(str, written))
        raise InputError(f"[uncertain] {name} does not rise from low to high: {shown}")
    if shape == "log" and ends[0] <= 0.0:
        raise InputError(f"[uncertain] {name} has no logarithm at zero: begin above it")
    return Spread(
        shape=shape,
        dimension=dimension_of(option, name),
        low=ends[0],
        value=ends[len(ends) // 2],
        high=ends[-1],
    )
