"""A study's answers as they are read, in the end or while they still come."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from clusterwright.errors import InputError
from clusterwright.sweep.asking import Chunk
from clusterwright.sweep.designs import Table
from clusterwright.sweep.study import Study

Array = Any
T = TypeVar("T")

MARK = 0x63775357
"""The number by which SQLite knows our files: `cwSW`."""
FORMAT = 1
AT_ONCE = 10_000
"""Rows that are read at once."""


class Answered:
    """What a file of answers says of its study."""

    def __init__(self, study: Study, table: Table, base: sqlite3.Connection) -> None:
        self.study, self.table = study, table
        self._base = base

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stamp(self) -> dict[str, str]:
        """What the answers rest on: the study, its hash, the version and the facts that made it."""
        return dict(self._base.execute("SELECT key, value FROM study"))

    def gaps(self) -> list[tuple[int, int]]:
        """What is left to do: first row and the one after the last of each run of rows."""
        found, at = [], 0
        for first, count in self._base.execute("SELECT * FROM chunks ORDER BY first"):
            if first > at:
                found.append((at, first))
            at = first + count
        return [*found, (at, self.table.count)] if at < self.table.count else found

    def failed(self) -> list[tuple[Chunk, str]]:
        """Chunks that could not be done, and why."""
        rows = self._base.execute("SELECT * FROM failed ORDER BY first")
        return [(Chunk(first, count), why) for first, count, why in rows]

    def counts(self) -> dict[str, int]:
        """Rows by what came of them."""
        return dict(self._base.execute("SELECT status, count(*) FROM answers GROUP BY status"))

    def refusals(self, status: str = "refused") -> list[tuple[str, int]]:
        """The sentences with which rows are refused, the most frequent first."""
        return self._base.execute(
            "SELECT why, count(*) AS n FROM answers WHERE status = ? GROUP BY why ORDER BY n DESC, "
            "why",
            (status,),
        ).fetchall()

    def column(self, name: str) -> Array:
        """One of `columns_of` over all rows, NaN where a row has no such answer or none yet."""
        import numpy as np

        found = np.full(self.table.count, np.nan)
        rows = self._base.execute(
            f"SELECT row, {quoted(name)} FROM answers WHERE {quoted(name)} IS NOT NULL"  # noqa: S608
        )
        while some := rows.fetchmany(AT_ONCE):
            places, values = zip(*some, strict=True)
            found[list(places)] = values
        return found

    def answer(self, row: int) -> dict[str, Any]:
        """What ``answers`` has of one row, by name; empty where it is not done."""
        found = self._base.execute("SELECT * FROM answers WHERE row = ?", (row,))
        names = [column[0] for column in found.description]
        return dict(zip(names, found.fetchone() or (), strict=False))

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Every row that is done, in order: as ``asked``, then as ``answers`` has it."""
        return iter(
            self._base.execute(
                "SELECT asked.*, answers.* FROM asked JOIN answers USING (row) ORDER BY row"
            )
        )


def read_answers(path: Path) -> Answered:
    """Read a file of answers and write nothing to it, even while a sweep adds to it.

    Raises
    ------
    InputError
        It is no such file, or one of another version.
    """
    try:
        base = _looked_into(path)
    except (sqlite3.Error, OSError) as error:
        raise _foreign(path, f"({error})") from None
    try:
        _check_shape(path, base)
        written = dict(base.execute("SELECT key, value FROM study"))
        study = _in_order(msgspec.json.decode(written["study"], type=Study), base)
        _check_names(path, study, str(written.get("version", "")))
        return Answered(study, Table(study), base)
    except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
        base.close()
        raise _foreign(path, f"({error})") from None
    except InputError:
        base.close()
        raise


def is_running(path: Path) -> bool:
    """Whether a sweep adds to a file of answers just now."""
    try:
        import fcntl
    except ImportError:  # a system without such locks
        return False
    try:
        with path.with_name(path.name + ".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _looked_into(path: Path) -> sqlite3.Connection:
    """Open a file without making any beside it: nobody writes to one that has no log."""
    log = path.with_name(path.name + "-wal")
    how = "mode=ro" if log.exists() else "immutable=1"
    return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=5.0)


def _check_shape(path: Path, base: sqlite3.Connection) -> None:
    if base.execute("PRAGMA application_id").fetchone() != (MARK,):
        raise _foreign(path, "")
    shape = base.execute("PRAGMA user_version").fetchone()[0]
    if shape != FORMAT:
        raise InputError(f"{str(path)!r} is of another version's format ({shape})")


def _in_order(study: Study, base: sqlite3.Connection) -> Study:
    """The study with its options in their order, which JSON with sorted keys does not keep."""
    columns = [row[1] for row in base.execute("PRAGMA table_info(asked)")]
    place = {name: at for at, name in enumerate(columns)}

    def ordered(options: dict[str, T]) -> dict[str, T]:
        return dict(sorted(options.items(), key=lambda one: place[one[0]]))

    axes = tuple(
        msgspec.structs.replace(axis, cases=tuple(map(ordered, axis.cases))) for axis in study.axes
    )
    return msgspec.structs.replace(study, axes=axes, uncertain=ordered(study.uncertain))


def _check_names(path: Path, study: Study, version: str) -> None:
    """Refuse a study with options or results that this version does not have."""
    asks = study.asks
    options = {*study.options, *study.varied}
    if options <= asks.options.keys() and set(study.results) <= asks.results.keys():
        return
    raise InputError(
        f"{str(path)!r} was written by version {version[:20]}, which asked otherwise: run the "
        f"study again"
    )


def _foreign(path: Path, why: str) -> InputError:
    return InputError(f"{str(path)!r} is no file of a sweep's answers {why}".rstrip())


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
