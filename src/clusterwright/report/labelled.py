"""The labelled lines of an answer's words, apart: label, figure, and what is said beside it.

Every answer is written in one layout: a block of lines that say what was asked; then one of
labelled lines, each two spaces, a label of up to twelve letters, and its text; what goes on stands
below the text. A page shows the same figures in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from clusterwright.records import Record

COLUMN = 15
"""Where the text of a labelled line begins."""
LONGEST = 36
"""Letters of a figure, at most; what is longer is a sentence."""
ASSUMED = "assumed"
"""What stands in for what nobody said is no figure."""
WHOLE = (
    *("strategy", "replicas", "schedule"),
    *("first token", "each token", "gaps", "whole answer"),
)
"""Labels of texts that are one thing, however many commas they have."""
_LINE = re.compile(rf"  (?=\S)(.{{{COLUMN - 3}}}) (\S.*)")
_GAP = re.compile(r"\S {2,}(?=\S)")
CELLS = 3
"""Gaps of several spaces that make a line the row of a table."""
_END = re.compile(r" +(?=\()|, |: |; ")


class Labelled(Record, frozen=True, kw_only=True):
    """One labelled line.

    ``figure``: the beginning of its text, or all of it where it is a sentence. ``note``: the rest
    of the line. ``more``: the lines below, up to what was assumed.
    """

    label: str
    figure: str
    note: str = ""
    more: tuple[str, ...] = ()


def labelled(words: str) -> tuple[Labelled, ...]:
    """Read the first block of labelled lines, in order; none where there is no such block.

    A line in brackets is an aside, and left out.

    >>> text = "  step time    5.46 s  (80 % interval 5.15 s to 6.29 s)"
    >>> text += chr(10) + 15 * " " + "like 40 runs"
    >>> one = labelled(text)[0]
    >>> one.label, one.figure, one.note, one.more
    ('step time', '5.46 s', '80 % interval 5.15 s to 6.29 s', ('like 40 runs',))
    """
    for block in _blocks(words):
        lines = [line for line in block if line.startswith("  ") and not line.startswith("  (")]
        if lines and all(_LINE.fullmatch(line) or _goes_on(line) for line in lines):
            found = tuple(one for one in _read(lines) if one.label != ASSUMED)
            if found:
                return found
    return ()


def about(words: str) -> tuple[str, ...]:
    """Read what was asked: the first block, one sentence a line.

    >>> about(chr(10).join(["A model on 8 chips", "assumed: one thing;", "   another"]))
    ('A model on 8 chips', 'assumed: one thing; another')
    """
    first, *others = next(_blocks(words), None) or ("",)
    found = [first.strip()]
    for line in takewhile(_is_prose, others):
        if line.startswith(" "):
            found[-1] = f"{found[-1]} {line.strip()}"
        else:
            found.append(line.strip())
    return tuple(found)


def _is_prose(line: str) -> bool:
    """Whether a line is neither a labelled one nor the row of a table."""
    return not _LINE.fullmatch(line) and len(_GAP.findall(line)) < CELLS


def _blocks(words: str) -> Iterator[list[str]]:
    """Lines between empty ones."""
    for block in re.split(r"\n\s*\n", words.strip("\n")):
        yield block.splitlines()


def _goes_on(line: str) -> bool:
    return line[:COLUMN].isspace()


def _read(lines: Sequence[str]) -> Iterator[Labelled]:
    label, texts = "", list[str]()
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            texts.append(line.strip())
            continue
        if label:
            yield _apart(label, texts)
        label, texts = found[1].strip(), [found[2].strip()]
    yield _apart(label, texts)


def _apart(label: str, texts: list[str]) -> Labelled:
    first, *below = texts
    more = list(takewhile(lambda line: not line.startswith(f"{ASSUMED}: "), below))
    end = None if label in WHOLE else _END.search(first)
    if end is None or end.start() > LONGEST:
        return Labelled(label=label, figure=first, more=tuple(more))
    note = first[end.end() :]
    if note.startswith("(") and note.find(")") == len(note) - 1:
        note = note[1:-1]
    return Labelled(label=label, figure=first[: end.start()], note=note, more=tuple(more))
