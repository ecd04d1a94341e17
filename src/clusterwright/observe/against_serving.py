"""A measured load held against a plan for serving: as planned, and as it was really loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from clusterwright.errors import ClusterwrightError
from clusterwright.observe.findings import Term
from clusterwright.observe.records import Percentiles, ServingRun
from clusterwright.planner_serving import estimate_serving
from clusterwright.records import Record
from clusterwright.serving.intervals import ServingInterval
from clusterwright.serving.plan import Latency, ServingEstimate, ServingPlan
from clusterwright.workload import ServingWorkload

ALIKE = 0.05
"""Lengths and rates that differ by less than this share are as planned."""


class ServedAsRun(Record, frozen=True, kw_only=True):
    """What to expect of a deployment under the load that it really had.

    ``lengths``: as planned, but with the run's prompts and outputs; ``reuse``: and with as much of
    prompts in a cache as the run had; ``expected``: and with the run's rate or users. None: such an
    estimate is as the one before. ``refused``: why there is none.
    """

    planned: ServingEstimate
    lengths: ServingEstimate
    reuse: ServingEstimate
    expected: ServingEstimate
    job: ServingWorkload
    workload: ServingWorkload
    unlike: tuple[str, ...] = ()
    refused: str = ""

    @property
    def comparable(self) -> ServingEstimate:
        """What a run can be held against.

        Where more requests come than can be answered, latencies grow with the length of a run: then
        it is held against the rate that was planned.
        """
        beyond = self.workload.rate > self.reuse.saturation
        return self.reuse if beyond else self.expected


def merged(runs: Sequence[ServingRun]) -> tuple[ServingRun, ...]:
    """An engine's own figures beside the one run of a load generator that they are of."""
    scrapes = [run for run in runs if run.tool == "Prometheus"]
    loads = [run for run in runs if run.tool != "Prometheus"]
    if len(loads) != 1 or not scrapes:
        return tuple(runs)
    joined = loads[0]
    for scrape in scrapes:
        filled = {
            name: value
            for name in joined.__struct_fields__
            if isinstance(value := getattr(scrape, name), float)
            and not math.isfinite(getattr(joined, name))
            and math.isfinite(value)
            and not (name == "rate" and math.isinf(joined.rate))
        }
        joined = msgspec.structs.replace(
            joined, paths=(*joined.paths, *scrape.paths), notes=(*joined.notes, *scrape.notes),
            **filled,
        )  # fmt: skip
    return (joined,)


def nearest(runs: Sequence[ServingRun], plan: ServingPlan) -> ServingRun:
    """The run whose load comes nearest to the planned one."""
    wanted = plan.question.workload.rate or plan.best.output_rate / plan.question.workload.output

    def far(run: ServingRun) -> float:
        rate = run.rate if math.isfinite(run.rate) else run.served
        return abs(math.log(rate / wanted)) if rate > 0.0 else math.inf

    return min(runs, key=far)


def served_as_run(plan: ServingPlan, run: ServingRun) -> ServedAsRun:
    """Estimate a plan's deployment under a run's lengths, reuse and load, one after another."""
    job = plan.question.workload
    unlike: list[str] = []
    lengths = {
        name: round(value)
        for name, value in (("prompt", run.prompt), ("output", run.output))
        if math.isfinite(value) and abs(value / getattr(job, name) - 1.0) > ALIKE
    }
    unlike += [
        f"{name} of {value:,.0f} tokens (planned: {getattr(job, name):,.0f})"
        for name, value in lengths.items()
    ]
    told = msgspec.structs.replace(job, **lengths)
    told = msgspec.structs.replace(told, prefix=min(told.prefix, told.prompt - 1.0))
    cached = told
    if math.isfinite(run.reused) and job.prefix > 0.0 and run.reused < plan.best.reused - ALIKE:
        cached = msgspec.structs.replace(told, prefix=run.reused * told.prompt)
    load = _load(run, job)
    real = msgspec.structs.replace(cached, **load)
    if load:
        unlike.append(_load_words(load, job))
    found = [plan.best]
    refused = ""
    for before, after in ((job, told), (told, cached), (cached, real)):
        if after == before or refused:
            found.append(found[-1])
            continue
        try:
            question = msgspec.structs.replace(plan.question, workload=after)
            found.append(estimate_serving(question, plan.best.pools))
        except ClusterwrightError as error:
            refused = str(error)
            found.append(found[-1])
    return ServedAsRun(
        planned=found[0], lengths=found[1], reuse=found[2], expected=found[3], job=job,
        workload=real, unlike=tuple(unlike), refused=refused,
    )  # fmt: skip


