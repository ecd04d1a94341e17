"""Fit what the hardware cannot explain of each framework's speed, on published runs.

A framework gets a handful of factors (`clusterwright.software.Stack`), never a run or a model. They
are looked for one after the other, by steps of some per cent, as long as the loss falls by more
than `GAIN`: a factor that does not earn its place stays at its default. The loss is the mean over
sources of the mean absolute log error, so that a sweep of a thousand runs weighs as much as a table
of ten, plus a pull towards the defaults (ridge) that few rows cannot overcome.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import ClusterwrightError, InputError
from clusterwright.records import Record
from clusterwright.software import Stack
from clusterwright.training.api import estimate_training, settings_of, software_named
from clusterwright.training.estimate import TrainingEstimate
from clusterwright.validation.lookup import Lookup
from clusterwright.validation.metrics import time_of
from clusterwright.validation.questions import Question, Unasked, question_of
from clusterwright.validation.runs import Run
from clusterwright.validation.scoring import answer, measured_memory

LEAST_ROWS = 20
"""Frameworks with fewer runs keep the defaults: nothing is fitted to a single publication's few."""

ROWS_PER_SOURCE = 120
"""Rows of one source that the fit looks at; a sweep is thinned evenly."""

GAIN = 0.001
"""A step is taken when it lowers the loss by more than this: 0.1 points of error."""

MEMORY_GAIN = 0.01
"""The same for what memory depends on, in error of the memory."""

RIDGE = 0.5
"""Pull towards the defaults: a factor off by e costs this many rows' worth of error."""

CAP = 0.3
"""Log errors count up to this: a run that something unknown slowed down says nothing more."""

SHARE_STEPS = (0.8, 0.9, 0.95, 1 / 0.95, 1 / 0.9, 1.25)
TIME_STEPS = (0.5, 0.7, 0.85, 1 / 0.85, 1 / 0.7, 2.0)
SHARES = ("product_share", "attention_share", "memory_share", "expert_share", "network_share")
BOUNDS = (0.4, 1.6)
ACTIVATION_SHARES = tuple(round(0.7 + 0.1 * step, 1) for step in range(15))
GATHER_BUFFERS = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0)
"""What is tried of `Stack.activation_share` and of `Stack.gather_buffers`."""
FIRST_TIMES = {"tensor_sync_time": (1e-3, 3e-3), "tensor_hop_time": (1e-4, 3e-4, 6e-4)}
"""Where times that are usually 0 begin. [s]"""

Watch = Callable[[str, float, Stack], None]
"""Told of each step taken: framework, loss, factors."""


class Row(Record, frozen=True, kw_only=True):
    """One run, ready to be asked again: the question, and the measured time of a step. [s]

    ``memory_bytes``: what its framework had allocated at most, if printed. [B]
    """

    question: Question
    measured: float
    source: str
    memory_bytes: float | None = None


class StackFit(Record, frozen=True, kw_only=True):
    """One framework's factors; ``before`` and ``after``: mean over sources of the median error."""

    software: str
    stack: Stack
    before: float
    after: float


def rows_of(runs: Iterable[Run], facts: Catalogue) -> dict[str, list[Row]]:
    """Return the runs whose configuration is complete, by framework."""
    lookup = Lookup(facts)
    found: dict[str, list[Row]] = {}
    for run in runs:
        if run.config_complete is False:
            continue
        question = question_of(run, lookup)
        if isinstance(question, Unasked):
            continue
        try:
            answered, _ = answer(question, partial(estimate_training, catalogue=facts))
        except ClusterwrightError:
            continue
        row = Row(
            question=answered,
            measured=time_of(run, answered, run.measured_value),
            source=run.source,
            memory_bytes=measured_memory(run),
        )
        found.setdefault(answered.software.id, []).append(row)
    return {name: rows for name, rows in found.items() if len(rows) >= LEAST_ROWS}


