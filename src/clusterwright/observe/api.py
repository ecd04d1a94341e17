"""Read what tools wrote of a run, hold it against a plan, and say what differs and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from clusterwright.asking_model import find_model
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.observe import causes_serving, causes_training
from clusterwright.observe.against_serving import (
    merged,
    nearest,
    per_token,
    served_as_run,
    serving_terms,
    statistic,
)
from clusterwright.observe.against_training import (
    split_by_timers,
    split_by_traces,
    training_terms,
)
from clusterwright.observe.as_run import AsRun, as_run
from clusterwright.observe.case import TrainingCase
from clusterwright.observe.doubts import doubts_of, refuse_other_model
from clusterwright.observe.findings import Fact, Finding, Term
from clusterwright.observe.reading import Read, read_files
from clusterwright.observe.records import RunSettings, ServingRun, TraceSummary, TrainingRun
from clusterwright.observe.saying import serving_facts, trace_facts, training_facts
from clusterwright.observe.steady import pace_of
from clusterwright.observe.utilisation import chip_of, model_of, utilisation_of
from clusterwright.records import Record
from clusterwright.saved_plans import Plan
from clusterwright.serving.plan import ServingPlan
from clusterwright.strategy import Strategy
from clusterwright.training.plan import TrainingPlan
from clusterwright.units import format_time

Verdict = Literal["as planned", "within the plan's interval", "slower", "faster", "no plan", "open"]

AS_PLANNED = 0.05
"""A run that differs by no more than this share, and has no cause as large, is as planned."""


class Diagnosis(Record, frozen=True, kw_only=True):
    """What files say of a run, and what a plan says of that.

    ``verdict``: of the whole; ``open``: the files do not say how fast the run is. ``said``: that as
    a sentence. ``facts``: what the files say; ``terms``: planned beside measured, and ``against``:
    what that was, where a run is not as it was planned; ``findings``: the causes, largest first.
    ``notes``: how the files were read. The rest is what was read.
    """

    kind: Literal["training", "serving"]
    tool: str
    paths: tuple[str, ...]
    verdict: Verdict
    said: str
    facts: tuple[Fact, ...]
    terms: tuple[Term, ...] = ()
    findings: tuple[Finding, ...] = ()
    against: str = "the plan"
    notes: tuple[str, ...] = ()
    run: TrainingRun | None = None
    serving: tuple[ServingRun, ...] = ()
    traces: tuple[TraceSummary, ...] = ()


def diagnose(
    paths: Sequence[str | Path],
    *,
    plan: Plan | None = None,
    model: str | None = None,
    accelerator: str | None = None,
    catalogue: Catalogue | None = None,
) -> Diagnosis:
    """Diagnose a run.

    Parameters
    ----------
    paths
        Logs, traces and results of one run: its ranks, its restarts, all together.
    plan
        What was planned; None: the files are read and nothing is held against them.
    model, accelerator
        By name, for the MFU of a run without a plan whose log does not tell them.
    catalogue
        Facts; by default those that are shipped.

    Raises
    ------
    InputError
        A file is of no known tool, the files do not go together, or the plan is of another kind.
    """
    facts = catalogue or shipped()
    read = read_files([Path(path) for path in paths])
    if read.serving:
        if isinstance(plan, TrainingPlan):
            raise InputError(
                "the files are of serving and the plan is for training: give a plan that "
                "`clusterwright plan serve --save` wrote"
            )
        return _serving(read, plan)
    if isinstance(plan, ServingPlan):
        raise InputError(
            "the files are of training and the plan is for serving: give a plan that "
            "`clusterwright plan train --save` wrote"
        )
    return _training(read, plan, model, accelerator, facts)


def _training(
    read: Read,
    plan: TrainingPlan | None,
    model: str | None,
    accelerator: str | None,
    facts: Catalogue,
) -> Diagnosis:
    run = read.training
    pace = pace_of(run) if run else None
    target = None
    if plan is not None:
        refuse_other_model(plan, run.settings if run else RunSettings())
        target = as_run(plan, run.settings if run else RunSettings())
    strategy = target.expected.strategy if target else Strategy()
    split = split_by_traces(read.traces, strategy)
    if split is None and run and pace:
        split = split_by_timers(run, pace)
    case = TrainingCase(
        run=run, pace=pace, split=split, traces=read.traces, plan=plan, target=target
    )
    causes = causes_training.causes_of(case) if math.isfinite(case.step) else ()
    findings = (*doubts_of(case, facts), *causes)
    used = None
    if run and pace:
        known = find_model(model, facts) if model else plan.question.model if plan else None
        chip = (
            plan.question.cluster.accelerator if plan else chip_of(run.settings, accelerator, facts)
        )
        used = utilisation_of(run, pace, model=known or model_of(run.settings), chip=chip)
    verdict, said = _training_verdict(case, findings)
    notes = [*(run.notes if run else ()), *(note for one in read.traces for note in one.notes)]
    return Diagnosis(
        kind="training",
        tool=run.tool if run else "PyTorch profiler",
        paths=(*(run.paths if run else ()), *(one.path for one in read.traces)),
        verdict=verdict,
        said=said,
        facts=(
            *(training_facts(run, pace, used) if run and pace else ()),
            *trace_facts(read.traces),
        ),
        terms=training_terms(run, case.step, split, target) if target else (),
        findings=findings,
        against="what its own settings should take" if _runs_its_own(target) else "the plan",
        notes=tuple(dict.fromkeys(notes)),
        run=run,
        traces=read.traces,
    )


def _runs_its_own(target: AsRun | None) -> bool:
    """Whether a run is held against an estimate of its own settings."""
    return target is not None and bool(target.unlike) and not target.refused


def _training_verdict(case: TrainingCase, findings: Sequence[Finding]) -> tuple[Verdict, str]:
    """The whole in a sentence."""
    step = case.step
    if not math.isfinite(step):
        return "open", "the files do not say how long a step takes: more lines of steps would"
    if case.target is None:
        return "no plan", f"a step takes {format_time(step)}; nothing was given to hold it against"
    expected = case.target.expected
    low, high = expected.step_time_interval
    own = _runs_its_own(case.target)
    whose = "is expected of these settings" if own else "was planned"
    beside = (
        f"{format_time(expected.step_time)} {whose} ({format_time(low)} to {format_time(high)})"
    )
    said = f"a step takes {format_time(step)}, {beside}"
    large = [one for one in findings if not one.share < AS_PLANNED]
    if step > high:
        return "slower", f"{said}: slower than that interval"
    if step < low:
        return "faster", f"{said}: faster than that interval"
    if not large and abs(step / expected.step_time - 1.0) <= AS_PLANNED:
        return "as planned", f"{said}: the run is as planned"
    return "within the plan's interval", f"{said}: within that interval"


def _serving(read: Read, plan: ServingPlan | None) -> Diagnosis:
    runs = merged(read.serving)
    run = nearest(runs, plan) if plan else runs[0]
    notes = list(run.notes)
    if len(runs) > 1:
        which = "the one nearest to the planned load" if plan else "the first"
        notes.append(f"{len(runs)} results: {which} is looked at")
    target = served_as_run(plan, run) if plan else None
    case = causes_serving.ServingCase(run=run, target=target)
    findings = causes_serving.causes_of(case)
    if target and target.refused:
        notes.append(f"what to expect of the run's own load cannot be said: {target.refused}")
    verdict, said = _serving_verdict(case, findings)
    return Diagnosis(
        kind="serving",
        tool=run.tool,
        paths=run.paths,
        verdict=verdict,
        said=said,
        facts=serving_facts(run),
        terms=serving_terms(run, target) if target else (),
        findings=findings,
        against="what its own load should take"
        if target and target.comparable != target.planned
        else "the plan",
        notes=tuple(notes),
        serving=runs,
    )


def _serving_verdict(
    case: causes_serving.ServingCase, findings: Sequence[Finding]
) -> tuple[Verdict, str]:
    """The whole in a sentence."""
    if case.target is None:
        return "no plan", "nothing was given to hold this against"
    expected = case.target.comparable
    bounds = {one.sort.split()[0]: (one.low, one.high) for one in expected.intervals}
    worse, better, parts = False, True, []
    for name, measured, latency, sort in (
        ("the first token", case.run.ttft, expected.ttft, "TTFT"),
        ("each one after it", per_token(case.run), expected.tpot, "TPOT"),
    ):
        value, usual = statistic(measured, latency)
        if not math.isfinite(value):
            continue
        low, high = bounds.get(sort, (1.0, 1.0))
        worse, better = worse or value > usual * high, better and value < usual * low
        parts.append(f"{name} takes {format_time(value)}, {format_time(usual)} is expected")
    if not parts:
        return "open", "the files say neither how long the first token takes nor those after it"
    said = "; ".join(parts)
    large = [one for one in findings if not one.share < AS_PLANNED]
    if worse or any(one.cause in ("queueing", "preemptions") for one in large):
        return "slower", f"{said}: slower than planned"
    if better:
        return "faster", f"{said}: faster than runs alike"
    if not large:
        return "as planned", f"{said}: as planned"
    return "within the plan's interval", f"{said}: within what runs alike take"
