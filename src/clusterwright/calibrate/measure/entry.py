"""What was measured as a catalogue file of one's own: chip, profile, links, framework, engine."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from clusterwright.calibrate.measure.bench import ELEMENT_BYTES
from clusterwright.calibrate.measure.fits import (
    Fitted,
    bandwidth_of,
    best_product_rate,
    fit_attention,
    fit_memory,
    fit_products,
)
from clusterwright.calibrate.measure.host import HostCosts, host_costs
from clusterwright.calibrate.measure.journal import Measured
from clusterwright.calibrate.measure.machine import MachineFacts
from clusterwright.calibrate.measure.network import Network, network_of
from clusterwright.calibrate.measure.serving import ENGINE, serving_kernels
from clusterwright.calibrate.measure.toml import table_text
from clusterwright.efficiency import Evidence, MemoryEfficiency
from clusterwright.facts import shipped
from clusterwright.hardware import Accelerator
from clusterwright.kernels.library import Kernels
from clusterwright.records import Record
from clusterwright.training.api import settings_of

DIGITS = 4
BUCKET_BYTES = 25 * 2**20
"""Gradients that DistributedDataParallel reduces at once (``bucket_cap_mb``, its default). [B]"""


class Entry(Record, frozen=True, kw_only=True):
    """The file, and what a person wants to read of it.

    ``tasks``: measured, ``busy``: of them while other programs ran.
    ``residuals``: what was fitted → median and 90th percentile of its relative error, rows. [1]
    """

    name: str
    machine: MachineFacts
    toml: str
    peak_flops: float
    memory_bandwidth: float
    link_bandwidth: float | None
    link_latency: float | None
    host: HostCosts
    residuals: dict[str, tuple[float, float, int]]
    tasks: int
    busy: int


class Parts(NamedTuple):
    """All that was derived of a sweep."""

    name: str
    machine: MachineFacts
    peak: float
    bandwidth: float
    products: Fitted
    forward: Fitted
    backward: Fitted
    memory: Fitted
    network: Network | None
    host: HostCosts
    kernels: list[Kernels]
    checked: str


def entry_of(
    machine: MachineFacts, measured: tuple[Measured, ...], *, name: str, checked: str
) -> Entry:
    """Fit what was measured and write it down.

    Parameters
    ----------
    machine
        What it was measured on.
    measured
        Of the sweep, in any order.
    name
        Id of the entries.
    checked
        Day of the sweep, such as 2026-11-22.

    Raises
    ------
    InputError
        Too little was measured.
    """
    parts = _parts(machine, measured, name, checked)
    fits = {
        "products": parts.products.evidence,
        "attention forward": parts.forward.evidence,
        "attention backward": parts.backward.evidence,
        "memory": parts.memory.evidence,
        **{
            f"{one.kind}, serving": one.precisions[machine.precision].evidence
            for one in parts.kernels
        },
        **(parts.network.evidence if parts.network else {}),
    }
    return Entry(
        name=name,
        machine=machine,
        toml=_toml(parts),
        peak_flops=parts.peak,
        memory_bandwidth=parts.bandwidth,
        link_bandwidth=parts.network.bandwidth if parts.network else None,
        link_latency=parts.network.latency if parts.network else None,
        host=parts.host,
        residuals={
            what: (one.residual or 0.0, one.residual_p90 or 0.0, one.rows)
            for what, one in fits.items()
        },
        tasks=len(measured),
        busy=sum(one.timing.busy for one in measured),
    )


def _parts(machine: MachineFacts, measured: tuple[Measured, ...], name: str, checked: str) -> Parts:
    element = float(ELEMENT_BYTES[machine.precision])
    peak, bandwidth = best_product_rate(measured), bandwidth_of(measured, element)
    common = {"peak": peak, "bandwidth": bandwidth, "element_bytes": element}
    memory = fit_memory(measured, bandwidth=bandwidth, element_bytes=element)
    host = host_costs(
        measured,
        memory=MemoryEfficiency(**memory.values, evidence=memory.evidence),
        bandwidth=bandwidth,
        element_bytes=element,
        settings=settings_of(shipped()),
        host_runs=machine.device == "cpu",
    )
    chip = Accelerator(
        id=name,
        name=machine.name,
        vendor=machine.vendor,
        kind="cpu" if machine.device == "cpu" else "gpu",
        peaks={machine.precision: peak},
        memory_bytes=machine.memory_bytes,
        memory_bandwidth=bandwidth,
        cache_bytes=machine.cache_bytes,
        num_units=machine.units,
        profile=name,
    )
    return Parts(
        name=name,
        machine=machine,
        peak=peak,
        bandwidth=bandwidth,
        products=fit_products(measured, **common),
        forward=fit_attention(measured, "forward", **common),
        backward=fit_attention(measured, "backward", **common),
        memory=memory,
        network=network_of(measured, machine.processes),
        host=host,
        kernels=serving_kernels(measured, chip, machine.precision),
        checked=checked,
    )


def _toml(parts: Parts) -> str:
    """All entries, each after what it refers to."""
    machine = parts.machine
    what = f"{machine.processes} x {machine.name}, {machine.threads} threads each"
    versions = ", ".join(f"{key} {value}" for key, value in sorted(machine.versions.items()))
    origin: dict[str, Any] = {
        "source": f"clusterwright calibrate measure: {versions}",
        "confidence": "A",
        "checked": parts.checked,
    }
    tables = [
        ("accelerator", _accelerator(parts) | origin),
        ("efficiency", _efficiency(parts) | origin),
        ("cluster", _cluster(parts) | origin),
        ("software", _software(parts) | origin),
        ("stacks", _stack(parts) | origin),
        ("inference", _engine(parts) | origin),
    ]
    if parts.network is not None:
        tables.append(("settings", parts.network.entry(parts.name, origin)))
    tables += [("kernels", msgspec.to_builtins(one) | origin) for one in parts.kernels]
    head = (
        f"# Measured on this machine: {what}, in {machine.precision}.\n"
        f"# Lower quartiles of repeated runs, all processes at once. Use it with --catalogue.\n\n"
    )
    text = head + "\n".join(table_text(table, _rounded(fields)) for table, fields in tables)
    # A day is TOML's own kind of value, not text.
    return text.replace(f'checked = "{parts.checked}"', f"checked = {parts.checked}")


def _accelerator(parts: Parts) -> dict[str, Any]:
    machine = parts.machine
    cpu = machine.device == "cpu"
    share = f"{machine.threads} of {machine.cores} cores" if cpu else "one GPU"
    clock = f"; clock {machine.clock / 1e9:.2f} GHz when read" if machine.clock else ""
    rate = f"{parts.peak / 1e9:.5g} GFLOP/s"
    return {
        "id": parts.name,
        "name": f"{machine.name}, {share}",
        "vendor": machine.vendor,
        "kind": "cpu" if cpu else "gpu",
        "profile": parts.name,
        "peaks": {machine.precision: rate},
        "matmul": {machine.precision: rate},
        "memory": f"{machine.memory_bytes / 1e9:.5g} GB",
        "memory_bandwidth": f"{parts.bandwidth / 1e9:.5g} GB/s",
        "last_level_cache": f"{machine.cache_bytes / 1e6:.5g} MB" if machine.cache_bytes else None,
        "units": str(machine.units),
        "board_power": f"{machine.power:.4g} W" if machine.power else None,
        "notes": f"peaks: the best product measured, not a vendor's figure{clock}",
    }


def _efficiency(parts: Parts) -> dict[str, Any]:
    network = parts.network
    share = min(1.0, network.gather_share) if network else 1.0
    unused = "" if network else "one process: no link was measured, and none is used"
    links = Evidence(source="this sweep", confidence="A" if network else "D", note=unused)
    return {
        "id": parts.name,
        "name": f"{parts.machine.name}, measured",
        "matmul": {parts.machine.precision: _with_evidence(parts.products)},
        "attention_forward": _with_evidence(parts.forward),
        "attention_backward": _with_evidence(parts.backward),
        "memory": _with_evidence(parts.memory),
        "links": {"scaleup": share, "scaleout": share, "evidence": msgspec.to_builtins(links)},
    }


def _cluster(parts: Parts) -> dict[str, Any]:
    machine, network = parts.machine, parts.network
    bandwidth = network.bandwidth if network else parts.bandwidth
    level = {
        "name": "processes of this host",
        "kind": "gloo" if machine.device == "cpu" else "nccl",
        "size": "all",
        "bandwidth": f"{bandwidth / 1e9:.5g} GB/s",
    }
    if network is not None:
        level["latency"] = f"{network.latency * 1e6:.4g} us"
    return {
        "id": parts.name,
        "name": f"{machine.processes} x {machine.name}",
        "accelerator": parts.name,
        "count": str(machine.processes),
        "fabric": {"levels": [level]},
    }


def _software(parts: Parts) -> dict[str, Any]:
    """Plain PyTorch in one precision throughout: weights, gradients and moments alike."""
    element = float(ELEMENT_BYTES[parts.machine.precision])
    return {
        "id": parts.name,
        "name": f"PyTorch {parts.machine.torch}",
        "fused": False,
        "gradient_bytes": element,
        "gradient_bytes_fp16": element,
        "state_bytes": element,
        "master_weights": False,
        "bucket_elements": BUCKET_BYTES / element,
        "optimizer_passes": 0.0,  # its steps neither clip nor scale gradients
        "launches_itself": parts.machine.device == "cpu",
        "sharded_copies": 1.0,
        "overlap_pp": False,
        "sequence_parallel": False,
        "reserve_bytes": 0.0 if parts.machine.device == "cpu" else None,
    }


def _stack(parts: Parts) -> dict[str, Any]:
    return {
        "id": parts.name,
        "launch_time": parts.host.launch_time,
        "memory_share": parts.host.memory_share,
        "update_share": parts.host.update_share,
        "note": "measured by sweep, not fitted to runs",
    }


def _engine(parts: Parts) -> dict[str, Any]:
    """An inference loop of plain PyTorch calls: no graphs, no server."""
    cpu = parts.machine.device == "cpu"
    return {
        "id": parts.name,
        "name": f"PyTorch {parts.machine.torch}, eager",
        "kernels": [ENGINE],
        "mixed": False,
        "chunked": False,
        "reuse": False,
        "graph_rows": 0,
        "reserve_bytes": 0.0,
        "small_kernels": parts.host.small_kernels,
        "launch_time": 0.0 if cpu else parts.host.launch_time,
        "launches_itself": cpu,
        "step_time": 0.0,
        "entry_time": 0.0,
    }


def _with_evidence(fitted: Fitted) -> dict[str, Any]:
    return {**fitted.values, "evidence": msgspec.to_builtins(fitted.evidence)}


def _rounded(value: Any) -> Any:  # noqa: ANN401 - any value of an entry
    """Return a value with floats of few digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
