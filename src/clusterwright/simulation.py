"""Strategies of the cost model, played out by the pipeline engine.

The closed form and the engine share every cost (`training.pieces`); the engine puts the pipeline's
part together event by event, and the rest of the step follows it as in the closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from clusterwright.engines import bidirectional, controllable, orders
from clusterwright.engines.costs import StageCosts
from clusterwright.engines.executor import Noise, Timeline, execute
from clusterwright.engines.schedule import Placement, Schedule, looped, two_ways
from clusterwright.engines.torch_table import read_table
from clusterwright.errors import InputError
from clusterwright.records import Record
from clusterwright.strategy import Schedule as ScheduleName
from clusterwright.strategy import Strategy
from clusterwright.training.estimate import ACTIVATIONS, TrainingEstimate
from clusterwright.training.evaluate import Evaluator
from clusterwright.training.pieces import Pieces, pieces_of
from clusterwright.training.played import with_pipeline_played

Array = Any
Weight = Callable[[TrainingEstimate, float], float]

STEADY_ROUNDS = 3
"""Rounds of pp micro-batches that a planner plays out; beyond them the last round repeats."""

BEYOND_THE_STAGE = ("bubble", "pp", "stragglers", "dp", "optimizer", "offload")
"""Terms of the waterfall that are not work of the slowest rank."""

MOST_OPERATIONS = 60_000
"""What a planner plays out of one strategy, whole; about a tenth of a second without numba."""


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
    form is of. ``operations``: how many were played out; ``seed``: of the jitter.
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


def schedule_of(strategy: Strategy, num_micro_batches: int) -> Schedule:
    """The order in which a strategy's pipeline works.

    Raises
    ------
    InputError
        For sizes that the schedule does not allow.
    """
    pp, vpp, name = strategy.pp, strategy.vpp, strategy.schedule
    if name == "dualpipe":
        if vpp > 1:
            raise InputError(f"DualPipe has one chunk per rank and direction, not vpp({vpp})")
        return bidirectional.dualpipe(pp, num_micro_batches)
    if name == "zero-bubble":
        return orders.interleaved_zero_bubble(pp, num_micro_batches, vpp)
    if name == "gpipe":
        return orders.looped_breadth_first(pp, num_micro_batches, vpp)
    if vpp > 1:
        return orders.interleaved(pp, num_micro_batches, vpp)
    return orders.one_forward_one_backward(pp, num_micro_batches)


OTHER_ORDERS: dict[str, Callable[[int, int], Schedule]] = {
    "zb-h2": orders.zero_bubble_h2,
    "zb-v": bidirectional.zero_bubble_v,
    "v-half": controllable.v_half,
    "v-min": controllable.v_min,
    "dualpipe-v": bidirectional.dualpipe_v,
}
"""Published schedules without a closed form here: by name, from ranks and micro-batches."""


def order_named(name: str, num_ranks: int, num_micro_batches: int) -> Schedule:
    """A schedule by the path of its table, or one of `OTHER_ORDERS` by name.

    Raises
    ------
    InputError
        For an unknown name, an unusable table, or sizes that the schedule does not allow.
    """
    if name.endswith(".csv"):
        return read_table(Path(name))
    if name not in OTHER_ORDERS:
        known = ", ".join((*get_args(ScheduleName), *OTHER_ORDERS))
        raise InputError(f"no schedule is called {name!r}; choose from {known}, or a .csv file")
    return OTHER_ORDERS[name](num_ranks, num_micro_batches)


def costs_of(pieces: Pieces, schedule: Schedule) -> StageCosts:
    """The chunks' costs as the engine takes them; DualPipe has every chunk twice.

    Raises
    ------
    InputError
        When the schedule has other stages than the strategy has chunks.
    """
    chunks, stages = len(pieces.forward), schedule.placement.num_stages
    chains = int((schedule.placement.following < 0).sum())
    if stages != chunks * chains:
        raise InputError(
            f"the schedule {schedule.name} has {stages} stages but the strategy cuts the model "
            f"into {chunks} chunks; choose pp * vpp = {stages}"
        )

    def each(values: Array) -> Array:
        return np.tile(values, chains)

    hop = np.full(stages, pieces.hop_time)
    return StageCosts(
        forward=each(pieces.forward),
        input_gradient=each(pieces.input_gradient),
        weight_gradient=each(pieces.weight_gradient),
        forward_hop=hop,
        backward_hop=hop,
        kept_bytes=each(pieces.kept_bytes),
        weight_share=np.ones(stages),
    )


def without_hops(costs: StageCosts) -> StageCosts:
    """The same with transfers that take no time."""
    return replace(costs, forward_hop=0.0 * costs.forward_hop, backward_hop=0.0 * costs.forward_hop)


def pipeline_time(pieces: Pieces, strategy: Strategy, *, hops: bool = True) -> float | None:
    """Seconds of the pipeline, with transfers or without, for a planner; None: not to be had.

    The first rounds are played out. If there are more, each takes what the last of these took,
    which is exact once the pipeline runs at its steady pace.
    """
    number, pp = pieces.num_micro_batches, strategy.pp
    short = min(number, STEADY_ROUNDS * pp + number % pp)
    kinds = 3 if strategy.schedule == "zero-bubble" else 2
    if short * len(pieces.forward) * kinds > MOST_OPERATIONS:
        return None
    if number > short and strategy.vpp > 1 and number % pp:
        return None  # the groups of micro-batches change with their number

    def played(count: int) -> float:
        schedule = schedule_of(strategy, count)
        costs = costs_of(pieces, schedule)
        costs = costs if hops else without_hops(costs)
        return execute(schedule, costs, blocking=not pieces.hops_overlap).makespan

    try:
        time = played(short)
        if number > short:
            time += (number - short) / pp * (time - played(short - pp))
    except InputError:
        return None  # its authors do not define the schedule for these sizes
    return time


def refined(
    estimate: TrainingEstimate, pieces: Pieces, whole: float | None = None
) -> TrainingEstimate:
    """An estimate with its pipeline played out; as it was where that would take too long.

    ``whole``: the pipeline's time, if it is known. [s]
    """
    if estimate.strategy.pp == 1:
        return estimate
    whole = pipeline_time(pieces, estimate.strategy) if whole is None else whole
    plain = pipeline_time(pieces, estimate.strategy, hops=False)
    if whole is None or plain is None:
        return estimate
    ranks, chunks = estimate.strategy.pp, estimate.strategy.vpp
    dual = estimate.strategy.schedule == "dualpipe"
    place = two_ways(ranks) if dual else looped(ranks, chunks)
    return _with_times(estimate, pieces, place, plain, whole)


def best_played(
    evaluator: Evaluator, estimates: Sequence[TrainingEstimate], weight: Weight, count: int
) -> list[TrainingEstimate]:
    """The best ``count`` of some estimates with their pipelines played out, best first.

    ``weight``: what is to be least, from an estimate and its step time.
    """
    ranked = []
    for estimate in estimates:
        pieces = pieces_of(evaluator, estimate.strategy)
        piped = estimate.strategy.pp > 1
        whole = pipeline_time(pieces, estimate.strategy) if piped else None
        time = estimate.step_time
        if whole is not None:
            seconds = _seconds(estimate)
            closed = _stage_time(estimate) + seconds["bubble"] + seconds["pp"]
            time += whole * (1.0 + pieces.straggler_share) - closed - seconds["stragglers"]
        ranked.append((weight(estimate, time), estimate, pieces, whole))
    ranked.sort(key=lambda one: one[0])
    return [refined(estimate, pieces, whole) for _, estimate, pieces, whole in ranked[:count]]


def _seconds(estimate: TrainingEstimate) -> dict[str, float]:
    """The waterfall by name. [s]"""
    return {term.name: term.time for term in estimate.waterfall}


def _stage_time(estimate: TrainingEstimate) -> float:
    """What the closed form lets the slowest rank work in a step. [s]"""
    seconds = _seconds(estimate)
    return sum(time for name, time in seconds.items() if name not in BEYOND_THE_STAGE)


def _with_times(
    estimate: TrainingEstimate, pieces: Pieces, place: Placement, plain: float, whole: float
) -> TrainingEstimate:
    """An estimate with the bubble and the transfers that were played out.

    Where a table's placement evens the ranks out, the busiest works less than the slowest stage.
    """
    chains = place.num_stages // len(pieces.forward)
    chunk = pieces.forward + pieces.input_gradient + pieces.weight_gradient
    load = np.bincount(place.rank_of, np.tile(chunk, chains)) * pieces.num_micro_batches / chains
    busiest = float(load.max())
    extra = _seconds(estimate)["extra work"]
    seconds = {
        "extra work": extra + busiest - _stage_time(estimate),
        "bubble": plain - busiest,
        "pp": whole - plain,
        "stragglers": pieces.straggler_share * plain,
    }
    return with_pipeline_played(estimate, seconds)


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
    better = _with_times(estimate, pieces, schedule.placement, plain.makespan, whole.makespan)
    timeline = whole
    slow = dict(stragglers or {})
    if jitter or slow:
        noise = Noise(slowdown=slow, spread=jitter)
        rng = np.random.default_rng(seed)
        timeline = execute(schedule, costs, blocking=blocking, noise=noise, rng=rng)
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
        stragglers=slow,
        seed=seed,
    )
    seconds = _seconds(estimate)
    tail = seconds["dp"] + seconds["optimizer"] + seconds["offload"]
    return Played(report, timeline, tail)


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
