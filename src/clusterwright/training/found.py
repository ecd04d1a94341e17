"""What a search found: time and memory of every strategy that was worked out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from clusterwright.strategy import Strategy
from clusterwright.training.arrays import distinct
from clusterwright.training.columns import Cuts, Runs, strategy_of

Array = Any


@dataclass(slots=True)
class Part:
    """Cuts that share a grid of runs, and what came of every crossing.

    ``step_time`` [s] and ``memory`` [B], (cuts, runs), infinite where a rule says no.
    """

    cuts: Cuts
    runs: Runs
    step_time: Array
    memory: Array


@dataclass
class Found:
    """The outcome of a search: parts laid end to end, addressed by one flat index.

    ``rejected``: strategies turned away, by rule id. ``limit``: usable memory,
    ``host_limit``: host memory of one accelerator. [B] ``unfit``: values of each swept axis that
    some cut within reach has which cannot fit.
    """

    parts: list[Part]
    rejected: Counter[str]
    num_layers: int
    limit: float
    host_limit: float = np.inf
    unfit: dict[str, Array] = field(default_factory=dict)

    @cached_property
    def step_time(self) -> Array:
        """Step time of every strategy, infinite where it breaks a rule. [s]"""
        return np.concatenate([part.step_time.ravel() for part in self.parts])

    @cached_property
    def memory(self) -> Array:
        """Peak memory of every strategy, infinite where it is illegal. [B]"""
        return np.concatenate([part.memory.ravel() for part in self.parts])

    @cached_property
    def cut_accelerators(self) -> Array:
        """Accelerators that every cut uses. [1]"""
        return np.concatenate([part.cuts.accelerators() for part in self.parts])

    @cached_property
    def runs_of_cut(self) -> Array:
        """Ways of running every cut. [1]"""
        return np.concatenate([np.full(len(p.cuts), len(p.runs)) for p in self.parts])

    @cached_property
    def accelerators(self) -> Array:
        """Accelerators that every strategy uses. [1]"""
        return np.repeat(self.cut_accelerators.astype(np.float32), self.runs_of_cut)

    @property
    def num_strategies(self) -> int:
        """Strategies evaluated in full."""
        return sum(part.step_time.size for part in self.parts)

    def strategy(self, flat_index: int) -> Strategy:
        """The strategy at a flat index into ``step_time``."""
        index = int(flat_index)
        for part in self.parts:
            if index < part.step_time.size:
                cut, run = divmod(index, len(part.runs))
                return strategy_of(part.cuts, part.runs, cut, run, num_layers=self.num_layers)
            index -= part.step_time.size
        raise IndexError(flat_index)

    def best_by(self, axis: str) -> dict[int, float]:
        """The best step time for each value of a swept axis; infinite where none fits. [s]"""
        columns = [getattr(part.cuts, axis).astype(int) for part in self.parts]
        columns.append(self.unfit.get(axis, np.empty(0, dtype=int)))
        values = distinct(np.concatenate(columns))
        best = np.full(int(values.max()) + 1, np.inf)
        for part, column in zip(self.parts, columns, strict=False):
            np.minimum.at(best, column, part.step_time.min(axis=1))
        return {int(value): float(best[value]) for value in values}

    @property
    def fits(self) -> bool:
        """Whether any strategy does."""
        return any(np.isfinite(part.step_time).any() for part in self.parts)
