"""Fits of measured kernels: known parameters come back, impossible rows do not get in."""

from __future__ import annotations

import builtins
import csv
import json
import tomllib

import msgspec
import numpy as np
import pytest

from clusterwright.calibrate import residuals, writing
from clusterwright.calibrate.api import fit_kernels
from clusterwright.calibrate.fitting import Parameter, fit
from clusterwright.calibrate.holdout import held_out
from clusterwright.calibrate.physics import impossible_rows
from clusterwright.catalogue.store import Catalogue
from clusterwright.cli import main
from clusterwright.cli.calibrate import fit_command
from clusterwright.errors import InputError, TableError, UnknownNameError
from clusterwright.kernels import gemm
from clusterwright.kernels.columns import Table
from clusterwright.kernels.kinds import KINDS, kind_named
from clusterwright.kernels.library import Branch
from clusterwright.validation.kernel_rows import Predictor, kernels_kind, score_kernels
from clusterwright.validation.kernel_tables import column_names, read_table

GEMM = KINDS["gemm"]
H100 = Catalogue().accelerator("h100")
ROWS = (1, 2, 3, 5, 8, 16, 31, 48, 64, 65, 96, 128, 200, 256, 513, 1024, 2048, 4096, 8192)
SIZES = (64, 256, 512, 1024, 2048, 4096, 8192, 16384)
NUMBERS = ("m", "n", "k")

SMALL = {
    "tile_rows": 64.0,
    "tile_columns": 64.0,
    "peak_efficiency": 0.5,
    "memory_efficiency": 0.6,
    "floor": 4e-6,
    "half_depth": 200.0,
    "cast_traffic": 1.5,
}
LARGE = {**SMALL, "tile_rows": 128.0, "tile_columns": 256.0, "peak_efficiency": 0.7, "floor": 9e-6}
TRUTH = (
    Branch(values=SMALL, up_to={"rows": 64.0}),
    Branch(values=LARGE, above={"rows": 64.0}),
)


def grid() -> Table:
    shapes = np.array([(m, n, k) for m in ROWS for n in SIZES for k in SIZES], dtype=float)
    return Table(dict(zip(NUMBERS, shapes.T, strict=True)))


def write_table(path, branches=TRUTH, *, noise=0.0, precision="fp8", **replaced):
    """Write a table of what some branches predict on an H100; return its times [s]."""
    table = grid()
    random = np.random.default_rng(7)
    times = GEMM.predict(table, H100, precision, branches)
    times = times * np.exp(random.normal(0.0, noise, len(times)))
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["system", "framework", "dir_version", "gemm_dtype", *NUMBERS, "latency_us"])
        word = {"bf16": "bfloat16"}.get(precision, precision)
        for i, time in enumerate(times):
            shape = [int(table[name][i]) for name in NUMBERS]
            out.writerow(
                ["h100_sxm", "VLLM", "1.0", word, *shape, replaced.get(str(i), time * 1e6)]
            )
    return times


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    path = tmp_path_factory.mktemp("kernels") / "gemm.csv"
    write_table(path, noise=0.01)
    return path, fit_kernels(path, "gemm", source="made up")


def test_a_fit_recovers_a_formula_s_parameters():
    x = np.geomspace(1.0, 1e4, 200)
    parameters = (Parameter("slope", 1e-3, 1e-6, 1.0), Parameter("floor", 1.0, 1e-3, 1e3))
    odd = np.where(np.arange(200) % 10 == 0, 3.0, 1.0)  # a tenth of the rows is far off

    def times(p):
        return p["floor"] + p["slope"] * x

    _, found = fit(times, times({"slope": 0.05, "floor": 20.0}) * odd, parameters)
    assert found["slope"] == pytest.approx(0.05, rel=0.02)
    assert found["floor"] == pytest.approx(20.0, rel=0.02)


def test_the_fit_of_a_made_up_table_predicts_rows_it_never_saw(fitted):
    (residual,) = fitted[1].residuals
    assert residual.median < 0.02
    assert residual.p90 < 0.05
    assert residual.held_out + residual.fitted == residual.rows == len(ROWS) * len(SIZES) ** 2


