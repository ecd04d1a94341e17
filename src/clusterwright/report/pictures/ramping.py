"""A cluster while it grows: accelerators and power over time, and a run that grows with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clusterwright.buildout.plan import BuildPlan, Level, Month
from clusterwright.report.pictures.clock import Clock
from clusterwright.report.pictures.layers import (
    axis,
    dots,
    kind,
    level,
    name,
    number,
    over,
    tooltip,
    words,
)
from clusterwright.report.pictures.scales import Unit, unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.units import format_count, format_quantity

KINDS: Final = {"halls": "fitted halls take", "power": "power on the site"}
ALL: Final = 0.999
"""Share of the power needed from which it is all there."""


def online(plan: BuildPlan) -> Spec | None:
    """Draw when accelerators are up, the first to the last, with the interval over draws.

    Parameters
    ----------
    plan
        A build; accelerators that fail in their burn-in come a little later.
    """
    if not plan.ramp:
        return None
    count = plan.question.accelerators
    clock = Clock(plan.question, plan.ramp[-1].when.high, begin=plan.ramp[0].when.low)
    unit = unit_for([count], "1")
    values = [_level(one, clock, unit) for one in plan.ramp]
    first, last = plan.first, plan.ramp[-1].when
    return picture(
        values,
        height=260,
        description=f"A tenth of {count:,} accelerators is up by {clock.words(first.middle)} "
        f"({clock.spread(first)}), all by {clock.words(last.middle)} ({clock.spread(last)}).",
        encoding={
            "y": axis(unit.titled("accelerators up; shade: 80 %"), 0.0, 1.06 * unit.of(count)),
        },
        layer=[clock.frame(), *_ramp(clock)],
    )


def _level(one: Level, clock: Clock, unit: Unit) -> Row:
    return {
        "count": unit.of(one.accelerators),
        **{end: clock.at(getattr(one.when, end)) for end in ("low", "middle", "high")},
        "words": format_count(round(one.accelerators)),
        "when": clock.words(one.when.middle),
        "spread": clock.spread(one.when),
    }


def _ramp(clock: Clock) -> list[Row]:
    """A line through the medians in the band of the intervals, which lie along the time."""
    told = tooltip({"words": "accelerators", "when": "median", "spread": "80 % of draws"})
    up = {"y": number("count")}
    at = {"x": clock.field("middle"), **up}
    span = {"x": clock.field("low"), "x2": {"field": "high"}, **up}
    # By how many are up, and not by when: two levels may be passed at the same time.
    line = {**at, "order": number("count")}
    return [
        {"mark": style("band", "area", orient="horizontal", tooltip=False), "encoding": span},
        {"mark": style("accent", "line", tooltip=False), "encoding": line},
        dots("accent", {**at, "tooltip": told}, size=40),
    ]


def power(plan: BuildPlan) -> Spec | None:
    """Draw the power on the site, and what fitted halls can take of it, against what is needed.

    Parameters
    ----------
    plan
        A build; every task takes its likely time.
    """
    months = plan.months
    if len(months) < 2:
        return None
    needed = plan.question.power.value
    clock = Clock(plan.question, months[-1].time, begin=months[0].time)
    unit = unit_for([needed, *(month.power for month in months)], "W")
    values = [_power(month, key, clock, unit) for key in KINDS for month in months]
    said = f"all of it needs {format_quantity(needed, 'W')}"
    top = 1.14 * max(unit.of(needed), *(row["power"] for row in values))
    place = {"x": clock.field("time"), "y": number("power")}
    told = tooltip({"kind": "what", "when": "by", "words": "power"})
    colour = kind("kind", KINDS.values(), columns=2, labelLimit=160)
    return picture(
        values,
        height=220,
        description=f"{_reached(months, 'power', needed, clock)}, "
        f"{_reached(months, 'halls', needed, clock)}; {said}.",
        encoding={"y": axis(unit.titled("power"), 0.0, top)},
        layer=[
            clock.frame(),
            {
                "mark": {"type": "line", "point": {"size": 30}},
                "encoding": {**place, "color": colour, "tooltip": told},
            },
            level(unit.of(needed), said, line="reference", look="muted"),
        ],
    )


def _power(month: Month, key: str, clock: Clock, unit: Unit) -> Row:
    watts = getattr(month, key)
    return {
        "time": clock.at(month.time),
        "kind": KINDS[key],
        "power": unit.of(watts),
        "when": clock.words(month.time),
        "words": format_quantity(watts, "W"),
    }


def _reached(months: Sequence[Month], key: str, needed: float, clock: Clock) -> str:
    """When there is all of it, or how much there is in the end."""
    there = [month for month in months if getattr(month, key) >= ALL * needed]
    month = there[0] if there else months[-1]
    shown = format_quantity(getattr(month, key), "W")
    return f"{KINDS[key]}: {shown} by {clock.words(month.time)}"


def growing(plan: BuildPlan) -> Spec | None:
    """Draw when a run ends that grows with its cluster, waits for it, or stays small.

    Bars begin where the first accelerators are up.

    Parameters
    ----------
    plan
        A build with a run that begins before the cluster is whole, every task at its likely time.
    """
    found, asked = plan.training, plan.question.training
    if found is None or asked is None:
        return None
    ends = {
        "grows with the cluster": found.end,
        "waits for the whole": found.waiting,
        f"stays with {format_count(asked.first)}": found.small,
    }
    clock = Clock(plan.question, max(ends.values()), begin=found.begin)
    begin = clock.at(found.begin)
    values = [
        {"name": called, "begin": begin, "end": clock.at(end), "words": clock.words(end)}
        for called, end in ends.items()
    ]
    first = min(ends, key=lambda called: ends[called])
    end = {"x": clock.field("end")}
    return picture(
        values,
        height={"step": 40},
        description="When the run ends: "
        + ", ".join(f"{row['words']} where it {row['name']}" for row in values)
        + ".",
        encoding={
            "y": name("name", list(ends)),
            "tooltip": tooltip({"name": "the run", "words": "ends"}),
        },
        layer=[
            clock.frame(),
            {
                "mark": style("soft", "bar", height=6),
                "encoding": {"x": clock.field("begin"), "x2": {"field": "end"}},
            },
            dots("soft", end),
            over([row for row in values if row["name"] == first], dots("accent", end)),
            words("words", end, align="right", dx=4, dy=-14),
        ],
    )
