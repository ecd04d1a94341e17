"""A played-out step as compact columns, for ``web/static/timeline.js`` to draw.

Operations stand rank after rank, in order of time. Times are sent as what differs: the wait before
an operation and how long it takes, single precision each. Added up in double precision they give
each start to 1e-7 of the step, and since most operations of a kind take the same time, the bytes
compress well. A column is little-endian and in base64: shorter than digits, and read in one go.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np

from clusterwright.engines.schedule import BOTH
from clusterwright.errors import InputError
from clusterwright.records import Record
from clusterwright.report.trace import KIND_NAMES, TAIL_NAME
from clusterwright.simulation.step import Played
from clusterwright.units import format_time

Array = Any

MOST_SENT = 1_000_000
"""Operations that a page takes: some twenty megabytes."""

FINEST = 1e-9
"""A shorter wait is what rounding left of a difference, and none. [s]"""

DRAWN = 1e-3
"""Share of a step's time below which it does not matter that it is not drawn."""

FULL = 65_535
"""What the most memory that any rank keeps is in a column of memory."""


class Column(Record, frozen=True, kw_only=True):
    """One number per operation.

    ``type``: of the numbers, as NumPy writes it: ``u1``, ``u2``, ``u4`` or ``f4``; ``data``: their
    bytes, little-endian, in base64.
    """

    type: str
    data: str


class TimelineColumns(Record, frozen=True, kw_only=True):
    """A played-out step, operation by operation.

    ``summary``: what the picture shows, in words. ``pipeline_time``: until the last operation ends;
    ``end_time``: until the ``tail`` ends too, which every rank does after the pipeline. [s]
    ``counts``: operations of each rank. ``kinds``: what the numbers of the column ``kind`` mean;
    ``fused``: the one that overlaps a forward with a backward. ``chunks``, ``ways``: by stage, its
    place among its rank's stages, and which chain of stages it is in (one per direction).
    ``columns``: ``wait`` before and ``duration`` of each operation [s]; ``kind``, ``stage``,
    ``micro_batch``; where operations are fused, the backward's ``other_stage`` and
    ``other_micro_batch``; activations kept ``during`` and ``after`` it, `FULL` for ``peak_bytes``
    [B], the most that any rank keeps.
    """

    summary: str
    pipeline_time: float
    end_time: float
    tail: str
    counts: tuple[int, ...]
    kinds: tuple[str, ...]
    fused: int
    chunks: tuple[int, ...]
    ways: tuple[int, ...]
    peak_bytes: float
    columns: dict[str, Column]


def timeline_columns(played: Played) -> TimelineColumns:
    """Take a played-out step apart into columns.

    Raises
    ------
    InputError
        For more operations than a page takes.
    """
    line = played.timeline
    schedule, place = line.schedule, line.schedule.placement
    if len(schedule) > MOST_SENT:
        raise InputError(
            f"{len(schedule):,} operations are more than a page draws ({MOST_SENT:,}); take a "
            f"smaller batch: the steady state repeats"
        )
    return TimelineColumns(
        summary=timeline_words(played),
        pipeline_time=line.makespan,
        end_time=played.end_time,
        tail=TAIL_NAME,
        counts=tuple(np.diff(schedule.first).tolist()),
        kinds=KIND_NAMES,
        fused=BOTH,
        chunks=_places_among_equals(place.rank_of),
        ways=tuple((np.cumsum(place.previous < 0) - 1).tolist()),
        peak_bytes=float(line.peak_bytes.max(initial=0.0)),
        columns={**_times(played), **_operations(played), **_memory(played)},
    )


def timeline_words(played: Played) -> str:
    """Say what the picture shows: the schedule, the times, who works most and least."""
    line = played.timeline
    shares = line.busy / line.makespan
    most, least, ranks = int(shares.argmax()), int(shares.argmin()), len(shares)
    if ranks == 1:
        work = f"The one rank works {shares[0]:.1%} of the pipeline's time."
    else:
        work = (
            f"Rank {most} works longest, {shares[most]:.1%} of the pipeline's time, "
            f"rank {least} shortest, {shares[least]:.1%}; the rest is waiting."
        )
    name, step = line.schedule.name, played.report.step_time
    if step - played.end_time > DRAWN * step:
        work += f" The step has {format_time(step - played.end_time)} more, which is not drawn: "
        work += "all wait for the slowest node."
    return (
        f"{name[:1].upper()}{name[1:]} on {ranks:,} pipeline rank{'s' if ranks > 1 else ''}: "
        f"{len(line.schedule):,} operations in {format_time(line.makespan)}, then {TAIL_NAME} "
        f"for {format_time(played.tail_time)}. {work}"
    )


def _times(played: Played) -> dict[str, Column]:
    """Return the wait before and the duration of each operation. [s]"""
    line = played.timeline
    before = np.concatenate([[0.0], line.end[:-1]])
    before[line.schedule.first[:-1]] = 0.0
    wait = line.start - before
    wait[wait < FINEST] = 0.0
    return {"wait": _column(wait, "f4"), "duration": _column(line.end - line.start, "f4")}


def _operations(played: Played) -> dict[str, Column]:
    """Return what each operation is."""
    schedule = played.timeline.schedule
    names = ["kind", "stage", "micro_batch"]
    if schedule.has_both:
        names += ["other_stage", "other_micro_batch"]
    return {name: _narrow(schedule.ops[:, k].clip(0)) for k, name in enumerate(names)}


def _memory(played: Played) -> dict[str, Column]:
    """Return activations kept during and after each operation, as shares of the peak."""
    line = played.timeline
    scale = FULL / max(float(line.peak_bytes.max(initial=0.0)), 1.0)
    shares = (np.rint(part * scale).clip(0, FULL) for part in line.memory)
    return {
        name: _column(share, "u2") for name, share in zip(("during", "after"), shares, strict=True)
    }


def _narrow(numbers: Array) -> Column:
    """Return whole numbers in the narrowest type that holds them."""
    most = int(numbers.max(initial=0))
    return _column(numbers, "u1" if most < 2**8 else "u2" if most < 2**16 else "u4")


def _column(numbers: Array, kind: str) -> Column:
    return Column(type=kind, data=b64encode(numbers.astype(f"<{kind}").tobytes()).decode())


def _places_among_equals(groups: Array) -> tuple[int, ...]:
    """Return how many equal ones stand before each.

    >>> _places_among_equals(np.array([0, 1, 1, 0, 1]))
    (0, 0, 1, 1, 2)
    """
    order = np.argsort(groups, kind="stable")
    _, first, counts = np.unique(groups[order], return_index=True, return_counts=True)
    places = np.empty(len(groups), dtype=np.int64)
    places[order] = np.arange(len(groups)) - np.repeat(first, counts)
    return tuple(places.tolist())
