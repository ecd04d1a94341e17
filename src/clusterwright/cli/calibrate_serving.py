"""``clusterwright calibrate serving``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.calibrate.serving import fit_serving
from clusterwright.calibrate.serving_intervals import fit_serving_intervals, serving_residuals
from clusterwright.calibrate.serving_writing import intervals_as_toml, stacks_as_toml
from clusterwright.cli.answers import Answer
from clusterwright.cli.progress import tell
from clusterwright.errors import InputError
from clusterwright.validation.serving.questions import ServeLookup
from clusterwright.validation.serving.rows import read_serve_runs

Files = Annotated[tuple[Path, ...], Parameter(negative=())]


def serving_command(
    runs: Path,
    /,
    *,
    stacks: Path | None = None,
    intervals: Path | None = None,
    catalogue: Files = (),
) -> Answer:
    """Fit what kernels cannot explain of inference engines, or set the intervals, on measured runs.

    Of each source a tenth is fitted on, and another sets the intervals; the rest is left to judge.

    Parameters
    ----------
    runs
        A CSV (or .csv.gz) of serving runs.
    stacks
        Fit host times and factors of every engine, and write them to this TOML.
    intervals
        Set the 80 % intervals, the engines being as the catalogue has them, and write them to this
        TOML.
    catalogue
        A catalogue file of one's own (may be repeated).
    """
    if (stacks is None) == (intervals is None):
        raise InputError("say what to fit: --stacks FILE, or then --intervals FILE")
    known = ServeLookup(catalogue_with(catalogue))
    rows = read_serve_runs(runs)
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    said: dict[str, str] = {}
    if stacks is not None:
        entries = fit_serving(rows, known, tell)
        stacks.write_text(stacks_as_toml(entries, checked=today), encoding="utf-8")
        said[f"{len(entries)} engines fitted"] = str(stacks)
    if intervals is not None:
        groups = fit_serving_intervals(serving_residuals(rows, known))
        intervals.write_text(intervals_as_toml(groups, checked=today), encoding="utf-8")
        said[f"{len(groups)} intervals set"] = str(intervals)
    return Answer(said, lambda: "".join(f"{what}: {path}\n" for what, path in said.items()))
