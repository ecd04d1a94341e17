"""Power of a training job from one iteration to the next, as a grid or a generator sees it.

All nodes run the same iteration at once. Most of it is a mix of computing and of traffic that comes
too often for a meter: it is one phase. Then all exchange gradients, and update: these are phases of
their own, in which accelerators draw less. A node's power goes with that of its accelerators, from
what it draws idle, when they are idle, to the most it was seen to draw, when they compute.

What it leaves out: stages of a pipeline that fill and drain at different times (their mean is in
the first phase), layers that differ, and inference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from clusterwright.engines.power_trace import (
    WINDOWS,
    Pause,
    Phase,
    Racks,
    Store,
    Trace,
    burned,
    stored,
    trace_power,
)
from clusterwright.errors import InputError
from clusterwright.formulas.power import phase_power
from clusterwright.records import Record
from clusterwright.site.phases import shares_of
from clusterwright.training.estimate import TrainingEstimate

LAST = {"dp": "traffic_power", "optimizer": "memory_power", "offload": "traffic_power"}
"""Parts of a step that all nodes do at once, after the rest, and the power they draw in them."""
SAMPLES_OF_PHASE = 8
SAMPLE = 1e-3


class PowerQuestion(Record, frozen=True, kw_only=True):
    """A job whose power is followed.

    ``nodes``, ``node_size``: how many, and accelerators of each. ``watts``: ``compute_power``,
    ``memory_power``, ``traffic_power``, ``idle_power`` of an accelerator, and ``node_idle``,
    ``node_peak``: of a node, and ``beside``: of network and storage, all of them. [W] ``pue``. [1]
    ``rated``: of a node at full load, 0: not known. [W]
    ``jitter``: by how much nodes are early or late. [s] ``checkpoint``: time between checkpoints
    and for how long all wait for one, (0, 0): none. [s] ``floor``: power below which idle
    accelerators burn some, of the site's mean. [1] ``storage``: energy of storage for each
    accelerator. [J] ``ramp``: fastest change that a grid allows: kept by storage, or without it by
    burning power where the load falls, which does nothing where it rises. [W/s]
    """

    nodes: int
    node_size: int
    watts: dict[str, float]
    pue: float
    duration: float
    jitter: float = 0.01
    checkpoint: tuple[float, float] = (0.0, 0.0)
    floor: float = 0.0
    storage: float = 0.0
    ramp: float | None = None
    rated: float = 0.0
    seed: int = 0


class PowerReport(Record, frozen=True, kw_only=True):
    """What a trace shows.

    ``phases``: of an iteration: name, time [s], power of the site in it [W]. ``mean``, ``swing``
    (least to most), ``windows``: times [s], and the mean power over them that a thousandth of the
    time exceeds. [W] ``frequency``: at which power swings most. [1/s] ``largest_ramp``. [W/s]
    ``smooth``: storage that would take the swing of one iteration away. [J] ``rated``: what its
    part of the site would draw at full load, 0: not known. [W]
    """

    phases: tuple[tuple[str, float, float], ...]
    mean: float
    swing: float
    frequency: float
    largest_ramp: float
    windows: tuple[tuple[float, float], ...]
    smooth: float
    rated: float = 0.0


def phases_of(
    best: TrainingEstimate, question: PowerQuestion
) -> tuple[tuple[str, float, float], ...]:
    """An iteration as phases: name, time [s], power of one node [W]."""
    times = {term.name: max(term.time, 0.0) for term in best.waterfall}
    body = {name: time for name, time in times.items() if name not in LAST}
    total = sum(body.values())
    watts = question.watts
    mixed = float(phase_power(**shares_of(body), **{name: watts[name] for name in _PARTS}))
    found = [("forward and backward", total, _node(mixed, question))]
    for name, power in LAST.items():
        if times.get(name, 0.0) >= SAMPLES_OF_PHASE * SAMPLE:
            found.append((name, times[name], _node(watts[power], question)))
        elif times.get(name):
            first = found[0]
            found[0] = (first[0], first[1] + times[name], first[2])
    return tuple(found)


_PARTS = ("compute_power", "memory_power", "traffic_power", "idle_power")


def follow_power(best: TrainingEstimate, question: PowerQuestion) -> tuple[PowerReport, Trace]:
    """Follow the power of a job's site.

    Raises
    ------
    InputError
        A duration that is too short for an iteration, or too long to follow.
    """
    nodes = phases_of(best, question)
    step = sum(time for _, time, _ in nodes)
    if question.duration < 2.0 * step:
        raise InputError(
            f"a trace of {question.duration:g} s is shorter than two steps of {step:.3g} s: give "
            f"more --seconds"
        )
    phases = tuple(Phase(duration=time, power=power) for _, time, power in nodes)
    racks = Racks(
        count=question.nodes,
        phases=phases,
        jitter=question.jitter,
        base=question.watts["beside"],
    )
    trace = trace_power(
        [racks], question.duration, step=SAMPLE, pauses=_pauses(question), seed=question.seed
    )
    site = _scaled(trace, question.pue)
    site = _smoothed(site, question)
    return _report(nodes, site, question), site


def _pauses(question: PowerQuestion) -> list[Pause]:
    every, stall = question.checkpoint
    if not every or stall < SAMPLE:
        return []
    starts = np.arange(every, question.duration, every + stall)
    idle = question.watts["node_idle"]
    return [Pause(start=float(start), duration=stall, power=idle) for start in starts]


def _node(accelerator: float, question: PowerQuestion) -> float:
    """Power of a node whose accelerators draw so much. [W]"""
    watts = question.watts
    reach = watts["compute_power"] - watts["idle_power"]
    load = (accelerator - watts["idle_power"]) / reach
    return watts["node_idle"] + (watts["node_peak"] - watts["node_idle"]) * load


def _scaled(trace: Trace, factor: float) -> Trace:
    return Trace(step=trace.step, power=trace.power * factor)


def _smoothed(trace: Trace, question: PowerQuestion) -> Trace:
    """Floor and ramp by burning power, or by storage where there is some.

    The storage follows the load as slowly as its energy allows: a little smooths edges alone.
    """
    fall = question.ramp if question.ramp and not question.storage else math.inf
    if question.floor or math.isfinite(fall):
        trace = burned(trace, floor=question.floor * trace.mean, fall=fall)
    if not question.storage:
        return trace
    energy = question.storage * question.nodes * question.node_size
    # Half of it is there to give: so slowly that the largest swing does not empty it.
    store = Store(
        energy=energy,
        power=float(trace.power.max()),
        time=min(0.5 * energy / max(trace.swing, 1.0), question.duration / 4.0),
        ramp=question.ramp or math.inf,
    )
    return stored(trace, store)[0]


def _report(
    nodes: tuple[tuple[str, float, float], ...], trace: Trace, question: PowerQuestion
) -> PowerReport:
    # What smooths the power takes some time to find its level.
    settled = trace.after(question.duration / 2.0)
    beside = question.watts["beside"]
    return PowerReport(
        phases=tuple(
            (name, time, (power * question.nodes + beside) * question.pue)
            for name, time, power in nodes
        ),
        mean=settled.mean,
        swing=settled.swing,
        frequency=settled.frequency,
        largest_ramp=settled.largest_ramp,
        windows=tuple((window, settled.percentile(window)) for window in WINDOWS),
        smooth=_to_smooth(nodes, question),
        rated=(question.nodes * question.rated + beside) * question.pue if question.rated else 0.0,
    )


def _to_smooth(nodes: tuple[tuple[str, float, float], ...], question: PowerQuestion) -> float:
    """Energy above the mean of one iteration: what storage would have to give back. [J]"""
    total = sum(time for _, time, _ in nodes)
    mean = sum(time * power for _, time, power in nodes) / total
    above = sum(time * max(power - mean, 0.0) for _, time, power in nodes)
    return above * question.nodes * question.pue


def watts_of(
    given: Mapping[str, float], node: tuple[float, float], beside: float
) -> dict[str, float]:
    """Powers of a question from those of an accelerator, (idle, peak) of a node, and the rest."""
    return {
        **{name: given[name] for name in _PARTS},
        "node_idle": node[0],
        "node_peak": node[1],
        "beside": beside,
    }
