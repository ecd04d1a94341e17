"""A few workers, and the questions that wait for them."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress

from clusterwright.errors import ClusterwrightError
from clusterwright.records import Record
from clusterwright.web.wire import MESSAGES, PREFIX, Begun, Message, Progress, Reply, Task, packed


class BusyError(ClusterwrightError):
    """So many questions wait that another would wait too long."""


class LostError(ClusterwrightError):
    """A worker died, or was stopped since it took too long."""


class TooLongError(ClusterwrightError):
    """A worker's answer is longer than any page can show."""


class Limits(Record, frozen=True, kw_only=True):
    """What the workers may take.

    ``workers``: at once. ``waiting``: questions at most. ``seconds``: for one question, where its
    page does not allow for less. [s]
    ``memory``: of all workers while nothing is asked; one that would hold more ends. [B]
    """

    workers: int = 2
    waiting: int = 200
    seconds: float = 180.0
    memory: int = 200_000_000


MOST_REPLY = 64_000_000
"""Bytes of one answer."""
LEAN = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "16777216",
    "MALLOC_MMAP_THRESHOLD_": "4194304",
}
"""glibc gives memory back after a large question, and keeps what columns of a search need anew."""


TOO_MUCH = 1.15
"""Of the memory of all: a single worker that holds more ends."""


class Pool:
    """Workers that are started when they are needed, and anew when one is lost.

    The one that answered last is asked first, so that a single person needs only one.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._idle: asyncio.LifoQueue[Process | None] = asyncio.LifoQueue()
        self._holds: dict[Process, int] = {}
        self._waiting = 0
        for _ in range(limits.workers):
            self._idle.put_nowait(None)

    async def start(self) -> None:
        """Start one worker, so that the first question need not wait for it."""
        slot = await self._idle.get()
        self._idle.put_nowait(slot or await self._started())

    def stop(self) -> None:
        """Stop all of them."""
        for process in self._holds:
            if process.returncode is None:
                process.kill()

    async def ask(self, task: Task, *, tell: Callable[[Progress], None] | None = None) -> Reply:
        """Have a task answered; cancelling this stops its worker.

        Raises
        ------
        BusyError
            Too many wait.
        LostError
            The worker died, or took too long.
        """
        if self._waiting >= self.limits.waiting:
            raise BusyError("too many questions wait to be answered: ask again in a moment")
        self._waiting += 1
        try:
            worker = await self._idle.get()
        finally:
            self._waiting -= 1
        seconds = self.limits.seconds
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds) as bound:
                worker, begun = await self._given(worker, task)
                seconds = min(seconds, begun.seconds)
                bound.reschedule(loop.time() + seconds)
                reply = await _heard(worker, tell)
        except BaseException as error:
            self._lose(worker)
            self._idle.put_nowait(None)
            if why := _why_lost(error, seconds):
                raise LostError(f"{why}: ask the command line, or for less") from None
            raise
        self._holds[worker] = reply.memory
        if self._is_too_much(reply.memory):
            self._lose(worker)
            self._idle.put_nowait(None)
        else:
            self._idle.put_nowait(worker)
        return reply

    def _is_too_much(self, held: int) -> bool:
        """Whether a worker that holds so much should end, now that it has answered."""
        alone = len(self._holds) == 1
        most = TOO_MUCH * self.limits.memory if alone else self.limits.memory
        return sum(self._holds.values()) > most and (alone or not self._waiting) and held > 0

    async def _given(self, worker: Process | None, task: Task) -> tuple[Process, Begun]:
        """Give a task to this worker, or to a new one where it has died since it was last asked."""
        if worker is not None:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                return worker, await _give(worker, task)
            self._lose(worker)
        fresh = await self._started()
        try:
            return fresh, await _give(fresh, task)
        except BaseException:
            self._lose(fresh)
            raise

    async def _started(self) -> Process:
        # Without -P a file of the folder that is called as a module would be run in its place.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "clusterwright.web.worker"),
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, **LEAN},
        )
        self._holds[process] = 0
        return process

    def _lose(self, worker: Process | None) -> None:
        if worker is not None:
            self._holds.pop(worker, None)
            if worker.returncode is None:
                worker.kill()


def _why_lost(error: BaseException, seconds: float) -> str:
    """Why there is no answer; "" where that is no worker's fault."""
    if isinstance(error, TimeoutError):
        return f"this takes more than {seconds:.0f} s, and was stopped"
    if isinstance(error, asyncio.IncompleteReadError | ConnectionError):
        return "what answered this died, perhaps for want of memory"
    if isinstance(error, TooLongError):
        return f"the answer has more than {MOST_REPLY:,} bytes"
    return ""


async def _give(worker: Process, task: Task) -> Begun:
    """Send a task, and wait until it is taken up."""
    assert worker.stdin is not None
    worker.stdin.write(packed(task))
    await worker.stdin.drain()
    begun = await _message(worker)
    assert isinstance(begun, Begun)
    return begun


async def _heard(worker: Process, tell: Callable[[Progress], None] | None) -> Reply:
    """Listen until the reply."""
    while not isinstance(message := await _message(worker), Reply):
        if tell is not None and isinstance(message, Progress):
            tell(message)
    return message


async def _message(worker: Process) -> Message:
    assert worker.stdout is not None
    head = await worker.stdout.readexactly(PREFIX)
    if (length := int.from_bytes(head, "big")) > MOST_REPLY:
        raise TooLongError
    return MESSAGES.decode(await worker.stdout.readexactly(length))
