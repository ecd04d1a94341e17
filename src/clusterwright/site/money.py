"""What a cluster costs: bought, run and by the hour of an accelerator.

    capital = annuities of servers, network, storage and installation over their life,
              and of the building over its own
    running = energy + maintenance + staff + rent + licences

The model is a function of named inputs, numbers or arrays alike, so that the same code gives one
answer, its interval and what moves it (`clusterwright.uncertain`).

What it leaves out: taxes and what depreciation saves of them, land, the price of a late start, and
inflation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from clusterwright.errors import InputError
from clusterwright.formulas.money import (
    accelerator_cost_rate,
    annuity,
    break_even_utilisation,
    energy_cost_rate,
    part_interest,
    payback_time,
)
from clusterwright.formulas.worth import straight_line_value
from clusterwright.records import Record
from clusterwright.uncertain import Input, Interval, intervals_of, likely
from clusterwright.units import format_quantity

Floats = Any

YEAR = 365.25 * 86_400.0
MONTH = YEAR / 12.0
CAPITAL = ("servers", "network", "storage", "installation", "building")
RUNNING = ("energy", "maintenance", "staff", "rent", "licences")
PARTS = (*CAPITAL, *RUNNING)
INPUTS = {
    "accelerators": "1",
    "server_price": "USD",
    "network_price": "USD",
    "storage_price": "USD",
    "installation_share": "1",
    "building_price": "USD/W",
    "nameplate_power": "W",
    "mean_power": "W",
    "pue": "1",
    "energy_price": "USD/J",
    "maintenance_share": "1",
    "staff_cost": "USD/W/s",
    "colocation_rent": "USD/W/s",
    "licence_price": "USD/s",
    "cost_of_capital": "1",
    "it_life": "s",
    "building_life": "s",
    "residual_share": "1",
    "utilisation": "1",
    "goodput": "1",
}
"""What the model takes, with units. ``server_price`` and ``licence_price`` are of one accelerator,
other prices and powers of all; ``maintenance_share`` and ``cost_of_capital`` are of a year; powers
are of the equipment, before PUE; ``residual_share`` is what servers fetch at the end of their life;
``building_price`` is 0 where the hall is rented, ``colocation_rent`` where it is owned."""


class Year(Record, frozen=True, kw_only=True):
    """One year of a cluster's money. [USD]

    ``spent``: bought in it. ``running``: paid to run it. ``written_off``: value lost in the books,
    and ``books``: left at its end. ``sold``: what it brings at the end of its life.
    ``worth_now``: what flows out, less what comes in, discounted to the first day.
    """

    year: int
    spent: float
    running: float
    written_off: float
    books: float
    sold: float
    worth_now: float


class Ownership(Record, frozen=True, kw_only=True):
    """What a cluster costs to own.

    ``bought``: capital spent by part. [USD] ``rates``: cost by part, likely values. [USD/s]
    ``capex`` [USD]; ``hour``, ``good_hour``: of an accelerator, owned and of useful work [USD/s];
    each likely, and as ``intervals`` by name. ``years``: the table by year. ``assumed``: what the
    inputs that nobody gave rest on.
    """

    accelerators: float
    bought: dict[str, float]
    rates: dict[str, float]
    capex: float
    hour: float
    good_hour: float
    intervals: dict[str, Interval]
    years: tuple[Year, ...]
    assumed: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """All of it in a time. [USD/s]"""
        return sum(self.rates.values())


class RentOrBuy(Record, frozen=True, kw_only=True):
    """Owning against renting: use above which owning is cheaper [1], time until it has paid. [s]"""

    utilisation: float
    payback: float


def bought(x: Mapping[str, Floats]) -> dict[str, Floats]:
    """Capital by part. [USD]"""
    servers = x["accelerators"] * x["server_price"]
    equipment = servers + x["network_price"] + x["storage_price"]
    return {
        "servers": servers,
        "network": x["network_price"] + 0.0 * servers,
        "storage": x["storage_price"] + 0.0 * servers,
        "installation": x["installation_share"] * equipment,
        "building": x["building_price"] * x["nameplate_power"],
    }


def costs(x: Mapping[str, Floats]) -> dict[str, Floats]:
    """The model: from `INPUTS` to money.

    Each of `PARTS`, ``capital``, ``running`` and ``total`` [USD/s]; ``capex`` [USD]; ``hour``:
    of an accelerator that is owned, ``used_hour``: while it is used, ``good_hour``: while it does
    work that lasts. [USD/s]
    """
    spent = bought(x)
    interest = part_interest(x["cost_of_capital"], 12)
    sold = {"servers": spent["servers"] * x["residual_share"]}
    rates: dict[str, Floats] = {}
    for part in CAPITAL:
        life = x["building_life"] if part == "building" else x["it_life"]
        paid = annuity(spent[part], sold.get(part, 0.0), interest, life / MONTH)
        rates[part] = paid / MONTH
    equipment = spent["servers"] + spent["network"] + spent["storage"]
    rates |= {
        "energy": energy_cost_rate(x["mean_power"], x["pue"], x["energy_price"]),
        "maintenance": equipment * x["maintenance_share"] / YEAR,
        "staff": x["staff_cost"] * x["nameplate_power"],
        "rent": x["colocation_rent"] * x["nameplate_power"],
        "licences": x["licence_price"] * x["accelerators"],
    }
    capital = sum(rates[part] for part in CAPITAL)
    running = sum(rates[part] for part in RUNNING)
    hour = accelerator_cost_rate(capital, running, x["accelerators"], 1.0)
    used = accelerator_cost_rate(capital, running, x["accelerators"], x["utilisation"])
    return {
        **rates,
        "capital": capital,
        "running": running,
        "total": capital + running,
        "capex": sum(spent.values()),
        "hour": hour,
        "used_hour": used,
        "good_hour": used / x["goodput"],
    }


def by_year(x: Mapping[str, float]) -> tuple[Year, ...]:
    """The likely money of each year, from the first day to the end of the equipment's life.

    The building stands longer; what is left of it in the books is what it is sold for.
    """
    spent, rates = bought(x), costs(x)
    lives = {part: x["building_life"] if part == "building" else x["it_life"] for part in CAPITAL}
    running = sum(float(rates[part]) for part in RUNNING) * YEAR
    end = x["it_life"] / YEAR
    rows: list[Year] = []
    before = float(sum(spent.values()))
    count = max(1, math.ceil(end - 1e-9))
    for year in range(1, count + 1):
        age = end if year == count else float(year)
        length = age - (year - 1)
        books = sum(
            float(straight_line_value(spent[part], age * YEAR, lives[part])) for part in CAPITAL
        )
        # The residual is sold on top of books that have run down to nothing.
        left = float(spent["servers"]) * x["residual_share"] + books if year == count else 0.0
        paid = float(sum(spent.values())) if year == 1 else 0.0
        later = (running * length - left) / (1.0 + x["cost_of_capital"]) ** age
        rows.append(
            Year(
                year=year,
                spent=paid,
                running=running * length,
                written_off=before - books,
                books=books,
                sold=left,
                worth_now=paid + later,
            )
        )
        before = books
    return tuple(rows)


def own(inputs: Mapping[str, Input]) -> Ownership:
    """What a cluster costs to own, with intervals and a table by year.

    Raises
    ------
    InputError
        An input that is missing, unknown, or cannot be.
    """
    check(inputs)
    x = likely(inputs)
    found = {name: float(value) for name, value in costs(x).items()}
    spread = intervals_of(costs, inputs)
    return Ownership(
        accelerators=x["accelerators"],
        bought={part: float(value) for part, value in bought(x).items()},
        rates={part: found[part] for part in PARTS},
        capex=found["capex"],
        hour=found["hour"],
        good_hour=found["good_hour"],
        intervals=spread,
        years=by_year(x),
        assumed=tuple(_said(name, one) for name, one in inputs.items() if one.why),
    )


def _said(name: str, one: Input) -> str:
    """An input in words: its value, its range, and whose it is."""
    ends = "" if one.low == one.high else f" ({_shown(one, one.low)} to {_shown(one, one.high)})"
    return f"{name.replace('_', ' ')}: {_shown(one, one.value)}{ends}; {one.why}"


def _shown(one: Input, value: float) -> str:
    if one.dimension == "1" and one.high <= 1.0:
        return f"{100.0 * value:.3g}%"
    return format_quantity(value, one.dimension)


def rent_or_buy(owned: Ownership, rent_rate: float) -> RentOrBuy:
    """Compare an owned cluster with accelerators rented by the hour.

    Parameters
    ----------
    owned
        The cluster.
    rent_rate
        Rent of one accelerator. [USD/s]

    Raises
    ------
    InputError
        A rent of nothing.
    """
    if not rent_rate > 0.0:
        raise InputError("the rent must be above zero, such as $2.10/h")
    running = sum(owned.rates[part] for part in RUNNING) / owned.accelerators
    return RentOrBuy(
        utilisation=float(break_even_utilisation(owned.hour, rent_rate)),
        payback=float(payback_time(owned.capex / owned.accelerators, rent_rate, running)),
    )


def check(inputs: Mapping[str, Input]) -> None:
    """Refuse inputs that cannot be.

    Raises
    ------
    InputError
        The first that is missing, unknown, of another unit, negative, or out of its bounds.
    """
    for name in inputs:
        if name not in INPUTS:
            raise InputError(f"no input of costs called {name!r}: one of {', '.join(INPUTS)}")
    for name, dimension in INPUTS.items():
        if name not in inputs:
            raise InputError(f"costs need the input {name!r} [{dimension}]: give it")
        one = inputs[name]
        if one.dimension != dimension:
            raise InputError(f"{name!r} is in [{one.dimension}], but is needed in [{dimension}]")
        if not 0.0 <= one.low <= one.value <= one.high < math.inf:
            raise InputError(
                f"{name!r} is {one.value:g} between {one.low:g} and {one.high:g}: give its lowest, "
                f"likely and highest value in this order, none below zero"
            )
        if name in ("accelerators", "it_life", "building_life", "utilisation", "goodput"):
            _above_zero(name, one)
        if name in ("residual_share", "utilisation", "goodput") and one.high > 1.0:
            raise InputError(f"{name!r} is up to {one.high:g}, but is a share: 1 at the most")
    if inputs["pue"].low < 1.0:
        raise InputError(f"'pue' is {inputs['pue'].low:g}, but a facility draws at least its IT: 1")


def _above_zero(name: str, one: Input) -> None:
    if one.low <= 0.0:
        raise InputError(f"{name!r} is {one.low:g}, but must be above zero")
