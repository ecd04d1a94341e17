"""Fleets of several kinds of accelerators: how many there are, and how many of one kind they do."""

from __future__ import annotations

from typing import Final

from clusterwright.report.pictures.layers import (
    LABEL,
    axis,
    kind,
    name,
    number,
    over,
    tooltip,
    words,
)
from clusterwright.report.pictures.scales import unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture
from clusterwright.report.scorecard_text import ratio_words
from clusterwright.scorecard.records import Equivalents, FleetPart
from clusterwright.units import format_count

WAYS: Final = {"count": "accelerators", "by_peak": "by peak", "by_work": "by delivered work"}
OTHERS: Final = "others, as stated"


def fleet(made: Equivalents, baseline: str) -> Spec | None:
    """Draw a fleet as it is counted, and in accelerators of the baseline, by peak and by work.

    Parameters
    ----------
    made
        A fleet; what is not known of a part leaves that way of counting out.
    baseline
        The accelerator that all are counted in.
    """
    totals = {way: getattr(made, way) for way in WAYS if getattr(made, way) is not None}
    if len(set(totals.values())) < 2:  # all of it is the baseline, or nothing else is known
        return None
    unit = unit_for(totals.values(), "1")
    values = [row for way in totals for row in _parts(made, way, unit.size)]
    ends: list[Row] = [
        {"way": WAYS[way], "to": unit.of(total), "words": f"{total:,.0f}"}
        for way, total in totals.items()
    ]
    kinds = list(dict.fromkeys(_called(part) for part in made.parts))
    told = {"way": "counted", "kind": "of it", "words": "accelerators", "ratio": "one does"}
    span = {"x": number("from"), "x2": {"field": "to"}, "color": kind("kind", kinds, columns=2)}
    counted = ", ".join(f"{total:,.0f} {WAYS[way]}" for way, total in totals.items())
    return picture(
        values,
        height={"step": 34},
        description=f"{made.name}: {counted}, the latter in {baseline}.",
        encoding={
            "y": name("way", [WAYS[way] for way in totals]),
            "x": axis(
                unit.titled(f"accelerators, or {baseline} that do as much"),
                0.0,
                LABEL * max(row["to"] for row in ends),
                tickCount=4,
            ),
            "tooltip": tooltip(told),
        },
        layer=[
            {"mark": {"type": "bar", "height": {"band": 0.7}}, "encoding": span},
            over(ends, words("words", {"x": number("to")}, align="left", dx=6)),
        ],
    )


def _called(part: FleetPart) -> str:
    return part.accelerator if part.accelerator and not part.stated else OTHERS


def _parts(made: Equivalents, way: str, size: float) -> list[Row]:
    """Bars of one way of counting, one behind the other."""
    rows: list[Row] = []
    start = 0.0
    for part in made.parts:
        ratio = 1.0 if way == "count" else float(getattr(part, way) or 0.0)
        end = start + part.count * ratio
        rows.append(
            {
                "way": WAYS[way],
                "kind": _called(part),
                "from": start / size,
                "to": end / size,
                "words": format_count(part.count * ratio),
                "ratio": "-" if way == "count" else ratio_words(ratio),
            }
        )
        start = end
    return rows
