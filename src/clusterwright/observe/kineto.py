"""A trace of PyTorch's profiler (Kineto), reduced to where the seconds of a step go on one rank.

Kernels of all streams are laid over each other: communication is *exposed* while no other kernel
runs, the device *idle* while none does at all, and it is *starved*, for as much of a gap as passes
until the host has launched the kernel that ends it.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from clusterwright.observe.kernel_names import INPUT, is_traffic, kind_of
from clusterwright.observe.kineto_events import Columns, columns_of
from clusterwright.observe.records import TraceSummary
from clusterwright.observe.spans import Spans

Array = Any

_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset", "memcpy", "memset")
_LAUNCH = re.compile(r"runtime|driver", re.IGNORECASE)
_STEP = re.compile(r"ProfilerStep#\d+")
NUM_LONGEST = 8


def read(raw: bytes, path: str, *, whole: bool = True) -> TraceSummary:
    """Reduce a trace; ``whole``: whether its file was complete as packed data.

    Raises
    ------
    InputError
        Nothing of it can be read.
    """
    events = columns_of(raw, path, whole=whole)
    cats = np.array([_device_cat(name) for name in events.names])
    on_device = cats[events.cat]
    has_device = bool(on_device.any())
    work = np.flatnonzero(on_device) if has_device else _innermost(events)
    start, end, steps = _window(events, work)
    inside = work[(events.end[work] > start) & (events.start[work] < end)]
    notes = [] if has_device else ["no kernels of a device in it: operators of the host instead"]
    if not steps:
        notes.append("no ProfilerStep in it: figures are of the whole trace, not of a step")
    if not events.whole:
        notes.append("the file breaks off: what came before was read")
    number = max(1, len(steps))
    found = _reduced(events, inside, start, end, number)
    found.update(_waits(events, inside, start, end, number, has_device=has_device))
    return TraceSummary(
        path=path,
        rank=events.rank,
        world_size=events.world_size,
        device=events.device,
        has_device=has_device,
        step_times=tuple(float(time) for time in steps) or (float(end - start),),
        steps_marked=bool(steps),
        launches=len(inside) / number,
        events=len(events.start),
        whole=events.whole,
        notes=tuple(notes),
        **found,
    )


def _device_cat(name: str) -> bool:
    return name.lower() in _DEVICE


def _innermost(events: Columns) -> Array:
    """Operators of the host that do the work where there is no device.

    Those whose kind their name tells, the outermost of each; beside them those that call no other.
    """
    names = np.array([name.lower() in ("cpu_op", "operator") for name in events.names])
    told = np.array([kind_of(name) not in ("elementwise", "copy") for name in events.names])
    chosen = np.flatnonzero(names[events.cat])
    order = chosen[np.lexsort((-events.end[chosen], events.start[chosen], events.thread[chosen]))]
    found: list[int] = []
    thread, covered = -1, 0.0
    for place, row in enumerate(order):
        if events.thread[row] != thread:
            thread, covered = events.thread[row], 0.0
        if events.start[row] < covered:
            continue  # within one that was taken
        following = order[place + 1] if place + 1 < len(order) else -1
        calls = (
            following >= 0
            and events.thread[following] == thread
            and events.start[following] < events.end[row]
        )
        if told[events.name[row]] or not calls:
            found.append(int(row))
            covered = float(events.end[row])
    return np.array(found, dtype=int)


def _window(events: Columns, work: Array) -> tuple[float, float, list[float]]:
    """From when to when steps go on, and how long each takes. [s]"""
    steps = np.array([_STEP.fullmatch(name) is not None for name in events.names])
    named = np.flatnonzero(steps[events.name])
    user = [i for i in named if events.names[events.cat[i]] in ("user_annotation", "Operator",
                                                               "cpu_op")]  # fmt: skip
    chosen = np.array(user or list(named), dtype=int)
    if len(chosen):
        order = chosen[np.argsort(events.start[chosen])]
        first, last = float(events.start[order[0]]), float(events.end[order].max())
        times = [float(b - a) for a, b in zip(events.start[order], events.start[order[1:]],
                                              strict=False)]  # fmt: skip
        return first, last, [*times, float(events.end[order[-1]] - events.start[order[-1]])]
    if not len(work):
        return 0.0, float(events.end.max()), []
    return float(events.start[work].min()), float(events.end[work].max()), []


def _reduced(
    events: Columns, inside: Array, start: float, end: float, steps: int
) -> dict[str, Any]:
    """Seconds of a step by kind, and of collectives, those that nothing hides."""
    kinds = [kind_of(name) for name in events.names]
    traffic = np.array([is_traffic(kind) for kind in kinds])
    first = np.clip(events.start[inside], start, end)
    last = np.clip(events.end[inside], start, end)
    names = events.name[inside]
    busy: dict[str, float] = {}
    moved: dict[str, float] = {}
    shown: dict[str, float] = {}
    groups: dict[str, int] = {}
    compute = Spans(first[~traffic[names]], last[~traffic[names]])
    for name in np.unique(names):
        kind = kinds[name]
        if not traffic[name]:
            rows = names == name
            busy[kind] = busy.get(kind, 0.0) + float(np.sum(last[rows] - first[rows])) / steps
    labels = np.array([
        _label(kinds[name], int(group)) if traffic[name] else ""
        for name, group in zip(names, events.group[inside], strict=True)
    ]) if traffic[names].any() else np.full(len(names), "")  # fmt: skip
    for label in dict.fromkeys(labels.tolist()):
        if not label:
            continue
        rows = labels == label
        spans = Spans(first[rows], last[rows])
        moved[label] = spans.total / steps
        shown[label] = (spans.total - spans.shared(compute)) / steps
        size = re.search(r"over (\d+)", label)
        groups[label] = int(size[1]) if size else -1
    communication = Spans(first[traffic[names]], last[traffic[names]])
    alone = (communication.total - communication.shared(compute)) / steps
    scale = alone / sum(shown.values()) if sum(shown.values()) > 0.0 else 1.0
    return {
        "busy": busy,
        "traffic": moved,
        "exposed": {label: scale * time for label, time in shown.items()},
        "groups": groups,
        "computing": compute.total / steps,
        "idle": max(0.0, (end - start) / steps - compute.total / steps - alone),
        "longest": _longest(events, names, last - first, steps),
    }


def _label(kind: str, group: int) -> str:
    return f"{kind} over {group}" if group > 0 else kind


def _longest(events: Columns, names: Array, spent: Array, steps: int) -> tuple[Any, ...]:
    """The kernels that take longest in all, and their seconds of a step."""
    total: Array = (
        np.bincount(names, weights=spent, minlength=len(events.names)) if len(names) else []
    )
    order: Array = np.argsort(total)[::-1][:NUM_LONGEST] if len(names) else []
    return tuple((events.names[i][:100], float(total[i]) / steps) for i in order if total[i] > 0.0)


def _waits(
    events: Columns, inside: Array, start: float, end: float, steps: int, *, has_device: bool
) -> dict[str, float]:
    """Of the idle time, what the host is the reason of: it launches late, or waits for data."""
    if not has_device or not len(inside):
        return {"starved": 0.0, "input_wait": 0.0}
    order = inside[np.argsort(events.start[inside], kind="stable")]
    union = Spans(events.start[order], events.end[order])
    gaps = union.gaps(start, end)
    launched = _launches(events)
    nexts = np.searchsorted(events.start[order], gaps.end, side="left")
    late_start, late_end = [], []
    for gap_start, gap_end, index in zip(gaps.start, gaps.end, nexts, strict=True):
        if index >= len(order):
            continue
        told = launched.get(int(events.correlation[order[index]]))
        if told is not None and told > gap_start:
            late_start.append(gap_start)
            late_end.append(min(told, gap_end))
    starved = Spans(np.array(late_start), np.array(late_end))
    fetching = np.array([INPUT.search(name) is not None for name in events.names])[events.name]
    rows = np.flatnonzero(fetching)
    waiting = Spans(events.start[rows], events.end[rows])
    return {
        "starved": starved.total / steps,
        "input_wait": starved.shared(waiting) / steps,
    }


def _launches(events: Columns) -> dict[int, float]:
    """When the host was done launching each kernel, by correlation. [s]"""
    calls = np.array([_LAUNCH.search(name) is not None for name in events.names])[events.cat]
    rows = np.flatnonzero(calls & (events.correlation > 0))
    return dict(zip(events.correlation[rows].tolist(), events.end[rows].tolist(), strict=True))
