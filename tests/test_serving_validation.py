"""Published serving runs: read, asked about, predicted in their own unit, and scored."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from serving_cases import STATIC, lookup, predicted, run_of

from clusterwright.cli import main
from clusterwright.errors import InputError, TableError
from clusterwright.facts import shipped
from clusterwright.validation.serving import scoring
from clusterwright.validation.serving.predicting import asked_of, lengths_of
from clusterwright.validation.serving.questions import ServeQuestion, question_of
from clusterwright.validation.serving.recipes import flags_of, read_recipes
from clusterwright.validation.serving.rows import (
    COLUMNS,
    METRICS,
    is_serving_file,
    read_serve_runs,
)

SCHEMA = (*COLUMNS, "url_or_path", "table_or_section", "params_total_b")
"""A published table has columns that nobody reads, too."""
SPLIT_NOTE = (
    "P/D split: 1 prefill worker(s) x 4 GPU (TP4, EP1) + 1 decode worker(s) x 4 GPU (TP4, EP1); "
    "tp/dp/ep columns describe the decode worker"
)
SCENARIOS = {
    "closed loop": {"scenario": "server (closed-loop concurrency)"},
    "static batch": {"measured_metric": "e2e_latency_ms"},
    "prompts alone": {"scenario": "prefill only", "measured_metric": "prefill_tokens_per_s"},
    "decoding alone": {"scenario": "decode only", "measured_metric": "itl_ms"},
    "Poisson": {"scenario": "server (open-loop Poisson)", "request_rate": 2.5},
    "one stream": {"scenario": "single-stream", "batch_or_concurrency": "1", "percentile": "p50"},
    "offline": {
        "scenario": "offline max throughput",
        "batch_or_concurrency": "max",
        "measured_metric": "output_tokens_per_s",
        "per": "system",
    },
    "steady": {"scenario": "server (saturated, steady state)", "measured_metric": "itl_ms"},
    "apart": {
        "scenario": "server (closed-loop concurrency)",
        "disaggregated": 1,
        "n_accel": 8,
        "tp": 4,
        "notes": SPLIT_NOTE,
        "measured_metric": "ttft_ms",
    },
    "replicas": {"n_accel": 4, "tp": 2},
}
Table = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Return a writer of small tables: changes of the static row, blank where none is given."""

    def write(*changes: dict[str, object], name: str = "runs.csv") -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, SCHEMA, restval="")
            writer.writeheader()
            writer.writerows({**STATIC, **change} for change in changes)
        return path

    return write


def asked(**changes: object) -> ServeQuestion:
    return question_of(run_of(**changes), lookup())


# Reading


def test_reads_typed_rows_and_blanks(table):
    run, other = read_serve_runs(table({"tp": "", "power_w": ""}, {"batch_or_concurrency": "max"}))
    assert (run.n_accel, run.input_len, run.config_complete) == (1, 256.0, True)
    assert (run.tp, run.power_w, run.kv_precision, run.disaggregated) == (None, None, "", False)
    assert (run.line, other.line) == (2, 3)
    assert (run.batch, other.batch) == (4, None)


def test_a_packed_table_is_read_alike_and_told_by_its_columns(table, tmp_path):
    plain = table({})
    packed = tmp_path / "runs.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_serve_runs(packed) == read_serve_runs(plain)
    assert is_serving_file(packed)
    training = tmp_path / "training.csv"
    training.write_text("id,source,measured_metric\n")
    assert not is_serving_file(training)
    assert not is_serving_file(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measured_value": "fast"}, "line 3: measured_value is 'fast', but must be a number"),
        ({"tp": "two"}, "line 3: tp is 'two', but must be a number"),
        ({"input_len": "1k"}, "line 3: input_len is '1k'"),
        ({"measured_metric": "happiness"}, "line 3: measured_metric is 'happiness', but must be"),
        ({"measured_metric": ""}, "line 3: measured_metric is None"),
        ({"model_name": ""}, "line 3: .*model_name"),
        ({"measured_value": ""}, "line 3: .*measured_value"),
    ],
)
def test_a_broken_cell_is_named_by_line_and_column(change, said, table):
    with pytest.raises(TableError, match=said):
        read_serve_runs(table({}, change))


