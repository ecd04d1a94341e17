"""Shapes of kernels as columns of numbers and words."""

from __future__ import annotations

from typing import Any

Array = Any
"""A NumPy array, or what pyarrow has in its place."""

SYSTEM, ENGINE, LATENCY = "system", "framework", "latency_us"
"""Columns of every table: the accelerator, the engine whose kernel it is, the time [µs]."""
VERSION = "dir_version"
"""Column that may hold the engine's version."""


class Table:
    """Columns by name, all of one length.

    >>> import numpy as np
    >>> table = Table({"m": np.array([1.0, 2.0]), "framework": np.array(["a", "b"])})
    >>> len(table), str(table.where(table["m"] > 1)["framework"][0])
    (2, 'b')
    """

    def __init__(self, columns: dict[str, Array]) -> None:
        self._columns = columns
        self._length = len(next(iter(columns.values()), ()))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> Array:
        return self._columns[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self._columns)

    def where(self, chosen: Array) -> Table:
        """Return the rows of a mask or of an array of positions."""
        return Table({name: column[chosen] for name, column in self._columns.items()})
