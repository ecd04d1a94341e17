"""Fitting a formula whose parameters hold for all rows of a branch, with settings to try."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from clusterwright.calibrate.branching import thinned
from clusterwright.calibrate.fitting import Parameter, fit
from clusterwright.hardware import Accelerator
from clusterwright.kernels.columns import LATENCY, Array, Table
from clusterwright.kernels.kinds import KernelKind

IDLE = 0.005
"""A parameter that saves no more than this of the error is not kept. [1]"""
COARSE_ROWS, FINE_ROWS = 200, 1000
"""Rows that choose among variants, and that the chosen ones are fitted on."""
LAST_ROWS, LAST_STEPS = 2500, 60
"""Of the last fit of each branch, on all of its rows."""
COARSE_STEPS, FINE_STEPS = 5, 25
FINALISTS = 2


class VariantSearch(NamedTuple):
    """How the parameters of one kind are searched.

    ``settings``: names of those to try one by one. ``variants``: the tries, given the features of
    the rows. ``parameters``: what to fit at a precision with a variant.
    """

    settings: tuple[str, ...]
    variants: Callable[[Mapping[str, Array]], tuple[dict[str, float], ...]]
    parameters: Callable[[str, dict[str, float]], tuple[Parameter, ...]]


class VariantFitter(NamedTuple):
    """Fits branches of one kind, accelerator and precision."""

    search: VariantSearch
    kind: KernelKind
    accelerator: Accelerator
    precision: str

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

    def final(self, table: Table, values: Mapping[str, float]) -> dict[str, float]:
        """Return the parameters fitted once more on all rows, what is idle left out."""
        rows = thinned(table, LAST_ROWS)
        variant = {key: values[key] for key in values if key in self.search.settings}
        return self.pruned(rows, self.fit_one(rows, variant, values, LAST_STEPS)[1])

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
