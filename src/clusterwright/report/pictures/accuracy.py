"""Predicted against measured step times, both axes logarithmic and alike."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from clusterwright.report.pictures.layers import TIMES, log_ticks, tooltip
from clusterwright.report.pictures.theme import MOST_ROWS, Row, Spec, picture, style, thinned
from clusterwright.units import format_time
from clusterwright.validation.scoring import Result

NEAR: Final = 0.25
"""Share by which the band reaches above and below the diagonal."""
MARGIN: Final = 1.3
INSIDE, OUTSIDE = "inside the 80 % interval", "outside"


def accuracy(results: Sequence[Result], *, complete: bool = True) -> Spec | None:
    """Draw each measured run against its prediction; what is right lies on the diagonal.

    Parameters
    ----------
    results
        Of validation. More than 2,000 are thinned evenly by their measured time, the shortest and
        the longest kept; the description counts all of them.
    complete
        Leave out runs whose source does not give the whole configuration, as the headline does.
    """
    asked = (one for one in results if one.complete or not complete)
    found = (row for one in asked if (row := _row(one)) is not None)
    pairs = sorted(found, key=lambda row: row["measured"])
    if not pairs:
        return None
    times = [row[axis] for row in pairs for axis in ("measured", "predicted")]
    ends = (min(times) / MARGIN, max(times) * MARGIN)
    scale = {"type": "log", "domain": list(ends), "nice": False}
    axis = {**TIMES, "values": log_ticks(*ends), "labelOverlap": True, "labelSeparation": 6}
    x = {"type": "quantitative", "scale": scale, "axis": axis, "title": "measured time of a step"}
    y = {**x, "title": "predicted"}
    return picture(
        thinned(pairs),
        height=380,
        description=_sentence(pairs),
        layer=[*_diagonal(ends, x, y), _dots(x, y)],
    )


def _row(one: Result) -> Row | None:
    """One run; None where it was not predicted."""
    if one.measured_time is None or one.predicted_time is None:
        return None
    return {
        "id": one.id,
        "source": one.source,
        "accelerator": one.accelerator,
        "measured": one.measured_time,
        "predicted": one.predicted_time,
        "times": f"{format_time(one.predicted_time)} for {format_time(one.measured_time)}",
        "off": f"{one.predicted_time / one.measured_time - 1.0:+.1%}",
        "inside": INSIDE if one.inside else OUTSIDE,
    }


def _diagonal(ends: tuple[float, float], x: Row, y: Row) -> list[Row]:
    """Where predictions are right, and a quarter above and below."""
    values = [{"at": at, "low": at * (1.0 - NEAR), "high": at * (1.0 + NEAR)} for at in ends]
    at = {**x, "field": "at"}
    return [
        {
            "data": {"values": values},
            "mark": style("quiet", "area", opacity=0.3, clip=True, tooltip=False),
            "encoding": {"x": at, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "data": {"values": values},
            "mark": style("reference", "line", tooltip=False),
            "encoding": {"x": at, "y": {**y, "field": "at"}},
        },
    ]


def _dots(x: Row, y: Row) -> Row:
    titles = {
        "id": "run",
        "accelerator": "accelerator",
        "source": "source",
        "times": "predicted for measured",
        "off": "error",
        "inside": "measured is",
    }
    return {
        "mark": {"type": "point", "size": 18, "opacity": 0.6},
        "encoding": {
            "x": {**x, "field": "measured"},
            "y": {**y, "field": "predicted"},
            "color": {
                "field": "inside",
                "type": "nominal",
                "scale": {"domain": [INSIDE, OUTSIDE]},
                "legend": {"columns": 2, "symbolType": "circle"},
            },
            "tooltip": tooltip(titles),
        },
    }


def _sentence(pairs: Sequence[Row]) -> str:
    """Say what is seen."""
    errors = (row["predicted"] / row["measured"] - 1.0 for row in pairs)
    median = statistics.median(map(abs, errors))
    inside = sum(row["inside"] == INSIDE for row in pairs) / len(pairs)
    thin = f", {MOST_ROWS:,} of them drawn," if len(pairs) > MOST_ROWS else ""
    return (
        f"{len(pairs):,} measured runs{thin} against their predictions: half of the errors are "
        f"below {median:.1%}, {inside:.0%} of the runs lie inside their 80 % interval."
    )
