"""Predictions against measurements: one result per run, and what they come to by source.

Errors are shares of the measured step time, positive where the prediction is too slow. A source is
judged by the median over its runs of each metric, so that a sweep of a thousand runs weighs as much
as a table of ten.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from clusterwright.errors import ClusterwrightError
from clusterwright.hardware import Cluster
from clusterwright.model.records import Model
from clusterwright.records import Record
from clusterwright.software import Software
from clusterwright.strategy import Strategy
from clusterwright.training.estimate import Term
from clusterwright.training.space import chunk_counts
from clusterwright.validation.lookup import Lookup
from clusterwright.validation.metrics import flat_time, time_of, value_of
from clusterwright.validation.questions import Question, Unasked, question_of
from clusterwright.validation.runs import Run
from clusterwright.validation.strategies import LIGHTEST_FIRST
from clusterwright.workload import TrainingWorkload

Watch = Callable[[int, int], None]
"""Progress: how many are done, of how many."""


class Prediction(Protocol):
    """What is needed of an estimate (`clusterwright.training` has it)."""

    @property
    def step_time(self) -> float:
        """Time of one step. [s]"""

    @property
    def step_time_interval(self) -> tuple[float, float]:
        """Its 80 % interval. [s]"""

    @property
    def memory_bytes(self) -> float:
        """Peak memory of the fullest stage. [B]"""

    @property
    def allocated_bytes(self) -> float:
        """The part of it that frameworks count and report."""

    @property
    def fits(self) -> bool:
        """Whether that is inside the accelerator's memory."""

    @property
    def waterfall(self) -> Sequence[Term]:
        """What the step time is the sum of."""


class Predict(Protocol):
    """A cost model: `clusterwright.training.estimate_training`, or a stub."""

    def __call__(
        self,
        model: Model,
        cluster: Cluster,
        workload: TrainingWorkload,
        strategy: Strategy,
        *,
        software: Software,
    ) -> Prediction:
        """Estimate one strategy; memory that does not fit is no error."""


class Result(Record, frozen=True, kw_only=True):
    """One run, predicted. ``None`` where its status is not ``ok``.

    ``measured_value``, ``predicted_value``, ``predicted_low``, ``predicted_high`` are in the row's
    own metric; times are step times. [s]  ``error`` is predicted / measured − 1 of the step time,
    ``flat_error`` the same of the one-line formula. ``complete``: the source gives the whole
    configuration. ``job``: what runs share that differ in their strategy alone. Memory in bytes,
    as a framework counts it; a published run fitted, so ``fits`` False is a false alarm.
    ``terms``: the shares of the predicted time by cause.
    """

    id: str
    source: str
    metric: str
    status: str
    reason: str = ""
    complete: bool = True
    accelerator: str
    software: str = ""
    model_kind: str = ""
    job: str = ""
    measured_value: float
    predicted_value: float | None = None
    predicted_low: float | None = None
    predicted_high: float | None = None
    measured_time: float | None = None
    predicted_time: float | None = None
    error: float | None = None
    inside: bool | None = None
    flat_error: float | None = None
    predicted_memory_bytes: float | None = None
    measured_memory_bytes: float | None = None
    fits: bool | None = None
    filled: tuple[str, ...] = ()
    terms: dict[str, float] = {}


class Summary(Record, frozen=True, kw_only=True):
    """Errors over a group of results; shares of the measured step time.

    ``bias`` is the median signed error, ``coverage80`` the share of measurements inside the 80 %
    interval, ``false_oom`` the share predicted not to fit although they ran.
    """

    source: str
    metric: str
    rows: int
    median_abs_error: float
    p90_abs_error: float
    bias: float
    coverage80: float
    flat_median_abs_error: float
    false_oom: float


class Score(Record, frozen=True, kw_only=True):
    """The headline: runs whose whole configuration is published, by source, worst first."""

    rows: int
    ok: int
    unsupported: int
    incomplete: int
    mean_source_median_abs_error: float | None
    sources: tuple[Summary, ...]
    false_oom: float | None


def score_runs(
    runs: Sequence[Run], lookup: Lookup, predict: Predict, watch: Watch | None = None
) -> list[Result]:
    """Predict every run and hold the predictions against what was measured.

    Parameters
    ----------
    watch
        Told how many runs are done, of how many.
    """
    results = []
    for done, run in enumerate(runs, start=1):
        results.append(result_of(run, question_of(run, lookup), predict))
        if watch is not None:
            watch(done, len(runs))
    return results


