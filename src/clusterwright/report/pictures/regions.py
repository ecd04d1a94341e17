"""A service of several regions: the rates that each is sized for, and the replicas that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clusterwright.report.pictures.layers import LABEL, name, number, over, tooltip, words
from clusterwright.report.pictures.scales import unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.serving.fleet import FleetPlan, RegionPlan
from clusterwright.units import format_count

MOST: Final = 24
"""Regions that are drawn one by one, the largest; the mean of the others is drawn as one."""
KINDS: Final = ("must be up", "spare")


def replicas(plan: FleetPlan) -> Spec | None:
    """Draw the replicas of each region, those that must be up and those to spare.

    Parameters
    ----------
    plan
        The size of a service.
    """
    regions = _largest(plan.regions)
    values = [
        {
            "name": called,
            "kind": kind,
            "count": count,
            "from": start,
            "to": start + count,
            "words": f"{count:,.3g}" if count < 1e4 else format_count(count),
            "accelerators": format_count(one.accelerators),
        }
        for called, one in regions
        for kind, start, count in (
            (KINDS[0], 0, one.replicas),
            (KINDS[1], one.replicas, one.spare),
        )
        if count
    ]
    ends = [
        {"name": called, "to": one.replicas + one.spare, "label": _replica_words(one)}
        for called, one in regions
    ]
    most = max(row["to"] for row in ends)
    if not most:
        return None
    up, spare = sum(one.replicas for one in plan.regions), sum(one.spare for one in plan.regions)
    told = {
        "name": "region",
        "kind": "replicas",
        "words": "how many",
        "accelerators": "accelerators",
    }
    colour = {"field": "kind", "type": "nominal", "title": None, "scale": {"domain": list(KINDS)},
              "legend": {"offset": 8}}  # fmt: skip
    return picture(
        values,
        height={"step": 30},
        description=f"{len(plan.regions)} regions have {up:,} replicas that must be up and {spare:,} "
        f"to spare, {plan.accelerators:,} accelerators in all.",
        encoding={
            "y": name("name", [called for called, _ in regions]),
            "x": {"type": "quantitative", "title": "replicas",
                  "scale": {"domain": [0, LABEL * most], "nice": False}, "axis": {"tickCount": 4}},
        },
        layer=[
            {
                "mark": {"type": "bar", "height": {"band": 0.68}},
                "encoding": {"x": number("from"), "x2": {"field": "to"}, "color": colour,
                             "tooltip": tooltip(told)},
            },
            over(ends, words("label", where={"x": number("to")}, align="left", dx=6)),
        ],
    )  # fmt: skip


def _replica_words(one: RegionPlan) -> str:
    return f"{one.replicas:,} + {one.spare:,}" if one.spare else f"{one.replicas:,}"


def rates(plan: FleetPlan) -> Spec | None:
    """Draw the requests a second of each region: their mean, their peak, and what it is sized for.

    Parameters
    ----------
    plan
        The size of a service.
    """
    regions = _largest(plan.regions)
    if not regions:
        return None
    unit = unit_for([one.sized for _, one in regions], "1")
    values = [
        {
            "name": called,
            **{key: unit.of(getattr(one, key)) for key in ("mean", "peak", "sized")},
            **{
                f"{key} words": f"{format_count(getattr(one, key))}/s"
                for key in ("mean", "peak", "sized")
            },
        }
        for called, one in regions
    ]
    total = sum(one.sized for one in plan.regions)
    told = {
        "name": "region",
        "mean words": "mean",
        "peak words": "peak",
        "sized words": "sized for",
    }
    x = {
        "type": "quantitative",
        "title": unit.titled("pale: sized for, bar: peak, tick: mean, 1/s"),
        "scale": {"domain": [0, LABEL * max(row["sized"] for row in values)], "nice": False},
        "axis": {"tickCount": 4},
    }
    return picture(
        values,
        height={"step": 34},
        description=f"{format_count(plan.question.rate)} requests a second on average; the regions "
        f"are sized for {format_count(total)}, of which {plan.used:.0%} is used on average.",
        encoding={
            "y": name("name", [row["name"] for row in values]),
            "x": x,
            "tooltip": tooltip(told),
        },
        layer=[
            {
                "mark": style("soft", "bar", height={"band": 0.7}),
                "encoding": {"x": number("sized")},
            },
            {
                "mark": style("accent", "bar", height={"band": 0.32}),
                "encoding": {"x": number("peak")},
            },
            {
                "mark": {"type": "tick", "height": 20, "thickness": 2},
                "encoding": {"x": number("mean")},
            },
            words("sized words", where={"x": number("sized")}, align="left", dx=6),
        ],
    )


def _largest(regions: Sequence[RegionPlan]) -> list[tuple[str, RegionPlan]]:
    """Regions by their size; beyond `MOST` the mean of the others is one row."""
    ordered = sorted(regions, key=lambda one: -one.sized)
    found = [(one.name, one) for one in ordered[:MOST]]
    rest = ordered[MOST:]
    if rest:
        mean = RegionPlan(
            name="others",
            **{key: sum(getattr(one, key) for one in rest) / len(rest) for key in ("mean", "peak", "sized")},
            **{key: round(sum(getattr(one, key) for one in rest) / len(rest))
               for key in ("replicas", "spare", "accelerators")},
        )  # fmt: skip
        found.append((f"each of {len(rest)} others", mean))
    return found
