"""Play a pipeline schedule out: when every operation runs, what waits, what memory is kept.

Every operation is done once, at the earliest time that its rank and its inputs allow; the result
is exact for the given order, and the order is never changed: a late operation delays what stands
behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from clusterwright.engines.compiled import compiled, should_compile
from clusterwright.engines.costs import StageCosts
from clusterwright.engines.kernel import NEVER, play
from clusterwright.engines.schedule import BACKWARD, BOTH, FORWARD, INPUT, WEIGHT, Schedule
from clusterwright.errors import InputError

Array = Any


MOST_SPREAD = 2.0
"""With more, some operations would take a hundred times as long as others."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What makes ranks and operations uneven.

    Parameters
    ----------
    slowdown
        Factor on all times of a rank, by rank; 1 where a rank is not named.
    spread
        Standard deviation of the logarithm of each operation's time, which keeps its mean. [1]
    """

    slowdown: dict[int, float] = field(default_factory=dict)
    spread: float = 0.0


@dataclass(frozen=True, eq=False)
class Timeline:
    """When every operation of a schedule ran. [s]

    ``start``, ``end``: in the order of ``schedule.ops``. ``costs``: what they kept in memory.
    """

    schedule: Schedule
    costs: StageCosts
    start: Array
    end: Array

    @property
    def makespan(self) -> float:
        """From the first operation to the last: the step up to the optimizer's barrier. [s]"""
        return float(self.end.max(initial=0.0))

    @cached_property
    def busy(self) -> Array:
        """Time that each rank works. (ranks,) [s]"""
        return self._over_ranks(self.end - self.start)

    @cached_property
    def span(self) -> Array:
        """From each rank's first operation to its last. (ranks,) [s]"""
        first = self.schedule.first
        return self.end[first[1:] - 1] - self.start[first[:-1]]

    @property
    def bubble(self) -> float:
        """Idle share of the busiest rank when all wait for the last before the update. [1]"""
        return self.makespan / float(self.busy.max()) - 1.0

    @property
    def bubble_without_barrier(self) -> float:
        """The same when each rank goes on to the next step as soon as it is done. [1]"""
        return float(self.span.max()) / float(self.busy.max()) - 1.0

    @cached_property
    def memory(self) -> tuple[Array, Array]:
        """Activations kept on each operation's rank, while it runs and after it. [B]

        A forward takes its memory when it begins; a backward gives it back when it ends.
        """
        taken, given = self._changes()
        after = np.cumsum(taken - given)
        before = np.concatenate([[0.0], after[self.schedule.first[1:-1] - 1]])
        after = after - before[self.schedule.rank]
        return after + given, after

    @cached_property
    def peak_bytes(self) -> Array:
        """The most activations that each rank keeps at a time. (ranks,) [B]"""
        return np.maximum.reduceat(self.memory[0], self.schedule.first[:-1])

    def _changes(self) -> tuple[Array, Array]:
        """Bytes that every operation takes, and gives back."""
        index, rows = self.schedule.halves
        kept, share = self.costs.kept_bytes[rows[:, 1]], self.costs.weight_share[rows[:, 1]]
        part = np.zeros(len(rows))
        for kind, factor in ((BACKWARD, 1.0), (INPUT, 1.0 - share), (WEIGHT, share)):
            mask = rows[:, 0] == kind
            part[mask] = np.broadcast_to(factor, mask.shape)[mask]
        number = len(self.schedule)
        taken = np.bincount(index, kept * (rows[:, 0] == FORWARD), minlength=number)
        return taken, np.bincount(index, kept * part, minlength=number)

    def _over_ranks(self, values: Array) -> Array:
        return np.add.reduceat(values, self.schedule.first[:-1])


def durations(
    schedule: Schedule,
    costs: StageCosts,
    noise: Noise | None = None,
    rng: np.random.Generator | None = None,
) -> Array:
    """Seconds of every operation. (operations,)

    Raises
    ------
    InputError
        For a spread without a generator, or a slow rank that does not exist.
    """
    both = costs.both
    if both is None:
        both = _both_in_turn(schedule, costs)
    whole = costs.input_gradient + costs.weight_gradient
    table = np.empty((5, schedule.placement.num_stages))
    table[FORWARD], table[BACKWARD], table[BOTH] = costs.forward, whole, both
    table[INPUT], table[WEIGHT] = costs.input_gradient, costs.weight_gradient
    kind, stage, *_ = schedule.columns
    seconds: Array = table.ravel()[kind * table.shape[1] + stage]
    if noise is None:
        return seconds
    for rank, factor in noise.slowdown.items():
        if not 0 <= rank < schedule.num_ranks:
            raise InputError(f"there is no rank {rank}; ranks are 0 to {schedule.num_ranks - 1}")
        if not 0.0 < factor < np.inf:
            raise InputError(f"rank {rank} is slowed down {factor} times; give a factor above 0")
        seconds[schedule.first[rank] : schedule.first[rank + 1]] *= factor
    if not 0.0 <= noise.spread <= MOST_SPREAD:
        raise InputError(f"the jitter is {noise.spread:g}, but must be from 0 to {MOST_SPREAD:g}")
    if noise.spread == 0.0:
        return seconds
    if rng is None:
        raise InputError("jitter needs a random generator: give rng=numpy.random.default_rng(seed)")
    deviation = rng.standard_normal(len(seconds)) * noise.spread - 0.5 * noise.spread**2
    return seconds * np.exp(deviation)


