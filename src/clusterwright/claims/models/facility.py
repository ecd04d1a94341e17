"""Models of claims about what stands: sites, builds, prices, fleets counted in H100."""

from __future__ import annotations

from functools import lru_cache

from clusterwright.asking import whole_number
from clusterwright.asking_build import ask_build
from clusterwright.asking_prices import SiteOptions
from clusterwright.asking_site import ask_site
from clusterwright.buildout.plan import BuildPlan
from clusterwright.catalogue.store import Catalogue
from clusterwright.claims.given import Given
from clusterwright.claims.models.answer import Answer, Floats, drawn, spread
from clusterwright.errors import InputError
from clusterwright.hardware import peak_rate
from clusterwright.planner_build import plan_build
from clusterwright.planner_scorecard import score
from clusterwright.scorecard.equivalents import fleet_of
from clusterwright.site.bill import server_price
from clusterwright.site.climate import region_named, require_climate
from clusterwright.site.cooling import cooling_named, overhead_inputs, overhead_model
from clusterwright.site.money import YEAR
from clusterwright.site.outlook import SiteQuestion, site_model
from clusterwright.site.prices import price_of
from clusterwright.uncertain import draw
from clusterwright.units import format_quantity

BUILD = ("path", "bridge", "clock", "power", "power_now", "bridge_power", "per_rack")
PLACE = ("region", "cooling", "day")
SERVERS = "servers"
SITE = {
    "nameplate": "W",
    "expected": "W",
    "observed_peak": "W",
    "pue": "1",
    "energy": "J",
    "bill": "USD",
    "carbon": "kg",
    "capex": "USD",
    "cost": "USD",
    "hour": "USD/s",
}
"""Results of a site that are shown beside the one that is meant, with their units."""
MORE = {
    "nameplate_energy": "J",
    "nameplate_bill": "USD",
    "each": "W",
    "nameplate_each": "W",
    "servers": "USD",
    "idle": "W",
    "it_nameplate": "W",
    "it_expected": "W",
    "made": "kg",
    "water": "L",
}
"""Others of them."""
Words = tuple[tuple[str, str], ...]
"""Words by name, so that the same question is answered once."""


def site(given: Given) -> Answer:
    """A machine with its building, as ``clusterwright site`` has it.

    Any input of that model may be given by its name, such as ``energy_price`` or ``duty``.
    Results: those of `clusterwright.site.outlook.site_model`, a year's ``energy`` first;
    ``nameplate_energy``: of a year at rated power [J], ``nameplate_bill`` [USD]; ``each``,
    ``nameplate_each``: power of the facility for an accelerator [W].
    """
    machine = given.texts("cluster", "accelerator", "accelerators")
    options = given.texts(*PLACE)
    own = {}
    if given.has("pue"):
        own["pue"] = given.quantity("pue", "1")
        options["pue"] = str(own["pue"].value)
    question = _site(given.catalogue, tuple(machine.items()), tuple(options.items()))
    inputs = {name: one for name, one in question.inputs.items() if name in given.rest()}
    own |= {name: given.quantity(name, one.dimension) for name, one in inputs.items()}
    x = draw({**question.inputs, **own})
    found = site_model(question, x)
    count = float(question.machine.count)
    full = found["nameplate"] * YEAR
    results: dict[str, Floats] = {
        "energy": found["energy"],
        **found,
        "nameplate_energy": full,
        "nameplate_bill": full * x["energy_price"],
        "each": found["expected"] / count,
        "nameplate_each": found["nameplate"] / count,
    }
    if "server_price" in x:
        results["servers"] = count * x["server_price"]
    where = f"{question.machine.cluster.name} in {question.region}, prices of {question.day}"
    return Answer(
        results=results,
        dimensions=SITE | MORE,
        beside=tuple(SITE),
        assumed=(where, *question.assumed),
    )


@lru_cache(maxsize=32)
def _site(catalogue: Catalogue, machine: Words, options: Words) -> SiteQuestion:
    words = dict(machine)
    return ask_site(
        words.pop("cluster", None),
        options=SiteOptions(**dict(options)),  # type: ignore[arg-type]
        catalogue=catalogue,
        **words,
    )


def build(given: Given) -> Answer:
    """How long a cluster takes to build, as ``clusterwright build`` has it.

    ``then``: accelerators of an enlargement that follows. Results: ``time`` until all is accepted,
    ``all_up``, ``first`` tenth [s]; ``more``: of the enlargement from its own start [s]; ``pace``:
    accelerators in a unit of time, over the whole build [1/s].
    """
    cluster = given.text("cluster")
    words = given.texts(*BUILD, "shifts", "racks_per_day", "then")
    found = _built(given.catalogue, cluster, tuple(words.items()))
    results = {
        "time": found.finish,
        "all_up": found.all_up,
        "first": found.first,
        "pace": found.question.accelerators / spread(found.finish, seed=1),
    }
    if found.then is not None:
        results["more"] = found.then.finish
    last = f"longest on the way: {', then '.join(gate for gate in found.gates if gate)}"
    dimensions = {**dict.fromkeys(("time", "all_up", "first", "more"), "s"), "pace": "1/s"}
    return Answer(results=results, dimensions=dimensions, assumed=(last, *found.question.assumed))


