"""A plan as it was run: settings that a log tells where they differ, and what to expect of them."""

from __future__ import annotations

from typing import Any

import msgspec

from clusterwright.errors import ClusterwrightError
from clusterwright.observe.records import RunSettings
from clusterwright.planner import estimate_question, evaluator_of, simulate_training
from clusterwright.records import Record
from clusterwright.strategy import Strategy
from clusterwright.training.estimate import TrainingEstimate
from clusterwright.training.pieces import pieces_of
from clusterwright.training.plan import TrainingPlan, TrainingQuestion

AXES = ("tp", "cp", "pp", "vpp", "dp", "ep", "etp", "micro_batch", "zero")
JOB = ("global_batch", "sequence_length", "precision")
_WORDS = {
    "micro_batch": "micro-batch",
    "global_batch": "global batch",
    "sequence_length": "sequence length",
    "world_size": "accelerators",
}


class Difference(Record, frozen=True, kw_only=True):
    """A setting that was planned and run otherwise."""

    name: str
    planned: str
    run: str

    @property
    def said(self) -> str:
        """As words: what is run, and what was planned."""
        return f"{_WORDS.get(self.name, self.name)} {self.run} (planned: {self.planned})"


class AsRun(Record, frozen=True, kw_only=True):
    """What to expect of a run with its own settings.

    ``expected``: the plan's best strategy, or that of the run where it differs. ``unlike``: the
    differences; ``refused``: why the run's own settings cannot be estimated, empty: they were.
    ``lightest``: busy time of the pipeline rank with least to do over that of the one with most.
    """

    expected: TrainingEstimate
    unlike: tuple[Difference, ...]
    refused: str = ""
    lightest: float = 1.0


def as_run(plan: TrainingPlan, settings: RunSettings) -> AsRun:
    """Estimate a plan's question with the settings that a log tells."""
    unlike = differences(plan, settings)
    expected, refused = plan.best, ""
    question = plan.question
    if unlike:
        try:
            question, choices = _changed(plan, settings)
            expected = _estimate(question, choices, played=plan.best.closed_form_time is not None)
        except ClusterwrightError as error:
            question, refused = plan.question, str(error)
    return AsRun(
        expected=expected,
        unlike=unlike,
        refused=refused,
        lightest=_lightest(question, expected.strategy),
    )


def differences(plan: TrainingPlan, settings: RunSettings) -> tuple[Difference, ...]:
    """Settings that a log tells and that are not the plan's."""
    strategy, job = plan.best.strategy, plan.question.workload
    pairs: list[tuple[str, Any, Any]] = [
        ("world_size", strategy.accelerators, settings.world_size),
        *((name, getattr(strategy, name), getattr(settings, name)) for name in AXES),
        ("recompute", strategy.recompute, settings.recompute or None),
        *((name, getattr(job, name), getattr(settings, name) or None) for name in JOB),
    ]
    return tuple(
        Difference(name=name, planned=str(planned), run=str(run))
        for name, planned, run in pairs
        if run is not None and run != planned
    )


def _changed(plan: TrainingPlan, settings: RunSettings) -> tuple[TrainingQuestion, dict[str, Any]]:
    """The question and the strategy of the run."""
    told = {name: getattr(settings, name) for name in AXES if getattr(settings, name) is not None}
    strategy = {**msgspec.structs.asdict(plan.best.strategy), **told}
    if settings.recompute:
        strategy["recompute"] = settings.recompute
    if strategy["pp"] == 1:
        strategy["vpp"] = 1
    world = settings.world_size or plan.best.accelerators
    if settings.dp is None:
        strategy["dp"] = max(1, world // (strategy["tp"] * strategy["cp"] * strategy["pp"]))
    job = {name: getattr(settings, name) for name in JOB if getattr(settings, name)}
    question = msgspec.structs.replace(
        plan.question, workload=msgspec.structs.replace(plan.question.workload, **job)
    )
    if world > question.cluster.count:
        cluster = msgspec.structs.replace(question.cluster, count=world)
        question = msgspec.structs.replace(question, cluster=cluster)
    return question, strategy


def _estimate(
    question: TrainingQuestion, choices: dict[str, Any], *, played: bool
) -> TrainingEstimate:
    """As the plan's own best was estimated: pipelines played out where that one was."""
    if choices["pp"] > 1 and played:
        return simulate_training(question, **choices).report.estimate
    return estimate_question(question, **choices)


def _lightest(question: TrainingQuestion, strategy: Strategy) -> float:
    """Least over most busy time among pipeline ranks."""
    if strategy.pp == 1:
        return 1.0
    try:
        pieces = pieces_of(evaluator_of(question), strategy)
    except ClusterwrightError:
        return 1.0
    each = pieces.forward + pieces.input_gradient + pieces.weight_gradient
    ranks = each.reshape(strategy.vpp, strategy.pp).sum(axis=0)
    return float(ranks.min() / ranks.max()) if ranks.max() > 0.0 else 1.0
