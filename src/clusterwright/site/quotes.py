"""Prices of the catalogue in dollars, with their dates: which of them hold on a day."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from functools import lru_cache
from statistics import median

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import CatalogueError, InputError
from clusterwright.formulas.worth import in_dollars
from clusterwright.records import Record
from clusterwright.uncertain import Input
from clusterwright.units import format_quantity, parse

HOLDS = dt.timedelta(days=365)
"""How much older than the newest a figure may be and still count beside it."""
_CURRENCY = re.compile(r"[€£¥₹₩]|(?<![A-Za-z])(?:[A-Z]{3}|yuan|euros?|yen|pounds?)(?![A-Za-z])")
_CALLED = {"€": "EUR", "euro": "EUR", "euros": "EUR", "RMB": "CNY", "yuan": "CNY"}


class Quote(Record, frozen=True, kw_only=True):
    """One price that somebody published, in dollars for one accelerator.

    ``first``, ``last``: days between which it held. ``who``: who asks it, or who says so.
    ``made_up``: it is an estimate of its source.
    """

    id: str
    value: float
    low: float
    high: float
    dimension: str
    first: dt.date
    last: dt.date
    who: str
    source: str
    accelerator: str = ""
    basis: str = ""
    region: str = ""
    parameter: str = ""
    made_up: bool = False


class Price(Record, frozen=True, kw_only=True):
    """What something costs on a day, and how that is known.

    ``value``: middle of what is asked, between ``low`` and ``high``; dollars in ``dimension``.
    ``date``: of the newest figure it rests on. ``estimated``: nobody published it.
    """

    what: str
    basis: str
    value: float
    low: float
    high: float
    dimension: str
    date: str
    sources: tuple[str, ...]
    why: str
    estimated: bool = False

    def as_input(self) -> Input:
        """The price as an uncertain input."""
        return Input(
            value=self.value, low=self.low, high=self.high, dimension=self.dimension, why=self.why
        )


@lru_cache(maxsize=4)
def newest_day(catalogue: Catalogue) -> dt.date:
    """The last day on which somebody looked at the prices of a catalogue."""
    return max(day_of(one.text("checked")) for one in catalogue.entries("prices").values())


def day_of(text: str | dt.date, *, last: bool = False) -> dt.date:
    """First (or last) day of ``2025``, ``2025-08`` or ``2025-08-20``.

    Raises
    ------
    InputError
        If it is no date.

    >>> day_of("2025-08"), day_of("2024-02", last=True)
    (datetime.date(2025, 8, 1), datetime.date(2024, 2, 29))
    """
    if isinstance(text, dt.date):
        return text
    match = re.fullmatch(r"(\d{4})(?:-(\d\d?))?(?:-(\d\d?))?", text.strip())
    year, month, day = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    if not 1900 <= year < 9999:
        month = 13  # none: it is no date, and what follows says so
    try:
        if day or not last:
            return dt.date(year, month or 1, day or 1)
        following = dt.date(year + 1, 1, 1) if month in (0, 12) else dt.date(year, month + 1, 1)
        return following - dt.timedelta(days=1)
    except ValueError:
        raise InputError(f"{text!r} is no date: write 2025, 2025-08 or 2025-08-20") from None


def exchange_rate(currency: str, day: dt.date, catalogue: Catalogue) -> tuple[float, str]:
    """Dollars for one unit of a currency, by the latest rate not after the day; and its date.

    Raises
    ------
    InputError
        A currency, or a day, that the catalogue has no rate for.
    """
    if currency == "USD":
        return 1.0, day.isoformat()
    rates: dict[str, list[tuple[dt.date, float, str]]] = {}
    for entry in catalogue.entries("prices").values():
        if entry.text("category") == "currency":
            date = entry.text("date")
            row = (day_of(date), entry.require("value").value, date)
            rates.setdefault(entry.text("currency"), []).append(row)
    if currency not in rates:
        known = ", ".join(["USD", *sorted(rates)])
        raise InputError(
            f"no exchange rate for {currency!r}: give the price in {known}, or add the rate to a "
            f"TOML file of your own"
        )
    before = [row for row in rates[currency] if row[0] <= day]
    if not before:
        first = min(rates[currency])[2]
        raise InputError(f"no exchange rate for {currency} before {first}: give dollars")
    _, value, date = max(before)
    return value, date


def read_price(text: str, dimension: str, *, day: str | dt.date, catalogue: Catalogue) -> float:
    """Read a price in any known currency and return dollars. [``dimension``]

    Parameters
    ----------
    text
        ``"$2.10/h"``, ``"0.20 EUR/kWh"``, ``"€0.20/kWh"``, ``"CNY 3/h"``, ``"$11.7M/MW"`` …
    dimension
        ``"USD"``, ``"USD/s"``, ``"USD/J"``, ``"USD/W"`` or ``"USD/W/s"``.
    day
        Whose exchange rate counts.
    catalogue
        Where the rates are.

    Raises
    ------
    InputError
        No price, a negative one, one without its unit, or an unknown currency.
    """
    text = text.replace("US$", "$")
    found = _CURRENCY.search(text)
    if found is None:
        return parse(text, dimension)
    if found[0] in ("¥", "yen"):
        raise InputError(f"{text!r}: ¥ is yuan or yen; write CNY, or give dollars")
    currency = _CALLED.get(found[0], found[0])
    rate, _ = exchange_rate(currency, day_of(day), catalogue)
    bare = f"{text[: found.start()]}{text[found.end() :]}".strip()
    sign = "-" if bare.startswith("-") else ""
    return parse(f"{sign}${bare.removeprefix('-').strip()}", dimension) * rate


def quotes(catalogue: Catalogue, category: str) -> list[Quote]:
    """Every dated price of a category, in dollars; those in words are left out."""
    found = [
        _quote(entry, catalogue)
        for entry in catalogue.entries("prices").values()
        if entry.text("category") == category
    ]
    return [quote for quote in found if quote is not None]


def _quote(entry: Entry, catalogue: Catalogue) -> Quote | None:
    """Bring an entry to dollars for one accelerator; None where it is words or has no date."""
    figure = entry.figure("value") or entry.figure("amount")
    date = entry.text("date")
    if figure is None or not date:
        return None
    try:
        first, last = day_of(date), day_of(entry.text("until") or date, last=True)
    except InputError as error:
        raise CatalogueError(f"price {entry.id!r}: {error}") from None
    scale, dimension = 1.0 / float(entry.data.get("size", 1)), figure.dimension
    if entry.figure("value") is None:
        rate, _ = exchange_rate(entry.text("currency"), first, catalogue)
        dimension = _dimension(entry)
        paid_for = f"/{entry.text('per')}" if entry.text("per") else ""
        scale *= float(in_dollars(parse(f"$1{paid_for}", dimension), rate))
    ends = (figure.value if end is None else end for end in (figure.low, figure.high))
    low, high = (end * scale for end in ends)
    return Quote(
        id=entry.id,
        value=figure.value * scale,
        low=low,
        high=high,
        dimension=dimension,
        first=first,
        last=last,
        who=entry.text("seller") or entry.text("source"),
        source=entry.text("source"),
        accelerator=entry.text("accelerator"),
        basis=entry.text("basis"),
        region=entry.text("region"),
        parameter=entry.text("parameter"),
        made_up=figure.kind == "estimated",
    )


def _dimension(entry: Entry) -> str:
    """Of an amount in another currency, by what it is paid for; once, where nothing is said."""
    per = entry.text("per")
    known = {"": "USD", "h": "USD/s", "kWh": "USD/J", "W": "USD/W"}
    if per not in known:
        names = ", ".join(name for name in known if name)
        raise CatalogueError(f"price {entry.id!r} is per {per!r}: write one of {names}, or none")
    return known[per]


def holding(found: Iterable[Quote], day: dt.date) -> list[Quote]:
    """The latest quotes of each source that are not after the day, and none outdated by others."""
    latest: dict[tuple[str, str], list[Quote]] = {}
    for quote in found:
        if quote.first > day:
            continue
        before = latest.get((quote.who, quote.region), [])
        if before and before[0].first > quote.first:
            continue
        same = before if before and before[0].first == quote.first else []
        latest[quote.who, quote.region] = [*same, quote]
    flat = [quote for group in latest.values() for quote in group]
    if not flat:
        return []
    newest = max(min(quote.last, day) for quote in flat)
    return [quote for quote in flat if min(quote.last, day) > newest - HOLDS]


def summed_up(found: list[Quote], what: str, basis: str) -> Price:
    """One price out of quotes that hold: the median, between the lowest and the highest."""
    low, high = min(quote.low for quote in found), max(quote.high for quote in found)
    value = median(quote.value for quote in found)
    newest = max(quote.first for quote in found).isoformat()
    sources = tuple(sorted({quote.source for quote in found}))
    dimension = found[0].dimension
    ends = " to ".join(format_quantity(end, dimension) for end in dict.fromkeys((low, high)))
    count = f"{len(found)} figures" if len(found) > 1 else "one figure"
    return Price(
        what=what,
        basis=basis,
        value=value,
        low=low,
        high=high,
        dimension=dimension,
        date=newest,
        sources=sources,
        why=f"{what}, {basis}: {count}, the newest of {newest}: {ends}",
    )
