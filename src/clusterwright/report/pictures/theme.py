"""How pictures look, light and dark: type, axes, a palette and the styles that marks are given.

A specification holds no colour. Its marks have a ``style`` and its scales the range ``category``,
or ``verdict`` where four colours go from good to bad; they get their colours here, when `dressed`
or a page joins a picture and a theme. The palette keeps any two of its eight colours apart for the
three kinds of colour blindness (at least 0.08 in OKLab under Machado's matrices), and each mark on
its ground at a contrast of 2 or more.

Styles, for ``"mark": {"type": …, "style": …}``: ``accent`` what a picture is about; ``soft`` beside
it; ``quiet`` what is left; ``good`` and ``bad``; ``limit`` a line not to be passed; ``reference`` a
thin line to compare with; ``interval`` the rule of an interval; ``band`` the area of one;
``ring`` a mark around another; ``words``, ``muted`` and ``strong`` text; ``inside`` text on a mark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
FONT: Final = 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif'
PHONE: Final = 340
"""Width at which every picture must still be readable. [px]"""
MOST_ROWS: Final = 2000
"""Rows that a picture holds at most; what has more is thinned by a rule that it states."""

Spec = dict[str, Any]
Row = dict[str, Any]


class Colours(NamedTuple):
    """The colours of one theme; a page's style sheet takes the same.

    ``ground``: behind a picture. ``text``, ``muted``: words. ``line``: grids. ``quiet``: marks that
    matter least. ``accent``: the first of ``category``. ``good``, ``bad``: judgements.
    """

    ground: str
    text: str
    muted: str
    line: str
    quiet: str
    soft: str
    good: str
    bad: str
    category: tuple[str, ...]

    @property
    def accent(self) -> str:
        """What a picture is about."""
        return self.category[0]


LIGHT: Final = Colours(
    ground="#ffffff",
    text="#1f2328",
    muted="#59636e",
    line="#e4e7eb",
    quiet="#b3bac3",
    soft="#9cbbdf",
    good="#2e8560",
    bad="#c2413a",
    category=(
        "#2f6db3",
        "#a36f2c",
        "#6caa8c",
        "#98447a",
        "#9882ce",
        "#cdaa44",
        "#3cc0de",
        "#883222",
    ),
)
DARK: Final = Colours(
    ground="#14171c",
    text="#e6e9ee",
    muted="#9aa5b1",
    line="#2b313a",
    quiet="#56606c",
    soft="#3d5f88",
    good="#5fbf93",
    bad="#f07a6e",
    category=(
        "#6aa5e8",
        "#bb813e",
        "#afe7c3",
        "#e8839a",
        "#795f97",
        "#dbbf55",
        "#62cfe8",
        "#ac4d43",
    ),
)


def config(*, dark: bool) -> Spec:
    """Return the ``config`` of Vega-Lite for one theme; the ground is left to the page."""
    colours = DARK if dark else LIGHT
    return {
        "background": "transparent",
        "font": FONT,
        "padding": {"left": 4, "right": 8, "top": 4, "bottom": 4},
        "view": {"stroke": None, "continuousHeight": 260, "step": 26},
        "axis": _axis(colours),
        "axisBand": {"grid": False, "domain": False, "labelColor": colours.text},
        "axisPoint": {"labelColor": colours.text},
        "axisX": {"titleAnchor": "end", "titleAlign": "right", "titlePadding": 6},
        # A title above its axis reads without a turned head, and costs no width on a phone.
        "axisY": {
            "titleAngle": 0,
            "titleAlign": "left",
            "titleAnchor": "start",
            "titleBaseline": "bottom",
            "titleX": 0,
            "titleY": -8,
        },
        "legend": _legend(colours),
        "header": {"labelColor": colours.text, "titleColor": colours.muted},
        "range": {
            "category": list(colours.category),
            "ordinal": [colours.soft, colours.accent],
            "ramp": [colours.line, colours.accent],
            "heatmap": [colours.line, colours.accent],
            "diverging": [colours.bad, colours.line, colours.accent],
            # A range of our own: from what holds to what does not.
            "verdict": [colours.good, colours.accent, colours.category[5], colours.bad],
        },
        "style": _styles(colours),
        **_marks(colours),
    }


def dressed(spec: Spec, *, dark: bool, width: float | None = None) -> Spec:
    """Return a picture joined with its theme and on its ground, as files need it.

    Parameters
    ----------
    spec
        What a function of this package returned.
    dark
        Which theme.
    width
        Width where there is no page to give one [px]; None leaves it to the container.
    """
    ground = (DARK if dark else LIGHT).ground
    themed = {**spec, "background": ground, "config": config(dark=dark)}
    return themed if width is None else {**themed, "width": width, "autosize": _FIT}


def picture(
    values: Sequence[Row], *, height: float | Row, description: str, **body: object
) -> Spec:
    """Return a specification over inline rows, as wide as its container.

    Parameters
    ----------
    values
        Rows, at most `MOST_ROWS`.
    height
        Of the plot, or of each category of its y axis (``{"step": 26}``). [px]
    description
        One sentence with numbers; it becomes the accessible label.
    body
        ``mark`` and ``encoding``, or ``layer``.
    """
    assert len(values) <= MOST_ROWS, "a picture is thinned before it is drawn"
    return {
        "$schema": SCHEMA,
        "description": description,
        "width": "container",
        "height": height if isinstance(height, (int, float)) else _counted(height, values, body),
        "autosize": _FIT,
        "data": {"values": list(values)},
        **body,
    }


def _counted(height: Row, values: Sequence[Row], body: Row) -> float | Row:
    """So many pixels for each category of y, or for each of its parts, as a height.

    Vega-Lite has steps of its own, but does not fit a width to its container beside them.
    """
    layers = [body, *body.get("layer", ())]
    found = [one["encoding"] for one in layers if "field" in one.get("encoding", {}).get("y", {})]
    if not found:
        return height
    keys = ["y", "yOffset"] if "yOffset" in found[0] else ["y"]
    names = ({row.get(found[0][key]["field"]) for row in values} - {None} for key in keys)
    return float(height["step"] * math.prod(map(len, names)))


def thinned(rows: Sequence[Row], most: int = MOST_ROWS) -> list[Row]:
    """Return at most ``most`` rows, evenly spaced in their order, the first and the last kept.

    >>> [row["x"] for row in thinned([{"x": x} for x in range(9)], 3)]
    [0, 4, 8]
    """
    if len(rows) <= most:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


_FIT: Final = {"type": "fit-x", "contains": "padding"}


def _axis(colours: Colours) -> Spec:
    """Light grid, no ticks, words that step back behind the data."""
    return {
        "domain": False,
        "domainColor": colours.quiet,
        "grid": True,
        "gridColor": colours.line,
        "labelColor": colours.muted,
        "labelFontSize": 12,
        "labelLimit": 170,
        "labelPadding": 6,
        "tickCount": 5,
        "ticks": False,
        "titleColor": colours.muted,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titleLimit": 320,
    }


def _legend(colours: Colours) -> Spec:
    """Above the plot, in rows of three, without a title: the axis says what is counted."""
    return {
        "orient": "top",
        "direction": "horizontal",
        "columns": 3,
        "columnPadding": 12,
        "labelColor": colours.text,
        "labelFontSize": 12,
        "labelLimit": 160,
        "labelOffset": 4,
        "offset": 26,  # the title of a vertical axis lies below it
        "rowPadding": 3,
        "symbolSize": 90,
        "symbolStrokeWidth": 0,
        "symbolType": "square",
        "title": None,
        "titleColor": colours.muted,
    }


def _marks(colours: Colours) -> Spec:
    """What a mark looks like that has no style."""
    return {
        "mark": {"color": colours.accent, "tooltip": True},
        "bar": {"color": colours.accent, "cornerRadius": 1},
        "area": {"color": colours.accent, "opacity": 0.25, "line": False},
        "line": {"color": colours.accent, "strokeWidth": 2, "strokeJoin": "round"},
        "point": {"color": colours.accent, "filled": True, "size": 60, "opacity": 0.9},
        "rule": {"color": colours.muted, "strokeWidth": 1.5},
        "tick": {"color": colours.text, "thickness": 2},
        "text": {"color": colours.text, "fontSize": 12},
    }


def _styles(colours: Colours) -> Spec:
    """Return the named styles."""
    return {
        "accent": {"color": colours.accent},
        "soft": {"color": colours.soft},
        "quiet": {"color": colours.quiet},
        "good": {"color": colours.good},
        "bad": {"color": colours.bad},
        "limit": {"color": colours.bad, "strokeWidth": 1.5},
        "reference": {"color": colours.muted, "strokeWidth": 1, "strokeDash": [4, 3]},
        "interval": {"color": colours.text, "strokeWidth": 1.5},
        "band": {"color": colours.accent, "opacity": 0.18},
        "ring": {"color": colours.text, "strokeWidth": 1.5, "filled": False},
        "words": {"color": colours.text},
        "muted": {"color": colours.muted},
        "strong": {"color": colours.text, "fontWeight": 600},
        "inside": {"color": colours.ground},
    }


def style(name: str, mark: str, **more: object) -> Spec:
    """Return a mark with a style of the theme.

    >>> style("accent", "bar", height=12)
    {'type': 'bar', 'style': 'accent', 'height': 12}
    """
    return {"type": mark, "style": name, **more}
