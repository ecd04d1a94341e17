"""Tables of measured kernel times, Parquet or CSV, as columns of numbers and words."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clusterwright.errors import InputError, TableError, nearest_names
from clusterwright.kernels.columns import VERSION, Table

Array = Any
"""A NumPy array, or what pyarrow has in its place."""

MAY_BE_ZERO = ("window_size",)
"""Columns in which 0 stands for none."""
PARQUET = b"PAR1"


def column_names(path: Path) -> tuple[str, ...]:
    """Return the names of a table's columns without reading its rows.

    Raises
    ------
    InputError
        There is no such file, or it is Parquet and pyarrow is not installed.
    TableError
        The file is not a table.
    """
    if is_parquet(path):
        return tuple(open_parquet(path).schema_arrow.names)
    return tuple(name.strip() for name in next(csv_lines(path), []))


def version_column(path: Path) -> tuple[str, ...]:
    """Return the name of the column of versions if a table has it."""
    return (VERSION,) if VERSION in column_names(path) else ()


def csv_lines(path: Path) -> Iterator[list[str]]:
    """Yield the lines of a CSV, with or without the mark that spreadsheets put first.

    Raises
    ------
    TableError
        It is no text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv.reader(file, skipinitialspace=True)
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(
            f"{path}: neither UTF-8 CSV nor Parquet ({error}); unpack it if it is compressed"
        ) from None


def read_table(path: Path, *, numbers: Sequence[str], words: Sequence[str]) -> Table:
    """Read some columns of a table.

    Parameters
    ----------
    path
        A Parquet or CSV file.
    numbers, words
        Names of the columns to read as float64, and as text.

    Raises
    ------
    InputError
        There is no such file, or it is Parquet and pyarrow is not installed.
    TableError
        A column is missing or holds something else; names it, and the line of a CSV.
    """
    found = column_names(path)
    for name in (*words, *numbers):
        if name not in found:
            raise TableError(
                f"{path}: there is no column {name!r}; {_mend(name, found, (*words, *numbers))}"
            )
    read = _read_parquet if is_parquet(path) else _read_csv
    table = read(path, list(numbers), list(words))
    if not len(table):
        raise TableError(f"{path}: no rows below the names of the columns")
    for name in numbers:
        _check_positive(path, name, table[name])
    return table


def _mend(name: str, found: Sequence[str], needed: Sequence[str]) -> str:
    """Return what to do about a column that is missing."""
    if len(found) == 1 and any(mark in found[0] for mark in ";\t|"):
        return "separate the columns by commas"
    near = nearest_names(name, found)
    return f"rename {near[0]!r}" if near else f"the table needs {', '.join(needed)}"


def _check_positive(path: Path, name: str, column: Array) -> None:
    """Refuse blanks, infinities, negative numbers, and 0 where it means nothing."""
    enough = column >= 0.0 if name in MAY_BE_ZERO else column > 0.0
    bad = ~(np.isfinite(column) & enough)
    if bad.any():
        row = int(np.argmax(bad))
        raise TableError(
            f"{path}: row {row + 1} has {column[row]:g} under {name!r}; mend or drop the row"
        )


def is_parquet(path: Path) -> bool:
    """Tell whether a file is Parquet, by its first bytes.

    Raises
    ------
    InputError
        It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(PARQUET)) == PARQUET
    except OSError as error:
        raise InputError(f"{path}: cannot read this file: {error.strerror}") from None


def open_parquet(path: Path) -> Array:
    """Open a Parquet file.

    Raises
    ------
    InputError
        pyarrow is not installed.
    TableError
        The file is damaged.
    """
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError:
        raise InputError(
            f"{path} is a Parquet file: reading it needs pip install 'clusterwright[calibrate]'"
        ) from None
    try:
        return parquet.ParquetFile(path)
    except ArrowInvalid as error:
        raise TableError(f"{path}: a damaged Parquet file: {error}") from None


def _read_parquet(path: Path, numbers: list[str], words: list[str]) -> Table:
    read = open_parquet(path).read(columns=[*words, *numbers])
    columns: dict[str, Array] = {}
    for name in words:
        coded = read[name].combine_chunks().dictionary_encode()
        known = np.array([str(word) for word in coded.dictionary.to_pylist()] or [""])
        columns[name] = known[coded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    for name in numbers:
        try:
            columns[name] = read[name].to_numpy().astype(np.float64)
        except (TypeError, ValueError):
            raise TableError(f"{path}: column {name!r} holds something else than numbers") from None
    return Table(columns)


def _read_csv(path: Path, numbers: list[str], words: list[str]) -> Table:
    values: dict[str, list[Any]] = {name: [] for name in (*words, *numbers)}
    lines = csv_lines(path)
    head = [name.strip() for name in next(lines, [])]
    for line, cells in enumerate(lines, start=2):
        if not cells:
            continue
        row = dict(zip(head, cells, strict=False))
        for name in words:
            values[name].append(row.get(name, "").strip())
        for name in numbers:
            values[name].append(_number(path, line, name, row.get(name, "")))
    columns: dict[str, Array] = {name: np.array(values[name], dtype=float) for name in numbers}
    return Table(columns | {name: np.array(values[name], dtype=str) for name in words})


def _number(path: Path, line: int, name: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise TableError(
            f"{path}, line {line}: {name!r} is {cell!r}, but must be a number"
        ) from None
