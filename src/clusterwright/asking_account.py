"""What the account of a run rests on: failures, power, carbon and prices of its machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from clusterwright.asking_prices import AS_USUAL, SiteOptions
from clusterwright.asking_run import failures_of
from clusterwright.asking_site import site_of
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.fleet.records import RunQuestion
from clusterwright.hardware import Cluster
from clusterwright.model.records import Model
from clusterwright.site.machine import machine_of
from clusterwright.site.outlook import SiteOutlook, look_at_site
from clusterwright.site.phases import level_inputs
from clusterwright.site.run import RunSite
from clusterwright.training.plan import TrainingQuestion
from clusterwright.uncertain import Input, around, known

OWNED = "owned: servers, network, building, energy and staff over their lives"
KEPT = (
    "node_power",
    "idle_power",
    "drawn_share",
    "peak_share",
    "speed",
    "grid_carbon",
    "contracted_share",
    "grid_water",
    "made_accelerator",
    "made_server",
    "node_size",
    "life",
)
"""Inputs of a site that a run's account has too."""


def with_account(
    question: TrainingQuestion,
    *,
    options: SiteOptions = AS_USUAL,
    failure_rate: str | None = None,
    catalogue: Catalogue | None = None,
) -> TrainingQuestion:
    """The question with what its account rests on; where nobody published that, it says so.

    Parameters
    ----------
    question
        The training run.
    options
        Where it is made, and prices.
    failure_rate
        Unexpected interruptions of eight accelerators, such as ``3.8e-3/d``; None: as published.
    catalogue
        The facts.

    Raises
    ------
    InputError
        What was asked for cannot be: a place, a price, a way of cooling.
    """
    facts = catalogue or shipped()
    cluster, model = question.cluster, question.model
    return accounted(
        question,
        lambda: upkeep_of(cluster, options=options, catalogue=facts),
        lambda: failures_of(cluster, model, catalogue=facts, rate=failure_rate),
        as_usual=(options, failure_rate) == (AS_USUAL, None),
    )


def accounted(
    question: TrainingQuestion,
    upkeep: Callable[[], Upkeep],
    failures: Callable[[], RunQuestion],
    *,
    as_usual: bool,
) -> TrainingQuestion:
    """`with_account` from its parts, for who asks many like questions and keeps them.

    ``as_usual``: nothing was asked for, so that what nobody published is no error.
    """
    try:
        found = upkeep()
    except InputError as error:
        if not as_usual:
            raise
        return replace(question, assumed=(*question.assumed, f"no power or money: {error}"))
    if not as_usual and not question.workload.tokens:
        raise InputError(
            "where a run stands and what it pays says nothing without its length: give --tokens"
        )
    return replace(question, site=RunSite(failures=failures(), **found._asdict()))


def run_site(
    cluster: Cluster,
    model: Model,
    *,
    options: SiteOptions = AS_USUAL,
    catalogue: Catalogue | None = None,
) -> RunSite:
    """What the account of a run of a model on a cluster rests on.

    Raises
    ------
    InputError
        Nobody published what its nodes draw, or its place emits, or what it costs.
    """
    facts = catalogue or shipped()
    upkeep = upkeep_of(cluster, options=options, catalogue=facts)
    failures = failures_of(cluster, model, catalogue=facts)
    return RunSite(failures=failures, **upkeep._asdict())


class Upkeep(NamedTuple):
    """What the account of any run on a cluster rests on beside failures; as in `RunSite`."""

    inputs: dict[str, Input]
    region: str
    priced: str
    cap: float | None
    assumed: tuple[str, ...]


def upkeep_of(
    cluster: Cluster, *, options: SiteOptions = AS_USUAL, catalogue: Catalogue | None = None
) -> Upkeep:
    """What a cluster draws, emits and costs while it trains.

    Raises
    ------
    InputError
        Nobody published what its nodes draw, or its place emits, or what it costs.
    """
    facts = catalogue or shipped()
    asked = site_of(machine_of(cluster, facts), options=options, catalogue=facts)
    outlook = look_at_site(asked, depth=False)
    inputs = {name: asked.inputs[name] for name in KEPT} | level_inputs(facts)
    inputs["pue"] = _as_input(outlook, "pue", "1")
    inputs["other_power"] = _beside(outlook)
    priced = OWNED
    if asked.rent is not None:
        inputs["hour_price"] = known(asked.rent, "USD/s", "rent as asked for")
        priced = f"rented at ${asked.rent * 3600:,.2f}/h"
    elif "hour" in outlook.likely:
        inputs["hour_price"] = _as_input(outlook, "hour", "USD/s")
    return Upkeep(
        inputs=inputs,
        region=asked.region,
        priced=priced,
        cap=asked.cap,
        assumed=asked.assumed,
    )


def _as_input(outlook: SiteOutlook, name: str, dimension: str) -> Input:
    spread = outlook.results[name]
    return around(outlook.likely[name], spread.low, spread.high, dimension)


def _beside(outlook: SiteOutlook) -> Input:
    """Power of network and storage per accelerator. [W]"""
    count = outlook.question.machine.count
    names = ("network_watts", "storage_watts")
    likely = sum(outlook.likely[name] for name in names)
    low, high = (sum(getattr(outlook.results[n], end) for n in names) for end in ("low", "high"))
    return around(likely / count, low / count, high / count, "W")
