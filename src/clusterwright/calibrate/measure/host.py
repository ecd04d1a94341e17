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


class HostCosts(Record, frozen=True, kw_only=True):
    """Measured costs of the framework on this machine.

    ``launch_time``: of a kernel in a training step, beyond the kernel's own floor: Python and
    autograd. [s] ``small_kernels``: of a layer while decoding, as many kernels of the shortest time
    as what it runs between its products takes. [1] ``memory_share``: rate of the small operators of
    layers over what a stream of the bytes that the cost model counts for them would reach,
    ``operator_shares``: the same by operator. [1] ``update_share``: the optimizer's rate over that
    of small operators. [1]
    """

    launch_time: float
    small_kernels: float
    memory_share: float
    update_share: float
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
    plain, traced = (_call(measured, way) for way in ("operator", "autograd"))
    # An operator and its backward are two kernels for the cost model; where the host runs them,
    # what calling one takes is part of its floor.
    launch = max(0.0, 0.5 * traced - plain * host_runs)
    shares = {
        way: _share(
            rows_of(measured, "operator", way),
            counted_traffic(way, element_bytes, settings),
            memory,
            bandwidth,
        )
        for way in WAYS
    }
    together = _together(shares)
    update = _update_rate(measured, element_bytes) / (bandwidth * memory.efficiency)
    return HostCosts(
        launch_time=launch,
        small_kernels=_small_time(measured) / memory.floor,
        memory_share=together,
        update_share=update / together,
        operator_shares=shares,
    )


WAYS = ("norm", "rotary", "activation", "loss")


LAYER = {"norm": 2.0, "rotary": 2.0, "activation": 3.0}
"""Elements that each operator of a layer has over those of its input, roughly: two norms, queries
and keys, a feed-forward network some three times as wide. [1]"""


def _together(shares: Mapping[str, float]) -> float:
    """Return the share of a layer's operators together: a mean of their times. [1]"""
    settled = {way: weight for way, weight in LAYER.items() if way in shares}
    return sum(settled.values()) / sum(weight / shares[way] for way, weight in settled.items())


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
    rows: Rows, counted: tuple[float, float], memory: MemoryEfficiency, bandwidth: float
) -> float:
    """Median over sizes of the time counted over the time measured. [1]"""
    each, kernels = counted
    elements = rows.sizes["tokens"] * rows.sizes["width"]
    one = memory_time(each * elements / kernels, memory_bandwidth=bandwidth, **memory.arguments())
    return float(np.median(kernels * one / rows.seconds))


def _call(measured: tuple[Measured, ...], way: str) -> float:
    """Time of one call on the host. [s]"""
    return float(rows_of(measured, "host", way).seconds[0])


def _small_time(measured: tuple[Measured, ...]) -> float:
    """What a layer runs between its products for one token. [s]"""
    layer, products = (rows_of(measured, "operator", way) for way in ("layer", "products"))
    first = [int(np.argmin(rows.sizes["tokens"])) for rows in (layer, products)]
    return float(max(0.0, layer.seconds[first[0]] - products.seconds[first[1]]))


def _update_rate(measured: tuple[Measured, ...], element_bytes: float) -> float:
    """Rate of the largest update: gradient and weight once, both moments twice. [B/s]"""
    rows = rows_of(measured, "optimizer")
    largest = int(np.argmax(rows.sizes["parameters"]))
    counted = (1.0 + 1.0 + 2.0 * 2.0) * element_bytes
    return float(counted * rows.sizes["parameters"][largest] / rows.seconds[largest])
