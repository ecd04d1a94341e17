"""A pipeline schedule as data: which rank does what, in which order.

An operation is a row (kind, stage, micro-batch); an operation that overlaps a forward with a
backward carries the backward's stage and micro-batch as well. Stages are numbered along the model;
a schedule with two directions has two chains of stages, one behind the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from clusterwright.errors import InputError

Array = Any

FORWARD, BACKWARD, INPUT, WEIGHT, BOTH = range(5)
"""Forward; whole backward; gradient of the input alone; of the weights; forward and backward."""

LETTERS = "FBIW"
Op = tuple[int, ...]
"""(kind, stage, micro-batch), or (`BOTH`, stage, micro-batch, stage, micro-batch)."""


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where stages lie and what follows what; -1 where a chain ends.

    ``rank_of``, ``following``, ``previous``: (stages,).
    """

    rank_of: Array
    following: Array
    previous: Array

    @property
    def num_stages(self) -> int:
        """Stages of all chains."""
        return len(self.rank_of)

    @property
    def num_ranks(self) -> int:
        """Pipeline ranks."""
        return int(self.rank_of.max()) + 1


def _chains(rank_of: Sequence[int], lengths: Sequence[int]) -> Placement:
    following = np.arange(1, len(rank_of) + 1)
    previous = np.arange(-1, len(rank_of) - 1)
    ends = np.cumsum(lengths)
    following[ends - 1] = -1
    previous[ends - lengths] = -1
    return Placement(np.array(rank_of), following, previous)


def looped(num_ranks: int, num_chunks: int = 1) -> Placement:
    """Stage s lies on rank s mod p.

    >>> looped(2, 2).rank_of.tolist()
    [0, 1, 0, 1]
    """
    return _chains([*range(num_ranks)] * num_chunks, [num_ranks * num_chunks])


def v_shaped(num_ranks: int) -> Placement:
    """Two stages per rank, there and back: the first rank holds the first and the last.

    >>> v_shaped(2).rank_of.tolist()
    [0, 1, 1, 0]
    """
    return _chains([*range(num_ranks), *reversed(range(num_ranks))], [2 * num_ranks])


def two_ways(num_ranks: int) -> Placement:
    """Two copies of the model, fed from either end: stages 0 … p-1 down, p … 2p-1 up.

    >>> two_ways(2).following.tolist()
    [1, -1, 3, -1]
    """
    return _chains([*range(num_ranks), *reversed(range(num_ranks))], [num_ranks, num_ranks])


