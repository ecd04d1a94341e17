"""A build over time: its tasks and the path that decides, and what is up when."""

from __future__ import annotations

import datetime as dt
from typing import Final

from clusterwright.asking_build import DAY, later
from clusterwright.buildout.plan import BuildPlan, BuildQuestion, Level, TaskPlan
from clusterwright.report.pictures.layers import name, number, over, tooltip, words
from clusterwright.report.pictures.scales import Unit, unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.units import format_count, format_quantity

MARGIN: Final = 1.02
"""End of the axis over the latest time that is drawn."""
MARGIN_LEFT: Final = 0.08
"""Of the span that is drawn, what is left free before it."""
MOST_TASKS: Final = 60
NEAR: Final = 0.25
"""Share of the width within which a name may begin left, or end right, so that it fits a phone."""


class _Clock:
    """Times of a build as the axis has them: dates where its first day is known, else days."""

    def __init__(self, question: BuildQuestion, end: float) -> None:
        self.start = question.start
        self.end = end * MARGIN

    def at(self, time: float) -> str | float:
        """A time, cut off where the axis ends."""
        shown = min(time, self.end)
        if not self.start:
            return shown / DAY
        first = dt.datetime.fromisoformat(self.start)
        return (first + dt.timedelta(seconds=round(shown))).isoformat() + "Z"

    def words(self, time: float) -> str:
        return later(self.start, time) or f"day {time / DAY:,.0f}"

    def field(self, field: str) -> Row:
        """An encoding by a field of such times."""
        return {"field": field, "type": "temporal" if self.start else "quantitative"}

    def axis(self, begin: float = 0.0) -> Row:
        """The encoding that all layers share."""
        ends = [self.at(begin), self.at(self.end)]
        scale: Row = {"domain": ends, "nice": False}
        if not self.start:
            return {"type": "quantitative", "title": "days from the start", "scale": scale}
        return {"type": "temporal", "title": None, "scale": {"type": "utc", **scale},
                "axis": {"format": "%b %Y" if self.end - begin > 150 * DAY else "%d %b",
                         "tickCount": 4}}  # fmt: skip


def tasks(plan: BuildPlan) -> Spec | None:
    """Draw the tasks of a build, those on the longest path in the accent, and when it is up.

    Parameters
    ----------
    plan
        A build; tasks that were finished before it starts are left out.
    """
    drawn = [task for task in plan.tasks if not task.done and task.end > task.begin][:MOST_TASKS]
    if not drawn:
        return None
    clock = _Clock(plan.question, max(plan.finish.high, plan.likely))
    values = [_task(task, clock) for task in drawn]
    marks = [_milestone(called, getattr(plan, key), clock) for called, key in MILESTONES.items()]
    order = [row["id"] for row in [*values, *marks]]
    told = tooltip(
        {"name": "task", "begins": "begins", "days": "days", "ends": "ends, 80 % of draws",
         "critical": "on the longest path, of draws"}
    )  # fmt: skip
    line = {"x": clock.field("early"), "x2": {"field": "late"}}
    path = [row for row in values if row["path"]]
    longest = max((task for task in drawn), key=lambda task: task.spent)
    return picture(
        values,
        height={"step": 36},
        description=f"Accepted on {clock.words(plan.finish.middle)} ({clock.words(plan.finish.low)} "
        f"to {clock.words(plan.finish.high)}); of {plan.likely / DAY:,.0f} days on the longest path "
        f"most go to: {longest.name} ({longest.spent / DAY:,.0f} days).",
        encoding={"y": {**name("id", order), "axis": None}, "x": clock.axis()},
        layer=[
            over([row for row in values if not row["path"]], _bar("soft", clock, told)),
            over(path, _bar("accent", clock, told)),
            {"mark": style("interval", "rule", yOffset=7, tooltip=False), "encoding": line},
            *_names(values, path),
            over(
                marks,
                {"mark": style("interval", "rule", yOffset=7, strokeWidth=2, tooltip=False), "encoding": line},
                {"mark": style("accent", "point", yOffset=7, size=90, opacity=1),
                 "encoding": {"x": clock.field("middle"),
                              "tooltip": tooltip({"name": "when", "words": "median", "ends": "80 %"})}},
                words("label", look="strong", where={"x": clock.field("late")}, align="right", dy=-8),
            ),
        ],
    )  # fmt: skip


