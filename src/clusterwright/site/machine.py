"""What a site must power and house: accelerators in their nodes, rated, as drawn, and idle."""

from __future__ import annotations

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.facts import input_of, usual
from clusterwright.hardware import Cluster
from clusterwright.records import Record
from clusterwright.uncertain import Input, known

USUAL_NODE = 8
"""Accelerators of a node where nobody says."""


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
    assumed: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Accelerators."""
        return self.cluster.count

    @property
    def nodes(self) -> int:
        """Nodes that hold them."""
        return -(-self.count // self.node_size)


def machine_of(cluster: Cluster, catalogue: Catalogue) -> Machine:
    """A cluster's machine from the catalogue's entries of it, its node and its accelerator.

    Raises
    ------
    InputError
        Nobody published what its nodes or its accelerators draw.
    """
    entry = catalogue.entries("clusters").get(cluster.id)
    nodes = _nodes(cluster, catalogue)
    assumed: list[str] = []
    rated = _node_power(cluster, nodes, catalogue, assumed)
    return Machine(
        cluster=cluster,
        node=nodes[0].id if nodes else "",
        node_size=node_size_of(cluster, catalogue),
        node_power=rated,
        idle_power=_idle(nodes, rated, catalogue, assumed),
        drawn_share=usual(catalogue, "expected-power-share"),
        peak_share=usual(catalogue, "power-drawn-peak"),
        board_power=cluster.accelerator.board_power,
        place=(entry.text("site") or entry.text("country")) if entry else "",
        cooling=next((node.text("cooling") for node in nodes if node.text("cooling")), ""),
        assumed=tuple(assumed),
    )


def node_size_of(cluster: Cluster, catalogue: Catalogue) -> int:
    """Accelerators that go with one node of a cluster."""
    nodes = _nodes(cluster, catalogue)
    size = int(nodes[0].data["accelerators"]) if nodes else min(USUAL_NODE, cluster.levels[0].size)
    return max(1, min(size, cluster.count))


def _nodes(cluster: Cluster, catalogue: Catalogue) -> list[Entry]:
    """The cluster's node and the usual one of its accelerator, as far as there are such."""
    entry = catalogue.entries("clusters").get(cluster.id)
    chip = catalogue.entries("accelerators").get(cluster.accelerator.id)
    names = [one.text("node") for one in (entry, chip) if one is not None]
    return [catalogue.entry("nodes", name) for name in names if name]


def _node_power(
    cluster: Cluster, nodes: list[Entry], catalogue: Catalogue, assumed: list[str]
) -> Input:
    """Rated power of a node per accelerator: its own, that of a usual one, or from the boards'."""
    for node in nodes:
        figure = node.figure("max_power")
        if figure is not None:
            size = int(node.data["accelerators"])
            return _scaled(input_of(figure, why=f"rated power of {node.id}"), 1.0 / size)
    board = catalogue.figure("accelerators", cluster.accelerator.id, "board_power")
    factor = usual(catalogue, "node-power-factor")
    assumed.append(f"a node draws {factor.value:g} times what its accelerators do at most")
    return Input(
        value=board.value * factor.value,
        low=board.value * factor.low,
        high=board.value * factor.high,
        dimension="W",
        why=f"{factor.why}, and the board power of {cluster.accelerator.id}",
    )


def _idle(nodes: list[Entry], rated: Input, catalogue: Catalogue, assumed: list[str]) -> Input:
    for node in nodes:
        figure = node.figure("idle_power")
        if figure is not None:
            size = int(node.data["accelerators"])
            return _scaled(input_of(figure, why=f"idle power of {node.id}"), 1.0 / size)
    share = usual(catalogue, "node-idle-share")
    assumed.append(f"an idle node draws {share.value:.0%} of its rated power")
    return Input(
        value=rated.value * share.value,
        low=rated.value * share.low,
        high=rated.value * share.high,
        dimension="W",
        why=share.why,
    )


def _scaled(one: Input, factor: float) -> Input:
    if one.low == one.high:
        return known(one.value * factor, one.dimension, one.why)
    return Input(
        value=one.value * factor,
        low=one.low * factor,
        high=one.high * factor,
        dimension=one.dimension,
        why=one.why,
    )
