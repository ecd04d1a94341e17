"""Several logs of one run put together: its ranks beside each other, its restarts in a row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from clusterwright.errors import InputError
from clusterwright.observe.building import COLUMNS
from clusterwright.observe.records import Mark, RunSettings, TrainingRun


def join_runs(runs: Sequence[TrainingRun]) -> TrainingRun:
    """Put logs together.

    Raises
    ------
    InputError
        They are of different tools, or of runs that differ.
    """
    logs = [run for run in runs if run.tool != "TensorBoard"]
    boards = [run for run in runs if run.tool == "TensorBoard"]
    _refuse_mixed(logs)
    joined: TrainingRun | None = None
    for run in sorted(logs, key=_began):
        joined = run if joined is None else _join(joined, run)
    for board in boards:
        joined = board if joined is None else _filled(joined, board)
    assert joined is not None
    return joined


def _began(run: TrainingRun) -> tuple[float, int]:
    """Sorts by the time of day where logs have one, else by their first step."""
    known = [time for time in run.clock if math.isfinite(time)]
    return (min(known, default=0.0), run.iteration[0])


def _refuse_mixed(runs: Sequence[TrainingRun]) -> None:
    tools = list(dict.fromkeys(run.tool for run in runs))
    if len(tools) > 1:
        raise InputError(
            f"the files are of different tools ({' and '.join(tools)}): diagnose one run at a time"
        )
    for name in ("global_batch", "world_size", "sequence_length"):
        held = {getattr(run.settings, name) for run in runs} - {None}
        if len(held) > 1:
            said = " and ".join(str(value) for value in sorted(held))
            raise InputError(
                f"the files are of runs that differ ({name.replace('_', ' ')} {said}): "
                f"diagnose one at a time"
            )


def _join(first: TrainingRun, second: TrainingRun) -> TrainingRun:
    """The same steps at the same time: a further rank. Otherwise: what came after."""
    shared = set(first.iteration) & set(second.iteration)
    at_once = len(shared) > len(second.iteration) // 2 and _overlap(first, second)
    return _beside(first, second) if at_once else _after(first, second)


def _overlap(first: TrainingRun, second: TrainingRun) -> bool:
    """Whether two logs were written at the same time, as far as they tell."""
    a = [time for time in first.clock if math.isfinite(time)]
    b = [time for time in second.clock if math.isfinite(time)]
    return not a or not b or (min(b) < max(a) and min(a) < max(b))


def _beside(first: TrainingRun, second: TrainingRun) -> TrainingRun:
    """Another rank's log: its step times beside, the fullest memory, timers' extremes."""
    where = {iteration: row for row, iteration in enumerate(second.iteration)}
    rows = [where.get(iteration) for iteration in first.iteration]

    def of(column: Sequence[float]) -> tuple[float, ...]:
        return tuple(math.nan if row is None else column[row] for row in rows)

    ranks = dict(first.rank_times) or {"0": first.step_time}
    ranks[str(len(ranks))] = of(second.step_time)
    timers = dict(first.timers)
    for name, pairs in second.timers.items():
        held = timers.get(name, ((math.nan, math.nan),) * len(rows))
        timers[name] = tuple(
            pair if row is None else (_least(pair[0], pairs[row][0]), _most(pair[1], pairs[row][1]))
            for pair, row in zip(held, rows, strict=True)
        )
    memory = tuple(map(_most, first.memory, of(second.memory)))
    slow = tuple(map(_most, first.step_time, of(second.step_time)))
    return msgspec.structs.replace(
        first, paths=(*first.paths, *second.paths), rank_times=ranks, timers=timers,
        memory=memory, step_time=slow,
    )  # fmt: skip


def _least(a: float, b: float) -> float:
    return min((x for x in (a, b) if math.isfinite(x)), default=math.nan)


def _most(a: float, b: float) -> float:
    return max((x for x in (a, b) if math.isfinite(x)), default=math.nan)


def _after(first: TrainingRun, second: TrainingRun) -> TrainingRun:
    """A log that goes on where another ended."""
    count = len(first.iteration)
    begun = any(mark.kind in ("start", "load") and mark.row == 0 for mark in second.marks)
    moved = [msgspec.structs.replace(mark, row=mark.row + count) for mark in second.marks]
    if not begun:
        moved.insert(0, Mark(kind="start", row=count, said=f"{second.paths[0]} begins"))
    none = (math.nan, math.nan)
    names = dict.fromkeys([*first.timers, *second.timers])
    timers = {
        name: first.timers.get(name, (none,) * count)
        + second.timers.get(name, (none,) * len(second.iteration))
        for name in names
    }
    columns = {name: getattr(first, name) + getattr(second, name) for name in COLUMNS}
    return msgspec.structs.replace(
        first,
        paths=(*first.paths, *second.paths),
        iteration=first.iteration + second.iteration,
        steps=first.steps + second.steps,
        timers=timers,
        rank_times={},
        marks=(*first.marks, *moved),
        settings=_settings(first.settings, second.settings),
        notes=(*first.notes, *second.notes),
        **columns,
    )


def _settings(first: RunSettings, second: RunSettings) -> RunSettings:
    """What either log tells; the first one's word where both do."""
    told = {name: getattr(first, name) or getattr(second, name) for name in first.__struct_fields__}
    return msgspec.structs.replace(first, **told)


def _filled(run: TrainingRun, board: TrainingRun) -> TrainingRun:
    """What an event file knows of the steps of a log, where the log says nothing."""
    where = {iteration: row for row, iteration in enumerate(board.iteration)}
    rows = [where.get(iteration) for iteration in run.iteration]
    columns = {}
    for name in COLUMNS:
        held, other = getattr(run, name), getattr(board, name)
        columns[name] = tuple(
            value if math.isfinite(value) or row is None else other[row]
            for value, row in zip(held, rows, strict=True)
        )
    none = (math.nan, math.nan)
    timers = {
        name: tuple(none if row is None else pairs[row] for row in rows)
        for name, pairs in board.timers.items()
    }
    return msgspec.structs.replace(
        run, paths=(*run.paths, *board.paths), timers={**timers, **run.timers},
        settings=_settings(run.settings, board.settings), notes=(*run.notes, *board.notes),
        **columns,
    )  # fmt: skip
