"""What a worker may open while it answers: plain files of the folder that is served, to read."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LARGEST, LARGEST_STUDY = 64 * 2**20, 2**30
"""Of a file that a page reads; of a study's answers, which are not read into memory. [B]"""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def largest(path: str) -> int:
    """Bytes that a file of that name may have.

    >>> largest("plan.json") < largest("study.sqlite")
    True
    """
    return LARGEST_STUDY if path.endswith(".sqlite") else LARGEST


class Fence:
    """An audit hook: words of a query were looked at before, this looks at what is opened.

    Words that name files are relative, all else that a program opens for itself is not. So every
    relative path must lead, links followed, to a plain file of the working folder.
    """

    def __init__(self) -> None:
        self._folder = os.path.realpath(Path.cwd())
        self._up = False
        self.has_read = False
        sys.addaudithook(self._look)

    @contextmanager
    def up(self) -> Iterator[None]:
        """Hold for one question; ``has_read`` tells afterwards whether it opened a file."""
        self._up, self.has_read = True, False
        try:
            yield
        finally:
            self._up = False

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._up and event == "open":
            path, _, flags = arguments
            if not isinstance(path, int) and not Path(os.fsdecode(path)).is_absolute():
                self._check(os.fsdecode(path), flags)

    def _check(self, path: str, flags: int) -> None:
        found = os.path.realpath(path)
        if os.path.commonpath((self._folder, found)) != self._folder or flags & WRITING:
            raise PermissionError(errno.EACCES, "it is not in the folder that is served", path)
        about = Path(found).stat()  # that there is no such file is said by this, as by opening it
        if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
            raise PermissionError(errno.EACCES, "it is no plain file", path)
        if about.st_size > (most := largest(path)):
            words = f"it has more than the {most:,} bytes that a page reads"
            raise PermissionError(errno.EFBIG, words, path)
        self.has_read = True
