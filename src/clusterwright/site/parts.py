"""The parts of a network as the catalogue has them: switches, transceivers, powers and prices."""

from __future__ import annotations

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import input_of
from clusterwright.records import Record
from clusterwright.uncertain import Input

NEARLY = 1.0 - 1e-9
"""Rates that are divided and multiplied again keep to this."""
_DEFAULTS = {
    "cable_price": "network-cable-price",
    "nic_power": "network-nic-power",
    "nic_price": "network-nic-price",
    "network_price_level": "network-price-level",
    "back_end_cost_share": "network-back-end-cost-share",
    "back_end_power_share": "network-back-end-power-share",
}
"""Inputs by name, and the defaults that they are."""


class Switch(Record, frozen=True, kw_only=True):
    """A box of ``ports``, each of ``rate`` [B/s], of which each ``split`` into slower ones.

    ``group_switches`` of them form a group, with ``host_ports`` down each, where such switches are
    wired as a dragonfly; 0: they are not.
    """

    id: str
    name: str
    family: str
    ports: int
    rate: float
    split: int = 1
    group_switches: int = 0
    host_ports: int = 0

    def radix(self, rate: float) -> int:
        """Ports of this rate [B/s] that it has."""
        return self.ports * max(1, min(self.split, int(self.rate / rate / NEARLY)))


def switch_of(entry: Entry) -> Switch:
    """The record of a switch."""
    return Switch(
        id=entry.id,
        name=entry.name,
        family=entry.text("family"),
        ports=int(entry.data["ports"]),
        rate=entry.require("rate").value,
        split=int(entry.data.get("split", 1)),
        group_switches=int(entry.data.get("group_switches", 0)),
        host_ports=int(entry.data.get("host_ports", 0)),
    )


def usual_switch(facts: Catalogue, family: str, rate: float, vendor: str) -> Entry:
    """The switch that usually joins ports of a rate [B/s]: the one made for the next rate up.

    ``family``: what the ports speak, "" where nobody says; ``vendor``: of the accelerators.
    """

    def fitness(one: Entry) -> tuple[bool, float, int]:
        host = one.require("host_rate").value
        fast = host >= rate * NEARLY
        usual = one.data.get("usual", ())
        near = (vendor in usual, one.text("vendor") == vendor, "any" in usual, True)
        return not fast, host if fast else -host, near.index(True)

    every = facts.entries("switches").values()
    return min((one for one in every if family in {"", one.text("family")}), key=fitness)


def slowest_port(facts: Catalogue, family: str) -> float:
    """The slowest port of a host that any switch of a family is made for. [B/s]"""
    every = facts.entries("switches").values()
    alike = [one for one in every if family in {"", one.text("family")}]
    return min(one.require("host_rate").value for one in alike)


def transceiver_for(facts: Catalogue, name: str, rate: float) -> Entry:
    """The transceiver that is named, or the usual one of the slowest that are fast enough.

    Raises
    ------
    InputError
        The one that is named is slower than the links [B/s], or all are.
    """
    shown = f"{rate * 8 / 1e9:g} Gb/s"
    if name:
        found = facts.entry("transceivers", name)
        if found.require("rate").value < rate * NEARLY:
            raise InputError(f"transceiver {found.id} is too slow for links of {shown}")
        return found
    usual = [one for one in facts.entries("transceivers").values() if one.data.get("usual")]
    rates = {one.id: one.require("rate").value for one in usual}
    fast = [one for one in usual if rates[one.id] >= rate * NEARLY]
    if not fast:
        raise InputError(
            f"the catalogue has no transceiver of {shown}: give one in a TOML file of your own"
        )
    return min(fast, key=lambda one: rates[one.id])


def network_inputs(facts: Catalogue, switch: Entry, optic: Entry) -> dict[str, Input]:
    """Powers and prices of a network's parts, by name."""
    usual = facts.entries("defaults")
    found = {
        f"{part}_{what}": input_of(entry.require(what), contested=True)
        for part, entry in (("switch", switch), ("optic", optic))
        for what in ("power", "price")
    }
    for name, default in _DEFAULTS.items():
        found[name] = input_of(usual[default].require("value"), contested=True)
    return found
