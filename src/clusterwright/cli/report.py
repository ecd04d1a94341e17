"""``clusterwright report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.cli.answers import Answer
from clusterwright.errors import InputError
from clusterwright.report.paper.api import form_of, write_report
from clusterwright.saved_plans import load_any_plan

Flag = Annotated[bool, Parameter(negative=())]


def report(
    plan: Path,
    /,
    *,
    to: str = "",
    out: Path | None = None,
    overwrite: Flag = False,
    json: Flag = False,
) -> Answer:
    """Explain a saved plan in one self-contained file, to engineers and to whoever pays.

    Parameters
    ----------
    plan
        A file that ``plan train --save`` or ``plan serve --save`` wrote.
    to
        html (no scripts, light and dark), pdf (pages of A4), png or svg (one picture, without the
        full words) or md [default: by the ending of --out, else html]; the ending of --out, if it
        is one of these, must say the same.
    out
        The file to write [default: beside the plan, called as it is].
    overwrite
        Replace a file that is there.
    json
        Print what was written as JSON.
    """
    form = form_of(out, to)
    found = load_any_plan(plan)
    path = out or plan.with_suffix(f".{form}")
    if path.exists() and path.samefile(plan):
        raise InputError(f"{str(path)!r} is the plan itself: name another file with --out")
    size = write_report(found, path, to=form, file=plan, overwrite=overwrite)
    value = {"file": str(path), "to": form, "bytes": size}
    return Answer(value, lambda: f"{path}: {form}, {size / 1e3:,.0f} kB", json=json)
