"""What a cluster asks of its site: power, and accelerators to a rack."""

from __future__ import annotations

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import stand_in, usual
from clusterwright.hardware import Cluster
from clusterwright.uncertain import Input, known

LARGEST_RACK = 144
"""Nodes with more accelerators fill several racks."""


def power_of(cluster: Cluster, facts: Catalogue, assumed: list[str]) -> Input:
    """Power of the whole facility: as published, or from the accelerators' board power. [W]

    Raises
    ------
    InputError
        Nobody published either.
    """
    entry = facts.entries("clusters").get(cluster.id)
    published = entry.figure("power") if entry else None
    if published is not None and entry is not None and entry.value("count") == cluster.count:
        return known(published.value, "W", published.source)
    board = cluster.accelerator.board_power
    if board is None:
        raise InputError(
            f"nobody published the board power of {cluster.accelerator.id}: give --power, such as "
            f"150MW"
        )
    over = usual(facts, "power-all-in")
    assumed.append(f"facility power: {over.low:g} to {over.high:g} times board power")
    ends = {name: getattr(over, name) * board * cluster.count for name in ("value", "low", "high")}
    return Input(**ends, dimension="W", why=over.why)


def rack_of(cluster: Cluster, facts: Catalogue, assumed: list[str]) -> Input:
    """Accelerators of a rack: the node where it is one, or as usual."""
    entry = facts.entries("clusters").get(cluster.id)
    named = entry.text("node") if entry else ""
    if not named:
        named = facts.entry("accelerators", cluster.accelerator.id).text("node")
    node = facts.entries("nodes").get(named)
    common = usual(facts, "rack-accelerators")
    if node is not None and common.low <= int(node.data["accelerators"]) <= LARGEST_RACK:
        return known(float(node.data["accelerators"]), why=node.id)
    assumed.append(stand_in(facts.entry("defaults", "rack-accelerators")))
    return common
