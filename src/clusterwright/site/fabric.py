"""Which network joins a cluster's accelerators: its switches, its ports, how they are wired.

What nobody says is chosen as such clusters usually have it, and named among what is assumed. A
switch is taken by what the hosts' ports speak and how fast they are, unless one is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import msgspec

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.device import HELD
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.formulas.clos import (
    clos_capacity,
    fewest_tiers,
    torus_links,
    torus_optical_ends,
)
from clusterwright.hardware import Cluster
from clusterwright.records import Record
from clusterwright.site.parts import (
    NEARLY,
    Switch,
    network_inputs,
    slowest_port,
    switch_of,
    transceiver_for,
    usual_switch,
)
from clusterwright.uncertain import Input
from clusterwright.units import format_quantity

SPOKEN = {
    "infiniband": "infiniband",
    "omni-path": "infiniband",
    "slingshot": "slingshot",
    "ethernet": "ethernet",
    "roce": "ethernet",
    "spectrum": "ethernet",
}
"""Families of switches by words that a cluster's entry has for its network."""
MOST_TIERS = 6
MOST_PLANES = 64
MOST_RATIO = 100.0


class ScaleUp(Record, frozen=True, kw_only=True):
    """What joins accelerators inside their nodes; power and price are the nodes' own."""

    switches: int = 0
    cables: int = 0
    transceivers: int = 0


class NetworkOptions(Record, frozen=True, kw_only=True):
    """What a person may ask of a network.

    ``switch``, ``optics``: ids of a switch and of a transceiver; "": as is usual at the rate of the
    hosts' ports. ``tiers``: of switches; None: as published, or else the fewest.
    ``oversubscription``: links down over links up, below the topmost tier; None: as published.
    ``rails``: networks that the ports are dealt into; None: as the node's entry says. ``planes``:
    like networks over which each port is spread, each at a part of its rate. ``copper``: whether
    hosts reach their switches by copper.
    """

    switch: str = ""
    optics: str = ""
    tiers: int | None = None
    oversubscription: float | None = None
    rails: int | None = None
    planes: int = 1
    copper: bool = False


AS_USUAL = NetworkOptions()


class Fabric(Record, frozen=True, kw_only=True):
    """A network to be counted.

    ``endpoints``: ports of hosts, 0 where one node has them all; ``rate``: of each. [B/s]
    ``planes``: like networks over which each port is spread; ``rails``: networks into which the
    ports are dealt. ``radix``: of a switch, at the rate of one plane. ``oversubscriptions``: down
    over up of each tier, from the leaves on. ``pair_links``: between two groups of a dragonfly; 0:
    a Clos network. ``copper``: share of the hosts' links. ``inputs``: powers and prices of its
    parts, by name. ``assumed``: what stands in for facts.
    """

    name: str
    accelerators: int
    endpoints: int = 0
    rate: float = 0.0
    switch: Switch | None = None
    optic: str = ""
    radix: int = 0
    tiers: int = 0
    rails: int = 1
    planes: int = 1
    oversubscriptions: tuple[float, ...] = ()
    pair_links: int = 0
    copper: float = 0.0
    scaleup: ScaleUp = ScaleUp()
    inputs: Mapping[str, Input] = {}
    assumed: tuple[str, ...] = ()


def fabric_of(
    cluster: Cluster, options: NetworkOptions = AS_USUAL, *, catalogue: Catalogue | None = None
) -> Fabric:
    """The network of a cluster, of what its own entry and that of its node say, or as is usual.

    Raises
    ------
    InputError
        A number that cannot be, or that does not join all.
    """
    _check_options(options)
    place = _Place(cluster, catalogue or shipped())
    scaleup = place.scaleup()
    if cluster.accelerator.kind in HELD or cluster.count <= place.size:
        return Fabric(name=cluster.id, accelerators=cluster.count, scaleup=scaleup)
    endpoints, rate = place.ports()
    entry = place.switch(options.switch, rate / options.planes)
    box = switch_of(entry)
    times = math.ceil(rate / options.planes / box.rate * NEARLY)
    if times > 1:
        endpoints, rate = endpoints * times, rate / times
        place.assumed.append(f"{times} ports of the switch for each of a host")
    optic = transceiver_for(place.facts, options.optics, rate / options.planes)
    fabric = Fabric(
        name=cluster.id,
        accelerators=cluster.count,
        endpoints=endpoints,
        rate=rate,
        switch=box,
        optic=optic.id,
        radix=box.radix(rate / options.planes),
        tiers=1,
        planes=options.planes,
        copper=float(options.copper),
        scaleup=scaleup,
        inputs=network_inputs(place.facts, entry, optic),
        assumed=tuple(place.assumed),
    )
    return _wired(fabric, box, place, options)


