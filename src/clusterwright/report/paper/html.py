"""A report as one file of HTML: no script, no request to anywhere, light, dark and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files

from clusterwright.report.labelled import Labelled
from clusterwright.report.paper.contents import Basis, Paper
from clusterwright.report.paper.ink import WIDE, dark_rules, svg_of
from clusterwright.report.pictures.theme import PHONE
from clusterwright.report.shown.picture import Picture
from clusterwright.report.shown.summary import RANGES

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser may do with the file: use its own styles, and nothing else."""


def html_of(paper: Paper) -> bytes:
    """Write a report as HTML.

    Raises
    ------
    MissingExtraError
        The extra ``report`` is not installed.
    """
    title = escape(paper.title)
    style = files("clusterwright.report.paper").joinpath("paper.css").read_text("utf-8")
    style = style.replace("/* the pictures' own */", dark_rules())
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(paper.kind)}: {title}</title>",
        f"<style>\n{style}</style>",
        "<main>",
        f'<p class="kind">{escape(paper.kind)}</p>',
        f"<h1>{title}</h1>",
        *(f'<p class="asked">{escape(one)}</p>' for one in paper.asked),
        "<h2>The decision</h2>",
        f'<p class="summary">{escape(paper.summary)}</p>',
        f'<p class="asked">{escape(RANGES)}</p>',
        *_table(map(_decided, paper.figures)),
        "<h2>The reasons</h2>",
        *(line for i, one in enumerate(paper.pictures) for line in _figure(one, i)),
        "<h2>What it rests on</h2>",
        *_table(map(_based, paper.bases)),
        "<h2>How to compute it again</h2>",
        f"<pre>{escape(paper.replay)}</pre>",
        "<p>It says whether the plan is the same, to the byte.</p>",
        "<h2>In full, as the command line prints it</h2>",
        f'<pre class="words" tabindex="0">{escape(paper.words)}</pre>',
        "</main>",
        "</html>",
        "",
    ]
    return "\n".join(lines).encode()


def _table(rows: Iterator[str]) -> Iterator[str]:
    yield "<table>"
    yield from rows
    yield "</table>"


def _decided(one: Labelled) -> str:
    notes = [one.note, *one.more]
    said = "".join(f"<span>{escape(note)}</span>" for note in notes if note)
    return f"<tr><th scope=row>{escape(one.label)}<td><b>{escape(one.figure)}</b> {said}"


def _based(one: Basis) -> str:
    said = "".join(f"<span>{escape(each)}</span>" for each in one.said)
    return f"<tr><th scope=row>{escape(one.label)}<td>{said}"


def _figure(one: Picture, number: int) -> Iterator[str]:
    yield f"<figure><figcaption><b>{escape(one.title)}</b> {escape(one.caption)}</figcaption>"
    # Drawn twice: shrunk to a phone, the words of a picture for a page could not be read.
    for i, (which, width) in enumerate((("wide", WIDE), ("narrow", PHONE))):
        drawn = svg_of(one, number=2 * number + i, width=width)
        yield f'<div class="drawn {which}" tabindex="0">{drawn}</div>'
    yield "</figure>"
