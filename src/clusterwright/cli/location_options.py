"""Options of a machine's place: where it stands, how it is cooled, prices, its network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import whole_number
from clusterwright.asking_prices import SiteOptions
from clusterwright.cli.options import Share
from clusterwright.site.fabric import AS_USUAL, NetworkOptions


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LocationOptions:
    """Where it stands, and prices.

    Parameters
    ----------
    region
        A country, a state or a place, such as memphis or sweden.
    cooling
        Way of cooling, such as liquid, air, air-chiller, evaporative.
    pue
        Power of the site over that of its machines, instead of working it out.
    tariff
        Price of electricity, such as $0.078/kWh or €0.09/kWh.
    carbon
        Emissions of electricity, such as "0.385 kg/kWh".
    contracts
        Share of the energy that is bought with contracts for what emits nothing.
    duty
        Share of the time for which there is work.
    drawn
        Share of their rated power that nodes draw meanwhile.
    power_cap
        Of an accelerator, such as 960W.
    server_price
        Of a server per accelerator, such as $30,000.
    construction
        Of the building, such as "$11.7M/MW".
    rent
        Of an accelerator elsewhere, to compare with, such as $2.10/h.
    colocated
        The hall is rented.
    day
        Whose prices count, such as 2025-08-20 [default: the last on which prices were looked at].
    """

    region: str | None = None
    cooling: str | None = None
    pue: str | None = None
    tariff: str | None = None
    carbon: str | None = None
    contracts: Share = 0.0
    duty: Share | None = None
    drawn: Share | None = None
    power_cap: str | None = None
    server_price: str | None = None
    construction: str | None = None
    rent: str | None = None
    colocated: Annotated[bool, Parameter(negative=())] = False
    day: str | None = None

    def site(self, network: NetworkOptions = AS_USUAL) -> SiteOptions:
        """As `clusterwright.asking_site` takes them."""
        found = dict(vars(self))
        found["cap"] = found.pop("power_cap")
        found["price"] = found.pop("server_price")
        return SiteOptions(**found, network=network)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FabricOptions:
    """The network.

    Parameters
    ----------
    switch
        A switch of the catalogue, such as sn5600.
    tiers
        Of switches.
    oversubscription
        How much less goes up than down, such as 7.
    rails
        Networks into which the ports of a node are dealt.
    copper
        The hosts' links are copper.
    """

    switch: str = ""
    tiers: str | None = None
    oversubscription: float | None = None
    rails: str | None = None
    copper: Annotated[bool, Parameter(negative=())] = False

    def network(self) -> NetworkOptions:
        """As the network's bill takes them."""
        return NetworkOptions(
            switch=self.switch,
            tiers=None if self.tiers is None else whole_number(self.tiers, "--tiers"),
            oversubscription=self.oversubscription,
            rails=None if self.rails is None else whole_number(self.rails, "--rails"),
            copper=self.copper,
        )
