"""Published serving runs predicted, and what the errors come to by source and metric."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from clusterwright.aligned import aligned, percent
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import ClusterwrightError
from clusterwright.model.records import Model
from clusterwright.records import Record
from clusterwright.serving.intervals import Sort, at_worst, interval_of
from clusterwright.validation.serving.predicting import Predictor
from clusterwright.validation.serving.questions import ServeLookup, question_of
from clusterwright.validation.serving.rows import PER_TOKEN, ServeRun, read_serve_runs
from clusterwright.validation.serving.tenths import run_key, seen_keys

Watch = Callable[[int, int], None]
"""Progress: how many are done, of how many."""


class ServeResult(Record, frozen=True, kw_only=True):
    """One row, predicted; values are in the row's own metric and unit.

    ``error``: predicted over measured, less one. ``low``, ``high``: 80 % interval. ``status``:
    ``ok``, ``unsupported`` (``reason`` says why) or ``incomplete`` (the source does not say enough
    to ask). ``seen``: factors or intervals rest on the run, so that it judges neither.
    """

    id: str
    source: str
    metric: str
    status: str
    reason: str = ""
    model: str
    accelerator: str
    engine: str = ""
    sort: Sort = "throughput"
    measured_value: float
    predicted_value: float | None = None
    low: float | None = None
    high: float | None = None
    error: float | None = None
    seen: bool = False
    filled: tuple[str, ...] = ()

    @property
    def inside(self) -> bool | None:
        """Whether what was measured lies in the interval; None: there is none."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.measured_value <= self.high


class ServeSummary(Record, frozen=True, kw_only=True):
    """Errors of one source and metric; ``bias``: the median signed error. [1]"""

    source: str
    metric: str
    rows: int
    median_abs_error: float
    p90_abs_error: float
    bias: float


class ServeScore(Record, frozen=True, kw_only=True):
    """What all rows come to.

    ``mean_source_median_abs_error``: by sort of metric, the mean over sources of the median
    absolute relative error. [1] ``coverage``: share of rows inside their 80 % interval, by sort and
    of ``all``. [1]
    """

    rows: int
    ok: int
    unsupported: int
    incomplete: int
    mean_source_median_abs_error: dict[str, float]
    bias: dict[str, float]
    coverage: dict[str, float]
    sources: tuple[ServeSummary, ...]


SORTS: dict[str, Sort] = {
    "ttft_ms": "TTFT",
    "prefill_tokens_per_s": "prefill",
    "e2e_latency_ms": "latency",
}
"""Metric → sort; the others are throughput. TPOT is judged apart for dense and sparse models."""


def validate_serving(
    path: Path, facts: Catalogue, *, watch: Watch | None = None
) -> tuple[ServeResult, ...]:
    """Predict all rows of a table.

    Raises
    ------
    TableError
        It cannot be read as one.
    """
    known = ServeLookup(facts)
    predictor = Predictor(known)
    runs = read_serve_runs(path)
    seen = seen_keys(runs)
    results = []
    for done, run in enumerate(runs, start=1):
        result = predict_row(run, known, predictor)
        results.append(msgspec.structs.replace(result, seen=run_key(run) in seen))
        if watch:
            watch(done, len(runs))
    return tuple(results)


def predict_row(run: ServeRun, known: ServeLookup, predictor: Predictor) -> ServeResult:
    """Predict one row; what stops it is the result's reason."""
    base: dict[str, Any] = {
        "id": run.id,
        "source": run.source,
        "metric": run.measured_metric,
        "model": run.model_name,
        "accelerator": run.accelerator,
        "measured_value": run.measured_value,
    }
    if not run.config_complete:
        return ServeResult(**base, status="incomplete", reason="the source does not say enough")
    try:
        question = question_of(run, known)
        predicted = predictor.predict(run, question)
    except ClusterwrightError as error:
        return ServeResult(**base, status="unsupported", reason=str(error))
    sort = sort_of_metric(run.measured_metric, question.model)
    profile = question.cluster.accelerator.profile
    interval = interval_of(known.intervals, sort, engine=question.engine.id, profile=profile)
    return ServeResult(
        **base,
        status="ok",
        engine=question.engine.id,
        sort=sort,
        predicted_value=predicted,
        low=None if interval is None else predicted * interval.low,
        high=None if interval is None else at_worst(predicted, interval),
        error=predicted / run.measured_value - 1.0,
        filled=question.filled,
    )


