"""Why a training step is slower than it should be: each cause one function of what is known.

A function looks at a `TrainingCase` and returns what the cause explains, or None where nothing
speaks for it. `causes_of` asks them all, leaves out what is lost in the noise, and ranks the rest
by the seconds of a step that they explain.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from clusterwright.observe.case import TrainingCase
from clusterwright.observe.findings import Finding, ranked
from clusterwright.units import format_time

LEAST = 0.02
"""Differences of less than this share of a step are not named."""
NEARLY_FULL = 0.97
"""Share of its memory from which an accelerator counts as full."""
LEAST_STEPS = 10
"""Steps over which what happens now and then is spread at least."""
DRIFTS = 0.03
"""A run is called slowing down from this share on."""

Cause = Callable[[TrainingCase], Finding | None]


def causes_of(case: TrainingCase) -> tuple[Finding, ...]:
    """All causes that something speaks for, largest first."""
    found = [one for one in (cause(case) for cause in CAUSES) if one is not None]
    found = [one for one in found if not math.isfinite(one.time) or one.share >= LEAST]
    rest = unexplained(case, found)
    return ranked([*found, *([rest] if rest else [])])


def _finding(  # noqa: PLR0917 - causes read as rows of a table
    case: TrainingCase, cause: str, title: str, time: float, evidence: str, advice: str, sure: str
) -> Finding:
    return Finding(
        cause=cause, title=title, time=time, share=time / case.scale, evidence=evidence,
        advice=advice, sure=sure,  # type: ignore[arg-type]
    )  # fmt: skip


def settings(case: TrainingCase) -> Finding | None:
    """The job was not run as it was planned."""
    if case.target is None or case.plan is None or not case.target.unlike:
        return None
    listed = "the log says " + ", ".join(one.said for one in case.target.unlike)
    if case.target.refused:
        return _finding(
            case, "settings", "other settings than planned", math.nan,
            f"{listed}. What to expect of them cannot be said: {case.target.refused}",
            "run what was planned, or plan what is run with --pin", "some",
        )  # fmt: skip
    before, after = case.plan.best.step_time, case.target.expected.step_time
    return _finding(
        case, "settings", "other settings than planned", after - before,
        f"{listed}: {format_time(after)} a step is expected of that, and was planned to be "
        f"{format_time(before)}",
        "run what was planned, or plan what is run with --pin", "strong",
    )  # fmt: skip


def kernels(case: TrainingCase) -> Finding | None:
    """Every rank computes longer than expected."""
    split, target = case.split, case.target
    if split is None or target is None or not math.isfinite(split.compute):
        return None
    usual = case.planned("compute") * (target.lightest if split.ranks > 1 else 1.0)
    more = split.compute - usual
    if more <= 0.0:
        return None
    detail = _which_kernels(case)
    slowing = case.pace.drift if case.pace else 0.0
    drift = f"; steps became {slowing:.0%} slower during the run" if slowing > DRIFTS else ""
    _low, high = target.expected.step_time_interval
    unsure = case.step < high and more < high - target.expected.step_time
    within = "; the plan is no surer than that of its own kernels" if unsure else ""
    what = "forward and backward passes" if split.by == "timers" else "kernels"
    who = "even on the fastest rank" if split.ranks > 1 else "on the one rank that is seen"
    if split.whole:
        what, who = "forward and backward passes, and waiting within them,", "together"
    return _finding(
        case, "kernels", "slow kernels" + (", or waiting for ranks" if split.whole else ""), more,
        f"{what} take {format_time(split.compute)} {who}, {format_time(usual)} was expected"
        f"{detail}{drift}{within}",
        "compare clocks, power limit and temperature with the vendor's (nvidia-smi -q -d "
        "PERFORMANCE); check that fused attention and compiled kernels are on; measure this "
        "machine with clusterwright calibrate"
        if not split.whole else "log timers of each (Megatron-LM: --timing-log-level 2)",
        "little" if unsure else "some" if split.whole else "strong",
    )  # fmt: skip


def _which_kernels(case: TrainingCase) -> str:
    """Which sort of kernels is slow, where a trace tells."""
    split = case.split
    if split is None or not math.isfinite(split.products):
        return ""
    products, other = case.planned("products"), case.planned("other kernels")
    return (
        f" (matrix and attention {format_time(split.products)} for {format_time(products)}, others "
        f"{format_time(split.other_kernels)} for {format_time(other)})"
    )


def straggler(case: TrainingCase) -> Finding | None:
    """One rank computes longer than the others, who wait."""
    split = case.split
    if split is None or not math.isfinite(split.compute_most) or split.ranks < 2:
        return None
    apart = split.compute_most - split.compute
    usual = 0.0
    if case.target is not None:
        lightest = case.target.lightest
        terms = {term.name: term.time for term in case.target.expected.waterfall}
        # What a plan allows for stragglers shows as a spread or as waiting; it counts once.
        unused = case.planned("waiting") * case.pace_ratio - split.waiting
        allowed = terms.get("stragglers", 0.0)
        allowed = min(allowed, max(0.0, unused)) if math.isfinite(unused) else allowed
        usual = split.compute * (1.0 / lightest - 1.0) + allowed
    if apart - usual <= 0.0:
        return None
    staged = case.target is not None and case.target.lightest < 1.0
    known = "; what stages differ by design is taken off" if staged else ""
    stages = case.run.settings.pp if case.run else None
    open_ = case.target is None and split.by == "timers" and stages != 1
    if open_:
        known = "; stages of a pipeline differ by design, and no plan says by how much"
    return _finding(
        case, "straggler", "one rank is slower than the others", apart - usual,
        f"forward and backward take {format_time(split.compute)} on the fastest rank and "
        f"{format_time(split.compute_most)} on the slowest{known}",
        "find the rank (--timing-log-option all, or a trace of each), compare its clocks, "
        "temperature, PCIe and NVLink errors with its neighbours', and take its node out"
        if not open_ else "give the plan (--plan): it says by how much stages differ by design",
        "little" if open_ else "strong",
    )  # fmt: skip


def pipeline(case: TrainingCase) -> Finding | None:
    """Ranks of the pipeline wait longer for each other than bubble and hops should take."""
    split = case.split
    if split is None or case.target is None or not math.isfinite(split.waiting):
        return None
    if case.target.expected.strategy.pp == 1:
        return None
    usual = case.planned("waiting") * case.pace_ratio
    more = split.waiting - usual
    if more <= 0.0:
        return None
    sure = "strong" if split.by == "timers" else "some"
    return _finding(
        case, "pipeline", "pipeline bubble and transfers", more,
        f"beside passes and gradients {format_time(split.waiting)} of a step go by waiting in the "
        f"pipeline, {format_time(usual)} was expected",
        "more micro-batches a step, or more virtual stages; even the stages out (the first and the "
        "last hold embedding and head); see that transfers between stages overlap",
        sure,
    )  # fmt: skip


_AXES = {
    "dp": ("gradient and weight traffic is exposed",
           ("turn overlap of gradients and weights on{}; check the fabric with nccl-tests, and "
           "that every rail is up")),
    "tp": ("tensor-parallel traffic is exposed",
           ("keep tp inside the scale-up domain; turn sequence parallelism and its overlap on; "
           "check NVLink (nvidia-smi nvlink -e)")),
    "cp": ("context-parallel traffic is exposed",
           "let a context group share the scale-up domain, or exchange by ring"),
    "ep": ("expert all-to-all is exposed",
           ("keep experts of a token near it (group-limited routing), overlap dispatch with the "
           "shared expert, even the load of experts out")),
    "tp or dp": ("traffic of tp or dp is exposed",
                 ("give a trace whose collectives name their groups (PyTorch 2.2 or later) to tell "
                 "them apart")),
}  # fmt: skip


_OVERLAP = {
    "Megatron-LM": " (--overlap-grad-reduce, --overlap-param-gather)",
    "NeMo": " (overlap_grad_reduce, overlap_param_gather)",
    "DeepSpeed": " (overlap_comm in zero_optimization)",
}
"""What turns it on, by tool."""


def _traffic(axis: str) -> Cause:
    """The cause that traffic of one axis shows more than expected."""

    def cause(case: TrainingCase) -> Finding | None:
        split = case.split
        if split is None or axis not in split.traffic:
            return None
        shown, usual = split.traffic[axis], case.planned(axis)
        if shown - usual <= 0.0:
            return None
        title, advice = _AXES[axis]
        alone = split.by == "trace"
        waits = "; one rank's trace does not tell traffic from waiting for others" if alone else ""
        expected = f", {format_time(usual)} was expected" if case.target else ""
        return _finding(
            case, axis.replace(" ", "-"), title, shown - usual,
            f"{format_time(shown)} of a step are traffic that nothing hides{expected}{waits}",
            advice.format(_OVERLAP.get(case.run.tool if case.run else "", "")),
            "some" if alone or case.target is None else "strong",
        )  # fmt: skip

    return cause


def optimizer(case: TrainingCase) -> Finding | None:
    """The optimizer's step takes longer than expected."""
    split = case.split
    if split is None or case.target is None or not math.isfinite(split.optimizer):
        return None
    usual = case.planned("optimizer")
    more = split.optimizer - usual
    if more <= 0.0:
        return None
    return _finding(
        case, "optimizer", "slow optimizer step", more,
        f"the optimizer takes {format_time(split.optimizer)}, {format_time(usual)} was expected",
        "shard its states (--use-distributed-optimizer, ZeRO 1), use the fused one, keep them off "
        "the host", "strong" if split.by == "timers" else "some",
    )  # fmt: skip


