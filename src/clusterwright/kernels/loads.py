"""How tables of experts spread tokens: evenly, or by a power law with the busiest rank measured."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from clusterwright.errors import TableError
from clusterwright.kernels.columns import Array

Random = np.random.Generator

BALANCED = "balanced"
POWER_LAW = "power_law_"
DRAWS = 4
"""Draws of a power law to average over; the tables averaged five."""
LARGEST_SHARE = 0.8
"""The law ends where one expert gets this share of all tokens. [1]"""
SPARSE = (0.01, 2.0)
"""Ends of the law where there are fewer rows than experts. [1]"""


class Load(NamedTuple):
    """What the measured rank has to do.

    ``rows``: pairs of a token and one of the rank's experts. ``touched``: of its experts, those
    with a row. ``tokens``: of the batch, those with an expert here.
    """

    rows: float
    touched: float
    tokens: float


@cache
def load_of(tokens: int, top_k: int, num_experts: int, ep: int, distribution: str) -> Load:
    """Return the load of the rank that a table times: the first if even, else the busiest.

    >>> load_of(32, 8, 256, 8, "balanced")
    Load(rows=32.0, touched=32.0, tokens=32.0)

    Raises
    ------
    TableError
        The distribution is neither ``balanced`` nor ``power_law_`` and an exponent.
    """
    if distribution == BALANCED:
        counts = _even(tokens * top_k, num_experts).reshape(ep, -1)[0]
        return _summary(counts, float(min(tokens, max(1.0, counts.sum()))))
    try:
        exponent = float(distribution.removeprefix(POWER_LAW))
    except ValueError:
        raise TableError(
            f"distribution is {distribution!r}, but must be balanced or power_law_ and an exponent"
        ) from None
    random = np.random.default_rng([tokens, top_k, num_experts, ep])
    loads = []
    for _ in range(DRAWS):
        counts = _power_law(
            tokens, top_k, num_experts, ep=ep, exponent=exponent, random=random
        ).reshape(ep, -1)
        busiest = counts[np.argmax(counts.sum(axis=1))]
        here = tokens * (1.0 - np.exp(-busiest.sum() / tokens)) if ep > 1 else tokens
        loads.append(_summary(busiest, float(max(busiest.max(), here))))
    return Load(*np.mean(loads, axis=0).tolist())


def loads_of(
    tokens: Array, top_k: Array, num_experts: Array, *, ep: Array, distribution: Array
) -> Load:
    """Return the load of each row of a table, as columns."""
    shapes = np.column_stack([tokens, top_k, num_experts, ep]).astype(int).tolist()
    pairs = zip(shapes, distribution.tolist(), strict=True)
    return Load(*np.array([load_of(*shape, word) for shape, word in pairs]).reshape(-1, 3).T)


def _summary(counts: Array, tokens: float) -> Load:
    return Load(float(counts.sum()), float(max(1, (counts > 0).sum())), tokens)


def _even(rows: int, num_experts: int) -> Array:
    """Rows of each expert when they differ by one at the most, those with more spread evenly."""
    counts = np.full(num_experts, rows // num_experts, dtype=float)
    rest = rows % num_experts
    counts[(np.arange(rest) * num_experts) // max(rest, 1)] += 1.0
    return counts


def _power_law(
    tokens: int, top_k: int, num_experts: int, *, ep: int, exponent: float, random: Random
) -> Array:
    """Rows of each expert: drawn from a power law between two ends, no more than the tokens."""
    rows = tokens * top_k
    low, high = (1.0, LARGEST_SHARE * tokens) if rows > num_experts else SPARSE
    power = 1.0 - exponent
    drawn = (low**power + (high**power - low**power) * random.random(num_experts)) ** (1.0 / power)
    counts = np.minimum(np.round(drawn / drawn.sum() * rows), tokens)
    # One rank after the other, so that what rounding lost or gained stays even between ranks.
    turns = np.arange(num_experts).reshape(ep, -1).T.ravel()
    while (missing := rows - counts.sum()) != 0:
        sign = np.sign(missing)
        order = turns[np.argsort(sign * counts[turns], kind="stable")]
        room = tokens - counts[order] if missing > 0 else counts[order]
        step = np.minimum(room, np.ceil(abs(missing) / num_experts))
        taken = np.diff(np.minimum(np.cumsum(step), abs(missing)), prepend=0.0)
        counts[order] += sign * taken
    return counts
