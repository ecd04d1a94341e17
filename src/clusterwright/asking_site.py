"""From what a person types to a question about a site: a cluster or a plan, a place, prices."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from clusterwright.asking import find_cluster, whole_number
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import shipped, usual
from clusterwright.hardware import Cluster
from clusterwright.planner import load_plan
from clusterwright.site.bill import cost_inputs
from clusterwright.site.carbon import carbon_inputs
from clusterwright.site.climate import (
    Region,
    nearest_region,
    region_named,
    require_climate,
    require_tariff,
)
from clusterwright.site.cooling import Cooling, cooling_named, overhead_inputs
from clusterwright.site.fabric import AS_USUAL as USUAL_NETWORK
from clusterwright.site.fabric import NetworkOptions
from clusterwright.site.machine import Machine, machine_of
from clusterwright.site.network import network_bill
from clusterwright.site.outlook import SiteQuestion
from clusterwright.site.power import capped_step, check_cap, power_inputs
from clusterwright.site.quotes import read_price
from clusterwright.training.plan import TrainingPlan
from clusterwright.uncertain import Input, known, likely
from clusterwright.units import parse

WORLD = "world"
USUAL_WEATHER = "virginia"
"""Where most of the world's large halls stand."""
LIQUID, AIR = "direct-liquid", "air-economiser"
DENSE = 1800.0
"""Rated power of a node per accelerator from which nodes are taken to be cooled by liquid. [W]"""
REPLACED = ("network_price", "storage_price", "accelerators", "nameplate_power", "mean_power")


@dataclass(frozen=True, kw_only=True)
class SiteOptions:
    """What a person may say of a site; what they do not is taken from the facts.

    ``region``, ``cooling``: by name. ``pue``, ``tariff``, ``carbon``, ``price`` (of an accelerator
    with its server), ``rent``, ``construction``: as quantities. ``contracts``: share of energy with
    a contract that emits nothing. ``duty``: share of the time with work. ``cap``: power of an
    accelerator. ``colocated``: the hall is rented. ``day``: whose prices count.
    """

    region: str | None = None
    cooling: str | None = None
    pue: str | float | None = None
    tariff: str | None = None
    carbon: str | None = None
    contracts: float = 0.0
    duty: float | None = None
    cap: str | None = None
    price: str | None = None
    rent: str | None = None
    construction: str | None = None
    colocated: bool = False
    day: str | None = None
    network: NetworkOptions = USUAL_NETWORK


AS_USUAL = SiteOptions()


def ask_site(
    target: str | None = None,
    *,
    accelerator: str | None = None,
    accelerators: str | int | None = None,
    options: SiteOptions = AS_USUAL,
    catalogue: Catalogue | None = None,
) -> SiteQuestion:
    """Put a question about a site together.

    Parameters
    ----------
    target
        The path of a saved training plan, or the name of a cluster.
    accelerator, accelerators
        Instead of a cluster: a kind of accelerator, and how many; or how many of the cluster's.
    options
        Where it stands, how it is cooled, prices.
    catalogue
        The facts.

    Raises
    ------
    InputError
        Something is missing, cannot be, or nobody published it; the nearest is offered.
    """
    facts = catalogue or shipped()
    if target is not None and (Path(target).exists() or target.endswith(".json")):
        plan = load_plan(Path(target))
        return site_of(plan.question.cluster, options=options, catalogue=facts, plan=plan)
    count = None if accelerators is None else whole_number(accelerators, "--accelerators")
    cluster = find_cluster(target, accelerator, count, facts)
    return site_of(cluster, options=options, catalogue=facts)


