"""Serving plans and estimates as text a person reads: the decision first, then the reasons."""

from __future__ import annotations

import math
from typing import Literal

from clusterwright.aligned import aligned
from clusterwright.model.parameters import count_parameters
from clusterwright.report.account_text import service_lines
from clusterwright.report.deployment_text import deployment_words, pools_words
from clusterwright.report.folding import fold
from clusterwright.report.handheld_text import handheld_lines, offload_lines
from clusterwright.report.intervals import overlap_lines, span
from clusterwright.serving.estimating import with_room
from clusterwright.serving.intervals import BORROWED
from clusterwright.serving.plan import Latency, ServingEstimate, ServingPlan, ServingQuestion
from clusterwright.uncertain import Interval
from clusterwright.units import format_count, format_quantity, format_time

BAR = 24
SITE = ("$/M", "J/token", "carbon/M")
"""Of a token, or a million of them, with all that the site draws."""
By = Literal["accelerators", "cost", "energy", "carbon"]
FRONT_LINES = 8
ALONE = "all wait while the only one of its kind is away (spares: plan fleet)"


def plan_text(plan: ServingPlan) -> str:
    """A plan: what to set up, what users get, what else would do."""
    question = plan.question
    lines = [*question_lines(question), "", "Best deployment", *decision_lines(plan)]
    lines += ["", *_parts(plan.best)]
    if plan.alternatives:
        lines += ["", "Others that keep the promise", *_alternatives(plan)]
    lines += ["", "What users and accelerators get (closed form, both on one replica)"]
    lines += _front(plan)
    lines += ["", f"{plan.evaluated} deployments fit, {plan.refused} do not; {plan.played} played"]
    return "\n".join(lines) + "\n"


def decision_lines(plan: ServingPlan) -> list[str]:
    """What a person decides on: the replicas, what users get, what it takes."""
    lines = estimate_lines(plan.best, plan.question)
    lines += service_lines(plan.account) if plan.account else []
    return lines + _room(plan)


def estimate_text(question: ServingQuestion, found: ServingEstimate) -> str:
    """One deployment under a load."""
    lines = [*question_lines(question), "", *estimate_lines(found, question)]
    if found.offload is not None:
        lines += ["", *offload_lines(found.offload)]
    lines += ["", *_parts(found)]
    return "\n".join(lines) + "\n"


def question_lines(question: ServingQuestion) -> list[str]:
    """What was asked, with what was filled in."""
    model, job = question.model, question.workload
    count = count_parameters(model)
    active = f", {format_count(count.active)} active" if count.active != count.total else ""
    promise = [
        f"{name} within {format_time(limit)}"
        for name, limit in (("first token", job.ttft), ("then one", job.tpot))
        if limit is not None
    ]
    kept = f"; {', '.join(promise)} for {job.percentile:g} % of requests" if promise else ""
    chip = question.cluster.accelerator.name
    if question.device:
        chip = f"{question.device.name}, {chip}"
    parameters = f"{format_count(count.total)} parameters{active}"
    users = "one user who waits" if job.users == 1 else f"{job.users:,} users who wait"
    asked = f"{users} for each answer:" if job.users else f"{job.rate:,g} requests/s of"
    load = f"{asked} {job.prompt:,.0f} tokens in and {job.output:,.0f} out"
    if job.prefix:
        load += f", {job.prefix:,.0f} of those in as others began"
    lines = [
        f"{model.name} ({parameters}) on {chip}, {question.engine.name}",
        *fold(load + kept, 0),
    ]
    if question.assumed:
        lines += fold("assumed: " + "; ".join(question.assumed), 9)
    return lines


