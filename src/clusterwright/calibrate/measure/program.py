"""What each process of a sweep runs: the tasks in order, a line of the journal for each."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path

import msgspec

from clusterwright.calibrate.measure.bench import Bench, Sampler
from clusterwright.calibrate.measure.journal import Journal, Measured
from clusterwright.calibrate.measure.machine import DeviceKind
from clusterwright.calibrate.measure.operators import run_of
from clusterwright.calibrate.measure.tasks import Task
from clusterwright.calibrate.measure.timing import LEAST_SAMPLE, Timing, settle
from clusterwright.calibrate.measure.watching import Watch
from clusterwright.records import Record


class Order(Record, frozen=True, kw_only=True):
    """What the processes are told: where to measure what, until when.

    ``minutes``: after which no further task is begun; nor is one when ``parent``, the process that
    gave the order, is no more.
    """

    device: DeviceKind
    precision: str
    threads: int
    minutes: float
    parent: int
    journal: str
    tasks: tuple[Task, ...]


def main(path: str) -> None:
    """Measure what an order says; the first process writes the journal."""
    order = msgspec.json.decode(Path(path).read_bytes(), type=Order)
    rank, processes = (int(os.environ.get(key, usual)) for key, usual in RANKS)
    bench = Bench(
        order.device, order.precision, threads=order.threads, rank=rank, processes=processes
    )
    bench.join()
    journal, end = Journal(Path(order.journal)), time.monotonic() + 60.0 * order.minutes
    for task in order.tasks:
        over = time.monotonic() > end or not alive(order.parent)
        if bench.slowest(float(over)) > 0.0:
            break
        timing = measure(task, bench)
        if rank == 0:
            journal.add(Measured(task=task, timing=timing))
        gc.collect()
    bench.leave()


def alive(process: int) -> bool:
    """Tell whether a process of this user runs; one that was killed takes its sweep with it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def measure(task: Task, bench: Bench) -> Timing:
    """Time one task on this process's device."""
    run, parts = run_of(task, bench)
    talks = task.family in ("collective", "overlap")
    sampler = Sampler(bench, run, watched=not talks)
    shortest = TOGETHER if talks else LEAST_SAMPLE
    if talks or bench.kind != "cpu" or bench.threads == 1:
        found = settle(sampler, shortest=shortest)
    else:  # threads that wait for one whose core was taken look busy: only the system can tell
        with Watch(bench) as watch:
            found = settle(sampler, shortest=shortest)
        sampler.disturbed = found.samples if watch.disturbed else 0
    seconds = {name: getattr(found, name) / parts for name in SECONDS}
    return msgspec.structs.replace(found, disturbed=sampler.disturbed, **seconds)


TOGETHER = 0.03
"""Collectives wake threads up, sometimes late: a sample holds many, and this with them. [s]"""
RANKS = (("RANK", "0"), ("WORLD_SIZE", "1"))
SECONDS = ("lower", "median", "upper", "least")

if __name__ == "__main__":
    main(sys.argv[1])
