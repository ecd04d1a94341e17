"""Results as a table for other tools, and the score as plain values and as plain text."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Sequence
from typing import Any

import msgspec

from clusterwright.aligned import aligned, percent
from clusterwright.validation import choosing
from clusterwright.validation.scoring import (
    Result,
    Score,
    Summary,
    by_kind,
    memory_errors,
    score,
)

CSV_COLUMNS = tuple(name for name in Result.__struct_fields__)


def as_csv(results: Sequence[Result]) -> str:
    """Return one line per run, blank where there is no value; lists are joined by ``; ``."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for result in results:
        writer.writerow([_cell(getattr(result, name)) for name in CSV_COLUMNS])
    return out.getvalue()


def as_json(total: Score) -> dict[str, Any]:
    """Return the score as plain values, for ``--json``."""
    plain: dict[str, Any] = msgspec.to_builtins(total)
    del plain["false_oom"]
    for source in plain["sources"]:
        del source["false_oom"]
    return plain


def as_text(results: Sequence[Result]) -> str:
    """Return the score in words and tables, the worst source first."""
    total, rest = score(results), score(results, complete=False)
    chosen = [r for r in results if r.complete]
    lines = [*_headline(total), *_memory(chosen)]
    lines += choosing.as_lines(choosing.contests_of(results))
    lines += ["", *_table("source", total.sources)]
    for name, groups in by_kind(chosen).items():
        lines += ["", *_table(name.replace("_", " "), groups)]
    if rest.rows:
        lines += ["", "Runs whose configuration is not complete (not in the headline):"]
        lines += [*_headline(rest), "", *_table("source", rest.sources)]
    return "\n".join(lines) + "\n"


def _headline(total: Score) -> list[str]:
    """Return the sentence that matters, and how many runs it rests on."""
    counts = (
        f"{total.rows} runs: {total.ok} predicted, {total.unsupported} unsupported, "
        f"{total.incomplete} incomplete"
    )
    if total.mean_source_median_abs_error is None:
        return [counts]
    flat = sum(s.flat_median_abs_error for s in total.sources) / len(total.sources)
    errors = (
        f"Mean over sources of the median error: {percent(total.mean_source_median_abs_error)} "
        f"(one-line formula: {percent(flat)}); predicted not to fit although it ran: "
        f"{percent(total.false_oom or 0.0)}"
    )
    return [counts, errors]


def _memory(results: Sequence[Result]) -> list[str]:
    """Return the sentence on memory, where any run prints it."""
    errors = memory_errors(results)
    if not errors:
        return []
    middle = statistics.median(abs(error) for error in errors)
    bias = percent(statistics.median(errors))
    return [f"Memory of {len(errors)} runs: median error {percent(middle)}, bias {bias}"]


def _table(title: str, groups: Sequence[Summary]) -> list[str]:
    """Return a table of summaries, aligned, numbers to the right."""
    if not groups:
        return []
    header = (title, "metric", "rows", "median", "p90", "bias", "in 80 %", "flat", "no fit")
    rows = []
    for g in groups:
        errors = (g.median_abs_error, g.p90_abs_error, g.bias)
        shares = (*errors, g.coverage80, g.flat_median_abs_error, g.false_oom)
        rows.append([g.source, g.metric, str(g.rows), *map(percent, shares)])
    return aligned(header, rows, align="ll" + "r" * 7)


def _cell(value: object) -> str:
    """Return a value as a cell: blank for None, 0 and 1 for flags, 6 significant digits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return "; ".join(value)
    if isinstance(value, dict):
        return "; ".join(f"{name}={_cell(share)}" for name, share in value.items() if share)
    return str(value)
