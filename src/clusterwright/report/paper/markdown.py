"""A report as Markdown: tables and text; what pictures show is said, and drawn in letters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from clusterwright.report.labelled import Labelled
from clusterwright.report.paper.contents import Basis, Paper
from clusterwright.report.shown.summary import RANGES

_MARKS = re.compile(r"([\\`*_{}\[\]<>|#~$&!])")
_ADDRESS = re.compile(r"(?i)(://|\bwww\.|@)")
_START = re.compile(r"^(\s*)([-+=]|\d+(?=[.)]))")


def markdown_of(paper: Paper) -> bytes:
    """Write a report as Markdown, in which names stay text whatever letters they hold."""
    lines = [
        f"# {plain(paper.kind)}: {plain(paper.title)}",
        "",
        *(f"{plain(one)}  " for one in paper.asked),
        "",
        "## The decision",
        "",
        f"**{plain(paper.summary)}** {plain(RANGES)}",
        "",
        *_table(("what", "figure", "beside it"), map(_decided, paper.figures)),
        "",
        "## The reasons",
        "",
        *(f"- **{plain(one.title)}.** {plain(one.said)}" for one in paper.pictures),
        "",
        "## What it rests on",
        "",
        *_table(("what", "said"), (row for one in paper.bases for row in _based(one))),
        "",
        "## How to compute it again",
        "",
        *fenced(paper.replay),
        "",
        "It says whether the plan is the same, to the byte.",
        "",
        "## In full, as the command line prints it",
        "",
        *fenced(paper.words.rstrip("\n")),
        "",
    ]
    return "\n".join(lines).encode()


def plain(text: str) -> str:
    r"""Return text that Markdown leaves as it is.

    >>> plain("a|b <i> [x](y) https://z")
    'a\\|b \\<i\\> \\[x\\](y) https\\://z'
    """
    marked = _MARKS.sub(r"\\\1", text)
    unlinked = _ADDRESS.sub(lambda found: _unlinked(found[0]), marked)
    return _START.sub(r"\1\\\2" if not unlinked.lstrip()[:1].isdigit() else r"\1\2", unlinked)


def fenced(text: str) -> list[str]:
    """Return text as a block of code that nothing inside of it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *text.splitlines(), fence]


def _unlinked(start: str) -> str:
    """The beginning of an address, so that no reader makes a link of it."""
    return {"://": r"\://", "@": "&#64;"}.get(start, f"{start[:-1]}\\.")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    head = list(head)
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _decided(one: Labelled) -> tuple[str, ...]:
    notes = "; ".join(plain(note) for note in (one.note, *one.more) if note)
    return plain(one.label), f"**{plain(one.figure)}**", notes


def _based(one: Basis) -> Iterator[tuple[str, str]]:
    for index, said in enumerate(one.said):
        yield "" if index else plain(one.label), plain(said)
