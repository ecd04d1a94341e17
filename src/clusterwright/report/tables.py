"""Columns of numbers as a file that a spreadsheet opens."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusterwright.errors import InputError


def write_columns(path: Path, columns: Mapping[str, Sequence[float]]) -> None:
    """Write columns of equal length as CSV.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(columns)
            for row in zip(*columns.values(), strict=True):
                rows.writerow([f"{value:.9g}" for value in row])
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror}") from None