def _wired(fabric: Fabric, box: Switch, place: _Place, options: NetworkOptions) -> Fabric:
    """The network with its tiers and rails, or as a dragonfly."""
    tapering = options.oversubscription or place.tapering()
    links = _pair_links(box, fabric.endpoints, tapering)
    if links:
        if options.planes > 1 or (options.tiers, options.rails) != (None, None):
            raise InputError(f"{box.name} is wired as a dragonfly, without tiers, rails or planes")
        return msgspec.structs.replace(fabric, pair_links=links)
    rails = place.rails(options.rails, fabric.endpoints)
    published = None if options.switch else place.published_tiers()
    tiers = _tiers(fabric, rails, options.tiers, published, below=place.below())
    if options.rails is None and tiers == 1:
        # Rails that are small share a switch.
        rails = math.ceil(rails / max(1, fabric.radix // math.ceil(fabric.endpoints / rails)))
    ratios = _ratios(options.oversubscription, place.ratios(), tiers)
    return msgspec.structs.replace(fabric, rails=rails, tiers=tiers, oversubscriptions=ratios)


class _Place:
    """A cluster with what the catalogue says of it and of its nodes."""

    def __init__(self, cluster: Cluster, facts: Catalogue) -> None:
        self.cluster = cluster
        self.facts = facts
        self.assumed: list[str] = []
        self.entry = facts.entries("clusters").get(cluster.id)
        chip = facts.entries("accelerators").get(cluster.accelerator.id)
        named = self.entry.text("node") if self.entry else ""
        named = named or (chip.text("node") if chip else "")
        self.node: Entry | None = facts.entries("nodes").get(named)
        own = cluster.levels[0].size
        self.size: int = int(self.node.data["accelerators"]) if self.node else own
        self.outside = self._outside()
        self.node_ports = self._node_ports()

    def _outside(self) -> list[float]:
        """Rate of an accelerator's ports, and what each level outside nodes carries. [B/s]"""
        levels = [level for level in self.cluster.levels if level.size > self.size]
        rows = self.entry.data.get("fabric", {}).get("levels", ()) if self.entry else ()
        rates = {row["name"]: float(row["bandwidth"]["value"]) for row in rows}
        ports = [rates.get(level.name, level.bandwidth) for level in levels[:1]]
        return [*ports, *(level.bandwidth for level in levels)]

    def _node_ports(self) -> int:
        """Ports of a node as published; 0 where nobody says, or the cluster has other ones."""
        usual = self.node.value("scaleout_bandwidth") if self.node else None
        if self.node is None or usual is None or not self.outside:
            return 0
        alike = math.isclose(usual, self.outside[0], rel_tol=1e-3)
        return int(self.node.data.get("ports", 0)) if alike else 0

    def family(self) -> str:
        """What the hosts' ports speak; "": nobody says."""
        if self.entry is None:
            return ""
        rows = self.entry.data.get("fabric", {}).get("levels", ())
        words = rows[-1]["kind"] if rows else self.entry.text("network").lower()
        return next((SPOKEN[one] for one in SPOKEN if one in words), "")

    def ports(self) -> tuple[int, float]:
        """Ports of hosts, and the rate of each. [B/s]"""
        each, ports = self.outside[0], self.node_ports
        if not ports:
            slowest = slowest_port(self.facts, self.family())
            # Accelerators with less than a port each share ports.
            ports = min(self.size, max(1, math.ceil(self.size * each / slowest * NEARLY)))
            shown = format_quantity(self.size * each / ports, "B/s")
            self.assumed.append(f"{ports} ports of {shown} for {self.size} accelerators")
        return math.ceil(self.cluster.count * ports / self.size), each * self.size / ports

    def switch(self, name: str, rate: float) -> Entry:
        """The switch that is named, or the usual one."""
        named = name or (self.entry.text("switch") if self.entry else "")
        if named:
            return self.facts.entry("switches", named)
        vendor = self.cluster.accelerator.vendor
        found = usual_switch(self.facts, self.family(), rate, vendor)
        self.assumed.append(f"switch: {found.id}, as usual for such ports")
        return found

    def rails(self, asked: int | None, endpoints: int) -> int:
        """Networks that the ports are dealt into."""
        if asked is None:
            return int(self.node.data.get("rails", 1)) if self.node and self.node_ports else 1
        most = max(1, round(endpoints / self.cluster.count * self.size))
        _check(asked, "rails", most, "the ports of a node")
        return asked

    def ratios(self) -> list[float]:
        """What ports or a level outside nodes carry over the next level, where it is more."""
        found = [one / other for one, other in zip(self.outside, self.outside[1:], strict=False)]
        return [ratio for ratio in found if ratio != 1.0]

    def below(self) -> int:
        """Accelerators below the topmost tapering; 0: there is none, or it is at the leaves."""
        levels = [level for level in self.cluster.levels if level.size > self.size]
        tapered = (one.size for one, up in pairwise(levels) if one.bandwidth != up.bandwidth)
        return max(tapered, default=0)

    def tapering(self) -> float:
        """What the ports carry, over the last level."""
        return self.outside[0] / self.outside[-1]

    def published_tiers(self) -> int | None:
        """Tiers as published, for the whole cluster only."""
        if self.entry is None or self.entry.value("count") != self.cluster.count:
            return None
        return self.entry.data.get("tiers")

    def scaleup(self) -> ScaleUp:
        """What joins accelerators inside their nodes."""
        if self.node is None or self.cluster.count == 1:
            return ScaleUp()
        data, count = self.node.data, self.cluster.count
        if "torus_dimensions" in data:
            dimensions, side = int(data["torus_dimensions"]), int(data.get("torus_side", 0))
            cubes = side and count > side**dimensions
            ends = round(torus_optical_ends(count, side, dimensions)) if cubes else 0
            links = int(torus_links(count, dimensions))
            return ScaleUp(cables=links - ends // 2, transceivers=ends)
        nodes = math.ceil(count / self.size)
        return ScaleUp(
            switches=nodes * int(data.get("scaleup_switches", 0)),
            cables=nodes * int(data.get("scaleup_cables", 0)),
            transceivers=nodes * int(data.get("scaleup_transceivers", 0)),
        )


def _check_options(options: NetworkOptions) -> None:
    _check(options.planes, "planes", MOST_PLANES)
    if options.tiers is not None:
        _check(options.tiers, "tiers", MOST_TIERS)
    ratio = options.oversubscription
    if ratio is not None and not 1.0 / MOST_RATIO <= ratio <= MOST_RATIO:
        raise InputError(
            f"--oversubscription is {ratio:g}, but must be {1 / MOST_RATIO:g} to {MOST_RATIO:g}, "
            f"such as 2 for half as many links up as down"
        )


def _check(number: int, what: str, most: int, why: str = "") -> None:
    if not 1 <= number <= most:
        words = f", {why}" if why else ""
        raise InputError(f"--{what} is {number:,}, but must be 1 to {most:,}{words}")


def _tiers(
    fabric: Fabric, rails: int, asked: int | None, published: int | None, *, below: int
) -> int:
    each = math.ceil(fabric.endpoints / rails)
    fewest = max(1, int(fewest_tiers(each, fabric.radix)))
    if asked is None:
        # What lies below a tapering has tiers of its own, and the thinner links are one more.
        share = math.ceil(each * below / fabric.accelerators)
        inner = 1 + int(fewest_tiers(share, fabric.radix)) if below else 1
        return max(fewest, published or 1, inner)
    if asked < fewest:
        reach = clos_capacity(fabric.radix, asked)
        raise InputError(
            f"--tiers {asked} joins {reach:,.0f} ports at most with switches of {fabric.radix} "
            f"ports, but a rail has {each:,}: ask for {fewest}, for more rails, or another switch"
        )
    return asked


def _ratios(asked: float | None, published: list[float], tiers: int) -> tuple[float, ...]:
    """Down over up of each tier; what is known is put below the topmost ones."""
    if asked is not None and asked != 1.0 and tiers == 1:
        raise InputError("--oversubscription needs a tier above the leaves: ask for --tiers 2")
    known = published if asked is None else [asked]
    kept = known[max(0, len(known) - (tiers - 1)) :]
    return (*[1.0] * (tiers - 1 - len(kept)), *kept) if kept else ()


def _pair_links(box: Switch, endpoints: int, tapering: float) -> int:
    """Links between two groups of a dragonfly; 0: it is none, or one group."""
    members = box.group_switches * box.host_ports
    if not members or endpoints <= members:
        return 0
    groups = math.ceil(endpoints / members)
    return max(1, round(members / tapering / (groups - 1)))
