"""What the framework and its host take beside kernels: calls, small operators, the optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clusterwright.calibrate.measure.fits import Rows, rows_of
from clusterwright.calibrate.measure.journal import Measured
from clusterwright.efficiency import MemoryEfficiency
from clusterwright.formulas.roofline import memory_time
from clusterwright.records import Record
from clusterwright.training.settings import Settings

Array = Any
STATE_BYTES = 3
"""Elements that an update of Adam reads and writes beside the gradient: weight and two moments."""


class HostCosts(Record, frozen=True, kw_only=True):
    """Measured costs of the framework on this machine.

    ``launch_time``: of a kernel in a training step, beyond the kernel's own floor: Python and
    autograd. [s] ``small_kernels``: of a layer while decoding, as many kernels of the shortest time
    as what it runs between its products takes. [1] ``memory_share``: rate of the small operators of layers over what a stream of the bytes that the
    cost model counts for them would reach. [1] ``optimizer_passes``: traffic per parameter beside
    that of the states. [B] ``operator_shares``: the same as ``memory_share`` by operator. [1]
    """

    launch_time: float
    small_kernels: float
    memory_share: float
    optimizer_passes: float
    operator_shares: dict[str, float]


def host_costs(
    measured: tuple[Measured, ...],
    *,
    memory: MemoryEfficiency,
    bandwidth: float,
    element_bytes: float,
    settings: Settings,
    host_runs: bool,
) -> HostCosts:
    """Derive the framework's costs from the sweep.

    Parameters
    ----------
    measured
        Of the sweep.
    memory, bandwidth
        What streams reach.
    element_bytes
        Of an activation. [B]
    settings
        How many passes an operator is counted as that is written in several.
    host_runs
        Whether the processor that launches kernels runs them too.
    """
    plain, traced = (float(rows_of(measured, "host", way).seconds[0]) for way in CALLS)
    # An operator and its backward are two kernels for the cost model; where the host runs them, what
    # calling one takes is part of its floor.
    launch = max(0.0, 0.5 * traced - plain * host_runs)
    small = rows_of(measured, "operator", "decode")
    shares = {
        way: _share(rows, way, memory, bandwidth, element_bytes, settings)
        for way, rows in _operators(measured)
    }
    return HostCosts(
        launch_time=launch,
        small_kernels=float(small.seconds[np.argmin(small.sizes["tokens"])]) / memory.floor,
        memory_share=_together(shares),
        optimizer_passes=_passes(measured, memory, bandwidth, element_bytes),
        operator_shares=shares,
    )


CALLS = ("operator", "autograd")
WAYS = ("norm", "rotary", "activation", "loss")


LAYER = {"norm": 2.0, "rotary": 2.0, "activation": 3.0}
"""Elements that each operator of a layer has over those of its input, roughly: two norms, queries
and keys, a feed-forward network some three times as wide. [1]"""


def _together(shares: Mapping[str, float]) -> float:
    """Return the share of a layer's operators together: a mean of their times. [1]"""
    settled = {way: weight for way, weight in LAYER.items() if way in shares}
    return sum(settled.values()) / sum(weight / shares[way] for way, weight in settled.items())


def _operators(measured: tuple[Measured, ...]) -> list[tuple[str, Rows]]:
    return [(way, rows_of(measured, "operator", way)) for way in WAYS]


def counted_traffic(way: str, element_bytes: float, settings: Settings) -> tuple[float, float]:
    """Traffic per element, and kernels, that a training step counts for an operator, both ways.

    As ``training.operators`` and ``training.ends`` count them where nothing is fused. [B, 1]

    >>> from clusterwright.facts import shipped
    >>> from clusterwright.training.api import settings_of
    >>> counted_traffic("activation", 4.0, settings_of(shipped()))
    (64.0, 4.0)
    """
    passes = settings.unfused_norm_passes
    if way == "norm":  # with the residual addition beside it
        return ((2.0 + 5.0) * passes + 3.0) * element_bytes, 2.0 + 2.0 * passes
    if way == "rotary":
        return 4.0 * passes * element_bytes, 2.0 * passes
    if way == "activation":
        return (3.0 + 5.0) * 2.0 * element_bytes, 4.0
    passes = settings.unfused_loss_passes
    return (14.0 + 8.0) * passes, 6.0 * passes


def _share(
    rows: Rows,
    way: str,
    memory: MemoryEfficiency,
    bandwidth: float,
    element_bytes: float,
    settings: Settings,
) -> float:
    """Median over sizes of the time counted over the time measured. [1]"""
    each, kernels = counted_traffic(way, element_bytes, settings)
    elements = rows.sizes["tokens"] * rows.sizes["width"]
    one = memory_time(
        each * elements / kernels, memory_bandwidth=bandwidth, **memory.arguments()
    )
    return float(np.median(kernels * one / rows.seconds))


def _passes(
    measured: tuple[Measured, ...], memory: MemoryEfficiency, bandwidth: float, element_bytes: float
) -> float:
    """Bytes per parameter that an update takes as long as, beyond those counted. [B]"""
    rows = rows_of(measured, "optimizer")
    rate = rows.sizes["parameters"] / rows.seconds
    counted = (2.0 * 2.0 + 2.0) * element_bytes
    equivalent = bandwidth * memory.efficiency / rate[np.argmax(rows.sizes["parameters"])]
    return float(max(0.0, equivalent - counted))
