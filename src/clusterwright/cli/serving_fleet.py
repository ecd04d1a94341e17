"""``clusterwright plan fleet``: how large a whole service is."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.asking_serving import ask_serving, price_of
from clusterwright.cli.answers import Answer
from clusterwright.cli.options import Share, Whole
from clusterwright.cli.serving_options import LoadOptions, PlaceOptions, TuneOptions
from clusterwright.errors import InputError
from clusterwright.planner_serving_fleet import ask_fleet, plan_fleet, plan_measured
from clusterwright.report.serving_fleet_text import fleet_text

LOAD, PLACE, TUNE = LoadOptions(), PlaceOptions(), TuneOptions()
MOST = str(10**8)
"""Accelerators that a region may have, unless told otherwise."""


def plan(
    model: str = "",
    /,
    *,
    regions: str = "1",
    peak: float = 1.0,
    headroom: Share = 0.0,
    lose_region: Annotated[bool, Parameter(negative=())] = False,
    spare: Whole = 0,
    shortfall: Share = 0.0,
    between: str | None = None,
    repair: str | None = None,
    measured: str | None = None,
    replica: Whole = 8,
    load: LoadOptions = LOAD,
    place: PlaceOptions = PLACE,
    tune: TuneOptions = TUNE,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Size a whole service: regions, peaks, headroom, spares; by a plan, a measured rate, or both.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json; none with --measured
        alone.
    regions
        How many alike, or their shares and peaks: us=0.5,eu=0.3@2.1,asia=0.2.
    peak
        Of a region's rate over its mean.
    headroom
        Beyond the peak, as a share of it, such as 0.2.
    lose_region
        The others carry a region that is lost.
    spare
        Spare replicas in each pool of each region.
    shortfall
        Or as many as it takes: share of the time for which fewer may be up than needed.
    between
        Time between failures of a replica, such as 60d.
    repair
        Until it is back, such as 8h.
    measured
        Requests a second that one accelerator was measured to do, such as 0.08/s.
    replica
        Accelerators of a replica, for the measured rate.
    json
        Print the fleet as JSON.
    """
    if not model and measured is None:
        raise InputError("name a model, or give --measured: requests a second of one accelerator")
    trace = load.requests
    rate = load.rate or (str(trace.mean_rate) if trace else None)
    if rate is None:
        raise InputError("--rate is missing: mean requests of all regions, such as 320k/s")
    question = ask_fleet(
        rate,
        regions=regions,
        peak=peak,
        headroom=headroom,
        lose_region=lose_region,
        spare=spare,
        shortfall=shortfall,
        between=between,
        repair=repair,
    )
    facts = catalogue_with(place.catalogue)
    found = []
    if model:
        enough = replace(place, accelerators=place.accelerators or MOST)
        where = place if place.cluster or place.device else enough
        asked = {**where.place(), **tune.setup(), **load.load()}
        serving = ask_serving(model, catalogue=facts, **asked)
        found.append(plan_fleet(question, serving, catalogue=facts))
    if measured is not None:
        chip = facts.accelerator(place.accelerator) if place.accelerator else None
        power = chip.board_power if chip else None
        price = price_of(place.price)
        found.append(plan_measured(question, measured, size=replica, power=power, price=price))
    return Answer(found, lambda: fleet_text(found), json=json)
