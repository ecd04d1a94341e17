"""Studies that the tests of `sweep` share."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from clusterwright.sweep.study import Study, read_study

PRICES = """\
question = "plan train"
least = "cost"
results = ["cost", "wall"]
[options]
model = "llama-3.1-8b"
accelerator = "h100"
tokens = "1T"
[axes]
accelerators = [8, 16]
tariff = ["$0.05/kWh", "$0.1/kWh"]
failure-rate = ["1e-3/d", "1e-2/d"]
"""
"""Eight questions about two plans."""
SITES = """\
question = "site"
least = "hour"
results = ["hour", "bill"]
[options]
target = "8000xh100"
[axes]
pue = [1.1, 1.2, 1.3, 1.4, 1.5]
tariff = ["$0.04/kWh", "$0.05/kWh", "$0.06/kWh", "$0.07/kWh", "$0.08/kWh", "$0.09/kWh"]
server-price = ["$25,000", "$30,000", "$35,000", "$40,000"]
"""
"""120 questions, each of which takes some hundredths of a second."""


def study_of(folder: Path, text: str, name: str = "study.toml") -> Study:
    """Write a study and read it."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_study(path)


def answers_in(path: Path) -> list[tuple[object, ...]]:
    """All answers in a file, in order: row, status, numbers, words."""
    base = sqlite3.connect(path)
    try:
        return base.execute("SELECT * FROM answers ORDER BY row").fetchall()
    finally:
        base.close()


def rows_done(path: Path) -> int:
    """Rows whose chunks are in a file, while somebody else writes it."""
    if not path.exists():
        return 0
    base = sqlite3.connect(path)
    try:
        return base.execute("SELECT coalesce(sum(count), 0) FROM chunks").fetchone()[0]
    except sqlite3.OperationalError:  # not made yet
        return 0
    finally:
        base.close()
