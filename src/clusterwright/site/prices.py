"""What an accelerator costs on a day, bought or rented, and a building: from the facts.

Where nobody published what an accelerator costs, the chips that have a price say what is paid for a
delivered FLOP/s and for a byte of memory; the estimate is the geometric mean of both, and its
interval comes from how far each priced chip is off when the others estimate it.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from statistics import median

import msgspec
import numpy as np

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError, UnknownNameError
from clusterwright.hardware import Accelerator
from clusterwright.site.quotes import HOLDS, Price, Quote, day_of, holding, quotes, summed_up
from clusterwright.uncertain import OUTER
from clusterwright.units import format_quantity

BOUGHT = ("purchase", "retail")
SERVERS = ("all-in", "node", "server", "rack")
RENTED = ("on-demand", "spot", "1-year", "3-year", "contract")
FEWEST = 3
"""Priced chips that an estimate needs."""


def price_of(
    accelerator: str, basis: str = "purchase", *, day: str | dt.date, catalogue: Catalogue
) -> Price:
    """What one accelerator costs on a day.

    Parameters
    ----------
    accelerator
        Its id or alias.
    basis
        ``purchase`` (in volume, else in shops), ``retail``, ``manufacturing`` (what it costs its
        maker), ``server``, ``node``, ``rack`` or ``all-in`` (its share of those), or a rent:
        ``on-demand``, ``spot``, ``1-year``, ``3-year``, ``contract``.
    day
        The latest figures not after it count.
    catalogue
        The facts.

    Raises
    ------
    InputError
        An unknown basis; no price, and no estimate of one.
    """
    known = (*BOUGHT, "manufacturing", *SERVERS, *RENTED)
    if basis not in known:
        raise InputError(f"no basis of prices called {basis!r}: one of {', '.join(known)}")
    chip, when = catalogue.accelerator(accelerator), day_of(day)
    for one in BOUGHT if basis == "purchase" else (basis,):
        held = holding([q for q in _of(one, catalogue) if q.accelerator == chip.id], when)
        if held:
            return summed_up(held, chip.id, one)
    if basis in SERVERS:
        raise InputError(
            f"{chip.id} has no published price ({basis}) by {when}: reckon it from the price of "
            f"the chip, or give one"
        )
    return _estimate(chip, basis, when, catalogue)


def construction_price_of(region: str, *, day: str | dt.date, catalogue: Catalogue) -> Price:
    """What a building for a watt of IT power costs in a place, without land and IT. [USD/W]

    A place without a price has that of what it lies in; where only parts of that have one, theirs.
    An average of markets is the middle of its range.

    Raises
    ------
    InputError
        An unknown place; the nearest names are offered.
    """
    place, when = catalogue.entry("regions", region).id, day_of(day)
    found = [
        (quote, _around(quote.region, catalogue))
        for quote in quotes(catalogue, "construction")
        if quote.region
    ]
    for wider in _around(place, catalogue):
        ours = [(quote, around) for quote, around in found if wider in around]
        if ours:
            break
    else:
        raise InputError(f"no price of buildings in {place} or around it: give one, as $11.7M/MW")
    start = min(quote.first for quote, _ in ours)
    held = holding((quote for quote, _ in ours), max(when, start))
    means = [quote.value for quote in held if "average" in quote.parameter]
    price = summed_up(held, f"building in {wider}", "built")
    notes = [f"; none is known of {place}"] if wider != place else []
    notes += [f"; nothing is as early as {when}"] if when < start else []
    middle = median(means) if means else price.value
    return msgspec.structs.replace(price, value=middle, why=price.why + "".join(notes))


def _around(place: str, catalogue: Catalogue) -> list[str]:
    """A place and what it lies in, from the inside out; ``US, Reno`` is Reno if that is known."""
    for name in reversed(place.split(",")):
        try:
            entry = catalogue.entry("regions", name)
        except UnknownNameError:
            continue
        outer = entry.text("parent") or entry.text("country")
        return [entry.id, *(_around(outer, catalogue) if outer else [])]
    return ["world"]


def _of(basis: str, catalogue: Catalogue) -> list[Quote]:
    """Every quote of a basis for a known accelerator."""
    category = "rental" if basis in RENTED else "server" if basis in SERVERS else "accelerator"
    found = [one for one in quotes(catalogue, category) if one.basis == basis and one.accelerator]
    return [*found, *_launches(catalogue)] if basis == "retail" else found


def _launches(catalogue: Catalogue) -> list[Quote]:
    """Prices that stand with the accelerators themselves, as of their launch."""
    listed = {quote.accelerator for quote in quotes(catalogue, "accelerator")}
    found = []
    for entry in catalogue.entries("accelerators").values():
        figure, launch = entry.figure("price"), re.match(r"\d{4}[-\d]*\d", entry.text("launch"))
        if figure is None or launch is None or entry.id in listed or figure.kind == "estimated":
            continue
        ends = (figure.value if end is None else end for end in (figure.low, figure.high))
        low, high = ends
        found.append(
            Quote(
                id=entry.id,
                value=figure.value,
                low=low,
                high=high,
                dimension="USD",
                first=day_of(launch[0]),
                last=day_of(launch[0], last=True),
                who=figure.source,
                source=figure.source,
                accelerator=entry.id,
                basis="retail",
            )
        )
    return found


def _estimate(chip: Accelerator, basis: str, day: dt.date, catalogue: Catalogue) -> Price:
    """Price a chip by what is paid for the work and the memory of others."""
    rate, memory = _delivered(chip), chip.memory_bytes
    if rate is None or memory is None:
        raise InputError(
            f"{chip.id} has no published price ({basis}), nor the 16-bit rate and memory from "
            f"which one could be estimated: give a price"
        )
    others = _priced(basis, day, catalogue, without=chip.id)
    if len(others) < FEWEST:
        raise InputError(
            f"{chip.id} has no published price ({basis}) by {day}, and only {len(others)} others "
            f"have one, too few to estimate it: give a price"
        )
    table = np.log([[one[1], one[2], one[3]] for one in others])
    value = math.exp(_by_others(table, math.log(rate), math.log(memory)))
    low, high = (float(value * factor) for factor in _spread(table))
    dimension = "USD/s" if basis in RENTED else "USD"
    ends = f"{format_quantity(low, dimension)} to {format_quantity(high, dimension)}"
    return Price(
        what=chip.id,
        basis=basis,
        value=value,
        low=low,
        high=high,
        dimension=dimension,
        date=day.isoformat(),
        sources=tuple(one[0] for one in others),
        why=f"{chip.id}, {basis}: estimated from {len(others)} chips that have a price: {ends}",
        estimated=True,
    )


def _delivered(chip: Accelerator) -> float | None:
    """Rate of 16-bit matrix products: as measured, or the peak."""
    for rates in (chip.matmul, chip.peaks):
        for precision in ("bf16", "fp16"):
            if precision in rates:
                return rates[precision]
    return None


def _priced(
    basis: str, day: dt.date, catalogue: Catalogue, *, without: str
) -> list[tuple[str, float, float, float]]:
    """Chips with a price on the day: id, price, 16-bit rate, memory; the newest prices first.

    Old prices are of another market: only as many years are looked back as it takes.
    """
    held = [
        quote
        for one in (BOUGHT if basis == "purchase" else (basis,))
        for quote in _of(one, catalogue)
        if quote.first <= day and quote.accelerator != without
    ]
    rows: list[tuple[str, float, float, float]] = []
    newest = max((quote.last for quote in held), default=day)
    for years in (1, 2, 4, 8, 16):
        recent = [quote for quote in held if quote.last > min(newest, day) - years * HOLDS]
        rows = [
            row
            for name in sorted({quote.accelerator for quote in recent})
            if (row := _row(name, recent, day, catalogue)) is not None
        ]
        if len(rows) >= FEWEST:
            break
    return rows


def _row(
    name: str, found: list[Quote], day: dt.date, catalogue: Catalogue
) -> tuple[str, float, float, float] | None:
    """One chip's price, 16-bit rate and memory; None where one of them is not known."""
    chip = catalogue.accelerator(name)
    rate, ours = _delivered(chip), [quote for quote in found if quote.accelerator == name]
    if rate is None or chip.memory_bytes is None:
        return None
    first = next(basis for basis in (*BOUGHT, ours[0].basis) if any(q.basis == basis for q in ours))
    price = median(quote.value for quote in holding([q for q in ours if q.basis == first], day))
    return name, price, rate, chip.memory_bytes


def _by_others(table: np.ndarray, rate: float, memory: float) -> float:
    """Logarithm of a price, from logarithms of prices, rates and memories."""
    per_rate = float(np.median(table[:, 0] - table[:, 1])) + rate
    per_byte = float(np.median(table[:, 0] - table[:, 2])) + memory
    return (per_rate + per_byte) / 2.0


def _spread(table: np.ndarray) -> tuple[float, float]:
    """Factors around an estimate: how far each chip is off when the others estimate it."""
    errors = [
        table[place, 0] - _by_others(np.delete(table, place, axis=0), *table[place, 1:])
        for place in range(len(table))
    ]
    low, high = np.quantile(errors, OUTER)
    return math.exp(min(float(low), 0.0)), math.exp(max(float(high), 0.0))