MILESTONES: Final = {"a tenth up": "first", "all up": "all_up", "accepted": "finish"}


def _bar(look: str, clock: _Clock, told: list[Row]) -> Row:
    return {
        "mark": style(look, "bar", height=8, yOffset=7),
        "encoding": {"x": clock.field("begin"), "x2": {"field": "end"}, "tooltip": told},
    }


def _task(task: TaskPlan, clock: _Clock) -> Row:
    row: Row = {
        "id": task.id,
        "name": task.name,
        "begin": clock.at(task.begin),
        "end": clock.at(task.end),
        "early": clock.at(task.ends.low),
        "late": clock.at(task.ends.high),
        "begins": clock.words(task.begin),
        "days": f"{(task.end - task.begin) / DAY:,.0f}",
        "ends": f"{clock.words(task.ends.low)} to {clock.words(task.ends.high)}",
        "critical": f"{task.critical:.0%}",
        "path": task.spent > 0.0,
    }
    # Names of early tasks begin with them, those of late ones end with them: both fit a phone.
    side, place = "from", min(task.begin, NEAR * clock.end)
    if task.begin > NEAR * clock.end and task.ends.high >= (1.0 - NEAR) * clock.end:
        side, place = "to", task.ends.high
    return {**row, side: clock.at(place)}


def _names(values: list[Row], path: list[Row]) -> list[Row]:
    """Names above bars, those on the longest path in words that stand out."""
    kind = "temporal" if isinstance(values[0]["begin"], str) else "quantitative"
    layers = []
    for side, align in (("from", "left"), ("to", "right")):
        for look, rows in (("words", path), ("muted", [row for row in values if row not in path])):
            some = [row for row in rows if side in row]
            if some:
                where = {"x": {"field": side, "type": kind}}
                layers.append(over(some, words("name", look=look, where=where, align=align, dy=-8)))
    return layers


def _milestone(called: str, one: object, clock: _Clock) -> Row:
    low, middle, high = (float(getattr(one, end)) for end in ("low", "middle", "high"))
    when = clock.words(middle)
    return {
        "id": f"when {called}",
        "name": called,
        "early": clock.at(low),
        "middle": clock.at(middle),
        "late": clock.at(high),
        "words": when,
        "ends": f"{clock.words(low)} to {clock.words(high)}",
        "label": f"{called}: {when}",
    }


def online(plan: BuildPlan) -> Spec | None:
    """Draw when accelerators are up, the first to the last, with the interval over draws.

    Parameters
    ----------
    plan
        A build; those that fail in their burn-in come a little later.
    """
    if not plan.ramp:
        return None
    whens = [level.when for level in plan.ramp]
    clock = _Clock(plan.question, whens[-1].high)
    unit = unit_for([plan.question.accelerators], "1")
    values = [_level(level, clock, unit) for level in plan.ramp]
    begin = max(0.0, whens[0].low - MARGIN_LEFT * (whens[-1].high - whens[0].low))
    told = tooltip({"words": "accelerators", "when": "median", "spread": "80 % of draws"})
    up, up_x = number("count"), {"x": clock.field("middle")}
    tenth, last = values[1], values[-1]
    return picture(
        values,
        height=260,
        description=f"A tenth of {plan.question.accelerators:,} accelerators is up by "
        f"{tenth['when']} ({tenth['spread']}), all by {last['when']} ({last['spread']}).",
        encoding={
            "x": clock.axis(begin),
            "y": {"type": "quantitative", "title": unit.titled("accelerators up; shade: 80 %"),
                  "scale": {"domain": [0, 1.06 * last["count"]], "nice": False}},
        },
        layer=[
            {
                "mark": style("band", "area", orient="horizontal", tooltip=False),
                "encoding": {"x": clock.field("low"), "x2": {"field": "high"}, "y": up},
            },
            {
                "mark": style("accent", "line", tooltip=False),
                # In the order of the rows: two levels may be passed at the same time.
                "encoding": {**up_x, "y": up, "order": number("count")},
            },
            {"mark": style("accent", "point", size=40), "encoding": {**up_x, "y": up, "tooltip": told}},
        ],
    )  # fmt: skip


def _level(level: Level, clock: _Clock, unit: Unit) -> Row:
    when = level.when
    return {
        "count": unit.of(level.accelerators),
        "low": clock.at(when.low),
        "middle": clock.at(when.middle),
        "high": clock.at(when.high),
        "words": format_count(round(level.accelerators)),
        "when": clock.words(when.middle),
        "spread": f"{clock.words(when.low)} to {clock.words(when.high)}",
    }


