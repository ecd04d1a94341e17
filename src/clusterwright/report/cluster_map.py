"""A cluster as a picture: from the whole machine down to its accelerators, level by level.

Each level is a bar, the fabric, over a grid of what it joins; one square of the grid, framed, is
drawn in full below. Where there are too many for a square each, a square stands for several, and
the words say for how many: so that every accelerator has its place, and a hundred thousand of them
fit. With a strategy, the squares are coloured that hold members of the first rank's groups.

Colours are those of classes in ``web/static/cluster_map.css``; the attributes beside them hold
where a picture stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from clusterwright.hardware import Cluster
from clusterwright.report.cluster_groups import (
    PLACES,
    Group,
    groups_of,
    level_name,
    unit_name,
    units_touched,
)
from clusterwright.report.drawing import LETTER, lines_of, number
from clusterwright.strategy import Strategy
from clusterwright.units import format_quantity, format_time

WIDTH, NARROWEST = 720, 320
"""Usual and least width of the picture. [px]"""

GUTTER = 20
"""Left of the grids, for the lines from a framed square to what is drawn of it. [px]"""

TIER, LINE, SPACE = 24, 17, 22
"""Heights of a level's bar, of a line of text, and of what is free between levels. [px]"""

SQUARES = ((16, 34, 5), (96, 20, 4), (math.inf, 13, 3))
"""Up to so many squares: their side and the gap between. [px]"""

MOST_ROWS = 12
"""Lines of squares in a grid; of more, a square stands for several."""

FALLBACK = {
    "tp": "#3b76cf",
    "cp": "#2f9c95",
    "etp": "#7d8fb3",
    "ep": "#d3a02c",
    "dp": "#dd7f3a",
    "pp": "#8a5fc7",
    "back": "#ffffff",
    "text": "#1c2430",
    "soft": "#5b6675",
    "tier": "#e6ebf3",
    "unit": "#ccd4e0",
    "free": "#eef1f5",
    "frame": "#1c2430",
    "lead": "#8b96a5",
}
"""Colours where no sheet of styles gives others, by class."""

DARK = {
    "tp": "#5b93e6",
    "cp": "#4cb8b0",
    "etp": "#93a5c9",
    "ep": "#e3bd5a",
    "dp": "#e8965a",
    "pp": "#a687de",
    "back": "#12161d",
    "text": "#e6e9ef",
    "soft": "#9aa5b5",
    "tier": "#252d3a",
    "unit": "#3b4554",
    "free": "#1c222c",
    "frame": "#e6e9ef",
    "lead": "#7a8696",
}
"""The same on a dark ground, as the sheet of the pages has them."""


class Grid(NamedTuple):
    """The squares of one level's row: ``each`` units a square, ``side`` and ``gap`` in [px]."""

    level: int
    units: int
    each: int
    squares: int
    columns: int
    side: int
    gap: int

    @property
    def height(self) -> int:
        """Of all lines of squares. [px]"""
        return math.ceil(self.squares / self.columns) * (self.side + self.gap)

    def corner(self, square: int, top: float) -> tuple[float, float]:
        """The upper left corner of a square. [px]"""
        row, column = divmod(square, self.columns)
        return GUTTER + column * (self.side + self.gap), top + row * (self.side + self.gap)


