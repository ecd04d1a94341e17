"""``clusterwright validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.catalogue.store import Catalogue
from clusterwright.cli.answers import Answer
from clusterwright.cli.progress import tell_count
from clusterwright.errors import InputError
from clusterwright.kernels.kinds import KernelKind
from clusterwright.validation import collective_rows, kernel_rows, output
from clusterwright.validation.api import Validation
from clusterwright.validation.api import validate as run_validation
from clusterwright.validation.runs import Of, default_runs_path
from clusterwright.validation.serving import picks, scoring
from clusterwright.validation.serving.rows import is_serving_file, read_serve_runs
from clusterwright.validation.serving.scoring import ServeResult


def validate(
    runs: Path | None = None,
    /,
    *,
    of: Of | None = None,
    out: Path | None = None,
    page: Path | None = None,
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Predict measured training or serving runs, kernels or collectives, and compare.

    Parameters
    ----------
    runs
        A CSV (or .csv.gz) of runs, or a CSV or Parquet table of kernels, told by its columns
        [default: the published runs of the repository, see --of].
    of
        Which of the repository's published runs, where no table is named [default: training].
    out
        Write every row, with its prediction, error and status, to this CSV (runs only).
    page
        Write a page with tables and plots to this folder, or renew the one that is there.
    catalogue
        A catalogue file of one's own (may be repeated).
    json
        Print the score as JSON.
    """
    facts = catalogue_with(catalogue)
    if runs is not None and of is not None:
        raise InputError("--of chooses among published runs: leave it out beside a table")
    if of == "serving":
        runs = default_runs_path("serving")
    if runs is not None and collective_rows.is_collectives_table(runs):
        if out or page or json:
            raise InputError(
                "collectives are compared in a printed table: leave out --out, --json, --page"
            )
        words = collective_rows.report(runs, facts)
        return Answer(None, lambda: words)
    if runs is not None and is_serving_file(runs):
        return _validate_serving(runs, facts, out=out, page=page, json=json)
    kind = kernel_rows.kernels_kind(runs) if runs else None
    if runs and kind:
        return _validate_kernels(runs, kind, facts, out=out or page, json=json)
    if page:
        found = _written(page, runs, facts)
    else:
        found = run_validation(runs, catalogue=facts, watch=tell_count)
    if out:
        out.write_text(output.as_csv(found.results), encoding="utf-8")
    return Answer(
        output.as_json(found.score),
        lambda: output.as_text(found.results),
        json=json,
        seen={"results": found.results},
    )


def _written(folder: Path, runs: Path | None, facts: Catalogue) -> Validation:
    """Validate and write the page; drawing is imported only here."""
    from clusterwright.report.accuracy import renew_page

    return renew_page(folder, runs, catalogue=facts, watch=tell_count)


def _written_serving(folder: Path, table: Path, facts: Catalogue) -> tuple[ServeResult, ...]:
    """Validate and write the page; drawing is imported only here."""
    from clusterwright.report.serving_accuracy import renew_serving_page

    return renew_serving_page(folder, table, catalogue=facts, watch=tell_count)


def _validate_serving(
    table: Path, facts: Catalogue, *, out: Path | None, page: Path | None, json: bool
) -> Answer:
    """Predict a table of serving runs."""
    if page:
        results = _written_serving(page, table, facts)
    else:
        results = scoring.validate_serving(table, facts, watch=tell_count)
    if out:
        out.write_text(scoring.as_csv(results), encoding="utf-8")
    tallies = picks.tallies_of(picks.choices_of(read_serve_runs(table), results))
    value = {**scoring.as_json(results), "picks": picks.as_json(tallies)}
    left = "\n".join(("", *picks.as_lines(tallies))) if tallies else ""
    return Answer(value, lambda: scoring.as_text(results) + left, json=json)


def _validate_kernels(
    table: Path, kind: KernelKind, facts: Catalogue, *, out: Path | None, json: bool
) -> Answer:
    """Score a table of kernels by accelerator, precision and kind."""
    if out:
        raise InputError(
            "--out and --page are for runs; a table of kernels prints its groups, or --json"
        )
    groups = kernel_rows.score_kernels(table, kind, catalogue=facts)
    return Answer(groups, lambda: kernel_rows.as_text(groups), json=json)
