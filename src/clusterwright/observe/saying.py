"""What a log says by itself, line by line, without anything to hold it against."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from clusterwright.observe.findings import Fact
from clusterwright.observe.records import (
    Percentiles,
    RunSettings,
    ServingRun,
    TraceSummary,
    TrainingRun,
)
from clusterwright.observe.steady import Pace, warms_up
from clusterwright.observe.utilisation import Utilisation
from clusterwright.units import format_count, format_time

_SETTINGS = (
    ("world_size", "{} accelerators"), ("tp", "tp {}"), ("cp", "cp {}"), ("pp", "pp {}"),
    ("vpp", "vpp {}"), ("dp", "dp {}"), ("ep", "ep {}"), ("zero", "zero {}"),
    ("micro_batch", "micro-batch {}"), ("global_batch", "global batch {:,}"),
    ("sequence_length", "sequences of {:,}"),
)  # fmt: skip


def training_facts(run: TrainingRun, pace: Pace, used: Utilisation | None) -> tuple[Fact, ...]:
    """A training log: how far, how fast, how evenly, how full, what else."""
    facts = [Fact(name="steps", said=_steps_words(run, pace))]
    if math.isfinite(pace.median):
        facts.append(Fact(name="step time", said=_pace_words(run, pace)))
    facts += [Fact(name="rate", said=said) for said in [_rate_words(run, pace)] if said]
    if used:
        facts.append(Fact(name="MFU", said=f"{used.mfu:.1%} ({used.how})"))
    facts += [Fact(name="memory", said=said) for said in [_memory_words(run)] if said]
    facts += [Fact(name="settings", said=said) for said in [_settings_words(run.settings)] if said]
    facts += [Fact(name="loss", said=said) for said in [_loss_words(run)] if said]
    facts += _incidents(run, pace)
    return tuple(facts)


def _steps_words(run: TrainingRun, pace: Pace) -> str:
    rows = f"{len(run.iteration)} line{'s' if len(run.iteration) != 1 else ''}"
    if len(run.iteration) == 1:
        said = f"step {run.iteration[0]:,}"
    else:
        said = f"{min(run.iteration):,} to {max(run.iteration):,} in {rows}"
    apart = ", ".join(f"{count} {reason}" for reason, count in pace.apart.items())
    return said + (f"; not counted: {apart}" if apart else "")


def _pace_words(run: TrainingRun, pace: Pace) -> str:
    if warms_up(run, pace):
        return f"{format_time(pace.median)}, of the first step alone, which warms up"
    if len(pace.rows) < 2:
        return f"{format_time(pace.median)}, of one line: nothing tells how it varies"
    said = (
        f"{format_time(pace.median)} (nine in ten {format_time(pace.low)} to "
        f"{format_time(pace.high)})"
    )
    if abs(pace.drift) >= 0.01:
        way = "slower" if pace.drift > 0.0 else "faster"
        said += f"; the last quarter is {abs(pace.drift):.1%} {way} than the first"
    return said


def _rate_words(run: TrainingRun, pace: Pace) -> str:
    told, parts = run.settings, []
    rate = _median(run.device_rate, pace.rows)
    if math.isfinite(rate):
        parts.append(f"{format_count(rate)} tokens/s an accelerator")
    elif told.global_batch and told.sequence_length and pace.median > 0.0:
        tokens = told.global_batch * told.sequence_length / pace.median
        parts.append(f"{format_count(tokens)} tokens/s")
    samples = _median(run.sample_rate, pace.rows or range(len(run.sample_rate)))
    if math.isfinite(samples):
        parts.append(f"{format_count(samples)} samples/s")
    flops = _median(run.flops_rate, pace.rows)
    if math.isfinite(flops):
        parts.append(f"{flops / 1e12:,.1f} TFLOP/s an accelerator, as the tool counts them")
    power = _median(run.power, pace.rows)
    if math.isfinite(power):
        parts.append(f"{power:,.0f} W an accelerator")
    return "; ".join(parts)


def _memory_words(run: TrainingRun) -> str:
    most = max((value for value in run.memory if math.isfinite(value)), default=math.nan)
    if not math.isfinite(most):
        return ""
    limit = run.settings.device_bytes
    of = f" of {limit / 2**30:.1f}" if limit else ""
    return f"{most / 2**30:.1f}{of} GiB at most"


def _settings_words(told: RunSettings) -> str:
    parts = [words.format(value) for name, words in _SETTINGS
             if (value := getattr(told, name)) is not None]  # fmt: skip
    parts += [told.precision] if told.precision else []
    parts += [f"recompute {told.recompute}"] if told.recompute else []
    parts += [told.model] if told.model else []
    parts += [told.accelerator] if told.accelerator else []
    return ", ".join(parts)


def _loss_words(run: TrainingRun) -> str:
    good = [value for value in run.loss if math.isfinite(value)]
    return f"{good[0]:.4g} to {good[-1]:.4g}" if len(good) > 1 else ""


def _incidents(run: TrainingRun, pace: Pace) -> list[Fact]:
    """Restarts, checkpoints, errors and the like, as far as there are any."""
    found = []
    if pace.restarts:
        lost = sum(one.lost for one in pace.restarts)
        found.append(
            Fact(name="restarts", said=f"{len(pace.restarts)}, {lost:,} steps were done twice")
        )
    if pace.checkpoints:
        each = f" of {format_time(pace.checkpoint_time)}" if pace.checkpoint_time > 0.0 else ""
        found.append(Fact(name="checkpoints", said=f"{pace.checkpoints}{each}"))
    if pace.retries:
        count = sum(mark.count for mark in run.marks if mark.kind == "retry")
        found.append(
            Fact(name="allocator", said=f"ran out of memory and retried {count:,.0f} times")
        )
    if pace.skipped > 0.0:
        found.append(Fact(name="skipped", said=f"{pace.skipped:.1%} of steps, without an update"))
    for kind, name in (("nan", "not a number"), ("error", "errors")):
        lines = [mark.said for mark in run.marks if mark.kind == kind]
        if lines:
            found.append(Fact(name=name, said=f"{len(lines)}, the first: {lines[0][:80]}"))
    return found


def trace_facts(traces: Sequence[TraceSummary]) -> tuple[Fact, ...]:
    """Traces: where the seconds of a step go."""
    return tuple(fact for trace in traces for fact in _trace_facts(trace, alone=len(traces) == 1))


def _trace_facts(trace: TraceSummary, *, alone: bool) -> Iterable[Fact]:
    who = "trace" if alone else f"rank {trace.rank}" if trace.rank >= 0 else trace.path[-24:]
    times = sorted(trace.step_times)
    span = times[len(times) // 2]
    each = "a step" if trace.steps_marked else "in all"
    number = f"{len(times)} steps, " if trace.steps_marked else ""
    on = f" on {trace.device}" if trace.device else ""
    yield Fact(
        name=who, said=f"{number}{format_time(span)} {each}{on}, {trace.launches:,.0f} kernels"
    )
    kinds = sorted(trace.busy.items(), key=lambda item: -item[1])
    yield Fact(name="  at work", said=", ".join(f"{k} {format_time(t)}" for k, t in kinds if t > 0))
    if trace.traffic:
        shown = ", ".join(
            f"{name} {format_time(time)} ({format_time(trace.exposed[name])} not hidden)"
            for name, time in sorted(trace.traffic.items(), key=lambda item: -item[1])
        )
        yield Fact(name="  traffic", said=shown)
    if trace.has_device:
        idle = (
            f"{format_time(trace.idle)}, of it {format_time(trace.starved)} until the host launches"
        )
        if trace.input_wait > 0.0:
            idle += f" ({format_time(trace.input_wait)} of that while it waits for data)"
        yield Fact(name="  idle", said=idle)


def serving_facts(run: ServingRun) -> tuple[Fact, ...]:
    """A result of a load generator, or a scrape of an engine."""
    facts = [Fact(name="load", said=said) for said in [_load_words(run)] if said]
    for name, one in (("first token", run.ttft), ("each token", run.tpot), ("gaps", run.itl),
                      ("whole answer", run.latency)):  # fmt: skip
        said = _latency_words(one)
        facts += [Fact(name=name, said=said)] if said else []
    facts += [Fact(name="throughput", said=said) for said in [_throughput_words(run)] if said]
    facts += [Fact(name="engine", said=said) for said in [_engine_words(run)] if said]
    return tuple(facts)


def _load_words(run: ServingRun) -> str:
    parts = []
    if math.isfinite(run.requests):
        parts.append(f"{run.requests:,.0f} requests")
    if run.failed > 0.0:
        parts.append(f"{run.failed:,.0f} failed")
    if math.isfinite(run.rate):
        parts.append(f"{run.rate:,.4g} offered a second")
    elif math.isinf(run.rate):
        parts.append("all sent at once")
    if math.isfinite(run.most_users):
        parts.append(f"at most {run.most_users:,.0f} at once")
    if math.isfinite(run.prompt) and math.isfinite(run.output):
        parts.append(f"{run.prompt:,.0f} tokens in and {run.output:,.0f} out each")
    elif math.isfinite(run.output_tokens):
        parts.append(
            f"{format_count(run.prompt_tokens)} tokens in and {format_count(run.output_tokens)} out"
        )
    if math.isfinite(run.duration):
        parts.append(f"in {format_time(run.duration)}")
    return ", ".join(parts)


def _latency_words(one: Percentiles) -> str:
    return "  ".join(
        f"{name} {format_time(value)}" for name in ("mean", "p50", "p90", "p99")
        if math.isfinite(value := getattr(one, name))
    )  # fmt: skip


def _throughput_words(run: ServingRun) -> str:
    parts = []
    if math.isfinite(run.served):
        parts.append(f"{run.served:,.4g} requests/s")
    if math.isfinite(run.output_rate):
        parts.append(f"{format_count(run.output_rate)} tokens/s out")
    if math.isfinite(run.total_rate):
        parts.append(f"{format_count(run.total_rate)} in and out")
    if math.isfinite(run.concurrency):
        parts.append(f"{run.concurrency:,.0f} requests at once")
    return ", ".join(parts)


def _engine_words(run: ServingRun) -> str:
    parts = []
    if math.isfinite(run.queue_time):
        parts.append(f"requests wait {format_time(run.queue_time)} before they are begun")
    if math.isfinite(run.waiting):
        parts.append(f"{run.running:,.0f} running and {run.waiting:,.0f} waiting at the end")
    if math.isfinite(run.cache_use):
        parts.append(f"cache {run.cache_use:.0%} full")
    if math.isfinite(run.preemptions):
        parts.append(f"{run.preemptions:,.0f} preemptions")
    if math.isfinite(run.reused):
        parts.append(f"{run.reused:.0%} of prompts' tokens were in a cache")
    return ", ".join(parts)


def _median(values: Sequence[float], rows: Iterable[int]) -> float:
    good = sorted(values[row] for row in rows if math.isfinite(values[row]))
    return good[len(good) // 2] if good else math.nan
