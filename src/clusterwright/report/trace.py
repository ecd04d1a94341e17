"""A played-out step as Chrome trace events, which Perfetto and ``chrome://tracing`` open.

One track per pipeline rank; an event per operation, and one for what follows the pipeline; the
activations that each rank keeps as a counter. Times are whole nanoseconds, so that the end of one
operation and the beginning of the next are the same number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from clusterwright.engines.schedule import BOTH
from clusterwright.errors import InputError
from clusterwright.simulation.step import Played

Event = dict[str, Any]

KIND_NAMES = ("forward", "backward", "input gradient", "weight gradient", "forward & backward")
TAIL_NAME = "gradients, update"
PROCESS = 0
MOST_TRACED = 500_000
"""Operations in one trace: some hundred megabytes."""


def trace_events(played: Played) -> list[Event]:
    """Every event, metadata first, then by rank and time."""
    schedule = played.timeline.schedule
    names = [_metadata("process_name", 0, f"pipeline, {schedule.name}")]
    names += [_metadata("thread_name", rank, f"rank {rank}") for rank in range(schedule.num_ranks)]
    return [*names, *_operations(played), *_tails(played), *_memory(played)]


def write_trace(played: Played, path: Path) -> None:
    """Write the events to a file, once they are found to be sound."""
    number = len(played.timeline.schedule)
    if number > MOST_TRACED:
        raise InputError(
            f"{number:,} operations are more than a viewer opens ({MOST_TRACED:,}); trace a "
            f"smaller batch: the steady state repeats"
        )
    events = trace_events(played)
    check_trace(events)
    whole = {"traceEvents": events, "displayTimeUnit": "ms"}
    path.write_bytes(msgspec.json.encode(whole) + b"\n")


def _metadata(what: str, track: int, name: str) -> Event:
    return {"ph": "M", "pid": PROCESS, "tid": track, "name": what, "args": {"name": name}}


def _nanoseconds(seconds: Any) -> list[int]:  # noqa: ANN401 - an array
    return np.rint(np.asarray(seconds) * 1e9).astype(np.int64).tolist()  # type: ignore[no-any-return]


def _operations(played: Played) -> Iterable[Event]:
    line = played.timeline
    starts, ends = _nanoseconds(line.start), _nanoseconds(line.end)
    rows = line.schedule.ops.tolist()
    for op, rank in enumerate(line.schedule.rank.tolist()):
        kind, stage, micro, other, its_micro = rows[op]
        about = {"stage": stage, "micro-batch": micro}
        if kind == BOTH:
            about |= {"backward stage": other, "backward micro-batch": its_micro}
        yield {
            "ph": "X",
            "pid": PROCESS,
            "tid": rank,
            "ts": starts[op] / 1e3,
            "dur": (ends[op] - starts[op]) / 1e3,
            "name": line.schedule.label(op),
            "cat": KIND_NAMES[kind],
            "args": about,
        }


def _tails(played: Played) -> Iterable[Event]:
    start, end = _nanoseconds([played.timeline.makespan, played.end_time])
    for rank in range(played.timeline.schedule.num_ranks):
        yield {
            "ph": "X",
            "pid": PROCESS,
            "tid": rank,
            "ts": start / 1e3,
            "dur": (end - start) / 1e3,
            "name": TAIL_NAME,
            "cat": "tail",
            "args": {},
        }


def _memory(played: Played) -> Iterable[Event]:
    line = played.timeline
    during, after = (part.tolist() for part in line.memory)
    starts, ends = _nanoseconds(line.start), _nanoseconds(line.end)
    for op, rank in enumerate(line.schedule.rank.tolist()):
        for time, held in ((starts[op], during[op]), (ends[op], after[op])):
            yield {
                "ph": "C",
                "pid": PROCESS,
                "tid": rank,
                "ts": time / 1e3,
                "name": f"activations of rank {rank}",
                "args": {"GiB": round(max(0.0, held) / 2**30, 6)},
            }


def check_trace(events: list[Event]) -> None:
    """Refuse events that a viewer would draw wrongly.

    On every track, events stand in order of time and lie inside or beside one another; every track
    has a name, every event what its kind needs; counters are not negative.

    Raises
    ------
    InputError
        The first event that is not so.
    """
    named = {event["tid"] for event in events if event.get("name") == "thread_name"}
    open_until: dict[int, list[int]] = defaultdict(list)
    last: dict[tuple[int, str], int] = {}
    for number, event in enumerate(events):
        try:
            _check_event(event, named, open_until, last)
        except (KeyError, TypeError, ValueError) as fault:
            raise InputError(f"event {number} of the trace is unsound: {fault!r}") from None


def _check_event(
    event: Event, named: set[int], open_until: dict[int, list[int]], last: dict[Any, int]
) -> None:
    kind, track, name = event["ph"], event["tid"], event["name"]
    if kind == "M":
        return
    if track not in named:
        raise ValueError(f"track {track} has no name")
    start = round(event["ts"] * 1e3)
    series = (track, name if kind == "C" else "")
    if start < last.get(series, 0):
        raise ValueError(f"{name} begins before the event ahead of it")
    last[series] = start
    if kind == "C":
        if min(event["args"].values()) < 0:
            raise ValueError(f"{name} is negative")
        return
    if kind != "X":
        raise ValueError(f"unknown kind {kind}")
    end = start + round(event["dur"] * 1e3)
    if end < start:
        raise ValueError(f"{name} ends before it begins")
    stack = open_until[track]
    while stack and stack[-1] <= start:
        stack.pop()
    if stack and end > stack[-1]:
        raise ValueError(f"{name} reaches beyond the event that it lies in")
    stack.append(end)
