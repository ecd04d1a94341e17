"""Predicted against measured values, both axes logarithmic and alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from clusterwright.report.pictures.layers import TIMES, log_ticks, tooltip
from clusterwright.report.pictures.theme import MOST_ROWS, Row, Spec, picture, style, thinned
from clusterwright.serving.intervals import Sort
from clusterwright.units import format_count, format_time
from clusterwright.validation.scoring import Result
from clusterwright.validation.serving.scoring import ServeResult

NEAR: Final = 0.25
"""Share by which the band reaches above and below the diagonal."""
MARGIN: Final = 1.3
INSIDE, OUTSIDE = "inside the 80 % interval", "outside"
MOST_SERVED: Final = 700
"""Rows of one picture of serving: a page has several."""


class _Axis(NamedTuple):
    """What both axes have: its name, its labels, and how values are written.

    ``unit``: what a printed value of 1 is. [s, or 1/s]
    """

    title: str
    words: Callable[[float], str]
    labels: Row
    unit: float = 1.0


STEP: Final = _Axis("time of a step", format_time, TIMES)
SERVED: Final[dict[Sort, _Axis]] = {
    "TPOT dense": _Axis("time per token, dense models", format_time, TIMES, 1e-3),
    "TPOT sparse": _Axis("time per token, mixtures of experts", format_time, TIMES, 1e-3),
    "TTFT": _Axis("time to the first token", format_time, TIMES, 1e-3),
    "latency": _Axis("time of a whole answer", format_time, TIMES, 1e-3),
    "throughput": _Axis("throughput [1/s]", format_count, {"format": "~s"}),
    "prefill": _Axis("tokens of prompts alone [1/s]", format_count, {"format": "~s"}),
}


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
    return _drawn(
        (
            _row(one, one.measured_time, one.predicted_time, inside=one.inside, axis=STEP)
            for one in results
            if one.complete or not complete
        ),
        STEP,
        most=MOST_ROWS,
    )


def accuracy_of_serving(results: Sequence[ServeResult], sort: Sort) -> Spec | None:
    """Draw each measured row of a sort of metric against its prediction.

    Parameters
    ----------
    results
        Of validation. More than 700 rows are thinned evenly by what was measured, the ends kept;
        the description counts all of them.
    sort
        Of metric.
    """
    axis = SERVED[sort]
    return _drawn(
        (
            _row(one, one.measured_value, one.predicted_value, inside=one.inside, axis=axis)
            for one in results
            if one.sort == sort
        ),
        axis,
        most=MOST_SERVED,
    )


def _drawn(rows: Iterable[Row | None], axis: _Axis, *, most: int) -> Spec | None:
    pairs = sorted((row for row in rows if row is not None), key=lambda row: row["measured"])
    if not pairs:
        return None
    values = [row[name] for row in pairs for name in ("measured", "predicted")]
    ends = (min(values) / MARGIN, max(values) * MARGIN)
    scale = {"type": "log", "domain": list(ends), "nice": False}
    labels = {
        **axis.labels,
        "values": log_ticks(*ends),
        "labelOverlap": True,
        "labelSeparation": 6,
    }
    x = {
        "type": "quantitative",
        "scale": scale,
        "axis": labels,
        "title": f"measured {axis.title}",
    }
    y = {**x, "title": "predicted"}
    return picture(
        thinned(pairs, most),
        height=380,
        description=_sentence(pairs, most),
        layer=[*_diagonal(ends, x, y), _dots(x, y)],
    )


def _row(
    one: Result | ServeResult,
    measured: float | None,
    predicted: float | None,
    *,
    inside: bool | None,
    axis: _Axis,
) -> Row | None:
    """One run; None where it was not predicted."""
    if measured is None or predicted is None:
        return None
    measured, predicted = axis.unit * measured, axis.unit * predicted
    return {
        "id": one.id,
        "source": one.source,
        "accelerator": one.accelerator,
        "measured": measured,
        "predicted": predicted,
        "words": f"{axis.words(predicted)} for {axis.words(measured)}",
        "off": f"{predicted / measured - 1.0:+.1%}",
        "inside": INSIDE if inside else OUTSIDE,
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
        "words": "predicted for measured",
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


def _sentence(pairs: Sequence[Row], most: int) -> str:
    """Say what is seen."""
    errors = (row["predicted"] / row["measured"] - 1.0 for row in pairs)
    median = statistics.median(map(abs, errors))
    inside = sum(row["inside"] == INSIDE for row in pairs) / len(pairs)
    thin = f", {most:,} of them drawn," if len(pairs) > most else ""
    return (
        f"{len(pairs):,} measured runs{thin} against their predictions: half of the errors are "
        f"below {median:.1%}, {inside:.0%} of the runs lie inside their 80 % interval."
    )
