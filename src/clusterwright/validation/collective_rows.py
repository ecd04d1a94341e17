"""Measured collectives against what the catalogue's communication libraries predict.

Two kinds of table are known by their columns: published curves of NCCL's tests (``collective``,
``busbw_GBps`` …, as CSV), and measured operator tables of inference engines (``op_name``,
``latency_us`` …, as CSV or Parquet). Times are compared, never bus bandwidths.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from clusterwright.aligned import aligned, percent
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import ClusterwrightError, InputError, TableError
from clusterwright.facts import links_on
from clusterwright.hardware import Cluster, Level
from clusterwright.links import Lines, Links
from clusterwright.records import Record
from clusterwright.validation.kernel_tables import column_names, csv_lines, is_parquet, open_parquet
from clusterwright.validation.lookup import Lookup

CURVES = {
    "source",
    "accelerator",
    "n",
    "per_node",
    "link_inter",
    "collective",
    "message_bytes",
    "time_us",
    "busbw_GBps",
    "kind",
}
OPERATORS = {"system", "framework", "op_name", "impl", "num_gpus", "bytes", "latency_us"}
"""Columns by which a table of published curves and one of operators are known."""

TELLING = {"collective", "message_bytes"}
"""Columns that no other table has."""

NAMES = {
    "alltoall": "all_to_all",
    "sendrecv": "point_to_point",
}
"""What tables call a collective → what it is called here."""

MESSAGES, RDMA = "net-124", "net-125"
"""The catalogue's two kinds of EFA."""

SIZES = (256 * 2**20, 16 * 2**20, 0)
"""Smallest buffers that the three medians count. [B]"""


class CollectiveRow(Record, frozen=True, kw_only=True):
    """One measured collective. ``per_domain``: members that share a scale-up domain."""

    source: str
    accelerator: str
    collective: str
    algorithm: str
    engine: str
    num_ranks: int
    per_domain: int
    network: str
    buffer_bytes: float
    time: float
    eager: bool


class CollectiveResult(Record, frozen=True, kw_only=True):
    """A row with its prediction, or why there is none. ``error``: predicted over measured - 1."""

    row: CollectiveRow
    predicted: float | None = None
    error: float | None = None
    reason: str = ""


def is_collectives_table(path: Path) -> bool:
    """Tell by its columns whether a file holds measured collectives.

    Raises
    ------
    TableError
        It can be nothing else, but lacks some columns.
    """
    try:
        columns = set(column_names(path))
    except InputError:
        return False
    if columns >= TELLING and not columns >= CURVES:
        missing = ", ".join(sorted(CURVES - columns))
        raise TableError(f"{path}: a table of collectives but for {missing}; add them, or rename")
    return columns >= CURVES or columns >= OPERATORS


def read_rows(path: Path) -> list[CollectiveRow]:
    """Read the measured rows of a table; thresholds, slides and rows without a time are left out.

    Raises
    ------
    InputError
        Not a table of collectives, a cell that is no number, or Parquet without pyarrow.
    """
    columns = set(column_names(path))
    read: Callable[[Mapping[str, Any]], CollectiveRow | None]
    if columns >= CURVES:
        read = _curve_row
    elif columns >= OPERATORS:
        read = _operator_row
    else:
        raise InputError(f"{path}: no table of collectives; it needs {', '.join(sorted(CURVES))}")
    rows = []
    for line, cells in enumerate(_cells(path), start=2):
        try:
            row = read(cells)
        except KeyError as error:
            raise TableError(f"{path}, line {line}: no cell under {error}; add it") from None
        except (TypeError, ValueError) as error:
            raise TableError(f"{path}, line {line}: {error}; write digits only") from None
        if row is not None:
            _check(row, path, line)
            rows.append(row)
    return rows


def _check(row: CollectiveRow, path: Path, line: int) -> None:
    """Refuse numbers that no measurement has."""
    for name, value in (
        ("accelerators", row.num_ranks),
        ("accelerators of a node", row.per_domain),
        ("bytes", row.buffer_bytes),
        ("seconds", row.time),
    ):
        if not 0 < value < math.inf:
            raise TableError(f"{path}, line {line}: {value:g} {name}; give a number above 0")


def judge(rows: Sequence[CollectiveRow], catalogue: Catalogue) -> list[CollectiveResult]:
    """Predict each row from the catalogue alone."""
    machines = _Machines(catalogue)
    return [_result(row, machines) for row in rows]