def host(case: TrainingCase) -> Finding | None:
    """The device stands still because the host has launched nothing."""
    split = case.split
    if split is None or not math.isfinite(split.host):
        return None
    more = split.host - case.planned("host")
    if more <= 0.0:
        return None
    launches = max((trace.launches for trace in case.traces), default=math.nan)
    return _finding(
        case, "host", "the host launches too slowly", more,
        f"{format_time(split.host)} of a step the device is idle until the host has launched its "
        f"next kernel ({launches:,.0f} launches a step)",
        "CUDA graphs or torch.compile; larger micro-batches; no .item(), .cpu() or print within a "
        "step; pin processes to the cores next to their device, and stop garbage collection from "
        "running when it likes (--manual-gc)", "strong",
    )  # fmt: skip


def fetching(case: TrainingCase) -> Finding | None:
    """Ranks wait for data."""
    spent, how = math.nan, ""
    if case.split and math.isfinite(case.split.input):
        spent, how = case.split.input, case.split.by
    elif case.run and case.pace:
        told = sorted(
            case.run.input_time[row] for row in case.pace.rows
            if math.isfinite(case.run.input_time[row])
        )  # fmt: skip
        if told:
            spent, how = told[len(told) // 2], "the log's own count"
    if not spent > 0.0:
        return None
    return _finding(
        case, "input", "waiting for data", spent,
        f"{format_time(spent)} of a step pass until the next batch is there (by {how})",
        "more workers and prefetching in the data loader; the data set on local disks or nearer "
        "storage; tokenize beforehand", "strong",
    )  # fmt: skip


def restarts(case: TrainingCase) -> Finding | None:
    """The run stood still and did steps twice."""
    pace = case.pace
    if pace is None or not pace.restarts:
        return None
    lost = sum(one.lost for one in pace.restarts)
    down = sum(one.down for one in pace.restarts if math.isfinite(one.down))
    stood = f" and stood still for {format_time(down)}" if down > 0.0 else ""
    number = len(pace.restarts)
    times = "once" if number == 1 else f"{number} times"
    first = pace.restarts[0]
    return _finding(
        case, "restarts", "restarts", pace.restart_share,
        f"the run began again {times}, did {lost:,} of {pace.steps:,} steps twice{stood} (the "
        f"first time from step {first.resumed:,} after {first.reached:,})",
        "find what ended it (the lines before); checkpoint more often, see clusterwright fleet; "
        "keep spares warm", "strong" if down > 0.0 or lost > 0 else "little",
    )  # fmt: skip


def checkpoints(case: TrainingCase) -> Finding | None:
    """Saving holds the run up."""
    pace = case.pace
    if pace is None or not pace.checkpoint_share > 0.0 or pace.steps < LEAST_STEPS:
        return None
    number = f"{pace.checkpoints} checkpoints" if pace.checkpoints > 1 else "one checkpoint"
    return _finding(
        case, "checkpoints", "checkpoints hold the run up", pace.checkpoint_share,
        f"{number} of {format_time(pace.checkpoint_time)} within {pace.steps:,} steps",
        "save asynchronously (--async-save, async_mode), in parallel from all ranks, to faster "
        "storage; the best interval is what clusterwright fleet says", "strong",
    )  # fmt: skip


def memory(case: TrainingCase) -> Finding | None:
    """Memory runs out, and the allocator gives back and asks again."""
    run, pace = case.run, case.pace
    if run is None or pace is None:
        return None
    limit = run.settings.device_bytes or (
        case.target.expected.memory_limit if case.target else math.nan
    )
    most = max((value for value in run.memory if math.isfinite(value)), default=math.nan)
    full = f"; {most / 2**30:.1f} of {limit / 2**30:.1f} GiB in use" if most / limit > 0 else ""
    if not pace.retries:
        return None
    hit = set(pace.retry_rows)
    timed = [row for row, time in enumerate(run.step_time) if math.isfinite(time)]
    free = sorted(run.step_time[row] for row in timed if row not in hit)
    held = [row for row in timed if row in hit]
    usual = free[len(free) // 2] if free else case.scale
    every = not free
    steps = sum(run.steps)
    extra = sum(max(0.0, run.step_time[row] - usual) * run.steps[row] for row in held) / steps
    return _finding(
        case, "memory", "memory runs out, the allocator retries", extra if held else math.nan,
        f"the allocator flushed its cache {pace.retries * steps:,.0f} times in {steps:,} "
        f"steps{full}"
        + ("; no step is without, so its cost cannot be told from other causes" if every else ""),
        "a smaller micro-batch, more recompute or sharding; "
        "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True", "little" if every else "strong",
    )  # fmt: skip


def hiccups(case: TrainingCase) -> Finding | None:
    """Single steps take much longer than the others."""
    pace, run = case.pace, case.run
    if pace is None or run is None or pace.retries or not pace.hiccups > 0.0:
        return None
    slow = pace.apart.get("slow", 0)
    collected = any(mark.kind == "collection" for mark in run.marks)
    also = "; garbage collection is among the lines" if collected else ""
    return _finding(
        case, "hiccups", "single slow steps", pace.hiccups,
        f"{slow:,} steps take far longer than the median of {format_time(pace.median)}, which "
        f"comes to {format_time(pace.hiccups)} a step{also}",
        "look at what happens beside them: garbage collection, data shards, other jobs on the "
        "fabric or the file system, links that retrain", "some",
    )  # fmt: skip


def skipped(case: TrainingCase) -> Finding | None:
    """Steps are thrown away because gradients overflow."""
    pace = case.pace
    if pace is None or not pace.skipped > 0.0:
        return None
    return _finding(
        case, "skipped", "steps without an update", pace.skipped * case.step,
        f"{pace.skipped:.1%} of the steps were skipped for gradients that overflow",
        "train in bf16; or a lower first loss scale", "strong",
    )  # fmt: skip


CAUSES: tuple[Cause, ...] = (
    settings, kernels, straggler, pipeline, *(_traffic(axis) for axis in _AXES), optimizer, host,
    fetching, restarts, checkpoints, memory, hiccups, skipped,
)  # fmt: skip

_BESIDE = ("restarts", "checkpoints", "hiccups", "skipped", "settings")
"""Causes whose time is not within the median step, or is within what is expected of it."""


def unexplained(case: TrainingCase, found: list[Finding]) -> Finding | None:
    """What is left of the difference, and what would tell more."""
    if case.target is None or not math.isfinite(case.step):
        return None
    gap = case.step - case.target.expected.step_time
    told = sum(one.time for one in found if one.cause not in _BESIDE and math.isfinite(one.time))
    left = gap - told
    _low, high = case.target.expected.step_time_interval
    if left < LEAST * case.scale or (case.split is None and case.step <= high):
        return None
    if case.split is None:
        hint = (
            "the files say how long steps take and not where that goes: log timers "
            "(Megatron-LM: --timing-log-level 2 --timing-log-option minmax) or give a trace of the "
            "PyTorch profiler"
        )
    else:
        hint = "a trace of the PyTorch profiler of a fast and of a slow rank would tell more"
    return _finding(
        case, "unexplained", "not explained by these files", left,
        f"steps take {format_time(case.step)}, {format_time(case.target.expected.step_time)} was "
        f"expected", hint, "little",
    )  # fmt: skip
