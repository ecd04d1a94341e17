"""What moves the results of a study: a tornado of each option alone, and shares of the variance."""

from __future__ import annotations

from typing import Final

from clusterwright.report.pictures.layers import axis, kind, name, number, over, tooltip, words
from clusterwright.report.pictures.scales import LADDERS, Unit, unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.report.sweep_text import SHARES, called, quantity_words
from clusterwright.sweep.study import Study
from clusterwright.sweep.summing import Moved
from clusterwright.uncertain import Swing

LOW, HIGH = "at 10th percentile", "at 90th percentile"
ALONE, WITH = "alone", "with others"
BESIDE: Final = 0.42
"""Room on either side of the bars for their words, as a share of what they span. [1]"""
BAND: Final = 0.62
STEP: Final = 34
"""Height of a row. [px]"""


def tornado(moved: Moved, study: Study, *, middle: float | None = None) -> Spec | None:
    """Draw how far each option alone moves a result, the widest first.

    Parameters
    ----------
    moved
        What moves it.
    study
        Whose result it is.
    middle
        The result with every drawn option at its likely value; None: options are axes of a grid,
        and a bar reaches from the least to the most of the means over all else.
    """
    ends = [end for swing in moved.swings for end in (swing.low, swing.high)]
    if not ends or max(ends) == min(ends):
        return None
    middle = middle if study.uncertain else None
    unit = _unit(moved.result, study, ends)
    values = [
        row for swing in moved.swings for row in _bars(swing, moved.result, study, unit, middle)
    ]
    drawn = [unit.of(end) for end in ends]
    beside = BESIDE * (max(drawn) - min(drawn))
    order = [swing.name for swing in moved.swings]
    return picture(
        values,
        height=float(STEP * len(order)),
        description=_said(moved, study, middle),
        encoding={
            "y": name("name", order),
            "x": axis(
                unit.titled(called(moved.result)), min(drawn) - beside, max(drawn) + beside,
                tickCount=4,
            ),
        },
        layer=_layers(values, middle if middle is None else unit.of(middle)),
    )  # fmt: skip


def shares(moved: Moved) -> Spec | None:
    """Draw the share of a result's variance that each option has, alone and with others.

    Parameters
    ----------
    moved
        What moves it; a share below nothing, by chance, is drawn as nothing.
    """
    if not moved.influences:
        return None
    values: list[Row] = []
    for one in moved.influences:
        alone, total = (max(0.0, share) for share in (one.first, one.total))
        said = {"first words": f"{alone:.0%}", "total words": f"{total:.0%}"}
        both = {"name": one.name, **said}
        values.append({**both, "share": alone, "sort": ALONE})
        values.append({**both, "share": total, "sort": WITH})
    most = max(1.0, *(row["share"] for row in values))
    order = [one.name for one in moved.influences]
    first = moved.influences[0]
    at = {"y": name("name", order), "yOffset": {"field": "sort", "sort": [ALONE, WITH]}}
    told = {"name": "option", "first words": ALONE, "total words": WITH}
    return picture(
        values,
        height=float(STEP * len(order)),
        description=f"Of the variance of the {called(moved.result)}, {first.name} has "
        f"{max(0.0, first.first):.0%} alone and {max(0.0, first.total):.0%} with others, the most "
        f"of {len(order)}.",
        encoding={**at, "x": axis("share of the variance", 0.0, 1.12 * most, format="%",
                                  tickCount=4)},
        layer=[
            {
                "mark": {"type": "bar", "height": {"band": 0.75}},
                "encoding": {
                    "x": number("share"),
                    "color": kind("sort", [ALONE, WITH]),
                    "tooltip": tooltip(told),
                },
            },
            _share_words(values),
        ],
    )  # fmt: skip


def _share_words(values: list[Row]) -> Row:
    rows = [{**row, "words": f"{row['share']:.0%}"} for row in values]
    return over(rows, words("words", {"x": number("share")}, align="left", dx=5, fontSize=11))


def _unit(result: str, study: Study, ends: list[float]) -> Unit:
    if result in SHARES:
        return Unit(0.01, "%")
    dimension = study.kept[result]
    return unit_for(ends, dimension) if dimension in LADDERS else Unit(1.0, dimension)


def _bars(swing: Swing, result: str, study: Study, unit: Unit, middle: float | None) -> list[Row]:
    """Two bars from the middle, or one between the ends."""
    told = {end: quantity_words(result, value, study)
            for end, value in (("low", swing.low), ("high", swing.high))}  # fmt: skip
    if middle is None:
        low, high = unit.of(swing.low), unit.of(swing.high)
        both = {"name": swing.name, **told}
        left = {**both, "from": low, "to": low, "words": told["low"], "side": "left"}
        right = {**both, "from": low, "to": high, "words": told["high"], "side": "right"}
        return [left, right] if told["low"] != told["high"] else [right]
    rows = []
    for end, value, what in (("low", swing.low, LOW), ("high", swing.high, HIGH)):
        other = swing.high if end == "low" else swing.low
        below = value < other or (value == other and end == "low")
        rows.append(
            {
                "name": swing.name,
                "end": what,
                "from": unit.of(middle),
                "to": unit.of(value),
                "words": told[end],
                "change": f"{value / middle - 1.0:+.1%}" if middle else "",
                "side": "left" if below else "right",
            }
        )
    return rows


def _layers(values: list[Row], middle: float | None) -> list[Row]:
    span = {"x": number("from"), "x2": {"field": "to"}}
    if middle is None:
        told = {"name": "option", "low": "least", "high": "most"}
        bar = {"mark": style("accent", "bar", height={"band": BAND}),
               "encoding": {**span, "tooltip": tooltip(told)}}  # fmt: skip
        return [bar, *_ends(values)]
    told = {"name": "option", "end": "with it", "words": "result", "change": "change"}
    bar = {
        "mark": {"type": "bar", "height": {"band": BAND}},
        "encoding": {
            **span,
            "color": kind("end", [LOW, HIGH], columns=2, columnPadding=8),
            "tooltip": tooltip(told),
        },
    }
    at = {"x": number("at"), "y": {"value": 0}, "y2": {"value": "height"}}
    rule = over(
        [{"at": middle}], {"mark": style("interval", "rule", tooltip=False), "encoding": at}
    )
    return [bar, rule, *_ends(values)]


def _ends(values: list[Row]) -> list[Row]:
    """Words beside the ends of the bars."""
    sides = {"left": ("right", -5), "right": ("left", 5)}
    return [
        over(
            some,
            words("words", {"x": number("to")}, align=align, dx=dx, fontSize=11),
        )
        for side, (align, dx) in sides.items()
        if (some := [row for row in values if row["side"] == side])
    ]


def _said(moved: Moved, study: Study, middle: float | None) -> str:
    widest = moved.swings[0]
    low, high = (quantity_words(moved.result, end, study) for end in (widest.low, widest.high))
    how = "of the means over all else"
    if middle is not None:
        likely = quantity_words(moved.result, middle, study)
        how = f"with it at its 10th and 90th percentile, about {likely}"
    return (
        f"Of {len(moved.swings)} options {widest.name} moves the {called(moved.result)} most: "
        f"{low} to {high}, {how}."
    )
