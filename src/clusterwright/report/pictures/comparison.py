"""Machines side by side: what the same run takes on each, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from clusterwright.report.pictures.layers import tooltip
from clusterwright.report.pictures.scales import Unit, unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.report.text import strategy_words
from clusterwright.training.plan import TrainingPlan
from clusterwright.uncertain import Interval
from clusterwright.units import format_quantity

Compared = Literal["step", "time", "cost", "energy", "carbon"]
"""The time of a step; time, money, energy and carbon of the whole run."""

TITLES: Final[dict[Compared, tuple[str, str]]] = {
    "step": ("time of a step", "s"),
    "time": ("time of the run, failures counted", "s"),
    "cost": ("money of the run", "USD"),
    "energy": ("energy of the run", "J"),
    "carbon": ("carbon of the run", "kg"),
}

ROOM: Final = 1.55
"""Axis over the end of the longest interval: its value stands beyond it, on a phone too."""


class _Taken(NamedTuple):
    """What one machine takes, in SI."""

    name: str
    value: Interval
    plan: TrainingPlan


def comparison(
    names: Sequence[str], plans: Sequence[TrainingPlan], by: Compared = "step"
) -> Spec | None:
    """Draw what the same run takes on several machines, in the order in which they are given.

    Parameters
    ----------
    names
        Of the machines.
    plans
        One for each name.
    by
        What is compared; machines of which it is not known are left out.
    """
    found = [
        _Taken(name, value, plan)
        for name, plan in zip(names, plans, strict=True)
        if (value := _value(plan, by)) is not None
    ]
    if not found:
        return None
    title, dimension = TITLES[by]
    unit = unit_for([one.value.high for one in found], dimension)
    rows = [_row(one, unit, dimension) for one in found]
    least = min(found, key=lambda one: one.value.middle)
    for row, one in zip(rows, found, strict=True):
        row["least"] = one is least
    order = [row["name"] for row in rows]
    return picture(
        rows,
        height={"step": 30},
        description=_sentence(found, least, title, dimension),
        encoding={"y": {"field": "name", "type": "nominal", "sort": order, "title": None}},
        layer=_layers(unit.titled(title), max(row["high"] for row in rows)),
    )


def _value(plan: TrainingPlan, by: Compared) -> Interval | None:
    """What a plan takes, with its interval; None: it is not known."""
    best, totals, account = plan.best, plan.totals, plan.account
    if by == "step":
        low, high = best.step_time_interval
        return Interval(low=low, middle=best.step_time, high=high)
    if account is not None:
        return {
            "time": account.wall,
            "cost": account.cost,
            "energy": account.energy,
            "carbon": account.carbon,
        }[by]
    if by == "time" and totals is not None:
        low, high = totals.duration_interval
        return Interval(low=low, middle=totals.duration, high=high)
    return None


def _row(one: _Taken, unit: Unit, dimension: str) -> Row:
    value, best = one.value, one.plan.best
    low, high = (format_quantity(end, dimension) for end in (value.low, value.high))
    return {
        "name": one.name,
        "low": unit.of(value.low),
        "middle": unit.of(value.middle),
        "high": unit.of(value.high),
        "words": format_quantity(value.middle, dimension),
        "interval": f"{low} to {high}",
        "strategy": strategy_words(best.strategy),
        "used": f"{best.accelerators:,}",
    }


def _layers(title: str, most: float) -> list[Row]:
    """Bars, the least of them marked; intervals; values behind them."""
    titles = {
        "name": "machine",
        "words": "likely",
        "interval": "80 % interval",
        "used": "accelerators",
        "strategy": "strategy",
    }
    scale = {"domain": [0, most * ROOM], "nice": False}
    bar = {
        "x": {"field": "middle", "type": "quantitative", "title": title, "scale": scale},
        "tooltip": tooltip(titles),
    }
    interval = {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}}
    words = {"x": {"field": "high", "type": "quantitative"}, "text": {"field": "words"}}
    return [
        *(
            {
                "transform": [{"filter": {"field": "least", "equal": least}}],
                "mark": style(look, "bar", height={"band": 0.62}),
                "encoding": bar,
            }
            for least, look in ((True, "accent"), (False, "soft"))
        ),
        {"mark": style("interval", "rule", tooltip=False), "encoding": interval},
        {
            "mark": style("words", "text", align="left", dx=7, tooltip=False),
            "encoding": words,
        },
    ]


def _sentence(found: Sequence[_Taken], least: _Taken, title: str, dimension: str) -> str:
    """Say what is seen."""
    most = max(found, key=lambda one: one.value.middle)
    low, high = (format_quantity(end, dimension) for end in (least.value.low, least.value.high))
    said = f"{least.name} has the least {title}: "
    said += f"{format_quantity(least.value.middle, dimension)} (80 % interval {low} to {high})"
    if most is least:
        return f"{said}."
    return f"{said}; {most.name} has the most, {format_quantity(most.value.middle, dimension)}."