def _both_in_turn(schedule: Schedule, costs: StageCosts) -> Array:
    """A fused operation's time where nothing is gained by it, by the forward's stage."""
    both = np.zeros(schedule.placement.num_stages)
    if not schedule.has_both:
        return both
    fused = schedule.ops[schedule.ops[:, 0] == BOTH]
    there, back = fused[:, 1], fused[:, 3]
    both[there] = costs.forward[there] + costs.input_gradient[back] + costs.weight_gradient[back]
    return both


def execute(
    schedule: Schedule,
    costs: StageCosts,
    *,
    blocking: bool = False,
    noise: Noise | None = None,
    rng: np.random.Generator | None = None,
    compile_loop: bool | None = None,
) -> Timeline:
    """Play a schedule out.

    Parameters
    ----------
    schedule
        The order on every rank (see `Schedule.check` for one that came from outside).
    costs
        What each stage takes and keeps.
    blocking
        A rank does nothing else while it sends. Else a transfer runs beside the computation; a
        rank sends one activation, and one gradient, at a time.
    noise
        Slow ranks and jitter, drawn from ``rng``.
    compile_loop
        Whether numba compiles the loop; None: where there is enough to do. The result is the same.

    Raises
    ------
    InputError
        When the order waits for itself; the message says which rank waits for what.
    """
    costs.check(schedule.placement.num_stages)
    seconds = durations(schedule, costs, noise, rng)
    start, end, _ = run_loop(schedule, costs, seconds, blocking=blocking, compile_loop=compile_loop)
    return Timeline(schedule, costs, start, end)


def sample_makespans(
    schedule: Schedule,
    costs: StageCosts,
    noise: Noise,
    *,
    rng: np.random.Generator,
    num_samples: int,
    blocking: bool = False,
    compile_loop: bool | None = None,
) -> Array:
    """Makespans of the same step with jitter drawn anew each time. (samples,) [s]"""
    costs.check(schedule.placement.num_stages)
    compile_now = should_compile(len(schedule) * num_samples, compile_loop)
    found = np.empty(num_samples)
    for sample in range(num_samples):
        seconds = durations(schedule, costs, noise, rng)
        loop = run_loop(schedule, costs, seconds, blocking=blocking, compile_loop=compile_now)
        found[sample] = loop[1].max(initial=0.0)
    return found


def run_loop(
    schedule: Schedule,
    costs: StageCosts,
    seconds: Array,
    *,
    blocking: bool = False,
    compile_loop: bool | None = None,
) -> tuple[Array, Array, int]:
    """Call the loop; start and end of every operation, and how many were done.

    Raises
    ------
    InputError
        When the order waits for itself.
    """
    ranks, place = schedule.num_ranks, schedule.placement
    arrived = np.full((2, place.num_stages, schedule.num_micro_batches), NEVER)
    arrived[0, place.previous < 0] = 0.0
    position, wanted = schedule.first[:-1].copy(), np.full(ranks, -1)
    start, end = np.empty(len(schedule)), np.empty(len(schedule))
    inputs = [
        *schedule.columns,
        seconds,
        schedule.first,
        place.rank_of,
        np.concatenate([place.following, place.previous]),
        np.concatenate([costs.forward_hop, costs.backward_hop]),
        schedule.num_micro_batches,
        blocking,
        arrived.ravel(),
        np.zeros(ranks),
        np.zeros(2 * ranks),
        position,
        wanted,
        np.arange(ranks)[::-1].copy(),
        start,
        end,
    ]
    if should_compile(len(schedule), compile_loop):
        done = int(compiled(play)(*inputs))
    else:
        # Lists are read several times as fast as arrays by plain Python.
        lists = [part.tolist() if isinstance(part, np.ndarray) else part for part in inputs]
        done = play(*lists)
        position, wanted, start, end = (np.array(lists[-k]) for k in (5, 4, 2, 1))
    if done < len(schedule):
        raise InputError(_deadlock(schedule, position, wanted))
    return start, end, done


def _deadlock(schedule: Schedule, position: Array, wanted: Array) -> str:
    """Who waits for whom, in one sentence."""
    place = schedule.placement
    shape = (2, place.num_stages, schedule.num_micro_batches)
    rank = int(np.argmax(wanted >= 0))
    seen: list[int] = []
    words: list[str] = []
    while rank not in seen:
        seen.append(rank)
        way, stage, micro = (int(one) for one in np.unravel_index(int(wanted[rank]), shape))
        source = int((place.following if way else place.previous)[stage])
        source = stage if source < 0 else source
        needed = f"{source}{'F' if way == 0 or source == stage else 'B'}{micro}"
        number = int(position[rank] - schedule.first[rank])
        words.append(
            f"rank {rank} waits at its operation {number}, {schedule.label(int(position[rank]))}, "
            f"for {needed}"
        )
        rank = int(place.rank_of[source])
        if wanted[rank] < 0:
            words.append(f"which rank {rank} never does")
            break
    return f"the schedule {schedule.name} waits for itself: {'; '.join(words)}"