def report(path: Path, catalogue: Catalogue) -> str:
    """Read, predict and compare a table, as text.

    Raises
    ------
    InputError
        As `read_rows`, and when no row is left.
    """
    rows = read_rows(path)
    if not rows:
        raise TableError(f"{path}: no row has a measured time; add some below the header")
    return as_text(judge(rows, catalogue))


def as_text(results: Sequence[CollectiveResult]) -> str:
    """Return medians of the absolute error by source, accelerator and collective."""
    judged = [r for r in results if r.error is not None]
    lines = [f"{len(results)} measured collectives, {len(judged)} predicted", ""]
    head = ("source, accelerator, collective", "rows", ">=256 MiB", ">=16 MiB", "all", "bias")
    groups: dict[str, list[CollectiveResult]] = {}
    for result in judged:
        row = result.row
        name = f"{row.source[:40]}, {row.accelerator}, {row.collective}"
        groups.setdefault(name, []).append(result)
    rows = [_judged(name, groups[name]) for name in sorted(groups)]
    rows += [_judged("all", judged)] if judged else []
    lines += aligned(head, rows)
    missed: dict[str, int] = {}
    for result in results:
        if result.error is None:
            missed[result.reason] = missed.get(result.reason, 0) + 1
    lines += [f"not predicted: {count} rows: {reason}" for reason, count in sorted(missed.items())]
    return "\n".join(lines) + "\n"


def _judged(name: str, results: Sequence[CollectiveResult]) -> list[str]:
    """Return a row: the median error from each size on, and the bias."""
    cells = [name, str(len(results))]
    for least in SIZES:
        errors = [abs(r.error or 0.0) for r in results if r.row.buffer_bytes >= least]
        cells.append(percent(statistics.median(errors)) if errors else "-")
    bias = statistics.median(r.error or 0.0 for r in results)
    return [*cells, percent(bias, signed=True)]


class _Machines:
    """Clusters, profiles and links by what rows print, each built once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.lookup = Lookup(catalogue)
        self._links: dict[tuple[str, int, int, str], Links] = {}

    def links(self, row: CollectiveRow) -> Links:
        key = (row.accelerator, row.num_ranks, row.per_domain, row.network)
        if key not in self._links:
            device = self.lookup.device_of(row.accelerator)
            if device is None or not device.accelerator:
                raise InputError(f"accelerator {row.accelerator!r} is not in the catalogue")
            cluster = self.catalogue.any_cluster(device.accelerator, row.num_ranks)
            self._links[key] = _links(row, cluster, self.catalogue)
        return self._links[key]


def _links(row: CollectiveRow, cluster: Cluster, catalogue: Catalogue) -> Links:
    """The row's network: its domain, and the adapters between domains as far as printed."""
    first = msgspec.structs.replace(cluster.levels[0], size=min(row.per_domain, row.num_ranks))
    levels = [first]
    if row.num_ranks > first.size:
        last = cluster.levels[-1] if len(cluster.levels) > 1 else first
        bandwidth = _adapter(row) or cluster.accelerator.scaleout_bandwidth or last.bandwidth
        levels.append(
            Level(
                name="network",
                size=row.num_ranks,
                bandwidth=bandwidth,
                latency=_network_latency(row, catalogue),
            )
        )
    links = links_on(msgspec.structs.replace(cluster, levels=tuple(levels)), catalogue=catalogue)
    if _sends_and_receives(row):
        # That transport does not keep the order of 128 bytes, which LL128 needs.
        links = Links(levels, links.library.without("LL128"))
    return links


def _sends_and_receives(row: CollectiveRow) -> bool:
    """Tell the first EFA by its chip: aws-ofi-nccl drives p4d by messages, later ones by RDMA."""
    return "EFA" in row.network.upper() and "A100" in row.accelerator.upper()


def _adapter(row: CollectiveRow) -> float | None:
    """Printed bandwidth of the network for one accelerator, one direction. [B/s]"""
    text = row.network.upper()
    several = re.search(r"(\d+)X\s?(\d+)G", text)
    if several:
        return int(several[1]) * int(several[2]) * 1e9 / 8.0 / row.per_domain
    whole = re.search(r"EFA ([\d.]+)T", text)
    if whole:
        return float(whole[1]) * 1e12 / 8.0 / row.per_domain
    return 50e9 if "NDR" in text or "400G" in text else None


