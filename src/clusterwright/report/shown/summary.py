"""A plan in one sentence, for whoever pays: what, where, how long, for how much, at what risk."""

from __future__ import annotations

from typing import Final

from clusterwright.report.labelled import Labelled
from clusterwright.serving.plan import ServingPlan
from clusterwright.site.run import RunAccount
from clusterwright.training.plan import TrainingPlan
from clusterwright.uncertain import Interval
from clusterwright.units import format_count, format_quantity, format_time

RANGES: Final = "Ranges in brackets are 80 % intervals: one answer in five lies outside of its own."
FIRST: Final = (
    *("PROMISE", "FALLS BEHIND", "UNSURE", "wall clock", "whole run", "first token", "each token"),
    *("whole answer", "money", "owned", "cost", "with a site", "energy", "carbon", "power cap"),
    *("throughput", "accelerators", "load", "how sure", "strategy", "replicas"),
)
"""Labels of figures in the order in which a report tells them; the others come after them."""


def for_payers(figures: tuple[Labelled, ...]) -> tuple[Labelled, ...]:
    """Figures with time first, then money, energy and carbon, then how it is done."""
    place = {label: i for i, label in enumerate(FIRST)}
    return tuple(sorted(figures, key=lambda one: place.get(one.label, len(FIRST))))


def summary_of(plan: TrainingPlan | ServingPlan) -> str:
    """Say the whole plan in one sentence."""
    return _service(plan) if isinstance(plan, ServingPlan) else _run(plan)


def _run(plan: TrainingPlan) -> str:
    question, best, totals = plan.question, plan.best, plan.totals
    what = f"{question.model.name} on {best.accelerators:,} x {question.cluster.accelerator.name}"
    if totals is None:
        rate = format_count(best.tokens_per_second)
        return (
            f"{what} trains at {rate} tokens/s; how long it takes, and for how much, is not known: "
            f"nobody said of how many tokens."
        )
    if plan.account is None:
        low, high = (format_time(end) for end in totals.duration_interval)
        return (
            f"{what} is done in about {format_time(totals.duration)} ({low} to {high}) if nothing "
            f"fails; failures, money and energy are not counted."
        )
    return f"{what} {_accounted(plan.account)}."


def _accounted(account: RunAccount) -> str:
    every = format_time(account.between.middle)
    if not account.ends:
        return f"is never done: a failure every {every} leaves no progress"
    price = "" if account.cost is None else f", for {_spread(account.cost, 'USD')}"
    good = account.goodput
    return (
        f"is done in about {_spread(account.wall, 's')}{price}, with "
        f"{_spread(account.energy, 'J')} of energy; {good.middle:.0%} ({good.low:.0%} to "
        f"{good.high:.0%}) of that time is work that stands, with a failure every {every}"
    )


def _service(plan: ServingPlan) -> str:
    question, best, account = plan.question, plan.best, plan.account
    chip = question.cluster.accelerator.name
    said = (
        f"{question.model.name} answers {best.rate:,.3g} requests/s on {best.accelerators:,} x "
        f"{chip}, nine in ten within {format_time(best.latency.p90)}"
    )
    if account is None:
        said += "; money, energy and carbon are not counted"
    else:
        if account.year is not None:
            said += f", for {_spread(account.year, 'USD')} a year"
        said += f", drawing {_spread(account.power, 'W')}"
    share = best.rate / best.saturation
    return f"{said}; that is {share:.0%} of the load at which queues grow without end."


def _spread(one: Interval, dimension: str) -> str:
    middle, low, high = (
        format_time(value) if dimension == "s" else format_quantity(value, dimension)
        for value in (one.middle, one.low, one.high)
    )
    return f"{middle} ({low} to {high})"
