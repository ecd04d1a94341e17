"""Rows that cannot be: faster than the chip computes, or than its memory delivers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clusterwright.hardware import Accelerator
from clusterwright.validation.kernel_kinds import KernelKind
from clusterwright.validation.kernel_tables import LATENCY, Array, Table

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

    What the last-level cache cannot hold must come from memory, whatever the run before left
    there; where the cache's size is unknown, no row is judged by its memory.
    """
    assert accelerator.memory_bandwidth
    seconds = table[LATENCY] * 1e-6 * TIMER_SLACK
    flops, num_bytes = kind.work(table, precision)
    streamed = num_bytes - (accelerator.cache_bytes or np.inf)
    return Impossible(
        faster_than_peak=flops > seconds * kind.peak(accelerator, precision),
        faster_than_memory=streamed > seconds * accelerator.memory_bandwidth,
    )
