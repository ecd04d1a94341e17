"""One whole step of a strategy, played out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusterwright.engines.costs import StageCosts
from clusterwright.engines.executor import Array, Noise, Timeline, execute, sample_makespans
from clusterwright.engines.schedule import Schedule
from clusterwright.errors import InputError
from clusterwright.records import Record
from clusterwright.simulation.inputs import costs_of, order_named, schedule_of, without_hops
from clusterwright.simulation.refining import seconds_of, with_times
from clusterwright.strategy import Strategy
from clusterwright.training.estimate import ACTIVATIONS, TrainingEstimate
from clusterwright.training.pieces import Pieces

MOST_DRAWS, DRAWN_OPERATIONS = 25, 1_000_000
"""How often jitter is drawn, and the operations that this may take in all."""

MOST_PLAYED = 20_000_000
"""Operations of one step that are played out at all: some gigabytes."""


class RankReport(Record, frozen=True, kw_only=True):
    """One pipeline rank over a step: seconds at work and idle, bytes at the peak.

    ``idle_time``: until the last rank is done; ``activation_bytes``: the part of ``memory_bytes``
    that activations take at the worst moment.
    """

    rank: int
    busy_time: float
    idle_time: float
    activation_bytes: float
    memory_bytes: float


class TrainingSimulation(Record, frozen=True, kw_only=True):
    """What playing a strategy out gave, beside its closed form.

    ``estimate``: with the pipeline's terms as played out; ``closed_form``: without. ``step_time``:
    of the estimate, with what jitter and slow ranks add (``uneven_time``). ``bubble``: idle share
    of the busiest rank up to the optimizer's barrier; ``bubble_without_barrier``: if each rank
    could go on at once. ``own_schedule``: whether the schedule is the strategy's, which the closed
    form is of. ``operations``: how many were played out; ``seed``: of the jitter;
    ``draws``: step times with jitter drawn anew, the first being this one [s].
    """

    schedule: str
    own_schedule: bool
    operations: int
    estimate: TrainingEstimate
    closed_form: TrainingEstimate
    step_time: float
    uneven_time: float
    bubble: float
    bubble_without_barrier: float
    ranks: tuple[RankReport, ...]
    jitter: float = 0.0
    stragglers: dict[int, float] = {}
    seed: int = 0
    draws: tuple[float, ...] = ()


@dataclass(frozen=True)
class Played:
    """A simulation and its events: ``report`` in figures, ``timeline`` operation by operation.

    ``tail_time``: what every rank does after the pipeline. [s]
    """

    report: TrainingSimulation
    timeline: Timeline
    tail_time: float

    @property
    def end_time(self) -> float:
        """When all is done. [s]"""
        return self.timeline.makespan + self.tail_time


def simulate(
    estimate: TrainingEstimate,
    pieces: Pieces,
    *,
    order: str | None = None,
    jitter: float = 0.0,
    stragglers: dict[int, float] | None = None,
    seed: int = 0,
) -> Played:
    """Play a whole step of an estimated strategy out.

    Parameters
    ----------
    estimate, pieces
        The strategy's closed form, and its parts.
    order
        Another schedule than the strategy's own, as `order_named` takes it.
    jitter
        Standard deviation of the logarithm of each operation's time. [1]
    stragglers
        Factor on all times of a pipeline rank.
    seed
        Of the jitter.

    Raises
    ------
    InputError
        For a schedule that does not fit the strategy, or waits for itself.
    """
    strategy = estimate.strategy
    number = pieces.num_micro_batches
    _check_size(number, len(pieces.forward), seed)
    if order is None or order == strategy.schedule:
        schedule, own = schedule_of(strategy, number), True
    else:
        schedule, own = order_named(order, strategy.pp, number), False
    _check_fit(schedule, strategy, pieces)
    costs = costs_of(pieces, schedule)
    blocking = not pieces.hops_overlap
    plain = execute(schedule, without_hops(costs), blocking=blocking)
    whole = execute(schedule, costs, blocking=blocking)
    closed = estimate
    better = with_times(estimate, pieces, schedule.placement, plain.makespan, whole.makespan)
    timeline, draws = whole, np.empty(0)
    noise = Noise(slowdown=dict(stragglers or {}), spread=jitter)
    if jitter or noise.slowdown:
        rng = np.random.default_rng(seed)
        timeline = execute(schedule, costs, blocking=blocking, noise=noise, rng=rng)
    if jitter:
        draws = _draws(schedule, costs, noise, seed=seed, blocking=blocking)
    uneven = timeline.makespan - whole.makespan
    report = TrainingSimulation(
        schedule=schedule.name,
        own_schedule=own,
        operations=len(schedule),
        estimate=better,
        closed_form=closed,
        step_time=better.step_time + uneven,
        uneven_time=uneven,
        bubble=timeline.bubble,
        bubble_without_barrier=timeline.bubble_without_barrier,
        ranks=_ranks(timeline, estimate),
        jitter=jitter,
        stragglers=noise.slowdown,
        seed=seed,
        draws=tuple((better.step_time - whole.makespan + draws).tolist()),
    )
    seconds = seconds_of(estimate)
    tail = seconds["dp"] + seconds["optimizer"] + seconds["offload"]
    return Played(report, timeline, tail)


def _draws(
    schedule: Schedule, costs: StageCosts, noise: Noise, *, seed: int, blocking: bool
) -> Array:
    """Makespans of as many draws as are cheap. [s]"""
    return sample_makespans(
        schedule,
        costs,
        noise,
        rng=np.random.default_rng(seed),
        num_samples=max(2, min(MOST_DRAWS, DRAWN_OPERATIONS // len(schedule))),
        blocking=blocking,
    )


def _check_size(num_micro_batches: int, num_chunks: int, seed: int) -> None:
    """Refuse what would not end, and a seed that is none."""
    if 2 * num_micro_batches * num_chunks > MOST_PLAYED:
        raise InputError(
            f"{num_micro_batches:,} micro-batches on {num_chunks} chunks are too many to play out; "
            f"take a smaller batch (the steady state repeats), or estimate train"
        )
    if seed < 0:
        raise InputError(f"the seed is {seed}, but must be 0 or more")


def _check_fit(order: Schedule, strategy: Strategy, pieces: Pieces) -> None:
    """Refuse a schedule for other ranks or micro-batches than the strategy has."""
    if order.num_ranks != strategy.pp:
        raise InputError(
            f"the schedule {order.name} has {order.num_ranks} ranks but the strategy has "
            f"pp({strategy.pp}); choose pp = {order.num_ranks}"
        )
    chains = int((order.placement.following < 0).sum())
    if order.num_micro_batches * chains != pieces.num_micro_batches:
        raise InputError(
            f"the schedule {order.name} has {order.num_micro_batches * chains} micro-batches but "
            f"the strategy has {pieces.num_micro_batches} per step; change the batch, dp or the "
            f"micro-batch"
        )


def _ranks(timeline: Timeline, estimate: TrainingEstimate) -> tuple[RankReport, ...]:
    """What each rank does and holds; what comes and goes is counted by the timeline."""
    offloads = estimate.strategy.offload in ("activations", "both")
    fixed = [
        sum(part for name, part in stage.parts.items() if offloads or name not in ACTIVATIONS)
        for stage in estimate.stages
    ]
    return tuple(
        RankReport(
            rank=rank,
            busy_time=float(busy),
            idle_time=timeline.makespan - float(busy),
            activation_bytes=float(peak),
            memory_bytes=float(peak + fixed[rank]),
        )
        for rank, (busy, peak) in enumerate(zip(timeline.busy, timeline.peak_bytes, strict=True))
    )
