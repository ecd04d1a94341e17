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
from clusterwright.calibrate.measure.program import alive
from clusterwright.calibrate.measure.watching import Watch
from clusterwright.records import Record
from clusterwright.verify.cases import Case
from clusterwright.verify.decoding import measured_step
from clusterwright.verify.training import step_of

WARM = 2
LONGEST = 15.0
"""Seconds after which a case is not repeated any more."""


class Order(Record, frozen=True, kw_only=True):
    """What the processes are told: which cases to run, how often, where to write, and for whom."""

    device: DeviceKind
    precision: str
    threads: int
    repeats: int
    parent: int
    results: str
    cases: tuple[Case, ...]


class Result(Record, frozen=True, kw_only=True):
    """A line: one case, the seconds of each repeated step, and which of them others disturbed."""

    case: str
    seconds: tuple[float, ...]
    disturbed: tuple[bool, ...]


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
        if bench.slowest(float(not alive(order.parent))) > 0.0:
            break
        result = (
            _trained(case, bench, order.repeats)
            if case.trains
            else _inferred(case, bench, order.repeats)
        )
        if rank == 0:
            with Path(order.results).open("ab") as file:
                file.write(msgspec.json.encode(result) + b"\n")
        gc.collect()
    bench.leave()


def _trained(case: Case, bench: Bench, repeats: int) -> Result:
    """Repeat a step until so many were left in peace, or for as long as a case may take."""
    step = step_of(case, bench)
    for _ in range(WARM):
        step()
    found: list[float] = []
    disturbed: list[bool] = []
    end = time.monotonic() + LONGEST
    while disturbed.count(False) < repeats:
        if found and bench.slowest(time.monotonic() - end) > 0.0:
            break
        with Watch(bench) as watch:
            bench.slowest(0.0)  # all begin together
            found.append(bench.slowest(bench.seconds(step, 1)))
        disturbed.append(watch.disturbed)
    return Result(case=case.name, seconds=tuple(found), disturbed=tuple(disturbed))


def _inferred(case: Case, bench: Bench, repeats: int) -> Result:
    """Decode, or take prompts, repeatedly; single tokens are too short to watch each."""
    with Watch(bench) as watch:
        found = measured_step(case, bench, repeats)
    disturbed = (watch.disturbed,) * len(found)
    return Result(case=case.name, seconds=tuple(found), disturbed=disturbed)


RANKS = (("RANK", "0"), ("WORLD_SIZE", "1"))

if __name__ == "__main__":
    main(sys.argv[1])
