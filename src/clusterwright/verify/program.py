"""What each process of a verification runs: the cases in order, a line of results for each."""

from __future__ import annotations

import gc
import os
import sys
import time
import warnings
from pathlib import Path

import msgspec

from clusterwright.calibrate.measure.bench import Bench
from clusterwright.calibrate.measure.machine import DeviceKind
from clusterwright.records import Record
from clusterwright.verify.cases import Case
from clusterwright.verify.decoding import measured_step
from clusterwright.verify.training import step_of

WARM = 2
LONGEST = 10.0
"""Seconds after which a case is not repeated any more."""


class Order(Record, frozen=True, kw_only=True):
    """What the processes are told: which cases to run, how often, where to write."""

    device: DeviceKind
    precision: str
    threads: int
    repeats: int
    results: str
    cases: tuple[Case, ...]


class Result(Record, frozen=True, kw_only=True):
    """A line: one case, and the seconds of each repeated step."""

    case: str
    seconds: tuple[float, ...]


def main(path: str) -> None:
    """Run what an order says; the first process writes the results."""
    order = msgspec.json.decode(Path(path).read_bytes(), type=Order)
    rank, processes = (int(os.environ.get(key, usual)) for key, usual in RANKS)
    bench = Bench(
        order.device, order.precision, threads=order.threads, rank=rank, processes=processes
    )
    warnings.filterwarnings("ignore")  # of PyTorch's own parts at each other
    bench.join()
    for case in order.cases:
        seconds = _seconds(case, bench, order.repeats)
        if rank == 0:
            with Path(order.results).open("ab") as file:
                line = Result(case=case.name, seconds=tuple(seconds))
                file.write(msgspec.json.encode(line) + b"\n")
        gc.collect()
    bench.leave()


def _seconds(case: Case, bench: Bench, repeats: int) -> list[float]:
    if not case.trains:
        return measured_step(case, bench, repeats)
    step = step_of(case, bench)
    for _ in range(WARM):
        step()
    found: list[float] = []
    end = time.monotonic() + LONGEST
    for _ in range(repeats):
        if found and bench.slowest(time.monotonic() - end) > 0.0:
            break
        bench.slowest(0.0)  # all begin together
        found.append(bench.slowest(bench.seconds(step, 1)))
    return found


RANKS = (("RANK", "0"), ("WORLD_SIZE", "1"))

if __name__ == "__main__":
    main(sys.argv[1])
