"""Kinds of kernels with cells: what tables say, what fits find, what the catalogue predicts."""

from __future__ import annotations

import csv
import tomllib

import numpy as np
import pytest

from clusterwright.calibrate import writing
from clusterwright.calibrate.api import fit_kernels
from clusterwright.calibrate.physics import impossible_rows
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError, TableError
from clusterwright.kernels import decode, experts, latent, prefill
from clusterwright.kernels.cells import head_cells, head_distance
from clusterwright.kernels.columns import LATENCY, Table
from clusterwright.kernels.kinds import KINDS, kind_of_columns
from clusterwright.kernels.loads import load_of
from clusterwright.validation.kernel_rows import Predictor, score_kernels

FACTS = Catalogue()
H100 = FACTS.accelerator("h100")

DECODE_TRUTH = {
    "query_tile": 64.0,
    "group_limit": 0.0,
    "window_limit": 0.0,
    "peak_efficiency": 0.3,
    "fill_tiles": 132.0,
    "split_keys": 128.0,
    "split_latency": 5e-7,
    "chunk_time": 1e-6,
    "reread_speedup": 3.0,
    "cache_speedup": 2.0,
    "window_waste_d64": 0.0,
    "window_waste_d128": 0.0,
    "memory_efficiency_d64": 0.6,
    "memory_efficiency_d128": 0.9,
    "tile_time_d64": 1e-8,
    "tile_time_d128": 4e-8,
    "key_time_d64": 1e-13,
    "key_time_d128": 1e-13,
    "floor_d64": 7e-6,
    "floor_d128": 1.2e-5,
}


def decode_table() -> Table:
    shapes = [
        (batch, step, 8.0 * group, 8.0, dim, 0.0)
        for batch in (1.0, 2.0, 8.0, 16.0, 64.0, 512.0)
        for step in (1.0, 63.0, 255.0, 1023.0, 8191.0, 65535.0)
        for group in (1.0, 4.0, 8.0)
        for dim in (64.0, 128.0)
    ]
    return Table(dict(zip(decode.NUMBERS, np.array(shapes).T, strict=True)))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    path = tmp_path_factory.mktemp("kernels") / "decode.csv"
    table = decode_table()
    times = KINDS["attention_decode"].times(table, H100, "bf16", DECODE_TRUTH)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        numbers = decode.NUMBERS
        out.writerow(["system", "framework", "kv_cache_dtype", *numbers, "latency_us"])
        for i, time in enumerate(times):
            shape = [table[name][i] for name in numbers]
            out.writerow(["h100_sxm", "VLLM", "bfloat16", *shape, time * 1e6])
    return path, fit_kernels(path, "attention_decode", source="made up")


def test_a_fit_with_cells_finds_each_cell_s_own_parameters(fitted):
    (residual,) = fitted[1].residuals
    assert residual.median < 0.01
    (branch,) = fitted[1].kernels[0].precisions["bf16"].branches
    for name in ("floor_d64", "floor_d128", "memory_efficiency_d64", "memory_efficiency_d128"):
        assert branch.values[name] == pytest.approx(DECODE_TRUTH[name], rel=0.1), name


def test_a_fit_with_cells_is_written_and_read_back(fitted, tmp_path):
    path, found = fitted
    text = writing.as_toml(found.kernels, source="made up", confidence="A", checked="2026-11-22")
    assert tomllib.loads(text)["kernels"][0]["kind"] == "attention_decode"
    own = tmp_path / "own.toml"
    own.write_text(text)
    (group,) = score_kernels(path, KINDS["attention_decode"], catalogue=FACTS.with_files([own]))
    assert group.median < 0.01


def test_too_few_rows_are_refused(fitted, tmp_path):
    lines = fitted[0].read_text().splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join([lines[0], *lines[-11:]]))
    with pytest.raises(InputError, match="too few to fit"):
        fit_kernels(short, "attention_decode")


