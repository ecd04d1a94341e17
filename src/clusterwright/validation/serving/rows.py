"""Read published, measured serving runs from a CSV table into typed records."""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import zlib
from pathlib import Path
from typing import Any

import msgspec

from clusterwright.errors import InputError, TableError, nearest_names
from clusterwright.records import Record

METRICS = (
    "ttft_ms",
    "tpot_ms",
    "itl_ms",
    "e2e_latency_ms",
    "output_tokens_per_s",
    "total_tokens_per_s",
    "decode_tokens_per_s",
    "prefill_tokens_per_s",
    "requests_per_s",
)
PER_TOKEN = ("tpot_ms", "itl_ms")
PROMPT_METRICS = ("ttft_ms", "prefill_tokens_per_s")
PER = ("system", "accelerator", "node", "user", "stream")


class ServeRun(Record, frozen=True, kw_only=True):
    """One published measurement, as printed: units are those of the table, not SI.

    ``line`` is where the row starts in its file. ``None`` and ``""`` mean "the source does not
    say". ``tp``, ``dp``, ``ep``: of one engine, of the decoding worker where prompts and decoding
    are apart. ``batch``: sequences of a static batch, users of a closed loop, requests sent at
    once. ``per``: what the value is a share of.
    """

    line: int
    id: str
    source: str
    date: str = ""
    model_name: str
    accelerator: str
    n_accel: int = 1
    engine: str = ""
    engine_version: str = ""
    weight_precision: str = ""
    kv_precision: str = ""
    tp: int | None = None
    pp: int | None = None
    ep: int | None = None
    dp: int | None = None
    disaggregated: bool = False
    input_len: float | None = None
    output_len: float | None = None
    batch_or_concurrency: str = ""
    request_rate: float | None = None
    scenario: str = ""
    measured_metric: str
    per: str = "system"
    measured_value: float
    percentile: str = ""
    power_w: float | None = None
    notes: str = ""
    config_complete: bool | None = None

    @property
    def batch(self) -> int | None:
        """Sequences, users or requests; ``None``: not said, or as many as go."""
        try:
            return max(1, round(float(self.batch_or_concurrency)))
        except ValueError:
            return None


COLUMNS = tuple(name for name in ServeRun.__struct_fields__ if name != "line")
REQUIRED = ("id", "source", "model_name", "accelerator", "scenario", "measured_metric",
            "measured_value")  # fmt: skip
_FLOATS = ("input_len", "output_len", "request_rate", "measured_value", "power_w")
_INTEGERS = ("n_accel", "tp", "pp", "ep", "dp")
_PERCENTILE = re.compile(r"|mean|avg|average|median|p\d{1,2}(\.\d+)?")
_FLAGS = ("disaggregated", "config_complete")


def is_serving_file(path: Path) -> bool:
    """Whether a file is a table of serving runs, told by its columns."""
    try:
        head = _text(path, first=True)
    except (InputError, TableError):
        return False
    names = {name.strip() for name in next(csv.reader(io.StringIO(head)), [])}
    return {"scenario", "measured_metric", "batch_or_concurrency"} <= names


def read_serve_runs(path: Path) -> list[ServeRun]:
    """Read a table of serving runs, plain or gzip.

    Raises
    ------
    InputError
        There is no such file.
    TableError
        It is no such table; names the line and the column.
    """
    lines = csv.DictReader(io.StringIO(_text(path), newline=""))
    names = [name.strip() for name in lines.fieldnames or []]
    for name in REQUIRED:
        if name not in names:
            near = nearest_names(name, names)
            mend = f"rename {near[0]!r}" if near else f"it needs {', '.join(REQUIRED)}"
            raise TableError(f"{path}: there is no column {name!r}; {mend}")
    return [_run(path, lines.line_num, row) for row in lines]


def _text(path: Path, *, first: bool = False) -> str:
    """All of a file as text, or its first line."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as lines:
            raw = lines.readline() if first else lines.read()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot read this file: {error.strerror}") from None
    except (zlib.error, EOFError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: a damaged table: {error}") from None


def _run(path: Path, line: int, row: dict[str, Any]) -> ServeRun:
    fields: dict[str, Any] = {"line": line}
    for name in COLUMNS:
        text = (row.get(name) or "").strip()
        if not text:
            continue
        fields[name] = _cell(path, line, name, text)
    if fields.get("measured_metric") not in METRICS:
        raise TableError(
            f"{path}, line {line}: measured_metric is {fields.get('measured_metric')!r}, but must "
            f"be one of {', '.join(METRICS)}"
        )
    if fields.get("per", "system") not in PER:
        raise TableError(
            f"{path}, line {line}: per is {fields['per']!r}, but must be one of {', '.join(PER)}"
        )
    if not _PERCENTILE.fullmatch(fields.get("percentile", "")):
        raise TableError(
            f"{path}, line {line}: percentile is {fields['percentile']!r}, but must be mean or "
            f"such as p99"
        )
    try:
        return msgspec.convert(fields, ServeRun)
    except msgspec.ValidationError as error:
        raise TableError(f"{path}, line {line}: {error}") from None


def _cell(path: Path, line: int, name: str, text: str) -> Any:  # noqa: ANN401 - by column
    if name in _FLAGS:
        return text.lower() in ("1", "true", "yes")
    if name not in (*_FLOATS, *_INTEGERS):
        return text
    try:
        value = float(text)
    except ValueError:
        raise TableError(f"{path}, line {line}: {name} is {text!r}, but must be a number") from None
    _check(path, line, name, value)
    return round(value) if name in _INTEGERS else value


def _check(path: Path, line: int, name: str, value: float) -> None:
    """Refuse a number that its column cannot hold."""
    least = 0.0 if name in _FLOATS else 1.0
    endless = name == "request_rate" and value == math.inf  # all at once
    good = (math.isfinite(value) or endless) and value >= least
    if name in _INTEGERS:
        good = good and value == round(value)
    if name == "measured_value":
        good = good and value > 0.0
    if not good:
        sort = "a whole number of 1 or more" if name in _INTEGERS else "a number above 0"
        raise TableError(f"{path}, line {line}: {name} is {value:g}, but must be {sort}")
