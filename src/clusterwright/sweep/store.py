"""The file that a study's answers go to as they come: SQLite, a transaction for each chunk.

Tables: ``study`` (what is asked, by which version and facts), ``results`` (their units), ``asked``
(a row's options), ``answers`` (a row's results in SI), ``chunks`` (which rows are done), ``failed``
(which could not be). A chunk is there with all its rows or not at all, so a sweep that is killed
goes on where it was.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from clusterwright import __version__
from clusterwright.errors import InputError
from clusterwright.sweep.answered import FORMAT, MARK, Answered, quoted
from clusterwright.sweep.asking import Answer, Chunk, columns_of
from clusterwright.sweep.designs import Table
from clusterwright.sweep.study import Study


class Store(Answered):
    """The answers of one study, to be added to.

    Parameters
    ----------
    path
        The file, which is made if there is none.
    study
        Whose answers it holds.
    table
        The study's rows.

    Raises
    ------
    InputError
        It cannot be written, is no such file, or holds another study, or one of other facts.
    """

    def __init__(self, path: Path, study: Study, table: Table) -> None:
        self.path = path
        self._lock = _locked(path)
        try:
            super().__init__(study, table, _opened(path))
            self._prepare()
        except BaseException:
            self._unlock()
            raise

    def close(self) -> None:
        """Let go of the file."""
        super().close()
        self._unlock()

    def add(self, chunk: Chunk, answers: Sequence[Answer]) -> None:
        """Write a chunk's answers, all of them or, if that fails, none."""
        varied, numbers = self.study.varied, columns_of(self.study)
        asked = ", ".join("?" * (1 + len(varied)))
        found = ", ".join("?" * (4 + len(numbers)))
        with self._writing() as base:
            base.executemany(
                f"INSERT INTO asked VALUES ({asked})",  # noqa: S608 - question marks alone
                ([one.row, *self._options(one.row)] for one in answers),
            )
            base.executemany(
                f"INSERT INTO answers VALUES ({found})",  # noqa: S608 - question marks alone
                ([one.row, one.status, *one.numbers, one.how, one.why] for one in answers),
            )
            base.execute("DELETE FROM failed WHERE first = ?", (chunk.first,))
            base.execute("INSERT INTO chunks VALUES (?, ?)", chunk)

    def fail(self, chunk: Chunk, why: str) -> None:
        """Write down that a chunk could not be done, and why; it is tried again next time."""
        with self._writing() as base:
            base.execute("INSERT OR REPLACE INTO failed VALUES (?, ?, ?)", (*chunk, why))

    def _options(self, row: int) -> list[Any]:
        case = self.table.row(row)
        return [case.get(name) for name in self.study.varied]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._base:
                self._base.execute("BEGIN IMMEDIATE")
                yield self._base
        except sqlite3.IntegrityError as error:
            raise InputError(
                f"{str(self.path)!r} has rows of that chunk already: {error}"
            ) from None
        except sqlite3.Error as error:
            raise InputError(
                f"cannot write to {str(self.path)!r}: {error}; what is written is safe, and the "
                f"same command goes on with it"
            ) from None

    def _prepare(self) -> None:
        """Make the tables of a new file; of an old one, see that it is this study's."""
        try:
            if self._base.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                self._make()
            shape = self._base.execute("PRAGMA user_version").fetchone()
            if shape != (FORMAT,):
                raise self._foreign(f"is of another version's format ({shape[0]})")
            self._check(self.stamp())
        except sqlite3.Error as error:
            self._base.close()
            raise self._foreign(f"is no file of answers, or broken ({error})") from None
        except InputError:
            self._base.close()
            raise

    def _foreign(self, what: str) -> InputError:
        return InputError(f"{str(self.path)!r} {what}: give another file with --out")

    def _make(self) -> None:
        varied = "".join(f", {quoted(name)}" for name in self.study.varied)
        numbers = "".join(f", {quoted(name)} REAL" for name in columns_of(self.study))
        kept = self.study.kept
        with self._base as base:
            base.execute("BEGIN IMMEDIATE")
            base.execute("CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
            base.execute("CREATE TABLE results (name TEXT PRIMARY KEY, unit TEXT) WITHOUT ROWID")
            base.execute("CREATE TABLE chunks (first INTEGER PRIMARY KEY, count INTEGER)")
            base.execute("CREATE TABLE failed (first INTEGER PRIMARY KEY, count INTEGER, why TEXT)")
            base.execute(f"CREATE TABLE asked (row INTEGER PRIMARY KEY{varied})")
            base.execute(
                f"CREATE TABLE answers (row INTEGER PRIMARY KEY, status TEXT{numbers}, how TEXT, "
                f"why TEXT)"
            )
            base.executemany("INSERT INTO study VALUES (?, ?)", self._facts().items())
            base.executemany("INSERT INTO results VALUES (?, ?)", kept.items())
            base.execute(f"PRAGMA application_id = {MARK}")
            base.execute(f"PRAGMA user_version = {FORMAT}")

    def _facts(self) -> dict[str, str]:
        """What the answers rest on, in words."""
        return {
            "study": msgspec.json.encode(self.study, order="deterministic").decode(),
            "hash": self.study.hash,
            "version": __version__,
            "catalogue": self.study.facts().hash,
            "rows": str(self.table.count),
        }

    def _check(self, found: dict[str, str]) -> None:
        """Refuse to mix answers to different questions."""
        ours = self._facts()
        differs = {
            "hash": "answers another study, or this one before it was changed",
            "version": f"was begun by version {found.get('version')}, and this is {__version__}",
            "catalogue": "was begun with other facts in the catalogue",
            "rows": "has another number of rows",
        }
        for key, what in differs.items():
            if found.get(key) != ours[key]:
                raise InputError(
                    f"{str(self.path)!r} {what}, so it cannot go on: give another file with --out, "
                    f"or move this one away"
                )

    def _unlock(self) -> None:
        if self._lock is not None:
            with suppress(OSError):
                Path(self._lock.name).unlink()
            self._lock.close()
            self._lock = None


def _opened(path: Path) -> sqlite3.Connection:
    try:
        base = sqlite3.connect(path, isolation_level=None, timeout=30.0)
        held = base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if held and base.execute("PRAGMA application_id").fetchone() != (MARK,):
            base.close()
            raise InputError(
                f"{str(path)!r} is a database of something else: give another file with --out"
            )
        # Readers may look while we write; what is committed outlives us, if not the machine.
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.DatabaseError as error:
        raise InputError(
            f"cannot use {str(path)!r} for answers: {error}; give another file with --out"
        ) from None
    return base


def _locked(path: Path) -> IO[str] | None:
    """Hold the file for us alone until we end, however we end; None where that cannot be.

    Raises
    ------
    InputError
        Another sweep has it, or nothing can be written there.
    """
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder: name a file with --out, such as study.sqlite")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")
    try:
        import fcntl
    except ImportError:  # a system without such locks
        return None
    name = path.with_name(path.name + ".lock")
    while True:
        try:
            lock = name.open("w")
        except OSError as error:
            raise InputError(
                f"cannot write {str(path)!r}: {error.strerror}; give another place with --out"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise InputError(
                f"another sweep is writing to {str(path)!r}: wait for it, or give another --out"
            ) from None
        # Whoever ends removes the name: see that what we hold is what others would find.
        with suppress(OSError):
            if name.stat().st_ino == os.fstat(lock.fileno()).st_ino:
                return lock
        lock.close()
