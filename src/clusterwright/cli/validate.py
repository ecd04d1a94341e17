"""``clusterwright validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.catalogue.store import Catalogue
from clusterwright.cli.options import show_progress, write, write_json
from clusterwright.errors import InputError
from clusterwright.validation import kernel_rows, output, scoring
from clusterwright.validation.api import validate as run_validation
from clusterwright.validation.kernel_kinds import KernelKind


def validate(
    runs: Path | None = None,
    /,
    *,
    out: Path | None = None,
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Predict measured training runs, or measured kernels, and compare.

    Parameters
    ----------
    runs
        A CSV (or .csv.gz) of runs, or a CSV or Parquet table of kernels, told by its columns
        [default: the published runs of the repository].
    out
        Write every row, with its prediction, error and status, to this CSV (runs only).
    catalogue
        A catalogue file of one's own (may be repeated).
    json
        Print the score as JSON.
    """
    facts = Catalogue().with_files(catalogue) if catalogue else Catalogue()
    kind = kernel_rows.kernels_kind(runs) if runs else None
    if runs and kind:
        _validate_kernels(runs, kind, facts, out=out, json=json)
        return
    found = run_validation(runs, catalogue=facts, watch=show_progress)
    if out:
        out.write_text(output.as_csv(found.results), encoding="utf-8")
    if json:
        write_json(scoring.as_json(found.score))
    else:
        write(output.as_text(found.results))


def _validate_kernels(
    table: Path, kind: KernelKind, facts: Catalogue, *, out: Path | None, json: bool
) -> None:
    """Score a table of kernels by accelerator, precision and kind."""
    if out:
        raise InputError("--out is for runs; a table of kernels prints its groups, or --json")
    groups = kernel_rows.score_kernels(table, kind, catalogue=facts)
    if json:
        write_json(groups)
    else:
        write(kernel_rows.as_text(groups))
