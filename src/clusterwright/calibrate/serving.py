"""Fit what kernels cannot explain of inference engines: host times, and a few factors.

A tenth of the published runs is fitted on, chosen by a hash of the run; the rest judges. An engine
has one set of host times and one pair of factors on the device's time (decoding, prompts); chips
and formats that were measured have a pair of their own, drawn towards the engine's the more, the
fewer rows there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import ClusterwrightError
from clusterwright.facts import from_entry
from clusterwright.inference import Correction, InferenceEngine
from clusterwright.validation.serving.predicting import Predictor
from clusterwright.validation.serving.questions import ServeLookup, ServeQuestion, question_of
from clusterwright.validation.serving.rows import PROMPT_METRICS, ServeRun
from clusterwright.validation.serving.tenths import fitted_keys, run_key

CAP = 0.7
"""Largest logarithm of an error that counts: beyond it something else is wrong. [1]"""
BEYOND = 0.2
"""Share of what lies beyond it that counts all the same. [1]"""
DRAW = 0.6
"""How hard a factor is drawn towards its parent's: as by so many rows' doubts. [1]"""
DECODE_NUMBERS = ("decode", "step_time", "sequence_time")
PROMPT_NUMBERS = (("launch_time", "prompt", "entry_time"), ("prompt", "launch_time", "entry_time"))
"""Orders in which the numbers of steps with prompts are moved: each may end in a valley of its own,
and the deeper one counts."""
DOUBT = 0.3
"""What moving a number by a factor of e must gain, times the rows it rests on. [1]"""
FEWEST_ROWS = 2
"""One row cannot tell steps that decode from steps with prompts, nor the host from the device."""
HOST = ("step_time", "launch_time", "sequence_time", "entry_time")
STEPS = (0.5, 0.71, 0.84, 0.93, 1.08, 1.19, 1.41, 2.0)
LEAST = {"sequence_time": 1e-6}

Case = tuple[ServeRun, ServeQuestion]


def fit_serving(
    runs: Iterable[ServeRun], known: ServeLookup, tell: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Fit all engines that the runs' tenth has rows of.

    Parameters
    ----------
    runs
        Published runs; all that are complete, of which a tenth is used.
    known
        The catalogue; its engines are taken as documented, what was fitted before forgotten.
    tell
        Told what was fitted, line by line.

    Returns
    -------
    Entries of the catalogue's ``serving_stacks``, by id.
    """
    known.engines = tuple(
        _documented(known.facts, name) for name in known.facts.entries("inference")
    )
    predictor = Predictor(known)
    by_engine: dict[str, list[Case]] = defaultdict(list)
    every = list(runs)
    chosen = fitted_keys(every)
    for run in every:
        if run.config_complete and run_key(run) in chosen:
            try:
                question = question_of(run, known)
                if question.eager:  # the host's time, which says nothing of the device's
                    continue
                predictor.predict(run, question)
            except ClusterwrightError:
                continue
            by_engine[question.engine.id].append((run, question))
    entries = []
    for name in sorted(by_engine):
        cases = by_engine[name]
        if len(cases) < FEWEST_ROWS:
            tell(f"{name:22s} {len(cases):4d} row, left as documented")
            continue
        fitted, before, after = _fit_engine(cases, predictor)
        tell(f"{name:22s} {len(cases):4d} rows  {before:.3f} -> {after:.3f}")
        entries.append(_entry(fitted, cases, after))
    return entries


def _documented(facts: Catalogue, name: str) -> InferenceEngine:
    entry = facts.entry("inference", name)
    return from_entry(InferenceEngine, entry)


def _fit_engine(cases: list[Case], predictor: Predictor) -> tuple[InferenceEngine, float, float]:
    start = msgspec.structs.replace(cases[0][1].engine, corrections=(Correction(),))
    before = _loss(cases, start, predictor)
    ends = [_descend(cases, start, order, predictor) for order in PROMPT_NUMBERS]
    engine = min(ends, key=lambda end: _loss(cases, end, predictor))
    for level in (("profile",), ("profile", "weights"), ("accelerator", "weights")):
        engine = _refine(cases, engine, level, predictor)
    return _elsewhere(cases, engine), before, _error(cases, engine, predictor)


