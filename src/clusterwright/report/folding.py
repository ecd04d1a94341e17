"""Lines that fit a terminal."""

from __future__ import annotations

import re
import textwrap

WIDTH = 120
"""Columns of a terminal; what is longer goes on, indented, in the next line."""


def fold(line: str, indent: int) -> list[str]:
    """A line as one or more that fit a terminal, all but the first indented.

    It is broken between the items of a list only.

    >>> fold("assumed: " + "; ".join(["host memory: 128 GB"] * 6), 9)[1]
    '         host memory: 128 GB'
    """
    held = re.sub(r"(?<=[^\s,;]) (?=\S)", "\N{NO-BREAK SPACE}", line)
    blanks = " " * indent
    parts = textwrap.wrap(
        held, WIDTH, subsequent_indent=blanks, break_long_words=False, break_on_hyphens=False
    )
    return [part.replace("\N{NO-BREAK SPACE}", " ") for part in parts]
