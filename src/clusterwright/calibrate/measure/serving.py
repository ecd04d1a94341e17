"""Measured products and attention to the kernels of an inference engine of one's own."""

from __future__ import annotations

import numpy as np

from clusterwright.calibrate.kinds import FITS
from clusterwright.calibrate.measure.fits import Rows, rows_of
from clusterwright.calibrate.measure.journal import Measured
from clusterwright.calibrate.residuals import errors_of
from clusterwright.efficiency import Evidence
from clusterwright.errors import TableError
from clusterwright.hardware import Accelerator
from clusterwright.kernels.columns import LATENCY, Table
from clusterwright.kernels.kinds import KINDS
from clusterwright.kernels.library import Branch, KernelFit, Kernels
from clusterwright.kernels.prefill import CACHE_BYTES

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
FEW_ROWS = 64
"""Rows up to which a product is one of decoding: libraries run other kernels for those. [1]"""


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
    branches, errors = [], []
    for above, up_to in _cuts(kind, table):
        inside = np.ones(len(table), dtype=bool)
        if above:
            inside &= table["m"] > above["rows"]
        if up_to:
            inside &= table["m"] <= up_to["rows"]
        rows = table.where(inside)
        fitter = FITS[kind].fitter(KINDS[kind], chip, precision)
        values = fitter.final(rows, fitter.values(rows, {}))
        branches.append(Branch(values=values, above=above, up_to=up_to))
        predicted = KINDS[kind].times(rows, chip, precision, values)
        errors.append(errors_of(predicted, rows[LATENCY] * 1e-6))
    return Kernels(
        id=f"{chip.id}-{kind.replace('_', '-')}",
        name=f"{chip.name}: {kind} of PyTorch",
        kind=kind,
        accelerator=chip.id,
        profile=chip.profile,
        engine=ENGINE,
        precisions={precision: KernelFit(branches=tuple(branches), evidence=_evidence(table, errors))},
    )


def _cuts(kind: str, table: Table) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Bounds of the branches: products of few rows apart from those of many."""
    if kind != "gemm" or not (table["m"] > FEW_ROWS).any():
        return [({}, {})]
    return [({}, {"rows": float(FEW_ROWS)}), ({"rows": float(FEW_ROWS)}, {})]


def _evidence(table: Table, errors: list[tuple[float, float, float]]) -> Evidence:
    return Evidence(
        source="this sweep",
        confidence="A",
        rows=len(table),
        residual=max(median for median, _, _ in errors),
        residual_p90=max(p90 for _, p90, _ in errors),
    )


def cache_of(precision: str) -> str:
    """Return the format of a cache that holds keys of a precision."""
    return precision if precision in CACHE_BYTES else "bf16"