def site_of(
    cluster: Cluster,
    *,
    options: SiteOptions = AS_USUAL,
    catalogue: Catalogue,
    plan: TrainingPlan | None = None,
) -> SiteQuestion:
    """The question about a cluster's site; a plan says what its accelerators do.

    Raises
    ------
    InputError
        Something cannot be, or nobody published it; the nearest is offered.
    """
    facts = catalogue
    machine = machine_of(cluster, facts)
    assumed = list(machine.assumed)
    day = _day(options.day)
    place = _place(cluster, options, day, facts, assumed)
    cooling, hall = _hall(machine, place, options, facts, assumed)
    watts, speed = _capped(machine, options, plan, facts)
    bill = network_bill(cluster, options.network, catalogue=facts)
    inputs = {
        **_power(machine, watts, speed, options, facts),
        **_carbon(machine, place, options, facts),
        **bill.fabric.inputs,
        **hall,
        **_money(machine, place, options, day, facts),
    }
    rent = None
    if options.rent is not None:
        rent = _price(options.rent, "USD/s", "--rent", day, facts).value
    return SiteQuestion(
        machine=machine,
        network=bill,
        region=place.name,
        inputs=inputs,
        cooling=cooling,
        tokens=plan.best.tokens_per_second / plan.best.accelerators if plan else None,
        flops=_flops(plan),
        rent=rent,
        cap=None if options.cap is None else parse(options.cap, "W"),
        day=day.isoformat(),
        assumed=(*assumed, *place.assumed, *bill.fabric.assumed),
    )


def _flops(plan: TrainingPlan | None) -> float | None:
    if plan is None:
        return None
    return plan.best.model_flops / plan.best.step_time / plan.best.accelerators


def _day(written: str | None) -> dt.date:
    if written is None:
        return dt.date(2026, 11, 22)
    try:
        return dt.date.fromisoformat(written)
    except ValueError:
        raise InputError(f"--day is {written!r}, but must be a day such as 2025-08-20") from None


def _place(
    cluster: Cluster,
    options: SiteOptions,
    day: dt.date,
    facts: Catalogue,
    assumed: list[str],
) -> Region:
    """The place that was named, or that of the cluster, or the world."""
    name = options.region
    if name is None:
        entry = facts.entries("clusters").get(cluster.id)
        name = (entry.text("region") or entry.text("country")) if entry else ""
        if not name:
            name = WORLD
            assumed.append("no place named: means of the world (give --region)")
    return region_named(facts, name, year=day.year)


def _hall(
    machine: Machine,
    place: Region,
    options: SiteOptions,
    facts: Catalogue,
    assumed: list[str],
) -> tuple[Cooling | None, dict[str, Input]]:
    """The way of cooling and its inputs; or the PUE that was given."""
    if options.pue is not None:
        if options.cooling is not None:
            raise InputError("--pue says what --cooling would find out; give one of them")
        pue = _parsed(str(options.pue), "1", "--pue")
        if not 1.0 <= pue <= 5.0:
            raise InputError(f"--pue is {pue:g}, but a facility draws at least its IT: 1 or more")
        return None, {"pue": known(pue, why="as asked for"), "wue": known(0.0, "L/J")}
    name = options.cooling
    if name is None:
        wet = "liquid" in machine.cooling or machine.node_power.value >= DENSE
        name = LIQUID if wet else AIR
        assumed.append(f"cooling: {cooling_named(facts, name).name}")
    way = cooling_named(facts, name)
    climate = place.climate
    if not climate:
        there = _weather_near(place, facts)
        climate = there.climate if there else require_climate(facts, place)
        if there:
            assumed.append(f"weather as in {there.name}")
    return way, overhead_inputs(facts, climate, way)


def _weather_near(place: Region, facts: Catalogue) -> Region | None:
    """Where the nearest temperatures are known, if that is in the same country."""
    near = USUAL_WEATHER if place.id == WORLD else nearest_region(facts, place.id, "climate")
    there = None if near is None else region_named(facts, near)
    same = there is not None and (place.id == WORLD or there.country == place.country)
    return there if same else None


