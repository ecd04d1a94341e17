"""The machine of a published run: its accelerator, and the network as far as it was printed."""

from __future__ import annotations

import re

import msgspec

from clusterwright.catalogue.store import Catalogue
from clusterwright.hardware import Accelerator, Cluster, Level
from clusterwright.validation.lookup import DeviceName
from clusterwright.validation.runs import Run

EFA_MESSAGES, EFA_RDMA = "net-124", "net-125"
"""Entries of the catalogue that tell how slow a hop over AWS EFA is, by how it is driven."""

GIGABIT = 1e9 / 8.0
"""Bytes in a gigabit, the unit of the table's link rates. [B]"""


def cluster_of(run: Run, device: DeviceName, facts: Catalogue, filled: list[str]) -> Cluster:
    """Return the cluster of a run, in framework devices.

    The customary cluster of the accelerator is taken and what the row prints replaces its figures:
    accelerators per node or rack, and the rate of the link between nodes. A chip that is several
    framework devices becomes as many accelerators with their share of its figures each.
    """
    count = run.n_accel or 1
    cluster = facts.any_cluster(device.accelerator, count)
    filled.extend(cluster.assumed)
    if device.assumed:
        filled.append(f"accelerator: {device.assumed}")
    cluster = _with_domain(cluster, run)
    cluster = _with_link(cluster, run, filled)
    cluster = _with_latency(cluster, run, facts, filled)
    return split(cluster, device.devices)


_LARGEST_NODE = 16
"""A larger scale-up domain spans nodes, so that accelerators per node do not bound it."""


def _domain_of(run: Run, cluster: Cluster) -> int:
    """Return how many chips share the scale-up network, as printed."""
    customary = cluster.accelerator.scaleup_domain or cluster.levels[0].size
    text = f"{run.sharding_notes}; {run.notes}"
    rack = re.search(r"NVL(\d+)", run.intra_node_link)
    if rack:
        return int(rack.group(1))
    pod = re.search(r"= (\d+) chips per slice|per pod \((\d+) chips\)", text)
    if pod:
        return int(pod.group(1) or pod.group(2))
    slices = re.search(r"dcn_data=(\d+)", run.sharding_notes)
    if slices and "slice" in run.sharding_notes and run.n_accel:
        return max(1, run.n_accel // int(slices.group(1)))
    if run.accel_per_node and customary <= _LARGEST_NODE:
        return run.accel_per_node
    return customary


def _with_domain(cluster: Cluster, run: Run) -> Cluster:
    """Give the innermost level the printed size; drop levels that it swallows."""
    size = min(_domain_of(run, cluster), cluster.count)
    first = msgspec.structs.replace(cluster.levels[0], size=size)
    outer = tuple(level for level in cluster.levels[1:] if level.size > size)
    if not outer and size < cluster.count:
        outer = (_outermost(cluster),)
    return msgspec.structs.replace(cluster, levels=(first, *outer) if size > 0 else outer)


def _outermost(cluster: Cluster) -> Level:
    """Return a level that reaches all: the last one known, or the accelerator's own network."""
    last = cluster.levels[-1]
    bandwidth = cluster.accelerator.scaleout_bandwidth
    if len(cluster.levels) == 1 and bandwidth:
        return Level(
            name="scale-out", size=cluster.count, bandwidth=bandwidth, latency=5 * last.latency
        )
    return msgspec.structs.replace(last, size=cluster.count)


def _with_link(cluster: Cluster, run: Run, filled: list[str]) -> Cluster:
    """Put the printed rate between nodes on every level above the innermost."""
    rate = run.inter_node_link_gbps_per_accel
    outer = cluster.levels[1:]
    if not outer:
        return cluster
    if rate is None:
        printed = outer[0].bandwidth / GIGABIT
        filled.append(f"inter_node_link={printed:g} Gb/s per accelerator (customary)")
        return cluster
    links = tuple(
        msgspec.structs.replace(level, bandwidth=min(rate * GIGABIT, cluster.levels[0].bandwidth))
        for level in outer
    )
    return msgspec.structs.replace(cluster, levels=(cluster.levels[0], *links))


def _with_latency(cluster: Cluster, run: Run, facts: Catalogue, filled: list[str]) -> Cluster:
    """Give levels above the innermost the latency of EFA where the row names it."""
    if not re.search(r"\bEFA\b", f"{run.notes} {run.accelerator}"):
        return cluster
    known = facts.entries("networks")
    entry = known[EFA_MESSAGES if "a100" in run.accelerator.lower() else EFA_RDMA]
    latency = entry.data["value"]["value"]
    filled.append(f"latency between nodes: {1e6 * latency:g} us ({entry.name})")
    inside, *outer = cluster.levels
    slow = tuple(msgspec.structs.replace(level, latency=latency) for level in outer)
    return msgspec.structs.replace(cluster, levels=(inside, *slow))


def split(cluster: Cluster, devices: int) -> Cluster:
    """Turn chips into framework devices, each with its share of the chip."""
    if devices == 1:
        return cluster
    levels = tuple(
        msgspec.structs.replace(
            level, size=level.size * devices, bandwidth=level.bandwidth / devices
        )
        for level in cluster.levels
    )
    return msgspec.structs.replace(
        cluster,
        accelerator=_share(cluster.accelerator, devices),
        count=cluster.count * devices,
        levels=levels,
        host_memory_bytes=_part(cluster.host_memory_bytes, devices),
        host_bandwidth=_part(cluster.host_bandwidth, devices),
    )


def _share(chip: Accelerator, devices: int) -> Accelerator:
    """Return one framework device of a chip."""
    return msgspec.structs.replace(
        chip,
        name=f"{chip.name} (1 of {devices} devices)",
        peaks={key: rate / devices for key, rate in chip.peaks.items()},
        matmul={key: rate / devices for key, rate in chip.matmul.items()},
        memory_bytes=_part(chip.memory_bytes, devices),
        memory_bandwidth=_part(chip.memory_bandwidth, devices),
        board_power=_part(chip.board_power, devices),
        scaleup_bandwidth=_part(chip.scaleup_bandwidth, devices),
        num_units=max(1, chip.num_units // devices) if chip.num_units else None,
        scaleup_domain=chip.scaleup_domain * devices if chip.scaleup_domain else None,
        scaleout_bandwidth=_part(chip.scaleout_bandwidth, devices),
        price=_part(chip.price, devices),
    )


def _part(value: float | None, devices: int) -> float | None:
    return None if value is None else value / devices
