"""One kernel with a known amount of work, to tell a slow machine from slow code."""

from __future__ import annotations

import numpy as np

from benchmarks.registry import cpu_time

ELEMENTS = 16_384
REPEATS = 400


def calibration_time(rounds: int = 7) -> float:
    """CPU time of one multiply-add over 16,384 doubles, best of several rounds. [s]"""
    left = np.linspace(0.0, 1.0, ELEMENTS)
    right = np.linspace(1.0, 2.0, ELEMENTS)
    out = np.empty(ELEMENTS)

    def kernel() -> None:
        for _ in range(REPEATS):
            np.multiply(left, right, out=out)
            np.add(out, left, out=out)

    return min(cpu_time(kernel)[0] for _ in range(rounds)) / REPEATS
