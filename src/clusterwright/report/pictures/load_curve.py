"""A deployment from idle to saturation: what users wait at each load, and where queues begin."""

from __future__ import annotations

import math
from typing import Any, Final, Literal

from clusterwright.report.pictures.layers import TIMES, log_ticks, number, there, tooltip, words
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.serving.load_curve import LoadCurve, LoadPoint
from clusterwright.serving.plan import Latency
from clusterwright.units import format_count, format_time

Which = Literal["ttft", "tpot"]
NAMES: Final[dict[Which, tuple[str, str]]] = {
    "ttft": ("time to the first token", "TTFT"),
    "tpot": ("time per token after it", "TPOT"),
}
"""In words, and the sort of measured interval."""
PERCENTILES: Final = ("p50", "p90", "p99")
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
    promised = getattr(curve, which)
    end = max(curve.limits[1], curve.saturation)
    x = {"type": "quantitative", "title": "requests a second",
         "scale": {"domain": [0, 1.02 * end], "nice": False}}  # fmt: skip
    tops = [row["p99"] for row in values] + [row.get("high", 0.0) for row in values]
    lows = [row["p50"] for row in values] + [row.get("low", row["p50"]) for row in values]
    bottom, top = 0.8 * min(lows), 1.6 * max([*tops, promised or 0.0])
    y = {
        "type": "quantitative",
        "title": NAMES[which][0],
        "scale": {
            "type": "log",
            "domain": [bottom, top],
            "nice": False,
        },
        "axis": {**TIMES, "values": log_ticks(bottom, top)},
    }
    _name_ends(values[-1], HEIGHT / math.log(top / bottom))
    layers = [
        _limits(curve),
        there(values, "low", _alike()),
        *(_line(values, key) for key in PERCENTILES),
        *([_promise(curve, promised)] if promised is not None else []),
        _asked(values, end),
    ]
    return picture(
        values,
        height=HEIGHT,
        description=_said(curve, which, values),
        encoding={"x": x, "y": y},
        layer=layers,
    )


def load_rows(curve: LoadCurve, which: Which) -> list[Row]:
    """Return one row for each load. [1/s, s]"""
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
    return rows


def _name_ends(last: Row, decade: float) -> None:
    """Name lines at their ends, p90 always, the others where there is room; ``decade``: [px]."""
    for key in PERCENTILES:
        if key == "p90" or abs(math.log(last[key] / last["p90"])) * decade >= APART:
            last[f"{key} end"] = key


def _shown(curve: LoadCurve, point: LoadPoint, latency: Latency) -> Row:
    return {
        "load": f"{point.rate:,.3g}/s, {point.rate / curve.saturation:.0%} of saturation",
        "tokens": f"{format_count(point.output_rate)}/s, "
        f"{point.output_rate / curve.accelerators:,.0f}/s an accelerator",
        **{f"{key} words": format_time(getattr(latency, key)) for key in PERCENTILES},
        "kept": "kept" if point.meets else "broken",
    }


def _told() -> list[Row]:
    return tooltip(
        {"load": "load", "p50 words": "p50", "p90 words": "p90", "p99 words": "p99",
         "alike": "p90 in 80 % of runs alike", "tokens": "tokens out", "kept": "promise"}
    )  # fmt: skip


def _limits(curve: LoadCurve) -> Row:
    """Where saturation may lie, and where it is predicted."""
    low, high = curve.limits
    row: dict[str, Any] = {"low": low, "most": curve.saturation, "high": high}
    row["words"] = f"saturation {curve.saturation:,.3g}/s"
    sides = {"x": number("most"), "y": {"value": 0}}
    return {
        "data": {"values": [row]},
        "layer": [
            {
                "mark": style("quiet", "rect", opacity=0.22, tooltip=False),
                "encoding": {
                    "x": number("low"), "x2": {"field": "high"},
                    "y": {"value": 0}, "y2": {"value": "height"},
                },
            },
            {
                "mark": style("reference", "rule", tooltip=False),
                "encoding": {**sides, "y2": {"value": 18}},
            },
            words("words", look="muted", where=sides, align="right", dx=-5, dy=9),
        ],
    }  # fmt: skip


def _alike() -> Row:
    return {
        "mark": style("band", "area", tooltip=False, interpolate="monotone"),
        "encoding": {"x": number("rate"), "y": number("low"), "y2": {"field": "high"}},
    }


def _line(values: list[Row], key: str) -> Row:
    """A percentile with its name at its end; the promised kind is the one that stands out."""
    main = key == "p90"
    place = {"x": number("rate"), "y": number(key)}
    mark = style("accent" if main else "quiet", "line", interpolate="monotone",
                 strokeWidth=2.5 if main else 1.5)  # fmt: skip
    dots = {
        "mark": style("accent", "point", size=36),
        "encoding": {**place, "tooltip": _told()},
    }
    end = there(
        values,
        f"{key} end",
        words(f"{key} end", look="strong" if main else "muted", where=place, align="left", dx=6),
    )
    return {"layer": [{"mark": mark, "encoding": place}, *([dots] if main else []), end]}


def _promise(curve: LoadCurve, promised: float) -> Row:
    said = f"promised {format_time(promised)} to {curve.percentile:g} %"
    place = {"y": number("promised"), "x": {"value": 0}}
    return {
        "data": {"values": [{"promised": promised, "words": said}]},
        "layer": [
            {
                "mark": style("limit", "rule", tooltip=False),
                "encoding": {**place, "x2": {"value": "width"}},
            },
            words("words", look="limit", where=place, align="left", dx=4, dy=-8, strokeWidth=0),
        ],
    }


def _asked(values: list[Row], end: float) -> Row:
    place = {"x": number("rate"), "y": number("p90")}
    right = any(row.get("asked") and row["rate"] < LEFT * end for row in values)
    shift = (
        {"align": "left", "dx": 8, "dy": 14} if right else {"align": "right", "dx": -8, "dy": -12}
    )
    return there(
        values,
        "asked",
        {"mark": style("ring", "point", size=150), "encoding": {**place, "tooltip": _told()}},
        words("asked", look="strong", where=place, **shift),
    )


def _said(curve: LoadCurve, which: Which, values: list[Row]) -> str:
    first, last = values[0], values[-1]
    kept = [point.rate for point in curve.points if point.meets]
    promise = ""
    if curve.ttft is not None or curve.tpot is not None:
        promise = (
            f"; what is promised is kept up to {max(kept):,.3g}" if kept else "; no promise is kept"
        )
    return (
        f"The {NAMES[which][0]} of nine in ten requests grows from {first['p90 words']} at "
        f"{first['rate']:,.3g} to {last['p90 words']} at {last['rate']:,.3g} requests a second, "
        f"of {curve.saturation:,.3g} at which queues grow without end{promise}."
    )
