"""A machine that does not exist, swept: every task takes what the formulas say of known figures."""

from __future__ import annotations

from clusterwright.calibrate.measure.journal import Measured
from clusterwright.calibrate.measure.machine import MachineFacts
from clusterwright.calibrate.measure.tasks import Task, sweep
from clusterwright.calibrate.measure.timing import Timing
from clusterwright.formulas.attention import attention_time
from clusterwright.formulas.roofline import matmul_time, memory_time

PEAK, BANDWIDTH, RATE, LATENCY, CALL = 100e9, 10e9, 2e9, 50e-6, 1e-6
GATHER, ALL_REDUCE, SCATTER = 1.0e-9, 1.2e-9, 1.6e-9
"""Inverse rates of collectives by the bytes of their buffer. [s/B]"""
SLOWDOWN = 0.8
ELEMENT = 4.0
ROOFS = {"peak_flops": PEAK, "memory_bandwidth": BANDWIDTH, "element_bytes": ELEMENT}

MACHINE = MachineFacts(
    device="cpu",
    name="Imagined processor",
    vendor="Imagined",
    cores=2,
    processes=2,
    threads=1,
    precision="fp32",
    torch="2.13.0",
    memory_bytes=8e9,
)


def seconds_of(task: Task) -> float:
    """What a task takes on the imagined machine. [s]"""
    return TIMES[task.family](task)


def imagined(*, processes: int = 2, quick: bool = False) -> tuple[Measured, ...]:
    """The whole sweep of the imagined machine."""
    return tuple(
        Measured(task=task, timing=timing(seconds_of(task)))
        for task in sweep(processes=processes, quick=quick)
    )


def timing(seconds: float) -> Timing:
    """A timing all of whose samples took the same."""
    return Timing(lower=seconds, median=seconds, upper=seconds, least=seconds, samples=7, runs=1)


def _product(task: Task) -> float:
    m, n, k = (task.sizes[name] for name in "mnk")
    return float(
        matmul_time(
            m,
            n,
            k,
            **ROOFS,
            output_bytes=ELEMENT,
            peak_efficiency=0.9,
            half_tile=4.0,
            half_depth=10.0,
            fill_area=100.0,
            split_depth=500.0,
            memory_efficiency=0.8,
            floor=5e-6,
        )
    )


def _attention(task: Task) -> float:
    size = task.sizes
    length = size.get("length", 1.0)
    return float(
        attention_time(
            size["batch"],
            size["heads"],
            length,
            size.get("keys", length),
            num_kv_heads=size["kv_heads"],
            qk_dim=size["width"],
            value_dim=size["width"],
            **ROOFS,
            peak_efficiency=0.5,
            half_length=50.0,
            half_head_dim=20.0,
            fill_rows=5.0,
            memory_efficiency=0.8,
            floor=5e-6,
            flop_factor=2.5 if task.way == "backward" else 1.0,
        )
    )


def _stream(task: Task) -> float:
    passes = 3.0 if task.way == "add" else 2.0
    moved = passes * ELEMENT * task.sizes["elements"]
    return float(
        memory_time(moved, memory_bandwidth=BANDWIDTH, efficiency=1.0, ramp_bytes=1.0, floor=CALL)
    )


def _operator(task: Task) -> float:
    small = {"layer": 5.0e-4, "products": 4.5e-4}
    return small.get(task.way) or 100.0 * task.sizes["tokens"] * task.sizes["width"] / BANDWIDTH


def _collective(task: Task) -> float:
    inverse = {"all_gather": GATHER, "all_reduce": ALL_REDUCE, "reduce_scatter": SCATTER}
    return LATENCY + task.sizes["bytes"] * inverse.get(task.way, 1.0 / RATE)


def _overlap(task: Task) -> float:
    alone = 4e-9 * task.sizes["bytes"]
    own = LATENCY + ALL_REDUCE * task.sizes["bytes"]
    return alone + (SLOWDOWN * own if task.way == "beside" else 0.0)


TIMES = {
    "product": _product,
    "attention": _attention,
    "decode": _attention,
    "stream": _stream,
    "operator": _operator,
    "host": lambda task: CALL if task.way == "operator" else 3.0 * CALL,
    "optimizer": lambda task: 24.0 * task.sizes["parameters"] / BANDWIDTH,
    "collective": _collective,
    "overlap": _overlap,
}
