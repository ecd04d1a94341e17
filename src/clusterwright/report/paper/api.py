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


def report_plan(plan: Plan, to: str = "html", *, file: Path | None = None) -> bytes:
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
        There is no such form.
    MissingExtraError
        The extra ``report`` is not installed; md needs none.
    """
    return _formed(paper_of(plan, file=file), to)


def write_report(
    plan: Plan, path: Path, *, to: str = "", file: Path | None = None, overwrite: bool = False
) -> int:
    """Write a report; nothing that is there is replaced unless that is asked for.

    Parameters
    ----------
    plan
        For training or for serving.
    path
        The file.
    to
        As for `report_plan`; "" goes by the ending of the file.
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
    form = form_of(path, to)
    if path.is_file() and not overwrite:
        raise InputError(f"{str(path)!r} is there: name another file, or give --overwrite")
    made = report_plan(plan, form, file=file)
    write_bytes(path, made)
    return len(made)


def form_of(path: Path | None, to: str = "") -> str:
    """Return the form of a report: as it is said, or by the ending of its file."""
    known = f"give one of {', '.join(FORMATS)}"
    if to:
        if to not in FORMATS:
            raise InputError(f"--to is {to!r}, which is no form of a report: {known}")
        return to
    ending = path.suffix.lower().removeprefix(".") if path else ""
    if path is None:
        return FORMATS[0]
    if ending not in FORMATS:
        raise InputError(f"the ending of {str(path)!r} tells no form of a report: {known} as --to")
    return ending


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
