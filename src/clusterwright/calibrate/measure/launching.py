"""Processes of PyTorch's own launcher, all of whose memory and threads are set in the same way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from clusterwright.errors import InputError

SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
}
"""glibc keeps freed memory, as PyTorch's guide to processors advises by another allocator: else
every large tensor is faulted in page by page, and writing one takes four times as long."""
OTHERS_RANKS = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)
"""What a job's launcher has told this process of that job, such as in a pod of Kubernetes: the
processes that measure are among themselves."""
CAUSE = re.compile(
    r"^(?:\[\w+\]:)?(?:[\w.]*(?:Error|Exception): \S.*|.*No module named.*)$|Signal \d+ \(SIG.*",
    re.MULTILINE,
)
"""A line of a traceback that says what went wrong; the launcher puts the process before it."""
POLL = 0.25


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a process with so many threads."""
    own = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), **SETTINGS}
    held = {name: value for name, value in os.environ.items() if name not in OTHERS_RANKS}
    return {**held, **own}


def launch(
    module: str,
    argument: Path,
    *,
    processes: int,
    threads: int,
    log: Path,
    watch: Callable[[], None] | None = None,
) -> None:
    """Run a module of this package in so many processes, and wait for them.

    Parameters
    ----------
    module
        Such as ``clusterwright.calibrate.measure.program``.
    argument
        A file that tells it what to do.
    processes, threads
        How many, and of how many threads each.
    log
        Where what they print goes.
    watch
        Called a few times a second while they run.

    Raises
    ------
    InputError
        They failed; the message ends with the last that they printed.
    """
    command = [sys.executable, "-m", module, str(argument)]
    if processes > 1:
        runner = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, "-m", *runner, "-m", module, str(argument)]
    with log.open("wb") as out:
        code = _wait(command, out, threads, watch)
    if code != 0:
        said = cause_of(log.read_text(encoding="utf-8", errors="replace")) or f"exit {code}"
        raise InputError(f"the measuring processes failed ({said}): see {log}")


def cause_of(printed: str) -> str:
    r"""Return the last error that processes printed, or the signal that ended one; '' for none.

    >>> cause_of("ValueError: no\n  ...\nChildFailedError: \n")
    'ValueError: no'
    >>> cause_of("  traceback : Signal 9 (SIGKILL) received by PID 12\n")
    'Signal 9 (SIGKILL) received by PID 12'
    """
    found = [match.group().strip() for match in CAUSE.finditer(printed)]
    return found[-1] if found else ""


def _wait(
    command: list[str], out: IO[bytes], threads: int, watch: Callable[[], None] | None
) -> int:
    """Start a command in a group of its own, so that all of it can be ended; return its code."""
    with subprocess.Popen(  # noqa: S603 - our own module
        command,
        stdout=out,
        stderr=subprocess.STDOUT,
        env=environment(threads),
        start_new_session=True,
    ) as child:
        try:
            while child.poll() is None:
                time.sleep(POLL)
                if watch is not None:
                    watch()
        except BaseException:
            os.killpg(child.pid, signal.SIGTERM)
            raise
        return child.returncode
