"""One process that answers one question after the other, from its input to its output.

A process of its own can be stopped, whatever it is doing, and takes nothing with it if it dies.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from select import select
from typing import BinaryIO

import msgspec

from clusterwright.cli.progress import told_to
from clusterwright.web.answering import answer
from clusterwright.web.fencing import Fence
from clusterwright.web.pages import BY_PATH, seconds_of
from clusterwright.web.wire import Begun, Message, Progress, Task, packed, read_task

IDLE = 0.3
"""Without a question, after which a worker gets ready for those that compute. [s]"""
MOST_MEMORY = 4_000_000_000
"""Bytes that one question may take."""
ENOUGH = 200_000_000
"""Bytes that a worker may keep, those that are free among them: to have them anew takes time."""


def main() -> None:
    """Answer until the server goes away."""
    pipe = _own_output()
    _bound()
    fence = Fence()

    def send(message: Message) -> None:
        pipe.write(packed(message))
        pipe.flush()

    while (task := _next()) is not None:
        send(Begun(seconds=seconds_of(task.path)))
        if task.path in BY_PATH:
            _warm()
        with told_to(lambda words: send(Progress(words=words))), fence.up():
            found = answer(task)
        lasting = found.lasting and not fence.has_read
        send(msgspec.structs.replace(found, memory=_kept(), lasting=lasting))
        _settle()


def _bound() -> None:
    """Take no more memory than a question may, where the system counts it."""
    with suppress(ImportError, OSError, ValueError):
        resource = import_module("resource")
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))


def _next() -> Task | None:
    """Wait for the next question; get ready for those that compute while there is none."""
    waits = False
    with suppress(OSError):  # not every system tells of pipes
        waits = bool(select([sys.stdin], [], [], IDLE)[0])
    if not waits:
        _warm()
    return read_task(sys.stdin.buffer)


@cache
def _warm() -> None:
    """Load the compiler of event loops, which a first question would wait for."""
    with suppress(ImportError):
        import_module("numba")


@cache
def _settle() -> None:
    """Spare later questions the search for garbage in what the first one loaded."""
    gc.collect()
    gc.freeze()


def _kept() -> int:
    """Resident bytes that the next question finds; what is only kept free is given back first."""
    held = _memory()
    if held > ENOUGH:
        with suppress(AttributeError, OSError):  # only glibc has it
            import_module("ctypes").CDLL(None).malloc_trim(0)
        held = _memory()
    return held


def _memory() -> int:
    """Resident bytes of this process, where the system tells; else 0."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _own_output() -> BinaryIO:
    """The pipe to the server; what anything prints goes to standard error instead."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return pipe


if __name__ == "__main__":
    main()
