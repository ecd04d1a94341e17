"""What was said against what is computed: ours over theirs, with our interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from clusterwright.claims.records import Checked
from clusterwright.report.claims_text import RELATIONS, VERDICTS
from clusterwright.report.pictures.layers import tooltip
from clusterwright.report.pictures.theme import Row, Spec, picture, style

JUDGED: Final = ("holds", "may-hold", "holds-if", "fails")
"""Verdicts on a figure that was said, from good to bad."""
FARTHEST: Final = 10.0
"""Ratios beyond this, or below one over it, stand at the edge; their figure is written anyway."""
MOST_LETTERS: Final = 38


def claims(found: Sequence[Checked]) -> Spec | None:
    """Draw our figure over the one that was said, claim by claim.

    Parameters
    ----------
    found
        Claims that were checked; those without a figure of theirs or of ours are left out.
    """
    rows = [row for one in found if (row := _row(one)) is not None]
    if not rows:
        return None
    verdicts = [VERDICTS[one] for one in JUDGED]
    x = {
        "type": "quantitative",
        "scale": {"type": "log", "domain": [1 / FARTHEST, FARTHEST], "clamp": True},
        "title": f"ours over what was said [1]; beyond {FARTHEST:g}× at the edge",
        "axis": {
            "values": [0.1, 0.2, 0.5, 1, 2, 5, 10],
            "format": "~g",
            "labelExpr": "datum.label + '×'",
        },
    }
    y = {"field": "id", "type": "nominal", "sort": [row["id"] for row in rows], "title": None}
    # Two lines to a row: words above, the ratio below.
    words, dots = {**y, "bandPosition": 0.27}, {**y, "bandPosition": 0.72}
    return picture(
        rows,
        height={"step": 36},
        description=_sentence(rows),
        layer=[
            _one(y),
            *_words(words),
            {
                "mark": style("quiet", "rule", strokeWidth=2.5, tooltip=False),
                "encoding": {"y": dots, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "size": 80, "opacity": 1},
                "encoding": {
                    "y": dots,
                    "x": {**x, "field": "ratio"},
                    "color": {
                        "field": "verdict",
                        "type": "nominal",
                        "scale": {"domain": verdicts, "range": "verdict"},
                        "legend": {"columns": 2, "offset": 8, "symbolType": "circle"},
                    },
                    "tooltip": _tooltip(),
                },
            },
        ],
    )


def _row(one: Checked) -> Row | None:
    """One claim; None where there is no ratio, or none that has a logarithm."""
    if one.ratio is None or one.ours is None or not one.ratio > 0.0:
        return None
    claim, scale = one.claim, one.ratio / one.ours.middle
    about = claim.about
    low, high = one.ours.low * scale, one.ours.high * scale
    return {
        "id": claim.id,
        "about": about if len(about) <= MOST_LETTERS else f"{about[: MOST_LETTERS - 1]}…",
        "whole": about,
        "ratio": one.ratio,
        "low": low,
        "high": high,
        "words": f"{one.ratio:.3g}×",
        "interval": f"{low:.3g} to {high:.3g}",
        "said": f"{RELATIONS[claim.relation] or 'about '}what was said",
        "verdict": VERDICTS[one.verdict],
        "document": claim.document,
    }


def _words(y: Row) -> list[Row]:
    """What a claim is about at the left, how far off it is at the right."""
    return [
        {
            "mark": style(look, "text", align=align, baseline="middle", fontSize=11, tooltip=False),
            "encoding": {"y": y, "x": {"value": at}, "text": {"field": field}},
        }
        for look, align, at, field in (
            ("muted", "left", 0, "about"),
            ("words", "right", "width", "words"),
        )
    ]


def _one(y: Row) -> Row:
    """Where ours is theirs, row by row, so that no line runs through words."""
    return {
        "mark": style("interval", "rule", strokeWidth=1, opacity=0.5, tooltip=False),
        "encoding": {
            "x": {"datum": 1, "type": "quantitative"},
            "y": {**y, "bandPosition": 0.5},
            "y2": {"field": "id", "bandPosition": 0.94},
        },
    }


def _tooltip() -> list[Row]:
    titles = {
        "id": "claim",
        "whole": "about",
        "words": "ours over theirs",
        "interval": "80 % interval",
        "said": "they said",
        "verdict": "verdict",
        "document": "document",
    }
    return tooltip(titles)


def _sentence(rows: Sequence[Row]) -> str:
    """Say what is seen."""
    counts = Counter(row["verdict"] for row in rows)
    said = ", ".join(f"{VERDICTS[one]} {counts[VERDICTS[one]]}" for one in JUDGED)
    near = sum(0.9 <= row["ratio"] <= 1.1 for row in rows)
    return (
        f"{len(rows)} claims with a figure: {said}; {near} are within a tenth of what we compute."
    )