KINDS: Final = {"halls": "fitted halls take", "power": "power on the site"}


def power(plan: BuildPlan) -> Spec | None:
    """Draw the power on the site, and what fitted halls can take of it, against what is needed.

    Parameters
    ----------
    plan
        A build.
    """
    months, needed = plan.months, plan.question.power
    if len(months) < 2:
        return None
    clock = _Clock(plan.question, months[-1].time / MARGIN)
    unit = unit_for([needed.value, *(month.power for month in months)], "W")
    values = [
        {
            "time": clock.at(month.time),
            "kind": called,
            "power": unit.of(getattr(month, key)),
            "when": clock.words(month.time),
            "words": format_quantity(getattr(month, key), "W"),
        }
        for key, called in KINDS.items()
        for month in months
    ]
    place = {"y": number("needed"), "x": {"value": 0}}
    top = 1.14 * max(unit.of(needed.value), *(row["power"] for row in values))
    there = next((month for month in months if month.power >= 0.999 * needed.value), months[-1])
    fitted = next((month for month in months if month.halls >= 0.999 * needed.value), months[-1])
    said = f"all of it needs {format_quantity(needed.value, 'W')}"
    return picture(
        values,
        height=220,
        description=f"The site has {format_quantity(there.power, 'W')} by {clock.words(there.time)} "
        f"and halls that take {format_quantity(fitted.halls, 'W')} by {clock.words(fitted.time)}; "
        f"{said}.",
        encoding={
            "x": clock.axis(months[0].time),
            "y": {"type": "quantitative", "title": unit.titled("power"),
                  "scale": {"domain": [0, top], "nice": False}},
        },
        layer=[
            {
                "mark": {"type": "line", "point": {"size": 30}},
                "encoding": {
                    "x": clock.field("time"), "y": number("power"),
                    "color": {"field": "kind", "type": "nominal", "title": None,
                              "scale": {"domain": list(KINDS.values())}, "legend": {"columns": 2, "labelLimit": 160}},
                    "tooltip": tooltip({"kind": "what", "when": "by", "words": "power"}),
                },
            },
            over(
                [{"needed": unit.of(needed.value), "words": said}],
                {"mark": style("reference", "rule", tooltip=False),
                 "encoding": {**place, "x2": {"value": "width"}}},
                words("words", look="muted", where=place, align="left", dx=4, dy=-8),
            ),
        ],
    )  # fmt: skip


def growing(plan: BuildPlan) -> Spec | None:
    """Draw when a run ends that grows with its cluster, waits for it, or stays small.

    Parameters
    ----------
    plan
        A build with a run that begins before the cluster is whole.
    """
    found, asked = plan.training, plan.question.training
    if found is None or asked is None:
        return None
    ends = {
        "grows with the cluster": (found.begin, found.end),
        "waits for the whole": (plan.all_up.middle, found.waiting),
        f"stays with {format_count(asked.first)}": (found.begin, found.small),
    }
    clock = _Clock(plan.question, max(end for _, end in ends.values()))
    values = [
        {"name": called, "begin": clock.at(min(begin, end)), "end": clock.at(end),
         "words": clock.words(end)}
        for called, (begin, end) in ends.items()
    ]  # fmt: skip
    first = min(ends, key=lambda called: ends[called][1])
    begin = 0.9 * min(begin for begin, _ in ends.values())
    row = next(row for row in values if row["name"] == first)
    told = tooltip({"name": "the run", "words": "ends"})
    end = {"x": clock.field("end")}
    return picture(
        values,
        height={"step": 40},
        description=f"The run ends first where it {first}: {clock.words(ends[first][1])}, against "
        + " and ".join(f"{one['words']} where it {one['name']}" for one in values if one is not row)
        + ".",
        encoding={"y": name("name", list(ends)), "x": clock.axis(begin), "tooltip": told},
        layer=[
            {
                "mark": style("soft", "bar", height=6),
                "encoding": {"x": clock.field("begin"), "x2": {"field": "end"}},
            },
            {"mark": style("soft", "point", size=90, opacity=1), "encoding": end},
            over([row], {"mark": style("accent", "point", size=90, opacity=1), "encoding": end}),
            words("words", where=end, align="right", dx=4, dy=-14),
        ],
    )
