"""The catalogue's accelerators by date: peaks, memory, bandwidth, power, and peak for a watt."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from clusterwright.catalogue.figures import Entry, Figure
from clusterwright.report.pictures.layers import log_ticks, tooltip
from clusterwright.report.pictures.scales import Unit, unit_for
from clusterwright.report.pictures.theme import MOST_ROWS, Row, Spec, picture, style, thinned
from clusterwright.units import format_quantity

Of = Literal["peak", "memory", "bandwidth", "power", "peak-per-watt"]
TITLES: Final[dict[Of, str]] = {
    "peak": "dense {precision} peak",
    "memory": "memory",
    "bandwidth": "memory bandwidth",
    "power": "board power",
    "peak-per-watt": "dense {precision} peak for a watt",
}
KEYS: Final[dict[Of, str]] = {
    "memory": "memory",
    "bandwidth": "memory_bandwidth",
    "power": "board_power",
}
DIMENSIONS: Final[dict[Of, str]] = {
    "peak": "FLOP/s", "memory": "B", "bandwidth": "B/s", "power": "W", "peak-per-watt": "FLOP/s",
}  # fmt: skip
NAMED: Final = 7
"""Vendors with a colour of their own, those with the most accelerators; the rest share one."""
OTHERS: Final = "others"
MARGIN: Final = 1.4
MARGIN_LEFT: Final = 0.4
"""Of the years drawn, those at the left in which no record is named."""
LABELLED: Final = 0.07
"""Of the axis' height: how far above the last one a record must lie to be named."""
DATE: Final = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")


class _Chip(NamedTuple):
    """An accelerator with a figure: likely, and the ends of what sources say, in SI."""

    entry: Entry
    date: str
    value: float
    low: float
    high: float
    words: str
    source: str


def chips(entries: Iterable[Entry], of: Of = "peak", precision: str = "bf16") -> Spec | None:
    """Draw accelerators by the date of their launch.

    Parameters
    ----------
    entries
        Accelerators of the catalogue; those without a date or without the figure are left out.
    of
        Which figure.
    precision
        Of a peak.
    """
    every = list(entries)
    found = sorted(
        (chip for entry in every if (chip := _chip(entry, of, precision)) is not None),
        key=lambda chip: (chip.date, chip.value),
    )
    if not found:
        return None
    ends = min(chip.low for chip in found) / MARGIN, max(chip.high for chip in found) * MARGIN
    # Phones to wafers: the unit in which the middle of the axis reads well.
    unit = unit_for([math.sqrt(ends[0] * ends[1])], DIMENSIONS[of])
    if of == "peak-per-watt":
        unit = unit._replace(name=f"{unit.name}/W")
    vendors = _vendors(every)
    rows = [_row(chip, unit, vendors) for chip in found]
    for place in _records(rows):
        name, vendor = rows[place]["name"], rows[place]["by"]
        rows[place]["label"] = name.removeprefix(vendor).partition(" (")[0].strip()
    title = TITLES[of].format(precision=precision)
    return picture(
        thinned(rows),
        height=340,
        description=_sentence(found, title),
        layer=_layers(unit.titled(title), [unit.of(end) for end in ends], [*vendors, OTHERS]),
    )


def _vendors(entries: Sequence[Entry]) -> list[str]:
    """Vendors with the most accelerators, the same for each figure."""
    counts = Counter(entry.text("vendor") for entry in entries)
    return [vendor for vendor, _ in counts.most_common(NAMED)]


def _chip(entry: Entry, of: Of, precision: str) -> _Chip | None:
    date = _date(entry.text("launch"))
    figure = entry.figure(KEYS.get(of, f"peaks.{precision}"))
    if date is None or figure is None or not figure.value > 0.0:
        return None
    low, high = _ends(figure)
    if of != "peak-per-watt":
        return _Chip(entry, date, figure.value, low, high, figure.text, figure.source)
    power = entry.figure("board_power")
    if power is None or not power.value > 0.0:
        return None
    least, most = _ends(power)
    value = figure.value / power.value
    words = f"{format_quantity(value, 'FLOP/s')}/W"
    return _Chip(entry, date, value, low / most, high / least, words, figure.source)