def test_a_table_without_a_column_it_needs_is_refused(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("id,source,model,accelerator,scenario,measured_metric,measured_value\n")
    with pytest.raises(TableError, match="there is no column 'model_name'; rename 'model'"):
        read_serve_runs(path)
    with pytest.raises(InputError, match="cannot read this file"):
        read_serve_runs(tmp_path / "nowhere.csv")


# Asking


def test_a_run_asks_about_its_model_machine_engine_and_cut():
    question = asked(tp=2, n_accel=2, weight_precision="fp8", kv_precision="fp8")
    [pool] = question.pools
    assert question.model.name == "llama-3.1-8b"
    assert question.cluster.accelerator.id == "nv-h100-sxm"
    assert question.engine.id == "vllm"
    one = pool.deployment
    assert (one.tp, one.weights, one.cache, pool.count) == (2, "fp8", "fp8", 1)


def test_what_a_source_does_not_say_is_filled_in_and_told():
    assert asked(tp=None, n_accel=4).pools[0].deployment.tp == 4
    assert "tp=4" in asked(tp=None, n_accel=4).filled[0]
    [pool] = asked(tp=2, n_accel=4).pools
    assert (pool.count, pool.deployment.tp) == (2, 2)
    assert asked().filled == ()
    [dense] = asked(dp=4, n_accel=4).pools
    assert (dense.count, dense.deployment.dp) == (4, 1)  # dense replicas share nothing
    [sparse] = asked(model_name="Qwen3-30B-A3B", dp=4, ep=4, n_accel=4).pools
    assert (sparse.count, sparse.deployment.dp, sparse.deployment.ep) == (1, 4, 4)


def test_workers_for_prompts_and_for_decoding_are_read_from_the_note():
    first, second = asked(**SCENARIOS["apart"]).pools
    assert (first.role, first.count, first.deployment.tp) == ("prefill", 1, 4)
    assert (second.role, second.count, second.deployment.tp) == ("decode", 1, 4)
    note = (
        "P/D split: 2 prefill worker(s) x 8 GPU (DP-attn8, EP8) + "
        "3 decode worker(s) x 4 GPU (TP4, EP4)"
    )
    first, second = asked(
        model_name="DeepSeek-R1", disaggregated=True, n_accel=28, notes=note, accelerator="B200"
    ).pools
    assert (first.count, first.deployment.dp, first.deployment.ep, first.deployment.tp) == (
        2,
        8,
        8,
        1,
    )
    assert (second.count, second.deployment.tp, second.deployment.ep) == (3, 4, 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_name": "Llama-9-1B"}, "no model 'Llama-9-1B'"),
        ({"accelerator": "Abacus"}, "Abacus: no such accelerator"),
        ({"weight_precision": "fp1"}, "no format called 'fp1'"),
    ],
)
def test_what_nobody_knows_is_named(change, said):
    with pytest.raises(InputError, match=said):
        asked(**change)


# Recipes


def test_a_later_recipe_wins_key_by_key_and_users_are_the_run_s():
    recipes = read_recipes([
        {"flags": [
            {"source": "made", "budget": 1024, "most": 64},
            {"source": "made", "engine": "vLLM", "budget": 2048, "graph_rows": "users"},
            {"source": "made", "users_from": 8, "most": "users"},
            {"source": "other", "budget": 1},
        ]},
    ])  # fmt: skip
    few = flags_of(run_of(), recipes)
    assert few == {"budget": 2048, "most": 64, "graph_rows": 4}
    many = flags_of(run_of(batch_or_concurrency="32", engine="SGLang"), recipes)
    assert many == {"budget": 1024, "most": 32}


@pytest.mark.parametrize(
    ("notes", "asked"),
    [
        ("InferenceX client, random_range_ratio 0.8, 320 prompts, ignore-eos", 320),
        ("3000 random prompts, ignore-eos", 3000),
        ("500 requests; lengths are dataset means", 500),
        ("10 prompts per concurrency slot", None),
        ("batch 128 requests", None),
    ],
)
def test_how_many_requests_were_sent_is_read_where_it_is_said(notes, asked):
    assert asked_of(run_of(notes=notes)) == asked


def test_a_server_s_limits_may_follow_from_users_and_prompt():
    recipes = read_recipes([{"flags": [{"source": "made", "beside": 1500, "most": "users - 1"}]}])
    assert flags_of(run_of(input_len=256.0), recipes) == {"budget": 256 + 4 + 1500, "most": 3}
    recipes += read_recipes([{"flags": [{"source": "made", "graph_rows": 0, "spread": 1.0}]}])
    assert flags_of(run_of(), recipes)["graph_rows"] == 0
    assert flags_of(run_of(), recipes)["spread"] == 1.0
    alone = flags_of(run_of(input_len=256.0, batch_or_concurrency="1"), recipes)
    assert alone["most"] == 1


