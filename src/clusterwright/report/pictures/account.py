"""How sure an account is, of a run or of a service: each of its intervals over its median."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from clusterwright.report.pictures.layers import axis, name, number, over, tooltip, words
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.site.run import RunAccount
from clusterwright.site.service import ServiceAccount
from clusterwright.uncertain import Interval
from clusterwright.units import format_quantity, format_time

COLUMN: Final = 1.3
"""Room for numbers right of the bars, over the longest reach of one. [1]"""

ALIKE: Final = 0.98
"""Share of the widest interval from which another is as wide."""

Words = Callable[[float], str]


def account(found: RunAccount | ServiceAccount) -> Spec | None:
    """Draw how sure each part of an account is: its 80 % interval over its median.

    Parameters
    ----------
    found
        What a run or a service takes.
    """
    if isinstance(found, RunAccount) and not found.ends:
        return None
    values = [_row(*part) for part in _parts(found)]
    ends = [row[end] for row in values for end in ("low", "high")]
    reach = max((abs(end) for end in ends), default=0.0)
    if not reach:
        return None
    spreads = {row["name"]: row["high"] - row["low"] for row in values}
    unsure = [one for one, spread in spreads.items() if spread > ALIKE * max(spreads.values())]
    least = f"{' and '.join(unsure)} {'is' if len(unsure) == 1 else 'are'} least sure"
    said = ", ".join(f"{row['name']} {row['words']} ({row['spread']})" for row in values)
    title = "80 % interval over the median [%]"
    low, high = min(ends) - 0.1 * reach, max(ends) + COLUMN * reach
    median = {"x": {"datum": 0}, "y": None, "tooltip": None}
    return picture(
        values,
        height={"step": 30},
        description=f"In the median, with 80 % intervals: {said}; {least}.",
        encoding={
            "y": name("name", [row["name"] for row in values]),
            "x": axis(title, low, high, format="+d", tickCount=4),
            "tooltip": tooltip({"name": "what", "words": "median", "spread": "80 %"}),
        },
        layer=[
            over([{}], {"mark": style("reference", "rule", tooltip=False), "encoding": median}),
            {
                "mark": style("band", "bar", height=12, opacity=0.45),
                "encoding": {"x": number("low"), "x2": {"field": "high"}},
            },
            {
                "mark": style("accent", "tick", height=16, thickness=3),
                "encoding": {"x": number("middle")},
            },
            words("words", {"x": {"value": "width"}}, look="strong", align="right", dx=-2),
        ],
    )


def _parts(found: RunAccount | ServiceAccount) -> Iterator[tuple[str, Interval, Words]]:
    """Name, interval and how numbers are written, of all that an account has."""
    if isinstance(found, RunAccount):
        yield "wall clock", found.wall, format_time
        yield "power", found.power, _in("W")
        yield "energy", found.energy, _in("J")
        yield "carbon", found.carbon, _in("kg")
        yield "making machines", found.made, _in("kg")
        if found.cost is not None:
            yield "money", found.cost, _in("USD")
        return
    yield "power", found.power, _in("W")
    yield "energy of a token", found.energy, lambda value: f"{value:.3g} J"
    yield "carbon, 1M tokens", found.carbon, _in("kg")
    if found.cost is not None and found.year is not None:
        yield "money, 1M tokens", found.cost, lambda value: f"${value:.3g}"
        yield "money a year", found.year, _in("USD")


def _in(dimension: str) -> Words:
    return lambda value: format_quantity(value, dimension)


def _row(called: str, one: Interval, text: Words) -> Row:
    return {
        "name": called,
        "low": 100.0 * (one.low / one.middle - 1.0),
        "middle": 0.0,
        "high": 100.0 * (one.high / one.middle - 1.0),
        "words": text(one.middle),
        "spread": f"{text(one.low)} to {text(one.high)}",
    }
