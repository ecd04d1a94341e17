"""Reports of plans: made as bytes, or written where one says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from clusterwright.errors import InputError
from clusterwright.report.paper.contents import Paper, Plan, paper_of
from clusterwright.report.paper.html import html_of
from clusterwright.report.paper.markdown import markdown_of
from clusterwright.report.paper.typeset import typeset
from clusterwright.saving import write_bytes

FORMATS: Final = ("html", "pdf", "png", "svg", "md")
OTHERWISE: Final = {"htm": "html", "markdown": "md"}
"""Other words for them, as files end in."""


def report_plan(plan: Plan, to: str = "html", *, file: str | Path | None = None) -> bytes:
    """Explain a plan in one file that can be sent.

    Parameters
    ----------
    plan
        For training or for serving.
    to
        html: one file without scripts, light and dark; pdf: pages of A4; png, svg: one picture as
        high as it needs; md: tables and text.
    file
        The plan was saved in; the report names it and its SHA-256.

    Raises
    ------
    InputError
        There is no such form, or that is no plan.
    MissingExtraError
        The extra ``report`` is not installed; md needs none.
    """
    if not isinstance(plan, Plan):
        raise InputError(
            f"a report is of a plan, and {plan!r:.60} is none: plan_training makes one, and "
            f"load_any_plan reads one that was saved"
        )
    return _formed(paper_of(plan, file=None if file is None else Path(file)), to)


def write_report(
    plan: Plan,
    path: str | Path,
    *,
    to: str = "",
    file: str | Path | None = None,
    overwrite: bool = False,
) -> int:
    """Write a report; nothing that is there is replaced unless that is asked for.

    Parameters
    ----------
    plan
        For training or for serving.
    path
        The file.
    to
        As for `report_plan`; "" goes by the ending of the file, which must not say another.
    file
        The plan was saved in; the report names it and its SHA-256.
    overwrite
        Replace a file that is there.

    Returns
    -------
    How long it is. [B]

    Raises
    ------
    InputError
        There is no such form; a file is there; it cannot be written.
    """
    path = Path(path)
    form = form_of(path, to)
    if path.is_file() and not overwrite:
        raise InputError(f"{str(path)!r} is there: name another file, or give --overwrite")
    made = report_plan(plan, form, file=file)
    write_bytes(path, made)
    return len(made)


def form_of(path: str | Path | None, to: str = "") -> str:
    """Return the form of a report: as it is said, or by the ending of its file.

    >>> form_of("a.HTM"), form_of(None, "PDF"), form_of("notes.txt", "markdown")
    ('html', 'pdf', 'md')

    Raises
    ------
    InputError
        Neither tells a form, or one tells another than the other.
    """
    known = f"give one of {', '.join(FORMATS)}"
    said = _form(to)
    if to and said is None:
        raise InputError(f"--to is {to!r}, which is no form of a report: {known}")
    if path is None:
        return said or FORMATS[0]
    ending = _form(Path(path).suffix.removeprefix("."))
    if said and ending and said != ending:
        raise InputError(
            f"--to is {to!r}, but the ending of {str(path)!r} says {ending}: leave out --to, or "
            f"name a file that ends in .{said}"
        )
    if said is None and ending is None:
        raise InputError(f"the ending of {str(path)!r} tells no form of a report: {known} as --to")
    return said or ending or FORMATS[0]


def _form(written: str) -> str | None:
    """The form that a word or an ending means, however it is written."""
    word = OTHERWISE.get(written.lower(), written.lower())
    return word if word in FORMATS else None


def _formed(paper: Paper, to: str) -> bytes:
    match form_of(None, to):
        case "html":
            return html_of(paper)
        case "md":
            return markdown_of(paper)
        case "pdf":
            return typeset(paper, "pdf")
        case "png":
            return typeset(paper, "png")
        case _:
            return typeset(paper, "svg")