def test_a_head_size_that_nobody_measured_follows_the_nearest_of_its_path():
    cells = head_cells(np.array([96.0, 256.0, 96.0]), np.array([0.0, 0.0, 128.0]))
    values = {"floor_d64": 1.0, "floor_d128": 2.0, "floor_d128w": 3.0}
    assert cells.spread(values, "floor", head_distance).tolist() == [2.0, 2.0, 3.0]
    assert cells.spread({"floor": 5.0}, "floor", head_distance) == 5.0


@pytest.mark.parametrize(
    ("kind", "words", "name"),
    [
        ("attention_prefill", ("fp8", "fp8"), "fp8"),
        ("attention_prefill", ("float16", "fp8"), "bf16_fp8"),
        ("attention_decode", ("bfloat16",), "bf16"),
        ("latent_decode", ("mla_generation", "fp8"), "fp8"),
        ("experts", ("nvfp4",), "nvfp4"),
    ],
)
def test_precisions_have_the_catalogue_s_names(kind, words, name):
    assert KINDS[kind].precision(words) == name


@pytest.mark.parametrize(
    ("kind", "words", "message"),
    [
        ("attention_prefill", ("int3", "fp8"), "attn_dtype is 'int3'"),
        ("latent_decode", ("mla_context", "fp8"), "op_name is 'mla_context'"),
        ("experts", ("fp3",), "moe_dtype is 'fp3'"),
    ],
)
def test_an_unknown_precision_is_named_with_its_column(kind, words, message):
    with pytest.raises(TableError, match=message):
        KINDS[kind].precision(words)


def test_tables_are_told_apart_by_their_columns():
    words = ("system", "framework", "latency_us")
    for kind in KINDS.values():
        columns = (*words, *kind.words, *kind.labels, *kind.numbers)
        assert kind_of_columns(columns) is kind


@pytest.mark.parametrize("distribution", ["balanced", "power_law_1.01", "power_law_1.2"])
@pytest.mark.parametrize("tokens", [1, 7, 64, 4096])
def test_all_ranks_together_hold_every_pair_of_a_token_and_an_expert(tokens, distribution):
    whole = load_of(tokens, 8, 256, 1, distribution)
    assert whole.rows == 8 * tokens
    assert whole.tokens == tokens
    assert 1 <= whole.touched <= min(256, 8 * tokens)


def test_the_busiest_rank_of_a_power_law_has_more_than_its_share():
    assert load_of(4096, 8, 256, 8, "balanced").rows == 4096
    assert load_of(4096, 8, 256, 8, "power_law_1.2").rows > 4096
    assert load_of(4096, 8, 256, 8, "power_law_1.2").tokens <= 4096


def test_an_unknown_distribution_is_named():
    with pytest.raises(TableError, match="distribution is 'even'"):
        load_of(1, 1, 8, 1, "even")


def experts_table(**changed):
    one = {
        "num_tokens": 4096.0,
        "hidden_size": 4096.0,
        "inter_size": 1536.0,
        "topk": 8.0,
        "num_experts": 128.0,
        "moe_tp_size": 1.0,
        "moe_ep_size": 8.0,
        "distribution": "balanced",
        "framework": "VLLM",
    }
    return Table({name: np.array([value]) for name, value in {**one, **changed}.items()})


def test_an_expert_s_shard_does_a_share_of_the_work():
    kind = KINDS["experts"]
    whole, cut = (kind.work(experts_table(moe_tp_size=size), "bf16")[0][0] for size in (1.0, 4.0))
    assert whole == pytest.approx(4.0 * cut)
    ungated = kind.work(experts_table(hidden_size=2688.0, inter_size=1856.0), "bf16")[0][0]
    assert ungated == pytest.approx(2.0 * 4096 * 2 * 2688 * 1856)


def test_an_empty_table_of_experts_has_no_load():
    empty = experts_table().where(np.array([False]))
    assert len(experts.prepared(empty)["rows"]) == 0


def experts_features(**changed):
    found = experts.features(experts_table(**changed))
    return {name: float(column[0]) for name, column in found.items()}