def score_serving(results: Sequence[ServeResult]) -> ServeScore:
    """Sum results up by source and metric."""
    groups: dict[tuple[str, str], list[float]] = {}
    sorts: dict[str, dict[str, list[float]]] = {}
    for result in results:
        if result.error is not None:
            groups.setdefault((result.source, result.metric), []).append(result.error)
            sort = result.sort
            sorts.setdefault(sort, {}).setdefault(result.source, []).append(result.error)
    medians = {
        sort: statistics.fmean(_middle(errors) for errors in sources.values())
        for sort, sources in sorted(sorts.items())
    }
    biases = {
        sort: statistics.median(statistics.median(errors) for errors in sources.values())
        for sort, sources in sorted(sorts.items())
    }
    count = [result.status for result in results].count
    return ServeScore(
        rows=len(results),
        ok=count("ok"),
        unsupported=count("unsupported"),
        incomplete=count("incomplete"),
        mean_source_median_abs_error=medians,
        bias=biases,
        coverage=_coverage(results),
        sources=tuple(_summary(*key, errors) for key, errors in sorted(groups.items())),
    )


def sort_of_metric(metric: str, model: Model) -> Sort:
    """What sort of metric something is judged by."""
    if metric in PER_TOKEN:
        sparse = any(block.experts for block in model.blocks)
        return "TPOT sparse" if sparse else "TPOT dense"
    return SORTS.get(metric, "throughput")


def _coverage(results: Sequence[ServeResult]) -> dict[str, float]:
    """Share of predicted rows inside their interval, by sort of metric and of all."""
    inside: dict[str, list[bool]] = {}
    for one in results:
        if one.inside is not None:
            inside.setdefault(one.sort, []).append(one.inside)
            inside.setdefault("all", []).append(one.inside)
    return {sort: statistics.fmean(hits) for sort, hits in sorted(inside.items())}


def as_text(results: Sequence[ServeResult]) -> str:
    """The score in words and a table, the worst source first."""
    total = score_serving(results)
    counts = f"{total.ok} predicted, {total.unsupported} unsupported, {total.incomplete} incomplete"
    lines = [
        f"{total.rows} rows: {counts}",
        "Mean over sources of the median error (median bias; rows inside their 80 % interval):",
    ]
    for sort, error in total.mean_source_median_abs_error.items():
        inside = percent(total.coverage[sort]) if sort in total.coverage else "-"
        bias = percent(total.bias[sort])
        lines.append(f"  {sort:12s} {percent(error):>7s}  ({bias:>7s}; {inside})")
    worst = sorted(total.sources, key=lambda one: -one.median_abs_error)
    rows = [
        [s.source, s.metric, str(s.rows)]
        + [percent(value) for value in (s.median_abs_error, s.p90_abs_error, s.bias)]
        for s in worst
    ]
    header = ("source", "metric", "rows", "median", "p90", "bias")
    lines += ["", *aligned(header, rows, align="llrrrr")]
    reasons = unsupported_reasons(results)
    if reasons:
        lines += ["", "Not predicted:", *(f"  {number:5d}  {why}" for why, number in reasons)]
    return "\n".join(lines) + "\n"


def unsupported_reasons(results: Iterable[ServeResult]) -> list[tuple[str, int]]:
    """Why rows were not predicted, the most frequent first."""
    counts: dict[str, int] = {}
    for result in results:
        if result.status == "unsupported":
            counts[result.reason] = counts.get(result.reason, 0) + 1
    return sorted(counts.items(), key=lambda pair: -pair[1])


def as_csv(results: Sequence[ServeResult]) -> str:
    """One line per row, blank where there is no value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ServeResult.__struct_fields__
    writer.writerow(names)
    for result in results:
        values = [getattr(result, name) for name in names]
        writer.writerow(["; ".join(v) if isinstance(v, tuple) else v for v in values])
    return out.getvalue()


def as_json(results: Sequence[ServeResult]) -> dict[str, Any]:
    """The score as plain values, one entry for each source and metric."""
    plain: dict[str, Any] = msgspec.to_builtins(score_serving(results))
    return plain


def _summary(source: str, metric: str, errors: list[float]) -> ServeSummary:
    return ServeSummary(
        source=source,
        metric=metric,
        rows=len(errors),
        median_abs_error=_middle(errors),
        p90_abs_error=float(np.quantile(np.abs(errors), 0.9)),
        bias=statistics.median(errors),
    )


def _middle(errors: list[float]) -> float:
    return statistics.median(abs(error) for error in errors)
