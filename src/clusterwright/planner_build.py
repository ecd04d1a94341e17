"""A build over time: when each task is done, what waits for what, accelerators month by month."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clusterwright.asking_build import DAY, enlarged
from clusterwright.buildout.flow import PARTS, Flow, share_by
from clusterwright.buildout.growing import train_across
from clusterwright.buildout.model import (
    BURNT_IN,
    FAILURES,
    HALLS,
    LAST,
    POWER,
    RACK,
    RACKS,
    REPLACEMENT,
    SUPPLY,
    build_model,
    flow_of,
    gates_of,
    inputs_of,
    waits_for,
)
from clusterwright.buildout.plan import (
    BuildPlan,
    BuildQuestion,
    Level,
    Month,
    TaskPlan,
    TrainingPlan,
)
from clusterwright.errors import InputError
from clusterwright.uncertain import Input, draw, interval_of, likely, tornado

Floats = Any
MONTH = 365.25 / 12.0 * DAY
STEPS = (7 * DAY, 14 * DAY, *(MONTH * months for months in (1, 2, 3, 6, 12, 60, 120)))
"""Between rows of what is up when. [s]"""

MOST_ROWS = 16
MOST_SWINGS = 6
LONGEST = 1200 * MONTH
"""What takes longer is a slip of the keyboard. [s]"""

CURVES = 256
"""Draws of which the number online is followed month by month."""


def plan_build(question: BuildQuestion, *, then: str | int | None = None) -> BuildPlan:
    """Play a build through: once as is likely, and many times as may be.

    Parameters
    ----------
    question
        The build.
    then
        Accelerators of an enlargement that begins when the first build is accepted.

    Raises
    ------
    InputError
        A build that never ends, or an enlargement that is none.

    Examples
    --------
    >>> from clusterwright.asking_build import ask_build
    >>> plan = plan_build(ask_build("1024xh100", path="colocation", clock="construction"))
    >>> round(plan.likely - sum(task.spent for task in plan.tasks))
    0
    >>> 3 < plan.finish.low / (7 * 86_400) < plan.finish.high / (7 * 86_400) < 9
    True
    """
    inputs = inputs_of(question)
    usual = likely(inputs)
    flow = flow_of(question, usual)
    end = float(flow.times[LAST][-1, 0])
    if not np.isfinite(end):
        raise InputError("there is never power for all: let the bridge give more, or add a grid")
    if end > LONGEST:
        raise InputError(
            f"the build takes {end / (12 * MONTH):,.0f} years: is a length or a rate mistyped?"
        )
    drawn = draw(inputs)
    many = flow_of(question, drawn)
    results = build_model(question, drawn)
    first, all_up, finish = (interval_of(results[name]) for name in ("first", "all_up", "finish"))
    swings = tornado(lambda values: build_model(question, values), inputs, "finish")
    moving = [one for one in swings if abs(one.high - one.low) >= 0.5 * DAY]
    return BuildPlan(
        question=question,
        first=first,
        all_up=all_up,
        finish=finish,
        likely=end,
        fastest=_fastest(question, inputs),
        tasks=_tasks(question, flow, many),
        months=_months(question, flow, many, usual, drawn),
        swings=tuple(moving[:MOST_SWINGS]),
        gates=gates_of(flow),
        training=_training(question, flow, usual),
        then=None if then is None else plan_build(enlarged(question, then, end)),
        ramp=_ramp(question, many),
    )


def _ramp(question: BuildQuestion, many: Flow) -> tuple[Level, ...]:
    """When each tenth has passed its burn-in, and the first part of all, over the draws."""
    places = (1, *(round(PARTS * tenth / 10) for tenth in range(1, 11)))
    return tuple(
        Level(
            accelerators=question.accelerators * place / PARTS,
            when=interval_of(many.times[BURNT_IN][place]),
        )
        for place in places
    )


def _fastest(question: BuildQuestion, inputs: Mapping[str, Input]) -> float:
    """The finish with each input at the end that is quickest. [s]"""
    ends = {name: one.high if name == RACK else one.low for name, one in inputs.items()}
    return float(np.max(build_model(question, ends)["finish"]))


def _tasks(question: BuildQuestion, flow: Flow, many: Flow) -> tuple[TaskPlan, ...]:
    """Each task with its place on the longest path, by when it begins."""
    spent, often = flow.chain(LAST), many.chain(LAST)
    found = []
    for task in question.tasks:
        ready, ends = flow.ready(task), _ends(many, task.id)
        begin = ready[-1, 0] if task.kind == "once" else ready[1, 0]
        found.append(
            TaskPlan(
                id=task.id,
                name=task.name,
                begin=0.0 if task.done else float(begin),
                end=float(_ends(flow, task.id)[0]),
                spent=float(np.sum(spent.get(task.id, 0.0))),
                critical=float(np.mean(np.asarray(often.get(task.id, 0.0)) > 0.0)),
                ends=interval_of(ends),
                done=task.done,
            )
        )
    return tuple(sorted(found, key=lambda one: (not one.done, one.begin, one.end)))


def _ends(flow: Flow, task: str) -> Floats:
    """When a task's last part is done, in each draw. [s]

    A bridge that gives less than all has brought its last part before the end.
    """
    times = flow.times[task]
    return np.max(np.where(np.isfinite(times), times, 0.0), axis=0)


def online_at(
    question: BuildQuestion, times: Floats, failures: float, replacement: float
) -> Callable[[Floats], Floats]:
    """Accelerators online as a function of time [s], of one draw.

    Those that fail in their burn-in come when they are replaced.
    """

    def online(at: Floats) -> Floats:
        sound = (1.0 - failures) * share_by(times, at)
        return question.accelerators * (sound + failures * share_by(times, at - replacement))

    return online


def _months(
    question: BuildQuestion,
    flow: Flow,
    many: Flow,
    usual: Mapping[str, float],
    drawn: Mapping[str, Floats],
) -> tuple[Month, ...]:
    """The build month by month, or in longer steps, from when there is something to see."""
    end = float(flow.times[LAST][-1, 0]) + usual[REPLACEMENT]
    seen = min(
        float(flow.times[name][1, 0]) for name in (RACKS, SUPPLY, HALLS) if name in flow.times
    )
    step = next(one for one in STEPS if (end - seen) / one < MOST_ROWS)
    at = step * np.arange(int(seen // step), int(np.ceil(end / step)) + 1)
    low, high = _spread(question, many, drawn, at)
    times = {name: column[:, 0] for name, column in flow.times.items()}
    online = online_at(question, times[BURNT_IN], usual[FAILURES], usual[REPLACEMENT])(at)
    racks, burnt_in = share_by(times[RACKS], at), share_by(times[BURNT_IN], at)
    power = _share(times, SUPPLY, at) * usual[POWER]
    halls = _share(times, HALLS, at) * usual[POWER]
    return tuple(
        Month(
            time=float(time),
            power=float(power[row]),
            halls=float(halls[row]),
            racks=max(0.0, float(np.ceil(racks[row] * question.accelerators / usual[RACK] - 1e-6))),
            online=float(online[row]),
            low=float(low[row]),
            high=float(high[row]),
            gate=waits_for(flow, float(racks[row]), float(burnt_in[row]), float(time)),
            spent=float(racks[row] * question.accelerators * question.price),
        )
        for row, time in enumerate(at)
    )


def _share(times: Mapping[str, Floats], name: str, at: Floats) -> Floats:
    """Share of a task's parts that are done; a leased hall has everything. [1]"""
    return share_by(times[name], at) if name in times else np.ones_like(at)


def _spread(
    question: BuildQuestion, many: Flow, drawn: Mapping[str, Floats], at: Floats
) -> tuple[Floats, Floats]:
    """A tenth and nine tenths of draws have fewer accelerators online. [1]"""
    times = many.times[BURNT_IN]
    rows = [
        online_at(
            question,
            times[:, turn],
            float(np.broadcast_to(drawn[FAILURES], times.shape[1])[turn]),
            float(np.broadcast_to(drawn[REPLACEMENT], times.shape[1])[turn]),
        )(at)
        for turn in range(min(CURVES, times.shape[1]))
    ]
    low, high = np.quantile(np.array(rows), (0.1, 0.9), axis=0)
    return low, high


def _training(
    question: BuildQuestion, flow: Flow, usual: Mapping[str, float]
) -> TrainingPlan | None:
    if question.training is None:
        return None
    times = flow.times[BURNT_IN][:, 0]
    online = online_at(question, times, usual[FAILURES], usual[REPLACEMENT])
    all_up = float(times[-1])
    return train_across(question.training, online, all_up, all_up + usual[REPLACEMENT])
