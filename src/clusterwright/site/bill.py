"""The inputs of a cluster's costs, from the facts where nobody gives them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import usual
from clusterwright.site.money import INPUTS
from clusterwright.site.prices import construction_price_of, price_of
from clusterwright.site.quotes import day_of, holding, quotes, summed_up
from clusterwright.uncertain import Input, known

DEFAULTS = {
    "installation_share": "installation-share",
    "maintenance_share": "maintenance-share",
    "staff_cost": "staff-cost",
    "cost_of_capital": "cost-of-capital",
    "it_life": "hardware-life",
    "building_life": "building-life",
}
"""Inputs that are defaults of the catalogue, by id."""


def cost_inputs(
    accelerator: str,
    accelerators: int,
    *,
    nameplate_power: Input,
    mean_power: Input,
    pue: Input,
    energy_price: Input,
    catalogue: Catalogue,
    day: str | dt.date,
    region: str = "usa",
    colocated: bool = False,
    given: Mapping[str, Input] | None = None,
) -> dict[str, Input]:
    """Put the inputs of `clusterwright.site.money.costs` together.

    Parameters
    ----------
    accelerator, accelerators
        Which, and how many.
    nameplate_power, mean_power
        Of all equipment, rated and drawn. [W]
    pue
        Power of the facility over that of its equipment. [1]
    energy_price
        Tariff. [USD/J]
    catalogue
        The facts.
    day
        Whose prices count.
    region
        Of the building, as the catalogue calls it.
    colocated
        Whether the hall is rented: no building, no staff of its own.
    given
        Inputs that are known better, by name: they replace what the facts would say.

    Raises
    ------
    InputError
        No accelerators; a price that nobody published and nobody can estimate.
    """
    if accelerators < 1:
        raise InputError(f"{accelerators} accelerators: ask for one or more")
    own = dict(given or {})
    for name in own:
        if name not in INPUTS:
            raise InputError(f"no input of costs called {name!r}: one of {', '.join(INPUTS)}")
    when = day_of(day)
    found = {name: usual(catalogue, default) for name, default in DEFAULTS.items()}
    found |= {
        "accelerators": known(float(accelerators)),
        "nameplate_power": nameplate_power,
        "mean_power": mean_power,
        "pue": pue,
        "energy_price": energy_price,
        "licence_price": known(0.0, "USD/s"),
        "residual_share": known(0.0, why="nothing is left of servers at the end of their life"),
        "utilisation": known(1.0),
        "goodput": known(1.0),
        "colocation_rent": known(0.0, "USD/W/s"),
        "building_price": known(0.0, "USD/W"),
    }
    if colocated:
        found["colocation_rent"] = usual(catalogue, "colocation-rent")
        found["staff_cost"] = known(0.0, "USD/W/s")
    elif "building_price" not in own:
        price = construction_price_of(region, day=when, catalogue=catalogue)
        found["building_price"] = price.as_input()
    server = own.get("server_price") or server_price(accelerator, day=when, catalogue=catalogue)
    found["server_price"] = server
    total = times(server, known(float(accelerators)))
    found["network_price"] = _network(total, usual(catalogue, "network-share"))
    share = usual(catalogue, "storage-share")
    found["storage_price"] = times(total, share, why=f"{share.value:.0%} of the servers")
    return found | own


def server_price(accelerator: str, *, day: str | dt.date, catalogue: Catalogue) -> Input:
    """What one accelerator costs with its part of a server: published, or from the chip's price.

    Raises
    ------
    InputError
        No price, and no estimate of one.
    """
    chip, when = catalogue.accelerator(accelerator), day_of(day)
    found = [
        quote
        for quote in quotes(catalogue, "server")
        if quote.accelerator == chip.id and quote.basis in ("server", "rack")
    ]
    held = holding(found, when)
    if held:
        return summed_up(held, chip.id, "server").as_input()
    price, factor = (
        price_of(chip.id, day=when, catalogue=catalogue),
        usual(catalogue, "server-factor"),
    )
    why = f"{price.why}; its server {factor.value:g} times that"
    return times(price.as_input(), factor, why=why)


def times(one: Input, factor: Input, why: str = "") -> Input:
    """An uncertain input times a plain number: likely by likely, ends by ends."""
    return Input(
        value=one.value * factor.value,
        low=one.low * factor.low,
        high=one.high * factor.high,
        dimension=one.dimension,
        why=why or " x ".join(part.why for part in (factor, one) if part.why),
    )


def _network(servers: Input, share: Input) -> Input:
    """A network that is a share of servers and network."""
    odds = Input(
        value=share.value / (1.0 - share.value),
        low=share.low / (1.0 - share.low),
        high=share.high / (1.0 - share.high),
    )
    return times(servers, odds, why=f"{share.value:.0%} of servers and network")