def _network_latency(row: CollectiveRow, catalogue: Catalogue) -> float:
    """One hop: a fabric that tells NCCL a latency of its own adds it. [s]"""
    usual = catalogue.figure("defaults", "hop-scale-out", "value").value
    if "EFA" not in row.network.upper():
        return usual
    fabric = MESSAGES if _sends_and_receives(row) else RDMA
    return usual + catalogue.figure("networks", fabric, "value").value


def _result(row: CollectiveRow, machines: _Machines) -> CollectiveResult:
    try:
        links = machines.links(row)
        lines = _lines_of(row, links)
    except ClusterwrightError as error:
        return CollectiveResult(row=row, reason=str(error))
    time = float(lines.time(row.buffer_bytes))
    if row.eager:
        time = max(time, links.library.host_time)
    return CollectiveResult(row=row, predicted=time, error=time / row.time - 1.0)


def _lines_of(row: CollectiveRow, links: Links) -> Lines:
    ranks = float(row.num_ranks)
    if row.collective == "all_reduce":
        if row.engine:
            return links.own_all_reduce(row.engine, ranks)
        lines = links.all_reduce(ranks, 1.0)
        return links.without_switches(ranks, 1.0) if _bars_switches(row) else lines
    if row.collective in ("all_gather", "reduce_scatter"):
        return links.gather(ranks, 1.0)
    if row.collective == "all_to_all":
        return links.all_to_all(ranks, 1.0)
    if row.collective == "broadcast":
        return links.broadcast(ranks, 1.0)
    raise InputError(f"{row.collective} is not predicted")


def _bars_switches(row: CollectiveRow) -> bool:
    """Tell whether the switches were told not to add, or cannot (8-bit integers)."""
    text = row.algorithm.lower()
    return any(part in text for part in ("nvls disabled", "nvls off", "no sharp", "int8"))


def _curve_row(cells: Mapping[str, Any]) -> CollectiveRow | None:
    """Read a row of a published curve; None where it is no measurement of time."""
    if cells["kind"] != "measured" or not cells["message_bytes"] or not cells["n"]:
        return None
    ranks, size = int(cells["n"]), float(cells["message_bytes"])
    collective = NAMES.get(cells["collective"], cells["collective"])
    time = float(cells["time_us"]) * 1e-6 if cells["time_us"] else _time_of(cells, ranks, size)
    if not time:
        return None
    return CollectiveRow(
        source=cells["source"],
        accelerator=cells["accelerator"],
        collective=collective,
        algorithm=cells.get("algorithm", ""),
        engine="",
        num_ranks=ranks,
        per_domain=int(cells["per_node"]),
        network=cells["link_inter"],
        buffer_bytes=size,
        time=time,
        eager=True,
    )


def _time_of(cells: Mapping[str, Any], ranks: int, size: float) -> float | None:
    """Undo the definition of bus bandwidth; too few digits give no time. [s]"""
    printed = str(cells["busbw_GBps"])
    if not printed or float(printed) <= 0 or len(printed.replace(".", "").lstrip("0")) < 2:
        return None
    factor = 2.0 if cells["collective"] == "all_reduce" else 1.0
    return factor * (ranks - 1) / ranks * size / (float(printed) * 1e9)


def _operator_row(cells: Mapping[str, Any]) -> CollectiveRow | None:
    """Read a row of an operator table."""
    if not cells["bytes"] or float(cells["latency_us"]) <= 0:
        return None
    engine = str(cells["framework"]) if cells["op_name"] == "all_reduce" else ""
    own = engine not in ("", "nccl", "oneccl")
    return CollectiveRow(
        source=f"{cells['framework']} {cells['impl']}",
        accelerator=str(cells["system"]).replace("_", " "),
        collective=NAMES.get(cells["op_name"], cells["op_name"]),
        algorithm=f"{cells['impl']} {cells.get('dtype', '')}",
        engine=engine if own else "",
        num_ranks=int(cells["num_gpus"]),
        per_domain=72 if str(cells["system"]).startswith("gb") else 8,
        network="",
        buffer_bytes=float(cells["bytes"]),
        time=float(cells["latency_us"]) * 1e-6,
        eager="eager" in str(cells["impl"]),
    )


def _cells(path: Path) -> Iterator[Mapping[str, Any]]:
    if is_parquet(path):
        yield from open_parquet(path).read().to_pylist()
        return
    lines = csv_lines(path)
    head = [name.strip() for name in next(lines, [])]
    yield from (dict(zip(head, cells, strict=False)) for cells in lines if cells)
