"""Asking about published runs, and the arithmetic of the score."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from validation_cases import LLAMA_70B

from clusterwright.catalogue.store import Catalogue
from clusterwright.hardware import Cluster
from clusterwright.model.parameters import count_parameters
from clusterwright.model.records import Model
from clusterwright.records import Record
from clusterwright.software import Software
from clusterwright.strategy import Strategy
from clusterwright.training.estimate import Term
from clusterwright.validation import metrics, output, scoring
from clusterwright.validation.lookup import Lookup
from clusterwright.validation.questions import Question, Unasked, question_of
from clusterwright.validation.runs import Run, default_runs_path, read_runs
from clusterwright.validation.shapes import plain_name
from clusterwright.workload import TrainingWorkload


class Guess(Record, frozen=True, kw_only=True):
    """A prediction as the score needs it."""

    step_time: float
    step_time_interval: tuple[float, float]
    memory_bytes: float = 3e9
    allocated_bytes: float = 1e9
    fits: bool = True
    waterfall: tuple[Term, ...] = ()


def guess(time: float, *, fits: Callable[[Strategy], bool] = lambda _: True) -> scoring.Predict:
    """Return a cost model that always says the same."""

    def predict(
        model: Model,
        cluster: Cluster,
        workload: TrainingWorkload,
        strategy: Strategy,
        *,
        software: Software,
    ) -> Guess:
        return Guess(
            step_time=time, step_time_interval=(0.8 * time, 1.25 * time), fits=fits(strategy)
        )

    return predict


@pytest.fixture(scope="module")
def lookup() -> Lookup:
    """The shipped catalogue, indexed."""
    return Lookup(Catalogue())


def run_of(**changes: object) -> Run:
    """Return the 70B run with other cells (None: blank)."""
    cells = {**LLAMA_70B, "line": 2, **changes}
    flags = ("gated_ffn", "sequence_parallel", "flash_attention", "config_complete")
    kept = {k: bool(v) if k in flags else v for k, v in cells.items() if v is not None}
    return msgspec.convert(kept, Run)


def asked(lookup: Lookup, **changes: object) -> Question:
    """Return the question of a changed 70B run, which must be one."""
    question = question_of(run_of(**changes), lookup)
    assert isinstance(question, Question), str(question)
    return question


# Asking


def test_a_known_model_is_taken_from_the_catalogue(lookup: Lookup) -> None:
    question = asked(lookup)
    assert question.model.name == "llama-3-70b"
    assert question.software.id == "nemo"
    assert question.strategy.schedule == "interleaved"
    assert question.strategy.overlap_tp


def test_a_proxy_keeps_the_printed_shape(lookup: Lookup) -> None:
    question = asked(
        lookup,
        model_name="Llama-3.1-405B (42-layer proxy)",
        params_total_b=139.5,
        n_layers=42,
        d_model=16384,
        n_heads=128,
        n_kv_heads=16,
        d_ff=53248,
        pp=2,
        vpp=1,
        dp=8,
    )
    assert question.model.num_layers == 42
    assert math.isclose(count_parameters(question.model).total, 139.5e9, rel_tol=0.002)


@pytest.mark.parametrize(("printed", "tied"), [(7.55, False), (7.01, True)])
def test_printed_parameters_tell_tied_from_untied(
    lookup: Lookup, printed: float, tied: bool
) -> None:
    shape = {"n_layers": 32, "d_model": 4096, "n_heads": 32, "n_kv_heads": 32, "d_ff": 11008}
    question = asked(
        lookup,
        model_name="unheard-of",
        params_total_b=printed,
        vocab=131072,
        pp=2,
        vpp=1,
        dp=8,
        **shape,
    )
    total = count_parameters(question.model)
    assert (total.head == 0) is tied
    assert math.isclose(total.total, printed * 1e9, rel_tol=0.05)


def test_a_blank_shape_of_a_known_model_is_filled_and_said(lookup: Lookup) -> None:
    blank = dict.fromkeys(("n_layers", "d_model", "n_heads", "n_kv_heads", "d_ff", "vocab"))
    question = asked(lookup, **blank)
    assert question.model.num_layers == 80
    assert any("from the catalogue" in fill for fill in question.filled)


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"model_name": "unheard-of", "d_ff": None}, "incomplete", "d_ff"),
        ({"tp": None, "seq_len": None}, "incomplete", "seq_len, tp"),
        ({"global_batch_seqs": None}, "incomplete", "global_batch_seqs"),
        ({"accelerator": "Abacus 9"}, "unsupported", "Abacus 9"),
        ({"accelerator": "A64FX (Fugaku CPU node)"}, "unsupported", "A64FX"),
        ({"measured_metric": "accel_hours"}, "unsupported", "whole training run"),
        ({"dp": 8}, "unsupported", "tp × pp × cp × dp is 128"),
        ({"micro_batch": 3}, "unsupported", "not a multiple"),
        ({"precision": "int8 (AQT matmuls, bf16 elsewhere)"}, "unsupported", "int8"),
    ],
)
def test_what_cannot_be_asked_says_why(
    lookup: Lookup, changes: dict[str, object], status: str, words: str
) -> None:
    unasked = question_of(run_of(**changes), lookup)
    assert isinstance(unasked, Unasked)
    assert unasked.status == status
    assert words in unasked.reason


@pytest.mark.parametrize(
    ("printed", "accelerator", "devices"),
    [
        ("GB300", "nv-gb300", 1),
        ("Blackwell GPU (GB200)", "nv-gb200", 1),
        ("H200-NVL", "nv-h200-nvl", 1),
        ("H100 96GB HBM2e 500W", "nv-h100-96-sxm", 1),
        ("A100-SXM-40GB", "nv-a100-40-sxm", 1),
        ("A100-40GB (p4d.24xlarge)", "nv-a100-40-sxm", 1),
        ("V100-16GB SXM2", "nv-v100-sxm2-16", 1),
        ("TPU7x (Ironwood)", "tpu-v7", 2),
        ("TPU v6e (Trillium)", "tpu-v6e", 1),
        ("Trainium1", "aws-trn1", 2),
        ("Ascend 910B (Atlas 900 A2 PODc)", "hw-910b3", 1),
        ("AMD Instinct MI355X", "amd-mi355x", 1),
        ("Intel Gaudi3 128GB", "intel-gaudi3", 1),
    ],
)
def test_accelerators_are_recognised(
    lookup: Lookup, printed: str, accelerator: str, devices: int
) -> None:
    found = lookup.device_of(printed)
    assert found is not None
    assert (found.accelerator, found.devices) == (accelerator, devices)


def test_a_chip_of_two_devices_is_split(lookup: Lookup) -> None:
    question = asked(
        lookup,
        accelerator="TPU7x (Ironwood)",
        accel_per_node=None,
        framework="MaxText (JAX)",
        tp=1,
        pp=1,
        vpp=1,
        dp=128,
        zero_stage=3,
    )
    whole = lookup.facts.any_cluster("tpu-v7", 64)
    assert question.cluster.count == 128
    half = question.cluster.accelerator
    assert half.peaks["bf16"] == whole.accelerator.peaks["bf16"] / 2
    assert question.cluster.levels[0].bandwidth == whole.levels[0].bandwidth / 2


def test_printed_links_and_domains_replace_the_customary_ones(lookup: Lookup) -> None:
    slow = asked(lookup, inter_node_link_gbps_per_accel=50.0).cluster
    assert [level.size for level in slow.levels] == [8, 64]
    assert slow.levels[-1].bandwidth == 50e9 / 8
    rack = asked(
        lookup, accelerator="GB200", accel_per_node=4, intra_node_link="NVLink5 (NVL72 domain)"
    )
    assert rack.cluster.levels[0].size == 64
    quarters = asked(lookup, accel_per_node=4).cluster
    assert quarters.levels[0].size == 4


@pytest.mark.parametrize(
    ("framework", "date", "software"),
    [
        ("Megatron-LM", "2021-04", "megatron-lm-2021"),
        ("Megatron-LM", "2025-04", "megatron-core"),
        ("Megatron-Core / Megatron-Bridge (NeMo 26.04)", "2026-04", "megatron-bridge"),
        ("Megatron-DeepSpeed (BigScience)", "2022", "megatron-deepspeed-2022"),
        ("Alpa (JAX/XLA)", "2022", "alpa"),
        ("something of our own", "2025", "pytorch"),
    ],
)
def test_frameworks_are_recognised(
    lookup: Lookup, framework: str, date: str, software: str
) -> None:
    assert asked(lookup, framework=framework, date=date).software.id == software


def test_notes_are_read_by_general_patterns(lookup: Lookup) -> None:
    noted = asked(
        lookup,
        framework="Megatron-Core / Megatron-Bridge (NeMo 26.04)",
        sharding_notes="FSDP group 2; block recompute of 5 layers only, CPU activation offload of "
        "20 layers, cuda_graph none; --tp-comm-overlap",
        recompute="selective",
        zero_stage=3,
    )
    strategy = noted.strategy
    assert (strategy.shard_group, strategy.recompute, strategy.recompute_layers) == (2, "full", 5)
    assert (strategy.offload, strategy.overlap_tp) == ("activations", True)
    assert noted.software.graphs is False
    graphs = asked(lookup, sharding_notes="cuda_graph local; a2a overlap True")
    assert (graphs.software.graphs, graphs.strategy.overlap_ep) == (True, True)
    off = asked(lookup, sharding_notes="activation CPU offload False; EP overlap off")
    assert (off.strategy.offload, off.strategy.overlap_ep) == ("none", False)
    assert asked(lookup, notes="DualPipe schedule").strategy.schedule == "dualpipe"


def test_low_rank_adapters_are_recognised(lookup: Lookup) -> None:
    question = asked(lookup, model_name="Llama-3-70B LoRA (rank 8)", zero_stage=None)
    assert (question.workload.method, question.workload.lora_rank) == ("lora", 8)
    assert question.model.name == "llama-3-70b"
    assert question.strategy.zero == 0


def test_mixtures_and_latent_attention_are_built_from_the_notes(lookup: Lookup) -> None:
    question = asked(
        lookup,
        model_name="unheard-of",
        params_total_b=671,
        n_layers=61,
        d_model=7168,
        n_heads=128,
        n_kv_heads=128,
        d_ff=2048,
        vocab=129280,
        n_experts=256,
        top_k=8,
        shared_experts=1,
        moe_layer_freq="first 3 dense (d_ff 18432), then 1",
        attention="MLA",
        notes="plus 1 MTP layer; MLA dims: q_lora 1536, kv_lora 512, qk nope 128 + rope 64, v 128",
        ep=8,
        pp=4,
        vpp=1,
    )
    count = count_parameters(question.model)
    assert math.isclose(count.total, 671e9, rel_tol=0.001)
    assert math.isclose(count.active, 37.6e9, rel_tol=0.01)
    assert question.model.mtp_layers == 1


def test_every_blank_is_listed(lookup: Lookup) -> None:
    blank = asked(lookup, micro_batch=None, recompute=None, zero_stage=None, vpp=None)
    words = " | ".join(blank.filled)
    for name in ("micro_batch=1", "recompute=none", "zero=1", "vpp=1", "flash_attention=1"):
        assert name in words
    assert blank.recompute_open


def test_plain_names_meet() -> None:
    assert plain_name("LLAMA3.1_405B") == plain_name("meta-llama/Llama-3.1-405B")
    assert plain_name("Qwen3_30B_a3B") == plain_name("Qwen/Qwen3-30B-A3B")


# Scoring


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("step_time_s", 14.0),
        ("tokens_per_s_per_accel", 1170.0),
        ("tflops_per_accel", 500.0),
        ("mfu", 0.5),
    ],
)
def test_metrics_convert_there_and_back(lookup: Lookup, metric: str, value: float) -> None:
    run = run_of(measured_metric=metric, measured_value=value)
    question = question_of(run, lookup)
    assert isinstance(question, Question)
    time = metrics.time_of(run, question, value)
    assert math.isclose(metrics.value_of(run, question, time), value, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("words", "attention", "recompute", "peak"),
    [
        ("", 1.0, False, None),
        ("attention not halved, recompute excluded; peak 989 bf16 / 1979 fp8", 1.0, False, 989e12),
        (
            "6*(N - input embedding) + 6*L*h*s, i.e. attention IS halved for causality",
            0.5,
            False,
            None,
        ),
        ("MaxText model TFLOP/s per chip; attention causal-halved", 0.5, False, None),
        ("hardware TFLOP/s incl. recompute: F=96Bslh^2(1+s/6h+V/16lh)", 1.0, True, None),
        ("hardware TFLOP/s, old estimate 8*N*tokens (source says about 3% low)", 0.0, True, None),
        ("MFU = (6*(N - embedding) + 12*L*h*s)*tps/989e12", 1.0, False, 989e12),
    ],
)
def test_flop_conventions_are_read(
    lookup: Lookup, words: str, attention: float, recompute: bool, peak: float | None
) -> None:
    run = run_of(measured_metric="tflops_per_accel", tflops_formula=words)
    question = question_of(run, lookup)
    assert isinstance(question, Question)
    count = metrics.flop_count_of(run, question)
    assert (count.attention, count.recompute, count.peak) == (attention, recompute, peak)


def test_the_hardware_count_is_that_of_the_paper(lookup: Lookup) -> None:
    """SC21 table 1: 145.6B on 1,536 accelerators at 148 TFLOP/s is a step of 24.8 s."""
    run = run_of(
        model_name="GPT 145.6B",
        params_total_b=145.6,
        n_layers=80,
        d_model=12288,
        n_heads=96,
        n_kv_heads=96,
        d_ff=49152,
        gated_ffn=0,
        vocab=51200,
        seq_len=2048,
        accelerator="A100-80GB",
        framework="Megatron-LM",
        date="2021-04",
        precision="fp16",
        n_accel=1536,
        tp=8,
        pp=8,
        vpp=2,
        dp=24,
        micro_batch=2,
        global_batch_seqs=2304,
        recompute="full",
        measured_metric="tflops_per_accel",
        measured_value=148.0,
        tflops_formula="hardware TFLOP/s incl. recompute: F=96Bslh^2(1+s/6h+V/16lh)",
    )
    question = question_of(run, lookup)
    assert isinstance(question, Question)
    assert math.isclose(metrics.time_of(run, question, 148.0), 24.82, rel_tol=0.001)
    assert math.isclose(metrics.flat_time(question) / 24.82, 1.019, rel_tol=0.002)


def test_one_result(lookup: Lookup) -> None:
    run = run_of(measured_metric="tokens_per_s_per_accel", measured_value=1024.0)
    tokens = 128 * 8192
    measured = tokens / (1024.0 * 64)
    result = scoring.result_of(run, question_of(run, lookup), guess(measured * 1.1))
    assert result.status == "ok"
    assert result.error == pytest.approx(0.1)
    assert result.predicted_value == pytest.approx(1024.0 / 1.1)
    assert result.predicted_low == pytest.approx(1024.0 / 1.1 / 1.25)
    assert result.inside is True
    assert (result.model_kind, result.accelerator) == ("dense", "nv-h100-sxm")


def test_recompute_goes_up_only_where_it_was_not_printed(lookup: Lookup) -> None:
    needs_full = guess(10.0, fits=lambda s: s.recompute == "full")
    question, prediction = scoring.answer(asked(lookup, recompute=None), needs_full)
    assert (question.strategy.recompute, prediction.fits) == ("full", True)
    assert any("the default does not fit" in fill for fill in question.filled)
    question, prediction = scoring.answer(asked(lookup), needs_full)
    assert (question.strategy.recompute, prediction.fits) == ("none", False)
    never = guess(10.0, fits=lambda _: False)
    question, _ = scoring.answer(asked(lookup, recompute=None), never)
    assert question.strategy.recompute == "none"


def made(name: str, source: str, error: float | None, **changes: Any) -> scoring.Result:
    """Return a result that was predicted."""
    fields: dict[str, Any] = {
        "id": name,
        "source": source,
        "metric": "step_time_s",
        "status": "ok",
        "accelerator": "x",
        "measured_value": 1.0,
        "error": error,
        "flat_error": 0.5,
        "inside": error is not None and abs(error) <= 0.2,
        "fits": True,
    }
    return scoring.Result(**{**fields, **changes})


def test_score_weighs_sources_not_rows() -> None:
    results = [made(f"s{i}", "sweep", 0.4) for i in range(9)]
    results += [made("p1", "paper", 0.1), made("p2", "paper", -0.2), made("p3", "paper", -0.3)]
    results += [made("u", "paper", None, status="unsupported", fits=None)]
    results += [made("i", "paper", 9.0, complete=False)]
    total = scoring.score(results)
    assert (total.rows, total.ok, total.unsupported, total.incomplete) == (13, 12, 1, 0)
    assert [s.source for s in total.sources] == ["sweep", "paper"]
    paper = total.sources[1]
    assert (paper.rows, paper.median_abs_error, paper.bias) == (3, 0.2, -0.2)
    assert paper.coverage80 == pytest.approx(2 / 3)
    assert paper.p90_abs_error == pytest.approx(0.28)
    assert total.mean_source_median_abs_error == pytest.approx(0.3)


def test_metrics_of_one_source_are_judged_apart() -> None:
    results = [made("a", "s", 0.1), made("b", "s", 0.3, metric="mfu")]
    assert [s.metric for s in scoring.score(results).sources] == ["mfu", "step_time_s"]


def test_json_has_exactly_the_promised_keys() -> None:
    plain = output.as_json(scoring.score([made("a", "s", 0.1)]))
    assert list(plain) == [
        "rows",
        "ok",
        "unsupported",
        "incomplete",
        "mean_source_median_abs_error",
        "sources",
    ]
    assert list(plain["sources"][0]) == [
        "source",
        "metric",
        "rows",
        "median_abs_error",
        "p90_abs_error",
        "bias",
        "coverage80",
        "flat_median_abs_error",
    ]


def test_an_empty_score_is_no_error() -> None:
    total = scoring.score([])
    assert total.mean_source_median_abs_error is None
    assert "0 runs" in output.as_text([])


def test_results_as_csv_and_text() -> None:
    results = [made("a", "s", 0.1, filled=("x=1", "y=2")), made("b", "s", 0.2, fits=False)]
    lines = output.as_csv(results).splitlines()
    assert lines[0].split(",")[:3] == ["id", "source", "metric"]
    assert "x=1; y=2" in lines[1]
    assert "15.0 %" in output.as_text(results)
    assert scoring.score(results).false_oom == 0.5


def test_the_whole_shipped_table_is_asked(lookup: Lookup) -> None:
    """Most complete rows become questions; the rest say why."""
    runs = [run for run in read_runs(default_runs_path()) if run.config_complete][::7]
    results = scoring.score_runs(runs, lookup, guess(1.0))
    states = [result.status for result in results]
    assert states.count("ok") > 0.95 * len(states)
    assert all(result.reason for result in results if result.status != "ok")


def test_efa_is_known_by_its_name(lookup):
    told = question_of(run_of(notes="inter-node network is AWS EFA"), lookup)
    plain = question_of(run_of(), lookup)
    assert told.cluster.levels[-1].latency == pytest.approx(35e-6)
    assert told.cluster.levels[-1].latency > plain.cluster.levels[-1].latency
    assert any("EFA" in words for words in told.filled)