def test_a_client_that_measures_in_windows_sees_no_burst_and_nobody_leaving():
    loop = {**SCENARIOS["closed loop"], "batch_or_concurrency": "16", "input_len": 8000.0}
    loop |= {"output_len": 200.0}
    first, rate = {"measured_metric": "ttft_ms"}, {"measured_metric": "output_tokens_per_s"}
    assert asked(source="nim18").settled
    assert not asked().settled
    assert predicted(**loop, **first, source="nim18") < 0.9 * predicted(**loop, **first)
    assert predicted(**loop, **rate, source="nim18") > predicted(**loop, **rate)


def test_conversations_of_all_lengths_are_drawn_around_a_printed_mean():
    row = run_of(notes="500 requests; input/output lengths are dataset means", input_len=202.0)
    assert lengths_of(row, spread=1.0) == (202.0, row.output_len, 1.0)
    assert lengths_of(run_of(input_len=202.0), spread=1.0)[0] == 101.0
    assert asked(
        source="trtllm014", engine="TensorRT-LLM", input_len=202.0, output_len=214.0
    ).spread


def test_requests_and_attention_of_one_s_own_are_taken_from_recipes():
    assert asked(source="inferencex-exp").requests == 20
    row = {"source": "tpu-recipes", "model_name": "Qwen3.5-397B-A17B", "accelerator": "TPU7x"}
    [pool] = asked(**row, n_accel=4, tp=8, weight_precision="fp8").pools
    assert (pool.deployment.tp, pool.deployment.dp, pool.deployment.most) == (1, 8, 64)


def test_a_printed_cut_and_a_printed_cache_are_taken_at_their_word():
    note = "Parallelism type column: Hybrid Tensor (2) and Pipeline (2) Parallelism"
    [pool] = asked(tp=1, pp=4, n_accel=4, notes=note).pools
    assert (pool.deployment.tp, pool.deployment.pp) == (2, 2)
    assert asked(kv_precision="int8").pools[0].deployment.cache == "int8"


@pytest.mark.parametrize(
    ("selector", "holds", "fails"),
    [
        ({"since": "2025-06-01"}, {}, {"date": "2025-05-31"}),
        ({"until": "2025-06"}, {"date": "2025-06-30"}, {"date": "2025-07-01"}),
        ({"shape": "256/16"}, {}, {"input_len": 257.0}),
        ({"tp": 2}, {"tp": 2}, {}),
        ({"disaggregated": True}, {"disaggregated": True}, {}),
        ({"users_to": 4}, {}, {"batch_or_concurrency": "5"}),
        ({"precision": "fp8"}, {"weight_precision": "fp8"}, {}),
        ({"accelerator": "H100"}, {}, {"accelerator": "B200"}),
        ({"model": "Llama"}, {}, {"model_name": "Qwen3-8B"}),
    ],
)
def test_a_recipe_holds_for_the_runs_it_selects(selector, holds, fails):
    [recipe] = read_recipes([{"flags": [{"source": "made", "budget": 1, **selector}]}])
    assert recipe.holds(run_of(**holds))
    assert not recipe.holds(run_of(**fails))


def test_a_flag_that_nobody_knows_is_refused():
    with pytest.raises(msgspec.ValidationError, match="bugdet"):
        read_recipes([{"flags": [{"source": "made", "bugdet": 1}]}])


# Predicting


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_predicted_positive_and_finite(name):
    assert 0.0 < predicted(**SCENARIOS[name]) < math.inf


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_predicted(metric):
    assert 0.0 < predicted(measured_metric=metric, per="system") < math.inf


@pytest.mark.parametrize("name", ["static batch", "decoding alone", "closed loop", "prompts alone"])
def test_a_rate_is_shared_as_the_row_counts_it(name):
    metric = "prefill_tokens_per_s" if name == "prompts alone" else "output_tokens_per_s"
    row = {**SCENARIOS[name], "tp": 2, "n_accel": 2, "measured_metric": metric}
    system = predicted(**row, per="system")
    assert predicted(**row, per="accelerator") == pytest.approx(system / 2)
    assert predicted(**row, per="node") == pytest.approx(system / 2 * 8)
    assert predicted(**row, per="user") == pytest.approx(system / 4)
    assert predicted(**row, per="stream") == pytest.approx(system / 4)


def test_rates_and_times_of_one_run_agree():
    tpot = predicted(scenario="decode only")
    assert predicted(scenario="decode only", measured_metric="itl_ms") == tpot
    rate = predicted(scenario="decode only", measured_metric="decode_tokens_per_s", per="system")
    assert rate == pytest.approx(4 / (tpot / 1e3))
    whole, first, each = (
        predicted(measured_metric=name) for name in ("e2e_latency_ms", "ttft_ms", "tpot_ms")
    )
    assert whole == pytest.approx(first + 15 * each)
    p50, p99 = (predicted(**SCENARIOS["Poisson"], percentile=p) for p in ("p50", "p99"))
    assert p50 <= p99


