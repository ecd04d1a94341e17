"""Fitting a formula some of whose parameters differ from kernel to kernel of one engine.

Each row of a table depends on the shared parameters and on those of its own cell alone, so that one
evaluation gives a parameter's derivative for all cells at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from clusterwright.calibrate.branching import thinned
from clusterwright.calibrate.fitting import Parameter
from clusterwright.errors import InputError, TableError
from clusterwright.hardware import Accelerator
from clusterwright.kernels.cells import Cells
from clusterwright.kernels.columns import LATENCY, Array, Table
from clusterwright.kernels.kinds import KernelKind

STEP = 1e-4
"""Step of the derivatives, in the logarithm of a parameter."""
TOLERANCE = 0.05
"""Relative error beyond which an error counts by its size, not its square (odd rows). [1]"""
LEAST_ROWS = 30
"""A cell with fewer rows takes the values of its nearest neighbour."""
CHOICE_ROWS = 1500
"""Rows on which the choices are compared."""
BRANCH_ROWS = 2000
"""Rows on which branches are compared."""


class CellSearch(NamedTuple):
    """What to search for one kind of kernel.

    ``shared``: one value for all rows. ``own``: one for each cell. ``cells``: which rows make
    one, given the constants. ``choices``: constants to try; the one that fits best stays, and
    stands among the values. ``window_only``: of ``own``, those that mean something only where a
    window is.
    """

    shared: tuple[Parameter, ...]
    own: tuple[Parameter, ...]
    cells: Callable[[Table, Mapping[str, float]], Cells]
    choices: tuple[Mapping[str, float], ...]
    window_only: tuple[str, ...] = ()


class Found(NamedTuple):
    """Values by name, and the cost that they leave."""

    values: dict[str, float]
    cost: float


def search_values(
    what: CellSearch, kind: KernelKind, table: Table, accelerator: Accelerator, precision: str
) -> dict[str, float]:
    """Return the values, and the choice among constants, that lie nearest to the measured times.

    Raises
    ------
    TableError
        When there are too few rows.
    InputError
        When scipy is not installed.
    """
    best = what.choices[0]
    if len(what.choices) > 1:
        sample = _Rows(kind, thinned(table, CHOICE_ROWS), accelerator, precision)
        costs = [_fit(what, sample, one).cost for one in what.choices]
        best = what.choices[int(np.argmin(costs))]
    return _fit(what, _Rows(kind, table, accelerator, precision), best).values


class CellFitter(NamedTuple):
    """Fits branches of one kind, accelerator and precision."""

    search: CellSearch
    kind: KernelKind
    accelerator: Accelerator
    precision: str

    def values(self, table: Table, start: Mapping[str, float]) -> dict[str, float]:
        """Return the parameters that fit part of the rows; the constants stay those of a start."""
        return self.final(thinned(table, BRANCH_ROWS), start)

    def final(self, table: Table, values: Mapping[str, float]) -> dict[str, float]:
        """Return the parameters that fit all rows."""
        kept = {name: values[name] for name in self.search.choices[0] if name in values}
        what = self.search._replace(choices=(kept,)) if kept else self.search
        return search_values(what, self.kind, table, self.accelerator, self.precision)


class _Rows(NamedTuple):
    """Rows of one kind, accelerator and precision, and what the formula says of them."""

    kind: KernelKind
    table: Table
    accelerator: Accelerator
    precision: str

    def log_times(self, values: Mapping[str, float]) -> Array:
        return np.log(self.kind.times(self.table, self.accelerator, self.precision, values))


class _Unknowns:
    """The parameters of one fit as a vector of logarithms."""

    def __init__(self, what: CellSearch, cells: Cells, constants: Mapping[str, float]) -> None:
        self.constants = constants
        counts = np.bincount(cells.rows, minlength=len(cells.names))
        enough = counts >= min(LEAST_ROWS, counts.max())
        self.parameters: list[Parameter] = []
        self.blocks: list[tuple[list[int], Array]] = []
        for one in what.shared:
            self._add([(one.name, one)], np.zeros(len(cells.rows), dtype=int))
        for one in what.own:
            named: list[tuple[str, Parameter]] = []
            place = np.full(len(cells.names), -1)
            for i, cell in enumerate(cells.names):
                if enough[i] and (one.name not in what.window_only or "w" in cell):
                    place[i] = len(named)
                    named.append((f"{one.name}_{cell}", one))
            if one.name in what.window_only:
                self.constants = {**self.constants, **_without(one.name, cells, place)}
            if named:
                self._add(named, place[cells.rows])

    def _add(self, named: list[tuple[str, Parameter]], rows: Array) -> None:
        first = len(self.parameters)
        self.parameters += [one._replace(name=name) for name, one in named]
        self.blocks.append((list(range(first, len(self.parameters))), rows))

    def values(self, logs: Array) -> dict[str, float]:
        """Return all values by name, the constants among them."""
        names = [one.name for one in self.parameters]
        return {**self.constants, **dict(zip(names, np.exp(logs).tolist(), strict=True))}


def _without(name: str, cells: Cells, place: Array) -> dict[str, float]:
    """Return 0 for the cells that a parameter means nothing in."""
    return {f"{name}_{cell}": 0.0 for cell, i in zip(cells.names, place, strict=True) if i < 0}


def _fit(what: CellSearch, rows: _Rows, constants: Mapping[str, float]) -> Found:
    try:
        from scipy.optimize import least_squares
    except ImportError:
        raise InputError("fitting needs scipy: pip install 'clusterwright[calibrate]'") from None
    unknowns = _Unknowns(what, what.cells(rows.table, constants), constants)
    if len(rows.table) < 2 * len(unknowns.parameters):
        raise TableError(
            f"{len(rows.table)} rows are too few to fit {len(unknowns.parameters)} parameters: "
            f"measure at least {2 * len(unknowns.parameters)} shapes"
        )
    target = np.log(rows.table[LATENCY] * 1e-6)

    def residuals(logs: Array) -> Array:
        return rows.log_times(unknowns.values(logs)) - target

    def slopes(logs: Array) -> Array:
        here = residuals(logs)
        matrix = np.zeros((len(here), len(logs)))
        for columns, places in unknowns.blocks:
            moved = logs.copy()
            moved[columns] += STEP
            has = places >= 0
            change = (residuals(moved) - here) / STEP
            matrix[np.flatnonzero(has), np.array(columns)[places[has]]] = change[has]
        return matrix

    low, high, start = (
        np.log([getattr(one, side) for one in unknowns.parameters])
        for side in ("low", "high", "start")
    )
    found = least_squares(
        residuals,
        np.clip(start, low + 1e-6, high - 1e-6),
        jac=slopes,
        bounds=(low, high),
        loss="soft_l1",
        f_scale=TOLERANCE,
        max_nfev=60,
    )
    return Found(unknowns.values(found.x), float(found.cost))