def cluster_map(cluster: Cluster, strategy: Strategy | None = None, *, width: int = WIDTH) -> str:
    """Draw a cluster, and where the groups of a strategy lie on it.

    Parameters
    ----------
    cluster
        The machine.
    strategy
        Whose groups are coloured; None: none.
    width
        Of the picture, `NARROWEST` or more. [px]

    Returns
    -------
    An SVG element that stands alone, without script or inline style.

    Raises
    ------
    InputError
        The strategy needs more accelerators than there are.
    """
    width = max(width, NARROWEST)
    groups = groups_of(strategy, cluster) if strategy else ()
    used = strategy.accelerators if strategy else cluster.count
    parts: list[str] = []
    y = 22.0
    for words, kind in _heads(cluster, strategy):
        y = _lines(parts, words, y, width, kind=kind)
    for group in groups:
        y = _legend(parts, group, y + 3, width)
    y += 8
    leads: list[tuple[float, float]] = []
    for level in reversed(range(len(cluster.levels))):
        grid = _grid(cluster, level, width)
        leads.append((y + TIER / 2, 0.0))
        y = _tier(parts, cluster, level, y, width)
        y = _lines(parts, _grid_words(cluster, grid), y, width)
        top = y - LINE + 9
        parts += _squares(grid, cluster, groups, used, top)
        leads[-1] = (leads[-1][0], top + grid.side / 2)
        y = top + grid.height + SPACE
    parts += _leads(leads)
    about = "and where a strategy's groups lie on it" if groups else "level by level"
    said = map_words(cluster, strategy)
    return _document(parts, width, y - 6, title=f"{cluster.name}, {about}", words=said)


def map_words(cluster: Cluster, strategy: Strategy | None = None) -> list[str]:
    """Say what the picture shows: the machine, its levels, the groups."""
    lines = [f"{cluster.name}: {_count_words(cluster, strategy)}."]
    for level in reversed(range(len(cluster.levels))):
        units = _units(cluster, level)
        name = unit_name(cluster, level - 1, units)
        rate, more = _rate_words(cluster, level), _ratio_words(cluster, level)
        lines.append(f"{_level_name(cluster, level)}: {units:,} {name} at {rate}{more}.")
    groups = groups_of(strategy, cluster) if strategy else ()
    return [*lines, *(f"{one.axis} {one.size:,}: {one.words}." for one in groups)]


def _heads(cluster: Cluster, strategy: Strategy | None) -> Iterator[tuple[str, str]]:
    """Yield what stands above the picture, and how it is written."""
    yield cluster.name, "name"
    if (count := _count_words(cluster, strategy)) != cluster.name:
        yield count, "soft"
    if strategy and strategy.accelerators > 1:
        yield "Coloured: the groups of the first rank. Grey: other ranks. Faint: not used.", "soft"


def _count_words(cluster: Cluster, strategy: Strategy | None) -> str:
    words = f"{cluster.count:,} x {cluster.accelerator.name}"
    if strategy and strategy.accelerators < cluster.count:
        words += f", {strategy.accelerators:,} of them used"
    return words


def _units(cluster: Cluster, level: int) -> int:
    """Return how many units of the next smaller level the first domain of a level has."""
    inner = cluster.levels[level - 1].size if level else 1
    return math.ceil(cluster.levels[level].size / inner)


def _level_name(cluster: Cluster, level: int) -> str:
    """Return what a level's bar is called: one domain of it, or the whole."""
    if level < len(cluster.levels) - 1:
        name = unit_name(cluster, level)
        return f"One {name}"
    name = level_name(cluster, level)
    return "The whole machine" if name in PLACES else f"The whole machine, {name}"


def _rate_words(cluster: Cluster, level: int) -> str:
    one = cluster.levels[level]
    rate, hop = format_quantity(one.bandwidth, "B/s"), format_time(one.latency, digits=2)
    return f"{rate} per accelerator, {hop} a hop"


def _ratio_words(cluster: Cluster, level: int) -> str:
    """Return how much less a level carries than the one inside it; "" where it does not."""
    if level == 0:
        return ""
    inner, outer = cluster.levels[level - 1], cluster.levels[level]
    ratio = inner.bandwidth / outer.bandwidth
    name = level_name(cluster, level - 1)
    whose = f"the {name}'s" if name in PLACES else f"{name}'s"
    return f", 1/{ratio:.3g} of {whose}" if ratio > 1.0 + 1e-9 else ""


