"""The power of a job over time, as the grid sees it, and through one step."""

from __future__ import annotations

from typing import Final

import numpy as np

from clusterwright.engines.power_trace import Trace
from clusterwright.report.pictures.layers import axis, level, number, over, tooltip, words
from clusterwright.report.pictures.scales import Unit, unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.site.trace import PowerReport
from clusterwright.units import format_quantity, format_time

STRETCHES: Final = 600
"""Of a trace, at most: of each the least, the mean and the most power are drawn."""
ROOM: Final = 1.12
"""Top of the axis over the highest line, for the words above it. [1]"""
LONG: Final = 0.3
"""Share of a step from which a phase has room for its name. [1]"""


def trace(report: PowerReport, followed: Trace) -> Spec | None:
    """Draw power over time, with its mean, the rated power and the fastest change.

    Parameters
    ----------
    report
        What the trace shows.
    followed
        The trace; where it has more than `STRETCHES` samples, it is drawn by the least, the mean
        and the most of as many equal stretches.
    """
    if not len(followed.power):
        return None
    most = float(np.max(followed.power))
    unit = unit_for([report.rated, most], "W")
    values = trace_rows(followed, unit)
    layers = [*_power(), level(unit.of(report.mean), f"mean {_watts(report.mean)}",
                               line="reference", look="strong", above=unit.of(most))]  # fmt: skip
    if report.rated:
        said = f"rated {_watts(report.rated)}"
        layers.append(level(unit.of(report.rated), said, line="limit", look="limit"))
    return picture(
        values,
        height=260,
        description=_said(report, followed, len(values) - 1),
        encoding={
            "x": axis("time [s]", 0.0, len(followed.power) * followed.step),
            "y": axis(
                unit.titled("power of the site"), 0.0, ROOM * unit.of(max(report.rated, most))
            ),
        },
        layer=[*layers, _fastest(report, followed, unit)],
    )


def trace_rows(followed: Trace, unit: Unit) -> list[Row]:
    """Return the least, the mean and the most of each stretch of a trace, and where it ends."""
    power = np.asarray(followed.power)
    count = min(STRETCHES, len(power))
    starts = np.arange(count) * len(power) // count
    sizes = np.diff([*starts, len(power)])
    least, most = np.minimum.reduceat(power, starts), np.maximum.reduceat(power, starts)
    mean = np.add.reduceat(power, starts) / sizes
    rows: list[Row] = []
    for start, low, middle, high in zip(starts, least, mean, most, strict=True):
        time = round(float(start) * followed.step, 6)
        watts = {"least": float(low), "mean": float(middle), "most": float(high)}
        rows.append(
            {
                "time": time,
                **{called: unit.of(one) for called, one in watts.items()},
                "when": f"{time:.2f} s",
                "words": _watts(watts["mean"]),
                "ends": f"{_watts(watts['least'])} to {_watts(watts['most'])}",
            }
        )
    return [*rows, {**rows[-1], "time": len(power) * followed.step}]


def _watts(power: float) -> str:
    return format_quantity(power, "W")


def _power() -> list[Row]:
    """The mean of each stretch as a line in the band of its least and its most."""
    at = {"x": number("time")}
    told = tooltip({"when": "from", "words": "mean", "ends": "least to most"})
    band = style("band", "area", opacity=0.35, interpolate="step-after", tooltip=False)
    line = style("accent", "line", strokeWidth=1.2, interpolate="step-after")
    return [
        {"mark": band, "encoding": {**at, "y": number("least"), "y2": {"field": "most"}}},
        {"mark": line, "encoding": {**at, "y": number("mean"), "tooltip": told}},
    ]


def _fastest(report: PowerReport, followed: Trace, unit: Unit) -> Row:
    """Where power changes fastest, of the later half that the report is of."""
    power = np.asarray(followed.power)
    half = len(power) // 2
    changes = np.abs(np.diff(power[half:]))
    place = half + (int(np.argmax(changes)) if len(changes) else 0)
    row = {
        "time": place * followed.step,
        "from": unit.of(float(power[place])),
        "words": f"fastest: {_watts(report.largest_ramp)} a second",
    }
    at = {"x": number("time"), "y": number("from")}
    foot = {**at, "y": {"value": "height"}}
    rule = style("reference", "rule", tooltip=False)
    return over(
        [row],
        {"mark": style("ring", "point", size=110, tooltip=False), "encoding": at},
        {"mark": rule, "encoding": {**at, "y2": {"value": "height"}}},
        words("words", foot, align="right", dx=-8, dy=-10),
    )


def _said(report: PowerReport, followed: Trace, stretches: int) -> str:
    seconds = len(followed.power) * followed.step
    rated = f" of {_watts(report.rated)} rated" if report.rated else ""
    thinned = ""
    if len(followed.power) > stretches:
        length = format_time(seconds / stretches)
        thinned = f"; drawn are the least, mean and most of {stretches} stretches of {length}"
    return (
        f"Over {format_time(seconds)} the site draws {_watts(report.mean)} on average{rated}, "
        f"swings by {_watts(report.swing)}, most at {report.frequency:.3g} Hz, and changes by "
        f"{_watts(report.largest_ramp)} a second at most{thinned}."
    )


def step(report: PowerReport) -> Spec | None:
    """Draw the phases of one step: how long each lasts, and what the site draws in it.

    Parameters
    ----------
    report
        What a trace shows.
    """
    if not report.phases:
        return None
    total = sum(time for _, time, _ in report.phases)
    times = unit_for([total], "s")
    unit = unit_for([power for _, _, power in report.phases], "W")
    values = _phases(report, times, unit)
    most, least = (end(values, key=lambda row: row["power"]) for end in (max, min))
    named = [row for row in values if row["end"] - row["start"] > LONG * times.of(total)]
    span = {"x": number("start"), "x2": {"field": "end"}, "y": number("power")}
    return picture(
        values,
        height=180,
        description=f"In a step of {format_time(total)} the site draws {most['words']} in "
        f"{most['name']} ({most['time']}) and {least['words']} in {least['name']} "
        f"({least['time']}).",
        encoding={
            "x": axis(times.titled("time in a step"), 0.0, times.of(total)),
            "y": axis(unit.titled("power of the site"), 0.0, ROOM * most["power"]),
            "tooltip": tooltip({"name": "phase", "time": "for", "words": "the site draws"}),
        },
        layer=[
            {"mark": style("soft", "rect"), "encoding": {**span, "y2": {"datum": 0}}},
            {"mark": style("accent", "rule", strokeWidth=2.5), "encoding": span},
            over(
                named,
                words("name", {"x": number("start"), "y": number("power")},
                      align="left", dx=6, dy=-9),
            ),
        ],
    )  # fmt: skip


def _phases(report: PowerReport, times: Unit, unit: Unit) -> list[Row]:
    rows, start = [], 0.0
    for called, time, power in report.phases:
        rows.append(
            {
                "name": called,
                "start": times.of(start),
                "end": times.of(start + time),
                "power": unit.of(power),
                "time": format_time(time),
                "words": _watts(power),
            }
        )
        start += time
    return rows