def _capped(
    machine: Machine, options: SiteOptions, plan: TrainingPlan | None, facts: Catalogue
) -> tuple[float, float]:
    """What a cap takes off an accelerator's rated power [W], and the speed that is left. [1]"""
    if options.cap is None:
        return 0.0, 1.0
    chip = machine.cluster.accelerator.id
    given = power_inputs(facts, chip)
    cap = check_cap(_parsed(options.cap, "W", "--power-cap"), given, chip).value
    rated = given["rated_power"].value
    share = usual(facts, "step-compute-share").value
    if plan is not None:
        ideal = sum(t.time for t in plan.best.waterfall if t.name in ("ideal", "kernels"))
        share = min(1.0, ideal / plan.best.step_time)
    x = {**likely(given), "compute_share": share}
    return rated - cap, float(capped_step(x, cap))


def _power(
    machine: Machine, taken: float, speed: float, options: SiteOptions, facts: Catalogue
) -> dict[str, Input]:
    duty = usual(facts, "site-duty")
    if options.duty is not None:
        if not 0.0 < options.duty <= 1.0:
            raise InputError(f"--duty is {options.duty:g}, but is a share: above 0, 1 at most")
        duty = known(options.duty, why="as asked for")
    rated = machine.node_power
    return {
        "node_power": Input(
            value=rated.value - taken,
            low=rated.low - taken,
            high=rated.high - taken,
            dimension="W",
            why=rated.why,
        ),
        "idle_power": machine.idle_power,
        "drawn_share": machine.drawn_share,
        "peak_share": machine.peak_share,
        "storage_power": usual(facts, "storage-power"),
        "duty": duty,
        "speed": known(speed),
    }


def _carbon(
    machine: Machine, place: Region, options: SiteOptions, facts: Catalogue
) -> dict[str, Input]:
    if not 0.0 <= options.contracts <= 1.0:
        raise InputError(f"--contracts is {options.contracts:g}, but is a share of 0 to 1")
    if options.carbon is not None:
        asked = _parsed(options.carbon, "kg/J", "--carbon")
        place = replace(place, grid_carbon=known(asked, "kg/J", "as asked for"))
    return carbon_inputs(facts, place, node_size=machine.node_size, contracted=options.contracts)


def _money(
    machine: Machine,
    place: Region,
    options: SiteOptions,
    day: dt.date,
    facts: Catalogue,
) -> dict[str, Input]:
    given: dict[str, Input] = {"network_price": known(0.0, "USD")}
    if options.price is not None:
        given["server_price"] = _price(options.price, "USD", "--server-price", day, facts)
    if options.construction is not None:
        given["building_price"] = _price(
            options.construction, "USD/W", "--construction", day, facts
        )
    tariff = (
        require_tariff(facts, place)
        if options.tariff is None
        else _price(options.tariff, "USD/J", "--tariff", day, facts)
    )
    found = cost_inputs(
        machine.cluster.accelerator.id,
        machine.count,
        nameplate_power=known(1.0, "W"),
        mean_power=known(1.0, "W"),
        pue=known(1.0),
        energy_price=tariff,
        catalogue=facts,
        day=day,
        region=place.id,
        colocated=options.colocated,
        given=given,
    )
    left = {name: one for name, one in found.items() if name not in (*REPLACED, "pue")}
    left["storage_cost_share"] = usual(facts, "storage-share")
    left.pop("utilisation", None)
    return left


def _price(written: str, dimension: str, option: str, day: dt.date, facts: Catalogue) -> Input:
    """A price, in dollars or in another currency at the rate of a day."""
    try:
        found = read_price(written, dimension, day=day, catalogue=facts)
    except InputError as error:
        raise type(error)(f"{option}: {error}") from None
    return known(found, dimension, "as asked for")


def _parsed(written: str, dimension: str, option: str) -> float:
    try:
        return parse(written, dimension)
    except InputError as error:
        raise type(error)(f"{option}: {error}") from None