def result_of(run: Run, question: Question | Unasked, predict: Predict) -> Result:
    """Return the result of one run; what the cost model refuses is ``unsupported``."""
    if isinstance(question, Unasked):
        return _blank(run, question.status, question.reason)
    try:
        answered, prediction = answer(question, predict)
        return _compared(run, answered, prediction)
    except ClusterwrightError as error:
        return _blank(run, "unsupported", str(error), question)


def answer(question: Question, predict: Predict) -> tuple[Question, Prediction]:
    """Ask the cost model; take the fastest virtual stages and the lightest recompute left open.

    The framework's default recomputation comes first. When nothing fits, the default stands.
    """
    if question.vpp_open:
        question = _with_fastest_vpp(question, predict)
    first = _ask(question, predict)
    if first.fits or not question.recompute_open:
        return question, first
    default = question.strategy.recompute
    for recompute in LIGHTEST_FIRST[LIGHTEST_FIRST.index(default) + 1 :]:
        strategy = msgspec.structs.replace(question.strategy, recompute=recompute)
        words = f"recompute={recompute} (the default does not fit)"
        heavier = msgspec.structs.replace(
            question, strategy=strategy, filled=(*question.filled, words)
        )
        prediction = _ask(heavier, predict)
        if prediction.fits:
            return heavier, prediction
    return question, first


def _with_fastest_vpp(question: Question, predict: Predict) -> Question:
    """Interleave as the planner would: the virtual stages that fit and take the least time."""
    strategy = question.strategy
    micro = question.workload.global_batch // (strategy.dp * strategy.micro_batch)
    best, least = question, math.inf
    for vpp in chunk_counts(question.model.num_layers, strategy.pp):
        if vpp > 1 and micro % strategy.pp:
            continue
        tried = msgspec.structs.replace(strategy, vpp=vpp)
        words = f"vpp={vpp} (the fastest)"
        other = msgspec.structs.replace(question, strategy=tried, filled=(*question.filled, words))
        found = _ask(other, predict)
        if found.fits and found.step_time < least:
            best, least = other, found.step_time
    return best


def score(results: Sequence[Result], *, complete: bool = True) -> Score:
    """Sum up the runs whose configuration is complete (or, for comparison, the others)."""
    chosen = [r for r in results if r.complete is complete]
    sources = summarise(chosen, lambda r: (r.source, r.metric))
    medians = [summary.median_abs_error for summary in sources]
    states = [r.status for r in chosen]
    return Score(
        rows=len(chosen),
        ok=states.count("ok"),
        unsupported=states.count("unsupported"),
        incomplete=states.count("incomplete"),
        mean_source_median_abs_error=statistics.fmean(medians) if medians else None,
        sources=sources,
        false_oom=false_oom(chosen),
    )


def summarise(
    results: Iterable[Result], key: Callable[[Result], tuple[str, str]]
) -> tuple[Summary, ...]:
    """Return one summary per group of the results that were predicted, worst first.

    Parameters
    ----------
    key
        The group and the metric of a result, e.g. ``lambda r: (r.accelerator, "all")``.
    """
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.status == "ok":
            groups.setdefault(key(result), []).append(result)
    made = [_summary(name, metric, group) for (name, metric), group in groups.items()]
    return tuple(sorted(made, key=lambda s: (-s.median_abs_error, s.source, s.metric)))


def by_kind(results: Iterable[Result]) -> dict[str, tuple[Summary, ...]]:
    """Return summaries by accelerator, by framework and by kind of model."""
    rows = list(results)
    keys: Mapping[str, Callable[[Result], tuple[str, str]]] = {
        "accelerator": lambda r: (r.accelerator, "all"),
        "software": lambda r: (r.software, "all"),
        "model_kind": lambda r: (r.model_kind, "all"),
    }
    return {name: summarise(rows, key) for name, key in keys.items()}


def false_oom(results: Iterable[Result]) -> float | None:
    """Return the share of published runs that are predicted not to fit."""
    fits = [r.fits for r in results if r.fits is not None]
    return fits.count(False) / len(fits) if fits else None


