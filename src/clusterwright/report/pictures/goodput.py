"""What failures leave of a long run: how its goodput may turn out, and where the rest goes."""

from __future__ import annotations

from typing import Final

from clusterwright.fleet.records import RunOutlook
from clusterwright.report.pictures.layers import LABEL, interval, name, number, over, tooltip, words
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.units import format_count, format_time

BINS: Final = 14
"""Columns of dots at most."""
DOT: Final = 15
"""Height that one dot takes. [px]"""
LEAST_SHARE: Final = 5e-5
"""Parts of the time with a smaller share are left out, as of the text."""
MOST_CAUSES: Final = 8


def spread(outlook: RunOutlook) -> Spec | None:
    """Draw how the goodput of a run may turn out, as one dot for each twentieth of the runs.

    Parameters
    ----------
    outlook
        A run's outlook.
    """
    if not outlook.spread:
        return None
    values = _dots(outlook.spread)
    most = max(row["level"] for row in values)
    one = outlook.goodput
    row = {
        "low": 100.0 * one.low,
        "middle": 100.0 * one.middle,
        "high": 100.0 * one.high,
        "words": f"{one.middle:.1%}",
        "spread": f"{one.low:.1%} to {one.high:.1%}",
    }
    told = tooltip({"words": "median", "spread": "80 % of runs"})
    x = {"type": "quantitative", "title": "goodput: work that stands, of all time [%]",
         "scale": {"zero": False, "nice": True, "padding": 12}}  # fmt: skip
    y = {
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [-1.6, most + 0.8], "nice": False},
    }
    under = {"y": {"datum": -0.7}}
    return picture(
        values,
        height=round(DOT * (most + 2.4)),
        description=f"Half of the runs have a goodput of {row['words']} or more, and 80 % of them "
        f"{row['spread']}; each dot is one run in {len(values)}.",
        encoding={"x": x, "y": y},
        layer=[
            {
                "mark": style("accent", "point", size=130, opacity=1),
                "encoding": {
                    "x": number("column"), "y": number("level"),
                    "tooltip": tooltip({"words": "goodput", "place": "of runs are below"}),
                },
            },
            over(
                [row],
                {**interval("low", "high", strokeWidth=2), "encoding": {
                    **interval("low", "high")["encoding"], **under, "tooltip": told}},
                {"mark": style("ring", "point", size=60, filled=True),
                 "encoding": {"x": number("middle"), **under, "tooltip": told}},
                words("words", look="strong", where={"x": number("middle"), **under}, dy=14),
            ),
        ],
    )  # fmt: skip


def _dots(worst_to_best: tuple[float, ...]) -> list[Row]:
    """Dots in columns of equal width, each on those that fell there before."""
    ends = worst_to_best[0], worst_to_best[-1]
    width = max((ends[1] - ends[0]) / BINS, 1e-4)
    heights: dict[int, int] = {}
    rows: list[Row] = []
    for turn, value in enumerate(worst_to_best):
        column = int((value - ends[0]) / width + 1e-9)
        heights[column] = heights.get(column, 0) + 1
        rows.append(
            {
                "goodput": 100.0 * value,
                "column": 100.0 * (ends[0] + (column + 0.5) * width),
                "level": heights[column] - 0.5,
                "words": f"{value:.1%}",
                "place": f"{(turn + 0.5) / len(worst_to_best):.0%}",
            }
        )
    return rows


def lost_time(outlook: RunOutlook) -> Spec | None:
    """Draw where the time goes that is not work that stands, the most first.

    Parameters
    ----------
    outlook
        A run's outlook.
    """
    useful = sum(part.share for part in outlook.lost if part.name == "useful")
    parts = [p for p in outlook.lost if p.name != "useful" and p.share >= LEAST_SHARE]
    if not parts:
        return None
    values = [
        {
            "name": part.name,
            "share": 100.0 * part.share,
            "words": f"{part.share:.2%}",
            "time": format_time(part.share * outlook.duration.middle),
            "meaning": part.meaning,
        }
        for part in sorted(parts, key=lambda one: -one.share)
    ]
    lost = sum(row["share"] for row in values)
    first = values[0]
    return _bars(
        values,
        field="share",
        title="share of the wall-clock time, inputs likely [%]",
        told={"name": "time", "words": "share", "time": "of the run", "meaning": "what"},
        description=f"Of the time {useful:.1%} is work that stands and {lost:.1f}% is lost, most of "
        f"it to {first['name']} ({first['words']}): {first['meaning']}.",
    )


