"""Search the whole space: bound every cut, evaluate what can matter, rank, count the rest.

Every cut is first given the least time and memory that it could take (`Evaluator.bounds`). Those
that fit are then evaluated in full, best bound first, until no remaining bound lies within `REACH`
times the best step time found; those that what was found leaves no place in the answer are left out
(`beaten`). What is left is counted under its rule. The best plan is exact, and so are the front
and the sweeps, which end at `REACH`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from clusterwright.errors import InfeasibleError
from clusterwright.strategy import Strategy
from clusterwright.training.arrays import distinct
from clusterwright.training.beaten import SWEPT_AXES, Known
from clusterwright.training.columns import Cuts, Runs
from clusterwright.training.estimate import memory_limit
from clusterwright.training.evaluate import Evaluator
from clusterwright.training.found import Found, Part
from clusterwright.training.prepared import Prepared
from clusterwright.training.rules import RULES, allowed_runs
from clusterwright.training.space import Pins, enumerate_cuts, enumerate_runs

Array = Any

BLOCK_STRATEGIES = 65_536
"""Strategies evaluated at once: their columns stay in cache."""

TIME_SLOTS = 1024
"""Slots of step time by which the front is narrowed before it is worked out exactly."""

REACH = 2.0
"""Strategies slower than this many times the best are not looked at in full."""

KINDS = 8
"""Strategies, each different in kind, that are surely the best."""


def search(evaluator: Evaluator, pins: Pins | None = None, *, reach: float = REACH) -> Found:
    """Search the entire space of strategies for a job.

    Parameters
    ----------
    evaluator
        Model, machine and workload.
    pins
        Fixed choices, named as the fields of `Strategy`.
    reach
        Look at strategies up to this many times slower than the best; infinite: at all.

    Raises
    ------
    InfeasibleError
        When nothing fits; the message names what stops it and the smallest change that would help.
    """
    pins = pins or {}
    machine = evaluator.machine
    cuts, rejected = enumerate_cuts(
        evaluator.model,
        evaluator.workload,
        machine.software,
        machine.cluster.count,
        pins,
        domain=machine.cluster.levels[0].size,
    )
    if not len(cuts):
        raise InfeasibleError(_no_cut(evaluator, rejected, pins))
    offload = machine.cluster.host_bandwidth is not None
    whole = enumerate_runs(machine.software, pins, can_offload=offload)
    found = Found(
        parts=[],
        rejected=Counter({rule: count * len(whole) for rule, count in rejected.items()}),
        num_layers=evaluator.model.num_layers,
        limit=memory_limit(machine),
        host_limit=machine.cluster.host_memory_bytes or np.inf,
    )
    cuts = _runnable(cuts, whole, found)
    if not len(cuts):
        raise InfeasibleError(_broken_by(found.rejected))
    prepared = evaluator.prepare(cuts)
    _evaluate_within(evaluator, prepared, whole, found, reach)
    if not found.fits:
        found.parts = evaluate_parts(evaluator, prepared, whole, found)
        raise InfeasibleError(_nothing_fits(evaluator, found))
    return found


def _runnable(cuts: Cuts, runs: Runs, found: Found) -> Cuts:
    """The cuts that any way of running them is legal for."""
    kept = [np.empty(0, dtype=int)]
    for places, grid in runs.by_pipeline(cuts):
        if len(grid):
            kept.append(places)
        else:
            found.rejected[_breaks(runs, grid)] += len(places) * len(runs)
    index = np.sort(np.concatenate(kept))
    return cuts if len(index) == len(cuts) else cuts.take(index)


def _breaks(runs: Runs, grid: Runs) -> str:
    """The rule that leaves only a part of the runs to a cut."""
    return "SHD001" if grid.zero.size < runs.zero.size else "SCH003"


def _evaluate_within(
    evaluator: Evaluator, prepared: Prepared, runs: Runs, found: Found, reach: float
) -> None:
    """Evaluate cuts, best bound first, until no bound is within reach of the best.

    Cuts that cannot fit, and those that what was found leaves no place in the answer, are left out.
    """
    time = evaluator.least_time(prepared, runs)
    order = np.argsort(time, kind="stable")
    time = time[order]
    known = Known(prepared.cuts, float(time[0]), KINDS)
    unfit: list[Array] = []
    best = np.inf
    start, step = 0, max(1, BLOCK_STRATEGIES // len(runs))
    within = len(order)
    while start < within:
        end = min(start + step, within)
        batch = prepared.take(order[start:end])
        memory = evaluator.least_memory(batch, runs)
        fits = memory <= found.limit
        useful = fits & ~known.beats(batch.cuts, time[start:end], memory, reach)
        unfit.append(order[start:end][~fits])
        found.rejected["MEM001"] += int(np.sum(~fits)) * len(runs)
        found.rejected["TIM002"] += int(np.sum(fits & ~useful)) * len(runs)
        fresh = evaluate_parts(evaluator, batch.take(np.flatnonzero(useful)), runs, found)
        found.parts += fresh
        best = min([best, *(float(part.step_time.min(initial=np.inf)) for part in fresh)])
        within = int(np.searchsorted(time, reach * best, side="right"))
        for part in fresh if end < within else ():
            known.learn(part.cuts, part.step_time, part.memory)
        start, step = end, 4 * step
    found.rejected["TIM001"] += max(0, len(order) - start) * len(runs)
    never = prepared.cuts.take(np.concatenate(unfit))
    found.unfit = {axis: distinct(getattr(never, axis).astype(int)) for axis in SWEPT_AXES}


def evaluate_parts(
    evaluator: Evaluator, prepared: Prepared, runs: Runs, found: Found
) -> list[Part]:
    """Evaluate cuts on the part of the grid that can be legal for them."""
    parts = []
    for places, grid in runs.by_pipeline(prepared.cuts):
        found.rejected[_breaks(runs, grid)] += len(places) * (len(runs) - len(grid))
        parts.append(evaluate_all(evaluator, prepared.take(places), grid, found))
    return parts


def evaluate_all(evaluator: Evaluator, prepared: Prepared, runs: Runs, found: Found) -> Part:
    """Time and memory of every crossing; what breaks a rule or does not fit is infinite in time."""
    cuts = prepared.cuts
    shape = (len(cuts), len(runs))
    part = Part(cuts, runs, np.empty(shape, np.float32), np.empty(shape, np.float32))
    rows = max(1, BLOCK_STRATEGIES // len(runs))
    for start in range(0, len(cuts), rows):
        block = slice(start, min(start + rows, len(cuts)))
        estimates = evaluator.evaluate(prepared, runs, block)
        legal, broken = allowed_runs(cuts, runs, block, estimates.num_micro_batches)
        size = (block.stop - block.start, len(runs))
        if np.any(runs.offload):
            legal, spilled = _within_host(legal, estimates.host_bytes, found.host_limit, size)
            broken["MEM002"] = spilled
        memory = np.where(legal, estimates.memory_bytes, np.inf).reshape(size)
        fits = memory <= found.limit
        part.step_time[block] = np.where(fits, estimates.step_time.reshape(size), np.inf)
        part.memory[block] = memory
        for rule, count in broken.items():
            found.rejected[rule] += count
        found.rejected["MEM001"] += fits.size - int(np.count_nonzero(fits)) - sum(broken.values())
    return part


def _within_host(
    legal: Array, host_bytes: Array, limit: float, size: tuple[int, int]
) -> tuple[Array, int]:
    """Legal crossings whose offload the host can hold, and how many it cannot."""
    spills = legal & (host_bytes > limit)
    share = size[0] * size[1] // max(spills.size, 1)
    return legal & ~spills, int(np.count_nonzero(spills)) * share


def kind_of(strategy: Strategy) -> tuple[Any, ...]:
    """What makes two plans different in kind, not merely in a knob."""
    return (
        strategy.tp,
        strategy.cp > 1,
        strategy.pp,
        strategy.ep,
        strategy.zero == 3,
        strategy.recompute,
        strategy.schedule,
    )


def best_of_each_kind(found: Found, objective: Array, count: int) -> list[int]:
    """Flat indices of the best strategies, each different in kind from those before it.

    Of two that are equally good the quicker goes first, then the one that needs less memory.
    """
    finite = int(np.isfinite(objective).sum())
    reach = min(finite, max(count * 4000, 1))
    # Not argpartition: which of two equal strategies it takes depends on the processor.
    order = np.flatnonzero(objective <= np.partition(objective, reach - 1)[reach - 1])
    order = order[np.lexsort((found.memory[order], found.step_time[order], objective[order]))]
    kinds: set[tuple[Any, ...]] = set()
    chosen: list[int] = []
    for index in order:
        if not np.isfinite(objective[index]) or len(chosen) == count:
            break
        kind = kind_of(found.strategy(int(index)))
        if kind not in kinds:
            kinds.add(kind)
            chosen.append(int(index))
    return chosen


def pareto_front(found: Found, *, most: int = 12) -> list[int]:
    """Flat indices that no other beats in step time, memory and accelerators together."""
    usable = _front_candidates(found)
    memory, count = found.memory[usable], found.accelerators[usable]
    order = np.lexsort((memory, count, found.step_time[usable]))
    memory, count = memory[order], count[order]
    front: list[int] = []
    # In order of time, a point is on the front if it is below the least memory seen so far at
    # its number of accelerators or fewer; one running minimum per distinct number.
    open_to = np.full(len(order), True)
    for number in np.unique(count):
        fewer = np.where(count <= number, memory, np.inf)
        before = np.concatenate([[np.inf], np.minimum.accumulate(fewer)[:-1]])
        mine = count == number
        open_to[mine] = memory[mine] < before[mine]
    front = [int(i) for i in usable[order[open_to]]]
    return _spread(front, most)


def _front_candidates(found: Found) -> Array:
    """Indices among which the whole front lies; the others are beaten from an earlier time slot.

    Times are sorted into slots; a strategy that some earlier slot beats in memory, with no more
    accelerators, is beaten outright. Linear in the strategies, where sorting them is not.
    """
    usable = np.flatnonzero(found.step_time <= REACH * found.step_time.min())
    time, memory = found.step_time[usable], found.memory[usable]
    numbers, of_cut = np.unique(found.cut_accelerators, return_inverse=True)
    which = np.repeat(of_cut.astype(np.int32), found.runs_of_cut)[usable]
    first, last = float(time.min()), float(time.max())
    scale = (TIME_SLOTS - 1) / max(np.log(last / first), 1e-9)
    slot = (np.log(time / first) * scale).astype(np.int64)
    least = np.full((len(numbers), TIME_SLOTS + 1), np.inf, dtype=memory.dtype)
    np.minimum.at(least, (which, slot + 1), memory)
    least = np.minimum.accumulate(np.minimum.accumulate(least, axis=1), axis=0)
    return usable[memory < least[which, slot]]


def _spread(front: list[int], most: int) -> list[int]:
    """At most ``most`` of them, ends kept, evenly spaced."""
    if len(front) <= most:
        return front
    picks = np.unique(np.linspace(0, len(front) - 1, most).round().astype(int))
    return [front[i] for i in picks]


def _no_cut(evaluator: Evaluator, rejected: Counter[str], pins: Pins) -> str:
    # What stopped the last that were left says more than what stopped the most.
    order = ("SCH001", "SHD002", "PAR005", "PAR004", "PAR002", "PAR001", "PAR003", "PAR006")
    rule = RULES[next((name for name in order if rejected[name]), "PAR006")]
    batch = evaluator.workload.global_batch
    step = int(pins.get("dp", 1)) * int(pins.get("micro_batch", 1))
    fix = rule.fix
    if rule.id == "PAR004" and batch % step:
        fix += f", such as to a batch of {max(1, round(batch / step)) * step:,}"
    return (
        f"no way to cut {evaluator.model.name} over {evaluator.machine.cluster.count:,} "
        f"accelerators with a batch of {batch:,} sequences obeys the "
        f"rules and the pins, {rule.id} above all ({rule.checks}); {fix}, or drop a --pin"
    )


def _broken_by(rejected: Counter[str]) -> str:
    """Which rule of running a cut turned away most: of schedules if any, else of sharding."""
    running = ("SCH002", "SCH003"), ("SHD001", "SHD002")
    rules = next(rules for rules in running if any(rejected[rule] for rule in rules))
    worst = max(rules, key=lambda rule: rejected[rule])
    rule = RULES[worst]
    return f"every strategy breaks a rule, most of them {rule.id} ({rule.checks}); {rule.fix}"


def _nothing_fits(evaluator: Evaluator, found: Found) -> str:
    """What stops it, and the smallest change that would help."""
    least = float(np.min(found.memory))
    count = evaluator.machine.cluster.count
    if not np.isfinite(least):
        return _broken_by(found.rejected)
    index = int(np.argmin(found.memory))
    parts = evaluator.memory_parts(found.strategy(index))
    biggest = max(parts, key=lambda name: parts[name])
    domain = evaluator.machine.cluster.levels[0].size
    # What every accelerator holds back does not shrink with their number.
    reserve = parts.get("reserve", 0.0)
    share = (least - reserve) / max(found.limit - reserve, 1.0)
    more = int(np.ceil(count * share / domain)) * domain
    larger = f"{least / found.limit:,.1f} times the memory"
    mend = f"about {more:,} accelerators, or {larger}," if found.limit > reserve else larger
    return (
        f"{evaluator.model.name} does not fit: the least any strategy needs is "
        f"{least / 1e9:,.1f} GB per accelerator ({biggest} alone {parts[biggest] / 1e9:,.1f} GB) "
        f"and {evaluator.machine.cluster.accelerator.name} offers {found.limit / 1e9:,.1f} GB; "
        f"{mend} would hold it"
    )
