"""Measured products and attention to the kernels of an inference engine of one's own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clusterwright.calibrate.fitting import Parameter, fit
from clusterwright.calibrate.kinds import FITS
from clusterwright.calibrate.measure.fits import Rows, rows_of
from clusterwright.calibrate.measure.journal import Measured
from clusterwright.calibrate.residuals import errors_of
from clusterwright.efficiency import Evidence
from clusterwright.errors import TableError
from clusterwright.hardware import Accelerator
from clusterwright.kernels import gemm
from clusterwright.kernels.columns import LATENCY, Array, Table
from clusterwright.kernels.kinds import KINDS
from clusterwright.kernels.library import Branch, KernelFit, Kernels

COLUMNS = {
    "gemm": {"m": "m", "n": "n", "k": "k"},
    "attention_prefill": {
        "batch_size": "batch",
        "isl": "length",
        "num_heads": "heads",
        "num_key_value_heads": "kv_heads",
        "head_dim": "width",
    },
    "attention_decode": {
        "batch_size": "batch",
        "step": "keys",
        "num_heads": "heads",
        "num_key_value_heads": "kv_heads",
        "head_dim": "width",
    },
}
"""Kind of kernel → its columns, and what the sweep calls each."""
TASKS = {
    "gemm": ("product", "nt"),
    "attention_prefill": ("attention", "forward"),
    "attention_decode": ("decode", "cached"),
}
ENGINE = "pytorch"
ROW_BOUNDS = (2.0, 8.0, 64.0)
"""Rows up to which a product is multiplied in one way: row by row, its weights packed first, and
in ever fuller tiles. [1]"""
PRODUCT = (
    Parameter("peak_efficiency", 0.7, 0.001, 1.0),
    Parameter("memory_efficiency", 0.8, 0.01, 1.0),
    Parameter("sharpness", 2.0, 1.0, 8.0),
    Parameter("floor", 2.5e-6, 1e-7, 1e-3),
)


def serving_kernels(
    measured: tuple[Measured, ...], chip: Accelerator, precision: str
) -> list[Kernels]:
    """Fit each kind of kernel; a kind with too few rows is left to the profile.

    Parameters
    ----------
    measured
        Of the sweep.
    chip
        What it was measured on.
    precision
        Of weights, activations and the cache.
    """
    found = []
    for kind in COLUMNS:
        try:
            found.append(_kernels(kind, measured, chip, precision))
        except TableError:
            continue
    return found


def table_of(rows: Rows, kind: str) -> Table:
    """Return measured rows as the table of a kind; decoding's ``step`` is the keys before its own.

    >>> rows = Rows({"m": np.array([1.0]), "n": np.array([2.0]), "k": np.array([3.0])}, np.ones(1))
    >>> table_of(rows, "gemm").names
    ('m', 'n', 'k', 'latency_us')
    """
    columns = {name: rows.sizes[own] for name, own in COLUMNS[kind].items()}
    if kind == "attention_decode":
        columns["step"] = columns["step"] - 1.0
    if kind != "gemm":
        columns["window_size"] = np.zeros(len(rows))
    return Table({**columns, LATENCY: 1e6 * rows.seconds})


def _kernels(
    kind: str, measured: tuple[Measured, ...], chip: Accelerator, precision: str
) -> Kernels:
    table = table_of(rows_of(measured, *TASKS[kind]), kind)
    branches = _product_branches(table, chip, precision) if kind == "gemm" else None
    if branches is None:
        fitter = FITS[kind].fitter(KINDS[kind], chip, precision)
        branches = [Branch(values=fitter.final(table, fitter.values(table, {})))]
    predicted = KINDS[kind].predict(table, chip, precision, branches)
    median, p90, _ = errors_of(predicted, table[LATENCY] * 1e-6)
    evidence = Evidence(
        source="this sweep", confidence="A", rows=len(table), residual=median, residual_p90=p90
    )
    return Kernels(
        id=f"{chip.id}-{kind.replace('_', '-')}",
        name=f"{chip.name}: {kind} of PyTorch",
        kind=kind,
        accelerator=chip.id,
        profile=chip.profile,
        engine=ENGINE,
        precisions={precision: KernelFit(branches=tuple(branches), evidence=evidence)},
    )


def _product_branches(table: Table, chip: Accelerator, precision: str) -> list[Branch]:
    """Fit products by their number of rows: libraries run another kernel from one to the next.

    Where a sweep has too few of some numbers, as a quick one on a GPU, they join the next ones.
    """
    found: list[Branch] = []
    low = 0.0
    for high in (*ROW_BOUNDS, np.inf):
        rows = table.where((table["m"] > low) & (table["m"] <= high))
        if len(rows) < len(PRODUCT) and high < np.inf:
            continue

        def times(tried: Mapping[str, float], rows: Table = rows) -> Array:
            return gemm.times(rows, chip, precision, tried)

        _, values = fit(times, rows[LATENCY] * 1e-6, PRODUCT)
        above = {"rows": low} if low else {}
        up_to = {"rows": high} if high < np.inf else {}
        found.append(Branch(values=values, above=above, up_to=up_to))
        low = high
    return found
