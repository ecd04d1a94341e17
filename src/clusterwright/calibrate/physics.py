"""Rows that cannot be: faster than the chip computes, or than its memory delivers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clusterwright.hardware import Accelerator
from clusterwright.validation.kernel_kinds import KernelKind
from clusterwright.validation.kernel_tables import LATENCY, Array, Table

BEYOND_CACHE = 2.0
"""Operands of this many last-level caches cannot mostly have been left there. [1]"""
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
    too_fast = flops > seconds * kind.peak(accelerator, precision)
    cache = accelerator.cache_bytes or np.inf
    streamed = num_bytes > seconds * accelerator.memory_bandwidth
    return Impossible(too_fast, streamed & (num_bytes > BEYOND_CACHE * cache))
