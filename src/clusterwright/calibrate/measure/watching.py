"""Whether other programs ran while something was measured, as the system counts all cores' time."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Self

from clusterwright.calibrate.measure.bench import Bench

OTHERS = 0.04
"""Share of all cores from which on others have disturbed what is measured. [1]"""
TICKS = 3.0
"""Of the system's clock, by which the time of a core can be miscounted. [1]"""
STAT = Path("/proc/stat")


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
        cores = os.cpu_count() or 1
        allowed = max(OTHERS * lasted * cores, TICKS / os.sysconf("SC_CLK_TCK") * cores**0.5)
        self.disturbed = self.bench.slowest(others / allowed) > 1.0


def used_time() -> float:
    """Time that all cores were busy or kept waiting since they were started; 0: not known. [s]"""
    try:
        line = STAT.read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, irq, soft, stolen = map(float, line.split()[1:9])
    return (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")
