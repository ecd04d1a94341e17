"""What a site takes: money, energy and carbon by part with their intervals, and money by year."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from clusterwright.report.pictures.layers import (
    LABEL,
    axis,
    bars,
    dots,
    interval,
    kind,
    name,
    number,
    over,
    there,
    told,
    tooltip,
    words,
)
from clusterwright.report.pictures.scales import Unit, unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.site.money import CAPITAL, RUNNING, YEAR
from clusterwright.site.money import Year as MoneyYear
from clusterwright.site.outlook import SiteOutlook
from clusterwright.uncertain import Interval
from clusterwright.units import format_quantity

KINDS: Final = ("bought", "to run")
LEAST: Final = 1e-6
"""Share of all below which a part is nothing."""
CARBON: Final = {
    "electricity, by place": "carbon",
    "electricity, by contract": "carbon_market",
    "making the machines": "carbon_made",
}
FLOWS: Final = {"spent": "bought", "running": "to run", "sold": "sold"}
"""Money of a year by its field, in words; what is sold comes in."""


def costs(outlook: SiteOutlook) -> Spec | None:
    """Draw what each part of a site costs a year, with its interval, and all of it.

    Parameters
    ----------
    outlook
        A site's outlook.
    """
    found = outlook.likely
    if "cost" not in found:
        return None
    parts = [_cost(outlook, part) for part in (*CAPITAL, *RUNNING)
             if found[f"{part}_cost"] > LEAST * found["cost"]]  # fmt: skip
    parts.sort(key=lambda row: -row["likely"])
    whole = _part(outlook, "all", "cost", "USD")
    first = parts[0]
    titles = {"name": "part", "words": "a year", "spread": "80 %", "share": "share"}
    return _parts(
        [whole, *parts],
        "USD",
        title="money a year",
        titles={**titles, "bought": "bought for"},
        coloured=True,
        description=f"The site costs {whole['words']} a year ({whole['spread']}), most of it for "
        f"{first['name']} with {first['words']} or {first['share']}.",
    )


def _cost(outlook: SiteOutlook, part: str) -> Row:
    found = outlook.likely
    row = _part(outlook, part, f"{part}_cost", "USD")
    row["kind"] = KINDS[0] if part in CAPITAL else KINDS[1]
    row["share"] = f"{found[f'{part}_cost'] / found['cost']:.0%}"
    if f"{part}_capex" in found:
        row["bought"] = format_quantity(found[f"{part}_capex"], "USD")
    return row


def energy(outlook: SiteOutlook) -> Spec | None:
    """Draw where a year's energy goes: machines, network, storage, and the building around them.

    Parameters
    ----------
    outlook
        A site's outlook; of machines and of what the building takes, no interval is known.
    """
    found = outlook.likely
    beside = {"network": "network_watts", "storage": "storage_watts"}
    watts = {part: found[key] for part, key in beside.items()}
    watts["machines"] = found["it_expected"] - sum(watts.values())
    watts["cooling and losses"] = found["expected"] - found["it_expected"]
    rows = []
    for part, power in sorted(watts.items(), key=lambda one: -one[1]):
        if power > LEAST * found["expected"]:
            row = _row(part, power * YEAR, "J")
            row["share"] = f"{power / found['expected']:.0%}"
            spread = outlook.results[beside[part]] if part in beside else None
            rows.append(_with_spread(row, spread, "J", times=YEAR))
    whole = _part(outlook, "all", "energy", "J")
    return _parts(
        [whole, *rows],
        "J",
        title="energy a year",
        titles={"name": "part", "words": "a year", "spread": "80 %", "share": "share"},
        description=f"The site takes {whole['words']} a year ({whole['spread']}), "
        f"{rows[0]['share']} of it for {rows[0]['name']}.",
    )


def carbon(outlook: SiteOutlook) -> Spec | None:
    """Draw a year's carbon: of electricity, and of making the machines, with intervals.

    Parameters
    ----------
    outlook
        A site's outlook.
    """
    contracted = outlook.question.inputs["contracted_share"].value > 0.0
    rows = [
        _part(outlook, called, key, "kg")
        for called, key in CARBON.items()
        if outlook.likely[key] > 0.0 and (key != "carbon_market" or contracted)
    ]
    if not rows:
        return None
    said = " and ".join(f"{row['words']} ({row['spread']}) for {row['name']}" for row in rows)
    return _parts(
        rows,
        "kg",
        title="carbon a year",
        titles={"name": "of", "words": "a year", "spread": "80 %"},
        description=f"In a year the site emits {said}.",
    )


def _part(outlook: SiteOutlook, called: str, key: str, dimension: str) -> Row:
    """A likely value with its interval."""
    row = _row(called, outlook.likely[key], dimension)
    return _with_spread(row, outlook.results[key], dimension)


def _row(called: str, value: float, dimension: str) -> Row:
    return {"name": called, "likely": value, "words": format_quantity(value, dimension)}


def _with_spread(row: Row, one: Interval | None, dimension: str, *, times: float = 1.0) -> Row:
    if one is None or one.low == one.high:
        return row
    low, high = one.low * times, one.high * times
    said = f"{format_quantity(low, dimension)} to {format_quantity(high, dimension)}"
    return {**row, "low": low, "high": high, "spread": said}


def _parts(
    rows: Sequence[Row],
    dimension: str,
    *,
    title: str,
    titles: Mapping[str, str],
    description: str,
    coloured: bool = False,
) -> Spec:
    """Rows of names with a bar, its interval and its number; all of it stays quiet."""
    longest = max(max(row["likely"], row.get("high", 0.0)) for row in rows)
    unit = unit_for([longest], dimension)
    values = told([_drawn(row, unit) for row in rows], titles)
    each = bars("accent", "likely")
    if coloured:
        each["mark"] = {"type": "bar", "height": {"band": 0.7}}
        each["encoding"] |= {"color": kind("kind", KINDS, offset=8)}
    end = LABEL * unit.of(longest)
    return picture(
        values,
        height={"step": 28},
        description=description,
        encoding={
            "y": name("name", [row["name"] for row in values]),
            "x": axis(f"{unit.titled(title)}; line: 80 %", 0.0, end, tickCount=4),
            "tooltip": tooltip(titles),
        },
        layer=[
            over([row for row in values if row["name"] != "all"], each),
            over([row for row in values if row["name"] == "all"], bars("quiet", "likely")),
            there(values, "low", interval("low", "high")),
            words("words", {"x": number("end")}, align="left", dx=6),
        ],
    )


def _drawn(row: Row, unit: Unit) -> Row:
    """A row in the unit of the axis; behind its longer end stands its number."""
    ends: Row = {end: unit.of(row[end]) for end in ("likely", "low", "high") if end in row}
    return {**row, **ends, "end": max(ends.values())}


def years(outlook: SiteOutlook) -> Spec | None:
    """Draw money year by year: bought, paid to run, sold in the end; all so far as worth now.

    Parameters
    ----------
    outlook
        A site's outlook; its years are of likely inputs, without intervals.
    """
    if not outlook.years:
        return None
    worth = [sum(one.worth_now for one in outlook.years[: turn + 1])
             for turn in range(len(outlook.years))]  # fmt: skip
    unit = unit_for([*worth, *(one.spent for one in outlook.years)], "USD")
    values = [row for one in outlook.years for row in _flows(one, unit)]
    line = [
        {"year": one.year, "worth": unit.of(value), "words": format_quantity(value, "USD")}
        for one, value in zip(outlook.years, worth, strict=True)
    ]
    first = format_quantity(outlook.years[0].spent, "USD")
    title = unit.titled("money; line: all so far, worth now")
    return picture(
        values,
        height=260,
        description=f"In {len(line)} years, every input likely, {line[-1]['words']} flow out less "
        f"what comes in, as worth on the first day; {first} are spent in the first.",
        encoding={
            "x": {"type": "ordinal", "title": "year", "axis": {"labelAngle": 0}},
            "y": {"type": "quantitative", "title": title},
        },
        layer=[_stacks({row["kind"] for row in values}), _worth(line)],
    )


def _flows(one: MoneyYear, unit: Unit) -> list[Row]:
    """What flows in a year, out above zero and in below."""
    return [
        {
            "year": one.year,
            "kind": called,
            "money": unit.of(-getattr(one, key) if key == "sold" else getattr(one, key)),
            "words": format_quantity(getattr(one, key), "USD"),
            "books": format_quantity(one.books, "USD"),
        }
        for key, called in FLOWS.items()
        if getattr(one, key)
    ]


def _stacks(kinds: Collection[str]) -> Row:
    seen = [called for called in FLOWS.values() if called in kinds]
    titles = {
        "year": "year",
        "kind": "money",
        "words": "amount",
        "books": "in the books at its end",
    }
    return {
        "mark": {"type": "bar", "width": {"band": 0.6}},
        "encoding": {
            "x": {"field": "year"},
            "y": number("money", stack="zero"),
            "color": kind("kind", seen),
            "tooltip": tooltip(titles),
        },
    }


def _worth(line: list[Row]) -> Row:
    at = {"x": {"field": "year"}, "y": number("worth")}
    shown = {"tooltip": tooltip({"year": "year", "words": "so far, worth now"})}
    return over(
        line,
        {"mark": style("interval", "line", tooltip=False), "encoding": at},
        dots("ring", {**at, **shown}, size=40, filled=True),
        words("words", at, look="strong", dy=-12),
    )
