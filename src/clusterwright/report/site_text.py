"""A site as text: what it draws, costs and emits, of what it consists, what moves the answer."""

from __future__ import annotations

from collections.abc import Sequence

from clusterwright.aligned import aligned
from clusterwright.formulas.money import break_even_utilisation
from clusterwright.report.folding import fold
from clusterwright.report.site_names import NAMES
from clusterwright.site.money import CAPITAL, RUNNING, YEAR, Year
from clusterwright.site.network import NetworkBill
from clusterwright.site.outlook import SiteOutlook
from clusterwright.uncertain import Influence, Swing
from clusterwright.units import format_quantity

MOST = 6


def site_text(outlook: SiteOutlook) -> str:
    """What a site takes."""
    blocks = [
        _title(outlook),
        [*_whole(outlook), *_hour(outlook)],
        _power(outlook),
        _year(outlook),
        [*_network(outlook.question.network), *_racks(outlook)],
        _money(outlook),
        _years(outlook.years),
        _moved("What moves the cost of an hour", outlook.swings, outlook.influences, outlook),
        _moved("What moves the carbon", outlook.carbon_swings, (), outlook),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _title(outlook: SiteOutlook) -> list[str]:
    question = outlook.question
    machine = question.machine
    lines = [
        (
            f"{machine.cluster.name}: {_counted(machine.count, 'accelerator')}, "
            f"{_counted(machine.nodes, 'node')}, {_where(question.region)}"
        )
    ]
    if question.assumed:
        lines += fold(f"  assumed      {'; '.join(question.assumed)}", 15)
    return lines


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _where(region: str) -> str:
    """A place after its preposition."""
    return "anywhere in the world" if region == "World" else f"in {region}"


def _whole(outlook: SiteOutlook) -> list[str]:
    """What a person decides on: power, money, carbon, each with its interval."""
    found, question = outlook.likely, outlook.question
    lines = []
    if question.cap is not None:
        speed = question.inputs["speed"].value
        cap = format_quantity(question.cap, "W")
        lines.append(f"  power cap    {cap} an accelerator, which leaves {speed:.1%} of the speed")
    lines += [
        _line(outlook, "nameplate", "W", "nameplate", "all at full load"),
        _line(outlook, "expected", "W", "expected", "on average over a year"),
        f"  PUE          {_overhead(outlook)}",
    ]
    if "cost" in found:
        lines += [
            _line(outlook, "capex", "USD", "capital", "to buy and to build it"),
            _line(outlook, "cost", "USD", "money a year", "capital written off and all that runs"),
        ]
    elif found["bill"]:
        lines.append(_line(outlook, "bill", "USD", "power bill", "of a year's energy"))
    if found["carbon"]:
        lines.append(_line(outlook, "carbon", "kg", "carbon", "of a year's energy, by location"))
    return lines


def _line(outlook: SiteOutlook, name: str, dimension: str, label: str, meaning: str) -> str:
    """A labelled figure with its interval."""
    likely = format_quantity(outlook.likely[name], dimension)
    return f"  {label:<12} {likely} (80 %: {_spread(outlook, name, dimension)}; {meaning})"


def _overhead(outlook: SiteOutlook) -> str:
    """The PUE, its interval where it has one, and the way of cooling."""
    one, cooling = outlook.results["pue"], outlook.question.cooling
    spread = f"80 %: {one.low:.2f} to {one.high:.2f}" if one.low < one.high else ""
    beside = "; ".join(filter(None, (spread, cooling.name.lower() if cooling else "")))
    return f"{outlook.likely['pue']:.2f}" + (f" ({beside})" if beside else "")


def _spread(outlook: SiteOutlook, name: str, dimension: str) -> str:
    one = outlook.results[name]
    low, high = (format_quantity(end, dimension) for end in (one.low, one.high))
    return f"{low} to {high}"


def _power(outlook: SiteOutlook) -> list[str]:
    each = outlook.question.machine.count
    meanings = {
        "nameplate": "all at full load: what a grid connection is sized for",
        "observed_peak": "the most that such machines were seen to draw",
        "expected": "on average over a year: what bills are made of",
        "idle": "with nothing to do",
    }
    rows = [
        [
            f"  {name.replace('_', ' ')}",
            format_quantity(outlook.likely[name], "W"),
            _spread(outlook, name, "W"),
            format_quantity(outlook.likely[name] / each, "W"),
            meaning,
        ]
        for name, meaning in meanings.items()
    ]
    return aligned(("  power of the site", "likely", "80 %", "each", ""), rows, align="lrrrl")


def _year(outlook: SiteOutlook) -> list[str]:
    units = {
        "energy": ("J", "energy"),
        "bill": ("USD", "electricity bill"),
        "carbon": ("kg", "carbon of it, by location"),
        "carbon_market": ("kg", "carbon of it, by contracts"),
        "carbon_made": ("kg", "carbon of making the machines, a year's share"),
        "water": ("L", "water that the site evaporates"),
        "grid_water": ("L", "water that power plants evaporate"),
    }
    rows = [
        [
            f"  {words}",
            format_quantity(outlook.likely[name], dimension),
            _spread(outlook, name, dimension),
        ]
        for name, (dimension, words) in units.items()
        if outlook.likely[name] and (name != "carbon_market" or _contracted(outlook))
    ]
    return aligned(("  a year", "likely", "80 %"), rows, align="lrr")


def _contracted(outlook: SiteOutlook) -> bool:
    return outlook.question.inputs["contracted_share"].value > 0.0


def _network(bill: NetworkBill) -> list[str]:
    fabric, counts = bill.fabric, bill.counts
    if not fabric.endpoints:
        return ["  network      none: one node has all accelerators"]
    tiers = " + ".join(f"{count:,}" for count in counts.switches)
    parts = f"{tiers}; " if len(counts.switches) > 1 else ""
    name = fabric.switch.name if fabric.switch else "none"
    switches = "1 switch" if sum(counts.switches) == 1 else f"{sum(counts.switches):,} switches"
    words = (
        f"  network      {switches} ({parts}{name}), "
        f"{sum(counts.links):,} links, {counts.transceivers:,} transceivers, "
        f"{counts.cables:,} copper cables"
    )
    rails = f"{fabric.rails} rails, " if fabric.rails > 1 else ""
    return [
        *fold(words, 15),
        (
            f"               {_counted(fabric.tiers, 'tier')}, {rails}"
            f"{format_quantity(fabric.rate, 'B/s')} a port; "
            f"${bill.dollars.total / 1e6:,.1f}M, {format_quantity(bill.watts.total, 'W')}"
        ),
    ]


def _racks(outlook: SiteOutlook) -> list[str]:
    if "racks" not in outlook.likely:
        return []
    one, likely = outlook.results["racks"], outlook.likely["racks"]
    spread = f" ({one.low:,.0f} to {one.high:,.0f})" if one.low < one.high else ""
    return [f"  racks        {likely:,.0f}{spread} of accelerators, those of switches apart"]


def _money(outlook: SiteOutlook) -> list[str]:
    found = outlook.likely
    if "cost" not in found:
        return []
    rows = [
        [
            f"  {part}",
            _dollars(found.get(f"{part}_capex")),
            _dollars(found[f"{part}_cost"]),
            f"{found[f'{part}_cost'] / found['cost']:.0%}",
        ]
        for part in (*CAPITAL, *RUNNING)
        if found[f"{part}_cost"] > 0.0
    ]
    rows.append(["  all", _dollars(found["capex"]), _dollars(found["cost"]), "100%"])
    header = ("  money", "bought for", "a year", "share")
    return aligned(header, rows, align="lrrr")


def _years(years: Sequence[Year]) -> list[str]:
    """Money year by year; what flows out less what comes in, as it is worth on the first day."""
    rows = []
    total = 0.0
    for one in years:
        total += one.worth_now
        rows.append(
            [
                f"  {one.year}",
                _dollars(one.spent),
                _dollars(one.running),
                _dollars(one.written_off),
                _dollars(one.books),
                _dollars(one.sold),
                format_quantity(total, "USD"),
            ]
        )
    if not rows:
        return []
    header = (
        "  year",
        "spent",
        "to run",
        "written off",
        "in the books",
        "sold",
        "in all, now worth",
    )
    return aligned(header, rows, align="lrrrrrr")


def _dollars(value: float | None) -> str:
    return "-" if not value else format_quantity(value, "USD")


def _hour(outlook: SiteOutlook) -> list[str]:
    found, question = outlook.likely, outlook.question
    if "hour" not in found:
        return []
    lines = [
        (
            f"  an hour      {_rate(found['hour'])} of an accelerator "
            f"(80 %: {_spread(outlook, 'hour', 'USD/s')}), {_rate(found['used'])} of one at work"
        )
    ]
    if "token" in found:
        flops = found["flop"] * 1e18
        lines.append(
            f"  work         ${found['token'] * 1e6:,.3f} a million tokens, "
            f"${flops:,.2f} an EFLOP of useful work"
        )
    if question.rent is not None:
        share = break_even_utilisation(found["hour"], question.rent)
        better = "renting" if question.rent < found["used"] else "owning"
        lines.append(
            f"  rent         {_rate(question.rent)} against {_rate(found['used'])} at work: "
            f"{better} is cheaper; owning from {share:.0%} of use on"
        )
    return lines


def _rate(value: float) -> str:
    digits = 2 if value * 3600 >= 0.1 else 4
    return f"${value * 3600:,.{digits}f}/h"


def _moved(
    title: str,
    swings: Sequence[Swing],
    influences: Sequence[Influence],
    outlook: SiteOutlook,
) -> list[str]:
    if not swings:
        return []
    shares = {one.name: max(0.0, one.total) for one in influences}
    money = title.endswith("hour")
    rows = [
        [
            f"  {NAMES[swing.name]}",
            _ends(outlook, swing.name),
            _rate(swing.low) if money else format_quantity(swing.low, "kg"),
            _rate(swing.high) if money else format_quantity(swing.high, "kg"),
            f"{shares[swing.name]:.0%}" if swing.name in shares else "",
        ]
        for swing in swings[:MOST]
        if swing.low != swing.high
    ]
    header = (f"  {title}", "from, to", "at from", "at to", "of variance" if shares else "")
    return aligned(header, rows, align="llrrr")


def _ends(outlook: SiteOutlook, name: str) -> str:
    one = outlook.question.inputs[name]
    low, high = (float(one.quantile(end)) for end in (0.1, 0.9))
    if one.dimension == "1":
        return f"{low:.3g} to {high:.3g}"
    if one.dimension == "s":
        return f"{low / YEAR:.1f} to {high / YEAR:.1f} years"
    return f"{format_quantity(low, one.dimension)} to {format_quantity(high, one.dimension)}"
