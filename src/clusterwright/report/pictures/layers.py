"""Layers that several pictures have: intervals, labelled lines, tooltips, axes of time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from clusterwright.report.pictures.theme import Row, style

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


def tooltip(titles: Mapping[str, str]) -> list[Row]:
    """Return what is shown of a row: fields of words, and their titles."""
    return [{"field": field, "type": "nominal", "title": title} for field, title in titles.items()]


def interval(low: str, high: str, *, along: str = "x", **more: object) -> Row:
    """Return the layer that draws an interval as a rule between two fields."""
    return {
        "mark": style("interval", "rule", **more),
        "encoding": {along: number(low), f"{along}2": {"field": high}},
    }


def words(field: str, *, look: str = "words", where: Row | None = None, **more: object) -> Row:
    """Return a layer of text.

    Parameters
    ----------
    field
        What is written.
    look
        A style of the theme.
    where
        Encoding of its place, beside what the layers share.
    more
        Of the mark: ``align``, ``dx`` …
    """
    encoding = {**(where or {}), "text": {"field": field, "type": "nominal"}}
    return {"mark": style(look, "text", tooltip=False, **more), "encoding": encoding}


def there(values: Sequence[Row], field: str, *layers: Row) -> Row:
    """Return layers of those rows alone that have a field."""
    return over([row for row in values if row.get(field) is not None], *layers)


def over(rows: Sequence[Row], *layers: Row) -> Row:
    """Return layers over rows of their own."""
    return {"data": {"values": list(rows)}, "layer": list(layers)}


def log_ticks(low: float, high: float) -> list[float]:
    """Return few round numbers between two, for a logarithmic axis.

    >>> log_ticks(0.008, 20.0), log_ticks(0.15, 2.1), log_ticks(0.012, 0.04)
    ([0.01, 0.1, 1.0, 10.0], [0.2, 0.5, 1.0, 2.0], [0.015, 0.02, 0.03, 0.04])
    """
    steps = next(steps for ratio, steps in STEPS if high / low > ratio)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found = [float(f"{step}e{power}") for power in range(first, last + 1) for step in steps]
    return [one for one in found if low <= one <= high]