def test_the_fit_finds_where_the_engine_changes_kernels_and_their_rates(fitted):
    (kernels,) = fitted[1].kernels
    branches = kernels.precisions["fp8"].branches
    bounds = {b.up_to.get("rows") for b in branches} | {b.above.get("rows") for b in branches}
    assert 64.0 in bounds
    shape = Table({name: np.array([8192.0]) for name in NUMBERS})
    (large,) = (b for b in branches if GEMM.predict(shape, H100, "fp8", [b])[0] > 0)
    assert large.values["peak_efficiency"] == pytest.approx(0.7, rel=0.05)


def test_what_is_written_reads_back_and_predicts_the_same(fitted, tmp_path):
    path, found = fitted
    text = writing.as_toml(found.kernels, source="made up", confidence="A", checked="2026-11-22")
    assert tomllib.loads(text)["kernels"][0]["accelerator"] == "nv-h100-sxm"
    own = tmp_path / "own.toml"
    own.write_text(text)
    facts = Catalogue().with_files([own])
    predicted = Predictor(facts, GEMM).times(grid(), H100, "vllm", "fp8")
    branches = found.kernels[0].precisions["fp8"].branches
    assert predicted == pytest.approx(GEMM.predict(grid(), H100, "fp8", branches))
    (group,) = score_kernels(path, GEMM, catalogue=facts)
    assert group.median < 0.02
    assert group.worst_engine == "VLLM"


def test_rows_that_cannot_be_are_found_and_left_out(tmp_path):
    table = grid()
    shape = np.column_stack([table[name] for name in NUMBERS])
    big, thin, small = (
        int(np.flatnonzero((shape == wanted).all(axis=1))[0])
        for wanted in ((8192, 8192, 8192), (1, 16384, 16384), (1, 1024, 1024))
    )
    path = tmp_path / "odd.csv"
    # a hundred times the peak; twice the memory's bandwidth beyond the cache; and within it
    replaced = {str(big): 5.0, str(thin): 268.0 / 3350 / 2 * 1e3, str(small): 0.2}
    write_table(path, **replaced)
    read = read_table(path, numbers=(*NUMBERS, "latency_us"), words=("gemm_dtype",))
    found = impossible_rows(read, GEMM, H100, "fp8")
    assert list(np.flatnonzero(found.faster_than_peak)) == [big]
    assert set(np.flatnonzero(found.faster_than_memory)) == {thin, big}
    assert not found.any[small]
    (residual,) = fit_kernels(path, "gemm").residuals
    assert (residual.faster_than_peak, residual.faster_than_memory) == (1, 1)
    assert residual.fitted + residual.held_out == residual.rows - 2
    assert (
        "2 impossible rows left out"
        in fit_kernels(path, "gemm").kernels[0].precisions["fp8"].evidence.note
    )


def test_a_chip_of_unknown_cache_is_not_judged_by_its_memory():
    unknown = msgspec.structs.replace(H100, cache_bytes=None)
    shape = dict(zip(NUMBERS, (1.0, 65536.0, 65536.0), strict=True))
    row = Table({name: np.array([value]) for name, value in {**shape, "latency_us": 1.0}.items()})
    assert impossible_rows(row, GEMM, H100, "bf16").faster_than_memory.all()
    assert not impossible_rows(row, GEMM, unknown, "bf16").faster_than_memory.any()


def test_a_shape_is_held_out_everywhere_or_nowhere():
    table = grid()
    mask = held_out(table, NUMBERS)
    assert 0.15 < mask.mean() < 0.25
    order = np.random.default_rng(1).permutation(len(table))
    assert (held_out(table.where(order), NUMBERS) == mask[order]).all()


