"""What failures leave of a long run: how its goodput may turn out, and where the rest goes."""

from __future__ import annotations

from typing import Final

from clusterwright.fleet.records import RunOutlook
from clusterwright.report.pictures.layers import (
    dots,
    interval,
    name,
    number,
    over,
    ranked,
    tooltip,
    words,
)
from clusterwright.report.pictures.theme import Row, Spec, picture
from clusterwright.uncertain import Interval
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
    values = _columns(outlook.spread)
    most = max(row["height"] for row in values)
    row = _percent(outlook.goodput)
    told = tooltip({"words": "goodput", "place": "of runs have less"})
    scale = {"domain": [-1.6, most + 0.8], "nice": False}
    return picture(
        values,
        height=round(DOT * (most + 2.4)),
        description=f"Half of the runs have a goodput of {row['words']} or more, and 80 % of them "
        f"{row['spread']}; each dot is one run in {len(values)}.",
        encoding={
            "x": {
                "type": "quantitative",
                "title": "goodput: work that stands, of all time [%]",
                "scale": {"zero": False, "padding": 12},
            },
            "y": {"type": "quantitative", "axis": None, "scale": scale},
        },
        layer=[
            dots(
                "accent", {"x": number("column"), "y": number("height"), "tooltip": told}, size=130
            ),
            _below(row),
        ],
    )


def _below(row: Row) -> Row:
    """The interval under the dots, with its median in words."""
    told = tooltip({"words": "median", "spread": "80 % of runs"})
    under = {"y": {"datum": -0.7}, "tooltip": told}
    line = interval("low", "high", strokeWidth=2)
    middle = {"x": number("middle"), **under}
    return over(
        [row],
        {**line, "encoding": {**line["encoding"], **under}},
        dots("ring", middle, size=60, filled=True),
        words("words", middle, look="strong", dy=14),
    )


def _percent(one: Interval) -> Row:
    """An interval of a share. [%]"""
    return {
        **{end: 100.0 * getattr(one, end) for end in ("low", "middle", "high")},
        "words": f"{one.middle:.1%}",
        "spread": f"{one.low:.1%} to {one.high:.1%}",
    }


def _columns(worst_to_best: tuple[float, ...]) -> list[Row]:
    """Dots in columns of equal width, each on those that fell there before."""
    first, last = worst_to_best[0], worst_to_best[-1]
    width = max((last - first) / BINS, 1e-4)
    heights: dict[int, int] = {}
    rows: list[Row] = []
    for turn, value in enumerate(worst_to_best):
        column = int((value - first) / width + 1e-9)
        heights[column] = heights.get(column, 0) + 1
        rows.append(
            {
                "goodput": 100.0 * value,
                "column": 100.0 * min(1.0, first + (column + 0.5) * width),
                "height": heights[column] - 0.5,
                "words": f"{value:.1%}",
                "place": f"{(turn + 0.5) / len(worst_to_best):.1%}",
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
    parts = [one for one in outlook.lost if one.name != "useful" and one.share >= LEAST_SHARE]
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
    first = values[0]
    return ranked(
        values,
        "share",
        title="of the wall-clock time, inputs likely [%]",
        told={"name": "time", "words": "share", "time": "of the run", "meaning": "what"},
        description=f"Of the time {useful:.1%} is work that stands; most of the rest goes to "
        f"{first['name']} ({first['words']}): {first['meaning']}.",
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
    shown, rest = outlook.causes[:MOST_CAUSES], outlook.causes[MOST_CAUSES:]
    rows = [(one.name, one.group, one.count, one.repair_time) for one in shown]
    if rest:
        count = sum(one.count for one in rest)
        rows.append((f"{len(rest)} others", "several", count, sum(one.repair_time for one in rest)))
    values = [
        {
            "name": called,
            "group": group,
            "count": count,
            "words": format_count(count),
            "share": f"{count / total:.1%}",
            "repair": format_time(repair) if repair else "none",
        }
        for called, group, count, repair in rows
    ]
    told = {"name": "cause", "group": "of", "words": "times", "share": "share"}
    return ranked(
        values,
        "count",
        title="interruptions, on average",
        told={**told, "repair": "node-time in repair"},
        description=f"Of {format_count(total)} interruptions on average the most frequent cause is "
        f"{values[0]['name']} ({values[0]['share']}).",
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
            **_percent(one.goodput),
            "every": format_time(one.interval),
            "stall": format_time(one.stall),
        }
        for one in outlook.tiers
    ]
    chosen = next(row for row in values if row["name"] == outlook.chosen.tier)
    told = {"name": "checkpoints to", "words": "goodput", "spread": "80 %", "every": "every"}
    at = {"x": number("middle")}
    return picture(
        values,
        height={"step": 36},
        description=f"Checkpoints to {chosen['name']} every {chosen['every']} were chosen: by "
        f"closed form they leave a goodput of {chosen['words']} ({chosen['spread']}).",
        encoding={
            "y": name("name", [row["name"] for row in values]),
            "x": {
                "type": "quantitative",
                "title": "goodput by closed form [%]; line: 80 %",
                "scale": {"zero": False, "padding": 14},
            },
            "tooltip": tooltip({**told, "stall": "all wait"}),
        },
        layer=[
            interval("low", "high"),
            dots("soft", at),
            over([chosen], dots("accent", at)),
            words("words", at, dy=-12),
        ],
    )
