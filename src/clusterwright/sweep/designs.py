"""From a study to its table of rows, each of which can be made without the others.

A row is one place of the grid, and there one point of the design. The points of a design: the
likely values; each uncertain option at its 10th and its 90th percentile, the others likely, for the
tornado; then the samples. A sample of a Monte-Carlo study is one point; one of a Sobol' design is
``k + 2``: of two sets of points [1]_ the one, the other, and the first with each of the ``k``
options in turn taken from the other.

References
----------
.. [1] A. Saltelli et al., Computer Physics Communications 181 (2010) 259.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple

from clusterwright.errors import InputError
from clusterwright.sweep.options import Value
from clusterwright.sweep.study import MOST_ROWS, Axis, Case, Study
from clusterwright.uncertain import OUTER, places

Array = Any
MIDDLE = 0.5
ORDER = {"plan": 0, "site": 1, "run": 2}
LEAST_CHUNK, FEWEST_SHARING, MOST_CHUNK = 16, 128, 1024
USUAL_CHUNKS = 64
"""Chunks of a study that is neither small nor has plans that many rows share."""


class Point(NamedTuple):
    """What a row is of its design.

    ``role``: ``grid`` (no design), ``likely``, ``low`` or ``high`` (of one option), ``ours``,
    ``others``, ``mixed`` (of one option). ``sample``, ``option``: which.
    """

    role: str
    sample: int = 0
    option: int = 0


class Table:
    """The rows of a study.

    Axes whose options change more of an answer vary more slowly, so that neighbours share most.

    Raises
    ------
    InputError
        There are too many rows.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        options = study.asks.options

        def changes(names: Iterable[str]) -> int:
            return min((ORDER[options[name].changes] for name in names), default=0)

        self.axes: tuple[Axis, ...] = tuple(
            sorted(study.axes, key=lambda axis: changes(n for case in axis.cases for n in case))
        )
        self.names = tuple(study.uncertain)
        k = len(self.names)
        per_sample = k + 2 if study.design == "sobol" else 1
        self.block = 1 + 2 * k + per_sample * study.samples if k else 1
        self.cells = math.prod(len(axis.cases) for axis in self.axes)
        self.count = self.cells * self.block
        if self.count > MOST_ROWS:
            raise InputError(
                f"the study has {self.count:,} questions, and {MOST_ROWS:,} are the most: leave "
                f"out values or samples, or cut it into several studies"
            )

    def row(self, index: int) -> Case:
        """The options of one row."""
        cell, within = divmod(index, self.block)
        return {**self.study.options, **self.case(cell), **self.drawn(within)}

    def places(self, cell: int) -> list[int]:
        """Where a cell of the grid lies along each axis; the last axis varies fastest."""
        found = []
        for axis in reversed(self.axes):
            cell, place = divmod(cell, len(axis.cases))
            found.append(place)
        return found[::-1]

    def case(self, cell: int) -> Case:
        """What the axes set in a cell of the grid."""
        pairs = zip(self.axes, self.places(cell), strict=True)
        return {name: value for axis, at in pairs for name, value in axis.cases[at].items()}

    def point(self, within: int) -> Point:
        """What a row of a cell is of the design.

        Parameters
        ----------
        within
            The row's number in its cell.
        """
        k = len(self.names)
        if not k:
            return Point("grid")
        if within == 0:
            return Point("likely")
        if within <= 2 * k:
            option, end = divmod(within - 1, 2)
            return Point("high" if end else "low", 0, option)
        drawn = within - 1 - 2 * k
        if self.study.design != "sobol":
            return Point("ours", drawn)
        sample, part = divmod(drawn, k + 2)
        if part < 2:
            return Point("others" if part else "ours", sample)
        return Point("mixed", sample, part - 2)

    def within(self, role: str, option: int = 0) -> range:
        """The numbers, in each cell, of a design's samples of a role; see `Point`."""
        k = len(self.names)
        step = k + 2 if self.study.design == "sobol" else 1
        part = {"ours": 0, "others": 1, "mixed": 2 + option}[role]
        return range(1 + 2 * k + part, self.block, step)

    def drawn(self, within: int) -> Case:
        """The uncertain options of a row, by its number in its cell."""
        point = self.point(within)
        return {
            name: self._value(name, self._probability(point, place))
            for place, name in enumerate(self.names)
        }

    def _probability(self, point: Point, option: int) -> float:
        if point.role in ("low", "high"):
            end = OUTER[point.role == "high"]
            return end if point.option == option else MIDDLE
        if point.role == "likely":
            return MIDDLE
        other = point.role == "others" or (point.role == "mixed" and point.option == option)
        column = self._others if other else self._ours
        return float(column[option, point.sample])

    def _value(self, name: str, probability: float) -> Value:
        return self.study.uncertain[name].at(self.study.asks.options[name], probability)

    @cached_property
    def _ours(self) -> Array:
        """Probabilities of the first set of points, (options, samples)."""
        return places(len(self.names), self.study.samples, self.study.seed)

    @cached_property
    def _others(self) -> Array:
        return places(len(self.names), self.study.samples, self.study.seed + 1)

    @property
    def usual_chunk(self) -> int:
        """Rows of a chunk: those that share a plan, if that is neither few nor very many."""
        shared = self._sharing()
        spread = self.count // USUAL_CHUNKS
        if shared < LEAST_CHUNK:
            return max(1, min(MOST_CHUNK, spread // shared * shared))
        most = min(MOST_CHUNK, max(FEWEST_SHARING, spread))
        return math.ceil(shared / math.ceil(shared / most))

    def _sharing(self) -> int:
        """Rows that follow one another and differ in nothing that changes a plan."""
        options = self.study.asks.options

        def replans(names: Iterable[str]) -> bool:
            return any(options[name].changes == "plan" for name in names)

        if replans(self.names):
            return 1
        shared = self.block
        for axis in reversed(self.axes):
            if replans(name for case in axis.cases for name in case):
                break
            shared *= len(axis.cases)
        return shared
