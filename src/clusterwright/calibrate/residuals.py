"""How far a fit is from what it did not see, one line per accelerator, precision and engine."""

from __future__ import annotations

import numpy as np

from clusterwright.aligned import aligned, percent
from clusterwright.kernels.columns import Array
from clusterwright.records import Record


class Residual(Record, frozen=True, kw_only=True):
    """Errors of one fit on the rows that were held out.

    ``rows``: of the table. ``fitted``: that the fit saw. ``held_out``: that the errors are of.
    ``faster_than_peak``, ``faster_than_memory``: rows that cannot be and were left out of both.
    ``branches``: kernels found. ``median``, ``p90``: of the absolute relative
    error. ``bias``: median of the signed one. [1]
    """

    accelerator: str
    precision: str
    kind: str
    engine: str
    rows: int
    fitted: int
    held_out: int
    faster_than_peak: int
    faster_than_memory: int
    branches: int
    median: float
    p90: float
    bias: float


def errors_of(predicted: Array, measured: Array) -> tuple[float, float, float]:
    """Return median and 90th percentile of the absolute relative error, and its signed median.

    >>> [round(e, 6) for e in errors_of(np.array([1.1, 2.0, 2.4]), np.array([1.0, 2.0, 3.0]))]
    [0.1, 0.18, 0.0]
    """
    relative = predicted / measured - 1.0
    absolute = np.abs(relative)
    return (
        float(np.median(absolute)),
        float(np.quantile(absolute, 0.9)),
        float(np.median(relative)),
    )


def as_text(found: list[Residual] | tuple[Residual, ...]) -> str:
    """Return a table, the worst median first."""
    head = ("rows", "fitted", "held out", "impossible", "branches", "median", "p90", "bias")
    rows = []
    for r in sorted(found, key=lambda r: -r.median):
        name = f"{r.accelerator} {r.precision} {r.kind} {r.engine}"
        counts = (
            r.rows,
            r.fitted,
            r.held_out,
            r.faster_than_peak + r.faster_than_memory,
            r.branches,
        )
        shares = (r.median, r.p90, r.bias)
        rows.append([name, *(f"{c:,}" for c in counts), *map(percent, shares)])
    return "\n".join(aligned(("kernels", *head), rows)) + "\n"
