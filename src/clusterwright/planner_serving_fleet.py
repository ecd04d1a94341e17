"""From what a person types to the size of a service: by a plan, by a measured rate, or both."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from clusterwright.asking import whole_number
from clusterwright.asking_load import rate_of, time_of
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.planner_serving import plan_serving
from clusterwright.serving.fleet import (
    FleetPlan,
    FleetQuestion,
    Region,
    size_fleet,
    size_measured,
)
from clusterwright.serving.plan import ServingPlan, ServingQuestion

MOST_REGIONS = 1000


def ask_fleet(
    rate: str | float,
    *,
    regions: str | int = 1,
    peak: float = 1.0,
    headroom: float = 0.0,
    lose_region: bool = False,
    spare: str | int = 0,
    shortfall: float = 0.0,
    between: str | float | None = None,
    repair: str | float | None = None,
) -> FleetQuestion:
    """Put the question together.

    Parameters
    ----------
    rate
        Mean requests of all regions, such as ``320k/s``.
    regions
        How many alike, or ``us=0.5,eu=0.3@2.1,asia=0.2``: shares, and peaks of their own.
    peak
        Of a region's rate over its mean.
    headroom
        Beyond the peak, as a share of it.
    lose_region
        Whether the others must carry one that is lost.
    spare
        Replicas in each pool of each region.
    shortfall, between, repair
        Or as many as it takes: share of the time for which fewer may be up than needed, time
        between failures of a replica, and until it is back.

    Raises
    ------
    InputError
        A number that cannot be.
    """
    if not 0.0 <= headroom <= 100.0:
        raise InputError(f"--headroom is {headroom:g}, but must be 0 or more, such as 0.2")
    if not 0.0 <= shortfall < 1.0:
        raise InputError(f"--shortfall is {shortfall:g}, but must lie between 0 and 1")
    times = [time_of(between, "--between"), time_of(repair, "--repair")]
    if shortfall and None in times:
        raise InputError(
            "--shortfall needs how often replicas fail and for how long: --between 60d --repair 8h"
        )
    if not shortfall and times != [None, None]:
        raise InputError("--between and --repair need --shortfall beside them, such as 1e-4")
    mean, back = times[0] or 0.0, times[1] or 0.0
    if shortfall and back >= mean:
        raise InputError("--repair must be shorter than --between, or half would be down")
    if shortfall and spare not in (0, "0"):
        raise InputError("--spare and --shortfall both say how many spares; give one of them")
    return FleetQuestion(
        rate=rate_of(rate),
        regions=_regions(str(regions), _peak(str(peak))),
        headroom=headroom,
        lose=lose_region,
        spare=0 if spare in (0, "0") else whole_number(spare, "--spare"),
        shortfall=shortfall,
        between=mean,
        repair=back,
    )


def plan_fleet(
    question: FleetQuestion, serving: ServingQuestion, *, catalogue: Catalogue | None = None
) -> FleetPlan:
    """Size a service by the plans of its regions.

    Raises
    ------
    InfeasibleError
        Nothing keeps what is promised.
    """

    def plan(rate: float) -> ServingPlan:
        load = msgspec.structs.replace(serving.workload, rate=rate)
        return plan_serving(msgspec.structs.replace(serving, workload=load), catalogue=catalogue)

    return size_fleet(question, plan, price=serving.price)


def plan_measured(
    question: FleetQuestion,
    per_accelerator: str | float,
    *,
    size: str | int = 8,
    power: float | None = None,
    price: float | None = None,
) -> FleetPlan:
    """Size a service by what an accelerator was measured to do, such as ``0.08/s``.

    Raises
    ------
    InputError
        A number that cannot be.
    """
    rate = rate_of(per_accelerator, "--measured")
    return size_measured(question, rate, whole_number(size, "--replica"), power=power, price=price)


def _regions(text: str, peak: float) -> tuple[Region, ...]:
    """Regions, from a number of them or from names and shares."""
    if "=" not in text:
        count = whole_number(text, "--regions")
        if count > MOST_REGIONS:
            raise InputError(f"--regions is {count:,}, but may be {MOST_REGIONS:,} at most")
        return tuple(
            Region(name=f"region {turn + 1}" if count > 1 else "all", share=1.0 / count, peak=peak)
            for turn in range(count)
        )
    return tuple(_region(part.strip(), peak) for part in text.split(","))


def _region(text: str, peak: float) -> Region:
    name, _, rest = text.partition("=")
    share, _, own = rest.partition("@")
    try:
        part = float(share.strip().removesuffix("%")) * (0.01 if "%" in share else 1.0)
    except ValueError:
        part = 0.0
    if not name.strip() or not 0.0 < part <= 1.0:
        raise InputError(
            f"--regions has {text!r}, but needs a name and its share: us=0.5, or us=0.5@2.1 with "
            f"its peak"
        )
    return Region(name=name.strip(), share=part, peak=_peak(own) if own else peak)


def _peak(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 1.0 <= found <= 1e6:
        raise InputError(f"a peak is {text!r}, but must be 1 or more: the mean itself")
    return found


def both_ways(plans: Sequence[FleetPlan]) -> float | None:
    """What the model needs over what was measured needs; None: it was not asked both ways. [1]"""
    sizes = {plan.way: plan.accelerators for plan in plans}
    return sizes["model"] / sizes["measured"] if len(sizes) == 2 else None
