"""From peak to achieved: what a training step would take at the peak, and each loss after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clusterwright.report.pictures.layers import tooltip
from clusterwright.report.pictures.scales import Unit, unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.training.estimate import TrainingEstimate
from clusterwright.units import format_time

KINDS: Final = {
    "at peak": ("ideal",),
    "computing": ("extra work", "kernels", "memory-bound", "recompute", "optimizer"),
    "traffic": ("tp", "cp", "ep", "pp", "dp", "offload"),
    "waiting": ("host", "bubble", "stragglers"),
}
"""Terms of a step by what the accelerator does in them."""
STEP: Final = "step"
LEAST_SHARE: Final = 5e-4
"""Terms with a smaller share of the step are left out of the picture, as of the text."""

THICK: Final = {"band": 0.72}


def waterfall(estimate: TrainingEstimate) -> Spec:
    """Draw the terms of a step, each from where the last one ended, and the step's interval.

    Parameters
    ----------
    estimate
        A training estimate; its terms add up to the time of its step.
    """
    unit = unit_for([estimate.step_time], "s")
    values = [*_terms(estimate, unit), _whole(estimate, unit)]
    names = [row["name"] for row in values]
    y = {"field": "name", "type": "nominal", "sort": names, "title": None}
    end = max(estimate.step_time, *estimate.step_time_interval)
    x = {"type": "quantitative", "title": unit.titled("time of a step"),
         "scale": {"domain": [0, unit.of(end) * 1.02], "nice": False}}  # fmt: skip
    bar = {"x": {**x, "field": "start"}, "x2": {"field": "end"}, "tooltip": _tooltip()}
    layers = [
        _links(),
        {
            **_where("kind", list(KINDS)),
            "mark": {"type": "bar", "height": THICK},
            "encoding": {**bar, "color": _colour()},
        },
        {**_where("name", [STEP]), "mark": style("quiet", "bar", height=THICK), "encoding": bar},
        _interval(),
        *_labels(),
    ]
    return picture(
        values,
        height={"step": 24},
        description=_sentence(estimate),
        encoding={"y": y},
        layer=layers,
    )


def _terms(estimate: TrainingEstimate, unit: Unit) -> list[Row]:
    """One row for each term that can be seen; those left out still move the next ones on."""
    rows: list[Row] = []
    end = 0.0
    for term in estimate.waterfall:
        start, end = end, end + term.time
        share = term.time / estimate.step_time
        if abs(share) < LEAST_SHARE and term.name != "ideal":
            continue
        rows.append(
            {
                "name": term.name,
                "start": unit.of(start),
                "end": unit.of(end),
                "time": format_time(term.time),
                "share": f"{share:.1%}",
                "meaning": term.meaning,
                "kind": next(kind for kind, names in KINDS.items() if term.name in names),
                # Left of a bar that starts late there is nothing, right of it soon the edge.
                "side": "left" if start > 0.4 * estimate.step_time else "right",
            }
        )
    for row, after in zip(rows, [*rows[1:], {"name": STEP}], strict=True):
        row["next"] = after["name"]
    return rows


def _whole(estimate: TrainingEstimate, unit: Unit) -> Row:
    """The step itself, with its interval."""
    low, high = estimate.step_time_interval
    return {
        "name": STEP,
        "start": 0.0,
        "end": unit.of(estimate.step_time),
        "low": unit.of(low),
        "high": unit.of(high),
        "time": format_time(estimate.step_time),
        "share": "100%",
        "meaning": f"80 % interval {format_time(low)} to {format_time(high)}",
        "words": format_time(estimate.step_time),
        "side": "in",
    }


def _where(field: str, values: Sequence[str]) -> Row:
    return {"transform": [{"filter": {"field": field, "oneOf": list(values)}}]}


def _colour() -> Row:
    return {
        "field": "kind",
        "type": "nominal",
        "scale": {"domain": list(KINDS)},
        "legend": {"offset": 8, "columns": 2},
    }


def _tooltip() -> list[Row]:
    titles = {"name": "term", "meaning": "what", "time": "time", "share": "of the step"}
    return tooltip(titles)


def _links() -> Row:
    """Thin lines from the end of a bar to the start of the next."""
    return {
        **_where("kind", list(KINDS)),
        "mark": style("quiet", "rule", strokeWidth=1, tooltip=False),
        "encoding": {
            "x": {"field": "end", "type": "quantitative"},
            "y": {"field": "name", "type": "nominal", "bandPosition": 0.5},
            "y2": {"field": "next", "bandPosition": 0.5},
        },
    }


def _interval() -> Row:
    return {
        **_where("name", [STEP]),
        "layer": [
            {
                "mark": style("interval", "rule"),
                "encoding": {
                    "x": {"field": "low", "type": "quantitative"},
                    "x2": {"field": "high"},
                },
            },
            *(
                {
                    "mark": style("interval", "tick", height=10, thickness=1.5),
                    "encoding": {"x": {"field": end, "type": "quantitative"}},
                }
                for end in ("low", "high")
            ),
        ],
    }


def _labels() -> list[Row]:
    """Shares beside the bars, the time of the step on its own."""
    sides = {
        "right": ("share", "end", style("words", "text", align="left", dx=5)),
        "left": ("share", "start", style("words", "text", align="right", dx=-5)),
        "in": ("words", "start", style("strong", "text", align="left", dx=7)),
    }
    return [
        {
            **_where("side", [side]),
            "mark": mark,
            "encoding": {
                "x": {"field": at, "type": "quantitative"},
                "text": {"field": field},
            },
        }
        for side, (field, at, mark) in sides.items()
    ]


def _sentence(estimate: TrainingEstimate) -> str:
    """Say what is seen."""
    low, high = estimate.step_time_interval
    ideal, *losses = estimate.waterfall
    worst = max(losses, key=lambda term: term.time)
    return (
        f"A step takes {format_time(estimate.step_time)} (80 % interval {format_time(low)} to "
        f"{format_time(high)}): {format_time(ideal.time)} at the peak, "
        f"{ideal.time / estimate.step_time:.0%} of it; the largest loss is {worst.name} with "
        f"{worst.time / estimate.step_time:.0%}."
    )
