"""Measured collectives: reading tables, and the published figures that must be met."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from clusterwright.cli import main
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.validation import collective_rows
from clusterwright.validation.collective_rows import CollectiveResult

PUBLISHED = Path(__file__).with_name("published_collectives.csv")
HEADER = "source,accelerator,n,per_node,link_inter,collective,algorithm,message_bytes,time_us,"
HEADER += "busbw_GBps,kind\n"


@pytest.fixture(scope="module")
def results() -> list[CollectiveResult]:
    return collective_rows.judge(collective_rows.read_rows(PUBLISHED), shipped())


def median(results, least=0.0):
    errors = [abs(r.error) for r in results if r.row.buffer_bytes >= least]
    return statistics.median(errors)


def test_published_figures_are_met_with_constants_that_never_saw_them(results):
    assert len(results) >= 40
    assert median(results, 2**28) <= 0.05
    assert median(results, 2**24) <= 0.10
    assert median(results) <= 0.20


@pytest.mark.parametrize(
    ("group", "gigabytes", "share"),
    [
        (("H200-SXM", 8, "all_gather"), 361.4, 0.05),
        (("H200-SXM", 8, "reduce_scatter"), 362.9, 0.05),
        (("H100-SXM", 64, "all_reduce"), 386.6, 0.05),
        (("B200-SXM", 32, "all_reduce"), 381.8, 0.05),
        (("GB200", 144, "all_reduce"), 810.4, 0.10),
        (("GB200", 1440, "all_reduce"), 405.7, 0.10),
    ],
)
def test_bus_bandwidth_of_the_largest_buffers(results, group, gigabytes, share):
    _, ranks, collective = group
    rows = [r for r in results if (r.row.accelerator, r.row.num_ranks, r.row.collective) == group]
    largest = max(rows, key=lambda r: r.row.buffer_bytes)
    factor = (2.0 if collective == "all_reduce" else 1.0) * (ranks - 1.0) / ranks
    found = factor * largest.row.buffer_bytes / largest.predicted / 1e9
    assert found == pytest.approx(gigabytes, rel=share)


def test_thresholds_are_no_measurements():
    assert "acceptance threshold" in PUBLISHED.read_text(encoding="utf-8")
    assert all("Azure/azurehpc" not in row.source for row in collective_rows.read_rows(PUBLISHED))


def test_bus_bandwidth_is_turned_back_into_time(tmp_path):
    path = tmp_path / "one.csv"
    row = "me,H100-SXM,8,8,none,all_reduce,auto,1073741824,,400.0,measured\n"
    path.write_text(HEADER + row, encoding="utf-8")
    (found,) = collective_rows.read_rows(path)
    assert found.time == pytest.approx(1073741824 * 14 / 8 / 400e9)


@pytest.mark.parametrize("printed", ["0.0", "0.06", ""])
def test_too_few_digits_give_no_time(tmp_path, printed):
    path = tmp_path / "one.csv"
    row = f"me,H100-SXM,8,8,none,all_reduce,auto,1024,,{printed},measured\n"
    path.write_text(HEADER + row, encoding="utf-8")
    assert collective_rows.read_rows(path) == []


def test_an_operator_table_is_read_as_well(tmp_path, capsys):
    path = tmp_path / "operators.csv"
    path.write_text(
        "system,framework,op_name,impl,dtype,num_gpus,bytes,latency_us\n"
        "h200_sxm,nccl,alltoall,NCCL,half,8,1048576,16.2\n"
        "h200_sxm,vllm,all_reduce,vllm_graph,bfloat16,8,4096,4.8\n"
        "h200_sxm,nccl,unheard,NCCL,half,8,4096,4.8\n",
        encoding="utf-8",
    )
    found = collective_rows.judge(collective_rows.read_rows(path), shipped())
    assert [r.error is None for r in found] == [False, False, True]
    assert all(abs(r.error) < 0.3 for r in found[:2])
    assert main(["validate", str(path)]) == 0
    out = capsys.readouterr().out
    assert "h200 sxm, all_to_all" in out
    assert "unheard is not predicted" in out


def test_a_table_of_runs_is_no_table_of_collectives(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("id,source\n", encoding="utf-8")
    assert not collective_rows.is_collectives_table(path)
    assert not collective_rows.is_collectives_table(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="no table of collectives"):
        collective_rows.read_rows(path)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("me,H100-SXM,many,8,none,all_reduce,auto,1024,10,,measured", "line 2: invalid literal"),
        ("me,H100-SXM,8,8,none,all_reduce,auto,1 GiB,10,,measured", "line 2: could not convert"),
        ("me,H100-SXM,8,,none,all_reduce,auto,1024,10,,measured", "line 2: invalid literal"),
        ("me,H100-SXM,8,8,none,all_reduce,auto,1024,-10,,measured", "line 2: -1e-05 seconds; give"),
        ("me,H100-SXM,8,8,none,all_reduce,auto,1024,nan,,measured", "line 2: nan seconds; give"),
        ("me,H100-SXM,0,8,none,all_reduce,auto,1024,10,,measured", "line 2: 0 accelerators; give"),
        ("me,H100-SXM,8,8,none,all_reduce", "line 2: no cell under 'kind'; add it"),
        ("", "no row has a measured time"),
    ],
)
def test_a_bad_cell_gets_one_sentence(tmp_path, capsys, row, sentence):
    path = tmp_path / "bad.csv"
    path.write_text(HEADER + row + "\n", encoding="utf-8")
    assert main(["validate", str(path)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_column_that_is_missing_is_named(tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text(HEADER.replace("kind", "sort"), encoding="utf-8")
    assert main(["validate", str(path)]) == 2
    assert "a table of collectives but for kind; add them" in capsys.readouterr().err


def test_a_damaged_parquet_file_is_refused(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    path = tmp_path / "bad.parquet"
    path.write_bytes(b"PAR1 and so on")
    assert main(["validate", str(path)]) == 2
    assert "a damaged Parquet file" in capsys.readouterr().err


def test_collectives_are_only_printed(capsys):
    assert main(["validate", str(PUBLISHED), "--json"]) == 2
    assert "leave out --out, --json" in capsys.readouterr().err
