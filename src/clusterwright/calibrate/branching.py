"""Where an engine changes kernels, found from its times: a tree whose leaves are fits.

A dispatch rule in an engine's source ("up to 64 rows this tile, beyond it that one") is a step in
its times that no smooth parameter can follow. A branch is cut in two where residuals of its fit
gain most, and stays cut only if rows that neither side's fit saw gain too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from clusterwright.errors import TableError
from clusterwright.hardware import Accelerator
from clusterwright.kernels.columns import LATENCY, Array, Table
from clusterwright.kernels.kinds import KernelKind
from clusterwright.kernels.library import Branch

LEAST_GAIN = 0.008
"""Share of the whole error that a cut must save on rows it did not see. [1]"""
LARGEST = 0.5
"""Errors beyond this count as this much, so that odd rows do not choose the cuts. [1]"""
GOOD_ENOUGH = 0.02
"""Mean error of a branch that is not cut any further: measurements repeat no better. [1]"""


class Cuts(NamedTuple):
    """Where branches of one kind may end.

    ``bounds``: by feature. ``tried``: how many features' cuts are tried before a branch is left
    whole. ``least_rows``: of a branch, several per parameter. ``most_branches``: kernels of one
    engine at one precision; more would be a table, not a formula.
    """

    bounds: Mapping[str, tuple[float, ...]]
    tried: int
    least_rows: int
    most_branches: int


class Fitter(Protocol):
    """Finds the parameters of one branch."""

    def values(self, table: Table, start: Mapping[str, float]) -> dict[str, float]:
        """Return parameters that fit well enough to compare branches, from those of the whole."""
        ...

    def final(self, table: Table, values: Mapping[str, float]) -> dict[str, float]:
        """Return the parameters of a branch that stays, fitted with care."""
        ...


class Leaf(NamedTuple):
    """A branch with its rows, and how wrong it is on those that were set aside: sum and mean."""

    branch: Branch
    table: Table
    loss: float
    mean: float


class Grower(NamedTuple):
    """All that stays the same while one tree grows."""

    kind: KernelKind
    cuts: Cuts
    fitter: Fitter
    accelerator: Accelerator
    precision: str
    aside: Callable[[Table], Array]

    def grow(self, table: Table) -> tuple[Branch, ...]:
        """Return the branches that follow a table's rows best, each fitted on all of its rows."""
        leaves = [self.leaf(table, Branch(values={}))]
        least = LEAST_GAIN * leaves[0].loss
        closed: list[Leaf] = []
        while leaves and len(leaves) + len(closed) < self.cuts.most_branches:
            worst = max(leaves, key=lambda leaf: leaf.loss)
            leaves.remove(worst)
            halves = [] if worst.mean < GOOD_ENOUGH else self.halves(worst, least)
            leaves += halves
            closed += [] if halves else [worst]
        return tuple(self.finished(leaf) for leaf in (*closed, *leaves))

    def finished(self, leaf: Leaf) -> Branch:
        """Return a leaf's branch, fitted once more on all of its rows."""
        values = self.fitter.final(leaf.table, leaf.branch.values)
        return msgspec.structs.replace(leaf.branch, values=values)

    def halves(self, leaf: Leaf, least: float) -> list[Leaf]:
        """Return a leaf cut in two where it gains enough; nothing where no cut keeps its promise.

        Of each feature the most promising cut is tried, in the order of the promises.
        """
        features = self.kind.features(leaf.table)
        promised = self.residuals(leaf.branch, leaf.table)
        whole = leaf.branch
        cuts = ranked_cuts(features, promised, self.cuts.bounds, self.cuts.least_rows)
        for name, bound in cuts[: self.cuts.tried]:
            low = features[name] <= bound
            try:
                halves = [
                    self.leaf(leaf.table.where(low), cut_branch(whole, name, bound, low=True)),
                    self.leaf(leaf.table.where(~low), cut_branch(whole, name, bound, low=False)),
                ]
            except TableError:  # Too few rows on one side for its parameters.
                continue
            if leaf.loss - sum(half.loss for half in halves) > least:
                return halves
        return []

    def leaf(self, table: Table, branch: Branch) -> Leaf:
        """Fit a branch on part of its rows, from the values it has, and judge it on the rest."""
        aside = self.aside(table)
        values = self.fitter.values(table.where(~aside), branch.values)
        fitted = msgspec.structs.replace(branch, values=values)
        rest = self.residuals(fitted, table.where(aside))
        errors = np.minimum(np.abs(rest), LARGEST)
        return Leaf(fitted, table, float(errors.sum()), float(errors.mean()))

    def residuals(self, branch: Branch, table: Table) -> Array:
        """Return the logarithm of predicted over measured."""
        times = self.kind.times(table, self.accelerator, self.precision, branch.values)
        return np.log(times / (table[LATENCY] * 1e-6))


def cut_branch(branch: Branch, name: str, bound: float, *, low: bool) -> Branch:
    """Return one side of a branch that is cut at a bound of a feature."""
    side = "up_to" if low else "above"
    return msgspec.structs.replace(branch, **{side: {**getattr(branch, side), name: bound}})


def ranked_cuts(
    features: Mapping[str, Array],
    residuals: Array,
    cuts: Mapping[str, tuple[float, ...]],
    least_rows: int,
) -> list[tuple[str, float]]:
    """Return each feature's best cut, first the one that leaves least of some residuals.

    Each side of a cut has a line of its own in the logarithms of the shape, and at least some rows.
    """
    shape = [np.log(column) for column in features.values() if (column > 0).all()]
    design = np.column_stack([np.ones(len(residuals)), *shape])
    clipped = np.clip(residuals, -LARGEST, LARGEST)
    ends = []
    for name, bounds in cuts.items():
        sides = {bound: features[name] <= bound for bound in bounds}
        left = [
            (sum(_left(design[side], clipped[side]) for side in (low, ~low)), name, bound)
            for bound, low in sides.items()
            if least_rows <= low.sum() <= len(low) - least_rows
        ]
        ends += [min(left)] if left else []
    return [(name, bound) for _, name, bound in sorted(ends)]


def _left(design: Array, residuals: Array) -> float:
    """Return the sum of the residuals' sizes once a line is taken from them."""
    line = np.linalg.lstsq(design, residuals, rcond=None)[0]
    return float(np.abs(residuals - design @ line).sum())


def thinned(table: Table, most: int) -> Table:
    """Return at most so many rows, drawn evenly and the same ones each time."""
    if len(table) <= most:
        return table
    return table.where(np.sort(np.random.default_rng(0).permutation(len(table))[:most]))
