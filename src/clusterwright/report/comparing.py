"""Plans of the same run side by side, with what it takes on each machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from clusterwright.aligned import aligned
from clusterwright.errors import InputError
from clusterwright.report.folding import fold
from clusterwright.report.intervals import overlap_lines, span
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
RANKED: dict[By, str] = {
    "time": "wall clock",
    "cost": "money",
    "energy": "energy",
    "carbon": "carbon",
}


def ranked(plans: Sequence[TrainingPlan], by: By) -> list[int]:
    """Places of plans, the least first; those of which it is not known come last.

    Raises
    ------
    InputError
        The run's length is not known, or nobody published what any of the machines takes.
    """
    if _by_step(plans, by):
        return sorted(range(len(plans)), key=lambda i: plans[i].best.step_time)
    if all(plan.totals is None for plan in plans):
        raise InputError(f"--by {by} needs the length of the run: give --tokens, such as 15.6T")
    taken = [_taken(plan, by) for plan in plans]
    if all(one is None for one in taken):
        raise InputError(f"nothing is known of the {by} on any of these machines: rank by time")

    def place(index: int) -> tuple[bool, float, float]:
        one = taken[index]
        return one is None, one.middle if one else 0.0, plans[index].best.step_time

    return sorted(range(len(plans)), key=place)


def _by_step(plans: Sequence[TrainingPlan], by: By) -> bool:
    """Whether the time of a step is all that can be compared of the time."""
    return by == "time" and any(plan.account is None for plan in plans)


def comparison_text(names: Sequence[str], plans: Sequence[TrainingPlan], by: By = "time") -> str:
    """The same job on several machines, the least first: what it takes, how, and how sure."""
    order = ranked(plans, by)
    rows = [[names[index], *_row(plans[index])] for index in order]
    lines = [*aligned(HEADER, rows, indent="  "), ""]
    for index in order:
        lines += fold(f"  {names[index]}: {strategy_words(plans[index].best.strategy)}", 4)
        lines += fold(f"    80 %: {_how_sure(plans[index])}", 10)
    return "\n".join([*lines, *_overlap([(names[i], plans[i]) for i in order[:2]], by)])


def _overlap(best: Sequence[tuple[str, TrainingPlan]], by: By) -> list[str]:
    """Whether the two that come first are told apart by what they are ranked by."""
    if len(best) < 2:
        return []
    (one, first), (other, second) = best
    plans = (first, second)
    if _by_step(plans, by):
        return overlap_lines((one, other), (_step(first), _step(second)), "step")
    if not all(plan.account and plan.account.ends for plan in plans):
        return []
    return overlap_lines((one, other), (_taken(first, by), _taken(second, by)), RANKED[by])


def _step(plan: TrainingPlan) -> Interval:
    low, high = plan.best.step_time_interval
    return Interval(low=low, middle=plan.best.step_time, high=high)


def _how_sure(plan: TrainingPlan) -> str:
    """The 80 % intervals of all that has one."""
    best, totals, account = plan.best, plan.totals, plan.account
    said = [f"step {span(*best.step_time_interval, 's')}"]
    if account is None:
        wall = totals.duration_interval if totals else None
        return ", ".join(said + ([f"wall clock {span(*wall, 's')}"] if wall else []))
    if not account.ends:
        return said[0]
    said.append(f"wall clock {span(account.wall.low, account.wall.high, 's')}")
    sums = ((account.cost, "USD"), (account.energy, "J"), (account.carbon, "kg"))
    said += [span(one.low, one.high, dimension) for one, dimension in sums if one is not None]
    return ", ".join(said)


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
    ]


def _wall(plan: TrainingPlan) -> str:
    if plan.account is not None:
        return format_time(plan.account.wall.middle) if plan.account.ends else "never"
    return "-" if plan.totals is None else format_time(plan.totals.duration)


def _shown(one: Interval | None, dimension: str) -> str:
    return "-" if one is None else format_quantity(one.middle, dimension)


def _taken(plan: TrainingPlan, by: By) -> Interval | None:
    account = plan.account
    if account is None:
        return None
    return {
        "time": account.wall,
        "cost": account.cost,
        "energy": account.energy,
        "carbon": account.carbon,
    }[by]
