"""``clusterwright validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.cli.options import show_progress, write, write_json
from clusterwright.errors import InputError
from clusterwright.training.api import shipped
from clusterwright.validation import collective_rows, output, scoring
from clusterwright.validation.api import Validation
from clusterwright.validation.api import validate as run_validation


def validate(
    runs: Path | None = None,
    /,
    *,
    out: Path | None = None,
    page: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Predict measured training runs (or collectives) from their configuration, and compare.

    Parameters
    ----------
    runs
        A CSV (or .csv.gz) of runs [default: the published runs of the repository].
    out
        Write every row, with its prediction, error and status, to this CSV.
    page
        Write a page with tables and plots to this folder, or renew the one that is there.
    json
        Print the score as JSON.
    """
    if runs is not None and collective_rows.is_collectives_table(runs):
        if out or page or json:
            raise InputError(
                "collectives are compared in a printed table: leave out --out, --json, --page"
            )
        write(collective_rows.report(runs, shipped()))
        return
    found = _written(page, runs) if page else run_validation(runs, watch=show_progress)
    if out:
        out.write_text(output.as_csv(found.results), encoding="utf-8")
    if json:
        write_json(scoring.as_json(found.score))
    else:
        write(output.as_text(found.results))


def _written(folder: Path, runs: Path | None) -> Validation:
    """Validate and write the page; drawing is imported only here."""
    from clusterwright.report.accuracy import renew_page

    return renew_page(folder, runs, watch=show_progress)