def estimate_lines(found: ServingEstimate, question: ServingQuestion | None = None) -> list[str]:
    """What it takes, what users get, how far from the edge; ``question``: where it is known."""
    if found.handheld is not None:
        return handheld_lines(found, found.handheld)
    lines = [f"  replicas     {pools_words(found.pools)}"]
    if len(found.pools) > 1 and any(pool.count == 1 for pool in found.pools):
        lines.append(f"               {ALONE}")
    lines += [f"  accelerators {found.accelerators:,}"]
    for name, latency in (
        ("first token", found.ttft), ("each token", found.tpot), ("gaps", found.itl),
        ("whole answer", found.latency)
    ):  # fmt: skip
        lines.append(f"  {name:<12s} {latency_words(latency)}")
    per = found.output_rate / found.accelerators
    lines.append(
        f"  throughput   {format_count(found.output_rate)} tokens/s out, {per:,.0f} per "
        f"accelerator, {found.user_rate:,.0f} per user; {found.concurrency:,.0f} requests at once"
    )
    lines += _sureness(found)
    lines += _load(found)
    memory = found.memory
    lines.append(
        f"  memory       {memory.weights / 2**30:.1f} GiB of weights, "
        f"{memory.cache / 2**30:.1f} GiB of cache an accelerator; "
        f"{format_count(memory.cache_tokens)} tokens a replica"
    )
    if found.reused > 0.0:
        lines.append(f"  reused       {found.reused:.0%} of prompts' tokens were in a cache")
    if found.preempted > 0.0:
        lines.append(f"  preempted    {found.preempted:.1%} of requests, for want of cache")
    if question and question.service.outages:
        lines.append(f"  lost         {found.lost:.1%} of requests began again after a failure")
    if question and question.service.target:
        lines.append(f"  up           {found.up:.0%} of the replicas on average")
    if found.cost is not None:
        lines.append(f"  cost         ${found.cost:.3g} a million tokens out")
    if found.energy is not None:
        lines.append(f"  energy       {found.energy:.3g} J a token out, at board power")
    if not found.meets:
        most = f"more than {100 - question.workload.percentile:g} %" if question else "too many"
        lines.append(f"  PROMISE      BROKEN for {most}")
    return lines


def _load(found: ServingEstimate) -> list[str]:
    """How far the load is from what replicas can take, and what that means."""
    low, high = found.limits
    most = f"the {found.saturation:,.3g} requests/s at which queues grow without end"
    lines = [f"  load         {found.rate / found.saturation:.0%} of {most}"]
    between = f"somewhere from {low:,.3g} to {high:,.3g}"
    if found.verdict == "unsure":
        lines.append(f"  UNSURE       that is {between}: take more, or measure before you promise")
    elif found.verdict == "falls behind":
        lines.append(f"  FALLS BEHIND that is {between}: latencies are of a queue that grows")
    return lines


def _sureness(found: ServingEstimate) -> list[str]:
    """What runs alike took over what was predicted: 80 % of them."""
    words = {"TTFT": "first token", "throughput": "throughput"}
    named = [(words.get(one.sort, "each token"), one) for one in found.intervals]
    if not named:
        return []
    parts = ", ".join(f"{name} x {one.low:.2f} to {one.high:.2f}" for name, one in named)
    few = ", ".join(name for name, one in named if 0 < one.rows < BORROWED)
    lines = [f"  how sure     {parts} in 80 % of runs alike"]
    if few:
        lines.append(f"               {few}: fewer than {BORROWED:g} are alike, others count too")
    return lines


def _room(plan: ServingPlan) -> list[str]:
    """What was planned for instead of the promise itself."""
    planned = with_room(plan.question.workload, plan.best.intervals)
    limits = [
        f"{name} within {format_time(limit)}"
        for name, limit in (("first token", planned.ttft), ("then one", planned.tpot))
        if limit is not None
    ]
    if not limits or not plan.best.intervals:
        return []
    words = ", ".join(limits)
    return [f"  room         planned for {words}: nine in ten runs alike keep what is promised"]


def latency_words(one: Latency) -> str:
    """Percentiles of a latency, in words."""
    parts = ((name, getattr(one, name)) for name in ("p50", "p90", "p99"))
    return ", ".join(f"{name} {format_time(value)}" for name, value in parts)


def _parts(found: ServingEstimate) -> list[str]:
    """The parts of a step that decodes, longest first."""
    total = sum(part.time for part in found.parts)
    rows = []
    for part in sorted(found.parts, key=lambda one: -one.time):
        share = part.time / total
        name = part.name.replace("_", " ")
        rows.append([f"  {name}", format_time(part.time), f"{share:.0%}", "#" * round(BAR * share)])
    lines = aligned(("  part", "time", "share", ""), rows, align="lrrl")
    return [f"A step of decoding at the mean load takes {format_time(total)}:", *lines]


def _alternatives(plan: ServingPlan) -> list[str]:
    header = ("  replicas", "accelerators", "first p90", "token p90", "load")
    rows = [
        [
            f"  {pools_words(one.pools)}",
            f"{one.accelerators:,}",
            format_time(one.ttft.p90),
            format_time(one.tpot.p90),
            f"{one.rate / one.saturation:.0%}",
        ]
        for one in plan.alternatives
    ]
    return aligned(header, rows, align="lrrrr")


