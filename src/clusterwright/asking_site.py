"""From what a person types to a question about a site: a cluster or a plan, a place, prices."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from msgspec.structs import replace

from clusterwright.asking import quantity_of
from clusterwright.asking_machine import find_machine
from clusterwright.asking_prices import (
    AS_USUAL,
    SiteOptions,
    money_inputs,
    read_option,
)
from clusterwright.buildout.machine import rack_of
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import shipped, usual
from clusterwright.planner import load_plan
from clusterwright.site.carbon import carbon_inputs
from clusterwright.site.climate import (
    Region,
    distance,
    nearest_region,
    region_named,
    require_climate,
)
from clusterwright.site.cooling import Cooling, cooling_named, overhead_inputs
from clusterwright.site.machine import Machine, machine_of
from clusterwright.site.network import NetworkBill, network_bill
from clusterwright.site.outlook import SiteQuestion
from clusterwright.site.power import capped_step, check_cap, power_inputs
from clusterwright.site.quotes import day_of, newest_day
from clusterwright.training.plan import TrainingPlan
from clusterwright.uncertain import Input, known, likely

WORLD = "world"
USUAL_WEATHER = "virginia"
"""Where most of the world's large halls stand."""
LIQUID, AIR = "direct-liquid", "air-economiser"
NEAR = 600e3
"""Weather of another country stands in for a place's own up to here. [m]"""
DENSE = 1800.0
"""Rated power of a node per accelerator from which nodes are taken to be cooled by liquid. [W]"""


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
    if target is not None and not target.strip():
        raise InputError("the machine has no name: give one, such as meta-24k or 8000xh100")
    if target is not None and (Path(target).exists() or target.endswith(".json")):
        if (accelerator, accelerators) != (None, None):
            raise InputError("a plan has its machine: leave out --accelerator and --accelerators")
        plan = load_plan(Path(target))
        machine = machine_of(plan.question.cluster, facts)
        return site_of(machine, options=options, catalogue=facts, plan=plan)
    machine = find_machine(
        target, accelerator=accelerator, accelerators=accelerators, catalogue=facts
    )
    return site_of(machine, options=options, catalogue=facts)


def site_of(
    machine: Machine,
    *,
    options: SiteOptions = AS_USUAL,
    catalogue: Catalogue,
    plan: TrainingPlan | None = None,
) -> SiteQuestion:
    """The question about a machine's site; a plan says what its accelerators do.

    Raises
    ------
    InputError
        Something cannot be, or nobody published it; the nearest is offered.
    """
    facts = catalogue
    assumed = list(machine.assumed)
    day = _day(options.day, facts)
    place, shown = _place(machine, options, day, facts, assumed)
    cooling, hall = _hall(machine, place, options, facts, assumed)
    watts, speed = _capped(machine, options, plan, facts)
    bill = network_bill(machine.cluster, options.network, catalogue=facts)
    money, unpriced = money_inputs(machine, place, options, day=day, catalogue=facts)
    inputs = {
        **_power(machine, watts, speed, options, facts),
        **_carbon(machine, place, options, facts),
        **bill.fabric.inputs,
        **hall,
        **money,
        **_rack(machine, bill, facts, assumed),
    }
    rent = None
    if options.rent is not None:
        rent = read_option(options.rent, "USD/s", "--rent", day, facts).value
    return SiteQuestion(
        machine=machine,
        network=bill,
        region=shown,
        inputs=inputs,
        cooling=cooling,
        tokens=plan.best.tokens_per_second / plan.best.accelerators if plan else None,
        flops=_flops(plan),
        rent=rent,
        cap=None if options.cap is None else (machine.board_power or 0.0) - watts,
        day=day.isoformat(),
        assumed=(*assumed, *unpriced, *place.assumed, *bill.fabric.assumed),
    )


def _rack(
    machine: Machine, bill: NetworkBill, facts: Catalogue, assumed: list[str]
) -> dict[str, Input]:
    """Accelerators of a rack, where there are racks: machines that a network joins."""
    if not bill.fabric.endpoints:
        return {}
    if machine.cluster.accelerator.id not in facts.entries("accelerators"):
        return {"rack_size": usual(facts, "rack-accelerators")}
    return {"rack_size": rack_of(machine.cluster, facts, assumed)}


