"""Plans and estimates as text a person reads: the decision first, then the reasons."""

from __future__ import annotations

from collections.abc import Sequence

from clusterwright.aligned import aligned
from clusterwright.model.parameters import count_parameters
from clusterwright.report.account_text import account_lines
from clusterwright.report.folding import fold
from clusterwright.strategy import Strategy
from clusterwright.training.estimate import (
    ACTIVATIONS,
    RESIDENT,
    StageMemory,
    TrainingEstimate,
)
from clusterwright.training.intervals import IntervalGroup
from clusterwright.training.plan import TrainingPlan, TrainingQuestion
from clusterwright.training.rules import RULES
from clusterwright.units import format_count, format_time

BAR = 20


def strategy_words(strategy: Strategy) -> str:
    """One line for a strategy: the axes above 1, then how it is run."""
    axes = [
        f"{axis} {getattr(strategy, axis)}"
        for axis in ("tp", "cp", "pp", "vpp", "dp", "ep", "etp")
        if getattr(strategy, axis) > 1
    ]
    words = [*(axes or ["one accelerator"]), f"micro-batch {strategy.micro_batch}"]
    over = f" over {strategy.shard_group} ranks" if strategy.shard_group else ""
    words.append(f"zero {strategy.zero}{over}")
    if strategy.recompute == "full" and strategy.recompute_layers:
        words.append(f"recompute {strategy.recompute_layers} layers per rank")
    elif strategy.recompute != "none":
        words.append(f"recompute {strategy.recompute}")
    if strategy.schedule not in ("1f1b", "interleaved"):
        words.append(strategy.schedule)
    if strategy.cp > 1:
        words.append(f"cp by {strategy.context_scheme}")
    if strategy.offload != "none":
        words.append(f"offload {strategy.offload}")
    return ", ".join(words)


def gigabytes(num_bytes: float) -> str:
    """Memory in GiB, as accelerators are sold."""
    return f"{num_bytes / 2**30:.1f}"


def question_lines(question: TrainingQuestion) -> list[str]:
    """What was asked, with what was filled in."""
    model, cluster, job = question.model, question.cluster, question.workload
    count = count_parameters(model)
    active = f", {format_count(count.active)} active" if count.active != count.total else ""
    batch = job.global_batch * job.sequence_length
    name = "" if cluster.accelerator.name in cluster.name else f", {cluster.name}"
    lines = [
        (
            f"{model.name} ({format_count(count.total)} parameters{active}) on "
            f"{cluster.count:,} x {cluster.accelerator.name}{name}"
        ),
        (
            f"{job.method} training in {job.precision}, {format_count(batch)} tokens per step "
            f"({job.global_batch:,} sequences of {job.sequence_length:,}), {question.software.name}"
        ),
    ]
    if question.assumed:
        lines += fold("assumed: " + "; ".join(question.assumed), 9)
    if model.unknown_keys:
        lines += fold("keys of config.json not used: " + ", ".join(model.unknown_keys), 9)
    return lines


def headline_lines(estimate: TrainingEstimate) -> list[str]:
    """Does it fit, how fast, how sure."""
    low, high = estimate.step_time_interval
    fits = "fits" if estimate.fits else "DOES NOT FIT"
    return [
        f"  strategy     {strategy_words(estimate.strategy)}",
        (
            f"  step time    {format_time(estimate.step_time)}  "
            f"(80 % interval {format_time(low)} to {format_time(high)})"
        ),
        *_likeness(estimate.likeness),
        *_pipeline_lines(estimate),
        (
            f"  throughput   {format_count(estimate.tokens_per_second)} tokens/s, "
            f"{estimate.tokens_per_second / estimate.accelerators:,.0f} per accelerator"
        ),
        (
            f"  MFU          {estimate.mfu:.1%} (attention counted causally; "
            f"{estimate.mfu_full:.1%} counted in full), HFU {estimate.hfu:.1%}"
        ),
        (
            f"  memory       {fits}: {gigabytes(estimate.memory_bytes)} of "
            f"{gigabytes(estimate.memory_limit)} GiB on the fullest stage{_host(estimate)}"
        ),
    ]


