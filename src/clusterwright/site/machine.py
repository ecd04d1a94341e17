"""What a site must power and house: accelerators in their nodes, rated, as drawn, and idle."""

from __future__ import annotations

from collections.abc import Sequence

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.device import HELD
from clusterwright.facts import usual
from clusterwright.hardware import Cluster
from clusterwright.records import Record
from clusterwright.site.rated import device_power, idle_power, rated_power
from clusterwright.uncertain import Input, known, weighted

USUAL_NODE = 8
"""Accelerators of a node where nobody says."""
LARGEST_HOST = 16
"""Accelerators of the largest hosts; what holds more is a rack, or a pod, of several."""
DRAWN = known(1.0, why="its power is what it draws")
"""Share of a device's power that it draws while a model runs."""


class Machine(Record, frozen=True, kw_only=True):
    """A cluster as its building sees it.

    ``node_size``: accelerators of a node. ``node_power``: rated power of a node, per accelerator;
    ``idle_power``: with nothing to do. [W] ``drawn_share``: of the rated power that a node draws on
    average while it trains, ``peak_share``: that it was ever seen to draw. [1] ``board_power``: of
    one accelerator [W], None: nobody published it. ``place``: where the cluster stands, ""
    where that is not known. ``cooling``: of its nodes, in words. ``assumed``: what stands in.
    """

    cluster: Cluster
    node: str
    node_size: int
    node_power: Input
    idle_power: Input
    drawn_share: Input
    peak_share: Input
    board_power: float | None
    place: str = ""
    cooling: str = ""
    kind: str = "server"
    parts: tuple[Machine, ...] = ()
    assumed: tuple[str, ...] = ()

    @property
    def handheld(self) -> bool:
        """Whether it is a person's own, and needs no hall."""
        return self.kind != "server"

    @property
    def count(self) -> int:
        """Accelerators."""
        return self.cluster.count

    @property
    def nodes(self) -> int:
        """Nodes that hold them."""
        if self.parts:
            return sum(part.nodes for part in self.parts)
        return -(-self.count // self.node_size)


def machine_of(cluster: Cluster, catalogue: Catalogue, *, device: str = "") -> Machine:
    """A cluster's machine from the catalogue's entries of it, its node and its accelerator.

    ``device``: id of the phone or laptop that each of its accelerators sits in, if it does.

    Raises
    ------
    InputError
        Nobody published what its nodes or its accelerators draw, nor what such ones do.
    """
    entry = catalogue.entries("clusters").get(cluster.id)
    nodes = _nodes(cluster, catalogue)
    assumed: list[str] = []
    chip = cluster.accelerator
    handheld = bool(device) or (chip.board_power is None and chip.kind in HELD and not nodes)
    kind = "server"
    if handheld:
        kind, rated = device_power(chip.id, device, catalogue, assumed)
    else:
        rated = rated_power(chip.id, nodes, catalogue, assumed)
    return Machine(
        cluster=cluster,
        node=nodes[0].id if nodes else "",
        node_size=1 if handheld else node_size_of(cluster, catalogue),
        node_power=rated,
        idle_power=idle_power(nodes, rated, catalogue, assumed),
        drawn_share=DRAWN if handheld else usual(catalogue, "expected-power-share"),
        peak_share=DRAWN if handheld else usual(catalogue, "power-drawn-peak"),
        board_power=chip.board_power,
        place=entry.text("site") if entry else "",
        cooling=next((node.text("cooling") for node in nodes if node.text("cooling")), ""),
        kind=kind,
        assumed=tuple(assumed),
    )


def joined(cluster: Cluster, parts: Sequence[Machine]) -> Machine:
    """A machine of several kinds of accelerators: the mean of its parts, by their numbers."""
    most = max(parts, key=lambda part: part.count)

    def mean(name: str) -> Input:
        return weighted([(float(part.count), getattr(part, name)) for part in parts])

    return Machine(
        cluster=cluster,
        node=most.node,
        node_size=most.node_size,
        node_power=mean("node_power"),
        idle_power=mean("idle_power"),
        drawn_share=most.drawn_share,
        peak_share=most.peak_share,
        board_power=None,
        place=most.place,
        cooling=next((part.cooling for part in parts if part.cooling), ""),
        parts=tuple(parts),
        assumed=tuple(dict.fromkeys(words for part in parts for words in part.assumed)),
    )


def host_size(cluster: Cluster, catalogue: Catalogue) -> int:
    """Accelerators that share one operating system: they fail, and are launched, together.

    The node's by the number of its hosts, where that is known. A cluster may be less than a host.
    """
    nodes = _nodes(cluster, catalogue)
    hosts = int(nodes[0].data.get("hosts") or 1) if nodes else 1
    size = _node_size(cluster, nodes) // hosts
    return max(1, size) if size <= LARGEST_HOST else round(usual(catalogue, "run-host").value)


def node_size_of(cluster: Cluster, catalogue: Catalogue) -> int:
    """Accelerators that go with one node of a cluster."""
    return max(1, min(_node_size(cluster, _nodes(cluster, catalogue)), cluster.count))


def _node_size(cluster: Cluster, nodes: Sequence[Entry]) -> int:
    if nodes:
        return int(nodes[0].data["accelerators"])
    return min(USUAL_NODE, cluster.levels[0].size)


def _nodes(cluster: Cluster, catalogue: Catalogue) -> list[Entry]:
    """The cluster's node and the usual one of its accelerator, as far as there are such."""
    entry = catalogue.entries("clusters").get(cluster.id)
    chip = catalogue.entries("accelerators").get(cluster.accelerator.id)
    names = [one.text("node") for one in (entry, chip) if one is not None]
    return [catalogue.entry("nodes", name) for name in names if name]