FIRST = "h100_sxm,VLLM,1.0,fp8,1,64,64,"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("latency_us", "latency_ms", "no column 'latency_us'; rename"),
        (FIRST, FIRST.replace("64,64", "64,x"), "line 2: 'k' is 'x', but must be a number"),
        (FIRST, FIRST.replace("64,64", "64,-4"), "row 1 has -4 under 'k'"),
        (FIRST, FIRST.replace("64,64", "64,0"), "row 1 has 0 under 'k'"),
        (",fp8,", ",fp9,", "gemm_dtype is 'fp9', but must be one of"),
    ],
)
def test_tables_that_cannot_be_read_are_refused_in_one_sentence(tmp_path, old, new, said):
    path = tmp_path / "bad.csv"
    write_table(path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(TableError, match=said):
        fit_kernels(path, "gemm")
    path.write_text(path.read_text().split("\n")[0] + "\n")
    with pytest.raises(TableError):
        fit_kernels(path, "gemm")


def test_what_spreadsheets_add_to_a_table_is_read_past(tmp_path):
    plain, mended = tmp_path / "plain.csv", tmp_path / "spread.csv"
    write_table(plain)
    text = plain.read_text().replace("latency_us\n", "latency_us \n") + "\n"
    mended.write_text(text, encoding="utf-8-sig")
    read = [
        read_table(path, numbers=("m", "latency_us"), words=("system",)) for path in (plain, mended)
    ]
    for name in read[0].names:
        assert (read[0][name] == read[1][name]).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x1f\x8b\x08\x00\xff\xfe", "neither UTF-8 CSV nor Parquet"),
        (b"system;framework\n", "no column 'system'; separate the columns by commas"),
        (b"id,source\n", "no column 'system'; the table needs system, framework, gemm_dtype, m"),
        (b"", "no column 'system'; the table needs"),
        (b"system,framework,gemm_dtype,m,n,k,latency_us\na,b,\xff", "neither UTF-8 CSV"),
    ],
)
def test_what_is_no_table_of_kernels_is_told_apart(content, said, tmp_path):
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    with pytest.raises(TableError, match=said):
        fit_kernels(path, "gemm")


def test_a_table_that_lacks_a_column_of_its_kind_is_not_taken_for_runs(tmp_path, capsys):
    path = tmp_path / "t.csv"
    write_table(path)
    path.write_text(path.read_text().replace("latency_us", "time"))
    assert main(["validate", str(path)]) == 2
    assert "kernels of the kind 'gemm' but for latency_us; add" in capsys.readouterr().err


def test_a_chip_without_a_published_bandwidth_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    write_table(path)
    path.write_text(path.read_text().replace("h100_sxm", "enflame-s60"))
    with pytest.raises(InputError, match="enflame-s60 has no published memory bandwidth; add"):
        fit_kernels(path, "gemm")


@pytest.mark.parametrize(("scale", "said"), [(1e6, "too few"), (1e12, "no row is left")])
def test_a_wrong_unit_is_guessed_from_times_that_cannot_be(tmp_path, scale, said):
    path = tmp_path / "t.csv"
    write_table(path)
    head, *rows = path.read_text().split()
    cells = [row.rsplit(",", 1) for row in rows]
    path.write_text("\n".join([head, *(f"{a},{float(b) / scale}" for a, b in cells)]))
    with pytest.raises(TableError, match=rf"vllm fp8: .*{said}.* faster than the chip .* in µs"):
        fit_kernels(path, "gemm")


def test_unknown_kinds_chips_and_files_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    write_table(path)
    with pytest.raises(TableError, match="did you mean 'gemm'"):
        fit_kernels(path, "gem")
    with pytest.raises(TableError, match="'moe': one of gemm, attention_prefill"):
        fit_kernels(path, "moe")
    with pytest.raises(InputError, match=r"no rows of b200"):
        fit_kernels(path, "gemm", accelerators=("b200",))
    with pytest.raises(InputError, match="cannot read this file"):
        fit_kernels(tmp_path / "none.csv", "gemm")
    path.write_text(path.read_text().replace("h100_sxm", "h999_sxm"))
    with pytest.raises(UnknownNameError, match="no accelerator called 'h999-sxm'"):
        fit_kernels(path, "gemm")


def test_too_few_rows_are_refused(tmp_path):
    path = tmp_path / "few.csv"
    write_table(path)
    head, *lines = path.read_text().split("\n")
    path.write_text("\n".join([head, *lines[-12:]]))
    with pytest.raises(InputError, match=r"rows are too few to fit \d+ parameters: measure"):
        fit_kernels(path, "gemm")


