"""What a site takes: money, energy and carbon by part and by year; and how sure an account is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from clusterwright.report.pictures.layers import LABEL, name, number, over, there, tooltip, words
from clusterwright.report.pictures.scales import Unit, unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.site.money import CAPITAL, RUNNING, YEAR
from clusterwright.site.outlook import SiteOutlook
from clusterwright.site.run import RunAccount
from clusterwright.site.service import ServiceAccount
from clusterwright.uncertain import Interval
from clusterwright.units import format_quantity, format_time

KINDS: Final = ("bought", "to run")
LEAST: Final = 1e-6
"""Share of all below which a part is nothing."""


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
    parts = [
        _part(outlook, part, f"{part}_cost", "USD", KINDS[0] if part in CAPITAL else KINDS[1])
        for part in (*CAPITAL, *RUNNING)
        if found[f"{part}_cost"] > LEAST * found["cost"]
    ]
    for row in parts:
        row["share"] = f"{row['likely'] / found['cost']:.0%}"
        row["bought"] = format_quantity(found.get(f"{row['name']}_capex", 0.0), "USD")
    parts.sort(key=lambda row: -row["likely"])
    whole = _part(outlook, "all", "cost", "USD", None)
    first = parts[0]
    return _parts(
        [whole, *parts],
        "USD",
        title="money a year; line: 80 %",
        told={"name": "part", "words": "a year", "spread": "80 %", "share": "share",
              "bought": "bought for"},
        kinds=KINDS,
        description=f"The site costs {whole['words']} a year ({whole['spread']}), most of it for "
        f"{first['name']} with {first['words']} or {first['share']}.",
    )  # fmt: skip


def energy(outlook: SiteOutlook) -> Spec | None:
    """Draw where a year's energy goes: machines, network, storage, and the building around them.

    Parameters
    ----------
    outlook
        A site's outlook.
    """
    found = outlook.likely
    beside = {"network": "network_watts", "storage": "storage_watts"}
    watts = {part: found[key] for part, key in beside.items()}
    watts["machines"] = found["it_expected"] - sum(watts.values())
    watts["cooling and losses"] = found["expected"] - found["it_expected"]
    whole = _part(outlook, "all", "energy", "J", None)
    rows = []
    for part, power in sorted(watts.items(), key=lambda one: -one[1]):
        if power <= LEAST * found["expected"]:
            continue
        row: Row = {"name": part, "likely": power * YEAR, "kind": None,
                    "words": format_quantity(power * YEAR, "J"),
                    "power": format_quantity(power, "W"), "share": f"{power / found['expected']:.0%}"}  # fmt: skip
        if part in beside:
            _spread(row, outlook.results[beside[part]], YEAR, "J")
        rows.append(row)
    whole["power"] = format_quantity(found["expected"], "W")
    first = rows[0]
    return _parts(
        [whole, *rows],
        "J",
        title="energy a year; line: 80 %",
        told={"name": "part", "words": "a year", "spread": "80 %", "power": "on average",
              "share": "share"},
        kinds=(),
        description=f"The site takes {whole['words']} a year ({whole['spread']}); "
        f"{first['name']} take {first['share']} of it.",
    )  # fmt: skip


def carbon(outlook: SiteOutlook) -> Spec | None:
    """Draw a year's carbon: of electricity, and of making the machines, with intervals.

    Parameters
    ----------
    outlook
        A site's outlook.
    """
    names = {
        "electricity, by place": "carbon",
        "electricity, by contract": "carbon_market",
        "making the machines": "carbon_made",
    }
    contracted = outlook.question.inputs["contracted_share"].value > 0.0
    rows = [
        _part(outlook, called, key, "kg", None)
        for called, key in names.items()
        if outlook.likely[key] > 0.0 and (key != "carbon_market" or contracted)
    ]
    if not rows:
        return None
    said = ", ".join(f"{row['words']} ({row['spread']}) for {row['name']}" for row in rows)
    return _parts(
        rows,
        "kg",
        title="carbon a year, CO2e; line: 80 %",
        told={"name": "of", "words": "a year", "spread": "80 %"},
        kinds=(),
        description=f"In a year the site emits {said}.",
    )


def _part(outlook: SiteOutlook, called: str, key: str, dimension: str, kind: str | None) -> Row:
    """A likely value with its interval."""
    value = outlook.likely[key]
    row: Row = {"name": called, "likely": value, "kind": kind,
                "words": format_quantity(value, dimension)}  # fmt: skip
    _spread(row, outlook.results[key], 1.0, dimension)
    return row


def _spread(row: Row, one: Interval, factor: float, dimension: str) -> None:
    low, high = one.low * factor, one.high * factor
    if high > low:
        row["low"], row["high"] = low, high
        row["spread"] = f"{format_quantity(low, dimension)} to {format_quantity(high, dimension)}"
    else:
        row["spread"] = "sure"


def _parts(
    rows: Sequence[Row],
    dimension: str,
    *,
    title: str,
    told: Mapping[str, str],
    kinds: Sequence[str],
    description: str,
) -> Spec:
    """Rows of names with a bar, its interval and its number; a row of no kind stays quiet."""
    ends = [row.get("high", row["likely"]) for row in rows] + [row["likely"] for row in rows]
    unit = unit_for(ends, dimension)
    values = [_drawn(row, unit) for row in rows]
    quantity, _, rest = title.partition(";")
    x = {"type": "quantitative", "title": f"{unit.titled(quantity)};{rest}",
         "scale": {"domain": [0, LABEL * unit.of(max(ends))], "nice": False},
         "axis": {"tickCount": 4}}  # fmt: skip
    bar: Row = {
        "mark": {"type": "bar", "height": {"band": 0.68}},
        "encoding": {"x": number("likely")},
    }
    if kinds:
        bar["encoding"]["color"] = {
            "field": "kind", "type": "nominal", "scale": {"domain": list(kinds)}, "title": None,
            "legend": {"offset": 8},
        }  # fmt: skip
    quiet = [row for row in values if row["kind"] is None and row["name"] == "all"]
    coloured = [row for row in values if row not in quiet]
    return picture(
        values,
        height={"step": 28},
        description=description,
        encoding={"y": name("name", [row["name"] for row in values]), "x": x,
                  "tooltip": tooltip(told)},
        layer=[
            over(coloured, bar),
            over(quiet, {"mark": style("quiet", "bar", height={"band": 0.68}),
                         "encoding": {"x": number("likely")}}),
            there(values, "low", {"mark": style("interval", "rule"),
                                  "encoding": {"x": number("low"), "x2": {"field": "high"}}}),
            words("words", where={"x": number("end")}, align="left", dx=6),
        ],
    )  # fmt: skip


def _drawn(row: Row, unit: Unit) -> Row:
    """A row in the unit of the axis; behind its longer end stands its number."""
    found = {**row, "likely": unit.of(row["likely"])}
    for end in ("low", "high"):
        if end in row:
            found[end] = unit.of(row[end])
    found["end"] = max(found["likely"], found.get("high", 0.0))
    return found


FLOWS: Final = {"spent": 1.0, "running": 1.0, "sold": -1.0}
CALLED: Final = {"spent": "bought", "running": "to run", "sold": "sold"}


def years(outlook: SiteOutlook) -> Spec | None:
    """Draw money year by year: bought, paid to run, sold in the end, and all of it as worth now.

    Parameters
    ----------
    outlook
        A site's outlook.
    """
    if not outlook.years:
        return None
    total, values = 0.0, []
    flows = [(one, key, FLOWS[key] * getattr(one, key)) for one in outlook.years for key in FLOWS]
    worth: list[float] = []
    for one in outlook.years:
        total += one.worth_now
        worth.append(total)
    unit = unit_for([value for _, _, value in flows] + worth, "USD")
    for one, key, value in flows:
        if value:
            values.append(
                {"year": one.year, "kind": CALLED[key], "money": unit.of(value),
                 "words": format_quantity(abs(value), "USD"),
                 "books": format_quantity(one.books, "USD")}
            )  # fmt: skip
    line = [
        {"year": one.year, "worth": unit.of(value), "words": format_quantity(value, "USD")}
        for one, value in zip(outlook.years, worth, strict=True)
    ]
    told = {"year": "year", "kind": "money", "words": "amount", "books": "in the books at its end"}
    place = {"x": {"field": "year"}, "y": number("worth")}
    return picture(
        values,
        height=260,
        description=f"In {len(line)} years, every input likely, {line[-1]['words']} flow out less "
        f"what comes in, as worth on the first day; {format_quantity(outlook.years[0].spent, 'USD')} "
        f"are spent in the first.",
        encoding={
            "x": {"type": "ordinal", "title": "year", "axis": {"labelAngle": 0}},
            "y": {"type": "quantitative", "title": unit.titled("money; line: all so far, worth now")},
        },
        layer=[
            {
                "mark": {"type": "bar", "width": {"band": 0.6}},
                "encoding": {
                    "x": {"field": "year"}, "y": number("money", stack="zero"),
                    "color": {"field": "kind", "type": "nominal", "title": None,
                              "scale": {"domain": list(CALLED.values())}},
                    "tooltip": tooltip(told),
                },
            },
            over(
                line,
                {"mark": style("interval", "line", tooltip=False), "encoding": place},
                {"mark": style("ring", "point", size=40, filled=True),
                 "encoding": {**place, "tooltip": tooltip({"year": "year", "words": "so far"})}},
                words("words", look="strong", where=place, dy=-12),
            ),
        ],
    )  # fmt: skip


def account(found: RunAccount | ServiceAccount) -> Spec | None:
    """Draw how sure each part of an account is: its 80 % interval over its median.

    Parameters
    ----------
    found
        What a run or a service takes.
    """
    values = [_sureness(called, one, text) for called, one, text in _told_of(found)]
    if not values:
        return None
    widest = max(values, key=lambda row: row["high"] - row["low"])
    said = ", ".join(f"{row['name']} {row['words']} ({row['spread']})" for row in values)
    ends = [row[end] for row in values for end in ("low", "high")]
    reach = max(abs(end) for end in ends)
    x = {"type": "quantitative", "title": "80 % interval over the median [%]",
         "scale": {"domain": [min([*ends, 0.0]) - 0.1 * reach, max(ends) + 1.3 * reach], "nice": False},
         "axis": {"format": "+d", "tickCount": 4}}  # fmt: skip
    return picture(
        values,
        height={"step": 30},
        description=f"{said}; least sure is {widest['name']}.",
        encoding={"y": name("name", [row["name"] for row in values]), "x": x,
                  "tooltip": tooltip({"name": "what", "words": "median", "spread": "80 %"})},
        layer=[
            over([{}], {"mark": style("reference", "rule", tooltip=False),
                        "encoding": {"x": {"datum": 0}, "y": None}}),
            {"mark": style("band", "bar", height=12, opacity=0.45),
             "encoding": {"x": number("low"), "x2": {"field": "high"}}},
            {"mark": style("accent", "tick", height=16, thickness=3), "encoding": {"x": number("middle")}},
            words("words", look="strong", where={"x": {"value": "width"}}, align="right", dx=-2),
        ],
    )  # fmt: skip


def _told_of(found: RunAccount | ServiceAccount) -> list[tuple[str, Interval, str]]:
    """Name, interval and dimension of what an account has."""
    if isinstance(found, RunAccount):
        every = [("wall clock", found.wall, "s"), ("power", found.power, "W"),
                 ("energy", found.energy, "J"), ("carbon", found.carbon, "kg"),
                 ("making machines", found.made, "kg")]  # fmt: skip
        return every + ([("money", found.cost, "USD")] if found.cost else [])
    some = [("power", found.power, "W"), ("energy of a token", found.energy, "J of one"),
            ("carbon, 1M tokens", found.carbon, "kg")]  # fmt: skip
    some += [("money, 1M tokens", found.cost, "USD")] if found.cost else []
    return some + ([("money a year", found.year, "USD")] if found.year else [])


def _sureness(called: str, one: Interval, dimension: str) -> Row:
    def text(value: float) -> str:
        if dimension == "J of one":
            return f"{value:.3g} J"
        return format_time(value) if dimension == "s" else format_quantity(value, dimension)

    return {
        "name": called,
        "low": 100.0 * (one.low / one.middle - 1.0),
        "middle": 0.0,
        "high": 100.0 * (one.high / one.middle - 1.0),
        "words": text(one.middle),
        "spread": f"{text(one.low)} to {text(one.high)}",
    }
