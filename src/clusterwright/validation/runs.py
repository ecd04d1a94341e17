"""Read published, measured training runs from a CSV table into typed records.

One row is one measurement. The columns are those of ``catalogue/measurements/train_runs.csv.gz``
(described in its README); a blank cell means that the source does not say. Anything that cannot be
such a table is refused with one sentence that names the line, the column and the mend.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from clusterwright.errors import InputError, TableError, nearest_names
from clusterwright.records import Record

Metric = Literal[
    "tokens_per_s_per_accel",
    "tflops_per_accel",
    "mfu",
    "step_time_s",
    "time_to_train_min",
    "accel_hours",
]
"""What a source measured; `clusterwright.validation.metrics` converts the first four to time."""
Of = Literal["training", "serving"]
"""What published runs are of."""
PUBLISHED: Final[dict[Of, str]] = {
    "training": "train_runs.csv.gz",
    "serving": "serve_runs.csv.gz",
}
"""Their tables, in ``catalogue/measurements``."""


class Run(Record, frozen=True, kw_only=True):
    """One published measurement, as printed: units are those of the table, not SI.

    ``line`` is where the row starts in its file. ``None`` and ``""`` mean "the source does not
    say". ``n_accel`` counts chips as sold. ``inter_node_link_gbps_per_accel`` is one direction
    [Gb/s]; ``memory_gb_per_accel`` is as printed [GB or GiB]; parameters are in units of 1e9.
    """

    line: int
    id: str
    source: str = ""
    url_or_path: str = ""
    table_or_section: str = ""
    date: str = ""
    model_name: str
    params_total_b: float | None = None
    params_active_b: float | None = None
    n_layers: int | None = None
    d_model: int | None = None
    n_heads: int | None = None
    n_kv_heads: int | None = None
    d_ff: int | None = None
    gated_ffn: bool | None = None
    vocab: int | None = None
    seq_len: int | None = None
    n_experts: int | None = None
    top_k: int | None = None
    shared_experts: int | None = None
    moe_layer_freq: str = ""
    attention: str = ""
    accelerator: str
    n_accel: int | None = None
    accel_per_node: int | None = None
    intra_node_link: str = ""
    inter_node_link_gbps_per_accel: float | None = None
    framework: str = ""
    precision: str = ""
    tp: int | None = None
    pp: int | None = None
    vpp: int | None = None
    dp: int | None = None
    cp: int | None = None
    ep: int | None = None
    zero_stage: int | None = None
    sharding_notes: str = ""
    sequence_parallel: bool | None = None
    recompute: str = ""
    flash_attention: bool | None = None
    micro_batch: int | None = None
    global_batch_seqs: int | None = None
    global_batch_tokens: int | None = None
    measured_metric: Metric
    measured_value: float
    tflops_formula: str = ""
    memory_gb_per_accel: float | None = None
    notes: str = ""
    config_complete: bool | None = None


COLUMNS: tuple[str, ...] = tuple(name for name in Run.__struct_fields__ if name != "line")
REQUIRED: tuple[str, ...] = (
    "id", "model_name", "n_layers", "d_model", "n_heads", "d_ff", "seq_len", "accelerator",
    "n_accel", "framework", "precision", "tp", "pp", "dp", "micro_batch", "global_batch_seqs",
    "measured_metric", "measured_value",
)  # fmt: skip
"""Columns that a table must have; the others may be absent, and are then blank."""

_FLAGS = ("gated_ffn", "sequence_parallel", "flash_attention", "config_complete")
_MAY_BE_ZERO = ("zero_stage", "shared_experts")
_FLOATS = (
    "params_total_b", "params_active_b", "inter_node_link_gbps_per_accel", "measured_value",
    "memory_gb_per_accel",
)  # fmt: skip
_INTEGERS = (
    "n_layers", "d_model", "n_heads", "n_kv_heads", "d_ff", "vocab", "seq_len", "n_experts",
    "top_k", "shared_experts", "n_accel", "accel_per_node", "tp", "pp", "vpp", "dp", "cp", "ep",
    "zero_stage", "micro_batch", "global_batch_seqs", "global_batch_tokens",
)  # fmt: skip
_WORDS: dict[str, tuple[str, ...]] = {
    "measured_metric": Metric.__args__,  # type: ignore[attr-defined]
    "recompute": ("none", "selective", "full"),
    "attention": ("MHA", "GQA", "MQA", "MLA"),
}
_NEVER_BLANK = ("id", "model_name", "accelerator", "measured_metric", "measured_value")
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_runs(path: str | Path) -> list[Run]:
    """Read a table of measured training runs, plain or gzip-compressed.

    Parameters
    ----------
    path
        A comma-separated, UTF-8 table with a header line. Columns that are not in the schema are
        ignored unless they look like a misspelt one.

    Raises
    ------
    TableError
        The file is empty, truncated, binary, foreign, or has an impossible cell.
    InputError
        There is no such file.
    """
    where = Path(path)
    lines = _numbered(_text_of(where), where)
    line, header = next(lines, (0, []))
    if not header:
        raise TableError(f"{where}: the file is empty; a table of runs starts with a header line.")
    names = _checked_header(header, where)
    runs = [_run_of(cells, names, where, line) for line, cells in lines]
    if not runs:
        raise TableError(f"{where}, line {line}: a header but no rows; is the file truncated?")
    _refuse_duplicates(runs, where)
    return runs


def default_runs_path(of: Of = "training") -> Path:
    """Find the table of published runs that the repository ships.

    Parameters
    ----------
    of
        What the runs are of.

    Raises
    ------
    InputError
        Outside a checkout (an installed wheel): the table is not in the package.
    """
    tail = Path("catalogue") / "measurements" / PUBLISHED[of]
    for folder in Path(__file__).resolve().parents:
        if (folder / tail).is_file():
            return folder / tail
    raise InputError(
        f"the table of published runs ({tail.as_posix()}) is part of the source repository and not "
        "of the installed package: run inside a checkout, or name a table of your own."
    )


def _text_of(path: Path) -> str:
    """Return the decompressed text of the file."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the CSV file inside it.")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no file {path}; name a CSV table of runs.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    if raw.startswith(b"\x1f\x8b"):
        raw = _unzipped(raw, path)
    if b"\x00" in raw:
        raise TableError(f"{path} is a binary file; a table of runs is plain or gzip-ed CSV text.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise TableError(f"{path}, line {line}: not UTF-8 text; save the table as UTF-8.") from None


def _unzipped(raw: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise TableError(
            f"{path} is a damaged or truncated gzip file; fetch or write it again."
        ) from None


def _numbered(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield every record that is not blank, with the line on which it starts."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise TableError(
                f"{path}, line {line}: not readable as CSV ({error}); is a quote left open or the "
                "file truncated?"
            ) from None
        if cells:
            yield line, cells


def _checked_header(header: list[str], path: Path) -> list[str]:
    """Return the column names, or say what is wrong with them."""
    names = [name.strip() for name in header]
    if len(names) == 1:
        for mark, word in _DELIMITERS.items():
            if mark in names[0]:
                raise TableError(f"{path}, line 1: separated by {word}; save it with commas.")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise TableError(f"{path}, line 1: column {twice[0]!r} occurs twice; keep one.")
    absent = [name for name in COLUMNS if name not in names]
    for name in (n for n in names if n not in COLUMNS):
        near = difflib.get_close_matches(name.lower(), absent, n=1, cutoff=0.8)
        if near:
            raise TableError(f"{path}, line 1: unknown column {name!r}; did you mean {near[0]!r}?")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        near = nearest_names(missing[0], [n for n in names if n not in COLUMNS], count=1)
        mend = f"rename {near[0]!r}" if near else "add it, blank where unknown"
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise TableError(f"{path}, line 1: column {missing[0]!r}{more} is missing; {mend}.")
    return names


def _run_of(cells: list[str], names: list[str], path: Path, line: int) -> Run:
    """Turn one row into a record."""
    if len(cells) != len(names):
        word = "truncated" if len(cells) < len(names) else "an unquoted comma"
        raise TableError(
            f"{path}, line {line}: {len(cells)} cells under {len(names)} columns; {word}?"
        )
    fields: dict[str, Any] = {"line": line}
    for name, cell in zip(names, cells, strict=True):
        text = cell.strip()
        if name not in COLUMNS:
            continue
        if text:
            fields[name] = _value_of(name, text, f"{path}, line {line}, column {name!r}")
        elif name in _NEVER_BLANK:
            raise TableError(f"{path}, line {line}, column {name!r}: blank; every run needs it.")
    return Run(**fields)


def _value_of(name: str, text: str, where: str) -> object:
    """Convert one cell that is not blank."""
    if name in _FLAGS:
        if text not in ("0", "1"):
            raise TableError(f"{where}: {text!r} is neither 0 nor 1; leave it blank if unknown.")
        return text == "1"
    if name in _WORDS:
        if text not in _WORDS[name]:
            near = nearest_names(text, _WORDS[name], count=1) or _WORDS[name]
            raise TableError(f"{where}: {text!r} is not known; write {' or '.join(near)}.")
        return text
    if name not in _INTEGERS and name not in _FLOATS:
        return text
    value = _number(text, where)
    if name in _FLOATS:
        return value
    if value != int(value):
        raise TableError(f"{where}: {text!r} is not a whole number.")
    return int(value)


def _number(text: str, where: str) -> float:
    """Read a finite number of at least 0; only counts that may be 0 are allowed to be."""
    try:
        value = float(text)
    except ValueError:
        raise TableError(
            f"{where}: {text!r} is not a number; write digits only, or leave it blank if unknown."
        ) from None
    least_is_zero = any(f"{name!r}" in where for name in _MAY_BE_ZERO)
    if not math.isfinite(value) or value < 0 or (value == 0 and not least_is_zero):
        raise TableError(f"{where}: {text!r} is impossible; it must be a finite positive number.")
    return value


def _refuse_duplicates(runs: list[Run], path: Path) -> None:
    first: dict[str, int] = {}
    for run in runs:
        if run.id in first:
            raise TableError(
                f"{path}, line {run.line}, column 'id': {run.id!r} is also on line "
                f"{first[run.id]}; every run needs an id of its own."
            )
        first[run.id] = run.line