def fit_stacks(
    runs: Iterable[Run],
    facts: Catalogue,
    *,
    only: Sequence[str] = (),
    afresh: bool = True,
    check: bool = False,
    watch: Watch | None = None,
) -> tuple[StackFit, ...]:
    """Fit every framework that enough runs are known of.

    Parameters
    ----------
    only
        Ids of the frameworks to fit (none: all).
    afresh
        Start from the defaults, so that a catalogue's factors are reproduced from its runs alone;
        otherwise from what the catalogue holds, where that fits better.
    check
        Fit again without each source in turn, and record what is left on it.
    watch
        Told of each step taken.

    Raises
    ------
    UnknownNameError
        When nobody knows a framework of ``only``.
    InputError
        When none has `LEAST_ROWS` runs whose configuration is complete.
    """
    wanted = {facts.entry("software", name).id for name in only}
    found = rows_of(runs, facts)
    chosen = {name: rows for name, rows in found.items() if not wanted or name in wanted}
    if not chosen:
        whose = " or ".join(sorted(wanted)) or "any framework"
        raise InputError(
            f"fewer than {LEAST_ROWS} runs of {whose} have a complete configuration: give more "
            f"(`validate RUNS.csv --out rows.csv` says what each lacks)"
        )
    fits = []
    for name, rows in sorted(chosen.items()):
        start = None if afresh else _known(name, facts)
        fit = fit_stack(name, rows, facts, start=start, watch=watch)
        if check:
            left = held_out_error(name, rows, facts, start=start)
            fit = msgspec.structs.replace(
                fit, stack=msgspec.structs.replace(fit.stack, held_out=left)
            )
        fits.append(fit)
    return tuple(fits)


def held_out_error(
    name: str, rows: Sequence[Row], facts: Catalogue, *, start: Stack | None = None
) -> float | None:
    """Mean over sources of the median error on each when the factors are fitted on the others. [1]

    ``start`` as in `fit_stack`. ``None`` where there is one source alone.
    """
    sources = sorted({row.source for row in rows})
    if len(sources) == 1:
        return None
    errors = []
    for source in sources:
        others = [row for row in rows if row.source != source]
        stack, _, _ = _with_times(name, _thinned(others), facts, start=start)
        left_out = _thinned([row for row in rows if row.source == source])
        errors.append(_residual(stack, left_out, facts))
    return round(statistics.fmean(errors), 4)


def fit_stack(
    name: str,
    rows: Sequence[Row],
    facts: Catalogue,
    *,
    start: Stack | None = None,
    watch: Watch | None = None,
) -> StackFit:
    """Fit one framework's factors by steps, each kept only when it earns its place.

    Parameters
    ----------
    start
        Factors to begin with if they fit better than the defaults; ``before`` is then their error.
    watch
        Told of each step taken.
    """
    thinned = _thinned(rows)
    stack, before, after = _with_times(name, thinned, facts, start=start, watch=watch)
    if stack.launch_time == settings_of(facts).launch_time:
        stack = msgspec.structs.replace(stack, launch_time=None)
    fitted = msgspec.structs.replace(
        _with_memory(stack, thinned, facts),
        rows=len(rows),
        sources=len({row.source for row in rows}),
        residual=round(after, 4),
    )
    return StackFit(software=name, stack=fitted, before=before, after=after)


def _with_times(
    name: str,
    thinned: Sequence[Row],
    facts: Catalogue,
    *,
    start: Stack | None,
    watch: Watch | None = None,
) -> tuple[Stack, float, float]:
    """The stack with what makes the loss of the times least; the error before and after."""
    default = Stack(launch_time=settings_of(facts).launch_time)
    stack, least = default, _loss(default, default, thinned, facts)
    before = _residual(start or default, thinned, facts)
    if start and (known := _loss(start, default, thinned, facts)) < least:
        stack, least = start, known
    begun, moved = stack, True
    while moved:
        moved = False
        for factor in (*SHARES, "launch_time", *FIRST_TIMES):
            if not _matters(factor, thinned):
                continue
            tried = [(_loss(s, default, thinned, facts), s) for s in _steps(stack, factor)]
            loss, better = min(tried, key=lambda pair: pair[0])
            if loss < least - GAIN:
                stack, least, moved = better, loss, True
                if watch is not None:
                    watch(name, least, stack)
    after = _residual(stack, thinned, facts)
    if after >= (unmoved := _residual(begun, thinned, facts)):
        stack, after = begun, unmoved
    return stack, before, after


def _known(name: str, facts: Catalogue) -> Stack:
    """The factors that a catalogue holds of a framework."""
    stack = software_named(facts, name).stack
    if stack.launch_time is not None:
        return stack
    return msgspec.structs.replace(stack, launch_time=settings_of(facts).launch_time)


