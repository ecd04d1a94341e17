"""The tasks of a build over time, and the path through them that decides when it is up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clusterwright.asking_build import DAY
from clusterwright.buildout.plan import BuildPlan, TaskPlan
from clusterwright.report.pictures.clock import Clock
from clusterwright.report.pictures.layers import dots, name, over, tooltip, words
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.uncertain import Interval

MOST_TASKS: Final = 60
STEP: Final = 36
"""Height of a task. [px]"""
NEAR: Final = 0.25
"""Share of the width within which a name begins left, or ends right, so that it fits a phone."""
MILESTONES: Final = {"a tenth up": "first", "all up": "all_up", "accepted": "finish"}
BELOW: Final = 7
"""By which marks lie below the middle of their row, names above. [px]"""


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
    ends = [end for task in drawn for end in (task.end, task.ends.high)]
    clock = Clock(plan.question, max(plan.finish.high, plan.likely, *ends))
    values = [_task(task, clock) for task in drawn]
    path = [row for row in values if row["path"]]
    others = [row for row in values if not row["path"]]
    marks = [_milestone(called, getattr(plan, key), clock) for called, key in MILESTONES.items()]
    longest = max(drawn, key=lambda task: task.spent)
    finish = plan.finish
    return picture(
        values,
        height=STEP * (len(values) + len(marks)),
        description=f"Accepted on {clock.words(finish.middle)} ({clock.spread(finish)}); of "
        f"{plan.likely / DAY:,.0f} days on the longest path most go to: {longest.name} "
        f"({longest.spent / DAY:,.0f} days).",
        encoding={
            "y": {**name("id", [row["id"] for row in [*values, *marks]]), "axis": None},
        },
        layer=[
            clock.frame(),
            *_bars("soft", others, clock),
            *_bars("accent", path, clock),
            _ends(values, clock),
            *_names("muted", others, clock),
            *_names("words", path, clock),
            _milestones(marks, clock),
        ],
    )


def _task(task: TaskPlan, clock: Clock) -> Row:
    row: Row = {
        "id": task.id,
        "name": task.name,
        "begin": clock.at(task.begin),
        "end": clock.at(task.end),
        "early": clock.at(task.ends.low),
        "late": clock.at(task.ends.high),
        "begins": clock.words(task.begin),
        "days": f"{(task.end - task.begin) / DAY:,.0f}",
        "ends": clock.spread(task.ends),
        "critical": f"{task.critical:.0%}",
        "path": task.spent > 0.0,
    }
    # Names of early tasks begin with them, those of late ones end with them: both fit a phone.
    if task.begin > NEAR * clock.end and task.ends.high >= (1.0 - NEAR) * clock.end:
        return {**row, "to": clock.at(task.ends.high)}
    return {**row, "from": clock.at(min(task.begin, NEAR * clock.end))}


def _bars(look: str, rows: Sequence[Row], clock: Clock) -> list[Row]:
    told = {"name": "task", "begins": "begins", "days": "days", "ends": "ends, 80 % of draws"}
    shown = tooltip({**told, "critical": "on the longest path, of draws"})
    span = {"x": clock.field("begin"), "x2": {"field": "end"}, "tooltip": shown}
    mark = style(look, "bar", height=8, yOffset=BELOW)
    return [over(rows, {"mark": mark, "encoding": span})] if rows else []


def _ends(rows: Sequence[Row], clock: Clock) -> Row:
    """When each may end."""
    mark = style("interval", "rule", yOffset=BELOW, tooltip=False)
    return over(
        rows, {"mark": mark, "encoding": {"x": clock.field("early"), "x2": {"field": "late"}}}
    )


def _names(look: str, rows: Sequence[Row], clock: Clock) -> list[Row]:
    layers = []
    for side, align in (("from", "left"), ("to", "right")):
        named = [row for row in rows if side in row]
        if named:
            text = words("name", {"x": clock.field(side)}, look=look, align=align, dy=-8)
            layers.append(over(named, text))
    return layers


def _milestone(called: str, one: Interval, clock: Clock) -> Row:
    when = clock.words(one.middle)
    return {
        "id": f"when {called}",
        "name": called,
        "early": clock.at(one.low),
        "middle": clock.at(one.middle),
        "late": clock.at(one.high),
        "words": when,
        "ends": clock.spread(one),
        "label": f"{called}: {when}",
    }


def _milestones(rows: Sequence[Row], clock: Clock) -> Row:
    told = tooltip({"name": "when", "words": "median", "ends": "80 %"})
    at = {"x": clock.field("middle"), "tooltip": told}
    return over(
        rows,
        _ends(rows, clock),
        dots("accent", at, yOffset=BELOW),
        words("label", {"x": clock.field("late")}, look="strong", align="right", dy=-8),
    )
