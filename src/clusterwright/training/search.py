"""Search the whole space: evaluate every strategy, keep what fits, rank, count the rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from clusterwright.errors import InfeasibleError
from clusterwright.strategy import Strategy
from clusterwright.training.columns import Cuts, Runs, strategy_of
from clusterwright.training.estimate import memory_limit
from clusterwright.training.evaluate import Evaluator
from clusterwright.training.rules import allowed_runs
from clusterwright.training.space import Pins, enumerate_cuts, enumerate_runs

Array = Any

BLOCK_STRATEGIES = 16_384
"""Strategies evaluated at once: their columns stay in cache."""


@dataclass(slots=True)
class Found:
    """The outcome of a search.

    ``step_time`` [s] and ``memory`` [B], (cuts, runs), infinite where a rule says no;
    ``rejected``: strategies turned away by rule id.
    """

    cuts: Cuts
    runs: Runs
    step_time: Array
    memory: Array
    rejected: Counter[str]
    num_layers: int
    limit: float

    @property
    def num_strategies(self) -> int:
        """Strategies evaluated in full."""
        return int(self.step_time.size)

    def strategy(self, flat_index: int) -> Strategy:
        """The strategy at a flat index into ``step_time``."""
        cut, run = divmod(int(flat_index), len(self.runs))
        return strategy_of(self.cuts, self.runs, cut, run, num_layers=self.num_layers)

    def accelerators(self) -> Array:
        """Accelerators used by each cut."""
        return self.cuts.tp * self.cuts.cp * self.cuts.pp * self.cuts.dp


def search(evaluator: Evaluator, pins: Pins | None = None) -> Found:
    """Evaluate the entire space of strategies for a job.

    Parameters
    ----------
    evaluator
        Model, machine and workload.
    pins
        Fixed choices, named as the fields of `Strategy`.

    Raises
    ------
    InfeasibleError
        When nothing fits; the message names what stops it and the smallest change that would help.
    """
    pins = pins or {}
    machine = evaluator.machine
    cuts, rejected = enumerate_cuts(
        evaluator.model, evaluator.workload, machine.software, machine.cluster.count, pins
    )
    if not len(cuts):
        raise InfeasibleError(_no_cut(evaluator, rejected))
    runs = enumerate_runs(
        machine.software, pins, can_offload=machine.cluster.host_bandwidth is not None
    )
    limit = memory_limit(machine)
    found = evaluate_all(evaluator, cuts, runs, limit)
    found.rejected.update({rule: count * len(runs) for rule, count in rejected.items()})
    if not np.isfinite(found.step_time).any():
        raise InfeasibleError(_nothing_fits(evaluator, found))
    return found


def evaluate_all(evaluator: Evaluator, cuts: Cuts, runs: Runs, limit: float) -> Found:
    """Time and memory of every crossing; what breaks a rule or does not fit is infinite in time."""
    prepared = evaluator.prepare(cuts)
    shape = (len(cuts), len(runs))
    step_time = np.empty(shape)
    used = np.empty(shape)
    rejected: Counter[str] = Counter()
    rows = max(1, BLOCK_STRATEGIES // len(runs))
    for start in range(0, len(cuts), rows):
        block = slice(start, min(start + rows, len(cuts)))
        estimates = evaluator.evaluate(prepared, runs, block)
        legal, broken = allowed_runs(cuts, runs, block, estimates.num_micro_batches)
        size = (block.stop - block.start, len(runs))
        memory = np.where(legal, estimates.memory_bytes, np.inf).reshape(size)
        fits = memory <= limit
        step_time[block] = np.where(fits, estimates.step_time.reshape(size), np.inf)
        used[block] = memory
        for rule, count in broken.items():
            rejected[rule] += count
        rejected["MEM001"] += int(fits.size - np.count_nonzero(fits)) - sum(broken.values())
    return Found(
        cuts=cuts,
        runs=runs,
        step_time=step_time,
        memory=used,
        rejected=rejected,
        num_layers=evaluator.model.num_layers,
        limit=limit,
    )


def kind_of(strategy: Strategy) -> tuple[Any, ...]:
    """What makes two plans different in kind, not merely in a knob."""
    return (
        strategy.tp,
        strategy.cp,
        strategy.pp,
        strategy.ep,
        strategy.zero == 3,
        strategy.recompute,
    )


def best_of_each_kind(found: Found, objective: Array, count: int) -> list[int]:
    """Flat indices of the best strategies, each different in kind from those before it."""
    flat = objective.ravel()
    finite = int(np.isfinite(flat).sum())
    reach = min(finite, max(count * 4000, 1))
    order = np.argpartition(flat, reach - 1)[:reach] if reach < flat.size else np.arange(flat.size)
    order = order[np.argsort(flat[order], kind="stable")]
    kinds: set[tuple[Any, ...]] = set()
    chosen: list[int] = []
    for index in order:
        if not np.isfinite(flat[index]) or len(chosen) == count:
            break
        kind = kind_of(found.strategy(index))
        if kind not in kinds:
            kinds.add(kind)
            chosen.append(int(index))
    return chosen


def pareto_front(found: Found, *, most: int = 12) -> list[int]:
    """Flat indices that no other beats in step time, memory and accelerators together."""
    time = found.step_time.ravel()
    usable = np.flatnonzero(np.isfinite(time))
    memory = found.memory.ravel()[usable]
    count = np.repeat(found.accelerators(), len(found.runs))[usable]
    order = usable[np.lexsort((memory, count, time[usable]))]
    front: list[int] = []
    best: dict[float, float] = {}
    flat_memory = found.memory.ravel()
    counts = np.repeat(found.accelerators(), len(found.runs))
    for index in order:
        used, number = float(flat_memory[index]), float(counts[index])
        if any(used >= m for n, m in best.items() if n <= number):
            continue
        best[number] = used
        front.append(int(index))
    return _spread(front, most)


def _spread(front: list[int], most: int) -> list[int]:
    """At most ``most`` of them, ends kept, evenly spaced."""
    if len(front) <= most:
        return front
    picks = np.unique(np.linspace(0, len(front) - 1, most).round().astype(int))
    return [front[i] for i in picks]


def _no_cut(evaluator: Evaluator, rejected: Counter[str]) -> str:
    rules = ", ".join(f"{rule} {count}" for rule, count in rejected.most_common(3)) or "the pins"
    batch = evaluator.workload.global_batch
    return (
        f"no way to cut {evaluator.model.name} over {evaluator.machine.cluster.count} accelerators "
        f"with a batch of {batch} sequences obeys the rules ({rules}); drop a --pin, or choose "
        f"a batch that has more divisors, such as {1 << max(0, batch - 1).bit_length()}"
    )


def _nothing_fits(evaluator: Evaluator, found: Found) -> str:
    """What stops it, and the smallest change that would help."""
    least = float(np.min(found.memory))
    count = evaluator.machine.cluster.count
    if not np.isfinite(least):
        return "every strategy breaks a rule of its schedule; drop --pin schedule or pp"
    index = int(np.argmin(found.memory))
    parts = evaluator.memory_parts(found.strategy(index))
    biggest = max(parts, key=lambda name: parts[name])
    more = int(np.ceil(count * least / found.limit))
    return (
        f"{evaluator.model.name} does not fit: the least any strategy needs is "
        f"{least / 1e9:.1f} GB per accelerator ({biggest} alone {parts[biggest] / 1e9:.1f} GB) "
        f"and {evaluator.machine.cluster.accelerator.name} offers {found.limit / 1e9:.1f} GB; "
        f"about {more} accelerators, or {least / found.limit:.1f} times the memory, would hold it"
    )


__all__ = ["Found", "best_of_each_kind", "evaluate_all", "pareto_front", "search"]