def test_experts_that_sglang_leaves_to_its_generic_kernel_are_told_by_their_sizes():
    mixtral = {"hidden_size": 4096.0, "inter_size": 14336.0}
    assert experts_features(framework="SGLang", **mixtral)["generic"] == 1.0
    assert experts_features(framework="VLLM", **mixtral)["generic"] == 0.0
    assert experts_features(framework="SGLang")["generic"] == 0.0


def test_a_shard_that_no_tile_fits_is_ragged():
    assert experts_features(moe_tp_size=4.0)["ragged"] == 0.0
    assert experts_features(moe_tp_size=8.0)["ragged"] == 1.0


def test_an_engine_is_given_all_tokens_unless_its_tables_time_a_rank_s_own():
    one_rank = {"num_tokens": 8192.0, "moe_ep_size": 128.0, "framework": "SGLang"}
    assert experts_features(**one_rank)["tokens"] == 8192.0
    assert experts_features(dir_version="0.5.14", **one_rank)["tokens"] == 8192.0
    assert experts_features(dir_version="0.5.10", **one_rank)["tokens"] == 512.0
    assert (
        experts_features(**{**one_rank, "framework": "VLLM"}, dir_version="0.5.10")["tokens"]
        == 8192.0
    )


def test_rows_faster_than_the_chip_are_found_in_every_kind():
    prompts = Table(
        {
            **dict(zip(prefill.NUMBERS, np.array([[8.0, 16384, 32, 8, 128, 0]]).T, strict=True)),
            LATENCY: np.array([1000.0]),
        }
    )
    tokens = Table(
        {
            **dict(zip(decode.NUMBERS, np.array([[64.0, 65535, 32, 8, 128, 0]]).T, strict=True)),
            LATENCY: np.array([1000.0]),
        }
    )
    found = impossible_rows(prompts, KINDS["attention_prefill"], H100, "bf16")
    assert found.faster_than_peak.all()
    found = impossible_rows(tokens, KINDS["attention_decode"], H100, "bf16")
    assert found.faster_than_memory.all()


SHAPES = {
    "attention_prefill": ("bf16", (8.0, 4096.0, 32.0, 8.0, 128.0, 0.0)),
    "attention_decode": ("bf16", (64.0, 4095.0, 32.0, 8.0, 128.0, 0.0)),
    "latent_decode": ("bf16", (64.0, 4095.0, 128.0)),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_a_chip_without_measured_kernels_is_predicted_within_twice_of_its_kin(kind):
    precision, shape = SHAPES[kind]
    table = Table(dict(zip(KINDS[kind].numbers, np.array([shape]).T, strict=True)))
    predictor = Predictor(FACTS, KINDS[kind])
    known = predictor.times(table, H100, "sglang", precision)[0]
    unknown = predictor.times(table, H100, "an-engine-of-one-s-own", precision)[0]
    assert 0.5 < unknown / known < 2.0


def test_a_shipped_kernel_beats_neither_the_peak_nor_the_memory_on_large_shapes():
    predictor = {name: Predictor(FACTS, KINDS[name]) for name in SHAPES}
    for name, (precision, shape) in SHAPES.items():
        kind = KINDS[name]
        table = Table(dict(zip(kind.numbers, np.array([shape]).T, strict=True)))
        flops, num_bytes = kind.work(table, precision)
        for chip in ("h100", "b200", "l40s"):
            accelerator = FACTS.accelerator(chip)
            assert accelerator.memory_bandwidth
            time = predictor[name].times(table, accelerator, "sglang", precision)
            assert (time >= flops / kind.peak(accelerator, precision)).all()
            assert (time >= num_bytes / accelerator.memory_bandwidth).all()


def test_a_module_of_latent_attention_takes_longer_than_its_core():
    table = Table(dict(zip(latent.NUMBERS, np.array([[64.0, 4095.0, 128.0]]).T, strict=True)))
    predictor = Predictor(FACTS, KINDS["latent_decode"])
    core, module = (
        predictor.times(table, H100, "trtllm", precision)[0]
        for precision in ("bf16", "bf16_module")
    )
    assert module > core