def _likeness(group: IntervalGroup) -> list[str]:
    """The measured runs that the interval rests on."""
    if not group.rows:
        return []
    sources = f"{group.sources} source{'s' if group.sources != 1 else ''}"
    return [
        f"               like {group.rows:,} measured runs of {sources} ({group.description})",
    ]


def _pipeline_lines(estimate: TrainingEstimate) -> list[str]:
    """Where the step time of a pipeline comes from."""
    if estimate.strategy.pp == 1:
        return []
    closed = estimate.closed_form_time
    if closed is None:
        return ["               by closed form: too long to play out here (see simulate train)"]
    return [f"               its pipeline played out; by closed form {format_time(closed)}"]


def _broken_lines(estimate: TrainingEstimate) -> list[str]:
    """Rules for which the planner would not have chosen the strategy."""
    return [
        f"  {'note':<12} {rule}: {RULES[rule].why}; {RULES[rule].fix}" for rule in estimate.breaks
    ]


def _idle_lines(question: TrainingQuestion, estimate: TrainingEstimate) -> list[str]:
    """How many accelerators have nothing to do, and the batch that would feed them."""
    count, used = question.cluster.count, estimate.accelerators
    if used == count:
        return []
    strategy, batch = estimate.strategy, question.workload.global_batch
    said = f"  accelerators {used:,} of {count:,} used, {count - used:,} idle and in no figure here"
    cut = strategy.tp * strategy.cp * strategy.pp
    step = count // cut * strategy.micro_batch
    if count % cut == 0 and question.objective == "time":
        said += f"; a batch of {max(1, round(batch / step)) * step:,} sequences would feed all"
    return fold(said, 15)


def _host(estimate: TrainingEstimate) -> str:
    """What the host holds of it, if anything."""
    if not estimate.host_bytes:
        return ""
    limit = f" of {gigabytes(estimate.host_limit)}" if estimate.host_limit else ""
    return f", {gigabytes(estimate.host_bytes)}{limit} GiB in host memory"


def waterfall_lines(estimate: TrainingEstimate) -> list[str]:
    """From peak to achieved, loss by loss."""
    lines = ["Where the step goes (adds up to the step time)"]
    for term in estimate.waterfall:
        share = term.time / estimate.step_time
        if abs(share) < 5e-4 and term.name != "ideal":
            continue
        bar = "#" * max(0, round(share * BAR))
        lines.append(
            f"  {term.name:<12} {format_time(term.time):>9} {share:>6.1%}  {bar:<{BAR}} "
            f"{term.meaning}".rstrip()
        )
    return lines


