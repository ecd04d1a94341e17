"""A deployment from idle to saturation: what users wait at each load, and where queues begin."""

from __future__ import annotations

import math
from typing import Final

from clusterwright.report.pictures.latencies import NAMES, PERCENTILES, Which
from clusterwright.report.pictures.layers import (
    axis,
    dots,
    level,
    log_axis,
    number,
    over,
    there,
    told,
    tooltip,
    words,
)
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.serving.load_curve import LoadCurve, LoadPoint
from clusterwright.serving.plan import Latency
from clusterwright.units import format_count, format_time

HEIGHT: Final = 280
APART: Final = 14
"""Names of lines that end closer together would lie on each other. [px]"""
LEFT: Final = 0.45
"""Share of the axis below which words stand right of their point."""


def load_curve(curve: LoadCurve, which: Which = "ttft") -> Spec | None:
    """Draw a latency against the load, the promise, and where replicas may fall behind.

    Parameters
    ----------
    curve
        The deployment at its loads.
    which
        The time to the first token, or per token after it.
    """
    values = load_rows(curve, which)
    if not values:
        return None
    promised: float | None = getattr(curve, which)
    end = 1.02 * max(curve.limits[1], curve.saturation)
    times = [row[key] for row in values for key in ("p50", "p99", "low", "high") if key in row]
    bottom, top = 0.8 * min(times), 1.6 * max([*times, promised or 0.0])
    _name_ends(values[-1], HEIGHT / math.log(top / bottom))
    layers = [_limits(curve), there(values, "low", _alike())]
    layers += [_line(values, key) for key in PERCENTILES]
    if promised is not None:
        said = f"promised {format_time(promised)} to {curve.percentile:g} %"
        layers.append(level(promised, said, line="limit", look="limit"))
    return picture(
        values,
        height=HEIGHT,
        description=_said(curve, which, values),
        encoding={
            "x": axis("requests a second", 0.0, end),
            "y": log_axis(NAMES[which][0], bottom, top),
        },
        layer=[*layers, _asked(values, end)],
    )


def load_rows(curve: LoadCurve, which: Which) -> list[Row]:
    """Return one row for each load [1/s] with its latencies. [s]"""
    alike = {one.sort.split()[0]: one for one in curve.intervals}.get(NAMES[which][1])
    rows = []
    for point in curve.points:
        latency: Latency = getattr(point, which)
        if latency.p50 <= 0.0:
            return []
        row: Row = {"rate": point.rate, **_shown(curve, point, latency)}
        row |= {key: getattr(latency, key) for key in PERCENTILES}
        if alike is not None:
            row["low"], row["high"] = latency.p90 * alike.low, latency.p90 * alike.high
            row["alike"] = f"{format_time(row['low'])} to {format_time(row['high'])}"
        if point.asked:
            row["asked"] = f"asked: {format_time(latency.p90)}"
        rows.append(row)
    return told(rows, TITLES)


def _name_ends(last: Row, size: float) -> None:
    """Name lines at their ends, p90 always, others where there is room; ``size``: of e. [px]"""
    for key in PERCENTILES:
        if key == "p90" or abs(math.log(last[key] / last["p90"])) * size >= APART:
            last[f"{key} end"] = key


def _shown(curve: LoadCurve, point: LoadPoint, latency: Latency) -> Row:
    each = point.output_rate / curve.accelerators
    return {
        "load": f"{point.rate:,.3g}/s, {point.rate / curve.saturation:.0%} of saturation",
        "tokens": f"{format_count(point.output_rate)}/s, {each:,.0f}/s an accelerator",
        **{f"{key} words": format_time(getattr(latency, key)) for key in PERCENTILES},
        "kept": "kept" if point.meets else "broken",
    }


TITLES: Final = {
    "load": "load",
    **{f"{key} words": key for key in PERCENTILES},
    "alike": "p90 in 80 % of runs alike",
    "tokens": "tokens out",
    "kept": "promise",
}


def _told() -> list[Row]:
    return tooltip(TITLES)


def _limits(curve: LoadCurve) -> Row:
    """Where saturation may lie, and where it is predicted."""
    low, high = curve.limits
    said = f"saturation {curve.saturation:,.3g}/s"
    top = {"x": number("most"), "y": {"value": 0}}
    whole = {"y": {"value": 0}, "y2": {"value": "height"}}
    area = {"x": number("low"), "x2": {"field": "high"}, **whole}
    return over(
        [{"low": low, "most": curve.saturation, "high": high, "words": said}],
        {"mark": style("quiet", "rect", opacity=0.22, tooltip=False), "encoding": area},
        {
            "mark": style("reference", "rule", tooltip=False),
            "encoding": {**top, "y2": {"value": 18}},
        },
        words("words", top, look="muted", align="right", dx=-5, dy=9),
    )


def _alike() -> Row:
    return {
        "mark": style("band", "area", tooltip=False, interpolate="monotone"),
        "encoding": {"x": number("rate"), "y": number("low"), "y2": {"field": "high"}},
    }


def _line(values: list[Row], key: str) -> Row:
    """A percentile with its name at its end; the promised kind is the one that stands out."""
    main = key == "p90"
    place = {"x": number("rate"), "y": number(key)}
    look, width = ("accent", 2.5) if main else ("quiet", 1.5)
    line = style(look, "line", interpolate="monotone", strokeWidth=width, tooltip=False)
    called = words(f"{key} end", place, look="strong" if main else "muted", align="left", dx=6)
    layers = [{"mark": line, "encoding": place}]
    if main:
        layers.append(dots("accent", {**place, "tooltip": _told()}, size=36))
    return {"layer": [*layers, there(values, f"{key} end", called)]}


def _asked(values: list[Row], end: float) -> Row:
    """The load that was asked for, named on the side where there is room."""
    place = {"x": number("rate"), "y": number("p90")}
    ring = {"mark": style("ring", "point", size=150), "encoding": {**place, "tooltip": _told()}}
    if any(row.get("asked") and row["rate"] < LEFT * end for row in values):
        said = words("asked", place, look="strong", align="left", dx=8, dy=14)
    else:
        said = words("asked", place, look="strong", align="right", dx=-8, dy=-12)
    return there(values, "asked", ring, said)


def _said(curve: LoadCurve, which: Which, values: list[Row]) -> str:
    first, last = values[0], values[-1]
    kept = [point.rate for point in curve.points if point.meets]
    promise = ""
    if curve.ttft is not None or curve.tpot is not None:
        promise = (
            f"; what is promised is kept up to {max(kept):,.3g}"
            if kept
            else "; no load keeps what is promised"
        )
    return (
        f"The {NAMES[which][0]} of nine in ten requests grows from {first['p90 words']} at "
        f"{first['rate']:,.3g} to {last['p90 words']} at {last['rate']:,.3g} requests a second, "
        f"of {curve.saturation:,.3g} at which queues grow without end{promise}."
    )
