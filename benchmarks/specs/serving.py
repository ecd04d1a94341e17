"""How fast requests are played through replicas, and how fast a serving plan is found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.registry import Absent, BenchSpec, cpu_time, register
from benchmarks.specs.start import child_cpu_time
from clusterwright.engines.compiled import has_numba
from clusterwright.engines.requests.simulator import (
    Played,
    ReplicaKind,
    StepTimes,
    Traffic,
    play_requests,
)

TOKENS = np.array([1.0, 16, 256, 4096, 16384])
ROWS = np.array([1.0, 16, 256, 1024])
CONTEXT = np.array([1.0, 1024, 16384, 131072])
TIMES = StepTimes(
    tokens=TOKENS,
    lane=6e-3 + 2e-5 * TOKENS,
    whole=0.0 * TOKENS,
    rows=ROWS,
    decode=6e-3 + 2e-5 * ROWS,
    head=1e-6 * ROWS,
    context=CONTEXT,
    attention=1.6e-8 * np.outer(ROWS, CONTEXT),
    length=CONTEXT,
    prefill=3e-10 * CONTEXT**2,
)
"""Like Llama 3.1 70B on eight H100, in straight lines."""

MANY = 1_000_000
REPLICAS = 64
LIGHT, USUAL = 2.0, 10.0
"""Requests a second to one replica."""


def traffic(count: int, rate: float) -> Traffic:
    """Poisson arrivals, log-normal lengths of about 1,000 tokens in and 250 out."""
    random = np.random.default_rng(0)
    prompt = random.lognormal(np.log(1024) - 0.5, 1.0, count)
    output = random.lognormal(np.log(256) - 0.3, 0.8, count)
    return Traffic(
        arrival=np.cumsum(random.exponential(1.0 / rate, count)),
        prompt=np.clip(prompt, 1, 16384).astype(int),
        output=np.clip(output, 1, 4096).astype(int),
    )


def player(
    count: int, rate: float, replicas: int, *, compiled: bool = True
) -> Callable[[], tuple[float, Played]]:
    """Return a function that plays a load: CPU time, and what was played."""
    if compiled and not has_numba():
        raise Absent("numba (the extra sim) is not installed")
    kind = ReplicaKind(times=TIMES, count=replicas, budget=2048, most=512, blocks=220_000.0)
    asked_for = traffic(count, rate * replicas)

    def work() -> tuple[float, Played]:
        found: list[Played] = []
        spent = cpu_time(
            lambda: found.append(
                play_requests(asked_for, [kind], router="least-loaded", compile_loop=compiled)
            )
        )[0]
        return spent, found[0]

    play_requests(traffic(100, rate), [kind], compile_loop=compiled)
    return work


def iterations(work: Callable[[], tuple[float, Played]]) -> float:
    """Steps of all replicas in a second of CPU time. [1/s]"""
    spent, played = work()
    return float(played.steps.sum()) / spent


register(
    BenchSpec(
        name="requests.iterations",
        build=lambda: player(200_000, LIGHT, 1),
        run=iterations,
        unit="1/s",
        goal=10e6,
        better="higher",
        doc="Steps of one replica under a light load in a second of CPU time, compiled.",
    )
)
register(
    BenchSpec(
        name="requests.rate",
        build=lambda: player(200_000, USUAL, 1),
        run=lambda work: 200_000 / work()[0],
        unit="1/s",
        goal=300e3,
        better="higher",
        doc="Requests to one replica under a usual load in a second of CPU time, compiled.",
    )
)
register(
    BenchSpec(
        name="requests.million",
        build=lambda: player(MANY, USUAL, REPLICAS),
        run=lambda work: work()[0],
        unit="s",
        goal=10.0,
        doc="A million requests over 64 replicas, routed to the least loaded, compiled.",
    )
)
register(
    BenchSpec(
        name="requests.plain",
        build=lambda: player(2000, USUAL, 1, compiled=False),
        run=lambda work: 2000 / work()[0],
        unit="1/s",
        goal=5e3,
        better="higher",
        doc="Requests to one replica in a second of CPU time in plain Python.",
    )
)

PLANS = {
    "70b": (
        "plan serve llama-3.1-70b --accelerator h100 --rate 20/s --input 2000 --output 300"
        " --ttft 1s --tpot 50ms"
    ),
    "deepseek-v3": (
        "plan serve deepseek-v3 --accelerator h200 --accelerators 2048 --rate 500/s --input 2000"
        " --output 300 --ttft 1s --tpot 50ms"
    ),
}
"""Name → the command after ``clusterwright``."""

for _name, _command in PLANS.items():
    register(
        BenchSpec(
            name=f"serve.{_name}",
            build=_command.split,
            run=lambda words: child_cpu_time("-m", "clusterwright", *words),
            unit="s",
            goal=3.0,
            doc=f"A plan from a cold start: {_command.partition(' --')[0]}.",
        )
    )