def _descend(
    cases: list[Case], engine: InferenceEngine, order: tuple[str, ...], predictor: Predictor
) -> InferenceEngine:
    """Move an engine's numbers one after another, as long as the errors fall."""
    decoding = [case for case in cases if case[0].measured_metric not in PROMPT_METRICS]
    for steps in (STEPS, STEPS, STEPS[2:6]):
        for name in DECODE_NUMBERS if decoding else ():
            engine = _improve(decoding, engine, name, predictor, steps)
        for name in order:
            engine = _improve(cases, engine, name, predictor, steps)
    return engine


def _elsewhere(cases: list[Case], engine: InferenceEngine) -> InferenceEngine:
    """Draw an engine's factors for generations of chips that were not measured towards none.

    What was seen on ``n`` generations is partly theirs, partly the engine's: of factors from
    engines that were measured on several, about half is common to them. So the engine's own count
    ``n / (n + 1)`` where nothing was measured, and in full where they were.
    """
    first, *rest = engine.corrections
    measured = sorted({_whereabouts(question)["profile"] for _, question in cases})
    named = {one.profile for one in rest if not one.weights}
    kept = [
        msgspec.structs.replace(first, profile=profile)
        for profile in measured
        if profile not in named
    ]
    share = len(measured) / (len(measured) + 1.0)
    drawn = msgspec.structs.replace(
        first,
        decode=_between(1.0, first.decode, share),
        prompt=_between(1.0, first.prompt, share),
    )
    return msgspec.structs.replace(engine, corrections=(drawn, *kept, *rest))


def _improve(
    cases: list[Case],
    engine: InferenceEngine,
    name: str,
    predictor: Predictor,
    steps: tuple[float, ...],
) -> InferenceEngine:
    """Move one number of an engine to the best of some steps."""
    best, least = engine, _loss(cases, engine, predictor)
    for step in steps:
        tried = _moved(engine, name, step)
        if tried == engine:
            continue
        loss = _loss(cases, tried, predictor)
        if loss < least - 1e-4:
            best, least = tried, loss
    return best


def _moved(engine: InferenceEngine, name: str, step: float) -> InferenceEngine:
    if name in HOST:
        value = max(getattr(engine, name), LEAST.get(name, 0.0)) * step
        return msgspec.structs.replace(engine, **{name: float(f"{value:.3g}")})
    one = engine.corrections[-1]
    changed = msgspec.structs.replace(one, **{name: float(f"{getattr(one, name) * step:.3g}")})
    return msgspec.structs.replace(engine, corrections=(*engine.corrections[:-1], changed))


def _refine(
    cases: list[Case], engine: InferenceEngine, level: tuple[str, ...], predictor: Predictor
) -> InferenceEngine:
    """Give chips or formats with rows of their own a pair of factors, drawn to their parent's."""
    groups: dict[tuple[str, ...], list[Case]] = defaultdict(list)
    for run, question in cases:
        groups[_place(question, level)].append((run, question))
    made = []
    for place, members in sorted(groups.items()):
        where = dict(zip(level, place, strict=True))
        asked = _whereabouts(members[0][1])
        parent = engine.correction(**asked)
        if parent.rows == len(members):  # the very rows that its parent rests on, already heard
            continue
        own = msgspec.structs.replace(
            Correction(rows=len(members), decode=parent.decode, prompt=parent.prompt), **where
        )
        trial = msgspec.structs.replace(engine, corrections=(*engine.corrections, own))
        for steps in (STEPS, STEPS[2:6]):
            for name in ("decode", "prompt"):
                trial = _improve(members, trial, name, predictor, steps)
        last = trial.corrections[-1]
        kept = len(members) / (len(members) + 1.0 / DRAW)
        made.append(
            msgspec.structs.replace(
                last,
                decode=_between(parent.decode, last.decode, kept),
                prompt=_between(parent.prompt, last.prompt, kept),
            )
        )
    changed = tuple(one for one in made if not _same(one, engine, groups, level))
    return msgspec.structs.replace(engine, corrections=(*engine.corrections, *changed))


