"""What cannot be in a saved plan for serving: somebody edited it."""

from __future__ import annotations

from collections.abc import Iterator

from clusterwright.edited import apart, disordered, emptied, out_of_range, too_low
from clusterwright.serving.plan import Latency, ServingEstimate, ServingPlan
from clusterwright.site.money import YEAR
from clusterwright.site.service import ServiceAccount

LATENCIES = ("ttft", "tpot", "itl", "latency")


def amiss(plan: ServingPlan) -> Iterator[str]:
    """Tell what cannot be in a plan, the plainest first."""
    question = plan.question
    yield from emptied({"question.cluster.levels": question.cluster.levels})
    yield from too_low(
        {
            "question.cluster.count": question.cluster.count,
            "question.workload.prompt": question.workload.prompt,
            "question.workload.output": question.workload.output,
            "question.model.num_layers": question.model.num_layers,
        }
    )
    estimates = {
        "best": plan.best,
        **{f"alternatives[{i}]": one for i, one in enumerate(plan.alternatives)},
    }
    if plan.best.handheld is None:
        yield from emptied({"front": plan.front})
        for name, one in estimates.items():
            yield from _deployed(name, one)
    for name in ("best", "alternatives", "front", "evaluated", "refused", "played", "account"):
        yield from out_of_range(name, getattr(plan, name))
    for name, one in estimates.items():
        for which in LATENCIES:
            yield from _latency(f"{name}.{which}", getattr(one, which))
    if plan.account is not None:
        yield from _account(plan.account, plan.best.output_rate)
    if plan.site is not None:
        for name, given in plan.site.inputs.items():
            yield from disordered(f"site's input {name}", given)


def _deployed(name: str, one: ServingEstimate) -> Iterator[str]:
    """What replicas cannot be."""
    yield from emptied({f"{name}.pools": one.pools, f"{name}.parts": one.parts})
    numbers = ("accelerators", "rate", "saturation", "output_rate", "user_rate")
    yield from too_low({f"{name}.{number}": getattr(one, number) for number in numbers})
    yield from too_low({f"the time of {name}.parts": sum(part.time for part in one.parts)})
    for i, pool in enumerate(one.pools):
        cut = {axis: getattr(pool.deployment, axis) for axis in ("tp", "pp", "dp", "ep", "cp")}
        numbers_of = {"count": pool.count, **cut}
        yield from too_low({f"{name}.pools[{i}]'s {key}": n for key, n in numbers_of.items()})
    taken = sum(pool.accelerators for pool in one.pools)
    yield from apart(f"{name}.accelerators", one.accelerators, taken, "its replicas")
    if one.limits[0] > one.limits[1]:
        yield f"{name}.limits are no interval"


def _latency(name: str, one: Latency) -> Iterator[str]:
    if not one.p50 <= one.p90 <= one.p99:
        yield f"{name} has percentiles out of their order"


def _account(account: ServiceAccount, output_rate: float) -> Iterator[str]:
    if account.cost is None or account.year is None:
        return
    millions = output_rate * YEAR / 1e6
    cost, by = account.cost.middle, "its cost of a year and its tokens"
    yield from apart("account.cost", cost, account.year.middle / millions, by)
