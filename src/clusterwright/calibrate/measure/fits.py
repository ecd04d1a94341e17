"""Measured times to the parameters of the house's formulas: a profile's kernels, memory, links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from clusterwright.calibrate.fitting import Parameter, fit
from clusterwright.calibrate.measure.journal import Measured
from clusterwright.calibrate.residuals import errors_of
from clusterwright.efficiency import Evidence
from clusterwright.errors import InputError
from clusterwright.formulas.attention import attention_time
from clusterwright.formulas.roofline import matmul_time, memory_time

Array = Any
LEAST_ROWS = 64
"""Rows of a product from which on it tells of training; decoding's few rows are fitted apart."""
LEAST_STREAM = 3e6
"""Traffic of the smallest stream that tells of a step. [B]"""
LARGE_SHARE = 0.25
"""Streams of this share of the largest one's bytes, and larger, tell the memory's bandwidth."""

PRODUCT = (
    Parameter("peak_efficiency", 0.9, 0.05, 1.0),
    Parameter("half_tile", 4.0, 0.01, 512.0),
    Parameter("half_depth", 20.0, 0.01, 4096.0),
    Parameter("fill_area", 1e3, 0.1, 1e7),
    Parameter("split_depth", 1e3, 10.0, 1e5),
    Parameter("memory_efficiency", 0.9, 0.05, 1.0),
    Parameter("floor", 2e-6, 1e-8, 1e-3),
)
ATTENTION = (
    Parameter("peak_efficiency", 0.5, 0.003, 1.0),
    Parameter("half_length", 100.0, 0.1, 5e3),
    Parameter("half_head_dim", 30.0, 0.1, 1e3),
    Parameter("fill_rows", 10.0, 0.01, 1e6),
    Parameter("memory_efficiency", 0.8, 0.05, 1.0),
    Parameter("floor", 5e-6, 1e-8, 1e-3),
)
MEMORY = (
    Parameter("efficiency", 0.9, 0.05, 1.0),
    Parameter("ramp_bytes", 1e4, 1.0, 1e8),
    Parameter("cache_bytes", 5e7, 1e5, 1e9),
    Parameter("cache_speedup", 2.0, 1.0, 30.0),
)
LINE = (
    Parameter("latency", 1e-4, 1e-7, 1e-1),
    Parameter("inverse", 1e-9, 1e-13, 1e-6),
)
FLOP_FACTOR = {"forward": 1.0, "backward": 2.5}
TRAFFIC_FACTOR = {"forward": 1.0, "backward": 2.5}


class Rows(NamedTuple):
    """Measured tasks of one family and way, as columns."""

    sizes: dict[str, Array]
    seconds: Array

    def __len__(self) -> int:
        return len(self.seconds)

    def where(self, chosen: Array) -> Rows:
        """Return the rows of a mask."""
        return Rows(
            {name: column[chosen] for name, column in self.sizes.items()}, self.seconds[chosen]
        )


class Fitted(NamedTuple):
    """Values by name, and how far they are from what they were fitted to."""

    values: dict[str, float]
    evidence: Evidence


def rows_of(measured: Iterable[Measured], family: str, *ways: str) -> Rows:
    """Return a family's tasks (in the given ways) as columns: lower quartiles of the best turn.

    Raises
    ------
    InputError
        Nothing of the kind was measured yet.
    """
    best: dict[str, Measured] = {}
    for one in measured:
        if one.task.family == family and (not ways or one.task.way in ways):
            old = best.get(one.task.what)
            if old is None or one.timing.lower < old.timing.lower:
                best[one.task.what] = one
    found = list(best.values())
    if not found:
        what = " ".join([family, *ways])
        raise InputError(
            f"nothing was measured of {what} yet: run `calibrate measure` again with more --minutes"
        )
    names = found[0].task.sizes
    sizes = {name: np.array([one.task.sizes[name] for one in found], dtype=float) for name in names}
    return Rows(sizes, np.array([one.timing.lower for one in found]))