def memory_errors(results: Iterable[Result]) -> list[float]:
    """Return predicted over measured memory, minus 1, of the runs that print it."""
    return [
        r.predicted_memory_bytes / r.measured_memory_bytes - 1.0
        for r in results
        if r.predicted_memory_bytes and r.measured_memory_bytes
    ]


def model_kind(model: Model, workload: TrainingWorkload) -> str:
    """Return what kind of model is trained: lora, hybrid, mla, moe or dense.

    Multi-head latent attention is told by its two-step projections.
    """
    blocks = model.blocks
    if workload.method != "full":
        return "lora"
    if any(core.kind == "linear" for block in blocks for core in block.cores):
        return "hybrid"
    if any(p.name == "kv_a" for block in blocks for p in block.projections):
        return "mla"
    return "moe" if any(block.experts for block in blocks) else "dense"


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile by linear interpolation between the sorted values.

    >>> quantile([4.0, 1.0, 3.0, 2.0], 0.5)
    2.5
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _ask(question: Question, predict: Predict) -> Prediction:
    return predict(
        question.model,
        question.cluster,
        question.workload,
        question.strategy,
        software=question.software,
    )


def _compared(run: Run, question: Question, prediction: Prediction) -> Result:
    """Hold one prediction against its measurement."""
    measured = time_of(run, question, run.measured_value)
    low, high = prediction.step_time_interval
    ends = sorted(value_of(run, question, time) for time in (low, high))
    return Result(
        id=run.id,
        source=run.source,
        metric=run.measured_metric,
        status="ok",
        complete=run.config_complete is not False,
        accelerator=question.cluster.accelerator.id,
        software=question.software.id,
        model_kind=model_kind(question.model, question.workload),
        job=_job(run, question),
        measured_value=run.measured_value,
        predicted_value=value_of(run, question, prediction.step_time),
        predicted_low=ends[0],
        predicted_high=ends[1],
        measured_time=measured,
        predicted_time=prediction.step_time,
        error=prediction.step_time / measured - 1.0,
        inside=low <= measured <= high,
        flat_error=flat_time(question) / measured - 1.0,
        predicted_memory_bytes=prediction.allocated_bytes,
        measured_memory_bytes=measured_memory(run),
        fits=prediction.fits,
        filled=question.filled,
        terms={term.name: term.time / prediction.step_time for term in prediction.waterfall},
    )


def _job(run: Run, question: Question) -> str:
    """All that a row says but for its strategy."""
    work, machine = question.workload, question.cluster
    parts = (
        question.model.name,
        f"{question.model.num_layers} layers",
        f"{machine.count} {machine.accelerator.id}",
        f"{work.global_batch} x {work.sequence_length}",
        work.precision,
        run.framework,
    )
    return ", ".join(parts)


def measured_memory(run: Run) -> float | None:
    """Return the printed memory; in binary units where the notes say so. [B]"""
    if run.memory_gb_per_accel is None:
        return None
    return run.memory_gb_per_accel * (2.0**30 if "GiB" in run.notes else 1e9)


def _blank(run: Run, status: str, reason: str, question: Question | None = None) -> Result:
    """Return the result of a run that has no prediction."""
    return Result(
        id=run.id,
        source=run.source,
        metric=run.measured_metric,
        status=status,
        reason=reason,
        complete=run.config_complete is not False,
        accelerator=question.cluster.accelerator.id if question else run.accelerator,
        software=question.software.id if question else "",
        model_kind=model_kind(question.model, question.workload) if question else "",
        measured_value=run.measured_value,
        filled=question.filled if question else (),
    )


def _summary(source: str, metric: str, group: Sequence[Result]) -> Summary:
    signed = [r.error for r in group if r.error is not None]
    errors = [abs(e) for e in signed]
    flat = [abs(r.flat_error) for r in group if r.flat_error is not None]
    return Summary(
        source=source,
        metric=metric,
        rows=len(group),
        median_abs_error=statistics.median(errors),
        p90_abs_error=quantile(errors, 0.9),
        bias=statistics.median(signed),
        coverage80=sum(bool(r.inside) for r in group) / len(group),
        flat_median_abs_error=statistics.median(flat),
        false_oom=false_oom(group) or 0.0,
    )