def causes(outlook: RunOutlook) -> Spec | None:
    """Draw how often each cause interrupts the run, the most frequent first.

    Parameters
    ----------
    outlook
        A run's outlook; what is beyond the first few causes is drawn together.
    """
    total = sum(cause.count for cause in outlook.causes)
    if not total:
        return None
    rows = [
        (one.name, one.group, one.count, one.repair_time) for one in outlook.causes[:MOST_CAUSES]
    ]
    rest = outlook.causes[MOST_CAUSES:]
    if rest:
        rows.append((f"{len(rest)} others", "", sum(one.count for one in rest),
                     sum(one.repair_time for one in rest)))  # fmt: skip
    values = [
        {
            "name": called,
            "group": group or "several",
            "count": count,
            "words": format_count(count),
            "share": f"{count / total:.1%}",
            "repair": format_time(repair) if repair else "none",
        }
        for called, group, count, repair in rows
    ]
    return _bars(
        values,
        field="count",
        title="interruptions, on average",
        told={
            "name": "cause",
            "group": "of",
            "words": "times",
            "share": "share",
            "repair": "node-time in repair",
        },
        description=f"Of {format_count(total)} interruptions the most frequent cause is "
        f"{values[0]['name']} ({values[0]['share']}).",
    )


def _bars(
    values: list[Row], *, field: str, title: str, told: dict[str, str], description: str
) -> Spec:
    """Rows of names with a bar and its number."""
    largest = max(row[field] for row in values)
    x = {"type": "quantitative", "title": title, "field": field,
         "scale": {"domain": [0, LABEL * largest], "nice": False}, "axis": {"tickCount": 4}}  # fmt: skip
    return picture(
        values,
        height={"step": 26},
        description=description,
        encoding={
            "y": name("name", [row["name"] for row in values]),
            "x": x,
            "tooltip": tooltip(told),
        },
        layer=[
            {"mark": style("accent", "bar", height={"band": 0.7})},
            words("words", align="left", dx=6),
        ],
    )


def tiers(outlook: RunOutlook) -> Spec | None:
    """Draw the goodput of each way to keep checkpoints, with its interval; the chosen one marked.

    Parameters
    ----------
    outlook
        A run's outlook.
    """
    values = [
        {
            "name": one.tier,
            **{end: 100.0 * getattr(one.goodput, end) for end in ("low", "middle", "high")},
            "words": f"{one.goodput.middle:.1%}",
            "spread": f"{one.goodput.low:.1%} to {one.goodput.high:.1%}",
            "every": format_time(one.interval),
            "stall": format_time(one.stall),
        }
        for one in outlook.tiers
    ]
    chosen = next(row for row in values if row["name"] == outlook.chosen.tier)
    told = tooltip(
        {"name": "checkpoints to", "words": "goodput", "spread": "80 %", "every": "every",
         "stall": "all wait"}
    )  # fmt: skip
    place = {"x": number("middle")}
    return picture(
        values,
        height={"step": 36},
        description=f"Checkpoints to {chosen['name']} every {chosen['every']} were chosen: by closed "
        f"form they leave a goodput of {chosen['words']} ({chosen['spread']}).",
        encoding={
            "y": name("name", [row["name"] for row in values]),
            "x": {"type": "quantitative", "title": "goodput by closed form [%]; line: 80 %",
                  "scale": {"zero": False, "padding": 14}},
            "tooltip": told,
        },
        layer=[
            interval("low", "high"),
            {"mark": style("soft", "point", size=80, opacity=1), "encoding": place},
            over([chosen], {"mark": style("accent", "point", size=80, opacity=1), "encoding": place}),
            words("words", where=place, dy=-12),
        ],
    )  # fmt: skip
