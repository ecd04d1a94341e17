"""``clusterwright simulate power``: what the grid sees of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.cli.answers import Answer
from clusterwright.cli.location_options import LocationOptions
from clusterwright.cli.options import Share, Whole
from clusterwright.planner import load_plan
from clusterwright.planner_power import SECONDS, power_over_time
from clusterwright.report.power_text import job_words, power_text
from clusterwright.report.tables import write_columns

PLACE = LocationOptions()


def power(
    plan: Path,
    /,
    *,
    seconds: float = SECONDS,
    jitter: str = "10ms",
    floor: Share = 0.0,
    storage: str | None = None,
    ramp: str | None = None,
    seed: Whole = 0,
    place: LocationOptions = PLACE,
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    csv: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Follow the power of a planned job from one iteration to the next.

    Parameters
    ----------
    plan
        A plan saved by ``plan train --save``.
    seconds
        How long to follow it.
    jitter
        By how much nodes are early or late.
    floor
        Power below which idle accelerators burn some, as a share of the mean, such as 90%.
    storage
        Energy of storage for each accelerator, such as 65J.
    ramp
        Fastest change that the grid allows in a second, such as 1MW/s.
    seed
        Of chance.
    catalogue
        A TOML file of your own facts (may be repeated).
    csv
        Write time and power into this file.
    json
        Print the report as JSON.
    """
    job = load_plan(plan)
    report, trace = power_over_time(
        job,
        seconds=seconds,
        jitter=jitter,
        floor=floor,
        storage=storage,
        ramp=ramp,
        seed=seed,
        options=place.site(),
        catalogue=catalogue_with(catalogue),
    )
    if csv:
        write_columns(csv, {"time_s": trace.times, "power_w": trace.power})
    return Answer(
        report,
        lambda: f"{job_words(job)}\n\n{power_text(report, trace)}",
        json=json,
        seen={"trace": trace, "plan": job},
    )
