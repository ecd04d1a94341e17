"""The build as a function of its uncertain inputs: numbers or arrays in, times out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clusterwright.buildout.flow import PARTS, Flow
from clusterwright.buildout.plan import BuildQuestion
from clusterwright.buildout.tasks import Task
from clusterwright.uncertain import Input

Floats = Any
POWER, RACK, FAILURES, REPLACEMENT, LOSS = (
    "power",
    "rack",
    "failures",
    "replacement",
    "shift loss",
)
LAST, RACKS, BURNT_IN, HALLS, SUPPLY = "acceptance", "racks", "burn-in", "halls", "power"
NEEDED = (LAST, RACKS, BURNT_IN)
"""Tasks that a build cannot do without."""

TENTH = round(0.1 * PARTS)


def inputs_of(question: BuildQuestion) -> dict[str, Input]:
    """All inputs by name; a task's is its id with ``task:`` before it."""
    found = {f"task:{task.id}": task.duration for task in question.tasks}
    found[POWER], found[RACK] = question.power, question.rack
    found[FAILURES], found[REPLACEMENT] = question.failures, question.replacement
    if question.shifts > 1:
        found[LOSS] = question.shift_loss
    return found


def flow_of(question: BuildQuestion, values: Mapping[str, Floats]) -> Flow:
    """Tasks played through with given values of the inputs."""
    speed = question.shifts * (1.0 - values.get(LOSS, 0.0))
    durations: dict[str, Floats] = {}
    heads: dict[str, Floats] = {}
    for task in question.tasks:
        alone = _row(values[f"task:{task.id}"]) / _row(speed if task.labour else 1.0)
        durations[task.id] = alone * _batches(question, task, values)
        if task.kind == "power":
            heads[task.id] = task.batch / _row(values[POWER])
        if task.kind == "racks" and question.racks_rate:
            durations[task.id] = _racks(question, values) / question.racks_rate
    now = question.now / _row(values[POWER])
    bridged = now + question.bridge_power / _row(values[POWER]) if question.bridge_power else np.inf
    return Flow(
        question.tasks, durations, heads, now=now, most=dict.fromkeys(bridges(question), bridged)
    )


def bridges(question: BuildQuestion) -> tuple[str, ...]:
    """Tasks that bring bridge power: those of kind *power* of which one supply is chosen."""
    chosen = {one for task in question.tasks if task.kind == "any" for one in task.after}
    return tuple(task.id for task in question.tasks if task.kind == "power" and task.id in chosen)


def _row(value: Floats) -> Floats:
    """Draws of an input, across."""
    return np.atleast_1d(np.asarray(value, float))[None, :]


def _racks(question: BuildQuestion, values: Mapping[str, Floats]) -> Floats:
    return np.maximum(1.0, question.accelerators / _row(values[RACK]))


def _batches(question: BuildQuestion, task: Task, values: Mapping[str, Floats]) -> Floats:
    """How often its duration a task takes for the whole cluster. [1]"""
    if task.kind == "racks":
        return np.minimum(_racks(question, values), task.crew)
    if task.kind == "power":
        return _row(values[POWER]) / task.batch
    return 1.0


def build_model(question: BuildQuestion, values: Mapping[str, Floats]) -> dict[str, Floats]:
    """Times from the start: ``first`` (a tenth online), ``all_up``, ``finish``. [s]"""
    times = flow_of(question, values).times
    burnt_in = times[BURNT_IN]
    found = {"first": burnt_in[TENTH], "all_up": burnt_in[-1], "finish": times[LAST][-1]}
    return {name: one[0] if one.size == 1 else one for name, one in found.items()}


def gates_of(flow: Flow) -> tuple[str, str]:
    """What the first racks wait for longest, and what the last ones do from there.

    Either is empty where nothing does.
    """
    first = flow.chain(RACKS, 1)
    start = float(np.max(flow.times[RACKS][1])) - float(np.max(first.pop(RACKS)))
    end = float(np.max(flow.times[RACKS][-1]))
    last: dict[str, float] = {}
    for name, spent in flow.chain(RACKS).items():
        begin = end - float(np.max(spent))
        last[name] = max(0.0, end - max(start, begin))
        end = begin
    return _longest({name: float(np.max(time)) for name, time in first.items()}), _longest(last)


def _longest(chain: Mapping[str, float]) -> str:
    found = max(chain, key=lambda name: chain[name], default="")
    return found if found and chain[found] > 0.0 else ""


def waits_for(flow: Flow, racks: float, online: float, time: float) -> str:
    """What the next accelerators are in, or wait for, at a time [s] on their way online.

    Parameters
    ----------
    flow
        The build.
    racks, online
        Shares that are set up, and online. [1]
    time
        The time. [s]
    """
    last, share = (RACKS, racks) if racks < 1.0 else (BURNT_IN, online)
    level = int(share * PARTS) + 1
    if level > PARTS:
        return ""
    end = float(np.max(flow.times[last][level]))
    for name, spent in flow.chain(last, level).items():
        end -= float(np.max(spent))
        if end <= time:
            return name
    return ""
