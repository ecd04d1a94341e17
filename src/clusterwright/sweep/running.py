"""Chunks of a study to workers: this process, processes of this machine, or a Ray cluster.

An executor is handed chunks and hands back each with its answers, or with why it could not be done,
in whatever order they come. What answers hold does not depend on which executor, or how many
workers.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from typing import Protocol

import msgspec

from clusterwright.errors import InputError
from clusterwright.sweep.asking import Answer, Asker, Chunk
from clusterwright.sweep.study import Study

Done = tuple[Chunk, list[Answer] | str]
"""A chunk, and its answers or why there are none."""

AHEAD = 2
"""Chunks a worker has before it, so that it never waits for the next."""
TRIES = 3
"""How often a chunk is begun whose worker dies, the last ones alone, before it is given up."""


class Executor(Protocol):
    """What does chunks."""

    def run(self, study: Study, chunks: Iterable[Chunk]) -> Iterator[Done]:
        """Do chunks, and hand each back as it is done."""


class Here:
    """One after the other, in this process."""

    def run(self, study: Study, chunks: Iterable[Chunk]) -> Iterator[Done]:
        """Do chunks in their order."""
        asker = Asker(study)
        for chunk in chunks:
            yield chunk, asker.chunk(chunk)


class Local:
    """Processes of this machine.

    Parameters
    ----------
    workers
        How many.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, study: Study, chunks: Iterable[Chunk]) -> Iterator[Done]:
        """Do chunks as workers get to them; those whose worker dies are done again."""
        suspects: list[Chunk] = []
        left = deque(chunks)
        while left:
            yield from self._until_broken(study, left, suspects, self.workers * AHEAD)
            # The pool does not say whose worker died: each is asked for alone, so that it shows.
            for chunk in sorted(suspects):
                yield self._alone(study, chunk)
            suspects.clear()

    def _until_broken(
        self, study: Study, left: deque[Chunk], suspects: list[Chunk], most: int
    ) -> Iterator[Done]:
        """Do chunks until none is left or a worker dies; what was begun then goes to suspects."""
        pool = _pool(study, self.workers)
        running: dict[Future[list[Answer]], Chunk] = {}
        try:
            while left or running:
                while left and len(running) < most:
                    running[pool.submit(_work, left[0])] = left[0]
                    left.popleft()
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    answers = future.result()
                    yield running.pop(future), answers
        except BrokenProcessPool:
            suspects.extend(running.values())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _alone(self, study: Study, chunk: Chunk) -> Done:
        """Do one chunk with one worker, a few times if it dies."""
        for _ in range(TRIES - 1):
            pool = _pool(study, 1)
            try:
                return chunk, pool.submit(_work, chunk).result()
            except BrokenProcessPool:
                continue
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        return chunk, f"its worker died {TRIES} times, killed or out of memory"


def _pool(study: Study, workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(msgspec.json.encode(study),),
    )


_asker: list[Asker] = []
"""Of this worker; kept between its chunks."""


def _begin(study: bytes) -> None:
    """Make a worker ready: it ends with its parent, and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _asker[:] = [Asker(msgspec.json.decode(study, type=Study))]


def _end_with_parent() -> None:
    """Leave when the parent is gone; else a worker would wait for its next chunk for ever."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _work(chunk: Chunk) -> list[Answer]:
    return _asker[0].chunk(chunk)


def executor_named(on: str, workers: int) -> Executor:
    """What runs a study: ``local``, ``ray`` (this machine) or ``ray://address`` (a cluster).

    Raises
    ------
    InputError
        No such thing.
    """
    if on == "local":
        return Here() if workers == 1 else Local(workers)
    if on == "ray" or on.startswith("ray://"):
        from clusterwright.sweep.on_ray import OnRay

        return OnRay(on.removeprefix("ray").removeprefix("://"), workers)
    raise InputError(f"--on is {on!r}, but must be local, ray, or ray://address")