def _same(
    one: Correction,
    engine: InferenceEngine,
    groups: dict[tuple[str, ...], list[Case]],
    level: tuple[str, ...],
) -> bool:
    place = tuple(getattr(one, name) for name in level)
    parent = engine.correction(**_whereabouts(groups[place][0][1]))
    return (parent.decode, parent.prompt) == (one.decode, one.prompt)


def _between(parent: float, own: float, share: float) -> float:
    return float(f"{float(np.exp((1 - share) * np.log(parent) + share * np.log(own))):.3g}")


def _whereabouts(question: ServeQuestion) -> dict[str, str]:
    deployment = question.pools[-1].deployment
    return {
        "profile": question.cluster.accelerator.profile or "generic-gpu",
        "accelerator": question.cluster.accelerator.id,
        "weights": deployment.expert_weights or deployment.weights,
    }


def _place(question: ServeQuestion, level: tuple[str, ...]) -> tuple[str, ...]:
    known = _whereabouts(question)
    return tuple(known[name] for name in level)


def _errors(
    cases: list[Case], engine: InferenceEngine, predictor: Predictor
) -> dict[str, list[float]]:
    """Logarithms of predicted over measured, by source and sort of metric."""
    predictor.forget()
    found: dict[str, list[float]] = defaultdict(list)
    for run, question in cases:
        own = {name: getattr(engine, name) for name in (*HOST, "corrections")}
        fitted = msgspec.structs.replace(question.engine, **own)
        asked = msgspec.structs.replace(question, engine=fitted)
        try:
            predicted = predictor.predict(run, asked)
        except ClusterwrightError:
            continue
        found[f"{run.source} {run.measured_metric}"].append(
            float(np.log(predicted / run.measured_value))
        )
    return found


def _loss(cases: list[Case], engine: InferenceEngine, predictor: Predictor) -> float:
    """Mean over sources and metrics of the mean capped error, plus a doubt for each number.

    A source weighs with the root of its rows, so that neither a sweep nor a single row speaks for
    everybody. One row could be explained by any number: what a number moves costs the more, the
    fewer rows.
    """
    errors = _errors(cases, engine, predictor).values()
    means = [float(np.mean(_capped(np.abs(v)))) for v in errors]
    weights = [len(v) ** 0.5 for v in errors]
    doubt = DOUBT * _moves(engine, cases[0][1]) / len(cases)
    return float(np.average(means, weights=weights)) + doubt


def _capped(errors: Any) -> Any:  # noqa: ANN401 - an array
    """Errors that count less beyond the cap, where something else is wrong."""
    return np.minimum(CAP, errors) + BEYOND * np.maximum(0.0, errors - CAP)


def _moves(engine: InferenceEngine, question: ServeQuestion) -> float:
    """How far host times are from those documented, and the last factors from their parent's.

    ``question``: of a run that the last factors are for, so that their parent is found.
    """
    total = 0.0
    for name in HOST:
        least = LEAST.get(name, 0.0)
        start, end = (max(getattr(one, name), least) for one in (question.engine, engine))
        total += abs(float(np.log(end / start))) if start > 0.0 else 0.0
    *others, last = engine.corrections
    above = msgspec.structs.replace(engine, corrections=tuple(others))
    parent = above.correction(**_whereabouts(question))
    for name in ("decode", "prompt"):
        total += abs(float(np.log(getattr(last, name) / getattr(parent, name))))
    return total


def _error(cases: list[Case], engine: InferenceEngine, predictor: Predictor) -> float:
    errors = _errors(cases, engine, predictor)
    return float(np.mean([np.median(np.abs(np.expm1(v))) for v in errors.values()]))


def _entry(engine: InferenceEngine, cases: list[Case], residual: float) -> dict[str, Any]:
    corrections = [
        {key: value for key, value in msgspec.structs.asdict(one).items() if value != ""}
        for one in engine.corrections
    ]
    return {
        "id": engine.id,
        **{name: getattr(engine, name) for name in HOST},
        "corrections": corrections,
        "rows": len(cases),
        "sources": len({run.source for run, _ in cases}),
        "residual": round(residual, 4),
    }
