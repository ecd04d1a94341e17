"""One process that answers one question after the other, from its input to its output.

A process of its own can be stopped, whatever it is doing, and takes nothing with it if it dies.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from clusterwright.web.answering import answer
from clusterwright.web.wire import packed, read_task


def main() -> None:
    """Answer until the server goes away."""
    pipe = _own_output()
    while (task := read_task(sys.stdin.buffer)) is not None:
        pipe.write(packed(answer(task)))
        pipe.flush()


def _own_output() -> BinaryIO:
    """The pipe to the server; what anything prints goes to standard error instead."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return pipe


if __name__ == "__main__":
    main()
