"""The few pieces of SVG that the charts are made of: no library, no script, no font to fetch.

A picture has a background of its own and follows the reader's light or dark scheme. Coordinates are
pixels, y downwards.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """\
svg{--back:#fff;--text:#1f2328;--soft:#57606a;--line:#d0d7de;--mark:#1f6fbf;--far:#b8500f;--other:#6e7781}
@media (prefers-color-scheme:dark){svg{--back:#0d1117;--text:#e6edf3;--soft:#9da7b3;--line:#30363d;\
--mark:#6cb6ff;--far:#ffa657;--other:#8b949e}}
text{font:12px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;fill:var(--text)}
.head{font-size:16px;font-weight:600}.name{font-weight:600}.soft{fill:var(--soft)}
.tick{font-size:11px;fill:var(--soft)}.mid{text-anchor:middle}.end{text-anchor:end}
.back{fill:var(--back)}.grid{stroke:var(--line);stroke-width:1;fill:none}
.one{stroke:var(--soft);stroke-width:1.2;fill:none}
.near{fill:var(--mark);opacity:.22}.wide{fill:var(--mark);opacity:.11}
.dots{stroke-width:4;stroke-linecap:round;fill:none;opacity:.75;stroke:var(--mark)}
.dots.far{stroke:var(--far)}
.full{fill:var(--mark)}.ring{fill:var(--back);stroke:var(--mark);stroke-width:1.6}
.span{stroke:var(--mark);stroke-width:1.6}.flat{stroke:var(--other);stroke-width:1.8;fill:none}
"""
LETTER = 6.6
"""Usual width of a letter of 12 pixels. [px]"""


def document(
    width: float, height: float, body: Iterable[str], *, title: str, description: str
) -> str:
    """Return a whole picture, with what a screen reader says of it.

    >>> document(9, 9, [], title="A & B", description="none").splitlines()[1:3]
    ['<title id="t">A &amp; B</title>', '<desc id="d">none</desc>']
    """
    size = f'width="{number(width)}" height="{number(height)}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}" '
        f'{size} role="img" aria-labelledby="t d">'
    )
    named = f'<title id="t">{escape(title)}</title>\n<desc id="d">{escape(description)}</desc>'
    back = f'<rect class="back" {size}/>'
    return "\n".join([head, named, f"<style>{STYLE}</style>", back, *body, "</svg>", ""])


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Return a line of text whose base line is at y."""
    attribute = f' class="{kind}"' if kind else ""
    return f'<text x="{number(x)}" y="{number(y)}"{attribute}>{escape(words)}</text>'


def path(points: Iterable[tuple[float, float]], kind: str, *, closed: bool = False) -> str:
    """Return a line through points, or the area inside it."""
    steps = "L".join(f"{number(x)} {number(y)}" for x, y in points)
    return f'<path class="{kind}" d="M{steps}{"Z" if closed else ""}"/>'


def dots(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Return many dots as one path, which keeps the file small; nothing for no points."""
    if not points:
        return ""
    steps = "".join(f"M{number(x)} {number(y)}h0" for x, y in points)
    return f'<path class="dots{kind}" d="{steps}"/>'


def number(value: float) -> str:
    """Return a coordinate to a tenth of a pixel.

    >>> number(12.0), number(0.46)
    ('12', '0.5')
    """
    return f"{value:.1f}".removesuffix(".0")


def lines_of(words: str, width: float, most: int) -> list[str]:
    """Break words into at most so many lines of a width [px]; what is left over becomes "…"."""
    found = textwrap.wrap(
        words, max(1, int(width / LETTER)), max_lines=most, placeholder=" …", break_on_hyphens=False
    )
    return found or [""]


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two bounds: powers of ten, or steps of them where those are few.

    >>> log_ticks(0.5, 300.0), log_ticks(3.0, 8.0)
    ([1.0, 10.0, 100.0], [3.0, 4.0, 5.0, 6.0, 8.0])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = [10.0**k for k in range(first, last + 1)]
    inside: list[float] = []
    for steps in (1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0):
        if len(inside) < 2:
            inside = [p * step for p in powers for step in steps if low <= p * step <= high]
    stride = math.ceil(len(inside) / 5)
    return inside[::stride] if stride else inside
