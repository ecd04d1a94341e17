"""Scorecards: ratios to the baseline, layer by layer, on an axis where twice and half are alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from clusterwright.report.pictures.layers import tooltip
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.report.scorecard_text import ratio_words
from clusterwright.scorecard.records import (
    ChipScore,
    OperatorResult,
    Part,
    ScenarioResult,
    Scorecard,
)
from clusterwright.scorecard.records import Layer as Score

Layer = Literal["performance", "scenario", "comprehensive"]
LAYERS: Final[tuple[Layer, ...]] = ("performance", "scenario", "comprehensive")
WIDE: Final = 13
"""Letters of a name of which a phone has no two beside each other."""
ROOM: Final = 1.35
"""Factor left free beyond the outermost ratio, for its figure."""
PARTIAL: Final = "*"
"""Behind a score that rests on a part of the weights."""
WHOLE: Final = 1.0 - 1e-9
"""Share of the weights from which on it is all of them. [1]"""
TIMES: Final = {"labelExpr": "datum.label + '×'", "format": "~g"}


def scorecard(card: Scorecard) -> Spec | None:
    """Draw the scores of each accelerator in the three layers, the baseline at 1.

    Parameters
    ----------
    card
        A scorecard; its first accelerator is the baseline.
    """
    rows = [_layer_row(chip, layer) for chip in card.chips[1:] for layer in LAYERS]
    return _drawn(rows, card, "chip", "layer", LAYERS, what="score")


def scorecard_layer(card: Scorecard, layer: Layer) -> Spec | None:
    """Draw what one layer consists of: operators, jobs, or parts of the whole.

    Parameters
    ----------
    card
        A scorecard; its first accelerator is the baseline.
    layer
        Which layer.
    """
    chips = card.chips[1:]
    rows = [
        _row(chip.id, one.id, one.ratio, one.why) for chip in chips for one in _parts(chip, layer)
    ]
    return _drawn(rows, card, "layer", "chip", [chip.id for chip in chips], what=layer)


def _score(chip: ChipScore, layer: Layer) -> Score:
    return {
        "performance": chip.performance,
        "scenario": chip.scenario,
        "comprehensive": chip.comprehensive,
    }[layer]


def _parts(
    chip: ChipScore, layer: Layer
) -> Sequence[OperatorResult] | Sequence[ScenarioResult] | Sequence[Part]:
    if layer == "performance":
        return chip.operators
    return chip.scenarios if layer == "scenario" else chip.parts


def partial(card: Scorecard) -> str:
    """Say which scores rest on a part of the weights; "" where none does."""
    parts = [
        f"{chip.id} {layer} on {_score(chip, layer).covered:.0%}"
        for chip in card.chips[1:]
        for layer in LAYERS
        if _in_part(_score(chip, layer))
    ]
    return f"{PARTIAL} rests on a part of the weights: {', '.join(parts)}" if parts else ""


def _in_part(found: Score) -> bool:
    return found.score is not None and found.covered < WHOLE


def _layer_row(chip: ChipScore, layer: Layer) -> Row:
    """A score; where it rests on a part of the weights, its figure has a mark."""
    found = _score(chip, layer)
    row = _row(chip.id, layer, found.score, f"rests on {found.covered:.0%} of the weights")
    return {**row, "words": row["words"] + (PARTIAL if _in_part(found) else "")}


def _row(chip: str, layer: str, ratio: float | None, why: str) -> Row:
    row: Row = {"chip": chip, "layer": layer, "words": ratio_words(ratio), "why": why}
    # A ratio of 0 has no place on this axis; its figure still stands beside its name.
    return {**row, "one": 1.0, "ratio": ratio} if ratio else {**row, "none": 1.0}


def _drawn(
    rows: list[Row], card: Scorecard, y: str, group: str, groups: Sequence[str], *, what: str
) -> Spec | None:
    """Bars from 1; a row of dots where several accelerators share it."""
    known = [row["ratio"] for row in rows if "ratio" in row]
    if not known:
        return None
    names = list(dict.fromkeys(row[y] for row in rows))
    place: Row = {"y": {"field": y, "type": "nominal", "sort": names, "title": None}}
    height: Row = {"step": 22}
    dots = group == "chip" and len(groups) > 1
    if len(groups) > 1 and not dots:
        place["y"]["scale"] = {"paddingInner": 0.2, "paddingOuter": 0.1}
        place["yOffset"] = {"field": group, "type": "nominal", "sort": list(groups)}
        height = {"step": 18}
    colour = {
        "field": group,
        "type": "nominal",
        "scale": {"domain": list(groups)},
        "legend": _legend(groups) if len(groups) > 1 else None,
    }
    ends = [min([1.0, *known]) / ROOM, max([1.0, *known]) * ROOM]
    x = _axis(ends, card.baseline)
    layers = [_bars(x, place, colour), *_figures(place), _one()]
    if dots:
        layers = [_one(), _dots(x, place, colour)]
    return picture(
        rows,
        height=height,
        description=_sentence(card, names, what),
        layer=layers,
    )


def _legend(groups: Sequence[str]) -> Row:
    """Two beside each other where they fit on a phone."""
    wide = max(map(len, groups)) > WIDE
    return {"columns": 1 if wide else 2, "offset": 8}


def _axis(ends: Sequence[float], baseline: str) -> Row:
    return {
        "type": "quantitative",
        "scale": {"type": "log", "base": 2, "domain": list(ends), "nice": False},
        "title": f"ratio to {baseline} [1]",
        "axis": {**TIMES, "tickCount": 4},
    }


def _tooltip() -> list[Row]:
    titles = {"layer": "of", "chip": "accelerator", "words": "ratio", "why": "note"}
    return tooltip(titles)


def _bars(x: Row, place: Row, colour: Row) -> Row:
    return {
        "mark": {"type": "bar"},
        "encoding": {
            **place,
            "x": {**x, "field": "one"},
            "x2": {"field": "ratio"},
            "color": colour,
            "tooltip": _tooltip(),
        },
    }


def _dots(x: Row, place: Row, colour: Row) -> Row:
    legend = {**colour["legend"], "symbolType": "circle"}
    return {
        "mark": {"type": "point", "size": 80},
        "encoding": {
            **place,
            "x": {**x, "field": "ratio"},
            "color": {**colour, "legend": legend},
            "tooltip": _tooltip(),
        },
    }


def _figures(place: Row) -> list[Row]:
    """Ratios at the ends of their bars; a dash at 1 where there is none."""
    return [
        {
            "transform": [{"filter": where}],
            "mark": style("words", "text", align=align, dx=dx, fontSize=11, tooltip=False),
            "encoding": {
                **place,
                "x": {"field": at, "type": "quantitative"},
                "text": {"field": "words"},
            },
        }
        for where, at, align, dx in (
            ({"field": "ratio", "gte": 1}, "ratio", "left", 4),
            ({"field": "ratio", "lt": 1}, "ratio", "right", -4),
            ({"field": "none", "equal": 1}, "none", "left", 4),
        )
    ]


def _one() -> Row:
    """The baseline."""
    return {
        "data": {"values": [{}]},
        "mark": style("interval", "rule", strokeWidth=1, tooltip=False),
        "encoding": {"x": {"datum": 1}, "y": {"value": 0}, "y2": {"value": "height"}},
    }


def _sentence(card: Scorecard, names: Sequence[str], what: str) -> str:
    """Say what is seen."""
    scores = [f"{chip.id} {ratio_words(chip.comprehensive.score)}" for chip in card.chips[1:]]
    of = f"{what} ({len(names)} rows)" if what in LAYERS else "layer"
    return f"Ratios to {card.baseline} by {of}; as a whole: {', '.join(scores)}."
