"""Pictures of predictions against measurements, as plain SVG.

`scatter` is one chart, `sheet` many small ones, `error_chart` a line per source with its errors.
Both axes of a scatter are logarithmic and alike; a prediction that is right lies on the diagonal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clusterwright.records import Record
from clusterwright.report import drawing
from clusterwright.report.drawing import number

MOST_POINTS = 300
"""Dots of one chart; more would only be drawn on top of each other."""
NEAR, WIDE = 0.10, 0.25
"""Shares by which the two bands reach above and below the diagonal."""
MARGIN = 1.25
"""Factor that is left free beyond the outermost point."""
SHORTEST, LONGEST = 1e-12, 1e12
"""Times beyond these are none. [s]"""
COLUMNS = 4
PANEL, GAP = 226.0, 14.0
HEAD = 58.0
BOLD = 0.85
"""What bold letters leave of a width."""


class Pair(NamedTuple):
    """One run: measured and predicted time of a step. [s]"""

    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """Predicted over measured, minus 1."""
        return self.predicted / self.measured - 1.0


class Panel(Record, frozen=True, kw_only=True):
    """What one scatter shows."""

    title: str
    subtitle: str
    pairs: tuple[Pair, ...]


class ErrorRow(Record, frozen=True, kw_only=True):
    """One line of `error_chart`: shares of the measured value, 0 or more."""

    label: str
    median: float
    p90: float
    flat: float


class _Frame(NamedTuple):
    """A square of the picture, and the range of both its axes."""

    x: float
    y: float
    side: float
    low: float
    high: float

    def along(self, value: float) -> float:
        """Pixels from the start of an axis."""
        start = math.log(self.low)
        share = (math.log(value) - start) / (math.log(self.high) - start)
        return self.side * min(1.0, max(0.0, share))

    def place(self, measured: float, predicted: float) -> tuple[float, float]:
        """Where a pair lies."""
        return self.x + self.along(measured), self.y + self.side - self.along(predicted)


def scatter(panel: Panel, *, side: float = 460.0) -> str:
    """Draw one chart.

    Parameters
    ----------
    side
        Width of the square. [px]
    """
    kept = thinned(panel.pairs)
    drawn = f" ({len(kept)} drawn)" if len(panel.pairs) > MOST_POINTS else ""
    frame = _frame(58.0, 66.0, side, kept)
    body = [
        drawing.text(16, 26, panel.title, "head"),
        drawing.text(16, 46, panel.subtitle + drawn, "soft"),
        *_chart(frame, kept),
        drawing.text(58 + side / 2, side + 106, "measured step time [s]", "soft mid"),
        *_key(58, side + 128),
    ]
    upright = f'transform="rotate(-90 16 {number(66 + side / 2)})"'
    label = drawing.text(16, 66 + side / 2, "predicted step time [s]", "soft mid")
    body.append(label.replace("<text ", f"<text {upright} ", 1))
    words = f"Predicted against measured step time. {panel.subtitle}."
    return drawing.document(
        side + 84, side + 146, body, title=panel.title, description=words + _KEY_WORDS
    )


def sheet(
    title: str,
    panels: Sequence[Panel],
    *,
    columns: int = COLUMNS,
    what: str = "step time in seconds",
) -> str:
    """Draw many small charts side by side, in the order given.

    Parameters
    ----------
    what
        The axes have, with its unit.
    """
    width = columns * PANEL + (columns + 1) * GAP
    tall = PANEL + 62.0
    rows = math.ceil(len(panels) / columns)
    subtitle = (
        f"{what}: measured to the right, predicted upwards, both logarithmic; at most "
        f"{MOST_POINTS} runs a chart"
    )
    body = [
        drawing.text(GAP, 26, title, "head"),
        drawing.text(GAP, 46, subtitle, "soft"),
        *_key(GAP, HEAD + 8),
    ]
    for place, panel in enumerate(panels):
        x = GAP + place % columns * (PANEL + GAP)
        y = HEAD + 30.0 + place // columns * (tall + GAP)
        body += _small(panel, x, y)
    if not panels:
        body.append(drawing.text(GAP, HEAD + 50, "no runs to show", "soft"))
    height = HEAD + 44.0 + max(1, rows) * (tall + GAP)
    words = f"{len(panels)} charts of predicted against measured runs: {what}."
    return drawing.document(width, height, body, title=title, description=words + _KEY_WORDS)


def error_chart(title: str, rows: Sequence[ErrorRow]) -> str:
    """Draw a line for each row: median, 90 % quantile, and the one-line formula's median."""
    left, top, wide, step = 400.0, 84.0, 520.0, 22.0
    bottom = top + step * max(1, len(rows))
    body = [drawing.text(16, 26, title, "head"), *_error_key(16, 48)]
    for tick in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0):
        x = left + tick * wide
        body += [
            drawing.path([(x, top - 6), (x, bottom)], "grid"),
            drawing.text(x, top - 12, f"{tick:.0%}".replace("%", " %"), "tick mid"),
        ]
    for place, row in enumerate(rows):
        body += _error_line(row, left, top + step * (place + 0.5), wide)
    if not rows:
        body.append(drawing.text(16, top + 16, "no runs to show", "soft"))
    words = "By source: median error, error that 90 % stay below, and the one-line formula's median"
    return drawing.document(
        left + wide + 70, bottom + 16, body, title=title, description=f"{words}, worst first."
    )