def best_product_rate(measured: Iterable[Measured]) -> float:
    """The best rate of any product that was measured. [FLOP/s]"""
    rows = rows_of(measured, "product")
    m, n, k = (rows.sizes[name] for name in "mnk")
    return float(np.max(2.0 * m * n * k / rows.seconds))


def stream_bytes(rows: Rows, way: str, element_bytes: float) -> Array:
    """Traffic of streams: two tensors read and one written, or one and one. [B]"""
    return {"add": 3.0, "copy": 2.0}[way] * element_bytes * rows.sizes["elements"]


def bandwidth_of(measured: tuple[Measured, ...], element_bytes: float) -> float:
    """What the largest streams reach. [B/s]"""
    rows = rows_of(measured, "stream", "add")
    moved = stream_bytes(rows, "add", element_bytes)
    large = moved >= LARGE_SHARE * moved.max()
    return float(np.max(moved[large] / rows.seconds[large]))


def fit_products(
    measured: tuple[Measured, ...], *, peak: float, bandwidth: float, element_bytes: float
) -> Fitted:
    """Products of many rows, in all three layouts of a training step."""
    rows = rows_of(measured, "product")
    rows = rows.where(np.min([rows.sizes["m"], rows.sizes["k"]], axis=0) >= LEAST_ROWS)
    m, n, k = (rows.sizes[name] for name in "mnk")

    def times(values: Mapping[str, float]) -> Array:
        return matmul_time(
            m,
            n,
            k,
            peak_flops=peak,
            memory_bandwidth=bandwidth,
            element_bytes=element_bytes,
            output_bytes=element_bytes,
            **values,
        )

    return _fitted(times, rows, PRODUCT)


def fit_attention(
    measured: tuple[Measured, ...],
    way: str,
    *,
    peak: float,
    bandwidth: float,
    element_bytes: float,
) -> Fitted:
    """Causal attention in one direction."""
    rows = rows_of(measured, "attention", way)
    size = rows.sizes
    extra = {"flop_factor": FLOP_FACTOR[way], "traffic_factor": TRAFFIC_FACTOR[way]}

    def times(values: Mapping[str, float]) -> Array:
        return attention_time(
            size["batch"],
            size["heads"],
            size["length"],
            size["length"],
            num_kv_heads=size["kv_heads"],
            qk_dim=size["width"],
            value_dim=size["width"],
            peak_flops=peak,
            memory_bandwidth=bandwidth,
            element_bytes=element_bytes,
            **extra,
            **values,
        )

    found = _fitted(times, rows, ATTENTION)
    return found._replace(values={**found.values, **extra})


def fit_memory(measured: tuple[Measured, ...], *, bandwidth: float, element_bytes: float) -> Fitted:
    """Streams of a step's sizes; the smallest one is the floor.

    Those that stay in a core's own cache are left out: a step's tensors are larger, or were
    written long before they are read.
    """
    rows = rows_of(measured, "stream", "add")
    floor = float(rows.seconds.min())
    rows = rows.where(stream_bytes(rows, "add", element_bytes) >= LEAST_STREAM)
    moved = stream_bytes(rows, "add", element_bytes)

    def times(values: Mapping[str, float]) -> Array:
        return memory_time(moved, memory_bandwidth=bandwidth, floor=floor, **values)

    found = _fitted(times, rows, MEMORY)
    return found._replace(values={**found.values, "floor": floor})


def fit_line(measured: tuple[Measured, ...], way: str) -> Fitted:
    """Latency [s] and inverse bandwidth [s/B] of a collective, by the bytes of its buffer."""
    rows = rows_of(measured, "collective", way)

    def times(values: Mapping[str, float]) -> Array:
        return values["latency"] + values["inverse"] * rows.sizes["bytes"]

    return _fitted(times, rows, LINE)


def _fitted(
    times: Callable[[Mapping[str, float]], Array], rows: Rows, parameters: tuple[Parameter, ...]
) -> Fitted:
    _, values = fit(times, rows.seconds, parameters)
    median, p90, _ = errors_of(times(values), rows.seconds)
    evidence = Evidence(
        source="this sweep", confidence="A", rows=len(rows), residual=median, residual_p90=p90
    )
    return Fitted(values, evidence)
