"""A study from its file to its answers: what is left is done, and written as it comes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from clusterwright.errors import InputError
from clusterwright.sweep.asking import Chunk, chunks_of
from clusterwright.sweep.designs import Table
from clusterwright.sweep.running import executor_named
from clusterwright.sweep.store import Store
from clusterwright.sweep.study import Study

MOST_WORKERS = 1024


class Progress(NamedTuple):
    """How far a sweep is: rows done before and by now, rows of all, and since when. [s]"""

    before: int
    done: int
    rows: int
    seconds: float

    @property
    def rate(self) -> float:
        """Rows done in a second. [1/s]"""
        return (self.done - self.before) / self.seconds if self.seconds else 0.0

    @property
    def left(self) -> float:
        """How long the rest will take. [s]"""
        return (self.rows - self.done) / self.rate if self.rate else float("inf")


Tell = Callable[[Progress], None]


def sweep(
    study: Study,
    out: Path,
    *,
    on: str = "local",
    workers: int | None = None,
    chunk: int | None = None,
    limit: int | None = None,
    tell: Tell | None = None,
) -> Store:
    """Answer what is left of a study; the store it returns is open.

    With several workers a script calls it below ``if __name__ == "__main__":``, since each worker
    imports the script anew.

    Parameters
    ----------
    study
        What is asked.
    out
        The file of the answers; one that is there is gone on with.
    on
        ``local``, ``ray`` or ``ray://address``.
    workers
        Processes [default: as many as cores].
    chunk
        Rows that are done, and written, together [default: those that share a plan].
    limit
        Rows to do now at most, whole chunks.
    tell
        Is told how far it is after each chunk.

    Raises
    ------
    InputError
        The file cannot be used, or something that was asked for is impossible.
    """
    for name, given in {"workers": workers, "chunk": chunk, "limit": limit}.items():
        if given is not None and given < 1:
            raise InputError(f"--{name} is {given}, but must be 1 or more")
    if workers is not None and workers > MOST_WORKERS:
        raise InputError(f"--workers is {workers:,}, but can be {MOST_WORKERS:,} at most")
    table = Table(study)
    store = Store(out, study, table)
    try:
        chunks = chunks_of(store.gaps(), chunk or table.usual_chunk)
        _fill(store, _first(chunks, limit), on, workers, tell or (lambda _: None))
    except BaseException:
        store.close()
        raise
    return store


def _first(chunks: list[Chunk], limit: int | None) -> list[Chunk]:
    """The first chunks that have as many rows as are asked for."""
    found, rows = [], 0
    for chunk in chunks:
        if limit is not None and rows >= limit:
            break
        found.append(chunk)
        rows += chunk.rows
    return found


def _fill(store: Store, chunks: list[Chunk], on: str, workers: int | None, tell: Tell) -> None:
    """Do chunks, and write each as it comes."""
    many = min(max(1, len(chunks)), workers or os.cpu_count() or 1)
    executor = executor_named(on, many)
    if not chunks:
        return
    rows = store.table.count
    before = done = rows - sum(end - first for first, end in store.gaps())
    start = time.monotonic()
    for chunk, found in executor.run(store.study, chunks):
        if isinstance(found, str):
            store.fail(chunk, found)
            continue
        store.add(chunk, found)
        done += chunk.rows
        tell(Progress(before, done, rows, time.monotonic() - start))