def test_a_prompt_at_a_depth_takes_what_it_adds_to_an_earlier_one():
    row = {"scenario": "prefill only", "measured_metric": "prefill_tokens_per_s", "per": "system"}
    row |= {"batch_or_concurrency": "1", "output_len": 0.0}
    rates = [
        predicted(**row, input_len=2048.0, notes=f"pp2048 at context depth {depth} (tokens)")
        for depth in (0, 4096, 32768)
    ]
    assert rates[0] > rates[1] > rates[2]
    whole = predicted(**row, input_len=6144.0)
    first = predicted(**row, input_len=4096.0)
    assert 2048.0 / rates[1] == pytest.approx(6144.0 / whole - 4096.0 / first)


def test_a_harder_row_takes_longer():
    assert predicted(output_len=16.0, input_len=2048.0, measured_metric="ttft_ms") > predicted(
        measured_metric="ttft_ms"
    )
    assert predicted(batch_or_concurrency="64") > predicted()
    assert predicted(weight_precision="fp8") < predicted()
    assert predicted(accelerator="H200") < predicted()
    assert predicted(tp=2, n_accel=2) < predicted()


# The score


def result(source: str, metric: str, error: float | None, **changes: object) -> scoring.ServeResult:
    base = {"id": "a", "model": "m", "accelerator": "h", "measured_value": 1.0, "status": "ok"}
    fields = {**base, "source": source, "metric": metric, "error": error, "sort": "TTFT"}
    fields |= changes
    return msgspec.convert(fields, scoring.ServeResult)


def test_a_score_is_by_source_and_metric_and_sources_count_alike():
    found = scoring.score_serving([
        *[result("many", "ttft_ms", error) for error in (0.1, -0.2, 0.3, 0.1, 0.1)],
        result("few", "ttft_ms", -0.5, low=0.9, high=1.1),
        result("few", "tpot_ms", 0.2, sort="TPOT dense", low=1.1, high=1.3),
        result("few", "itl_ms", 0.4, sort="TPOT sparse"),
        result("few", "requests_per_s", None, status="unsupported", reason="why"),
        result("few", "requests_per_s", None, status="incomplete"),
    ])  # fmt: skip
    assert (found.rows, found.ok, found.unsupported, found.incomplete) == (10, 8, 1, 1)
    assert [(one.source, one.metric, one.rows) for one in found.sources] == [
        ("few", "itl_ms", 1), ("few", "tpot_ms", 1), ("few", "ttft_ms", 1), ("many", "ttft_ms", 5),
    ]  # fmt: skip
    assert found.mean_source_median_abs_error == pytest.approx(
        {"TTFT": (0.1 + 0.5) / 2, "TPOT dense": 0.2, "TPOT sparse": 0.4}
    )
    assert found.coverage == {"TPOT dense": 0.0, "TTFT": 1.0, "all": 0.5}
    many = found.sources[-1]
    assert (many.median_abs_error, many.bias) == pytest.approx((0.1, 0.1))
    assert many.p90_abs_error == pytest.approx(0.26)


def test_rows_that_cannot_be_asked_about_are_not_predicted(table):
    path = table(
        {}, {"config_complete": 0}, {"model_name": "Llama-9-1B"}, {"tp": 64, "n_accel": 64}
    )
    ok, incomplete, unknown, _ = scoring.validate_serving(path, shipped())
    assert (ok.status, ok.engine, ok.sort) == ("ok", "vllm", "TPOT dense")
    assert ok.low < ok.predicted_value < ok.high
    assert ok.error == pytest.approx(ok.predicted_value / 9.0 - 1.0)
    assert (incomplete.status, incomplete.predicted_value) == ("incomplete", None)
    assert (unknown.status, unknown.error) == ("unsupported", None)
    assert "Llama-9-1B" in unknown.reason


def test_validate_prints_the_score_the_json_and_the_rows(table, capsys, tmp_path):
    path = table(*({"id": f"{n}.tpot_ms"} for n in range(3)), {"measured_metric": "ttft_ms"})
    out = tmp_path / "rows.csv"
    assert main(["validate", str(path), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "4 rows: 4 predicted, 0 unsupported, 0 incomplete" in text
    assert "TPOT dense" in text
    with out.open(encoding="utf-8") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["ok"] * 4
    assert main(["validate", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["source"], one["metric"], one["rows"]) for one in found["sources"]] == [
        ("made", "tpot_ms", 3),
        ("made", "ttft_ms", 1),
    ]
    assert main(["validate", str(table({"tp": "two"}))]) == 2
    assert "line 2: tp is 'two'" in capsys.readouterr().err