def thinned(pairs: Iterable[Pair], most: int = MOST_POINTS) -> list[Pair]:
    """Return at most so many pairs, evenly over their errors, with both ends.

    What no axis can hold (zero, negative, not finite, beyond any time) is left out.
    """
    held = [p for p in pairs if all(SHORTEST < v < LONGEST for v in p)]
    if len(held) <= most:
        return held
    ordered = sorted(held, key=lambda p: (p.error, p))
    return [ordered[round(i * (len(ordered) - 1) / (most - 1))] for i in range(most)]


_KEY_WORDS = (
    " The diagonal is a perfect prediction; the bands are 10 % and 25 % to either side; "
    "runs outside the wider band have another colour."
)


def _key(x: float, y: float) -> list[str]:
    """Say what the bands and the colours mean."""
    return [
        f'<rect class="near" x="{number(x)}" y="{number(y - 9)}" width="16" height="10"/>',
        drawing.text(x + 21, y, "within 10 %", "tick"),
        f'<rect class="wide" x="{number(x + 100)}" y="{number(y - 9)}" width="16" height="10"/>',
        drawing.text(x + 121, y, "within 25 %", "tick"),
        drawing.dots([(x + 206, y - 4)], ""),
        drawing.text(x + 214, y, "a run", "tick"),
        drawing.dots([(x + 266, y - 4)], " far"),
        drawing.text(x + 274, y, "a run more than 25 % off", "tick"),
    ]


def _error_key(x: float, y: float) -> list[str]:
    """Say what the marks of `error_chart` mean."""
    return [
        _circle(x + 6, y - 4, 4.5, "full"),
        drawing.text(x + 16, y, "median error", "tick"),
        _circle(x + 112, y - 4, 3.5, "ring"),
        drawing.text(x + 121, y, "90 % of the runs are nearer", "tick"),
        _cross(x + 292, y - 4),
        drawing.text(x + 301, y, "median error of the one-line formula", "tick"),
    ]


