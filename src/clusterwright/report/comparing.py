"""Plans of the same run side by side, with what it takes on each machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from clusterwright.aligned import aligned
from clusterwright.errors import InputError
from clusterwright.report.folding import WIDTH, fold
from clusterwright.report.text import gigabytes, strategy_words
from clusterwright.training.plan import TrainingPlan
from clusterwright.uncertain import Interval
from clusterwright.units import format_count, format_quantity, format_time

By = Literal["time", "cost", "energy", "carbon"]
HEADER = (
    "machine",
    "used",
    "step",
    "tokens/s",
    "MFU",
    "spare",
    "wall clock",
    "acc-hours",
    "money",
    "energy",
    "carbon",
)


def ranked(plans: Sequence[TrainingPlan], by: By) -> list[int]:
    """Places of plans, the least first; those of which it is not known come last.

    Raises
    ------
    InputError
        The run's length is not known, or nobody published what any of the machines takes.
    """
    if by == "time" and any(plan.account is None for plan in plans):
        return sorted(range(len(plans)), key=lambda i: plans[i].best.step_time)
    if all(plan.totals is None for plan in plans):
        raise InputError(f"--by {by} needs the length of the run: give --tokens, such as 15.6T")
    taken = [_taken(plan, by) for plan in plans]
    if all(one is None for one in taken):
        raise InputError(f"nothing is known of the {by} on any of these machines: rank by time")
    return sorted(
        range(len(plans)),
        key=lambda i: (taken[i] is None, taken[i] or 0.0, plans[i].best.step_time),
    )


def comparison_text(names: Sequence[str], plans: Sequence[TrainingPlan], by: By = "time") -> str:
    """The same job on several machines, the least first."""
    rows = [[names[index], *_row(plans[index])] for index in ranked(plans, by)]
    lines = aligned([*HEADER, "strategy"], rows, indent="  ")
    if max(map(len, lines)) > WIDTH:
        lines = [*aligned(HEADER, [row[:-1] for row in rows], indent="  "), ""]
        for row in rows:
            lines += fold(f"  {row[0]}: {row[-1]}", 4)
    return "\n".join(lines)


def _row(plan: TrainingPlan) -> list[str]:
    best, totals = plan.best, plan.totals
    account = plan.account if plan.account and plan.account.ends else None
    return [
        f"{best.accelerators:,}",
        format_time(best.step_time),
        format_count(best.tokens_per_second),
        f"{best.mfu:.1%}",
        f"{gigabytes(best.headroom)} GiB",
        _wall(plan),
        format_count(totals.accelerator_hours) if totals else "-",
        _shown(account.cost if account else None, "USD"),
        _shown(account.energy if account else None, "J"),
        _shown(account.carbon if account else None, "kg"),
        strategy_words(best.strategy),
    ]


def _wall(plan: TrainingPlan) -> str:
    if plan.account is not None:
        return format_time(plan.account.wall.middle) if plan.account.ends else "never"
    return "-" if plan.totals is None else format_time(plan.totals.duration)


def _shown(one: Interval | None, dimension: str) -> str:
    return "-" if one is None else format_quantity(one.middle, dimension)


def _taken(plan: TrainingPlan, by: By) -> float | None:
    account = plan.account
    if account is None:
        return None
    one = {
        "time": account.wall,
        "cost": account.cost,
        "energy": account.energy,
        "carbon": account.carbon,
    }[by]
    return None if one is None else one.middle
