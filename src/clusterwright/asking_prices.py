"""What a person may say of a site, and what its machine and building cost."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import usual
from clusterwright.site.bill import cost_inputs, server_price
from clusterwright.site.climate import Region, require_tariff
from clusterwright.site.fabric import AS_USUAL as USUAL_NETWORK
from clusterwright.site.fabric import NetworkOptions
from clusterwright.site.machine import Machine
from clusterwright.site.quotes import read_price
from clusterwright.uncertain import Input, known, weighted

REPLACED = ("network_price", "storage_price", "accelerators", "nameplate_power", "mean_power")
"""Inputs of costs that a site's model works out itself."""


@dataclass(frozen=True, kw_only=True)
class SiteOptions:
    """What a person may say of a site; what they do not is taken from the facts.

    ``region``, ``cooling``: by name. ``pue``, ``tariff``, ``carbon``, ``price`` (of an accelerator
    with its server), ``rent``, ``construction``: as quantities. ``contracts``: share of energy with
    a contract that emits nothing. ``duty``: share of the time with work. ``drawn``: of rated power,
    meanwhile. ``cap``: power of an
    accelerator. ``colocated``: the hall is rented. ``day``: whose prices count.
    """

    region: str | None = None
    cooling: str | None = None
    pue: str | float | None = None
    tariff: str | None = None
    carbon: str | None = None
    contracts: float = 0.0
    duty: float | None = None
    drawn: float | None = None
    cap: str | None = None
    price: str | None = None
    rent: str | None = None
    construction: str | None = None
    colocated: bool = False
    day: str | None = None
    network: NetworkOptions = USUAL_NETWORK


AS_USUAL = SiteOptions()


def money_inputs(
    machine: Machine, place: Region, options: SiteOptions, *, day: dt.date, catalogue: Catalogue
) -> tuple[dict[str, Input], tuple[str, ...]]:
    """The inputs of costs, and what was assumed; the tariff alone if nobody knows the machine's.

    Raises
    ------
    InputError
        No price of electricity, or none of the machine although it was asked for by its day.
    """
    facts = catalogue
    tariff = (
        require_tariff(facts, place)
        if options.tariff is None
        else read_option(options.tariff, "USD/J", "--tariff", day, facts)
    )
    try:
        servers, assumed = _servers(machine, options, day, facts)
    except _UnpricedError as error:
        if (options.day, options.construction) != (None, None) or options.colocated:
            raise
        return {"energy_price": tariff}, (f"no money beside the bill, since {error}",)
    given = {"network_price": known(0.0, "USD"), "server_price": servers}
    if machine.handheld:
        nothing = {"building_price": "USD/W", "staff_cost": "USD/W/s", "installation_share": "1"}
        given |= {name: known(0.0, dimension) for name, dimension in nothing.items()}
    if options.construction is not None:
        built = read_option(options.construction, "USD/W", "--construction", day, facts)
        given["building_price"] = built
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
    left = {name: one for name, one in found.items() if name not in REPLACED}
    for name in ("pue", "utilisation"):
        left.pop(name)
    left["storage_cost_share"] = known(0.0) if machine.handheld else usual(facts, "storage-share")
    return left, assumed


class _UnpricedError(InputError):
    """Nobody knows what a machine costs."""


def _servers(
    machine: Machine, options: SiteOptions, day: dt.date, facts: Catalogue
) -> tuple[Input, tuple[str, ...]]:
    """What an accelerator costs with its part of a server: as asked for, or as is known."""
    if options.price is not None:
        return read_option(options.price, "USD", "--server-price", day, facts), ()
    if machine.handheld:
        found = usual(facts, f"price-{machine.kind}")
        return found, (f"a {machine.kind} of ${found.low:,.0f} to ${found.high:,.0f}",)
    try:
        each = [
            (
                float(one.count),
                server_price(one.cluster.accelerator.id, day=day, catalogue=facts),
            )
            for one in machine.parts or (machine,)
        ]
    except InputError as error:
        words = str(error).removesuffix(": give a price")
        raise _UnpricedError(f"{words}: give --server-price, with its part of a server") from None
    return weighted(each), ()


def read_option(written: str, dimension: str, option: str, day: dt.date, facts: Catalogue) -> Input:
    """A price, in dollars or in another currency at the rate of a day."""
    try:
        found = read_price(written, dimension, day=day, catalogue=facts)
    except InputError as error:
        raise type(error)(f"{option}: {error}") from None
    return known(found, dimension, "as asked for")
