"""``clusterwright site``: what a machine's building draws, costs and emits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.asking_site import ask_site
from clusterwright.cli.answers import Answer
from clusterwright.cli.location_options import FabricOptions, LocationOptions
from clusterwright.planner import load_plan
from clusterwright.planner_power import power_over_time
from clusterwright.report.power_text import power_text
from clusterwright.report.site_text import site_text
from clusterwright.site.outlook import look_at_site

PLACE, FABRIC = LocationOptions(), FabricOptions()


def site(
    target: str | None = None,
    /,
    *,
    accelerator: str | None = None,
    accelerators: str | None = None,
    place: LocationOptions = PLACE,
    fabric: FabricOptions = FABRIC,
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Say what a machine's building draws, costs and emits, and of what its network consists.

    Parameters
    ----------
    target
        A plan saved by ``plan train --save``, or a cluster of the catalogue.
    accelerator
        Instead of these: a kind of accelerator.
    accelerators
        How many of it, or of the cluster's.
    catalogue
        A TOML file of your own facts (may be repeated).
    json
        Print as JSON.
    """
    facts, options = catalogue_with(catalogue), place.site(fabric.network())
    question = ask_site(
        target,
        accelerator=accelerator,
        accelerators=accelerators,
        options=options,
        catalogue=facts,
    )
    outlook = look_at_site(question)
    if json or target is None or not Path(target).is_file():
        return Answer(outlook, lambda: site_text(outlook), json=json)
    report, trace = power_over_time(load_plan(Path(target)), options=options, catalogue=facts)
    power = "\nWhat the grid sees of it, one step after the other\n" + power_text(report, trace)
    return Answer(outlook, lambda: site_text(outlook) + power)