def _error_line(row: ErrorRow, left: float, y: float, wide: float) -> list[str]:
    """Draw one row of `error_chart`; what is beyond 100 % stands at the edge with its figure."""

    def at(share: float) -> float:
        held = share if math.isfinite(share) else 1.0
        return left + wide * min(1.0, max(0.0, held))

    label = drawing.lines_of(row.label, left - 26, 1)[0]
    parts = [
        drawing.text(left - 14, y + 4, label, "end"),
        drawing.path([(left, y), (left + wide, y)], "grid"),
        drawing.path([(at(row.median), y), (at(row.p90), y)], "span"),
        _cross(at(row.flat), y),
        _circle(at(row.p90), y, 3.5, "ring"),
        _circle(at(row.median), y, 4.5, "full"),
    ]
    beyond = max(row.median, row.p90)
    if beyond > 1.0:
        shown = f"{beyond:.0%}".replace("%", " %") if math.isfinite(beyond) else "∞"
        parts.append(drawing.text(left + wide + 10, y + 4, shown, "tick"))
    return parts


def _circle(x: float, y: float, radius: float, kind: str) -> str:
    return f'<circle class="{kind}" cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"/>'


def _cross(x: float, y: float) -> str:
    a, b, c, d = (number(v) for v in (x - 4, x + 4, y - 4, y + 4))
    return f'<path class="flat" d="M{a} {c}L{b} {d}M{a} {d}L{b} {c}"/>'


def _small(panel: Panel, x: float, y: float) -> list[str]:
    """Draw one chart of a sheet, under its title of at most two lines."""
    name = drawing.lines_of(panel.title, PANEL * BOLD, 2)
    kept = thinned(panel.pairs)
    frame = _frame(x + 34.0, y + 44.0, PANEL - 40.0, kept)
    shown = [drawing.text(x, y + 14 * i, line, "name") for i, line in enumerate(name)]
    shown.append(drawing.text(x, y + 14 * len(name), panel.subtitle, "tick"))
    return [*shown, *_chart(frame, kept)]


def _frame(x: float, y: float, side: float, pairs: Sequence[Pair]) -> _Frame:
    """Return a square whose axes hold every pair, with something to spare."""
    values = [value for pair in pairs for value in pair] or [1.0]
    low, high = min(values) / MARGIN, max(values) * MARGIN
    return _Frame(x, y, side, low, high)


def _chart(frame: _Frame, pairs: Sequence[Pair]) -> list[str]:
    """Draw grid, bands, diagonal and dots."""
    f = frame
    corners = [(f.x, f.y), (f.x + f.side, f.y), (f.x + f.side, f.y + f.side), (f.x, f.y + f.side)]
    parts = [_band(f, WIDE, "wide"), _band(f, NEAR, "near")]
    for tick in drawing.log_ticks(f.low, f.high):
        x, y = f.place(tick, tick)
        parts += [
            drawing.path([(x, f.y), (x, f.y + f.side)], "grid"),
            drawing.path([(f.x, y), (f.x + f.side, y)], "grid"),
            drawing.text(x, f.y + f.side + 15, f"{tick:,.6g}", "tick mid"),
            drawing.text(f.x - 6, y + 4, f"{tick:,.6g}", "tick end"),
        ]
    parts += [
        drawing.path(corners, "grid", closed=True),
        drawing.path([f.place(f.low, f.low), f.place(f.high, f.high)], "one"),
        drawing.dots([f.place(*p) for p in pairs if abs(p.error) <= WIDE], ""),
        drawing.dots([f.place(*p) for p in pairs if abs(p.error) > WIDE], " far"),
    ]
    if not pairs:
        parts.append(drawing.text(f.x + f.side / 2, f.y + f.side / 2, "no runs", "soft mid"))
    return [part for part in parts if part]


def _band(frame: _Frame, share: float, kind: str) -> str:
    """Draw the area within a share of the diagonal, cut at the frame."""
    low, high = frame.low, frame.high
    above, below = 1.0 + share, 1.0 - share
    places = [
        (low, low),
        (low, low * above),
        (high / above, high),
        (high, high),
        (high, high * below),
        (low / below, low),
    ]
    return drawing.path([frame.place(*place) for place in places], kind, closed=True)
