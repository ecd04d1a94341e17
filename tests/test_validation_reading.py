"""Tables of published runs: read as they are, or refused with the line and a mend."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from validation_cases import LLAMA_70B

from clusterwright.errors import InputError, TableError
from clusterwright.validation.runs import COLUMNS, default_runs_path, read_runs


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of small tables: dictionaries of cells, blank where not given."""

    def write(*rows: dict[str, object], columns: tuple[str, ...] = COLUMNS) -> Path:
        path = tmp_path / "runs.csv"
        lines = [",".join(columns)]
        for row in rows:
            cells = (str(row.get(c, "")).replace('"', '""') for c in columns)
            lines.append(",".join(f'"{cell}"' for cell in cells))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def test_reads_typed_rows_and_blanks(table: Callable[..., Path]) -> None:
    (run,) = read_runs(table(LLAMA_70B))
    assert (run.n_layers, run.gated_ffn, run.params_total_b) == (80, True, 70.6)
    assert (run.flash_attention, run.memory_gb_per_accel, run.notes) == (None, None, "")
    assert run.line == 2


def test_reads_gzip_by_content_not_by_name(table: Callable[..., Path]) -> None:
    path = table(LLAMA_70B)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert len(read_runs(path)) == 1


def test_optional_columns_may_be_absent_and_strange_ones_are_ignored(
    table: Callable[..., Path],
) -> None:
    columns = (*(c for c in COLUMNS if c not in ("url_or_path", "notes")), "weather")
    (run,) = read_runs(table({**LLAMA_70B, "weather": "fine"}, columns=columns))
    assert run.notes == ""


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"n_layers": "eighty"}, "column 'n_layers': 'eighty' is not a number"),
        ({"n_layers": "80.5"}, "column 'n_layers': '80.5' is not a whole number"),
        ({"measured_value": "nan"}, "column 'measured_value': 'nan' is impossible"),
        ({"measured_value": "-3"}, "column 'measured_value': '-3' is impossible"),
        ({"measured_value": ""}, "column 'measured_value': blank"),
        ({"tp": "0"}, "column 'tp': '0' is impossible"),
        ({"gated_ffn": "yes"}, "column 'gated_ffn': 'yes' is neither 0 nor 1"),
        ({"measured_metric": "step_time"}, "write step_time_s"),
        ({"recompute": "ful"}, "write full"),
    ],
)
def test_refuses_an_impossible_cell(
    table: Callable[..., Path], cells: dict[str, object], words: str
) -> None:
    with pytest.raises(TableError) as caught:
        read_runs(table({**LLAMA_70B, **cells}))
    assert "line 2" in str(caught.value)
    assert words in str(caught.value)


def test_refuses_a_duplicate_id_with_both_lines(table: Callable[..., Path]) -> None:
    with pytest.raises(TableError, match=r"line 3, column 'id': 'a' is also on line 2"):
        read_runs(table(LLAMA_70B, LLAMA_70B))


def test_refuses_a_misspelt_column_and_names_the_right_one(table: Callable[..., Path]) -> None:
    columns = tuple("n_layer" if c == "n_layers" else c for c in COLUMNS)
    with pytest.raises(TableError, match="unknown column 'n_layer'; did you mean 'n_layers'"):
        read_runs(table(LLAMA_70B, columns=columns))


def test_refuses_a_missing_column(table: Callable[..., Path]) -> None:
    columns = tuple(c for c in COLUMNS if c != "accelerator")
    with pytest.raises(TableError, match="column 'accelerator' is missing"):
        read_runs(table(LLAMA_70B, columns=columns))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"id;model_name;n_layers\na;b;3\n", "separated by semicolons"),
        (b"id\tmodel_name\na\tb\n", "separated by tabs"),
        (b"name,price\napple,3\n", "is missing"),
        (b"\x89PNG\x00\x01", "is a binary file"),
        (b"\x1f\x8b\x08\x00garbage", "damaged or truncated gzip"),
        (gzip.compress(b"id,model_name\n" * 100, mtime=0)[:40], "damaged or truncated gzip"),
        ("id,modèle\n".encode("latin-1"), "line 1: not UTF-8"),
    ],
)
def test_refuses_a_foreign_file(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(content)
    with pytest.raises(TableError, match=words):
        read_runs(path)


def test_refuses_a_truncated_table(table: Callable[..., Path]) -> None:
    path = table(LLAMA_70B, {**LLAMA_70B, "id": "b"})
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-40], encoding="utf-8")
    with pytest.raises(TableError, match=r"line 3: .*truncated"):
        read_runs(path)
    path.write_text(whole[: whole.rindex('"a"') + 1], encoding="utf-8")
    with pytest.raises(TableError, match="line 2"):
        read_runs(path)


def test_refuses_a_header_without_rows(table: Callable[..., Path]) -> None:
    with pytest.raises(TableError, match="no rows"):
        read_runs(table())


def test_refuses_a_path_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_runs(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_runs(tmp_path)


def test_the_shipped_table_reads() -> None:
    runs = read_runs(default_runs_path())
    assert len(runs) > 2000
    assert len({run.source for run in runs}) > 40
