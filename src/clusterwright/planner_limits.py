"""Backwards: how many accelerators a run takes to keep a deadline, a budget or a power limit."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from clusterwright.asking import quantity_of
from clusterwright.catalogue.building import cut_levels
from clusterwright.errors import InfeasibleError, InputError
from clusterwright.planner import (
    evaluator_of,
    objective_column,
    plan_training,
    run_account,
    run_totals,
)
from clusterwright.records import Record
from clusterwright.site.run import RunAccount
from clusterwright.training.estimate import estimate_with
from clusterwright.training.plan import TrainingPlan, TrainingQuestion
from clusterwright.training.search import best_of_each_kind, search
from clusterwright.uncertain import Interval
from clusterwright.units import format_quantity, format_time

STEPS = (2, 3)
"""Numbers of nodes that are tried are powers of the first, times the second or not."""


AS_GOOD, SLOWER = 1.02, 1.2
"""Times over the least that are taken for as good as it, and that end the search among fewer."""


class Limits(Record, frozen=True, kw_only=True):
    """What a run may take: money [USD], wall-clock time [s], power of the site at most [W].

    ``sure``: whether nine runs in ten must keep them, and not the likely one.
    """

    budget: float | None = None
    deadline: float | None = None
    power: float | None = None
    sure: bool = False

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return (self.budget, self.deadline, self.power) != (None, None, None)

    def in_words(self) -> str:
        """All of them, and how sure they must be kept.

        >>> Limits(budget=1e7, deadline=86400.0 * 60).in_words()
        'done within 60 days, for at most $10M, as is likely'
        """
        words = [
            f"done within {format_time(self.deadline)}" if self.deadline else "",
            f"for at most {format_quantity(self.budget, 'USD')}" if self.budget else "",
            f"with at most {format_quantity(self.power, 'W')}" if self.power else "",
            "in nine runs of ten" if self.sure else "as is likely",
        ]
        return ", ".join(filter(None, words))


class Tried(Record, frozen=True, kw_only=True):
    """A number of accelerators, what a run on them takes, and the limit that it breaks, if any."""

    accelerators: int
    account: RunAccount | None
    breaks: str


class LimitedPlan(Record, frozen=True, kw_only=True):
    """The plan that keeps the limits, and the sizes that were tried on the way to it."""

    limits: Limits
    plan: TrainingPlan
    tried: tuple[Tried, ...]


def ask_limits(
    *,
    budget: str | None = None,
    deadline: str | None = None,
    power: str | None = None,
    sure: bool = False,
) -> Limits:
    """Limits as a person types them: ``$40M``, ``60d``, ``150MW``.

    Raises
    ------
    InputError
        Not of its unit, or not above zero.
    """
    given = {"budget": (budget, "USD"), "deadline": (deadline, "s"), "power": (power, "W")}
    found = {
        name: quantity_of(written, dimension, f"--{name}", above=True)
        for name, (written, dimension) in given.items()
        if written is not None
    }
    if sure and not found:
        raise InputError("--sure needs a limit beside it: --budget, --deadline or --power")
    return Limits(**found, sure=sure)


def plan_within(
    question: TrainingQuestion, limits: Limits, *, catalogue_hash: str | None = None
) -> LimitedPlan:
    """Plan a run within limits: the fewest accelerators for a deadline, else the soonest done.

    Raises
    ------
    InputError
        No limit, no tokens, or nothing is known of money and power.
    InfeasibleError
        No size of the machine keeps them; the message says which breaks and by how much.
    """
    _check(question, limits)
    sizes = _sizes(question)
    tried: dict[int, Tried] = {}

    def at(place: int) -> Tried:
        size = sizes[place]
        if size not in tried:
            tried[size] = _try(question, limits, size)
        return tried[size]

    place = _place(len(sizes), limits, at)
    if at(place).breaks:
        raise InfeasibleError(_refusal(at(place), limits, question))
    size, most = sizes[place], question.cluster.count
    taken = f"{size:,} accelerators of up to {most:,}: {limits.in_words()}"
    chosen = _resized(question, size)
    chosen = msgspec.structs.replace(chosen, assumed=(taken, *chosen.assumed))
    plan = plan_training(chosen, catalogue_hash=catalogue_hash)
    shown = tuple(tried[size] for size in sorted(tried))
    return LimitedPlan(limits=limits, plan=plan, tried=shown)


def _place(count: int, limits: Limits, at: Callable[[int], Tried]) -> int:
    """The size that keeps the limits: the first for a deadline, else the soonest; or the nearest.

    Time and money are not quite monotone, since some sizes suit a batch better than others: the
    neighbours of the place where a limit begins to break are tried too. Beyond what a batch feeds
    more accelerators save no time, so that fewer of them are taken.
    """
    slow = ("time", "memory")
    if limits.deadline is not None:
        found = _first(count, lambda one: at(one).breaks not in slow)
        near = [found - 2, found - 1, found]
    else:
        found = _first(count, lambda one: at(one).breaks not in (*slow, "")) - 1
        near = [found + 2, found + 1, found]
    near = [one for one in near if 0 <= one < count]
    kept = next((one for one in near if not at(one).breaks), None)
    if kept is not None:
        return kept if limits.deadline is not None else _soonest(kept, at)
    if limits.deadline is not None:
        # The first in time, which breaks another limit; or the soonest done, if all are too slow.
        return found if found < count else _soonest(count - 1, at, ("", "time"))
    fitting = [one for one in near if at(one).breaks != "memory"]
    return min(fitting, default=min(max(found, 0), count - 1))


def _soonest(last: int, at: Callable[[int], Tried], fine: tuple[str, ...] = ("",)) -> int:
    """The place up to the last with the least time, or one with fewer that is as good as it."""
    best, place = last, last
    while place > 0 and _wall(at(place)) < SLOWER * _wall(at(best)):
        place -= 1
        if at(place).breaks in fine and _wall(at(place)) < AS_GOOD * _wall(at(best)):
            best = place
    return best


def _wall(tried: Tried) -> float:
    return math.inf if tried.account is None else tried.account.wall.middle


def _check(question: TrainingQuestion, limits: Limits) -> None:
    if not limits.any:
        raise InputError("give a limit: --budget $10M, --deadline 60d or --power 150MW")
    if not question.workload.tokens:
        raise InputError("how long is the run? give --tokens, such as 15.6T")
    if question.site is None:
        raise InputError(
            "limits need to know what the machine draws and costs: "
            + next((one for one in question.assumed if one.startswith("no power")), "ask with it")
        )


def _sizes(question: TrainingQuestion) -> list[int]:
    """Numbers of accelerators to try: whole nodes, up to all there are."""
    most = question.cluster.count
    node = question.site.failures.node_size if question.site else 1
    found = {most}
    for factor in (1, STEPS[1]):
        size = node * factor
        while size < most:
            found.add(size)
            size *= STEPS[0]
    return sorted(found)


def _first(count: int, holds: Callable[[int], bool]) -> int:
    """The first place for which something holds that then stays so; ``count``: for none."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _resized(question: TrainingQuestion, size: int) -> TrainingQuestion:
    cluster = question.cluster
    if size == cluster.count:
        return question
    part = msgspec.structs.replace(
        cluster,
        # A machine that is called by its number is another one.
        id=cluster.id.replace(f"{cluster.count}x", f"{size}x"),
        name=cluster.name.replace(f"{cluster.count:,} x", f"{size:,} x"),
        count=size,
        levels=cut_levels(cluster.levels, size),
    )
    return msgspec.structs.replace(question, cluster=part)


