"""How many replicas a whole service takes: regions, peaks, headroom, lost regions, spares.

A region is sized for its own peak,

    needed rate = (peak + what it takes over) (1 + headroom),

where what it takes over is its part of the largest peak among the other regions, if one of them may
be lost. What that rate needs comes from a plan, or from a rate that somebody measured. Spares come
on top, in each pool of each region.

What it leaves out: peaks that move with the sun, so that one region's night could serve another's
day; requests that travel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from clusterwright.errors import InputError
from clusterwright.formulas.spares import down_share, spares
from clusterwright.records import Record
from clusterwright.serving.plan import ServingPlan

Way = Literal["model", "measured"]


class Region(Record, frozen=True, kw_only=True):
    """Part of a service: ``share`` of all requests [1], ``peak``: of its rate over its mean. [1]"""

    name: str
    share: float
    peak: float = 1.0


class FleetQuestion(Record, frozen=True, kw_only=True):
    """A service to be sized.

    ``rate``: mean requests a second of all regions. [1/s] ``headroom``: beyond the peak. [1]
    ``lose``: whether the others must carry a region that is lost. ``spare``: replicas in each pool
    of each region, or else as many as ``shortfall`` (share of the time for which fewer than needed
    may be up) takes, with ``between`` failures of a replica and ``repair`` as long. [s]
    """

    rate: float
    regions: tuple[Region, ...]
    headroom: float = 0.0
    lose: bool = False
    spare: int = 0
    shortfall: float = 0.0
    between: float = 0.0
    repair: float = 0.0

    def spares_of(self, needed: int) -> int:
        """Spares beside so many replicas."""
        if self.shortfall > 0.0:
            return spares(needed, down_share(self.between, self.repair), self.shortfall)
        return self.spare


class RegionPlan(Record, frozen=True, kw_only=True):
    """What a region needs.

    ``mean``, ``peak``, ``sized``: requests a second on average, at its peak, and sized for. [1/s]
    ``replicas``: that must be up, and ``spare`` ones. ``accelerators``: of both.
    """

    name: str
    mean: float
    peak: float
    sized: float
    replicas: int
    spare: int
    accelerators: int


class FleetPlan(Record, frozen=True, kw_only=True):
    """A whole service, from a plan of its replicas or from a measured rate.

    ``way``: which of both. ``used``: mean rate over what the regions are sized for. [1]
    ``power``: of all accelerators at board power [W], ``cost``: of an hour [USD], None: not known.
    ``largest``: the plan of the largest region, by which the others are cut too.
    """

    way: Way
    question: FleetQuestion
    regions: tuple[RegionPlan, ...]
    accelerators: int
    used: float
    power: float | None = None
    cost: float | None = None
    largest: ServingPlan | None = None


def sized_rates(question: FleetQuestion) -> list[float]:
    """Requests a second that each region is sized for. [1/s]

    Raises
    ------
    InputError
        Shares that do not add up, or one region alone that may be lost.
    """
    regions = question.regions
    total = sum(region.share for region in regions)
    if not math.isclose(total, 1.0, rel_tol=1e-6):
        raise InputError(f"the regions' shares add up to {total:g}, but must to 1")
    if question.lose and len(regions) == 1:
        raise InputError("one region cannot take over from another: name two or more, or lose none")
    peaks = [question.rate * region.share * region.peak for region in regions]
    found = []
    for place, region in enumerate(regions):
        others = [
            peak * region.share / (1.0 - other.share)
            for turn, (other, peak) in enumerate(zip(regions, peaks, strict=True))
            if turn != place
        ]
        taken = max(others, default=0.0) if question.lose else 0.0
        found.append((peaks[place] + taken) * (1.0 + question.headroom))
    return found


def size_fleet(
    question: FleetQuestion,
    plan: Callable[[float], ServingPlan],
    *,
    price: float | None = None,
) -> FleetPlan:
    """Size a service by plans of its regions.

    Parameters
    ----------
    question
        The service.
    plan
        Makes a plan for so many requests a second [1/s]; asked once for each size of region.
    price
        Of an accelerator and hour. [USD]
    """
    rates = sized_rates(question)
    plans = {rate: plan(rate) for rate in dict.fromkeys(rates)}
    regions = []
    for region, rate in zip(question.regions, rates, strict=True):
        best = plans[rate].best
        extra = [question.spares_of(pool.count) for pool in best.pools]
        more = sum(
            spare * pool.deployment.accelerators
            for spare, pool in zip(extra, best.pools, strict=True)
        )
        up = sum(pool.count for pool in best.pools)
        counts = {"replicas": up, "spare": sum(extra), "accelerators": best.accelerators + more}
        regions.append(_region(question, region, sized=rate, **counts))
    largest = plans[max(rates)]
    power = largest.question.cluster.accelerator.board_power
    return _summed("model", question, regions, power=power, price=price, largest=largest)


def size_measured(
    question: FleetQuestion,
    per_accelerator: float,
    size: int,
    *,
    power: float | None = None,
    price: float | None = None,
) -> FleetPlan:
    """Size a service by what an accelerator was measured to do.

    Parameters
    ----------
    question
        The service.
    per_accelerator
        Requests a second of one accelerator, with its promise kept. [1/s]
    size
        Accelerators of a replica.
    power, price
        Of an accelerator [W], and of its hour [USD].
    """
    regions = []
    for region, rate in zip(question.regions, sized_rates(question), strict=True):
        # A count that is whole but for the last digits is meant to be.
        needed = max(1, math.ceil(rate / (per_accelerator * size) * (1.0 - 1e-9)))
        extra = question.spares_of(needed)
        counts = {"replicas": needed, "spare": extra, "accelerators": (needed + extra) * size}
        regions.append(_region(question, region, sized=rate, **counts))
    return _summed("measured", question, regions, power=power, price=price)


def _summed(
    way: Way,
    question: FleetQuestion,
    regions: list[RegionPlan],
    *,
    power: float | None,
    price: float | None,
    largest: ServingPlan | None = None,
) -> FleetPlan:
    accelerators = sum(one.accelerators for one in regions)
    return FleetPlan(
        way=way,
        question=question,
        regions=tuple(regions),
        accelerators=accelerators,
        used=question.rate / sum(one.sized for one in regions),
        power=power * accelerators if power else None,
        cost=price * accelerators if price else None,
        largest=largest,
    )


def _region(question: FleetQuestion, region: Region, *, sized: float, **counts: int) -> RegionPlan:
    mean = question.rate * region.share
    return RegionPlan(name=region.name, mean=mean, peak=mean * region.peak, sized=sized, **counts)
