"""How fast pipeline schedules are generated and played out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.registry import Absent, BenchSpec, cpu_time, register
from benchmarks.specs.planning import asked, warm_time
from clusterwright.engines.compiled import has_numba
from clusterwright.engines.costs import StageCosts
from clusterwright.engines.executor import (
    Noise,
    durations,
    execute,
    run_loop,
    sample_makespans,
)
from clusterwright.engines.orders import interleaved

RANKS, CHUNKS, MICRO_BATCHES = 16, 8, 512
"""Llama 3.1 405B with many micro-batches: 131,072 operations."""

OPERATIONS = 2 * RANKS * CHUNKS * MICRO_BATCHES
SAMPLES = 20
SIMULATE = (
    "simulate train llama-3.1-405b --cluster meta-24k --accelerators 16384 --tp 8 --cp 2 --pp 16"
    " --vpp 8"
)


def large(*, compiled: bool = True) -> Callable[[], tuple[float, float, float]]:
    """Return a function that plays the large case: CPU time of the whole, of the loop, of draws."""
    if compiled and not has_numba():
        raise Absent("numba (the extra sim) is not installed")
    schedule = interleaved(RANKS, MICRO_BATCHES, CHUNKS)
    costs = StageCosts.uniform(RANKS * CHUNKS, weight_gradient=0.0, hop=0.01)
    seconds = durations(schedule, costs)
    noise, rng = Noise(spread=0.05), np.random.default_rng(0)

    def work() -> tuple[float, float, float]:
        whole = cpu_time(lambda: execute(schedule, costs, compile_loop=compiled))[0]
        loop = cpu_time(lambda: run_loop(schedule, costs, seconds, compile_loop=compiled))[0]
        if not compiled:
            return whole, loop, whole
        drawn = cpu_time(
            lambda: sample_makespans(schedule, costs, noise, rng=rng, num_samples=SAMPLES)
        )[0]
        return whole, loop, drawn / SAMPLES

    work()
    return work


register(
    BenchSpec(
        name="pipeline.405b",
        build=large,
        run=lambda work: work()[0],
        unit="s",
        goal=5e-3,
        doc="131,072 operations of an interleaved schedule played out, compiled and warm.",
    )
)
register(
    BenchSpec(
        name="pipeline.rate",
        build=large,
        run=lambda work: OPERATIONS / work()[1],
        unit="1/s",
        goal=50e6,
        better="higher",
        doc="Operations in a second of CPU time: the compiled loop with its set-up.",
    )
)
register(
    BenchSpec(
        name="pipeline.jitter",
        build=large,
        run=lambda work: 1.0 / work()[2],
        unit="1/s",
        goal=100,
        better="higher",
        doc="The same step with jitter drawn anew, in a second of CPU time.",
    )
)
register(
    BenchSpec(
        name="pipeline.plain-rate",
        build=lambda: large(compiled=False),
        run=lambda work: OPERATIONS / work()[1],
        unit="1/s",
        goal=0.3e6,
        better="higher",
        doc="Operations in a second of CPU time without numba.",
    )
)
register(
    BenchSpec(
        name="pipeline.generate",
        build=lambda: None,
        run=lambda _: cpu_time(lambda: interleaved(RANKS, MICRO_BATCHES, CHUNKS))[0],
        unit="s",
        goal=0.05,
        doc="Putting the 131,072 operations in order.",
    )
)
register(
    BenchSpec(
        name="simulate.405b-16k",
        build=asked(SIMULATE),
        run=warm_time,
        unit="s",
        goal=1.0,
        doc="`clusterwright simulate train` of one strategy, warm.",
    )
)
