"""Measured kernels against the catalogue's: every row predicted, scored by chip and precision.

Predictions go through the shipped entries only: the kernels of the engine on the accelerator, or
on a relative, or else the generation's profile.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from clusterwright.aligned import aligned, percent
from clusterwright.catalogue.store import Catalogue
from clusterwright.efficiency import EfficiencyProfile
from clusterwright.errors import InputError, TableError
from clusterwright.hardware import Accelerator
from clusterwright.kernels.columns import ENGINE, LATENCY, SYSTEM, Array, Table
from clusterwright.kernels.kinds import KINDS, KernelKind, kind_of_columns, nearest_kind
from clusterwright.kernels.library import KernelLibrary
from clusterwright.records import Record
from clusterwright.validation.kernel_tables import (
    column_names,
    is_parquet,
    read_table,
    version_column,
)


class KernelGroup(Record, frozen=True, kw_only=True):
    """Errors of all rows of one accelerator, precision and kind.

    ``median``, ``p90``: of the absolute relative error; ``bias``: median of the signed one;
    ``worst_engine``: the engine with the largest median, and that median. [1]
    """

    accelerator: str
    precision: str
    kind: str
    rows: int
    median: float
    p90: float
    bias: float
    worst_engine: str
    worst_median: float


def kernels_kind(path: Path) -> KernelKind | None:
    """Return the kind of kernels that a file is a table of; ``None``: it is another table.

    Raises
    ------
    InputError
        It is Parquet and pyarrow is not installed.
    TableError
        It has most columns of a kind but not all, or is Parquet and no table of kernels.
    """
    if not path.is_file():
        return None
    try:
        names = column_names(path)
    except TableError:
        if is_parquet(path):
            raise
        return None
    found = kind_of_columns(names)
    if found is None and len({SYSTEM, ENGINE, LATENCY}.intersection(names)) > 1:
        nearest, missing = nearest_kind(names)
        raise TableError(
            f"{path}: a table of kernels of the kind {nearest.name!r} but for "
            f"{', '.join(missing)}; add what is missing, or rename it"
        )
    if found is None and is_parquet(path):
        raise TableError(
            f"{path} has the columns of no kind of kernel ({', '.join(names)}); "
            f"known kinds: {', '.join(KINDS)}. Runs are read from CSV"
        )
    return found


def score_kernels(
    path: Path, kind: KernelKind, *, catalogue: Catalogue | None = None
) -> tuple[KernelGroup, ...]:
    """Predict every row of a table of kernels and compare, worst median first.

    Parameters
    ----------
    path
        A Parquet or CSV file.
    kind
        What it is a table of; see `kernels_kind`.
    catalogue
        Facts to use instead of the shipped ones.

    Raises
    ------
    InputError
        The table cannot be read or names a chip that nobody knows.
    """
    facts = catalogue or Catalogue()
    predictor = Predictor(facts, kind)
    words = (SYSTEM, ENGINE, *kind.words)
    labels = (*kind.labels, *version_column(path))
    table = read_table(path, numbers=(*kind.numbers, LATENCY), words=(*words, *labels))
    found: dict[tuple[str, str], list[tuple[str, Array]]] = {}
    for names, rows in cut_by_words(table, words):
        accelerator = accelerator_of(facts, names[0])
        precision = kind.precision(names[2:])
        predicted = predictor.times(rows, accelerator, names[1], precision)
        errors = predicted / (rows[LATENCY] * 1e-6) - 1.0
        found.setdefault((accelerator.id, precision), []).append((names[1], errors))
    groups = [_group(*key, kind.name, parts) for key, parts in found.items()]
    return tuple(sorted(groups, key=lambda group: -group.median))


class Predictor:
    """The catalogue's kernels of one kind as a function of shape."""

    def __init__(self, catalogue: Catalogue, kind: KernelKind) -> None:
        self._facts = catalogue
        self._kind = kind
        self._library = KernelLibrary(e.data for e in catalogue.entries("kernels").values())

    def times(self, table: Table, accelerator: Accelerator, engine: str, precision: str) -> Array:
        """Return the time of each row. [s]"""
        fit = self._library.find(
            kind=self._kind.name, accelerator=accelerator, engine=engine, precision=precision
        )
        if fit is not None:
            return self._kind.predict(table, accelerator, precision, fit.branches)
        entry = self._facts.entry("efficiency", accelerator.profile)
        profile = EfficiencyProfile.from_entry(entry.data)
        return self._kind.usual_times(table, accelerator, precision, profile)


def accelerator_of(catalogue: Catalogue, system: str) -> Accelerator:
    """Return the accelerator that a table's system stands for, ``_`` written for ``-``.

    Raises
    ------
    InputError
        When nobody knows it, or its memory bandwidth.
    """
    found = catalogue.accelerator(system.replace("_", "-"))
    if not found.memory_bandwidth:
        raise InputError(
            f"{found.id} has no published memory bandwidth; "
            f"add the figure to a catalogue file of your own"
        )
    return found


def cut_by_words(table: Table, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Table]]:
    """Yield the rows that agree in some columns of words, with those words, sorted."""
    codes = np.zeros(len(table), dtype=np.int64)
    for name in names:
        known, code = np.unique(table[name], return_inverse=True)
        codes = codes * len(known) + code
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        yield tuple(str(table[name][rows[0]]) for name in names), table.where(rows)


def as_text(groups: tuple[KernelGroup, ...]) -> str:
    """Return a table, the worst median first."""
    rows = [
        [
            f"{g.accelerator} {g.precision} {g.kind}",
            f"{g.rows:,}",
            *map(percent, (g.median, g.p90, g.bias)),
            f"{g.worst_engine} {percent(g.worst_median)}",
        ]
        for g in groups
    ]
    header = ("kernels", "rows", "median", "p90", "bias", "worst engine")
    return "\n".join(aligned(header, rows, align="lrrrrl")) + "\n"


def _group(
    accelerator: str, precision: str, kind: str, parts: list[tuple[str, Array]]
) -> KernelGroup:
    errors = np.concatenate([part for _, part in parts])
    if not np.isfinite(errors).all():
        raise InputError(f"{accelerator} {precision}: the catalogue's branches leave shapes out")
    by_engine = {
        engine: float(np.median(np.abs(np.concatenate([e for n, e in parts if n == engine]))))
        for engine, _ in parts
    }
    worst = max(by_engine, key=lambda engine: by_engine[engine])
    return KernelGroup(
        accelerator=accelerator,
        precision=precision,
        kind=kind,
        rows=len(errors),
        median=float(np.median(np.abs(errors))),
        p90=float(np.quantile(np.abs(errors), 0.9)),
        bias=float(np.median(errors)),
        worst_engine=worst,
        worst_median=by_engine[worst],
    )
