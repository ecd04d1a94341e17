"""PyTorch's tables of pipeline actions: one CSV row per rank, one cell per action.

A cell is ``{stage}{F|I|W|B}{micro-batch}``, or ``(0F3;7B1)OVERLAP_F_B`` for an overlapped pair; an
empty cell is a pause. Cells that move data (``SEND_F``, ``UNSHARD`` …) are read and left out: the
executor derives transfers from the order. What is written is PyTorch's ``compute_only`` format,
which its runtime lowers by itself.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from clusterwright.engines.schedule import (
    BOTH,
    FORWARD,
    LETTERS,
    Op,
    Placement,
    Schedule,
    looped,
)
from clusterwright.errors import InputError, TableError

MOVES = "SEND_F|RECV_F|SEND_B|RECV_B|UNSHARD|RESHARD|REDUCE_GRAD"
ACTION = re.compile(rf"(\d+)({MOVES}|[{LETTERS}])(\d*)")
PAIR = re.compile(r"\(\s*(\d+)F(\d+)\s*;\s*(\d+)B(\d+)\s*\)OVERLAP_F_B")
LONGEST = 7
"""Digits of a number; a longer one is a slip."""


def write_table(schedule: Schedule, path: Path) -> None:
    """Write a schedule for PyTorch's runtime (``_load_csv``, ``compute_only``).

    Raises
    ------
    InputError
        For two chains of stages, which a table cannot tell apart; or a path that is no file.
    """
    if (schedule.placement.following < 0).sum() > 1:
        raise InputError(
            f"PyTorch's tables have one chain of stages, {schedule.name} has two; "
            f"DualPipeV is the form that they can hold"
        )
    bounds = schedule.first
    rows = [
        [schedule.label(op) for op in range(bounds[rank], bounds[rank + 1])]
        for rank in range(schedule.num_ranks)
    ]
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror}") from None


def read_table(path: Path) -> Schedule:
    """Read a table, compute-only or with transfers, and check it.

    Raises
    ------
    InputError
        No such file, or an order in which something is missing, twice or misplaced.
    TableError
        A cell that is no action; row and column are named.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            cells = list(csv.reader(file))
    except FileNotFoundError:
        raise InputError(f"there is no schedule {str(path)!r}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{str(path)!r} cannot be read as a schedule: {error}") from None
    return parse_table(path.stem, cells)


def parse_table(name: str, cells: Iterable[Iterable[str]]) -> Schedule:
    """A schedule from the cells of a table, checked.

    >>> schedule = parse_table("mine", [["0F0", "", "0B0"], ["1RECV_F0", "1F0", "1B0"]])
    >>> [schedule.label(op) for op in range(len(schedule))]
    ['0F0', '0B0', '1F0', '1B0']
    """
    rows = [
        [op for column, cell in enumerate(row) for op in _parsed(cell.strip(), rank, column)]
        for rank, row in enumerate(cells)
    ]
    while rows and not rows[-1]:
        rows.pop()
    idle = [rank for rank, row in enumerate(rows) if not row]
    if idle or not rows:
        raise TableError(
            f"the schedule {name} gives rank {idle[0] if idle else 0} nothing to do: "
            f"it has one row per rank, such as 0F0,0F1,0B0,0B1"
        )
    schedule = Schedule.of_rows(name, _placement(name, rows), rows)
    schedule.check()
    return schedule


def _parsed(cell: str, rank: int, column: int) -> list[Op]:
    """The operation of a cell, none for a pause or a transfer."""
    if not cell:
        return []
    pair, single = PAIR.fullmatch(cell), ACTION.fullmatch(cell)
    digits = max(map(len, re.findall(r"\d+", cell)), default=0)
    if pair and digits <= LONGEST:
        return [(BOTH, *map(int, pair.groups()))]
    if single and digits <= LONGEST:
        stage, what, micro = single.groups()
        if what not in LETTERS:
            return []
        if micro:
            return [(LETTERS.index(what), int(stage), int(micro))]
    raise TableError(
        f"row {rank + 1}, column {column + 1} of the schedule is {cell!r}, but an action is a "
        f"stage, one of F, B, I, W, and a micro-batch, such as 2F0"
    )


def _placement(name: str, rows: list[list[Op]]) -> Placement:
    """Where stages lie, from the rows in which their forwards stand."""
    home = {op[1]: rank for rank, row in enumerate(rows) for op in row if op[0] in (FORWARD, BOTH)}
    missing = sorted(set(range(max(home, default=0) + 1)) - set(home))
    if missing:
        raise TableError(f"the schedule {name} has no forward of stage {missing[0]}")
    chain = looped(1, len(home))
    return Placement(
        np.array([home[stage] for stage in sorted(home)]), chain.following, chain.previous
    )
