"""The door to calibration: a table of measured kernels in, fitted kernels and residuals out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from clusterwright.calibrate.branching import Grower, thinned
from clusterwright.calibrate.holdout import held_out
from clusterwright.calibrate.kinds import FITS
from clusterwright.calibrate.physics import impossible_rows, shows_rates
from clusterwright.calibrate.residuals import Residual, errors_of
from clusterwright.calibrate.writing import DIGITS
from clusterwright.catalogue.store import Catalogue
from clusterwright.efficiency import Evidence
from clusterwright.errors import InputError, TableError
from clusterwright.hardware import Accelerator
from clusterwright.kernels.columns import ENGINE, LATENCY, SYSTEM, Table
from clusterwright.kernels.kinds import KernelKind, kind_named
from clusterwright.kernels.library import Branch, KernelFit, Kernels
from clusterwright.records import Record
from clusterwright.validation.kernel_rows import accelerator_of, cut_by_words
from clusterwright.validation.kernel_tables import read_table, version_column

MAX_ROWS = 6000
"""Rows that one fit sees: more of a regular grid changes the third digit and takes minutes."""

Watch = Callable[[int, int], None]


class Calibration(Record, frozen=True, kw_only=True):
    """Fitted kernels, one entry per accelerator and engine, and how well each fits.

    ``skipped``: why parts of the table were not fitted, a sentence each.
    """

    kernels: tuple[Kernels, ...]
    residuals: tuple[Residual, ...]
    skipped: tuple[str, ...] = ()


class Group(NamedTuple):
    """Rows of one accelerator, engine and precision."""

    accelerator: Accelerator
    engine: str
    precision: str
    version: str
    table: Table


def fit_kernels(
    path: str | Path,
    kind: str,
    *,
    accelerators: tuple[str, ...] = (),
    catalogue: Catalogue | None = None,
    source: str = "",
    watch: Watch | None = None,
) -> Calibration:
    """Fit the parameters of a kind of kernel to a table of measured times.

    Parameters
    ----------
    path
        A Parquet or CSV file with the columns of the kind.
    kind
        Such as ``gemm``; see ``kernels.kinds``.
    accelerators
        Only these, by id or alias; by default all of the table.
    catalogue
        Facts to use instead of the shipped ones.
    source
        Where the measurements come from, for the evidence; by default the file's name.
    watch
        Told how many groups are done, of how many.

    Raises
    ------
    InputError
        The table cannot be read, names a chip that nobody knows, or has no group of rows that is
        large enough; the groups that are too small are skipped beside those that are not.
    """
    facts, chosen = catalogue or Catalogue(), kind_named(kind)
    where = Path(path)
    groups = list(_groups(where, chosen, facts, accelerators))
    if not groups:
        raise InputError(f"{where}: no rows of {', '.join(accelerators)}")
    entries: dict[str, Kernels] = {}
    residuals, skipped, refused = [], [], []
    for done, group in enumerate(groups, start=1):
        tiny = not shows_rates(group.table, chosen, group.accelerator, group.precision)
        if tiny and FITS[chosen.name].needs_rates:
            skipped.append(
                f"{group.accelerator.id} {group.precision} {group.engine}: "
                f"{len(group.table):,} rows show overheads only; measure larger shapes"
            )
            continue
        try:
            branches, residual = _fit_group(group, chosen)
        except TableError as error:
            refused.append(error)
            skipped.append(str(error))
            continue
        evidence = _evidence(residual, source or where.name)
        _add(entries, group, chosen, KernelFit(branches=branches, evidence=evidence))
        residuals.append(residual)
        if watch:
            watch(done, len(groups))
    if refused and not entries:
        raise refused[0]
    return Calibration(
        kernels=tuple(entries.values()), residuals=tuple(residuals), skipped=tuple(skipped)
    )


def _groups(
    path: Path, kind: KernelKind, facts: Catalogue, accelerators: tuple[str, ...]
) -> Iterator[Group]:
    """Cut a table into groups, sorted by their names."""
    version = version_column(path)
    words = (SYSTEM, ENGINE, *kind.words, *version)
    table = read_table(path, numbers=(*kind.numbers, LATENCY), words=(*words, *kind.labels))
    wanted = {facts.accelerator(name).id for name in accelerators}
    for names, rows in cut_by_words(table, words):
        accelerator = accelerator_of(facts, names[0])
        if wanted and accelerator.id not in wanted:
            continue
        yield Group(
            accelerator=accelerator,
            engine=names[1].lower(),
            precision=kind.precision(names[2 : 2 + len(kind.words)]),
            version=names[-1] if version else "",
            table=rows,
        )


def _fit_group(group: Group, kind: KernelKind) -> tuple[tuple[Branch, ...], Residual]:
    """Fit on the rows that are possible and not held out; judge on those held out."""
    table, chip, precision = kind.prepare(group.table), group.accelerator, group.precision
    impossible = impossible_rows(table, kind, chip, precision)
    unseen = held_out(table, kind.numbers)
    seen = thinned(table.where(~unseen & ~impossible.any), MAX_ROWS)
    try:
        branches = tuple(map(_rounded, _branches(kind, seen, chip, precision)))
    except TableError as error:
        odd = int(impossible.any.sum())
        hint = f"; {odd:,} of {len(table):,} are faster than the chip can be: is latency_us in µs?"
        where = f"{chip.id} {group.engine} {precision}"
        raise TableError(f"{where}: {error}{hint if odd else ''}") from None
    judged = table.where(unseen & ~impossible.any)
    if not len(judged):
        raise TableError(f"{chip.id} {group.engine} {precision}: too few shapes to hold any out")
    predicted = kind.predict(judged, chip, precision, branches)
    median, p90, bias = errors_of(predicted, judged[LATENCY] * 1e-6)
    residual = Residual(
        accelerator=chip.id,
        precision=precision,
        kind=kind.name,
        engine=group.engine,
        rows=len(table),
        fitted=len(seen),
        held_out=len(judged),
        faster_than_peak=int(impossible.faster_than_peak.sum()),
        faster_than_memory=int((impossible.any & ~impossible.faster_than_peak).sum()),
        branches=len(branches),
        median=median,
        p90=p90,
        bias=bias,
    )
    return branches, residual


def _branches(
    kind: KernelKind, table: Table, chip: Accelerator, precision: str
) -> tuple[Branch, ...]:
    """Grow a tree of formulas."""
    if not len(table):
        raise TableError("no row is left to fit")
    fit = FITS[kind.name]
    grower = Grower(
        kind=kind,
        cuts=fit.cuts,
        fitter=fit.fitter(kind, chip, precision),
        accelerator=chip,
        precision=precision,
        aside=lambda rows: held_out(rows, kind.numbers[::-1]),
    )
    return grower.grow(table)


def _rounded(branch: Branch) -> Branch:
    """Return a branch as it will be written, so that the residuals are those of the file."""
    values = {name: float(f"{value:.{DIGITS}g}") for name, value in branch.values.items()}
    return msgspec.structs.replace(branch, values=values)


def _evidence(residual: Residual, source: str) -> Evidence:
    dropped = residual.faster_than_peak + residual.faster_than_memory
    return Evidence(
        source=source,
        confidence="A",
        rows=residual.fitted,
        residual=float(f"{residual.median:.3g}"),
        residual_p90=float(f"{residual.p90:.3g}"),
        note=f"{dropped} impossible rows left out" if dropped else "",
    )


def _add(entries: dict[str, Kernels], group: Group, kind: KernelKind, found: KernelFit) -> None:
    """Put a fit into its accelerator's and engine's entry, which is made on first use."""
    chip = group.accelerator
    name = f"{chip.id}-{group.engine}-{kind.name.replace('_', '-')}"
    old = entries.get(name)
    precisions = {**(old.precisions if old else {}), group.precision: found}
    entries[name] = Kernels(
        id=name,
        name=f"{chip.name}: {kind.name} of {group.engine}",
        kind=kind.name,
        accelerator=chip.id,
        profile=chip.profile,
        engine=group.engine,
        engine_version=group.version,
        precisions=precisions,
    )
