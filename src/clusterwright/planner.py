"""The one place where a question becomes a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from clusterwright import __version__
from clusterwright.edited import check_unedited
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.saving import encode_plan, load_record
from clusterwright.simulation.refining import Weight, best_played, refined
from clusterwright.simulation.step import Played, simulate
from clusterwright.site.phases import shares_of
from clusterwright.site.run import RunAccount, account
from clusterwright.strategy import Strategy
from clusterwright.training.beaten import SWEPT_AXES
from clusterwright.training.estimate import TrainingEstimate, estimate_with, make_evaluator
from clusterwright.training.evaluate import Evaluator
from clusterwright.training.found import Found
from clusterwright.training.intervals import Intervals
from clusterwright.training.pieces import pieces_of
from clusterwright.training.pins import check_pins, parse_pins
from clusterwright.training.plan import (
    Alternative,
    FrontPoint,
    RunTotals,
    Sweep,
    TrainingPlan,
    TrainingQuestion,
)
from clusterwright.training.saved import amiss, asked
from clusterwright.training.search import (
    KINDS,
    REACH,
    best_of_each_kind,
    pareto_front,
    search,
)
from clusterwright.uncertain import around

Array = Any

NUM_ALTERNATIVES = 5
REACHES = {"time": REACH, "cost": np.inf, "memory": np.inf}
"""How much slower than the fastest the best by an objective can be: for a batch that feeds few
accelerators, the cheapest uses few of them; by memory it can be anything."""

WEIGHTS: dict[str, Weight] = {
    "time": lambda _, step_time: step_time,
    "cost": lambda estimate, step_time: step_time * estimate.accelerators,
    "memory": lambda estimate, _: estimate.memory_bytes,
}
"""What is to be least, once the pipelines are played out."""


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


def plan_training(question: TrainingQuestion, *, catalogue_hash: str | None = None) -> TrainingPlan:
    """Search the whole space for a question and explain the outcome.

    Raises
    ------
    InfeasibleError
        When no strategy fits; the message says what would help.
    InputError
        When sizes do not multiply out.
    """
    evaluator = evaluator_of(question)
    found = search(evaluator, question.pins, reach=REACHES[question.objective])
    objective = objective_column(found, question.objective)
    chosen = [found.strategy(i) for i in best_of_each_kind(found, objective, KINDS)]
    cuts = evaluator.prepare_each(chosen)
    closed = [
        estimate_with(evaluator, strategy, intervals=question.intervals, prepared=cut)
        for strategy, cut in zip(chosen, cuts, strict=True)
    ]
    weight = WEIGHTS[question.objective]
    first, *others = best_played(evaluator, closed, cuts, weight, NUM_ALTERNATIVES + 1)
    best = _alone(evaluator, first.strategy, question.intervals)
    totals = run_totals(best, question.workload.tokens)
    return TrainingPlan(
        version=__version__,
        catalogue=shipped().hash if catalogue_hash is None else catalogue_hash,
        question=question,
        best=best,
        totals=totals,
        alternatives=tuple(alternative(best, other) for other in others),
        front=tuple(_front_point(found, index) for index in pareto_front(found)),
        sweeps=tuple(_sweep(found, axis) for axis in SWEPT_AXES),
        evaluated=found.num_strategies,
        rejected=dict(sorted(found.rejected.items())),
        account=run_account(question, best, totals),
    )


def _alone(evaluator: Evaluator, strategy: Strategy, intervals: Intervals) -> TrainingEstimate:
    """One strategy as whoever estimates it by itself finds it, to the last digit."""
    found = estimate_with(evaluator, strategy, intervals=intervals, every_rank=True)
    return refined(found, pieces_of(evaluator, strategy)) if strategy.pp > 1 else found


def run_account(
    question: TrainingQuestion, best: TrainingEstimate, totals: RunTotals | None
) -> RunAccount | None:
    """Wall-clock time, energy, carbon and money of the whole run, if they are asked for."""
    if totals is None or question.site is None:
        return None
    step = around(best.step_time, *best.step_time_interval, "s")
    failures = question.site.failures
    site = msgspec.structs.replace(
        question.site,
        failures=msgspec.structs.replace(failures, inputs={**failures.inputs, "step_time": step}),
    )
    run_time = around(totals.duration, *totals.duration_interval, "s")
    shares = shares_of({term.name: term.time for term in best.waterfall})
    return account(site, run_time, best.accelerators, shares)


def objective_column(found: Found, objective: str) -> Array:
    """What is to be least, (cuts, runs); infinite where nothing fits."""
    if objective == "cost":
        return found.step_time * found.accelerators
    if objective == "memory":
        return np.where(np.isfinite(found.step_time), found.memory, np.inf)
    return found.step_time


def alternative(best: TrainingEstimate, other: TrainingEstimate) -> Alternative:
    """Compare a strategy with the best, term by term."""
    ours = {term.name: term.time for term in best.waterfall}
    gaps = [(term.name, term.time - ours[term.name]) for term in other.waterfall]
    # What differs by less than the last digits of a float differs in nothing.
    least = 1e-9 * best.step_time
    slower_by = other.step_time - best.step_time
    differences = [(name, gap) for name, gap in gaps if gap > least]
    differences.sort(key=lambda pair: -pair[1])
    return Alternative(
        estimate=other,
        slower_by=slower_by if abs(slower_by) > least else 0.0,
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
    best = found.best_by(axis)
    return Sweep(
        axis=axis,
        values=tuple(best),
        step_times=tuple(time if np.isfinite(time) else None for time in best.values()),
    )


def estimate_question(question: TrainingQuestion, **choices: Any) -> TrainingEstimate:  # noqa: ANN401
    """Estimate one strategy as a plan does, its pipeline played out.

    ``dp=None`` takes what the other axes leave of the accelerators.

    Raises
    ------
    InputError
        When the sizes do not multiply out; the message shows the arithmetic.
    """
    evaluator = evaluator_of(question)
    return _alone(evaluator, _strategy(question, choices), question.intervals)


def _strategy(question: TrainingQuestion, choices: dict[str, Any]) -> Strategy:
    if choices.get("dp") is None:
        choices["dp"] = _remaining_dp(question, choices)
    framework = question.software
    overlaps = {
        name: getattr(framework, name)
        for name in ("overlap_tp", "overlap_dp", "overlap_ep", "overlap_pp")
    }
    return Strategy(**{**overlaps, **choices})


def simulate_training(
    question: TrainingQuestion,
    *,
    order: str | None = None,
    jitter: float = 0.0,
    stragglers: dict[int, float] | None = None,
    seed: int = 0,
    **choices: Any,  # noqa: ANN401 - the fields of Strategy
) -> Played:
    """Play the step of one strategy out, operation by operation.

    Parameters
    ----------
    question
        Model, machine and workload.
    order
        A schedule to follow instead of the strategy's own: the path of a PyTorch table (.csv), or
        zb-h2, zb-v, v-half, v-min, dualpipe-v (all but the first with vpp = 2).
    jitter
        Standard deviation of the logarithm of each operation's time. [1]
    stragglers
        Factor on all times of a pipeline rank.
    seed
        Of the jitter: the same seed gives the same step.
    choices
        As for `estimate_question`.

    Raises
    ------
    InputError
        When the sizes do not multiply out, or the schedule does not fit them.
    """
    evaluator = evaluator_of(question)
    strategy = _strategy(question, choices)
    estimate = estimate_with(evaluator, strategy, intervals=question.intervals, every_rank=True)
    return simulate(
        estimate,
        pieces_of(evaluator, estimate.strategy),
        order=order,
        jitter=jitter,
        stragglers=stragglers,
        seed=seed,
    )


def _remaining_dp(question: TrainingQuestion, choices: dict[str, Any]) -> int:
    count = question.cluster.count
    tp, cp, pp = (int(choices.get(axis, 1)) for axis in ("tp", "cp", "pp"))
    cut = tp * cp * pp
    if min(tp, cp, pp) < 1:
        return 1  # `check_strategy` says what is wrong
    if count % cut:
        nearest = max(cut, round(count / cut) * cut)
        raise InputError(
            f"tp({tp}) * cp({cp}) * pp({pp}) = {cut} does not divide the {count} accelerators of "
            f"{question.cluster.id}; {nearest} accelerators would do, or give --dp"
        )
    return count // cut


def load_plan(path: str | Path) -> TrainingPlan:
    """Read a saved plan.

    Raises
    ------
    InputError
        No such file, not a plan for training, or one that cannot be as it is.
    """
    path = Path(path)
    plan = load_record(path, TrainingPlan, "plan for training")
    check_unedited(path, amiss(plan))
    return plan


def replay_plan(saved: TrainingPlan) -> tuple[TrainingPlan, bool]:
    """Compute a saved plan's question again; tell whether the bytes are the same.

    Raises
    ------
    InputError
        When the question was edited into one that nobody could have asked.
    """
    _check_question(saved.question)
    fresh = plan_training(saved.question, catalogue_hash=saved.catalogue)
    return fresh, encode_plan(fresh) == encode_plan(saved)


def _check_question(question: TrainingQuestion) -> None:
    """Refuse what `ask_training` cannot have put together."""
    for name, value in asked(question).items():
        if not value > 0:
            raise InputError(
                f"the saved question has {name} {value:g}, which must be above zero: was the file "
                f"edited? plan again with --save"
            )
    parse_pins([f"{name}={value}" for name, value in question.pins.items()])
    check_pins(question.model, question.pins)
