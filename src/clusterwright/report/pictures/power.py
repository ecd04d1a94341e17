"""The power of a job over time, as the grid sees it, and through one step."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from clusterwright.engines.power_trace import Trace
from clusterwright.report.pictures.layers import number, over, tooltip, words
from clusterwright.report.pictures.scales import Unit, unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.site.trace import PowerReport
from clusterwright.units import format_quantity, format_time

BINS: Final = 600
"""Columns of a trace: of each the least, the mean and the most are drawn."""
ROOM: Final = 1.12
"""Top of the axis over the highest line, for the words above it. [1]"""


def trace(report: PowerReport, followed: Trace) -> Spec | None:
    """Draw power over time, with its mean, the rated power and the fastest change.

    Parameters
    ----------
    report
        What the trace shows.
    followed
        The trace; where it has more samples than `BINS`, the least, the mean and the most of equal
        stretches are drawn.
    """
    if not len(followed.power):
        return None
    unit = unit_for([report.rated, float(followed.power.max())], "W")
    values = trace_rows(followed, unit)
    top = ROOM * unit.of(max(report.rated, float(followed.power.max())))
    end = len(followed.power) * followed.step
    x = {"type": "quantitative", "title": "time [s]", "scale": {"domain": [0, end], "nice": False}}
    y = {"type": "quantitative", "title": unit.titled("power of the site"),
         "scale": {"domain": [0, top], "nice": False}}  # fmt: skip
    at = number("time")
    told = tooltip({"when": "time", "words": "mean", "ends": "least to most"})
    return picture(
        values,
        height=260,
        description=_said(report, followed, values),
        encoding={"x": x, "y": y},
        layer=[
            {
                "mark": style(
                    "band", "area", opacity=0.35, interpolate="step-after", tooltip=False
                ),
                "encoding": {"x": at, "y": number("least"), "y2": {"field": "most"}},
            },
            {
                "mark": style("accent", "line", strokeWidth=1.2, interpolate="step-after"),
                "encoding": {"x": at, "y": number("mean"), "tooltip": told},
            },
            *_levels(report, unit, max(row["most"] for row in values)),
            _ramp(report, followed, unit),
        ],
    )


def trace_rows(followed: Trace, unit: Unit) -> list[Row]:
    """Return the least, the mean and the most of each stretch of a trace."""
    power = np.asarray(followed.power)
    count = min(BINS, len(power))
    starts = np.arange(count) * len(power) // count
    sizes = np.diff([*starts, len(power)])
    least, most = np.minimum.reduceat(power, starts), np.maximum.reduceat(power, starts)
    mean = np.add.reduceat(power, starts) / sizes
    rows = [_row(*one, unit) for one in zip(starts * followed.step, least, mean, most, strict=True)]
    # The last stretch is drawn to its end.
    return [*rows, {**rows[-1], "time": len(power) * followed.step}]


def _row(time: Any, least: Any, mean: Any, most: Any, unit: Unit) -> Row:  # noqa: ANN401 - numpy
    low, middle, high = (format_quantity(float(one), "W") for one in (least, mean, most))
    return {
        "time": round(float(time), 6),
        "least": unit.of(float(least)),
        "mean": unit.of(float(mean)),
        "most": unit.of(float(most)),
        "when": f"{float(time):.2f} s",
        "words": middle,
        "ends": f"{low} to {high}",
    }


def _levels(report: PowerReport, unit: Unit, most: float) -> list[Row]:
    """Lines of the mean and of the rated power; words of the mean stand above the trace."""
    layers = []
    for power, called, look in (
        (report.mean, "mean", "reference"),
        (report.rated, "rated", "limit"),
    ):
        if not power:
            continue
        place = {"y": number("power"), "x": {"value": 0}}
        row = {
            "power": unit.of(power),
            "above": max(unit.of(power), most if look == "reference" else 0.0),
            "words": f"{called} {format_quantity(power, 'W')}",
        }
        said = "limit" if look == "limit" else "strong"
        layers.append(
            over(
                [row],
                {
                    "mark": style(look, "rule", tooltip=False),
                    "encoding": {**place, "x2": {"value": "width"}},
                },
                words(
                    "words",
                    look=said,
                    where={**place, "y": number("above")},
                    align="left",
                    dx=4,
                    dy=-8,
                    strokeWidth=0,
                ),
            )
        )
    return layers


def _ramp(report: PowerReport, followed: Trace, unit: Unit) -> Row:
    """Where power changes fastest, of the part of the trace that the report is of."""
    power = np.asarray(followed.power)
    changes = np.abs(np.diff(power))
    first = len(power) // 2
    at = first + int(np.argmax(changes[first:])) if len(changes) > first else 0
    time = at * followed.step
    late = time > 0.5 * len(power) * followed.step
    row = {
        "time": time,
        "from": unit.of(float(power[at])),
        "words": f"fastest: {format_quantity(report.largest_ramp, 'W')} a second",
    }
    place = {"x": number("time"), "y": number("from")}
    beside = {"align": "right" if late else "left", "dx": -10 if late else 10, "dy": 0}
    below = {**place, "y": {"value": "height"}}
    return over(
        [row],
        {
            "mark": style("ring", "point", size=110),
            "encoding": {**place, "tooltip": tooltip({"words": "here"})},
        },
        {
            "mark": style("reference", "rule", tooltip=False),
            "encoding": {**place, "y2": {"value": "height"}},
        },
        words("words", where=below, **{**beside, "dy": -10}),
    )


def _said(report: PowerReport, followed: Trace, values: list[Row]) -> str:
    seconds = len(followed.power) * followed.step
    thin = ""
    if len(followed.power) > BINS:
        thin = (
            f"; drawn are the least, the mean and the most of {len(values) - 1:,} stretches of "
            f"{format_time(seconds / (len(values) - 1))}"
        )
    rated = f" of {format_quantity(report.rated, 'W')} rated" if report.rated else ""
    return (
        f"Over {format_time(seconds)} the site draws {format_quantity(report.mean, 'W')} on average"
        f"{rated}, swings by {format_quantity(report.swing, 'W')} at {report.frequency:.3g} Hz and "
        f"changes by {format_quantity(report.largest_ramp, 'W')} a second at most{thin}."
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
    unit = unit_for([power for _, _, power in report.phases], "W")
    times = unit_for([total], "s")
    values, start = [], 0.0
    for called, time, power in report.phases:
        values.append(
            {
                "name": called,
                "start": times.of(start),
                "end": times.of(start + time),
                "power": unit.of(power),
                "time": format_time(time),
                "words": format_quantity(power, "W"),
            }
        )
        start += time
    most = max(values, key=lambda row: row["power"])
    least = min(values, key=lambda row: row["power"])
    top = ROOM * most["power"]
    return picture(
        values,
        height=180,
        description=f"In a step of {format_time(total)} the site draws {most['words']} in "
        f"{most['name']} ({most['time']}) and {least['words']} in {least['name']} ({least['time']}).",
        encoding={
            "x": {"type": "quantitative", "title": times.titled("time in a step"),
                  "scale": {"domain": [0, times.of(total)], "nice": False}},
            "y": {"type": "quantitative", "title": unit.titled("power of the site"),
                  "scale": {"domain": [0, top], "nice": False}},
            "tooltip": tooltip({"name": "phase", "time": "for", "words": "the site draws"}),
        },
        layer=[
            {
                "mark": style("soft", "rect"),
                "encoding": {
                    "x": number("start"), "x2": {"field": "end"},
                    "y": number("power"), "y2": {"datum": 0},
                },
            },
            {
                "mark": style("accent", "rule", strokeWidth=2.5),
                "encoding": {"x": number("start"), "x2": {"field": "end"}, "y": number("power")},
            },
            over(
                [row for row in values if row["end"] - row["start"] > 0.3 * times.of(total)],
                words("name", where={"x": number("start"), "y": number("power")}, align="left",
                      dx=6, dy=-9),
            ),
        ],
    )  # fmt: skip