def _grid(cluster: Cluster, level: int, width: int) -> Grid:
    """Return a grid that fits: squares in lines of a round number, in few lines."""
    units = _units(cluster, level)
    inner = width - GUTTER
    most = MOST_ROWS * _columns(inner, *SQUARES[-1][1:])
    each = 1 if units <= most else _even_share(units, most)
    squares = math.ceil(units / each)
    side, gap = next((side, gap) for limit, side, gap in SQUARES if squares <= limit)
    columns = min(squares, _columns(inner, side, gap))
    if columns < squares:
        side = (inner + gap) // columns - gap
    return Grid(level, units, each, squares, columns, side, gap)


def _columns(width: float, side: int, gap: int) -> int:
    """Return how many squares stand in a line: a multiple of eight, or as many as fit."""
    fit = int((width + gap) // (side + gap))
    return fit - fit % 8 if fit >= 8 else fit


def _even_share(units: int, most: int) -> int:
    """Return units for each square, so that all squares are full if that is not far away.

    >>> (
    ...     _even_share(12_500, 480),
    ...     _even_share(4096, 480),
    ...     _even_share(15_625, 480),
    ...     _even_share(997, 480),
    ... )
    (50, 16, 33, 3)
    """
    least = math.ceil(units / most)
    return next((k for k in range(least, 2 * least) if units % k == 0), least)


def _grid_words(cluster: Cluster, grid: Grid) -> str:
    """Say how many there are and what a square is."""
    name = unit_name(cluster, grid.level - 1, grid.units)
    size = cluster.levels[grid.level - 1].size if grid.level else 1
    of = f" of {size:,}" if grid.level else ""
    words = f"{grid.units:,} {name}{of}"
    if grid.each > 1:
        words += f"; a square is {grid.each:,} of them"
        if grid.level:
            words += f", {grid.each * size:,} accelerators"
    if grid.units % grid.each:
        words += f", the last {grid.units % grid.each:,}"
    if grid.level and cluster.levels[grid.level].size % size:
        rest = cluster.levels[grid.level].size % size
        words += f"; the last {unit_name(cluster, grid.level - 1)} has {rest:,}"
    return words


def _tier(parts: list[str], cluster: Cluster, level: int, y: float, width: int) -> float:
    """Draw a level's fabric: its name, rate, and how much that is of the inner one's.

    What does not fit on the bar stands below it. Returns where the next line begins.
    """
    parts.append(_rect(GUTTER, y, width - GUTTER, TIER, "tier", rounded=4))
    name = _level_name(cluster, level)
    said = _rate_words(cluster, level) + _ratio_words(cluster, level)
    room = (width - GUTTER - 24) / LETTER
    fits = len(name) + len(said) <= room
    short = said if fits else format_quantity(cluster.levels[level].bandwidth, "B/s")
    name = lines_of(name, (room - len(short)) * LETTER, 1)[0]
    parts.append(_text(GUTTER + 8, y + 16, name, "strong"))
    parts.append(_text(width - 8, y + 16, short, "end"))
    below = y + TIER + LINE - 2
    rest = said.removeprefix(short).strip()
    return below if fits else _lines(parts, rest, below, width, kind="soft")


def _squares(
    grid: Grid, cluster: Cluster, groups: Sequence[Group], used: int, top: float
) -> Iterator[str]:
    """Draw a grid: what is used, what is free, and which squares hold members of which group."""
    inner = cluster.levels[grid.level - 1].size if grid.level else 1
    size = inner * grid.each
    busy = min(grid.squares, math.ceil(used / size))
    holders: dict[int, list[str]] = {}
    for group in groups:
        own = group.ranks[group.ranks < cluster.levels[grid.level].size]
        for square in units_touched(own, size).tolist():
            holders.setdefault(square, []).append(group.axis)
    free = [square for square in range(busy) if square not in holders]
    yield _boxes("unit", ((*grid.corner(one, top), grid.side) for one in free), grid.side)
    rest = range(busy, grid.squares)
    yield _boxes("free", ((*grid.corner(one, top), grid.side) for one in rest), grid.side)
    for group in groups:
        stripes = []
        for square, axes in holders.items():
            if group.axis in axes:
                x, y = grid.corner(square, top)
                part = grid.side / len(axes)
                stripes.append((x + part * axes.index(group.axis), y, part))
        yield _boxes(group.axis, stripes, grid.side, title=f"{group.axis} {group.size:,}")
    if grid.level:
        x, y = grid.corner(0, top)
        frame = f'fill="none" stroke="{FALLBACK["frame"]}" stroke-width="1.5"'
        side = number(grid.side + 3)
        yield (
            f'<rect class="map-frame" x="{number(x - 1.5)}" y="{number(y - 1.5)}" width="{side}" '
            f'height="{side}" rx="2" {frame}/>'
        )


def _leads(places: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Draw lines from each framed square, down the gutter, to the bar of what it holds."""
    for (_, square), (tier, _) in pairwise(places):
        yield (
            f'<path class="map-lead" d="M{GUTTER - 2} {number(square)}H{GUTTER / 2:g}'
            f'V{number(tier)}H{GUTTER}" fill="none" stroke="{FALLBACK["lead"]}" '
            f'stroke-width="1.2"/>'
        )


def _legend(parts: list[str], group: Group, y: float, width: int) -> float:
    """Write what a colour means; return where the next line begins."""
    parts.append(_rect(GUTTER, y - 11, 12, 12, group.axis, rounded=2))
    words = f"{group.axis} {group.size:,}: {group.words}"
    return _lines(parts, words, y, width, x=GUTTER + 20)


def _lines(
    parts: list[str], words: str, y: float, width: int, *, kind: str = "text", x: int = GUTTER
) -> float:
    """Write words in as many lines as they need; return where the next line begins."""
    for line in lines_of(words, width - x - 8, 4):
        parts.append(_text(x, y, line, kind))
        y += LINE
    return y


def _text(x: float, y: float, words: str, kind: str) -> str:
    size = 15 if kind == "name" else 12.5
    more = ' font-weight="600"' if kind in ("name", "strong") else ""
    more += ' text-anchor="end"' if kind == "end" else ""
    ink = FALLBACK["soft" if kind in ("soft", "end") else "text"]
    return (
        f'<text class="map-{kind}" x="{number(x)}" y="{number(y)}" font-size="{size:g}"{more} '
        f'fill="{ink}">{escape(words)}</text>'
    )


def _rect(x: float, y: float, width: float, height: float, kind: str, *, rounded: int) -> str:
    return (
        f'<rect class="map-{kind}" x="{number(x)}" y="{number(y)}" width="{number(width)}" '
        f'height="{number(height)}" rx="{rounded}" fill="{FALLBACK[kind]}"/>'
    )


def _boxes(
    kind: str, boxes: Iterable[tuple[float, float, float]], height: float, *, title: str = ""
) -> str:
    """Draw many boxes (x, y, width) of one class as one path; nothing for none."""
    tall = number(height)
    steps = "".join(
        f"M{number(x)} {number(y)}h{number(w)}v{tall}h-{number(w)}z" for x, y, w in boxes
    )
    named = f"<title>{escape(title)}</title>" if title else ""
    path = f'<path class="map-{kind}" fill="{FALLBACK[kind]}" d="{steps}">{named}</path>'
    return path if steps else ""


def _document(
    parts: Iterable[str], width: int, height: float, *, title: str, words: Iterable[str]
) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cluster-map" width="{width}" '
        f'height="{number(height)}" viewBox="0 0 {width} {number(height)}" role="img" '
        f'font-family="system-ui, -apple-system, Segoe UI, DejaVu Sans, sans-serif">'
    )
    named = f"<title>{escape(title)}</title>\n<desc>{escape(' '.join(words))}</desc>"
    back = (
        f'<rect class="map-back" width="{width}" height="{number(height)}" '
        f'fill="{FALLBACK["back"]}"/>'
    )
    return "\n".join([head, named, back, *filter(None, parts), "</svg>", ""])
