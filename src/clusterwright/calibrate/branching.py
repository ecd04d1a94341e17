"""Where an engine changes kernels, found from its times: a tree whose leaves are fits.

A dispatch rule in an engine's source ("up to 64 rows this tile, beyond it that one") is a step in
its times that no smooth parameter can follow. A branch is cut in two where residuals of its fit
gain most, and stays cut only if rows that neither side's fit saw gain too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from clusterwright.calibrate.fitting import fit
from clusterwright.calibrate.kinds import Search
from clusterwright.hardware import Accelerator
from clusterwright.kernels import Branch
from clusterwright.validation.kernel_kinds import KernelKind
from clusterwright.validation.kernel_tables import LATENCY, Array, Table

MAX_BRANCHES = 8
"""Kernels of one engine at one precision; more would be a table, not a formula."""
MIN_ROWS = 120
"""Rows of a branch at the least: several per parameter."""
LEAST_GAIN = 0.008
"""Share of the whole error that a cut must save on rows it did not see. [1]"""
LARGEST = 0.5
"""Errors beyond this count as this much, so that odd rows do not choose the cuts. [1]"""
IDLE = 0.005
"""A parameter that saves no more than this of the error is not kept. [1]"""
COARSE_ROWS, FINE_ROWS = 200, 1000
"""Rows that choose among variants, and that the chosen ones are fitted on."""
LAST_ROWS, LAST_STEPS = 2500, 60
"""Of the last fit of each branch, on all of its rows."""
GOOD_ENOUGH = 0.02
"""Mean error of a branch that is not cut any further: measurements repeat no better. [1]"""
COARSE_STEPS, FINE_STEPS = 5, 25
FINALISTS = 2
TRIED_CUTS = 2


class Leaf(NamedTuple):
    """A branch with its rows, and how wrong it is on those that were set aside: sum and mean."""

    branch: Branch
    table: Table
    loss: float
    mean: float


class Grower(NamedTuple):
    """All that stays the same while one tree grows."""

    kind: KernelKind
    search: Search
    accelerator: Accelerator
    precision: str
    aside: Callable[[Table], Array]

    def grow(self, table: Table) -> tuple[Branch, ...]:
        """Return the branches that follow a table's rows best, each fitted on all of its rows."""
        leaves = [self.leaf(table, Branch(values={}))]
        least = LEAST_GAIN * leaves[0].loss
        closed: list[Leaf] = []
        while leaves and len(leaves) + len(closed) < MAX_BRANCHES:
            worst = max(leaves, key=lambda leaf: leaf.loss)
            leaves.remove(worst)
            halves = [] if worst.mean < GOOD_ENOUGH else self.halves(worst, least)
            leaves += halves
            closed += [] if halves else [worst]
        return tuple(self.finished(leaf) for leaf in (*closed, *leaves))

    def finished(self, leaf: Leaf) -> Branch:
        """Return a leaf's branch, fitted once more on all rows, what is idle left out."""
        rows = thinned(leaf.table, LAST_ROWS)
        values = leaf.branch.values
        variant = {key: values[key] for key in values if key in self.search.settings}
        found = self.fit_one(rows, variant, values, LAST_STEPS)[1]
        return msgspec.structs.replace(leaf.branch, values=self.pruned(rows, found))

    def halves(self, leaf: Leaf, least: float) -> list[Leaf]:
        """Return a leaf cut in two where it gains enough; nothing where no cut keeps its promise.

        Of each feature the most promising cut is tried, in the order of the promises.
        """
        features = self.kind.features(leaf.table)
        promised = self.residuals(leaf.branch, leaf.table)
        whole = leaf.branch
        for name, bound in ranked_cuts(features, promised, self.search.cuts)[:TRIED_CUTS]:
            low = features[name] <= bound
            halves = [
                self.leaf(leaf.table.where(low), cut_branch(whole, name, bound, low=True)),
                self.leaf(leaf.table.where(~low), cut_branch(whole, name, bound, low=False)),
            ]
            if leaf.loss - sum(half.loss for half in halves) > least:
                return halves
        return []

    def leaf(self, table: Table, branch: Branch) -> Leaf:
        """Fit a branch on part of its rows, from the values it has, and judge it on the rest."""
        aside = self.aside(table)
        values = self.values(table.where(~aside), branch.values)
        fitted = msgspec.structs.replace(branch, values=values)
        rest = self.residuals(fitted, table.where(aside))
        errors = np.minimum(np.abs(rest), LARGEST)
        return Leaf(fitted, table, float(errors.sum()), float(errors.mean()))

    def residuals(self, branch: Branch, table: Table) -> Array:
        """Return the logarithm of predicted over measured."""
        times = self.kind.times(table, self.accelerator, self.precision, branch.values)
        return np.log(times / (table[LATENCY] * 1e-6))

    def values(self, table: Table, start: Mapping[str, float]) -> dict[str, float]:
        """Return the best variant's parameters: all tried roughly, the best few finely."""
        tried = self.search.variants(self.kind.features(table))
        coarse = thinned(table, COARSE_ROWS)
        rough = [self.fit_one(coarse, variant, start, COARSE_STEPS) for variant in tried]
        order = np.argsort([loss for loss, _ in rough])[:FINALISTS]
        fine = thinned(table, FINE_ROWS)
        ends = [self.fit_one(fine, tried[i], rough[i][1], FINE_STEPS) for i in order]
        ends.append(self.fit_one(fine, tried[order[0]], {}, FINE_STEPS))
        return min(ends, key=lambda end: end[0])[1]

    def pruned(self, table: Table, values: dict[str, float]) -> dict[str, float]:
        """Return the values without those that the formula's neutral ones do as well as."""

        def loss(tried: dict[str, float]) -> float:
            times = self.kind.times(table, self.accelerator, self.precision, tried)
            return float(np.abs(np.log(times / (table[LATENCY] * 1e-6))).mean())

        least = loss(values)
        for parameter in self.search.parameters(self.precision, values):
            if parameter.neutral is not None:
                without = {k: v for k, v in values.items() if k != parameter.name}
                if loss(without) <= least * (1.0 + IDLE):
                    values = without
        return values

    def fit_one(
        self, table: Table, variant: dict[str, float], start: Mapping[str, float], steps: int
    ) -> tuple[float, dict[str, float]]:
        """Return the loss and the parameters of one variant."""
        loss, found = fit(
            lambda values: self.kind.times(
                table, self.accelerator, self.precision, {**variant, **values}
            ),
            table[LATENCY] * 1e-6,
            self.search.parameters(self.precision, variant),
            start=start,
            max_steps=steps,
        )
        return loss, {**variant, **found}


def cut_branch(branch: Branch, name: str, bound: float, *, low: bool) -> Branch:
    """Return one side of a branch that is cut at a bound of a feature."""
    side = "up_to" if low else "above"
    return msgspec.structs.replace(branch, **{side: {**getattr(branch, side), name: bound}})


def ranked_cuts(
    features: Mapping[str, Array], residuals: Array, cuts: Mapping[str, tuple[float, ...]]
) -> list[tuple[str, float]]:
    """Return each feature's best cut, first the one that leaves least of some residuals.

    Each side of a cut has a line of its own in the logarithms of the shape.
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
            if MIN_ROWS <= low.sum() <= len(low) - MIN_ROWS
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
