"""A report as a paper by Typst: PDF on A4, or all but the full words on one sheet as a picture.

Typst reads the report as data, never as its own language: no name can be taken for markup.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any, Literal

from clusterwright.report.paper.contents import Paper
from clusterwright.report.paper.ink import MissingExtraError, svg_of
from clusterwright.report.shown.summary import RANGES

Format = Literal["pdf", "png", "svg"]
FONT = "Libertinus Serif"
"""Comes with Typst, so that a paper looks alike everywhere."""
WIDE = 770.0
"""Width that pictures are drawn at, so that three of them stand on most pages. [px]"""
POINTS_PER_INCH = 144.0
"""Of a picture: 1,190 pixels across."""
_LONG = re.compile(r"\S{65,}")
"""Longer than a hash, which must be copied whole."""
_PIECE = re.compile(r".{16}(?=.)")
_BREAK = "\N{ZERO WIDTH SPACE}"


def typeset(paper: Paper, to: Format) -> bytes:
    """Typeset a report.

    Parameters
    ----------
    paper
        What it says.
    to
        pdf: pages of A4. png, svg: one sheet as high as it needs, without the full words.

    Raises
    ------
    MissingExtraError
        The extra ``report`` is not installed.
    """
    try:
        import typst
    except ModuleNotFoundError:
        raise MissingExtraError(f"a report as {to}", "typst") from None
    template = files("clusterwright.report.paper").joinpath("paper.typ").read_bytes()
    given = {"paper": json.dumps(_data(paper)), "sheet": "" if to == "pdf" else "yes"}
    made = typst.compile(template, format=to, ppi=POINTS_PER_INCH, sys_inputs=given)
    assert isinstance(made, bytes), "pages of a PDF are one file, and a sheet is one page"
    return made


def _data(paper: Paper) -> dict[str, Any]:
    """The report as Typst reads it."""
    return {
        "kind": paper.kind,
        "title": _breakable(paper.title),
        "asked": [_breakable(one) for one in paper.asked],
        "summary": _breakable(paper.summary),
        "ranges": RANGES,
        "figures": [
            {
                "label": one.label,
                "figure": _breakable(one.figure),
                "notes": [_breakable(note) for note in (one.note, *one.more) if note],
            }
            for one in paper.figures
        ],
        "pictures": [
            {
                "title": one.title,
                "caption": one.caption,
                "said": one.said,
                "svg": svg_of(one, width=WIDE, font=FONT),
            }
            for one in paper.pictures
        ],
        "bases": [
            {"label": one.label, "said": [_breakable(each) for each in one.said]}
            for one in paper.bases
        ],
        "replay": paper.replay,
        "words": paper.words,
        "columns": max(map(len, paper.words.splitlines()), default=1),
    }


def _breakable(text: str) -> str:
    """Text whose longest words may be broken, so that none runs off the page."""
    return _LONG.sub(lambda long: _PIECE.sub(rf"\g<0>{_BREAK}", long[0]), text)
