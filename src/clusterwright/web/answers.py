"""Questions on their way: the same one is worked on once, and what was answered lately is kept."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from urllib.parse import urlencode

from clusterwright.web.pool import Limits, Pool
from clusterwright.web.wire import Progress, Reply, Task

KEPT = 128
"""Answers that are kept."""
KEPT_BYTES = 16_000_000
"""Bytes of all that are kept."""
FAULT = 500
"""Status from which on a reply is a fault, which may pass."""
LEFT = 1.0
"""Work after which a question that nobody waits for is stopped: a new worker takes as long. [s]"""


class _Asked:
    """One question that is being answered, and how many wait for it."""

    def __init__(self, task: Task, working: asyncio.Task[Reply], now: float) -> None:
        self.task = task
        self.working = working
        self.waiting = 0
        self.begun = now


class Answers:
    """Questions answered by the pool; the last ones are remembered."""

    def __init__(self, limits: Limits) -> None:
        self.pool = Pool(limits)
        self.progress: dict[str, str] = {}
        self._asked: dict[Task, _Asked] = {}
        self._kept: OrderedDict[Task, Reply] = OrderedDict()

    async def of(self, task: Task) -> Reply:
        """The reply to a task; cancelling this leaves it to those who wait for it too.

        Raises
        ------
        BusyError
            Too many wait.
        LostError
            The worker died, or took too long.
        """
        if task in self._kept:
            self._kept.move_to_end(task)
            return self._kept[task]
        asked = self._asked.get(task) or self._begun(task)
        asked.waiting += 1
        try:
            return await asyncio.shield(asked.working)
        finally:
            asked.waiting -= 1
            self._leave(asked)

    def _begun(self, task: Task) -> _Asked:
        loop = asyncio.get_running_loop()
        asked = _Asked(task, loop.create_task(self._work(task)), loop.time())
        self._asked[task] = asked
        asked.working.add_done_callback(lambda _: self._end(asked))
        return asked

    async def _work(self, task: Task) -> Reply:
        name = name_of(task)
        self.progress[name] = ""
        try:
            return await self.pool.ask(task, tell=lambda said: self._hear(name, said))
        finally:
            self.progress.pop(name, None)

    def _hear(self, name: str, said: Progress) -> None:
        self.progress[name] = said.words

    def _end(self, asked: _Asked) -> None:
        """Keep the answer; what went wrong is told to those who wait, if any do."""
        self._forget(asked)
        done = asked.working
        if not done.cancelled() and done.exception() is None:
            reply = done.result()
            if reply.lasting and reply.status < FAULT:
                self._keep(asked.task, reply)

    def _forget(self, asked: _Asked) -> None:
        if self._asked.get(asked.task) is asked:
            del self._asked[asked.task]

    def _keep(self, task: Task, reply: Reply) -> None:
        self._kept[task] = reply
        held = sum(len(one.body) for one in self._kept.values())
        while held > KEPT_BYTES or len(self._kept) > KEPT:
            held -= len(self._kept.popitem(last=False)[1].body)

    def _leave(self, asked: _Asked) -> None:
        """Stop what nobody waits for, once it has run for longer than a new worker takes."""
        if asked.waiting or asked.working.done():
            return
        loop = asyncio.get_running_loop()
        left = asked.begun + LEFT - loop.time()
        if left > 0:
            loop.call_later(left, self._leave, asked)
        else:
            self._forget(asked)  # who asks the same from now on begins anew
            asked.working.cancel()


def name_of(task: Task) -> str:
    """What a question is called while it is answered: its address."""
    return f"{task.path}?{urlencode(task.query)}"
