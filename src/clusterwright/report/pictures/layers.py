"""Parts that several pictures have: axes, dots, intervals, words, tooltips, rows of bars."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from clusterwright.report.pictures.theme import Row, Spec, picture, style

TIMES: Final = {
    "labelExpr": "datum.value < 1e-3 ? format(datum.value * 1e6, ',~g') + ' µs' : "
    "datum.value < 1 ? format(datum.value * 1e3, ',~g') + ' ms' : "
    "format(datum.value, ',~g') + ' s'"
}
"""Labels of a logarithmic axis in seconds: from microseconds to minutes no one unit reads well."""
STEPS: Final = ((200.0, (1,)), (7.0, (1, 2, 5)), (0.0, (1, 1.5, 2, 3, 4, 5, 7)))
"""Ticks of a decade on a logarithmic axis, by the ratio of its ends from which they are enough."""
LABEL: Final = 1.4
"""End of an axis over its longest bar, so that a short number beside it fits on a phone. [1]"""


def number(field: str, **more: object) -> Row:
    """Return an encoding by a field of numbers.

    >>> number("low", title=None)
    {'field': 'low', 'type': 'quantitative', 'title': None}
    """
    return {"field": field, "type": "quantitative", **more}


def name(field: str, order: Iterable[str], **more: object) -> Row:
    """Return an encoding by a field of names, in the order in which they are given."""
    return {"field": field, "type": "nominal", "sort": list(order), "title": None, **more}


def kind(field: str, kinds: Iterable[str], **legend: object) -> Row:
    """Return a colour for each of some kinds, in their order."""
    return {"field": field, "type": "nominal", "title": None, "scale": {"domain": list(kinds)},
            "legend": legend}  # fmt: skip


def axis(title: str, low: float, high: float, **more: object) -> Row:
    """Return the encoding of an axis that ends where it is told."""
    return {
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [low, high], "nice": False},
        "axis": {"labelOverlap": True, "labelSeparation": 8, **more},
    }


def log_axis(title: str, low: float, high: float) -> Row:
    """Return the encoding of a logarithmic axis of times. [s]"""
    return {"type": "quantitative", "title": title,
            "scale": {"type": "log", "domain": [low, high], "nice": False},
            "axis": {**TIMES, "values": log_ticks(low, high)}}  # fmt: skip


def log_ticks(low: float, high: float) -> list[float]:
    """Return few round numbers between two, for a logarithmic axis.

    >>> log_ticks(0.008, 20.0), log_ticks(0.15, 2.1), log_ticks(0.012, 0.04)
    ([0.01, 0.1, 1.0, 10.0], [0.2, 0.5, 1.0, 2.0], [0.015, 0.02, 0.03, 0.04])
    """
    steps = next(steps for ratio, steps in STEPS if high / low > ratio)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found = [float(f"{step}e{power}") for power in range(first, last + 1) for step in steps]
    return [one for one in found if low <= one <= high]


def tooltip(titles: Mapping[str, str]) -> list[Row]:
    """Return what is shown of a row: fields of words, and their titles."""
    return [{"field": field, "type": "nominal", "title": title} for field, title in titles.items()]


def told(values: Sequence[Row], titles: Mapping[str, str]) -> list[Row]:
    """Return rows with a dash for those words of the tooltip that they lack."""
    return [{**dict.fromkeys(titles, "-"), **row} for row in values]


def dots(look: str, where: Row, *, size: int = 90, **more: object) -> Row:
    """Return a layer of dots; ``where``: their encoding beside what the layers share."""
    return {"mark": style(look, "point", size=size, opacity=1, **more), "encoding": where}


def bars(look: str, field: str, *, band: float = 0.7) -> Row:
    """Return a layer of bars along x, as high as a share of their row."""
    return {"mark": style(look, "bar", height={"band": band}), "encoding": {"x": number(field)}}


def interval(low: str, high: str, **more: object) -> Row:
    """Return the layer that draws an interval as a rule along x between two fields."""
    return {
        "mark": style("interval", "rule", **more),
        "encoding": {"x": number(low), "x2": {"field": high}},
    }


def words(field: str, where: Row | None = None, *, look: str = "words", **more: object) -> Row:
    """Return a layer of text.

    Parameters
    ----------
    field
        What is written.
    where
        Encoding of its place, beside what the layers share.
    look
        A style of the theme.
    more
        Of the mark: ``align``, ``dx`` …
    """
    text = {"field": field, "type": "nominal"}
    encoding = {**(where or {}), "text": text, "tooltip": None}
    # Words in the style of a line would be drawn with its stroke as well.
    return {"mark": style(look, "text", tooltip=False, strokeWidth=0, **more), "encoding": encoding}


def level(value: float, said: str, *, line: str, look: str, above: float | None = None) -> Row:
    """Return a line across at a height, with words above it or above another height."""
    at = {"x": {"value": 0}, "y": number("level")}
    rule = style(line, "rule", tooltip=False)
    return over(
        [{"level": value, "above": value if above is None else above, "words": said}],
        {"mark": rule, "encoding": {**at, "x2": {"value": "width"}}},
        words("words", {**at, "y": number("above")}, look=look, align="left", dx=4, dy=-8),
    )


def there(values: Sequence[Row], field: str, *layers: Row) -> Row:
    """Return layers of those rows alone that have a field."""
    return over([row for row in values if row.get(field) is not None], *layers)


def over(rows: Sequence[Row], *layers: Row) -> Row:
    """Return layers over rows of their own."""
    return {"data": {"values": list(rows)}, "layer": list(layers)}


def ranked(
    values: Sequence[Row], field: str, *, title: str, told: Mapping[str, str], description: str
) -> Spec:
    """Return rows of names, each with a bar and its ``words``.

    Parameters
    ----------
    values
        Rows with ``name``, ``words`` and the field, in their order.
    field
        How long bars are.
    title
        Of the axis.
    told
        Fields of the tooltip with their titles.
    description
        What is seen, in a sentence.
    """
    lengths = [row[field] for row in values]
    return picture(
        values,
        height={"step": 26},
        description=description,
        encoding={
            "y": name("name", [row["name"] for row in values]),
            "x": axis(title, min(0.0, *lengths), LABEL * max(lengths), tickCount=4),
            "tooltip": tooltip(told),
        },
        layer=[bars("accent", field), words("words", {"x": number(field)}, align="left", dx=6)],
    )