def _ends(figure: Figure) -> tuple[float, float]:
    """The least and the most that any source says."""
    said = [figure.value, *(other.value for other in figure.disagrees)]
    said += [end for end in (figure.low, figure.high) if end is not None]
    positive = [value for value in said if value > 0.0]
    return min(positive), max(positive)


def _date(launch: str) -> str | None:
    """Return a launch as a day; the middle of a month or of a year where no more is known.

    >>> _date("2022-09-20"), _date("2025-06"), _date("2024 (announced)"), _date("soon")
    ('2022-09-20', '2025-06-15', '2024-07-01', None)
    """
    match = DATE.match(launch)
    if match is None:
        return None
    year, month, day = match.groups()
    return f"{year}-{month}-{day or 15}" if month else f"{year}-07-01"


def _row(chip: _Chip, unit: Unit, vendors: Sequence[str]) -> Row:
    vendor = chip.entry.text("vendor")
    row: Row = {
        "name": chip.entry.name,
        "date": chip.date,
        "launch": chip.entry.text("launch"),
        "vendor": vendor if vendor in vendors else OTHERS,
        "by": vendor,
        "value": unit.of(chip.value),
        "words": chip.words,
        "sources": "agree",
        "source": chip.source,
    }
    if chip.low < chip.high:
        row |= {"low": unit.of(chip.low), "high": unit.of(chip.high)}
        row["sources"] = f"{chip.high / chip.low - 1.0:.0%} apart"
    return row


def _records(rows: Sequence[Row]) -> list[int]:
    """Places of those that had more than all before, far enough apart for their names.

    Left above such a point lies nothing, so that its name has room there.
    """
    values = [math.log(row["value"]) for row in rows]
    apart = LABELLED * (max(values) - min(values))
    best = last = -math.inf
    found = []
    for place, value in enumerate(values):
        if value > best and value >= last + apart:
            found.append(place)
            last = value
        best = max(best, value)
    # At the left edge there is no room left of a point, on a phone least of all.
    days = [dt.date.fromisoformat(row["date"]).toordinal() for row in rows]
    first = days[0] + MARGIN_LEFT * (days[-1] - days[0])
    return [place for place in found if days[place] >= first]


def _layers(title: str, ends: Sequence[float], vendors: Sequence[str]) -> list[Row]:
    titles = {
        "name": "accelerator",
        "by": "vendor",
        "launch": "launch",
        "words": "figure",
        "sources": "sources",
        "source": "source",
    }
    years = {"format": "%Y", "tickCount": "year", "labelOverlap": True, "labelSeparation": 6}
    x = {"field": "date", "type": "temporal", "title": "launch", "axis": years}
    ticks = log_ticks(*ends)
    y = {
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "domain": list(ends), "nice": False},
        "axis": {"format": ",~g", "values": ticks, "tickCount": len(ticks), "labelOverlap": False},
    }
    return [
        {
            "transform": [{"filter": {"field": "low", "valid": True}}],
            "mark": style("muted", "rule", strokeWidth=2, tooltip=False),
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "size": 50, "opacity": 0.85},
            "encoding": {
                "x": x,
                "y": {**y, "field": "value"},
                "color": {
                    "field": "vendor",
                    "type": "nominal",
                    "scale": {"domain": list(vendors)},
                    "legend": {"columns": 3, "symbolType": "circle"},
                },
                "tooltip": tooltip(titles),
            },
        },
        {
            "transform": [{"filter": "isValid(datum.label)"}],
            "mark": style("muted", "text", align="right", baseline="bottom", dx=-2, dy=-4,
                          fontSize=11, tooltip=False),
            "encoding": {"x": x, "y": {**y, "field": "value"}, "text": {"field": "label"}},
        },
    ]  # fmt: skip


def _sentence(found: Sequence[_Chip], title: str) -> str:
    """Say what is seen."""
    most = max(found, key=lambda chip: chip.value)
    apart = sum(chip.low < chip.high for chip in found)
    thin = f", {MOST_ROWS} of them drawn" if len(found) > MOST_ROWS else ""
    return (
        f"{len(found)} accelerators from {found[0].date[:4]} to {found[-1].date[:4]} by {title}"
        f"{thin}; the most has {most.entry.name} with {most.words}; sources disagree on {apart}."
    )
