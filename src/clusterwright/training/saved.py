"""What cannot be in a saved plan for training: somebody edited it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clusterwright.edited import apart, disordered, emptied, out_of_range, too_low
from clusterwright.site.run import RunAccount
from clusterwright.training.estimate import MEANINGS, TrainingEstimate
from clusterwright.training.plan import RunTotals, TrainingPlan, TrainingQuestion
from clusterwright.training.rules import RULES

SIGNED = frozenset(("time", "slower_by"))
"""A term of a waterfall may take time off, and a runner-up may be quicker, where money decides."""
AXES = ("tp", "cp", "pp", "vpp", "dp", "ep", "etp", "micro_batch")
MOST_ACCELERATORS = 10**8
"""Nobody asks for more."""
SHORTER = 0.9
"""By which a drawn run may be shorter than the one that it was drawn around. [1]"""


def amiss(plan: TrainingPlan) -> Iterator[str]:
    """Tell what cannot be in a plan, the plainest first."""
    yield from emptied({"question.cluster.levels": plan.question.cluster.levels})
    yield from too_low({f"question.{name}": one for name, one in asked(plan.question).items()})
    sizes = [level.size for level in plan.question.cluster.levels]
    if max(plan.question.cluster.count, *sizes) > MOST_ACCELERATORS:
        yield f"question.cluster has more than {MOST_ACCELERATORS:,} accelerators"
    yield from emptied({"front": plan.front, "sweeps": plan.sweeps})
    estimates = {
        "best": plan.best,
        **{f"alternatives[{i}].estimate": one.estimate for i, one in enumerate(plan.alternatives)},
    }
    for name, one in estimates.items():
        yield from emptied({f"{name}.waterfall": one.waterfall, f"{name}.stages": one.stages})
        yield from _cut(name, one)
    for i, point in enumerate(plan.front):
        cut = {f"front[{i}].strategy.{axis}": getattr(point.strategy, axis) for axis in AXES}
        yield from too_low({**cut, f"front[{i}].step_time": point.step_time})
    for name in ("best", "alternatives", "front", "sweeps", "totals", "rejected"):
        yield from out_of_range(name, getattr(plan, name), signed=SIGNED)
    for name, one in estimates.items():
        yield from _unlike(name, one)
    yield from _beside(plan)
    if plan.totals is not None:
        yield from _totals(plan.best, plan.totals)
    if plan.account is not None and plan.account.ends:
        yield from _account(plan.account, plan.totals)


def asked(question: TrainingQuestion) -> Mapping[str, float]:
    """Numbers of a question that are above zero, by name."""
    cluster, job = question.cluster, question.workload
    numbers = {
        "cluster.count": cluster.count,
        "cluster.accelerator.memory_bytes": cluster.accelerator.memory_bytes or 0.0,
        "cluster.accelerator.memory_bandwidth": cluster.accelerator.memory_bandwidth or 0.0,
        "cluster.levels": len(cluster.levels),
        "workload.global_batch": job.global_batch,
        "workload.sequence_length": job.sequence_length,
        "model.blocks": len(question.model.blocks),
        "model.num_layers": question.model.num_layers,
        "model.hidden_size": question.model.hidden_size,
        "model.vocab_size": question.model.vocab_size,
    }
    for level in cluster.levels:
        numbers[f"size of level {level.name}"] = level.size
        numbers[f"bandwidth of level {level.name}"] = level.bandwidth
    return numbers


def _cut(name: str, one: TrainingEstimate) -> Iterator[str]:
    """What a strategy cannot be."""
    if {term.name for term in one.waterfall} != MEANINGS.keys():
        yield f"{name}.waterfall has not the terms that every waterfall has"
    yield from too_low({f"{name}.strategy.{axis}": getattr(one.strategy, axis) for axis in AXES})
    numbers = ("step_time", "accelerators", "tokens_per_step", "memory_limit", "memory_bytes")
    yield from too_low({f"{name}.{number}": getattr(one, number) for number in numbers})
    for i, stage in enumerate(one.stages):
        if not stage.parts or stage.parts.keys() != one.stages[0].parts.keys():
            yield f"{name}.stages[{i}] has not the parts that every stage has"


def _unlike(name: str, one: TrainingEstimate) -> Iterator[str]:
    """Where an estimate is not what its parts give."""
    total = sum(term.time for term in one.waterfall)
    yield from apart(f"{name}.step_time", one.step_time, total, "the parts of its waterfall")
    ends = (one.likeness.low, one.likeness.high)
    for end, factor in zip(one.step_time_interval, ends, strict=True):
        said = f"an end of {name}.step_time_interval"
        yield from apart(said, end, one.step_time * factor, "the step time and its likeness")
    rate = one.tokens_per_step / one.step_time
    yield from apart(f"{name}.tokens_per_second", one.tokens_per_second, rate, "its tokens")
    used = one.strategy.accelerators
    yield from apart(f"{name}.accelerators", one.accelerators, used, "the axes of its strategy")
    fullest = max(stage.total for stage in one.stages)
    yield from apart(f"{name}.memory_bytes", one.memory_bytes, fullest, "the parts of its stages")


def _beside(plan: TrainingPlan) -> Iterator[str]:
    """What is said beside the estimates."""
    for rule in (*plan.best.breaks, *plan.rejected):
        if rule not in RULES:
            yield f"{rule!r} is no rule"
    for i, sweep in enumerate(plan.sweeps):
        if len(sweep.values) != len(sweep.step_times):
            yield f"sweeps[{i}] has {len(sweep.step_times)} times of {len(sweep.values)} values"
        times = {f"sweeps[{i}].step_times[{j}]": time for j, time in enumerate(sweep.step_times)}
        yield from too_low({name: time for name, time in times.items() if time is not None})
    site = plan.question.site
    if site is not None:
        for name, one in {**site.failures.inputs, **site.inputs}.items():
            yield from disordered(f"question.site's input {name}", one)


def _totals(best: TrainingEstimate, totals: RunTotals) -> Iterator[str]:
    yield from too_low({"totals.steps": totals.steps, "totals.tokens": totals.tokens})
    duration = totals.steps * best.step_time
    by = "its steps"
    yield from apart("totals.duration", totals.duration, duration, by)
    for end, step in zip(totals.duration_interval, best.step_time_interval, strict=True):
        yield from apart("an end of totals.duration_interval", end, totals.steps * step, by)
    hours = duration * best.accelerators / 3600.0
    yield from apart("totals.accelerator_hours", totals.accelerator_hours, hours, by)


def _account(account: RunAccount, totals: RunTotals | None) -> Iterator[str]:
    yield from out_of_range("account", account)
    if totals is None:
        yield "there is an account of a run that has no length"
        return
    least = SHORTER * min(totals.duration, *totals.duration_interval)
    if account.wall.low < least:
        yield (
            f"account.wall.low is {account.wall.low:g}, but without failures the run takes "
            f"{least:g} or more"
        )
    if not account.goodput.high <= 1.0:
        yield f"account.goodput.high is {account.goodput.high:g}, but is a share"
    most, least = (
        getattr(account.wall, end) * getattr(account.power, end) for end in ("high", "low")
    )
    if account.energy.low > most or account.energy.high < least:
        yield (
            f"account.energy is {account.energy.middle:g}, but its power and time give {least:g} "
            f"to {most:g}"
        )