def _try(question: TrainingQuestion, limits: Limits, size: int) -> Tried:
    """What a run takes by closed form, and the first limit that it breaks."""
    resized = _resized(question, size)
    evaluator = evaluator_of(resized)
    try:
        found = search(evaluator, resized.pins)
    except InfeasibleError:
        return Tried(accelerators=size, account=None, breaks="memory")
    best = estimate_with(
        evaluator,
        found.strategy(best_of_each_kind(found, objective_column(found, "time"), 1)[0]),
        intervals=resized.intervals,
    )
    reckoned = run_account(resized, best, run_totals(best, resized.workload.tokens))
    return Tried(accelerators=size, account=reckoned, breaks=_broken(reckoned, limits))


def _broken(account: RunAccount | None, limits: Limits) -> str:
    if account is None:
        return "memory"
    for name, limit, spread in (
        ("time", limits.deadline, account.wall),
        ("money", limits.budget, account.cost),
        ("power", limits.power, account.peak),
    ):
        if limit is not None and spread is not None and _end(spread, limits) > limit:
            return name
    return ""


def _end(spread: Interval, limits: Limits) -> float:
    return spread.high if limits.sure else spread.middle


def _refusal(tried: Tried, limits: Limits, question: TrainingQuestion) -> str:
    """Which limit breaks, by how much, and what would do."""
    size, all_of_it = tried.accelerators, question.cluster.count
    if tried.account is None:
        return (
            f"the model does not fit on {size:,} of {question.cluster.name}; give more with "
            f"--accelerators, or a larger limit"
        )
    if tried.breaks == "time":
        taken = format_time(_end(tried.account.wall, limits))
        late = f"more than the deadline of {format_time(limits.deadline or 0.0)}; allow {taken}"
        if size == all_of_it:
            return f"even all {size:,} accelerators take {taken}: {late}, or give more of them"
        return (
            f"the run takes {taken} at least, on {size:,} accelerators, since its batch feeds no "
            f"more: {late}, or give a larger batch"
        )
    if tried.breaks == "money" and tried.account.cost is not None:
        taken = format_quantity(_end(tried.account.cost, limits), "USD")
        return (
            f"the run costs {taken} on {size:,} accelerators, more than the budget of "
            f"{format_quantity(limits.budget or 0.0, 'USD')}: allow that much"
            + (", or a later deadline" if limits.deadline else ", or train on fewer tokens")
        )
    taken = format_quantity(_end(tried.account.peak, limits), "W")
    return (
        f"{size:,} accelerators draw up to {taken} with their site, more than "
        f"{format_quantity(limits.power or 0.0, 'W')}: allow that much, or cap each of them"
    )
