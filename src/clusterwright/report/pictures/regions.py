"""A service of several regions: rates that each is sized for, and the replicas it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clusterwright.report.pictures.layers import (
    LABEL,
    axis,
    bars,
    kind,
    name,
    number,
    over,
    tooltip,
    words,
)
from clusterwright.report.pictures.scales import unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture
from clusterwright.serving.fleet import FleetPlan, RegionPlan
from clusterwright.units import format_count

MOST: Final = 24
"""Regions that are drawn one by one, the largest; the mean of the others is drawn as one."""
KINDS: Final = ("must be up", "spare")
RATES: Final = ("mean", "peak", "sized")
COUNTS: Final = ("replicas", "spare", "accelerators")


def replicas(plan: FleetPlan) -> Spec | None:
    """Draw the replicas of each region, those that must be up and those to spare.

    Parameters
    ----------
    plan
        The size of a service.
    """
    regions = _largest(plan.regions)
    values = [row for called, one in regions for row in _replicas(called, one)]
    ends: list[Row] = [{"name": called, "to": one.replicas + one.spare, "words": _sum(one)}
            for called, one in regions]  # fmt: skip
    if not values:
        return None
    up, spare = (sum(getattr(one, key) for one in plan.regions) for key in COUNTS[:2])
    told = {"name": "region", "kind": "replicas", "words": "how many"}
    span = {"x": number("from"), "x2": {"field": "to"}, "color": kind("kind", KINDS, offset=8)}
    return picture(
        values,
        height={"step": 30},
        description=f"{up:,} replicas must be up and {spare:,} are to spare, "
        f"{plan.accelerators:,} accelerators in all, in {_counted(plan)}.",
        encoding={
            "y": name("name", [called for called, _ in regions]),
            "x": axis("replicas", 0.0, LABEL * max(row["to"] for row in ends), tickCount=4),
            "tooltip": tooltip({**told, "accelerators": "accelerators of the region"}),
        },
        layer=[
            {"mark": {"type": "bar", "height": {"band": 0.7}}, "encoding": span},
            over(ends, words("words", {"x": number("to")}, align="left", dx=6)),
        ],
    )


def _replicas(called: str, one: RegionPlan) -> list[Row]:
    """Bars of a region, one behind the other."""
    spans = ((KINDS[0], 0, one.replicas), (KINDS[1], one.replicas, one.spare))
    return [
        {
            "name": called,
            "kind": which,
            "from": start,
            "to": start + count,
            "words": f"{count:,}",
            "accelerators": f"{one.accelerators:,}",
        }
        for which, start, count in spans
        if count
    ]


def _sum(one: RegionPlan) -> str:
    return f"{one.replicas:,} + {one.spare:,}" if one.spare else f"{one.replicas:,}"


def rates(plan: FleetPlan) -> Spec | None:
    """Draw the requests a second of each region: their mean, their peak, what it is sized for.

    Parameters
    ----------
    plan
        The size of a service.
    """
    regions = _largest(plan.regions)
    unit = unit_for([one.sized for _, one in regions], "1")
    values: list[Row] = [
        {
            "name": called,
            **{key: unit.of(getattr(one, key)) for key in RATES},
            **{f"{key} words": f"{format_count(getattr(one, key))}/s" for key in RATES},
        }
        for called, one in regions
    ]
    if not values:
        return None
    total = sum(one.sized for one in plan.regions)
    told = {"mean words": "mean", "peak words": "peak", "sized words": "sized for"}
    # The unit of a rate beside what marks mean: "[k/s]".
    title = f"pale: sized for, bar: peak, tick: mean [{unit.name}/s]".replace("[/s]", "[1/s]")
    return picture(
        values,
        height={"step": 34},
        description=f"{format_count(plan.question.rate)} requests a second come on average to "
        f"{_counted(plan)}; {plan.used:.0%} is used of the {format_count(total)} sized for.",
        encoding={
            "y": name("name", [row["name"] for row in values]),
            "x": axis(title, 0.0, LABEL * max(row["sized"] for row in values), tickCount=4),
            "tooltip": tooltip({"name": "region", **told}),
        },
        layer=[
            bars("soft", "sized"),
            bars("accent", "peak", band=0.32),
            {"mark": {"type": "tick", "height": 20, "thickness": 2},
             "encoding": {"x": number("mean")}},
            words("sized words", {"x": number("sized")}, align="left", dx=6),
        ],
    )  # fmt: skip


def _counted(plan: FleetPlan) -> str:
    count = len(plan.regions)
    return "one region" if count == 1 else f"{count:,} regions"


def _largest(regions: Sequence[RegionPlan]) -> list[tuple[str, RegionPlan]]:
    """Regions by their size; beyond `MOST` the mean of the others is one row."""
    ordered = sorted(regions, key=lambda one: -one.sized)
    found = [(one.name, one) for one in ordered[:MOST]]
    rest = ordered[MOST:]
    if not rest:
        return found
    rates_of = {key: sum(getattr(one, key) for one in rest) / len(rest) for key in RATES}
    counts = {key: round(sum(getattr(one, key) for one in rest) / len(rest)) for key in COUNTS}
    mean = RegionPlan(name="others", **rates_of, **counts)
    return [*found, (f"each of {len(rest)} others", mean)]
