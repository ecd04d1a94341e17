"""``clusterwright calibrate stacks`` and ``calibrate intervals``."""

from __future__ import annotations

import datetime as dt
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.calibrate import intervals, recording, stacks
from clusterwright.cli.answers import Answer
from clusterwright.cli.progress import tell
from clusterwright.software import Stack
from clusterwright.training.api import estimate_training
from clusterwright.validation.runs import default_runs_path, read_runs

SOURCE = "published runs of catalogue/measurements whose configuration is complete"

Json = Annotated[bool, Parameter(negative=())]
Files = Annotated[tuple[Path, ...], Parameter(negative=())]


def stacks_command(
    runs: Path | None = None,
    /,
    *,
    only: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    check: Annotated[bool, Parameter(negative=())] = False,
    out: Path | None = None,
    catalogue: Files = (),
    json: Json = False,
) -> Answer:
    """Fit what the hardware cannot explain of each framework's speed, on many runs at once.

    Parameters
    ----------
    runs
        A CSV (or .csv.gz) of runs [default: the published runs of the repository].
    only
        Fit this framework alone (may be repeated).
    check
        Fit again without each source in turn, and say how far off it is then.
    out
        Write the factors to this TOML, a catalogue file of one's own.
    catalogue
        A catalogue file of one's own (may be repeated).
    json
        Print the factors as JSON.
    """
    facts = catalogue_with(catalogue)
    found = stacks.fit_stacks(
        read_runs(_path(runs)), facts, only=only, afresh=runs is None, check=check, watch=_tell
    )
    if out:
        toml = recording.stacks_as_toml(found, source=_source(runs), checked=_today())
        out.write_text(toml, encoding="utf-8")
    return Answer(found, lambda: recording.stacks_as_text(found), json=json)


def intervals_command(
    runs: Path | None = None,
    /,
    *,
    out: Path | None = None,
    catalogue: Files = (),
    json: Json = False,
) -> Answer:
    """Set the 80 % intervals from the residuals of runs, by what makes them differ.

    Parameters
    ----------
    runs
        A CSV (or .csv.gz) of runs [default: the published runs of the repository].
    out
        Write the intervals to this TOML, a catalogue file of one's own.
    catalogue
        A catalogue file of one's own (may be repeated), such as that of `calibrate stacks`.
    json
        Print the intervals as JSON.
    """
    facts = catalogue_with(catalogue)
    predict = partial(estimate_training, catalogue=facts)
    residuals = intervals.residuals_of(read_runs(_path(runs)), facts, predict)
    intervals.check_enough(residuals)
    found = intervals.intervals_from(residuals)
    if out:
        toml = recording.intervals_as_toml(found, source=_source(runs), checked=_today())
        out.write_text(toml, encoding="utf-8")
    checks = intervals.coverage_of(residuals)
    return Answer(
        {"intervals": found, "coverage": checks},
        lambda: recording.intervals_as_text(found, checks),
        json=json,
    )


def _tell(name: str, loss: float, _stack: Stack) -> None:
    tell(f"{name}: {loss:.1%}")


def _path(runs: Path | None) -> Path:
    return default_runs_path() if runs is None else runs


def _source(runs: Path | None) -> str:
    return SOURCE if runs is None else runs.name


def _today() -> str:
    return dt.datetime.now(tz=dt.UTC).date().isoformat()
