"""Which steps of a run are its steady pace, and what the others cost beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from clusterwright.observe.records import Mark, TrainingRun
from clusterwright.records import Record

Array = Any

FAR = 5.0
"""Steps further than this many spreads above the median are set apart."""
LEAST_FAR = 0.1
"""and at least this share of the median, since logs print few digits."""
_APART = ("checkpoint", "evaluation", "profile")
_TO_NORMAL = 1.4826
"""Median absolute deviation to standard deviation of a normal distribution."""


class Restart(Record, frozen=True, kw_only=True):
    """A run that began again: before row ``row``, from step ``resumed`` after step ``reached``.

    ``lost``: steps that were done twice. ``down``: from the last line before to the first row
    after it, less the time of that row's own steps; nan: no time of day. [s]
    """

    row: int
    reached: int
    resumed: int
    lost: int
    down: float


class Pace(Record, frozen=True, kw_only=True):
    """How long steps take, and what passes beside them.

    ``rows``: of the steady steps. ``median``, ``mean``, ``low`` (10 %), ``high`` (90 %): of their
    times. [s] ``apart``: why other rows are set apart, and how many steps they hold.
    ``hiccups``: seconds a step that slow steps take beyond the median. ``drift``: how much slower
    the last quarter of the steady steps is than the first, as a share. [1] ``checkpoints``: how
    many, and ``checkpoint_time``: of one (nan: not said). [s] ``checkpoint_share``: seconds a step,
    spread over all. ``restarts``; ``restart_share``: seconds a step that they cost, spread over
    all. ``skipped``: share of steps without an update. [1] ``retries``: of the allocator, a step.
    ``retry_rows``: rows that had any.
    """

    rows: tuple[int, ...]
    median: float
    mean: float
    low: float
    high: float
    apart: dict[str, int]
    hiccups: float
    drift: float
    checkpoints: int
    checkpoint_time: float
    checkpoint_share: float
    restarts: tuple[Restart, ...]
    restart_share: float
    skipped: float
    retries: float
    retry_rows: tuple[int, ...]
    steps: int


def pace_of(run: TrainingRun) -> Pace:
    """Find the steady steps of a run."""
    times = np.array(run.step_time, dtype=float)
    steps = np.array(run.steps, dtype=float)
    restarts = _restarts(run)
    reason = _set_apart(run, times, restarts)
    steady = np.flatnonzero(reason == "")
    if not len(steady):  # too few to be choosy: whatever has a time
        steady = np.flatnonzero(np.isfinite(times) & (times > 0.0))
    chosen = times[steady]
    median = float(np.median(chosen)) if len(chosen) else math.nan
    apart = {
        str(why): int(steps[reason == why].sum())
        for why in np.unique(reason)
        if why not in ("", "no time")
    }
    total = _distinct(run)
    number, spent, known = _checkpoints(run, median)
    slow = reason == "slow"
    beyond = float(((times[slow] - median) * steps[slow]).sum())
    retry_rows, retries = _retries(run)
    skipped = np.array(run.skipped, dtype=float)
    return Pace(
        rows=tuple(int(row) for row in steady),
        median=median,
        mean=float(np.average(chosen, weights=steps[steady])) if len(chosen) else math.nan,
        low=float(np.quantile(chosen, 0.1)) if len(chosen) else math.nan,
        high=float(np.quantile(chosen, 0.9)) if len(chosen) else math.nan,
        apart=apart,
        hiccups=beyond / max(1.0, float(steps[steady].sum() + steps[slow].sum())),
        drift=_drift(chosen),
        checkpoints=number,
        checkpoint_time=spent / known if known else math.nan,
        checkpoint_share=spent / total,
        restarts=restarts,
        restart_share=_restart_share(restarts, median, total),
        skipped=float(np.nansum(skipped) / steps.sum()) if len(steps) > 1 else 0.0,
        retries=retries / max(1.0, float(steps.sum())),
        retry_rows=retry_rows,
        steps=int(total),
    )


def warms_up(run: TrainingRun, pace: Pace) -> bool:
    """Whether the first step, which warms up, is all that there is."""
    return len(pace.rows) == 1 and run.iteration[pace.rows[0]] <= 1


def _distinct(run: TrainingRun) -> float:
    """Steps that the run got forward by, those done twice counted once."""
    return max(1.0, float(max(run.iteration) - min(run.iteration) + run.steps[0]))


def _restarts(run: TrainingRun) -> tuple[Restart, ...]:
    """Where the count of steps goes back, or a process begins anew in the middle."""
    begun = {mark.row for mark in run.marks if mark.kind in ("start", "load") and mark.row > 0}
    found = []
    for row in range(1, len(run.iteration)):
        reached, first = run.iteration[row - 1], run.iteration[row] - run.steps[row]
        back = run.iteration[row] <= reached
        if not back and row not in begun:
            continue
        resumed = _resumed(run, row) if back or row in begun else first
        resumed = min(reached, first if resumed < 0 else resumed)
        took = run.clock[row] - run.clock[row - 1]
        own = run.step_time[row] * (run.iteration[row] - resumed)
        down = took - (own if math.isfinite(own) else 0.0)
        found.append(
            Restart(
                row=row, reached=reached, resumed=resumed, lost=max(0, reached - resumed),
                down=max(0.0, down) if math.isfinite(down) else math.nan,
            )
        )  # fmt: skip
    return tuple(found)


def _resumed(run: TrainingRun, row: int) -> int:
    """The step that a log says it loaded before a row; -1: it does not say."""
    said = [mark.iteration for mark in run.marks if mark.kind == "load" and mark.row == row]
    return next((step for step in said if step >= 0), -1)


def _restart_share(restarts: Sequence[Restart], median: float, total: float) -> float:
    """Seconds a step that restarts cost: steps done twice, and standing still."""
    lost = sum(one.lost * median for one in restarts if math.isfinite(median))
    down = sum(one.down for one in restarts if math.isfinite(one.down))
    return (lost + down) / total


def _set_apart(run: TrainingRun, times: Array, restarts: Sequence[Restart]) -> Array:
    """Why each row is no steady one; empty where it is."""
    reason = np.full(len(times), "", dtype="U12")
    reason[~(np.isfinite(times) & (times > 0.0))] = "no time"
    for mark in run.marks:
        if mark.kind in _APART and mark.row < len(times) and not reason[mark.row]:
            reason[mark.row] = mark.kind
    begins = [0, *(one.row for one in restarts)]
    plain = times[reason == ""]
    if not len(plain):
        return reason
    median = float(np.median(plain))
    limit = median + max(
        FAR * _TO_NORMAL * float(np.median(np.abs(plain - median))), LEAST_FAR * median
    )
    for row in begins:  # warm-up: from a beginning on, as long as steps are slow
        while row < len(times) and (times[row] > limit or not math.isfinite(times[row])):
            if math.isfinite(times[row]):
                reason[row] = "warm-up"
            row += 1
    reason[(reason == "") & (times > limit)] = "slow"
    back = np.isin(reason, _APART) & (times <= limit)  # the pause was not in the step's time
    reason[back] = ""
    return reason


def _drift(times: Array) -> float:
    """Last quarter over first quarter, less one; 0 for few steps."""
    quarter = len(times) // 4
    if quarter < 3:
        return 0.0
    return float(np.median(times[-quarter:]) / np.median(times[:quarter]) - 1.0)


def _checkpoints(run: TrainingRun, median: float) -> tuple[int, float, int]:
    """How many checkpoints, the seconds of all that are known, and how many those are."""
    marks = [mark for mark in run.marks if mark.kind == "checkpoint"]
    spent, known = 0.0, 0
    for mark in marks:
        time = mark.time if math.isfinite(mark.time) else _pause(run, mark, median)
        if math.isfinite(time):
            spent, known = spent + time, known + 1
    return len(marks), spent, known


def _pause(run: TrainingRun, mark: Mark, median: float) -> float:
    """What the time of day says passed beyond the steps around a mark. [s]"""
    row = mark.row
    if not 0 < row < len(run.clock) or run.iteration[row] <= run.iteration[row - 1]:
        return math.nan
    own = run.step_time[row] if math.isfinite(run.step_time[row]) else median
    if own * run.steps[row] >= run.clock[row] - run.clock[row - 1]:
        own = median  # the step's time is the time of day's: the pause is inside it
    pause = run.clock[row] - run.clock[row - 1] - own * run.steps[row]
    return max(0.0, pause) if math.isfinite(pause) else math.nan


def _retries(run: TrainingRun) -> tuple[tuple[int, ...], float]:
    """Rows during which the allocator ran out and tried again, and how often in all."""
    marks = [mark for mark in run.marks if mark.kind == "retry"]
    rows = sorted({min(mark.row, len(run.iteration) - 1) for mark in marks})
    return tuple(rows), sum(mark.count for mark in marks)


def timer_of(run: TrainingRun, rows: Sequence[int], *names: str) -> tuple[float, float] | None:
    """Median over rows of the first timer that a run has: fastest and slowest rank. [s]"""
    for name in names:
        pairs = run.timers.get(name)
        if pairs is None:
            continue
        chosen = np.array([pairs[row] for row in rows], dtype=float).reshape(-1, 2)
        good = chosen[np.isfinite(chosen).all(axis=1)]
        if len(good):
            low, high = np.median(good, axis=0)
            return float(low), float(high)
    return None