def _load(run: ServingRun, job: ServingWorkload) -> dict[str, float | int]:
    """The load that a run had, where it is not the planned one."""
    if math.isfinite(run.rate) and not run.rate >= 1e6:
        closed = run.most_users < run.rate  # a cap below the requests of a second rules
        if not closed and job.rate and abs(run.rate / job.rate - 1.0) > ALIKE:
            return {"rate": run.rate, "users": 0}
        if not closed:
            return {}
    users = run.most_users if math.isfinite(run.most_users) else run.requests
    if math.isinf(run.rate) or math.isfinite(run.most_users):
        return {"rate": 0.0, "users": max(1, round(users))} if math.isfinite(users) else {}
    if math.isfinite(run.served) and job.rate and abs(run.served / job.rate - 1.0) > ALIKE:
        return {"rate": run.served, "users": 0}
    return {}


def _load_words(load: dict[str, float | int], job: ServingWorkload) -> str:
    planned = f"{job.rate:,.3g} requests/s" if job.rate else f"{job.users:,} users"
    real = (
        f"{load['users']:,} users at once" if load["users"] else f"{load['rate']:,.3g} requests/s"
    )
    return f"{real} (planned: {planned})"


def statistic(one: Percentiles, other: Latency) -> tuple[float, float]:
    """The same statistic of a measured and of an estimated latency: the mean, else the median."""
    if math.isfinite(one.mean):
        return one.mean, other.mean
    return one.p50, other.p50


def per_token(run: ServingRun) -> Percentiles:
    """Time per token after the first; where it is not told, the gaps between tokens."""
    told = math.isfinite(run.tpot.mean) or math.isfinite(run.tpot.p50)
    return run.tpot if told else run.itl


def request_time(target: ServedAsRun) -> float:
    """Planned time of a request: to its first token, and to all that follow. [s]"""
    planned = target.planned
    return planned.ttft.mean + max(0.0, target.job.output - 1.0) * planned.tpot.mean


def serving_terms(run: ServingRun, target: ServedAsRun) -> tuple[Term, ...]:
    """What was planned beside what was measured."""
    planned, expected = target.planned, target.comparable
    rows: list[Term] = []
    for name, measured, latency, sort in (
        ("first token", run.ttft, expected.ttft, "TTFT"),
        ("each token", per_token(run), expected.tpot, "TPOT"),
        ("whole answer", run.latency, expected.latency, ""),
    ):
        low, high = _bounds(expected.intervals, sort)
        for which in ("mean", "p50", "p90", "p99"):
            value, usual = getattr(measured, which), getattr(latency, which)
            if math.isfinite(value):
                rows.append(
                    Term(name=f"{name} {which}", planned=usual, measured=value, low=usual * low,
                         high=usual * high)
                )  # fmt: skip
    for name, usual, value, unit in (
        ("tokens/s out", expected.output_rate, run.output_rate, "1/s"),
        ("requests/s", expected.output_rate / target.workload.output, run.served, "1/s"),
        ("requests at once", expected.concurrency, run.concurrency, "1"),
        ("preempted", planned.preempted, run.preemptions / run.requests, "share"),
        ("reused of prompts", planned.reused, run.reused, "share"),
        ("cache in use", math.nan, run.cache_use, "share"),
    ):
        if math.isfinite(value):
            rows.append(Term(name=name, planned=usual, measured=value, unit=unit))
    return tuple(rows)


def _bounds(intervals: Sequence[ServingInterval], sort: str) -> tuple[float, float]:
    """What 80 % of runs alike took over what was predicted."""
    for one in intervals:
        if sort and one.sort.startswith(sort):
            return one.low, one.high
    return math.nan, math.nan
