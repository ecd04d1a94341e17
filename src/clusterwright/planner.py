"""The one place where a question becomes a plan."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright import __version__
from clusterwright.training.estimate import TrainingEstimate, estimate_with, make_evaluator
from clusterwright.training.evaluate import Evaluator
from clusterwright.training.plan import (
    Alternative,
    FrontPoint,
    RunTotals,
    Sweep,
    TrainingPlan,
    TrainingQuestion,
)
from clusterwright.training.search import Found, best_of_each_kind, pareto_front, search

Array = Any

NUM_ALTERNATIVES = 5
SWEPT_AXES = ("tp", "cp", "pp", "ep", "micro_batch")


def evaluator_of(question: TrainingQuestion) -> Evaluator:
    """Bind a question's model, machine and workload."""
    return make_evaluator(
        question.model,
        question.cluster,
        question.workload,
        software=question.software,
        profile=question.profile,
        settings=question.settings,
    )


def plan_training(question: TrainingQuestion, *, catalogue_hash: str) -> TrainingPlan:
    """Search the whole space for a question and explain the outcome.

    Raises
    ------
    InfeasibleError
        When no strategy fits; the message says what would help.
    InputError
        When sizes do not multiply out.
    """
    evaluator = evaluator_of(question)
    found = search(evaluator, question.pins)
    objective = objective_column(found, question.objective)
    chosen = best_of_each_kind(found, objective, NUM_ALTERNATIVES + 1)
    estimates = [
        estimate_with(evaluator, found.strategy(index), error_share=question.error_share)
        for index in chosen
    ]
    best = estimates[0]
    return TrainingPlan(
        version=__version__,
        catalogue=catalogue_hash,
        question=question,
        best=best,
        totals=run_totals(best, question.workload.tokens),
        alternatives=tuple(alternative(best, other) for other in estimates[1:]),
        front=tuple(_front_point(found, index) for index in pareto_front(found)),
        sweeps=tuple(_sweep(found, axis) for axis in SWEPT_AXES),
        evaluated=found.num_strategies,
        rejected=dict(sorted(found.rejected.items())),
    )


def objective_column(found: Found, objective: str) -> Array:
    """What is to be least, (cuts, runs); infinite where nothing fits."""
    if objective == "cost":
        return found.step_time * found.accelerators()[:, None]
    if objective == "memory":
        return np.where(np.isfinite(found.step_time), found.memory, np.inf)
    return found.step_time


def alternative(best: TrainingEstimate, other: TrainingEstimate) -> Alternative:
    """Compare a strategy with the best, term by term."""
    ours = {term.name: term.time for term in best.waterfall}
    differences = [(term.name, term.time - ours[term.name]) for term in other.waterfall]
    differences.sort(key=lambda pair: -pair[1])
    return Alternative(
        estimate=other,
        slower_by=other.step_time - best.step_time,
        because=tuple(differences[:2]),
    )


def run_totals(best: TrainingEstimate, tokens: float | None) -> RunTotals | None:
    """The whole run, if the number of tokens is known."""
    if not tokens:
        return None
    steps = float(np.ceil(tokens / best.tokens_per_step))
    low, high = best.step_time_interval
    return RunTotals(
        tokens=tokens,
        steps=steps,
        duration=steps * best.step_time,
        duration_interval=(steps * low, steps * high),
        accelerator_hours=steps * best.step_time * best.accelerators / 3600.0,
        training_flops=steps * best.model_flops,
    )


def _front_point(found: Found, index: int) -> FrontPoint:
    strategy = found.strategy(index)
    return FrontPoint(
        strategy=strategy,
        step_time=float(found.step_time.flat[index]),
        memory_bytes=float(found.memory.flat[index]),
        accelerators=strategy.accelerators,
    )


def _sweep(found: Found, axis: str) -> Sweep:
    best_of_cut = found.step_time.min(axis=1)
    column = getattr(found.cuts, axis)
    values = np.unique(column)
    times = [float(best_of_cut[column == value].min()) for value in values]
    return Sweep(
        axis=axis,
        values=tuple(int(value) for value in values),
        step_times=tuple(time if np.isfinite(time) else None for time in times),
    )
