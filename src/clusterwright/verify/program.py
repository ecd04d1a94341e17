"""What each process of a verification runs: the cases in order, a line of results for each."""

from __future__ import annotations

import gc
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Self

import msgspec

from clusterwright.calibrate.measure.bench import Bench
from clusterwright.calibrate.measure.machine import DeviceKind
from clusterwright.calibrate.measure.program import alive
from clusterwright.records import Record
from clusterwright.verify.cases import Case
from clusterwright.verify.decoding import measured_step
from clusterwright.verify.training import step_of

WARM = 2
LONGEST = 15.0
"""Seconds after which a case is not repeated any more."""
OTHERS = 0.04
"""Share of all cores from which on others have disturbed a step. [1]"""
STAT = Path("/proc/stat")


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


class Watch:
    """Whether other programs, or other guests of the same host, took the cores meanwhile.

    Parameters
    ----------
    bench
        This process's device, which knows the other processes.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.disturbed = False

    def __enter__(self) -> Self:
        """Note what was used so far."""
        self._start, self._own, self._all = time.monotonic(), time.process_time(), used_time()
        return self

    def __exit__(self, *_: object) -> None:
        """Compare what all have used since with what these processes have."""
        lasted, own = time.monotonic() - self._start, time.process_time() - self._own
        others = used_time() - self._all - self.bench.summed(own)
        share = others / (lasted * (os.cpu_count() or 1))
        self.disturbed = self.bench.slowest(share) > OTHERS


def used_time() -> float:
    """Time that all cores were busy or kept waiting since they were started; 0: not known. [s]"""
    try:
        line = STAT.read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, irq, soft, stolen = map(float, line.split()[1:9])
    return (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")


RANKS = (("RANK", "0"), ("WORLD_SIZE", "1"))

if __name__ == "__main__":
    main(sys.argv[1])
