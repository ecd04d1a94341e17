"""Ways to serve a load side by side: what they take against what users wait, the best marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from clusterwright.report.deployment_text import deployment_words, pools_words
from clusterwright.report.pictures.layers import (
    TIMES,
    interval,
    log_ticks,
    name,
    number,
    over,
    there,
    tooltip,
    words,
)
from clusterwright.report.pictures.theme import Row, Spec, picture, style, thinned
from clusterwright.serving.plan import ServingEstimate, ServingPlan
from clusterwright.units import format_time

Which = Literal["ttft", "tpot"]
NAMES: Final[dict[Which, tuple[str, str]]] = {
    "ttft": ("time to the first token, p90", "TTFT"),
    "tpot": ("time per token after it, p90", "TPOT"),
}
POINTS: Final = 200
"""Of the trade between users and accelerators, at most."""


class _Taken(NamedTuple):
    """What candidates are compared by: a title, and how a number is written."""

    title: str
    by_cost: bool

    def of(self, one: ServingEstimate) -> float:
        return float(one.cost or 0.0) if self.by_cost else float(one.accelerators)

    def written(self, value: float) -> str:
        return f"${value:,.3g}" if self.by_cost else f"{value:,.0f}"


def candidates(plan: ServingPlan, which: Which = "tpot") -> Spec | None:
    """Draw what each candidate takes against a latency of its users.

    Parameters
    ----------
    plan
        The plan; its best and those others that keep the promise are drawn.
    which
        The time to the first token, or per token after it.
    """
    every = (plan.best, *plan.alternatives)
    taken = _taken(every)
    values = [_candidate(one, which, taken, best=one is plan.best) for one in every]
    if any(row["time"] <= 0.0 for row in values):
        return None
    promised = getattr(plan.question.workload, which)
    ends = [row[key] for row in values for key in ("time", "low", "high") if key in row]
    low, high = 0.8 * min(ends), 1.25 * max([*ends, promised or 0.0])
    x = {
        "type": "quantitative",
        "title": f"{NAMES[which][0]}; line: 80 % of runs alike",
        "scale": {"type": "log", "domain": [low, high], "nice": False},
        "axis": {**TIMES, "values": log_ticks(low, high)},
    }
    top = 1.15 * max(row["taken"] for row in values)
    y = {"type": "quantitative", "title": taken.title, "field": "taken",
         "scale": {"domain": [0, top], "nice": False}}  # fmt: skip
    point = {"x": number("time"), "tooltip": _told()}
    best = there(
        values,
        "best",
        {"mark": style("accent", "point", size=140, opacity=1), "encoding": point},
        words("best", look="strong", where={"x": number("time")}, dy=16),
    )
    return picture(
        values,
        height=260,
        description=_said(plan, which, values),
        encoding={"x": x, "y": y},
        layer=[
            *([_promise(promised)] if promised is not None else []),
            there(values, "low", interval("low", "high", opacity=0.45)),
            {"mark": style("soft", "point", size=90, opacity=1), "encoding": point},
            best,
        ],
    )


def _taken(every: Sequence[ServingEstimate]) -> _Taken:
    if all(one.cost is not None for one in every):
        return _Taken("cost of a million tokens out [$]", by_cost=True)
    return _Taken("accelerators", by_cost=False)


def _candidate(one: ServingEstimate, which: Which, taken: _Taken, *, best: bool) -> Row:
    latency = getattr(one, which)
    row: Row = {
        "time": latency.p90,
        "taken": taken.of(one),
        "words": pools_words(one.pools),
        "latency": format_time(latency.p90),
        "shown": taken.written(taken.of(one)),
        "accelerators": f"{one.accelerators:,}",
        "load": f"{one.rate / one.saturation:.0%}",
    }
    alike = {each.sort.split()[0]: each for each in one.intervals}.get(NAMES[which][1])
    if alike is not None:
        row["low"], row["high"] = latency.p90 * alike.low, latency.p90 * alike.high
        row["alike"] = f"{format_time(row['low'])} to {format_time(row['high'])}"
    if best:
        row["best"] = f"best: {row['shown']}, {row['latency']}"
    return row


def _told() -> list[Row]:
    return tooltip(
        {"words": "replicas", "latency": "p90", "alike": "in 80 % of runs alike",
         "shown": "taken", "accelerators": "accelerators", "load": "load"}
    )  # fmt: skip


def _promise(promised: float) -> Row:
    place = {"x": number("promised"), "y": {"value": 0}}
    return over(
        [{"promised": promised, "words": f"promised {format_time(promised)}"}],
        {
            "mark": style("limit", "rule", tooltip=False),
            "encoding": {**place, "y2": {"value": "height"}},
        },
        words("words", look="limit", where=place, align="right", dx=-5, dy=8, strokeWidth=0),
    )


def _said(plan: ServingPlan, which: Which, values: list[Row]) -> str:
    best, others = values[0], values[1:]
    taken = _taken((plan.best, *plan.alternatives))
    return (
        f"The best of {len(values)} candidates takes {best['shown']} "
        f"({taken.title.partition(' [')[0]}) at a {NAMES[which][0].partition(',')[0]} of "
        f"{best['latency']} for nine in ten requests; the others take "
        f"{min((row['taken'] for row in others), default=best['taken']):,.3g} to "
        f"{max((row['taken'] for row in others), default=best['taken']):,.3g}."
    )


def trade(plan: ServingPlan) -> Spec | None:
    """Draw tokens a second of one user against those of one accelerator, by closed form.

    Parameters
    ----------
    plan
        The plan; its best deployment is marked where it is at its load.
    """
    if len(plan.front) < 2:
        return None
    points = [
        {
            "user": one.user_rate,
            "each": one.accelerator_rate,
            "user words": f"{one.user_rate:,.3g}/s",
            "each words": f"{one.accelerator_rate:,.3g}/s",
            "at once": f"{one.sequences:,.0f}",
            "replica": deployment_words(one.deployment),
        }
        for one in plan.front
    ]
    values = thinned(points, POINTS)
    best = plan.best
    chosen = {
        "user": best.user_rate,
        "each": best.output_rate / best.accelerators,
        "user words": f"{best.user_rate:,.3g}/s",
        "each words": f"{best.output_rate / best.accelerators:,.3g}/s",
        "at once": f"{best.concurrency:,.0f}",
        "replica": pools_words(best.pools),
        "words": "the plan",
    }
    place = {"x": number("user"), "y": number("each")}
    told = tooltip(
        {"user words": "tokens of a user", "each words": "tokens of an accelerator",
         "at once": "sequences at once", "replica": "replica"}
    )  # fmt: skip
    ends = {key: _ends([row[key] for row in [*values, chosen]]) for key in ("user", "each")}
    return picture(
        values,
        height=260,
        description=(
            f"From {values[-1]['user words']} to {values[0]['user words']} tokens for a user, an "
            f"accelerator makes {values[-1]['each words']} down to {values[0]['each words']}; the "
            f"plan gives a user {chosen['user words']} and makes {chosen['each words']} an "
            f"accelerator."
        ),
        encoding={
            "x": _log(ends["user"], "tokens a second of one user"),
            "y": _log(ends["each"], "tokens a second of one accelerator"),
        },
        layer=[
            {"mark": style("soft", "line", tooltip=False), "encoding": place},
            {"mark": style("soft", "point", size=40), "encoding": {**place, "tooltip": told}},
            over(
                [chosen],
                {
                    "mark": style("accent", "point", size=140, opacity=1),
                    "encoding": {**place, "tooltip": told},
                },
                words("words", look="strong", where=place, dy=-16),
            ),
        ],
    )


def _ends(values: list[float]) -> tuple[float, float]:
    return 0.8 * min(values), 1.25 * max(values)


def _log(ends: tuple[float, float], title: str) -> Row:
    return {
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "domain": list(ends), "nice": False},
        "axis": {"values": log_ticks(*ends), "format": ",~g"},
    }


def machines(plans: Sequence[ServingPlan]) -> Spec | None:
    """Draw what a million tokens cost on each kind of accelerator, with intervals.

    Parameters
    ----------
    plans
        Of the same load, one for each kind, with their accounts.
    """
    values = []
    for plan in plans:
        if plan.account is None or plan.account.cost is None:
            continue
        cost = plan.account.cost
        values.append(
            {
                "name": plan.question.cluster.accelerator.name,
                "low": cost.low,
                "middle": cost.middle,
                "high": cost.high,
                "words": f"${cost.middle:.3g}",
                "spread": f"${cost.low:.3g} to ${cost.high:.3g}",
                "needed": f"{plan.best.accelerators:,}",
                "replicas": pools_words(plan.best.pools),
            }
        )
    if not values:
        return None
    values.sort(key=lambda row: row["middle"])
    first = values[0]
    x = {"type": "quantitative", "title": "cost of a million tokens out, owned [$]; line: 80 %",
         "scale": {"zero": True}, "axis": {"tickCount": 4}}  # fmt: skip
    told = tooltip(
        {"name": "accelerator", "words": "middle", "spread": "80 %", "needed": "accelerators",
         "replicas": "replicas"}
    )  # fmt: skip
    return picture(
        values,
        height={"step": 34},
        description=f"{first['name']} is the cheapest with {first['words']} a million tokens out "
        f"({first['spread']}), {values[-1]['name']} the dearest with {values[-1]['words']}.",
        encoding={"y": name("name", [row["name"] for row in values]), "x": x, "tooltip": told},
        layer=[
            interval("low", "high"),
            {"mark": style("soft", "point", size=90, opacity=1), "encoding": {"x": number("middle")}},
            over([first], {"mark": style("accent", "point", size=90, opacity=1),
                           "encoding": {"x": number("middle")}}),
            words("words", where={"x": number("middle")}, dy=-12),
        ],
    )  # fmt: skip
