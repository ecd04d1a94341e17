"""What makes a comparison doubtful, or comes before any: the wrong plan, a run that broke off."""

from __future__ import annotations

import math

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.observe.case import TrainingCase
from clusterwright.observe.findings import Finding, Sureness
from clusterwright.observe.records import RunSettings
from clusterwright.observe.utilisation import chip_of
from clusterwright.training.plan import TrainingPlan
from clusterwright.validation.lookup import Lookup

IMPOSSIBLE, OTHER_ACCELERATOR = "impossible", "accelerator"
"""Causes that say that a plan is not of the run."""
SIZELESS = (IMPOSSIBLE, OTHER_ACCELERATOR, "ended", "nan")
"""Causes that no seconds belong to."""


def refuse_other_model(plan: TrainingPlan, settings: RunSettings) -> None:
    """Refuse a plan of another model than the log prints.

    Raises
    ------
    InputError
        Layers or width are not those of the plan's model.
    """
    model, told = plan.question.model, settings.shape
    printed = (told.get("n_layers"), told.get("d_model"))
    planned = (model.num_layers, model.hidden_size)
    if None not in printed and printed != planned:
        raise InputError(
            f"the log is of a model of {printed[0]:,} layers of width {printed[1]:,}, and the plan "
            f"of {model.name}, which has {planned[0]:,} of {planned[1]:,}: give the plan of the "
            f"model that ran, or none"
        )


def doubts_of(case: TrainingCase, facts: Catalogue) -> tuple[Finding, ...]:
    """All that a person should know before any seconds are explained."""
    found = (impossible(case), other_accelerator(case, facts), broken_off(case), no_number(case))
    return tuple(one for one in found if one is not None)


def _doubt(cause: str, title: str, evidence: str, advice: str, sure: Sureness) -> Finding:
    return Finding(
        cause=cause, title=title, time=math.nan, share=math.nan, evidence=evidence, advice=advice,
        sure=sure,
    )  # fmt: skip


def impossible(case: TrainingCase) -> Finding | None:
    """The planned work done so fast exceeds the accelerators' peak."""
    if case.target is None or not case.step > 0.0:
        return None
    expected = case.target.expected
    mfu = expected.mfu * expected.step_time / case.step
    if mfu <= 1.0:
        return None
    return _doubt(
        IMPOSSIBLE, "more than the accelerators can do: the plan is not of this run",
        f"the planned work in the measured time would be {mfu:.0%} of the accelerators' peak",
        "give the plan of the model, batch, sequence length, precision and accelerators that ran",
        "strong",
    )  # fmt: skip


def other_accelerator(case: TrainingCase, facts: Catalogue) -> Finding | None:
    """The log names another accelerator than the plan's."""
    if case.plan is None or case.run is None:
        return None
    ran = chip_of(case.run.settings, None, facts)
    planned = case.plan.question.cluster.accelerator
    alike = Lookup(facts).device_of(planned.name)  # a machine of one's own, by its name
    if ran is None or ran.id in (planned.id, alike.accelerator if alike else ""):
        return None
    return _doubt(
        OTHER_ACCELERATOR, "another accelerator than planned",
        f"the log says {case.run.settings.accelerator}, the plan is for {planned.name}",
        f"plan again with --accelerator {ran.id}: what is expected here is of the other one",
        "strong",
    )  # fmt: skip


def broken_off(case: TrainingCase) -> Finding | None:
    """An error stands after the last step."""
    run = case.run
    said = [mark.said for mark in run.marks if mark.kind == "error" and mark.row == len(run.steps)
            ] if run else []  # fmt: skip
    if run is None or not said:
        return None
    memory = next((line for line in said if "memory" in line.lower()), "")
    advice = (
        "a smaller micro-batch, more recompute or sharding (clusterwright plan train says what "
        "fits); PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"
        if memory
        else "the first error of the first rank that failed is the cause, later ones follow from it"
    )
    return _doubt(
        "ended", "an error stands after the last step",
        f"after step {run.iteration[-1]:,} the log says: {(memory or said[0])[:120].rstrip('.')}",
        advice, "some",
    )  # fmt: skip


def no_number(case: TrainingCase) -> Finding | None:
    """The loss is not a number in the end."""
    run = case.run
    bad = sorted({mark.row for mark in run.marks if mark.kind == "nan"}) if run else []
    if run is None or not bad or bad[-1] != len(run.steps) - 1:
        return None
    first = bad[-1]
    while first - 1 in bad:
        first -= 1
    return _doubt(
        "nan", "the loss is not a number",
        f"so it is from step {run.iteration[first]:,} to the last, {run.iteration[-1]:,}",
        "go back to a checkpoint before it; a lower learning rate, a longer warm-up or gradient "
        "clipping; look at the data of that step", "strong",
    )  # fmt: skip