def _front(plan: ServingPlan) -> list[str]:
    points = plan.front
    step = max(1, math.ceil(len(points) / FRONT_LINES))
    header = ("  tokens/s/user", "tokens/s/accelerator", "at once", "replica")
    rows = [
        [
            f"  {one.user_rate:,.0f}",
            f"{one.accelerator_rate:,.0f}",
            f"{one.sequences:,.0f}",
            deployment_words(one.deployment),
        ]
        for one in points[::step]
    ]
    return aligned(header, rows, align="rrrl")


def comparison_text(
    plans: list[ServingPlan], refused: list[tuple[str, str]], by: By = "accelerators"
) -> str:
    """Plans side by side in their order, how, how sure, and why others have none."""
    header = ("accelerator", "needed", "first p90", "token p90", *SITE)
    rows = [
        [
            plan.question.cluster.accelerator.name,
            f"{plan.best.accelerators:,}",
            format_time(plan.best.ttft.p90),
            format_time(plan.best.tpot.p90),
            *(_taken(plan, by) for by in ("cost", "energy", "carbon")),
        ]
        for plan in plans
    ]
    lines = [*aligned(header, rows, align="lrrrrrr"), ""] if rows else []
    for plan in plans:
        # Replicas in words are long: they get lines of their own.
        name = plan.question.cluster.accelerator.name
        lines += fold(f"{name}: {pools_words(plan.best.pools)}", 4)
        if sure := _how_sure(plan):
            lines += fold(f"  80 %: {', '.join(sure)}", 8)
    lines += [f"{name}: {why}" for name, why in refused]
    return "\n".join([*lines, *_overlap(plans[:2], by)]) + "\n"


def _how_sure(plan: ServingPlan) -> list[str]:
    """The 80 % intervals of all in the table that has one."""
    best, account = plan.best, plan.account
    alike = {one.sort.partition(" ")[0]: one for one in best.intervals}
    said = [
        f"{name} {span(value * one.low, value * one.high, 's')}"
        for name, sort, value in (
            ("first p90", "TTFT", best.ttft.p90), ("token p90", "TPOT", best.tpot.p90)
        )
        if (one := alike.get(sort))
    ]  # fmt: skip
    if account is None:
        return said
    if account.cost is not None and best.cost is None:
        said.append(f"${account.cost.low:.3g} to ${account.cost.high:.3g}/M")
    said.append(f"{account.energy.low:.3g} to {account.energy.high:.3g} J/token")
    return [*said, f"{span(account.carbon.low, account.carbon.high, 'kg')}/M"]


def _overlap(best: list[ServingPlan], by: By) -> list[str]:
    """Whether the two that come first are told apart by what they are ranked by."""
    if len(best) < 2 or by == "accelerators":
        return []
    one, other = (_interval(plan, by) for plan in best)
    first, second = (plan.question.cluster.accelerator.name for plan in best)
    return overlap_lines((first, second), (one, other), by)


def least(plan: ServingPlan, by: By) -> tuple[bool, float, int]:
    """What plans are ranked by, the least first; those of which it is not known come last."""
    count = plan.best.accelerators
    found = float(count) if by == "accelerators" else _token(plan, by)
    return found is None, found or 0.0, count


def _token(plan: ServingPlan, by: By) -> float | None:
    """Money [USD] and carbon [kg] of a million tokens out, or the energy of one [J]."""
    if by == "cost" and plan.best.cost is not None:
        return plan.best.cost  # of the rent that was given
    one = _interval(plan, by)
    return None if one is None else one.middle


def _interval(plan: ServingPlan, by: By) -> Interval | None:
    """What of that has an interval; a rent that was given has none."""
    account = plan.account
    if account is None or (by == "cost" and plan.best.cost is not None):
        return None
    return {"cost": account.cost, "energy": account.energy, "carbon": account.carbon}.get(by)


def _taken(plan: ServingPlan, by: By) -> str:
    value = _token(plan, by)
    if value is None:
        return "-"
    shown = {"cost": f"${value:,.3g}", "energy": f"{value:.3g}"}
    return shown[by] if by in shown else format_quantity(value, "kg")
