"""A played-out step as a picture: one row per pipeline rank, drawn as SVG.

Self-contained: styles are inside and follow the reader's light or dark setting; no script.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

import numpy as np

from clusterwright.engines.schedule import BOTH
from clusterwright.errors import InputError
from clusterwright.report.simulation_text import rank_rows, summary_lines
from clusterwright.report.trace import KIND_NAMES, TAIL_NAME
from clusterwright.simulation.step import Played
from clusterwright.training.plan import TrainingQuestion
from clusterwright.units import format_time

LEFT, TOP, RIGHT = 64, 64, 24
BAR, MEMORY, GAP = 22, 16, 8
"""Heights of a row's bars, of the memory below them, and the gap to the next row. [px]"""

NARROWEST, WIDEST, OPERATION_WIDTH = 1100, 24_000, 14
"""Width of the drawing, and what an operation should have of it. [px]"""

MOST_TOOLTIPS = 6000
"""More operations than this are drawn without a tooltip each, to keep the file small."""

LETTER_WIDTH = 6
"""What a digit in a bar needs. [px]"""

SEAM = 0.6
"""Left free between two bars, where there is room. [px]"""

PALEST = 0.55
"""Opacity of a rank's last chunk, or of DualPipe's other direction; the first has 1."""

CLASSES = ("f", "b", "i", "w", "o", "t")
STYLE = """
.tl{--bg:#fff;--fg:#1c2430;--dim:#667085;--line:#d9dee7;--row:#f1f3f7;--mem:#b5739d;
--f:#2f6fd0;--b:#d9822b;--i:#e3b341;--w:#3f9d6b;--o:#8a5fc7;--t:#aab3c0;--on:#fff;--ondark:#1c2430}
@media (prefers-color-scheme:dark){.tl{--bg:#12161d;--fg:#e6e9ef;--dim:#98a2b3;--line:#323a47;
--row:#1b212b;--mem:#b5739d;--f:#5b96f0;--b:#e8974a;--i:#e6c15a;--w:#5cb585;--o:#a884e0;--t:#4a5463;
--on:#0d1117;--ondark:#0d1117}}
.tl{background:var(--bg);color:var(--fg)}
svg.tl text{font:11px system-ui,sans-serif;fill:var(--fg)}
svg.tl .dim{fill:var(--dim)}svg.tl .head{font-size:14px;font-weight:600}
svg.tl .f{fill:var(--f)}svg.tl .b{fill:var(--b)}svg.tl .i{fill:var(--i)}svg.tl .w{fill:var(--w)}
svg.tl .o{fill:var(--o)}svg.tl .t{fill:var(--t)}svg.tl .row{fill:var(--row)}
svg.tl .mem{fill:var(--mem);opacity:.55}svg.tl .grid{stroke:var(--line);stroke-width:1}
svg.tl text.num{font-size:10px;text-anchor:middle;fill:var(--on)}
svg.tl text.num.i{fill:var(--ondark)}svg.tl .mid{text-anchor:middle}svg.tl .end{text-anchor:end}
"""
PAGE_STYLE = """
body.tl{font:15px/1.5 system-ui,sans-serif;margin:0;padding:24px}
h1{font-size:20px;margin:0 0 4px}p{margin:2px 0;color:var(--dim)}p.key{color:var(--fg)}
.scroll{overflow-x:auto;margin:16px 0;border:1px solid var(--line);border-radius:6px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:3px 14px 3px 0;text-align:right;border-bottom:1px solid var(--line)}
th{color:var(--dim);font-weight:500}
"""


def write_timeline(question: TrainingQuestion, played: Played, path: Path) -> None:
    """Write the picture: by the name's end an SVG, or an HTML page around it.

    Raises
    ------
    InputError
        For another ending.
    """
    drawn = timeline_svg(played)
    if path.suffix == ".svg":
        path.write_text(drawn, encoding="utf-8")
    elif path.suffix in (".html", ".htm"):
        path.write_text(timeline_page(question, played, drawn), encoding="utf-8")
    else:
        raise InputError(f"--timeline {str(path)!r} must end in .html or .svg")


def timeline_page(question: TrainingQuestion, played: Played, drawn: str) -> str:
    """A page with the picture, what it shows in words, and the ranks in a table."""
    title = f"{question.model.name}: one training step, played out"
    header, *rows = rank_rows(played)
    table = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    words = "".join(f'<p class="key">{escape(line.strip())}</p>' for line in summary_lines(played))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title>'
        f'<style>{STYLE}{PAGE_STYLE}</style></head>\n<body class="tl"><h1>{escape(title)}</h1>'
        f'{words}\n<div class="scroll" tabindex="0" aria-label="timeline">{drawn}</div>\n'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{table}</tbody></table></body></html>\n"
    )


def timeline_svg(played: Played) -> str:
    """The picture alone."""
    schedule, total = played.timeline.schedule, played.end_time
    per_rank = int(np.diff(schedule.first).max())
    inner = min(max(NARROWEST - LEFT - RIGHT, OPERATION_WIDTH * per_rank), WIDEST)
    scale = inner / total
    height = TOP + schedule.num_ranks * (BAR + MEMORY + GAP) + 28
    width = LEFT + inner + RIGHT
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="tl" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" role="img">'
        ),
        f"<title>{escape(schedule.name)}, {schedule.num_ranks} ranks</title>",
        f'<style>{STYLE}</style><rect width="{width}" height="{height}" fill="var(--bg)"/>',
        f'<text class="head" x="16" y="24">{escape(schedule.name)}</text>',
        *_legend(played),
        *_axis(total, scale, height),
    ]
    for rank in range(schedule.num_ranks):
        parts += _row(played, rank, scale)
    return "\n".join([*parts, "</svg>\n"])