@dataclass(frozen=True, eq=False)
class Schedule:
    """The order of operations on every rank.

    Parameters
    ----------
    name
        What it is called.
    placement
        Where stages lie.
    ops
        (operations, 5) integers, rank after rank; the last two columns are -1 but for `BOTH`.
    first
        Where each rank's operations begin in ``ops``, and where the last one's end.
    """

    name: str
    placement: Placement
    ops: Array
    first: Array

    @classmethod
    def of_rows(cls, name: str, placement: Placement, rows: Iterable[Sequence[Op]]) -> Schedule:
        """From one sequence of operations per rank."""
        parts = [[(*op, -1, -1)[:5] for op in row] for row in rows]
        flat = [op for row in parts for op in row]
        first = np.cumsum([0, *map(len, parts)])
        return cls(name, placement, np.array(flat, dtype=np.int64).reshape(-1, 5), first)

    @property
    def num_ranks(self) -> int:
        """Pipeline ranks."""
        return len(self.first) - 1

    def __len__(self) -> int:
        return len(self.ops)

    @cached_property
    def num_micro_batches(self) -> int:
        """Micro-batches of a chain. [1]"""
        return int(self.ops[:, 2].max(initial=-1)) + 1

    @cached_property
    def rank(self) -> Array:
        """The rank of every operation."""
        return np.repeat(np.arange(self.num_ranks), np.diff(self.first))

    @cached_property
    def columns(self) -> tuple[Array, ...]:
        """The columns of ``ops``, each in one piece; narrow, for they are read once per run."""
        return tuple(np.ascontiguousarray(self.ops.T, dtype=np.int32))

    @cached_property
    def has_both(self) -> bool:
        """Whether any operation overlaps a forward with a backward."""
        return bool((self.ops[:, 0] == BOTH).any())

    @cached_property
    def halves(self) -> tuple[Array, Array]:
        """Every operation with the fused ones taken apart.

        Index of the operation in ``ops``, and rows (kind, stage, micro-batch), in order.
        """
        fused = self.ops[:, 0] == BOTH
        index = np.repeat(np.arange(len(self.ops)), 1 + fused)
        rows = self.ops[index, :3].copy()
        second = np.flatnonzero(fused) + np.arange(1, fused.sum() + 1)
        rows[second, 0] = BACKWARD
        rows[second, 1:] = self.ops[fused, 3:]
        rows[second - 1, 0] = FORWARD
        return index, rows

    def label(self, op: int) -> str:
        """What an operation is called in PyTorch's tables.

        >>> Schedule.of_rows("one", looped(1), [[(FORWARD, 0, 3)]]).label(0)
        '0F3'
        """
        kind, stage, micro, other, its_micro = (int(number) for number in self.ops[op])
        if kind == BOTH:
            return f"({stage}F{micro};{other}B{its_micro})OVERLAP_F_B"
        return f"{stage}{LETTERS[kind]}{micro}"

    def check(self) -> None:
        """Refuse an order in which something is missing, twice, or misplaced.

        Raises
        ------
        InputError
            One sentence: the rank, the operation, the mend.
        """
        index, rows = self.halves
        self._check_places(index, rows)
        when = self._positions(index, rows)
        backward = np.where(when[BACKWARD] >= 0, when[BACKWARD], when[INPUT])
        if (missing := when[FORWARD] < 0).any():
            self._refuse(f"{_where(missing, 'F')} is missing")
        if (missing := backward < 0).any():
            self._refuse(f"{_where(missing, 'B')} is missing")
        if (odd := (when[INPUT] >= 0) != (when[WEIGHT] >= 0)).any():
            self._refuse(f"{_where(odd, 'I')} and its W must both be there, or B for both")
        if (both := (when[BACKWARD] >= 0) & (when[INPUT] >= 0)).any():
            self._refuse(f"{_where(both, 'B')} is there as I and W too")
        if (early := backward < when[FORWARD]).any():
            self._refuse(f"{_where(early, 'B')} stands before its forward")
        if (early := (when[WEIGHT] >= 0) & (when[WEIGHT] < when[INPUT])).any():
            self._refuse(f"{_where(early, 'W')} stands before its I")

    def _check_places(self, index: Array, rows: Array) -> None:
        """Every stage exists, and is where the placement says."""
        stages = self.placement.num_stages
        wrong = (rows[:, 1] < 0) | (rows[:, 1] >= stages)
        if wrong.any():
            self._refuse(f"stage {rows[wrong][0, 1]} does not exist; stages are 0 to {stages - 1}")
        strange = self.placement.rank_of[rows[:, 1]] != self.rank[index]
        if strange.any():
            op = int(index[strange][0])
            home = self.placement.rank_of[rows[strange][0, 1]]
            self._refuse(f"{self.label(op)} is on rank {self.rank[op]}, its stage on rank {home}")

    def _positions(self, index: Array, rows: Array) -> Array:
        """Where each (kind, stage, micro-batch) stands in ``ops``, -1: nowhere."""
        shape = (4, self.placement.num_stages, self.num_micro_batches)
        flat = np.ravel_multi_index(tuple(rows.T), shape)
        twice = np.bincount(flat, minlength=int(np.prod(shape))) > 1
        if twice.any():
            kind, stage, micro = np.unravel_index(int(np.argmax(twice)), shape)
            self._refuse(f"{stage}{LETTERS[kind]}{micro} is there twice")
        when = np.full(shape, -1)
        when.flat[flat] = index
        return when

    def _refuse(self, what: str) -> None:
        raise InputError(f"the schedule {self.name} is not one: {what}")


def _where(mask: Array, letter: str) -> str:
    stage, micro = np.argwhere(mask)[0]
    return f"{stage}{letter}{micro}"
