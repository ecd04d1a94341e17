"""A row of a study to its answer, or to the sentence with which it is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from clusterwright.errors import ClusterwrightError
from clusterwright.sweep.designs import Table
from clusterwright.sweep.kept import Kept
from clusterwright.sweep.options import Value
from clusterwright.sweep.questions import ends_of
from clusterwright.sweep.study import Case, Study

Status = Literal["answered", "refused", "broke"]


class Answer(NamedTuple):
    """What came of one row.

    ``numbers``: as `columns_of` names them, in SI, None where there is none. ``how``: what was
    chosen. ``why``: with which words it is refused, or how it ``broke``: a fault of ours.
    """

    row: int
    status: Status
    numbers: tuple[float | None, ...]
    how: str = ""
    why: str = ""


class Chunk(NamedTuple):
    """Rows that are answered, and written, together."""

    first: int
    rows: int


def columns_of(study: Study) -> list[str]:
    """The numbers that a study keeps: each result with the ends of its interval."""
    asks = study.asks
    return [name for result in study.kept for name in ends_of(asks, result)]


class Asker:
    """Answers rows of one study; rows near each other share what it has worked out."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.table = Table(study)
        self._kept = Kept(study.facts())
        self._columns = columns_of(study)

    def chunk(self, chunk: Chunk) -> list[Answer]:
        """The answers of a chunk's rows."""
        return [self.answer(row) for row in range(chunk.first, chunk.first + chunk.rows)]

    def answer(self, row: int) -> Answer:
        """The answer of one row; what cannot be answered is told in words, and never raised."""
        nothing = (None,) * len(self._columns)
        try:
            numbers, how = self.study.asks.answer(self._values(self.table.row(row)), self._kept)
        except ClusterwrightError as error:
            return Answer(row, "refused", nothing, why=str(error))
        except Exception as error:  # noqa: BLE001 - one row of many: told, and counted apart
            return Answer(row, "broke", nothing, why=f"{type(error).__name__}: {error}")
        found = tuple(_finite(numbers.get(name)) for name in self._columns)
        return Answer(row, "answered", found, how=how)

    def _values(self, case: Case) -> dict[str, Value]:
        """A row's options as the Python API takes them: files are named from where we are."""
        named, folder = self.study.files, Path(self.study.folder)
        return {
            name: str(folder / value) if isinstance(value, str) and value in named else value
            for name, value in case.items()
        }


def _finite(number: float | None) -> float | None:
    """A number that every file can hold."""
    return None if number is None or math.isnan(number) else float(number)


def chunks_of(gaps: Sequence[tuple[int, int]], size: int) -> list[Chunk]:
    """Cut what is left to do into chunks.

    Parameters
    ----------
    gaps
        First row and the one after the last, of each run of rows that are left.
    size
        Rows of a chunk, the last of a gap maybe fewer; cut at whole multiples.

    >>> chunks_of([(0, 5), (8, 9)], 4)
    [Chunk(first=0, rows=4), Chunk(first=4, rows=1), Chunk(first=8, rows=1)]
    """
    found = []
    for first, end in gaps:
        while first < end:
            until = min(end, (first // size + 1) * size)
            found.append(Chunk(first, until - first))
            first = until
    return found