def test_a_group_that_is_too_small_does_not_lose_the_others(tmp_path):
    path = tmp_path / "t.csv"
    write_table(path)
    engine = path.read_text().split()[1].split(",")[1]
    few = [line.replace(engine, "aa-engine") for line in path.read_text().split()[-12:]]
    alone = fit_kernels(path, "gemm")
    path.write_text(path.read_text().rstrip() + "\n" + "\n".join(few) + "\n")
    both = fit_kernels(path, "gemm")
    assert both.kernels == alone.kernels
    assert [why for why in both.skipped if "aa-engine" in why and "too few to fit" in why]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 and so on")
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'clusterwright\[calibrate\]'"):
        column_names(path)


def test_parquet_and_csv_are_the_same_table(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow.csv

    one, two = tmp_path / "t.csv", tmp_path / "t.parquet"
    write_table(one)
    parquet.write_table(pyarrow.csv.read_csv(one), two)
    words, numbers = ("system", "framework", "gemm_dtype"), (*NUMBERS, "latency_us")
    left, right = (read_table(path, words=words, numbers=numbers) for path in (one, two))
    assert all((left[name] == right[name]).all() for name in (*words, *numbers))
    assert kernels_kind(one) is kernels_kind(two) is kind_named("gemm")
    parquet.write_table(pyarrow.table({"a": [1]}), two)
    with pytest.raises(TableError, match="columns of no kind of kernel"):
        kernels_kind(two)


def test_the_command_fits_reports_and_writes(tmp_path, capsys):
    path, out, report = (tmp_path / name for name in ("t.csv", "own.toml", "report.txt"))
    write_table(path)
    words = ["calibrate", "fit", str(path), "--kind", "gemm", "--accelerator", "h100"]
    assert main([*words, "--out", str(out), "--report", str(report)]) == 0
    shown = capsys.readouterr().out
    assert "nv-h100-sxm fp8 gemm vllm" in shown
    assert report.read_text() == shown
    assert "[[kernels]]" in out.read_text()
    assert main([*words, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["engine"] == "vllm"
    assert main(["calibrate", "fit", str(path), "--kind", "none"]) == 2
    assert capsys.readouterr().err.startswith("error: no kind of kernel called 'none'")


def test_the_command_lists_every_kind():
    assert all(kind in (fit_command.__doc__ or "") for kind in KINDS)


def test_validate_recognises_a_table_of_kernels(tmp_path, capsys):
    path = tmp_path / "t.csv"
    write_table(path)
    assert main(["validate", str(path)]) == 0
    assert "nv-h100-sxm fp8 gemm" in capsys.readouterr().out
    assert main(["validate", str(path), "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)
    assert group["rows"] == len(ROWS) * len(SIZES) ** 2
    assert main(["validate", str(path), "--out", str(tmp_path / "o.csv")]) == 2
    assert "--out and --page are for runs" in capsys.readouterr().err


def test_the_worst_fit_comes_first():
    def one(engine, median):
        return residuals.Residual(
            accelerator="a",
            precision="fp8",
            kind="gemm",
            engine=engine,
            rows=9,
            fitted=6,
            held_out=3,
            faster_than_peak=0,
            faster_than_memory=0,
            branches=1,
            median=median,
            p90=0.2,
            bias=0.0,
        )

    lines = residuals.as_text([one("good", 0.01), one("bad", 0.2)]).split("\n")
    assert "bad" in lines[1]
    assert "good" in lines[2]


def test_every_precision_has_a_peak_and_bytes():
    for name in set(gemm.NAMES.values()):
        assert gemm.peak(H100, name) > 0
        assert gemm.WEIGHT_BYTES[name] > 0


def test_a_table_of_overheads_alone_is_not_fitted(tmp_path):
    path = tmp_path / "tiny.csv"
    write_table(path)
    head, *lines = path.read_text().split("\n")
    sizes = {line: [int(cell) for cell in line.split(",")[4:7]] for line in lines if line}
    tiny = [line for line, size in sizes.items() if max(size) <= 256]
    path.write_text("\n".join([head, *tiny]) + "\n")
    found = fit_kernels(path, "gemm")
    assert found.kernels == ()
    assert "rows show overheads only; measure larger shapes" in found.skipped[0]