def _flops(plan: TrainingPlan | None) -> float | None:
    if plan is None:
        return None
    return plan.best.model_flops / plan.best.step_time / plan.best.accelerators


def _day(written: str | None, facts: Catalogue) -> dt.date:
    """The day that was asked for, or the last on which somebody looked at the prices."""
    if written is None:
        return newest_day(facts)
    try:
        return day_of(written, last=True)
    except InputError as error:
        raise InputError(f"--day: {error}") from None


def _place(
    machine: Machine,
    options: SiteOptions,
    day: dt.date,
    facts: Catalogue,
    assumed: list[str],
) -> tuple[Region, str]:
    """The place that was named, or that of the cluster, or the world; and what to call it."""
    if options.region is not None:
        place = region_named(facts, options.region, year=day.year)
        return place, place.name
    entry = facts.entries("clusters").get(machine.cluster.id)
    name = (entry.text("region") or entry.text("country")) if entry else ""
    if not name:
        assumed.append("no place named: means of the world (give --region)")
    place = region_named(facts, name or WORLD, year=day.year)
    if machine.place and machine.place.split()[0].strip(",") not in place.name:
        assumed.append(f"electricity and weather as in {place.name}")
        return place, machine.place
    return place, place.name


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
        pue = quantity_of(str(options.pue), "1", "--pue")
        if not 1.0 <= pue <= 5.0:
            raise InputError(
                f"--pue is {pue:g}, but must be 1 to 5: a site draws at least what its machines do"
            )
        return None, {"pue": known(pue, why="as asked for"), "wue": known(0.0, "L/J")}
    name = options.cooling
    if name is None and machine.handheld:
        assumed.append("no hall: PUE 1")
        return None, {"pue": known(1.0, why="it stands in no hall"), "wue": known(0.0, "L/J")}
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
    """Where the nearest temperatures are known, if that is in the same country or not far off."""
    if place.id == WORLD:
        return region_named(facts, USUAL_WEATHER)
    near = nearest_region(facts, place.id, "climate")
    if near is None:
        return None
    there = region_named(facts, near)
    close = distance(facts, place.id, near) < NEAR
    return there if close or there.country == place.country else None


def _capped(
    machine: Machine, options: SiteOptions, plan: TrainingPlan | None, facts: Catalogue
) -> tuple[float, float]:
    """What a cap takes off an accelerator's rated power [W], and the speed that is left. [1]"""
    if options.cap is None:
        return 0.0, 1.0
    if machine.parts:
        kinds = ", ".join(part.cluster.accelerator.id for part in machine.parts)
        raise InputError(f"--power-cap is of one kind of accelerator, but there are {kinds}")
    chip = machine.cluster.accelerator.id
    given = power_inputs(facts, chip)
    cap = check_cap(quantity_of(options.cap, "W", "--power-cap"), given, chip).value
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
    duty = _share(options.duty, "--duty") or usual(facts, "site-duty")
    drawn = _share(options.drawn, "--drawn")
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
        "drawn_share": drawn or machine.drawn_share,
        "peak_share": machine.peak_share,
        "storage_power": known(0.0, "W") if machine.handheld else usual(facts, "storage-power"),
        "duty": duty,
        "speed": known(speed),
    }


LEAST_SHARE = 1e-6
"""Below it a share is a slip of the pen."""


def _share(given: float | None, option: str) -> Input | None:
    """A share that was asked for, None where none was."""
    if given is None:
        return None
    if not LEAST_SHARE <= given <= 1.0:
        raise InputError(f"{option} is {given:g}, but is a share: {LEAST_SHARE:g} to 1")
    return known(given, why="as asked for")


def _carbon(
    machine: Machine, place: Region, options: SiteOptions, facts: Catalogue
) -> dict[str, Input]:
    if not 0.0 <= options.contracts <= 1.0:
        raise InputError(f"--contracts is {options.contracts:g}, but is a share of 0 to 1")
    if options.carbon is not None:
        asked = quantity_of(options.carbon, "kg/J", "--carbon")
        place = replace(place, grid_carbon=known(asked, "kg/J", "as asked for"))
    found = carbon_inputs(facts, place, node_size=machine.node_size, contracted=options.contracts)
    if machine.handheld:
        found["made_accelerator"] = usual(facts, f"embodied-{machine.kind}")
        found["made_server"] = known(0.0, "kg")
    return found
