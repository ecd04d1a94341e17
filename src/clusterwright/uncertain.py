"""Inputs that nobody knows exactly, and what they make of an answer.

A model is a function from named inputs to named results that works on numbers and on arrays alike;
so one function gives an answer, its interval, and the inputs that move it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from clusterwright.errors import InputError
from clusterwright.records import Record

Floats = Any
Model = Callable[[Mapping[str, Floats]], Mapping[str, Floats]]

DRAWS = 2048
OUTER = (0.1, 0.9)
"""The quantiles that an interval reaches to."""


class Input(Record, frozen=True, kw_only=True):
    """A quantity in SI that lies between ``low`` and ``high``, as likely below ``value`` as above.

    On either side it is the less likely the further off, and not beyond. ``why``: whose figure.
    """

    value: float
    low: float
    high: float
    dimension: str = "1"
    why: str = ""

    def quantile(self, probability: Floats) -> Floats:
        """The value that it stays below with a probability.

        >>> Input(value=3.0, low=1.0, high=9.0).quantile(np.array([0.0, 0.125, 0.5, 1.0])).tolist()
        [1.0, 2.0, 3.0, 9.0]
        """
        below = self.value - (self.value - self.low) * (1.0 - np.sqrt(2.0 * probability))
        left = np.maximum(0.0, 1.0 - probability)
        above = self.value + (self.high - self.value) * (1.0 - np.sqrt(2.0 * left))
        return np.where(probability < 0.5, below, above)


class Interval(Record, frozen=True, kw_only=True):
    """Quantiles of an answer: a tenth lies below ``low``, half below ``middle``, a tenth above."""

    low: float
    middle: float
    high: float


class Swing(Record, frozen=True, kw_only=True):
    """A result with one input at its 10th and its 90th percentile, the others at their values."""

    name: str
    low: float
    high: float


class Influence(Record, frozen=True, kw_only=True):
    """Share of a result's variance that goes back to an input, alone and with what it acts with."""

    name: str
    first: float
    total: float


def known(value: float, dimension: str = "1", why: str = "") -> Input:
    """An input that is certain, because somebody asked for it."""
    return Input(value=value, low=value, high=value, dimension=dimension, why=why)


def from_interval(low: float, value: float, high: float, dimension: str = "1") -> Input:
    """An input with given 10th, 50th and 90th percentiles.

    >>> one = from_interval(8.0, 10.0, 15.0)
    >>> [round(float(one.quantile(np.asarray(place))), 9) for place in (0.1, 0.5, 0.9)]
    [8.0, 10.0, 15.0]
    """
    reach = 1.0 - float(np.sqrt(2.0 * OUTER[0]))
    return Input(
        value=value,
        low=value - (value - low) / reach,
        high=value + (high - value) / reach,
        dimension=dimension,
    )


def around(value: float, low: float, high: float, dimension: str = "1") -> Input:
    """An input by a likely value and outer tenths, which may both lie on one side of it.

    >>> around(10.0, 11.0, 15.0).low
    10.0
    """
    return from_interval(min(low, value), value, max(high, value), dimension)


def scaled(one: Input, factor: float) -> Input:
    """An input times a number.

    >>> scaled(Input(value=3.0, low=1.0, high=9.0, dimension="W"), 2.0).high
    18.0
    """
    return Input(
        value=one.value * factor,
        low=one.low * factor,
        high=one.high * factor,
        dimension=one.dimension,
        why=one.why,
    )


def weighted(parts: Sequence[tuple[float, Input]]) -> Input:
    """The mean of inputs by weight, as if what is uncertain were so in all of them alike.

    >>> weighted([(1.0, known(4.0, "W")), (3.0, Input(value=8.0, low=4.0, high=12.0))]).low
    4.0
    """
    total = sum(weight for weight, _ in parts)
    return Input(
        value=sum(weight * one.value for weight, one in parts) / total,
        low=sum(weight * one.low for weight, one in parts) / total,
        high=sum(weight * one.high for weight, one in parts) / total,
        dimension=parts[0][1].dimension,
        why=" and ".join(dict.fromkeys(one.why for _, one in parts)),
    )


def likely(inputs: Mapping[str, Input]) -> dict[str, float]:
    """The likely value of each input."""
    return {name: one.value for name, one in inputs.items()}


def draw(inputs: Mapping[str, Input], count: int = DRAWS, *, seed: int = 0) -> dict[str, Floats]:
    """Values of all inputs, ``count`` each, spread evenly over each one's quantiles.

    Latin hypercube [1]_; an input that is certain stays a number.

    References
    ----------
    .. [1] M. D. McKay, R. J. Beckman, W. J. Conover, Technometrics 21 (1979) 239.
    """
    # By name: inputs that were saved and read again come in another order.
    named = sorted(inputs.items())
    loose = [one for _, one in named if one.low != one.high]
    drawn = iter(
        _drawn((one.low, one.value, one.high), column, len(loose), count, seed)
        for column, one in enumerate(loose)
    )
    return {name: one.value if one.low == one.high else next(drawn) for name, one in named}


