"""The best few of a search with their pipelines played out: quick enough for a planner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from clusterwright.engines.executor import execute
from clusterwright.engines.schedule import Placement, Schedule, looped, two_ways
from clusterwright.errors import InputError
from clusterwright.simulation.inputs import costs_of, schedule_of, without_hops
from clusterwright.strategy import Schedule as ScheduleName
from clusterwright.strategy import Strategy
from clusterwright.training.estimate import TrainingEstimate
from clusterwright.training.evaluate import Evaluator
from clusterwright.training.pieces import Pieces, pieces_of
from clusterwright.training.played import with_pipeline_played
from clusterwright.training.prepared import Prepared

Weight = Callable[[TrainingEstimate, float], float]
"""What is to be least, from an estimate and its step time."""

STEADY_ROUNDS = 3
"""Rounds of pp micro-batches that a planner plays out; beyond them the last round repeats."""

BEYOND_THE_STAGE = ("bubble", "pp", "stragglers", "dp", "optimizer", "offload")
"""Terms of the waterfall that are not work of the slowest rank."""

MOST_OPERATIONS = 60_000
"""What a planner plays out of one strategy, whole; about a tenth of a second without numba."""


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
        schedule = _order(strategy.schedule, strategy.pp, strategy.vpp, count)
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


@lru_cache(maxsize=16)
def _order(name: ScheduleName, pp: int, vpp: int, num_micro_batches: int) -> Schedule:
    """An order of few operations, which strategies that differ in other axes share."""
    return schedule_of(Strategy(pp=pp, vpp=vpp, schedule=name), num_micro_batches)


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
    return with_times(estimate, pieces, place, plain, whole)


def best_played(
    evaluator: Evaluator,
    estimates: Sequence[TrainingEstimate],
    cuts: Sequence[Prepared],
    weight: Weight,
    count: int,
) -> list[TrainingEstimate]:
    """The best ``count`` of some estimates with their pipelines played out, best first.

    ``cuts``: of their strategies. ``weight``: what is to be least, from an estimate and its step
    time.
    """
    ranked = []
    for estimate, prepared in zip(estimates, cuts, strict=True):
        pieces = pieces_of(evaluator, estimate.strategy, prepared)
        piped = estimate.strategy.pp > 1
        whole = pipeline_time(pieces, estimate.strategy) if piped else None
        time = estimate.step_time
        if whole is not None:
            seconds = seconds_of(estimate)
            closed = _stage_time(estimate) + seconds["bubble"] + seconds["pp"]
            time += whole * (1.0 + pieces.straggler_share) - closed - seconds["stragglers"]
        ranked.append((weight(estimate, time), estimate, pieces, whole))
    ranked.sort(key=lambda one: one[0])
    return [refined(estimate, pieces, whole) for _, estimate, pieces, whole in ranked[:count]]


def seconds_of(estimate: TrainingEstimate) -> dict[str, float]:
    """The waterfall by name. [s]"""
    return {term.name: term.time for term in estimate.waterfall}


def _stage_time(estimate: TrainingEstimate) -> float:
    """What the closed form lets the slowest rank work in a step. [s]"""
    seconds = seconds_of(estimate)
    return sum(time for name, time in seconds.items() if name not in BEYOND_THE_STAGE)


def with_times(
    estimate: TrainingEstimate, pieces: Pieces, place: Placement, plain: float, whole: float
) -> TrainingEstimate:
    """An estimate with the bubble and the transfers that were played out.

    Where a table's placement evens the ranks out, the busiest works less than the slowest stage.
    """
    chains = place.num_stages // len(pieces.forward)
    chunk = pieces.forward + pieces.input_gradient + pieces.weight_gradient
    load = np.bincount(place.rank_of, np.tile(chunk, chains)) * pieces.num_micro_batches / chains
    busiest = float(load.max())
    extra = seconds_of(estimate)["extra work"]
    seconds = {
        "extra work": extra + busiest - _stage_time(estimate),
        "bubble": plain - busiest,
        "pp": whole - plain,
        "stragglers": pieces.straggler_share * plain,
    }
    return with_pipeline_played(estimate, seconds)
