"""A machine with its building, year by year: power, energy, water, carbon, and money.

One function of named inputs, which may be arrays; `SITE_INPUTS` says what it adds to those of the
network (`network.network_model`), the hall (`cooling.overhead_model`), carbon (`carbon.footprint`)
and money (`money.costs`).

What it leaves out: hours of the day, so that carbon and tariffs are means of a year; land, taxes;
construction's own emissions.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clusterwright.formulas.money import cost_per_token
from clusterwright.formulas.power import device_energy, part_load
from clusterwright.records import Record
from clusterwright.site.carbon import footprint
from clusterwright.site.cooling import Cooling, overhead_model
from clusterwright.site.machine import Machine
from clusterwright.site.money import INPUTS as MONEY_INPUTS
from clusterwright.site.money import YEAR, Year, bought, by_year, costs
from clusterwright.site.network import NetworkBill, network_model
from clusterwright.uncertain import (
    Floats,
    Influence,
    Input,
    Interval,
    Swing,
    influences,
    intervals_of,
    likely,
    tornado,
)

SITE_INPUTS = {
    "node_power": "W",
    "idle_power": "W",
    "drawn_share": "1",
    "peak_share": "1",
    "storage_power": "W",
    "duty": "1",
    "speed": "1",
}
"""Inputs beside those of network, hall, carbon and money; powers are per accelerator.
``drawn_share``, ``peak_share``: of rated power, on average and at most, while work is done, which
is for ``duty`` of the time. ``speed``: under a power cap, over without."""


class SiteQuestion(Record, frozen=True, kw_only=True):
    """A machine, where it stands, and all that its site's answer rests on.

    ``cooling``: None where ``pue`` was given as an input. ``tokens``: that an accelerator makes
    [1/s], ``flops``: of useful work that it does [FLOP/s], None: no plan says. ``rent``: of an
    accelerator, to compare with [USD/s], None: nobody asked. ``cap``: of an accelerator. [W]
    """

    machine: Machine
    network: NetworkBill
    region: str
    inputs: dict[str, Input]
    cooling: Cooling | None = None
    tokens: float | None = None
    flops: float | None = None
    rent: float | None = None
    cap: float | None = None
    day: str = ""
    assumed: tuple[str, ...] = ()


class SiteOutlook(Record, frozen=True, kw_only=True):
    """What a site takes, likely, and with intervals by the names of `site_model`.

    ``likely``: values; ``results``: intervals of the same. ``swings``, ``influences``: what moves
    the cost of an accelerator's hour, and ``carbon_swings`` its carbon. ``years``: money year by
    year, likely, empty where nobody knows what the machine costs.
    """

    question: SiteQuestion
    likely: dict[str, float]
    results: dict[str, Interval]
    swings: tuple[Swing, ...] = ()
    influences: tuple[Influence, ...] = ()
    carbon_swings: tuple[Swing, ...] = ()
    years: tuple[Year, ...] = ()


def look_at_site(question: SiteQuestion, *, depth: bool = True) -> SiteOutlook:
    """Say what a site takes; ``depth``: find out what moves the answer, too."""

    def model(x: Mapping[str, Floats]) -> dict[str, Floats]:
        return site_model(question, x)

    centre = {name: float(value) for name, value in model(likely(question.inputs)).items()}
    priced = depth and "hour" in centre
    return SiteOutlook(
        question=question,
        likely=centre,
        results=intervals_of(model, question.inputs),
        swings=tuple(tornado(model, question.inputs, "hour")) if priced else (),
        influences=tuple(influences(model, question.inputs, "hour", count=512)) if priced else (),
        carbon_swings=tuple(tornado(model, question.inputs, "carbon")) if depth else (),
        years=_years(question) if priced else (),
    )


def site_model(question: SiteQuestion, x: Mapping[str, Floats]) -> dict[str, Floats]:
    """All that a site takes, by name, in SI; per year where time passes.

    Power [W]: ``nameplate``, ``expected`` and ``observed_peak`` of the facility, ``idle``; of IT
    ``it_nameplate``, ``it_expected``; ``network_watts``, ``storage_watts``. ``pue`` [1]; ``wue``
    [L/J]. A year's ``energy`` [J], ``bill`` [USD], ``carbon`` (by location), ``carbon_market`` and
    ``carbon_made``, its share of making the machines [kg], ``water`` of the site and ``grid_water``
    of power plants [L]. ``racks`` of accelerators, where a network joins them. [1] ``capex``, and a
    year's ``cost`` [USD]; ``hour``: of an accelerator, ``used``: while it works [USD/s]; ``token``
    and ``flop``: one of each [USD]. Where nobody knows what the machine costs, only the bill is of
    money.
    """
    count = float(question.machine.count)
    network = _network(question, x)
    hall = _hall(question, x)
    power = _power(x, count, network["watts"], hall["pue"])
    energy = device_energy(YEAR, power["expected"], 1.0)
    emitted = footprint(
        {
            **x,
            "energy": energy,
            "it_energy": device_energy(YEAR, power["it_expected"], 1.0),
            "wue": hall["wue"],
            "accelerators": count,
            "duration": YEAR,
        }
    )
    found = {
        **power,
        "network_watts": network["watts"],
        "storage_watts": count * x["storage_power"],
        "pue": hall["pue"],
        "wue": hall["wue"],
        "energy": energy,
        "bill": energy * x["energy_price"],
        "carbon": emitted["location"],
        "carbon_market": emitted["market"],
        "carbon_made": emitted["made"],
        "water": emitted["water"],
        "grid_water": emitted["grid_water"],
        "network_dollars": network["dollars"],
    }
    if "rack_size" in x:
        found["racks"] = np.ceil(count / x["rack_size"])
    if "server_price" not in x:
        return found
    found |= _money(_given(x, count, power, hall["pue"], network["dollars"]))
    for name, rate in (("token", question.tokens), ("flop", question.flops)):
        if rate:
            found[name] = cost_per_token(found["used"], rate * x["speed"])
    return found


def _network(question: SiteQuestion, x: Mapping[str, Floats]) -> dict[str, Floats]:
    if not question.network.fabric.endpoints:
        return {"watts": 0.0, "dollars": 0.0}
    found = network_model(question.network.counts, x)
    return {"watts": found["total_watts"], "dollars": found["total_dollars"]}


def _hall(question: SiteQuestion, x: Mapping[str, Floats]) -> Mapping[str, Floats]:
    if question.cooling is None:
        return {"pue": x["pue"], "wue": x["wue"]}
    return overhead_model(question.cooling)(x)


def _power(
    x: Mapping[str, Floats], count: float, network: Floats, pue: Floats
) -> dict[str, Floats]:
    """Rated, drawn on average, drawn at most, and idle."""
    beside = network + count * x["storage_power"]
    working = x["node_power"] * x["drawn_share"]
    # What was measured on other machines may not say that the peak is below the mean.
    most = np.maximum(x["drawn_share"], x["peak_share"])
    drawn = part_load(x["idle_power"], working, x["duty"])
    rated = count * x["node_power"] + beside
    expected = count * drawn + beside
    return {
        "nameplate": rated * pue,
        "expected": expected * pue,
        "observed_peak": (count * x["node_power"] * most + beside) * pue,
        "idle": (count * x["idle_power"] + beside) * pue,
        "it_nameplate": rated,
        "it_expected": expected,
    }


def _years(question: SiteQuestion) -> tuple[Year, ...]:
    """Money year by year, at the likely inputs."""
    x = likely(question.inputs)
    count = float(question.machine.count)
    network, hall = _network(question, x), _hall(question, x)
    power = _power(x, count, network["watts"], hall["pue"])
    given = _given(x, count, power, hall["pue"], network["dollars"])
    return by_year({name: float(value) for name, value in given.items()})


def _given(
    x: Mapping[str, Floats],
    count: float,
    power: Mapping[str, Floats],
    pue: Floats,
    network: Floats,
) -> dict[str, Floats]:
    """The inputs of `money.costs`."""
    return {name: x[name] for name in MONEY_INPUTS if name in x} | {
        "accelerators": count,
        "nameplate_power": power["it_nameplate"],
        "mean_power": power["it_expected"],
        "pue": pue,
        "network_price": network,
        "storage_price": count * x["server_price"] * x["storage_cost_share"],
        "utilisation": x["duty"],
    }


def _money(given: Mapping[str, Floats]) -> dict[str, Floats]:
    found, spent = costs(given), bought(given)
    parts = {f"{part}_capex": value for part, value in spent.items()}
    rates = {
        f"{part}_cost": found[part] * YEAR
        for part in found
        if part not in ("capex", "hour", "used_hour", "good_hour", "capital", "running", "total")
    }
    return {
        **parts,
        **rates,
        "capex": found["capex"],
        "cost": found["total"] * YEAR,
        "hour": found["hour"],
        "used": found["used_hour"],
        "good": found["good_hour"],
    }
