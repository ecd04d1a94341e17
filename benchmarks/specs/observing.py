"""How fast a large trace and a long log are read."""

from __future__ import annotations

import json

from benchmarks.registry import BenchSpec, cpu_time, register
from clusterwright.observe import kineto, megatron
from clusterwright.observe.opening import lines_of

EVENTS = 200_000
"""About 50 MB as PyTorch writes them."""
STEPS = 5_000


def a_trace() -> bytes:
    """A trace of ten steps: launches, kernels, collectives."""
    events = []
    for number in range(EVENTS // 2):
        start = 25.0 * number
        name = "ncclDevKernel_AllGather_RING_LL" if number % 20 == 0 else f"gemm_{number % 50}"
        events.append(_event("cuda_runtime", "cudaLaunchKernel", start - 40.0, 3.0, number))
        events.append(_event("kernel", name, start, 20.0, number))
    span = 25.0 * EVENTS / 20
    marks = [_event("user_annotation", f"ProfilerStep#{i}", i * span, span, 0) for i in range(10)]
    return json.dumps({"traceEvents": events + marks}, indent=1).encode()


def _event(cat: str, name: str, start: float, spent: float, link: int) -> dict[str, object]:
    args = {"correlation": link, "stream": 7, "grid": [64, 2, 1], "block": [384, 1, 1]}
    return {"ph": "X", "cat": cat, "name": name, "pid": 0, "tid": 7, "ts": start, "dur": spent,
            "args": args}  # fmt: skip


def a_log() -> bytes:
    """A log of Megatron-LM with timers below each step."""
    timers = "\n".join(f"    timer-{i} ......: ({10 + i}.00, {11 + i}.00)" for i in range(8))
    return "".join(
        f" [2026-03-01 12:00:00] iteration {step:8d}/{STEPS:8d} | consumed samples: {step} | "
        f"elapsed time per iteration (ms): 1000.0 | global batch size:   256 | lm loss: 2.0E+00 |"
        f"\n(min, max) time across ranks (ms):\n{timers}\n"
        for step in range(1, STEPS + 1)
    ).encode()


register(
    BenchSpec(
        name="observe.trace",
        build=a_trace,
        run=lambda raw: cpu_time(lambda: kineto.read(raw, "trace"))[0],
        unit="s",
        goal=2.0,
        doc=f"A profiler's trace of {EVENTS:,} events (50 MB), read and reduced.",
    )
)
register(
    BenchSpec(
        name="observe.log",
        build=a_log,
        run=lambda raw: cpu_time(lambda: megatron.read(lines_of(raw), "log"))[0],
        unit="s",
        goal=2.0,
        doc=f"A log of {STEPS:,} steps with eight timers each, read.",
    )
)