def _top(rank: int) -> int:
    return TOP + rank * (BAR + MEMORY + GAP)


def _legend(played: Played) -> Iterable[str]:
    used = sorted(set(played.timeline.schedule.ops[:, 0].tolist()))
    names = [*((CLASSES[kind], KIND_NAMES[kind]) for kind in used), ("t", TAIL_NAME)]
    names += [("mem", "activations kept")]
    x = 16.0
    for style, name in names:
        yield f'<rect class="{style}" x="{x}" y="36" width="12" height="12" rx="2"/>'
        yield f'<text x="{x + 17}" y="46">{escape(name)}</text>'
        x += 36 + 5.7 * len(name)
    if played.timeline.schedule.placement.num_stages > played.timeline.schedule.num_ranks:
        yield f'<text class="dim" x="{x}" y="46">paler: a rank\'s later chunks</text>'


def _axis(total: float, scale: float, height: int) -> Iterable[str]:
    """Round times, about one each 140 pixels."""
    step = 10.0 ** np.floor(np.log10(140 / scale))
    step = next(step * factor for factor in (1, 2, 5, 10) if step * factor * scale >= 90)
    for tick in np.arange(0.0, total + 1e-9 * total, step):
        x = LEFT + tick * scale
        yield f'<path class="grid" d="M{x:.1f} {TOP - 8}V{height - 24}"/>'
        said = format_time(float(tick))
        yield f'<text class="dim mid" x="{x:.1f}" y="{height - 8}">{said}</text>'


def _row(played: Played, rank: int, scale: float) -> Iterable[str]:
    line, top = played.timeline, _top(rank)
    own = slice(int(line.schedule.first[rank]), int(line.schedule.first[rank + 1]))
    whole = played.end_time * scale
    yield f'<text class="end" x="{LEFT - 8}" y="{top + 15}">rank {rank}</text>'
    yield f'<rect class="row" x="{LEFT}" y="{top}" width="{whole:.1f}" height="{BAR}"/>'
    yield from _bars(played, own, top, scale)
    start, width = LEFT + line.makespan * scale, played.tail_time * scale
    yield f'<rect class="t" x="{start:.1f}" y="{top}" width="{width:.1f}" height="{BAR}"/>'
    yield _memory_area(played, own, top + BAR + 1, scale)


def _bars(played: Played, own: slice, top: int, scale: float) -> Iterable[str]:
    """One rectangle per operation, or one outline per kind where there are too many."""
    line = played.timeline
    kinds, shades = line.schedule.ops[own, 0], _shades(played, own)
    x, width = LEFT + line.start[own] * scale, (line.end[own] - line.start[own]) * scale
    width = np.where(width > 3.0 * SEAM, width - SEAM, width)
    if len(line.schedule) > MOST_TOOLTIPS:
        for kind, shade in sorted(set(zip(kinds.tolist(), shades.tolist(), strict=True))):
            mask = (kinds == kind) & (shades == shade)
            pairs = zip(x[mask], width[mask], strict=True)
            path = "".join(f"M{a:.1f} {top}h{w:.1f}v{BAR}h-{w:.1f}z" for a, w in pairs)
            yield f'<path class="{CLASSES[kind]}" fill-opacity="{shade}" d="{path}"/>'
    else:
        for number, op in enumerate(range(own.start, own.stop)):
            yield (
                f'<rect class="{CLASSES[kinds[number]]}" fill-opacity="{shades[number]}" '
                f'x="{x[number]:.2f}" y="{top}" width="{width[number]:.2f}" height="{BAR}" '
                f'rx="1.5"><title>{_tooltip(played, op)}</title></rect>'
            )
    for number, op in enumerate(range(own.start, own.stop)):
        text = _number(played, op)
        if width[number] >= LETTER_WIDTH * len(text) + 2:
            middle = x[number] + width[number] / 2
            dark = "i" if shades[number] < 0.8 else CLASSES[kinds[number]]
            yield (
                f'<text class="num {dark}" x="{middle:.1f}" y="{top + 15}">{escape(text)}</text>'
            )


def _shades(played: Played, own: slice) -> np.ndarray:
    """Opacity of every operation of one rank: paler from chunk to chunk."""
    _, chunk = np.unique(played.timeline.schedule.ops[own, 1], return_inverse=True)
    return np.round(1.0 - (1.0 - PALEST) * chunk.ravel() / max(1, int(chunk.max())), 2)


def _number(played: Played, op: int) -> str:
    row = played.timeline.schedule.ops[op]
    return f"{row[2]}&{row[4]}" if row[0] == BOTH else f"{row[2]}"


def _tooltip(played: Played, op: int) -> str:
    line = played.timeline
    label = escape(line.schedule.label(op))
    start, end = float(line.start[op]), float(line.end[op])
    return f"{label}: {format_time(start)} to {format_time(end)}, {format_time(end - start)}"


def _memory_area(played: Played, own: slice, top: int, scale: float) -> str:
    """Activations that the rank keeps, to the scale of the fullest rank."""
    line = played.timeline
    during, after = line.memory
    highest = max(float(line.peak_bytes.max()), 1.0)
    bottom = top + MEMORY
    points = [f"M{LEFT} {bottom}"]
    for op in range(own.start, own.stop):
        for time, held in ((line.start[op], during[op]), (line.end[op], after[op])):
            points.append(f"H{LEFT + time * scale:.1f}V{bottom - MEMORY * held / highest:.1f}")
    return f'<path class="mem" d="{"".join(points)}V{bottom}z"/>'
