"""A study's answers as a file that a spreadsheet opens."""

from __future__ import annotations

import csv
from pathlib import Path

from clusterwright.errors import InputError
from clusterwright.sweep.answered import Answered
from clusterwright.sweep.asking import columns_of


def check_target(path: Path) -> None:
    """See, before anything is asked, that a file can be written there.

    Raises
    ------
    InputError
        There is no such folder, or it is one.
    """
    if path.is_dir():
        raise InputError(f"cannot write {str(path)!r}: it is a folder; name a file")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")


def export_csv(store: Answered, path: Path) -> None:
    """Write every row that is done: its options, results with their units, and words.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    kept = store.study.kept
    numbers = columns_of(store.study)
    units = {name: kept.get(name) or kept[name.rsplit("_", 1)[0]] for name in numbers}
    varied = store.study.varied
    header = ["row", *varied, "status", *(f"{name} [{units[name]}]" for name in numbers)]
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow([*header, "how", "why"])
            for row in store.rows():
                # The row's number comes with its options, and again with its answer.
                rows.writerow([*row[: 1 + len(varied)], *row[2 + len(varied) :]])
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror}") from None