def memory_lines(stages: Sequence[StageMemory], limit: float) -> list[str]:
    """Memory of the first, the fullest, a middle and the last stage, and the loss head's. [GiB]"""
    fullest = max(range(len(stages)), key=lambda i: stages[i].total)
    head = max(range(len(stages)), key=lambda i: (stages[i].parts.get("logits", 0.0), i))
    shown = sorted({0, fullest, len(stages) // 2, head, len(stages) - 1})
    stages = [stages[index] for index in shown]
    names = [name for name in stages[0].parts if any(s.parts[name] >= 2**20 for s in stages)]
    names.sort(key=lambda name: RESIDENT.index(name) if name in RESIDENT else len(RESIDENT))
    header = ["Memory, GiB", *[f"stage {stage.rank}" for stage in stages]]
    rows = [[_kept(name), *[gigabytes(one.parts[name]) for one in stages]] for name in names]
    rows.append(["total", *[gigabytes(stage.total) for stage in stages]])
    rows.append(["limit", *[gigabytes(limit) for _ in stages]])
    title, *body = aligned(header, rows, indent="  ")
    return [title.replace(f"  {header[0]}", f"{header[0]}  ", 1), *body]


def _kept(name: str) -> str:
    """A part's name; that of activations by the part of a layer that keeps them says so.

    >>> _kept("experts"), _kept("weights")
    ('experts activations', 'weights')
    """
    return f"{name} activations" if name in ACTIVATIONS and name != "layer inputs" else name


def estimate_text(question: TrainingQuestion, estimate: TrainingEstimate) -> str:
    """One strategy, explained."""
    blocks = [
        question_lines(question),
        [
            *headline_lines(estimate),
            *_idle_lines(question, estimate),
            *_broken_lines(estimate),
        ],
        waterfall_lines(estimate),
        memory_lines(estimate.stages, estimate.memory_limit),
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def plan_text(plan: TrainingPlan) -> str:
    """A plan: decision, reasons, runners-up, front, and why the rest lost."""
    blocks = [
        question_lines(plan.question),
        ["Best plan", *decision_lines(plan)],
        waterfall_lines(plan.best),
        memory_lines(plan.best.stages, plan.best.memory_limit),
    ]
    if plan.alternatives:
        blocks.append(_alternative_lines(plan))
    blocks += [_sweep_lines(plan), _front_lines(plan), _rejected_lines(plan)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def decision_lines(plan: TrainingPlan) -> list[str]:
    """What a person decides on: the strategy, what it does, what the whole run takes."""
    return [
        *headline_lines(plan.best),
        *_idle_lines(plan.question, plan.best),
        *_totals_lines(plan),
        *(account_lines(plan.account, plan.question.site) if plan.account else ()),
    ]


def _totals_lines(plan: TrainingPlan) -> list[str]:
    totals = plan.totals
    if totals is None:
        return ["  (give --tokens for the length of the whole run)"]
    low, high = totals.duration_interval
    return [
        (
            f"  whole run    {format_time(totals.duration)} ({format_time(low)} to "
            f"{format_time(high)}) for {format_count(totals.tokens)} tokens in {totals.steps:,.0f} "
            f"steps, failures not counted"
        ),
        (
            f"               {format_count(totals.accelerator_hours)} accelerator-hours, "
            f"{totals.training_flops:.2e} FLOP"
        ),
    ]


def _alternative_lines(plan: TrainingPlan) -> list[str]:
    rows = []
    for other in plan.alternatives:
        why = ", ".join(f"{name} {_signed_time(time)}" for name, time in other.because if time > 0)
        share = other.slower_by / plan.best.step_time
        rows += fold(f"  {share:>+6.1%}  {strategy_words(other.estimate.strategy)}", 10)
        rows.append(
            f"          {gigabytes(other.estimate.memory_bytes)} GiB"
            + (f"; loses by {why}" if why else "")
        )
    return ["Runners-up, each different in kind", *rows]


def _signed_time(seconds: float) -> str:
    return ("+" if seconds >= 0 else "-") + format_time(abs(seconds))


def _sweep_lines(plan: TrainingPlan) -> list[str]:
    lines = ["Best step time for each value of one axis, the others free (closed form)"]
    for sweep in plan.sweeps:
        if len(sweep.values) < 2:
            continue
        best = min((t for t in sweep.step_times if t is not None), default=None)
        if best is None:
            continue
        cells = [
            f"{value}: {'none fits' if time is None else f'{time / best - 1:+.0%}'}"
            for value, time in zip(sweep.values, sweep.step_times, strict=True)
        ]
        shown = cells if len(cells) <= 12 else [*cells[:11], "…"]
        lines += fold(f"  {sweep.axis:<12} {'  '.join(shown)}", 15)
    return lines


def _front_lines(plan: TrainingPlan) -> list[str]:
    rows = [
        [
            format_time(point.step_time),
            gigabytes(point.memory_bytes),
            f"{point.accelerators:,}",
            strategy_words(point.strategy),
        ]
        for point in plan.front
    ]
    lines = ["Pareto front: step time (closed form), memory, accelerators"]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[:3], widths, strict=True)]
        start = f"  {cells[0]}  {cells[1]} GiB  {cells[2]}  "
        lines += fold(start + row[3], len(start))
    return lines


def _rejected_lines(plan: TrainingPlan) -> list[str]:
    total = sum(plan.rejected.values())
    lines = [f"{plan.evaluated:,} strategies estimated; {total:,} turned away by rule:"]
    for rule, count in sorted(plan.rejected.items(), key=lambda item: -item[1]):
        if count:
            lines.append(f"  {rule}  {count:>12,}  {RULES[rule].broken}")
    return lines