# Accounts of like runs draw many of the same inputs: those of a few are kept, and not written to.
@lru_cache(maxsize=256)
def _drawn(
    ends: tuple[float, float, float], column: int, columns: int, count: int, seed: int
) -> Floats:
    low, value, high = ends
    kept = _kept_places(columns, count, seed)
    found = Input(value=value, low=low, high=high).quantile(kept[column])
    found.flags.writeable = False
    return found


def places(columns: int, count: int, seed: int) -> Floats:
    """Probabilities, (columns, count): in each column one in each of ``count`` equal parts.

    >>> np.sort(places(2, 4, 0) * 4 // 1).tolist()
    [[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]]
    """
    random = np.random.default_rng(seed)
    found = np.empty((columns, count))
    for column in found:
        column[:] = (random.permutation(count) + random.random(count)) / count
    return found


_kept_places = lru_cache(maxsize=8)(places)


def interval_of(draws: Floats) -> Interval:
    """Quantiles of drawn results.

    >>> interval_of(np.arange(11.0))
    Interval(low=1.0, middle=5.0, high=9.0)
    """
    ordered = np.sort(np.asarray(draws, float), axis=None)
    low, middle, high = (_at(ordered, place) for place in (OUTER[0], 0.5, OUTER[1]))
    return Interval(low=low, middle=middle, high=high)


def _at(ordered: Floats, place: float) -> float:
    """A quantile of numbers in order, as `numpy.quantile` has it to the last bit, but sooner."""
    if np.isnan(ordered[-1]):
        return float("nan")
    index = (len(ordered) - 1) * place
    below = int(index)
    a = float(ordered[below])
    b = float(ordered[min(below + 1, len(ordered) - 1)])
    if a == b:  # also where both are beyond any number, and have no difference
        return a
    share = index - below
    return a + (b - a) * share if share < 0.5 else b - (b - a) * (1.0 - share)


def intervals_of(
    model: Model, inputs: Mapping[str, Input], *, count: int = DRAWS, seed: int = 0
) -> dict[str, Interval]:
    """The interval of each result of a model."""
    return {
        name: interval_of(draws) for name, draws in model(draw(inputs, count, seed=seed)).items()
    }


def tornado(model: Model, inputs: Mapping[str, Input], result: str) -> list[Swing]:
    """What each uncertain input alone makes of a result, the widest first."""
    centre = likely(inputs)
    found = []
    for name, one in inputs.items():
        if one.low == one.high:
            continue
        ends = [
            float(_result(model({**centre, name: float(one.quantile(np.asarray(end)))}), result))
            for end in OUTER
        ]
        found.append(Swing(name=name, low=ends[0], high=ends[1]))
    return sorted(found, key=lambda swing: (-abs(swing.high - swing.low), swing.name))


def influences(
    model: Model, inputs: Mapping[str, Input], result: str, *, count: int = 1024, seed: int = 0
) -> list[Influence]:
    """Sobol' indices of a result, the most influential input first.

    First-order by Saltelli's estimator [1]_, total by Jansen's, from ``count`` (k + 2) points.

    References
    ----------
    .. [1] A. Saltelli et al., Computer Physics Communications 181 (2010) 259, table 2.
    """
    loose = {name: one for name, one in inputs.items() if one.low < one.high}
    ours = {**likely(inputs), **draw(loose, count, seed=seed)}
    others = draw(loose, count, seed=seed + 1)
    at_ours = _column(model(ours), result, count)
    at_others = _column(model({**ours, **others}), result, count)
    mixed = {name: _column(model({**ours, name: others[name]}), result, count) for name in loose}
    return shares_of_variance(at_ours, at_others, mixed)


def shares_of_variance(
    ours: Floats, others: Floats, mixed: Mapping[str, Floats]
) -> list[Influence]:
    """Sobol' indices of a result at two sets of points, and at the first with one input mixed in.

    ``mixed``: per input, at the first set of points with that input's values of the second; the
    estimators are those of `influences`.
    """
    both = np.concatenate([ours, others])
    mean, variance = float(np.mean(both)), float(np.var(both))
    found = []
    for name, at_mixed in mixed.items():
        # Less the mean, which changes nothing in the limit and much of the noise.
        first = float(np.mean((others - mean) * (at_mixed - ours)))
        total = float(np.mean((ours - at_mixed) ** 2)) / 2.0
        share = (first / variance, total / variance) if variance else (0.0, 0.0)
        found.append(Influence(name=name, first=share[0], total=share[1]))
    return sorted(found, key=lambda one: (-one.total, one.name))


def _result(results: Mapping[str, Floats], name: str) -> Floats:
    if name not in results:
        raise InputError(f"no result called {name!r}: one of {', '.join(results)}")
    return results[name]


def _column(results: Mapping[str, Floats], name: str, count: int) -> Floats:
    return np.broadcast_to(np.asarray(_result(results, name), float), (count,))
