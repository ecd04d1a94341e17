"""The bill of materials of a network: switches, links, modules; their power and what they cost.

Counts follow from the topology (`formulas.clos`) alone; powers and prices are uncertain inputs. The
back-end network is counted. Front-end, storage and management networks come as a share of it. What
joins accelerators inside a node is counted, but its power and price are the node's own; so are
those of network adapters, which is why they stand apart and are in no sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from clusterwright.catalogue.store import Catalogue
from clusterwright.formulas.clos import (
    dragonfly_links,
    tier_links,
    whole_switches,
)
from clusterwright.hardware import Cluster
from clusterwright.records import Record
from clusterwright.site.fabric import AS_USUAL, Fabric, NetworkOptions, ScaleUp, fabric_of
from clusterwright.uncertain import Interval, intervals_of, likely

Floats = Any
"""A number or an array of draws."""


class Counts(Record, frozen=True, kw_only=True):
    """How many of each part; of each tier, from the leaves on.

    ``transceivers``: ends of optical links. ``cables``: copper ones. ``nics``: ports of hosts.
    """

    switches: tuple[int, ...] = ()
    links: tuple[int, ...] = ()
    transceivers: int = 0
    cables: int = 0
    nics: int = 0


class Share(Record, frozen=True, kw_only=True):
    """What the parts of a network take, in watts or dollars.

    ``other``: front-end, storage and management networks. ``nics``: in the nodes' own, and not in
    ``total``.
    """

    switches: float = 0.0
    optics: float = 0.0
    cables: float = 0.0
    other: float = 0.0
    nics: float = 0.0

    @property
    def total(self) -> float:
        """All but the adapters."""
        return self.switches + self.optics + self.cables + self.other


class NetworkBill(Record, frozen=True, kw_only=True):
    """What joins a cluster's accelerators, and what that takes.

    ``watts``: with all parts on, which they are. ``dollars``: once.
    """

    fabric: Fabric
    counts: Counts
    watts: Share
    dollars: Share

    @property
    def scaleup(self) -> ScaleUp:
        """What joins accelerators inside their nodes."""
        return self.fabric.scaleup


def network_bill(
    cluster: Cluster, options: NetworkOptions = AS_USUAL, *, catalogue: Catalogue | None = None
) -> NetworkBill:
    """The bill of a cluster's network, with the likely powers and prices of its parts.

    Raises
    ------
    InputError
        A number that cannot be, or that does not join all.

    >>> from clusterwright.facts import shipped
    >>> found = network_bill(shipped().any_cluster("nv-h100-sxm", 1024))
    >>> found.counts.switches, found.counts.transceivers
    ((32, 16), 4096)
    """
    return bill_of(fabric_of(cluster, options, catalogue=catalogue))


def bill_of(fabric: Fabric) -> NetworkBill:
    """The bill of a network, with the likely powers and prices of its parts."""
    counts = count_parts(fabric)
    found = network_model(counts, likely(fabric.inputs)) if fabric.endpoints else {}
    shares = {
        unit: Share(**{name: found.get(f"{name}_{unit}", 0.0) for name in Share.__struct_fields__})
        for unit in ("watts", "dollars")
    }
    return NetworkBill(fabric=fabric, counts=counts, **shares)


def network_intervals(bill: NetworkBill) -> dict[str, Interval]:
    """Intervals of all that `network_model` gives; empty where there is no network."""
    if not bill.fabric.endpoints:
        return {}
    return intervals_of(lambda values: network_model(bill.counts, values), bill.fabric.inputs)


def network_model(counts: Counts, values: Mapping[str, Floats]) -> dict[str, Floats]:
    """Watts and dollars of a network's parts, from powers and prices that may be arrays."""
    switches, level = sum(counts.switches), values["network_price_level"]
    found: dict[str, Floats] = {
        "switches_watts": switches * values["switch_power"],
        "optics_watts": counts.transceivers * values["optic_power"],
        "cables_watts": 0.0,
        "nics_watts": counts.nics * values["nic_power"],
        "switches_dollars": switches * values["switch_price"] * level,
        "optics_dollars": counts.transceivers * values["optic_price"] * level,
        "cables_dollars": counts.cables * values["cable_price"] * level,
        "nics_dollars": counts.nics * values["nic_price"] * level,
    }
    for unit, share in (("watts", "power"), ("dollars", "cost")):
        back = sum(found[f"{part}_{unit}"] for part in ("switches", "optics", "cables"))
        found[f"other_{unit}"] = back * (1.0 / values[f"back_end_{share}_share"] - 1.0)
        found[f"total_{unit}"] = back + found[f"other_{unit}"]
    return found


def count_parts(fabric: Fabric) -> Counts:
    """How many of each part a network consists of."""
    if fabric.switch is None:
        return Counts()
    if fabric.pair_links:
        return _dragonfly(fabric)
    numbers, ratios = range(1, fabric.tiers + 1), fabric.oversubscriptions
    per_tier = [
        whole_switches(
            fabric.endpoints,
            fabric.radix,
            one,
            fabric.tiers,
            fabric.rails,
            oversubscriptions=ratios,
        )
        for one in numbers
    ]
    links = [math.ceil(tier_links(fabric.endpoints, one, ratios)) for one in numbers]
    hosts = round(fabric.copper * links[0])
    ends = 2 * (sum(links) - hosts)
    return Counts(
        switches=tuple(fabric.planes * int(one) for one in per_tier),
        links=tuple(fabric.planes * one for one in links),
        transceivers=fabric.planes * ends,
        cables=fabric.planes * hosts,
        nics=fabric.endpoints,
    )


def _dragonfly(fabric: Fabric) -> Counts:
    """A dragonfly: hosts and groups are joined by copper, groups to each other by light."""
    box = fabric.switch
    if box is None:
        return Counts()
    groups = math.ceil(fabric.endpoints / (box.group_switches * box.host_ports))
    every = int(dragonfly_links(groups, box.group_switches, fabric.pair_links))
    far = fabric.pair_links * groups * (groups - 1) // 2
    return Counts(
        switches=(groups * box.group_switches,),
        links=(fabric.endpoints, every - far, far),
        transceivers=2 * far,
        cables=fabric.endpoints + every - far,
        nics=fabric.endpoints,
    )
