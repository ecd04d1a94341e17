"""How fast long runs are played through failures, and how fast a power trace is made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.registry import BenchSpec, cpu_time, register
from clusterwright.asking_run import ask_run
from clusterwright.engines.failures import Cause, Job, Tier, play_failures
from clusterwright.engines.power_trace import Phase, Racks, trace_power
from clusterwright.fleet.outlook import look_ahead

DAY = 86400.0
RATE = 419 / (54 * 2048) / DAY
"""Of one node of Llama 3's run. [1/s]"""
HALL = Racks(
    count=1389,
    phases=(Phase(duration=1.5, power=130e3), Phase(duration=0.5, power=60e3)),
    jitter=0.02,
    spread=0.01,
)


def job(accelerators: int, interval: float) -> Job:
    """Four of ten failures are mended by a restart, the others take a node, 1 % are silent."""
    restart, exchange = 180.0, 360.0
    return Job(
        num_nodes=accelerators // 8,
        causes=(
            Cause(name="process", share=0.4, detection=30.0, restart=restart),
            Cause(name="node", share=0.59, detection=30.0, restart=exchange, nodes=1),
            Cause(name="silent", share=0.01, detection=30.0, restart=exchange, latency=1800.0),
        ),
        slow=Tier(interval=interval, stall=1.0, lag=10.0),
        spares=accelerators // 800,
        repair_time=63 * 3600.0,
    )


def player(accelerators: int, interval: float, count: int) -> Callable[[], float]:
    """Return a function that plays 54 days, and returns trajectories in a second of CPU time."""
    asked = job(accelerators, interval)

    def work() -> float:
        return (
            count
            / cpu_time(lambda: play_failures(asked, RATE, horizon=54 * DAY, trajectories=count))[0]
        )

    play_failures(asked, RATE, horizon=DAY, trajectories=10)
    return work


SIZES = {
    "16k": (16_384, 600.0, 2048, 5000.0),
    "131k": (131_072, 120.0, 512, 1000.0),
    "1m": (1_048_576, 60.0, 1000, 200.0),
}
"""Name → accelerators, time between checkpoints, trajectories at once, goal."""

for _name, (_accelerators, _interval, _count, _goal) in SIZES.items():
    register(
        BenchSpec(
            name=f"failures.{_name}",
            build=partial(player, _accelerators, _interval, _count),
            run=lambda work: float(work()),
            unit="1/s",
            goal=_goal,
            better="higher",
            doc=f"54 days of {_accelerators:,} accelerators in a second of CPU time.",
        )
    )
register(
    BenchSpec(
        name="power.trace",
        build=lambda: trace_power([HALL], 2.0),
        run=lambda _: cpu_time(lambda: np.sum(trace_power([HALL], 60.0).power))[0],
        unit="s",
        goal=1.0,
        doc="Power of 100,000 accelerators, every millisecond of a minute.",
    )
)
register(
    BenchSpec(
        name="fleet.million",
        build=lambda: ask_run(accelerator="h100", accelerators=1_048_576),
        run=lambda question: cpu_time(lambda: look_ahead(question))[0],
        unit="s",
        goal=5.0,
        doc="How a month of a million accelerators is likely to go, with what moves it.",
    )
)
