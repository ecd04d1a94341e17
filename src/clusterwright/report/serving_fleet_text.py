"""The size of a whole service as text a person reads."""

from __future__ import annotations

from collections.abc import Sequence

from clusterwright.aligned import aligned
from clusterwright.planner_serving_fleet import both_ways
from clusterwright.report.deployment_text import pools_words
from clusterwright.report.folding import fold
from clusterwright.report.serving_text import latency_words, question_lines
from clusterwright.serving.fleet import FleetPlan, FleetQuestion
from clusterwright.site.money import YEAR
from clusterwright.units import format_count, format_quantity

WAYS = {"model": "By the model", "measured": "By the measured rate"}
MOST_LINES = 12


def fleet_text(plans: Sequence[FleetPlan]) -> str:
    """One or two ways to the size of the same service."""
    lines = [_asked(plans[0].question)]
    for plan in plans:
        lines += ["", WAYS[plan.way], *_totals(plan), "", *_regions(plan), *_largest(plan)]
    ratio = both_ways(plans)
    if ratio is not None:
        lines += ["", f"The model needs {ratio:.2f} times what the measured rate does."]
    return "\n".join(lines) + "\n"


def _asked(question: FleetQuestion) -> str:
    words = [f"{format_count(question.rate)} requests/s on average"]
    count = len(question.regions)
    words.append("one region" if count == 1 else f"{count} regions")
    peaks = sorted({region.peak for region in question.regions})
    if peaks != [1.0]:
        several = f"{peaks[0]:g} to {peaks[-1]:g}" if len(peaks) > 1 else f"{peaks[0]:g}"
        words.append(f"peaks of {several} times the mean")
    if question.headroom:
        words.append(f"{question.headroom:.0%} headroom")
    if question.lose:
        words.append("any one region may be lost")
    if question.spare:
        words.append(f"{question.spare} spare in each pool")
    if question.shortfall:
        words.append(f"short of replicas {question.shortfall:.2g} of the time at most")
    return "\n".join(fold(", ".join(words), 0))


def _totals(plan: FleetPlan) -> list[str]:
    """What all regions take together."""
    up, spare = (sum(getattr(one, name) for one in plan.regions) for name in ("replicas", "spare"))
    lines = [
        f"  accelerators {plan.accelerators:,}",
        f"  replicas     {up:,}" + (f" (and {spare:,} spare)" if spare else ""),
        f"  used         {plan.used:.0%} (of what it is sized for, on average)",
    ]
    if plan.power is not None:
        watts, joules = plan.power, plan.power * YEAR
        lines.append(f"  power        {format_quantity(watts, 'W')} (of accelerators, at most)")
        lines.append(f"  energy       {format_quantity(joules, 'J')} a year (at that power)")
    if plan.cost is not None:
        year = format_quantity(plan.cost * YEAR / 3600.0, "USD")
        lines.append(f"  cost         ${plan.cost:,.0f} an hour ({year} a year)")
    return lines


def _largest(plan: FleetPlan) -> list[str]:
    """The replicas by which all are cut."""
    if plan.largest is None:
        return []
    best = plan.largest.best
    return [
        "",
        "The largest region's replicas",
        *question_lines(plan.largest.question),
        f"  {pools_words(best.pools)}",
        f"  first token  {latency_words(best.ttft)}",
        f"  each token   {latency_words(best.tpot)}",
    ]


def _regions(plan: FleetPlan) -> list[str]:
    header = ("  region", "mean/s", "peak/s", "sized for", "replicas", "spare", "accelerators")
    rows = [
        [
            f"  {one.name}",
            format_count(one.mean),
            format_count(one.peak),
            format_count(one.sized),
            f"{one.replicas:,}",
            f"{one.spare:,}",
            f"{one.accelerators:,}",
        ]
        for one in plan.regions[:MOST_LINES]
    ]
    more = len(plan.regions) - MOST_LINES
    lines = aligned(header, rows, align="lrrrrrr")
    return [*lines, f"  and {more} more"] if more > 0 else lines
