"""Which rows a fit may see: decided by a hash of the shape, so that it is the same everywhere."""

from __future__ import annotations

import numpy as np

from clusterwright.kernels.columns import Array, Table

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4)."""


def held_out(table: Table, columns: tuple[str, ...], *, share: float = 0.2) -> Array:
    """Return a mask of the rows that are kept from the fit.

    Every engine's and every chip's row of one shape falls on the same side, or the fit would
    have seen the answer under another name.

    Parameters
    ----------
    table
        Rows.
    columns
        Columns that make the shape.
    share
        How many are held out. [1]

    >>> shapes = Table({"m": np.arange(1000.0), "n": np.full(1000, 8.0)})
    >>> mask = held_out(shapes, ("m", "n"))
    >>> int(mask.sum()), bool((mask == held_out(shapes, ("m", "n"))).all())
    (215, True)
    """
    state = np.zeros(len(table), dtype=np.uint64)
    for name in columns:
        state ^= table[name].astype(np.float64).view(np.uint64)
        state *= MULTIPLIER
        state ^= state >> np.uint64(29)
    state *= MULTIPLIER
    return (state >> np.uint64(11)) / 2.0**53 < share
