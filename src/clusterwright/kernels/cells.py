"""Parameters that differ between the kernels of one engine: one value for each of its cells.

Libraries compile a kernel for each head size, and another for windows. A cell is such a kernel. In
a fit's values the name of a cell follows the parameter's, as in ``half_length_d128w``; parameters
without a cell hold for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from clusterwright.kernels.columns import Array

Distance = Callable[[str, str], float]
"""How far one cell is from another by their names; the nearest stands in for a missing one."""


class Cells:
    """Which cell each row of a table belongs to.

    Parameters
    ----------
    codes
        A number for each row; equal numbers are one cell.
    name
        From a number to the cell's name.
    """

    def __init__(self, codes: Array, name: Callable[[float], str]) -> None:
        known, self.rows = np.unique(codes, return_inverse=True)
        self.names = tuple(name(float(code)) for code in known)

    def spread(self, values: Mapping[str, float], name: str, distance: Distance) -> Array:
        """Return the value of a parameter for each row, from its own cell or the nearest.

        >>> cells = Cells(np.array([64.0, 96.0, 64.0]), "d{:.0f}".format)
        >>> values = {"floor_d64": 2.0, "floor_d256": 3.0}
        >>> cells.spread(values, "floor", lambda one, other: abs(int(one[1:]) - int(other[1:])))
        array([2., 2., 2.])
        """
        if name in values:
            return values[name]
        known = {key[len(name) + 1 :]: key for key in values if key.startswith(f"{name}_")}
        chosen = [min(known, key=lambda cell: distance(own, cell)) for own in self.names]
        return np.array([values[known[cell]] for cell in chosen])[self.rows]


def head_cells(head_dim: Array, window: Array, alone: Array | float = 0.0) -> Cells:
    """Return the cells of attention: by head size, window, and heads that share no keys."""
    return Cells(head_dim * 4.0 + (window > 0) * 2.0 + alone, _head_name)


def head_distance(one: str, other: str) -> float:
    """Return how far two head sizes are apart; another path weighs more than any size.

    >>> head_distance("d64w", "d128w"), head_distance("d64w", "d64") > 10
    (1.0, True)
    """
    sizes = [float(name.strip("dwa")) for name in (one, other)]
    paths = [name.lstrip("d0123456789") for name in (one, other)]
    return abs(float(np.log2(sizes[0] / sizes[1]))) + 100.0 * (paths[0] != paths[1])


def _head_name(code: float) -> str:
    size, path = divmod(int(code), 4)
    return f"d{size}" + "w" * (path >= 2) + "a" * (path % 2)