@lru_cache(maxsize=32)
def _built(catalogue: Catalogue, cluster: str, words: Words) -> BuildPlan:
    asked = dict(words)
    then = asked.pop("then", None)
    shifts = whole_number(asked.pop("shifts", "1"), "shifts")
    racks = asked.pop("racks_per_day", None)
    try:
        pace = None if racks is None else float(racks)
    except ValueError:
        raise InputError(f"'racks_per_day' is {racks!r}, but must be a number") from None
    question = ask_build(cluster, shifts=shifts, racks_per_day=pace, catalogue=catalogue, **asked)  # type: ignore[arg-type]
    return plan_build(question, then=then)


def hall(given: Given) -> Answer:
    """A way of cooling in a place.

    Results: ``pue`` [1], ``wue`` [L/J].
    """
    place = region_named(given.catalogue, given.text("region"))
    way = cooling_named(given.catalogue, given.text("cooling"))
    climate = require_climate(given.catalogue, place)
    x = drawn(overhead_inputs(given.catalogue, climate, way))
    found = overhead_model(way)(x)
    return Answer(
        results={"pue": found["pue"], "wue": found["wue"]},
        dimensions={"pue": "1", "wue": "L/J"},
        assumed=(f"{way.name}, weather of {place.name}",),
    )


def prices(given: Given) -> Answer:
    """What so many accelerators cost on a day, by the prices of the catalogue.

    ``basis``: as `clusterwright.site.prices.price_of` has it, or ``servers``: each with its part of
    a server. Results: ``price`` of one, ``total``. [USD], of rents [USD/s]
    """
    name, day = given.text("accelerator"), given.text("day")
    basis = given.text("basis", "purchase")
    if basis == SERVERS:
        one = server_price(name, day=day, catalogue=given.catalogue)
    else:
        one = price_of(name, basis, day=day, catalogue=given.catalogue).as_input()
    x = drawn({"price": one, "count": given.quantity("accelerators", "1", "1")})
    results = {"price": x["price"], "total": x["price"] * x["count"]}
    units = dict.fromkeys(results, one.dimension)
    return Answer(results=results, dimensions=units, assumed=(one.why,))


def h100_equivalents(given: Given) -> Answer:
    """A fleet counted in another chip, as ``clusterwright scorecard`` has it.

    ``fleet``: such as ``350000xh100,100000xa100``; ``of``: the chip it is counted in; ``jobs``:
    scenarios of the scorecard, by which delivered work is compared. Results: ``by_peak``, and with
    jobs ``by_work``; ``missing``: how many chips of the kind ``by`` would bring its peak ``to`` a
    number of equivalents. [1]
    """
    one = given.catalogue.accelerator(given.text("of", "nv-h100-sxm"))
    fleet = given.text("fleet")
    jobs = tuple(part.strip() for part in given.text("jobs", "").split(",") if part.strip())
    rate = peak_rate(one, "bf16")
    parts = fleet_of(fleet, given.catalogue).parts
    chips = [given.catalogue.accelerator(part.accelerator or one.id) for part in parts]
    rates = [peak_rate(chip, "bf16") for chip in chips]
    total = sum(part.count * own for part, own in zip(parts, rates, strict=True)) / rate
    results: dict[str, Floats] = {"by_peak": total}
    if jobs:
        results["by_work"] = _by_work(given.catalogue, fleet, one.id, jobs)
    if given.has("to"):
        other = peak_rate(given.catalogue.accelerator(given.text("by")), "bf16")
        aim = drawn({"to": given.quantity("to", "1")})["to"]
        results["missing"] = (aim - total) * rate / other
    said = f"one {one.name} is {format_quantity(rate, 'FLOP/s')} (bf16, dense)"
    return Answer(
        results=results,
        dimensions=dict.fromkeys(("by_peak", "by_work", "missing"), "1"),
        assumed=(said,),
    )


@lru_cache(maxsize=8)
def _by_work(catalogue: Catalogue, fleet: str, one: str, jobs: tuple[str, ...]) -> float:
    """Equivalents by the mean of some jobs that both do. [1]"""
    found = score(fleet, baseline=one, scenarios=jobs, catalogue=catalogue).fleets[0].by_work
    if found is None:
        raise InputError(f"the jobs {', '.join(jobs)} are not done by every chip of {fleet}")
    return found