def _with_memory(stack: Stack, rows: Sequence[Row], facts: Catalogue) -> Stack:
    """The stack with what makes the median error of the printed memories least."""
    told = [row for row in rows if row.memory_bytes]
    if len(told) < LEAST_ROWS:
        return stack

    def error(tried: Stack) -> float:
        found = [
            abs(_estimate(row, tried, facts).allocated_bytes / (row.memory_bytes or 1.0) - 1.0)
            for row in told
        ]
        return statistics.median(found)

    wide = sum(r.question.strategy.tp > 1 and r.question.strategy.pp == 1 for r in told)
    buffers = GATHER_BUFFERS if wide >= LEAST_ROWS else (stack.gather_buffers,)
    tried = [
        msgspec.structs.replace(stack, activation_share=share, gather_buffers=held)
        for share in ACTIVATION_SHARES
        for held in buffers
    ]
    best = min(tried, key=error)
    return best if error(best) < error(stack) - MEMORY_GAIN else stack


def _estimate(row: Row, stack: Stack, facts: Catalogue) -> TrainingEstimate:
    """Ask one run again under other factors."""
    asked = row.question
    return estimate_training(
        asked.model,
        asked.cluster,
        asked.workload,
        asked.strategy,
        software=msgspec.structs.replace(asked.software, stack=stack),
        catalogue=facts,
    )


def _thinned(rows: Sequence[Row]) -> list[Row]:
    """Keep at most `ROWS_PER_SOURCE` rows of each source, evenly spaced."""
    by_source: dict[str, list[Row]] = {}
    for row in rows:
        by_source.setdefault(row.source, []).append(row)
    kept: list[Row] = []
    for group in by_source.values():
        stride = max(1, math.ceil(len(group) / ROWS_PER_SOURCE))
        kept.extend(group[::stride])
    return kept


def _matters(factor: str, rows: Sequence[Row]) -> bool:
    """Whether any row depends on a factor."""
    if factor == "launch_time":
        return not all(row.question.software.graphs for row in rows)
    if factor == "expert_share":
        return any(block.experts for row in rows for block in row.question.model.blocks)
    if factor == "tensor_sync_time":
        cuts = [row.question.strategy for row in rows]
        return sum(cut.tp > 1 and cut.pp > 1 for cut in cuts) >= LEAST_ROWS
    if factor == "tensor_hop_time":
        questions = [row.question for row in rows]
        wide = sum(q.strategy.tp > q.cluster.levels[0].size for q in questions)
        return wide >= LEAST_ROWS
    return True


def _steps(stack: Stack, factor: str) -> list[Stack]:
    """The factor a step or two away from where it is."""
    value = getattr(stack, factor)
    if factor in FIRST_TIMES and value == 0.0:
        tried = list(FIRST_TIMES[factor])
    elif factor in SHARES:
        low, high = BOUNDS
        tried = [min(high, max(low, value * step)) for step in SHARE_STEPS]
    else:
        tried = [value * step for step in TIME_STEPS]
    return [msgspec.structs.replace(stack, **{factor: round(v, 9)}) for v in tried]


def _errors(stack: Stack, rows: Sequence[Row], facts: Catalogue) -> Mapping[str, list[float]]:
    """Log of predicted over measured time, by source."""
    found: dict[str, list[float]] = {}
    for row in rows:
        time = _estimate(row, stack, facts).step_time
        found.setdefault(row.source, []).append(math.log(time / row.measured))
    return found


def _loss(stack: Stack, default: Stack, rows: Sequence[Row], facts: Catalogue) -> float:
    """Mean over sources of the mean absolute log error, and the pull towards the defaults."""
    errors = _errors(stack, rows, facts)
    fit = statistics.fmean(
        statistics.fmean(min(CAP, math.hypot(e, 0.02)) for e in group) for group in errors.values()
    )
    pull = sum(
        abs(math.log(getattr(stack, name) / getattr(default, name)))
        for name in (*SHARES, "launch_time")
    )
    return fit + RIDGE * pull / len(rows)


def _residual(stack: Stack, rows: Sequence[Row], facts: Catalogue) -> float:
    """Mean over sources of the median absolute relative error."""
    errors = _errors(stack, rows, facts)
    return statistics.fmean(
        statistics.median(abs(math.expm1(e)) for e in group) for group in errors.values()
    )
