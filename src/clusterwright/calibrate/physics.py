"""Rows that cannot be: faster than the chip computes, or than its memory delivers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clusterwright.hardware import Accelerator
from clusterwright.kernels.columns import LATENCY, Array, Table
from clusterwright.kernels.kinds import KernelKind

BEYOND_CACHE = 2.0
"""A stream of this many last-level caches leaves nothing there that it comes back to. [1]"""
LEAST_SHARE = 0.1
"""Of the roofline, reached by the best rows, below which a table shows overheads only. [1]"""
TIMER_SLACK = 1.02
"""Published peaks are rounded and timers tick: this much too fast is not yet impossible. [1]"""


class Impossible(NamedTuple):
    """Masks over the rows of a table: why a row cannot be."""

    faster_than_peak: Array
    faster_than_memory: Array

    @property
    def any(self) -> Array:
        """Rows that cannot be, for whichever reason."""
        return self.faster_than_peak | self.faster_than_memory


def impossible_rows(
    table: Table, kind: KernelKind, accelerator: Accelerator, precision: str
) -> Impossible:
    """Find the rows of one accelerator and precision that no such chip can have measured.

    A row that beats the memory's bandwidth is only impossible when its operands are well beyond
    the last-level cache; where the cache's size is unknown, no row is judged by its memory.
    """
    assert accelerator.memory_bandwidth
    seconds = table[LATENCY] * 1e-6 * TIMER_SLACK
    flops, num_bytes = kind.work(table, precision)
    beyond = num_bytes > BEYOND_CACHE * (accelerator.cache_bytes or np.inf)
    return Impossible(
        faster_than_peak=flops > seconds * kind.peak(accelerator, precision),
        faster_than_memory=beyond & (num_bytes > seconds * accelerator.memory_bandwidth),
    )


def shows_rates(table: Table, kind: KernelKind, accelerator: Accelerator, precision: str) -> bool:
    """Tell whether some rows come near enough to a roof for a fit to know how high it is.

    A table of tiny shapes holds nothing but overheads; rates fitted to it would be anything.
    """
    assert accelerator.memory_bandwidth
    flops, num_bytes = kind.work(table, precision)
    least = np.maximum(
        flops / kind.peak(accelerator, precision), num_bytes / accelerator.memory_bandwidth
    )
    return bool(np.quantile(least / (table[LATENCY] * 1e-6), 0.99) > LEAST_SHARE)
