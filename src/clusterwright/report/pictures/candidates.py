"""Ways to serve a load side by side: what they take against what users wait, the best marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from clusterwright.report.deployment_text import pools_words
from clusterwright.report.pictures.latencies import NAMES, Which
from clusterwright.report.pictures.layers import (
    axis,
    dots,
    interval,
    log_axis,
    name,
    number,
    over,
    there,
    told,
    tooltip,
    words,
)
from clusterwright.report.pictures.links import Asked, serving_link
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.serving.plan import ServingEstimate, ServingPlan
from clusterwright.units import format_time

Takes = Literal["cost", "energy"]
"""What is compared of several machines: the cost of a million tokens, the energy of one."""
AXES: Final[dict[Takes, str]] = {
    "cost": "cost of a million tokens, owned [$]; line: 80 %",
    "energy": "energy of a token, with its site [J]; line: 80 %",
}
SAID: Final[dict[Takes, str]] = {
    "cost": "A million tokens out cost",
    "energy": "A token out takes",
}


class _Taken(NamedTuple):
    """What candidates are compared by: whether money, and the title of its axis."""

    by_cost: bool
    title: str

    def of(self, one: ServingEstimate) -> float:
        return float(one.cost or 0.0) if self.by_cost else float(one.accelerators)

    def words(self, value: float) -> str:
        return f"${value:,.3g} a million tokens" if self.by_cost else f"{value:,.0f} accelerators"


def candidates(
    plan: ServingPlan, which: Which = "tpot", *, asked: Asked | None = None
) -> Spec | None:
    """Draw what each candidate takes against a latency of its users.

    Parameters
    ----------
    plan
        The plan; its best and those others that keep the promise are drawn, by cost where a price
        was given, else by accelerators.
    which
        The time to the first token, or per token after it.
    asked
        The query of the page, for links to the estimates of those with one kind of replicas.
    """
    every = (plan.best, *plan.alternatives)
    taken = _taken(every)
    values = told([_candidate(one, which, taken, asked) for one in every], TITLES)
    if any(row["time"] <= 0.0 for row in values):
        return None
    promised: float | None = getattr(plan.question.workload, which)
    ends = [row[key] for row in values for key in ("time", "low", "high") if key in row]
    title = f"{NAMES[which][0]}, p90; line: 80 % of runs alike"
    high = 1.25 * max([*ends, promised or 0.0])
    top = 1.15 * max(row["taken"] for row in values)
    best = {**values[0], "called": "best"}
    return picture(
        values,
        height=260,
        description=_said(values, which, taken),
        encoding={
            "x": log_axis(title, 0.8 * min(ends), high),
            "y": {**axis(taken.title, 0.0, top), "field": "taken"},
        },
        layer=[
            *([_promise(promised)] if promised is not None else []),
            there(values, "low", interval("low", "high", opacity=0.45)),
            *_dots("soft", values[1:]),
            *_dots("accent", [best], size=140),
            over([best], words("called", {"x": number("time")}, look="strong", dy=17)),
        ],
    )


def _taken(every: Sequence[ServingEstimate]) -> _Taken:
    if all(one.cost is not None for one in every):
        return _Taken(by_cost=True, title="cost of a million tokens out [$]")
    return _Taken(by_cost=False, title="accelerators")


def _candidate(one: ServingEstimate, which: Which, taken: _Taken, asked: Asked | None) -> Row:
    latency = getattr(one, which)
    row: Row = {
        "time": latency.p90,
        "taken": taken.of(one),
        "replicas": pools_words(one.pools),
        "latency": format_time(latency.p90),
        "shown": taken.words(taken.of(one)),
        "load": f"{one.rate / one.saturation:.0%}",
    }
    alike = {each.sort.split()[0]: each for each in one.intervals}.get(NAMES[which][1])
    if alike is not None:
        row["low"], row["high"] = latency.p90 * alike.low, latency.p90 * alike.high
        row["alike"] = f"{format_time(row['low'])} to {format_time(row['high'])}"
    if asked is not None and len(one.pools) == 1:
        row["href"] = serving_link(one.pools[0].deployment, one.pools[0].count, asked)
    return row


TITLES: Final = {
    "replicas": "replicas",
    "latency": "p90",
    "alike": "in 80 % of runs alike",
    "shown": "takes",
    "load": "load",
}


def _dots(look: str, rows: Sequence[Row], *, size: int = 90) -> list[Row]:
    """Dots, those with a link and those without."""
    at = {"x": number("time"), "tooltip": tooltip(TITLES)}
    linked = [row for row in rows if "href" in row]
    others = [row for row in rows if "href" not in row]
    layers = [over(others, dots(look, at, size=size))] if others else []
    if linked:
        at = {**at, "href": {"field": "href"}}
        layers.append(over(linked, dots(look, at, size=size, cursor="pointer")))
    return layers


def _promise(promised: float) -> Row:
    top = {"x": number("promised"), "y": {"value": 0}}
    rule = style("limit", "rule", tooltip=False)
    return over(
        [{"promised": promised, "words": f"promised {format_time(promised)}"}],
        {"mark": rule, "encoding": {**top, "y2": {"value": "height"}}},
        words("words", top, look="limit", align="right", dx=-5, dy=8),
    )


def _said(values: list[Row], which: Which, taken: _Taken) -> str:
    best, others = values[0], values[1:]
    found = (
        f"The best of {len(values)} candidates takes {best['shown']}; its {NAMES[which][0]} is "
        f"{best['latency']} or less for nine in ten requests"
    )
    if not others:
        return f"{found}."
    low, high = (end(row["taken"] for row in others) for end in (min, max))
    return f"{found}; the others take {taken.words(low)} to {taken.words(high)}."


def machines(plans: Sequence[ServingPlan], of: Takes = "cost") -> Spec | None:
    """Draw what tokens take on each kind of accelerator, with intervals.

    Parameters
    ----------
    plans
        Of the same load, one for each kind, with their accounts.
    of
        The cost of a million of them, or the energy of one.
    """
    values = [row for plan in plans if (row := _machine(plan, of)) is not None]
    if not values:
        return None
    values.sort(key=lambda row: row["middle"])
    first, last = values[0], values[-1]
    at = {"x": number("middle")}
    title = AXES[of]
    told = {"name": "accelerator", "words": "median", "spread": "80 %", "needed": "accelerators",
            "replicas": "replicas"}  # fmt: skip
    return picture(
        values,
        height={"step": 36},
        description=f"{SAID[of]} {first['words']} ({first['spread']}) on {first['name']}, the "
        f"least, and {last['words']} on {last['name']}, the most.",
        encoding={
            "y": name("name", [row["name"] for row in values]),
            "x": axis(title, 0.0, 1.1 * max(row["high"] for row in values), tickCount=4),
            "tooltip": tooltip(told),
        },
        layer=[
            interval("low", "high"),
            dots("soft", at),
            over([first], dots("accent", at)),
            words("words", at, dy=-12),
        ],
    )


def _machine(plan: ServingPlan, of: Takes) -> Row | None:
    """What a plan takes, with its interval; None: nobody published what the machine costs."""
    account = plan.account
    one = None if account is None else {"cost": account.cost, "energy": account.energy}[of]
    if one is None:
        return None
    shown = {"cost": "${:.3g}", "energy": "{:.3g} J"}[of].format
    return {
        "name": plan.question.cluster.accelerator.name,
        **{end: getattr(one, end) for end in ("low", "middle", "high")},
        "words": shown(one.middle),
        "spread": f"{shown(one.low)} to {shown(one.high)}",
        "needed": f"{plan.best.accelerators:,}",
        "replicas": pools_words(plan.best.pools),
    }
