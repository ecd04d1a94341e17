"""A plan within limits as text: the sizes that were tried, then the plan."""

from __future__ import annotations

from clusterwright.aligned import aligned
from clusterwright.planner_limits import LimitedPlan, Tried
from clusterwright.report.text import plan_text
from clusterwright.units import format_quantity, format_time


def limited_text(found: LimitedPlan) -> str:
    """A plan within limits: the sizes tried, then the plan."""
    rows = [_row(one) for one in found.tried]
    header = ("  accelerators", "wall clock", "money", "up to", "carbon", "")
    title = [_limits(found), *aligned(header, rows, align="rrrrrl"), ""]
    return "\n".join(title) + "\n" + plan_text(found.plan)


BREAKS = {
    "": "keeps the limits",
    "time": "too late",
    "money": "too dear",
    "power": "too much power",
    "memory": "does not fit",
}


def _row(tried: Tried) -> list[str]:
    count, account = f"  {tried.accelerators:,}", tried.account
    if account is None:
        return [count, "-", "-", "-", "-", BREAKS[tried.breaks]]
    return [
        count,
        format_time(account.wall.middle),
        format_quantity(account.cost.middle, "USD") if account.cost else "-",
        format_quantity(account.peak.middle, "W"),
        format_quantity(account.carbon.middle, "kg"),
        BREAKS[tried.breaks],
    ]


def _limits(found: LimitedPlan) -> str:
    count = found.plan.question.cluster.count
    return f"{found.limits.in_words()}: {count:,} accelerators"
