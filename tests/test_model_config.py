"""Reading configurations: known counts, shapes, and one sentence for what cannot be read."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from clusterwright.errors import ConfigError
from clusterwright.model.config import load_config
from clusterwright.model.decoder import Latent, Sparse, decoder
from clusterwright.model.families.registry import READERS
from clusterwright.model.parameters import count_block, count_parameters

CATALOGUE = Path(__file__).parents[1] / "catalogue" / "models"

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 8192,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "intermediate_size": 28672,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
    "rms_norm_eps": 1e-05,
    "rope_theta": 500000.0,
    "max_position_embeddings": 8192,
}

MIXTRAL: dict[str, Any] = {
    "model_type": "mixtral",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "vocab_size": 32000,
}

DEEPSEEK_V3: dict[str, Any] = {
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "num_nextn_predict_layers": 1,
    "vocab_size": 129280,
    "tie_word_embeddings": False,
}


def published_counts() -> list[tuple[str, str, int]]:
    """Return (name, file, parameters) of every catalogue model whose count is known exactly."""
    found = []
    for path in sorted(CATALOGUE.glob("*.toml")):
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("model", [])
        found += [
            (entry["id"], entry["config"], entry["parameters_counted"])
            for entry in entries
            if "parameters_counted" in entry and "config" in entry
        ]
    return found


@pytest.mark.parametrize(("name", "config", "parameters"), published_counts())
def test_models_of_the_catalogue_have_the_parameters_that_were_counted(name, config, parameters):
    assert count_parameters(load_config(CATALOGUE / config, name=name)).total == parameters


@pytest.mark.parametrize(
    ("values", "total"),
    [
        (LLAMA, 70_553_706_496),
        (
            {
                **LLAMA,
                "hidden_size": 16384,
                "num_hidden_layers": 126,
                "num_attention_heads": 128,
                "intermediate_size": 53248,
            },
            405_853_388_800,
        ),
        (MIXTRAL, 46_702_792_704),
        (DEEPSEEK_V3, 671_026_404_352),
        ({"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024,
          "vocab_size": 50257}, 124_439_808),
        ({"model_type": "opt", "hidden_size": 1024, "num_hidden_layers": 24, "ffn_dim": 4096,
          "num_attention_heads": 16, "word_embed_proj_dim": 512, "vocab_size": 50272,
          "do_layer_norm_before": False, "max_position_embeddings": 2048}, 331_196_416),
        ({"model_type": "bloom", "hidden_size": 14336, "n_layer": 70, "n_head": 112,
          "vocab_size": 250880}, 176_247_271_424),
        ({"model_type": "t5", "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6,
          "num_heads": 8, "vocab_size": 32128}, 60_506_624),
        ({"model_type": "qwen", "hidden_size": 4096, "intermediate_size": 22016,
          "vocab_size": 151936, "num_attention_heads": 32, "num_hidden_layers": 32,
          "kv_channels": 128, "tie_word_embeddings": False}, 7_721_324_544),
        ({"model_type": "chatglm", "hidden_size": 4096, "ffn_hidden_size": 13696, "num_layers": 28,
          "num_attention_heads": 32, "kv_channels": 128, "multi_query_attention": True,
          "multi_query_group_num": 2, "add_qkv_bias": True, "padded_vocab_size": 65024,
          "tie_word_embeddings": False}, 6_243_584_000),
        ({"model_type": "internlm2", "hidden_size": 4096, "intermediate_size": 14336, "bias": False,
          "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
          "vocab_size": 92544, "tie_word_embeddings": False}, 7_737_708_544),
        ({"model_type": "baichuan", "hidden_size": 4096, "intermediate_size": 11008,
          "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 125696,
          "tie_word_embeddings": False}, 7_505_973_248),
        ({"model_type": "deepseek", "hidden_size": 2048, "intermediate_size": 10944,
          "moe_intermediate_size": 1408, "num_hidden_layers": 28, "num_attention_heads": 16,
          "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6,
          "first_k_dense_replace": 1, "vocab_size": 102400,
          "tie_word_embeddings": False}, 16_375_728_128),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_known_models_have_their_published_parameters(values, total):
    assert count_parameters(load_config(values)).total == total


def test_a_token_meets_the_experts_that_it_visits_and_no_other():
    mixtral = count_parameters(load_config(MIXTRAL))
    assert mixtral.active == 12_879_925_248
    assert mixtral.total - mixtral.active == 32 * 6 * 3 * 4096 * 14336
    assert round(count_parameters(load_config(DEEPSEEK_V3)).active / 1e9, 1) == 37.6
    llama = count_parameters(load_config(LLAMA))
    assert llama.active == llama.total


def test_the_parts_add_up_to_the_total():
    count = count_parameters(load_config(DEEPSEEK_V3))
    parts = (
        count.embedding + count.mixer + count.mlp + count.experts + count.shared_experts
        + count.router + count.vectors + count.head - count.shared
    )  # fmt: skip
    assert count.total == parts
    assert count.router == 58 * 256 * 7168
    assert count.mlp == 3 * 3 * 7168 * 18432


def test_multi_token_prediction_is_counted_beside_the_model():
    model = load_config(DEEPSEEK_V3)
    without = load_config({**DEEPSEEK_V3, "num_nextn_predict_layers": 0})
    assert (model.mtp_layers, model.num_layers) == (1, 61)
    assert count_parameters(model).total == count_parameters(without).total
    last = count_block(model.blocks[model.layout[-1]], 7168).total
    assert count_parameters(model).mtp == last + 2 * 7168**2 + 3 * 7168


def test_grouped_query_attention_has_a_fused_projection_and_a_core():
    model = load_config(LLAMA)
    (block,) = model.blocks
    assert model.count_of == (80,)
    assert [(p.name, p.inputs, p.outputs, p.split) for p in block.projections] == [
        ("qkv", 8192, (64 + 2 * 8) * 128, "column"),
        ("out", 8192, 8192, "row"),
    ]
    (core,) = block.cores
    assert (core.num_heads, core.num_kv_heads, core.query_key_dim, core.window) == (
        64,
        8,
        128,
        None,
    )


def test_latent_attention_replicates_what_goes_down_and_splits_what_goes_up():
    block = load_config(DEEPSEEK_V3).blocks[0]
    assert {p.name: p.split for p in block.projections} == {
        "q_a": "replicated",
        "q_b": "column",
        "kv_a": "replicated",
        "kv_b": "column",
        "out": "row",
    }
    (core,) = block.cores
    assert (core.query_key_dim, core.value_dim, core.num_kv_heads) == (192, 128, 128)


def test_the_first_layers_of_deepseek_are_dense():
    model = load_config(DEEPSEEK_V3)
    assert model.count_of == (3, 58)
    dense, sparse = model.blocks
    assert (dense.mlp is not None, dense.experts) == (True, None)
    assert (sparse.mlp, sparse.experts.top_k, sparse.experts.shared_width) == (None, 8, 2048)


WINDOWS = {**LLAMA, "model_type": "mistral", "sliding_window": 4096, "num_hidden_layers": 6}


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, [4096] * 6),
        ({"sliding_window": None}, [None] * 6),
        ({"layer_types": ["sliding_attention", "full_attention"] * 3}, [4096, None] * 3),
        ({"model_type": "gemma2"}, [4096, None] * 3),
        ({"model_type": "gemma3_text", "sliding_window_pattern": 3}, [4096, 4096, None] * 2),
        ({"model_type": "exaone4", "sliding_window_pattern": "LLG"}, [4096, 4096, None] * 2),
        ({"model_type": "qwen2", "use_sliding_window": False}, [None] * 6),
        (
            {"model_type": "qwen2", "use_sliding_window": True, "max_window_layers": 4},
            [None] * 4 + [4096] * 2,
        ),
    ],
)
def test_windows_follow_the_pattern_of_the_family(changes, seen):
    model = load_config({**WINDOWS, **changes})
    assert [model.blocks[index].cores[0].window for index in model.layout] == seen


def test_a_linear_layer_has_a_state_and_a_full_layer_has_none():
    values = {
        **LLAMA,
        "model_type": "qwen3_next",
        "num_hidden_layers": 8,
        "num_experts": 0,
        "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512,
    }
    model = load_config(values)
    kinds = [model.blocks[index].cores[0].kind for index in model.layout]
    assert kinds == ["linear", "linear", "linear", "softmax"] * 2


def test_an_encoder_decoder_lists_its_encoder_first():
    values = {
        "model_type": "bart",
        "d_model": 64,
        "encoder_layers": 2,
        "decoder_layers": 3,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 128,
        "decoder_ffn_dim": 128,
        "max_position_embeddings": 16,
        "vocab_size": 100,
    }
    model = load_config(values)
    assert (model.encoder_layers, model.num_layers) == (2, 5)
    encoder, decoder_block = (model.blocks[model.layout[0]], model.blocks[model.layout[-1]])
    assert [core.causal for core in encoder.cores] == [False]
    assert [core.causal for core in decoder_block.cores] == [True, False]


def test_layers_that_share_weights_are_counted_once():
    values = {
        "model_type": "zamba2",
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 100,
        "n_mamba_heads": 8,
        "layers_block_type": ["hybrid", "mamba", "hybrid", "mamba"],
        "num_mem_blocks": 1,
    }
    twice = count_parameters(load_config(values))
    both = count_parameters(load_config({**values, "num_mem_blocks": 2}))
    assert twice.shared == both.total - twice.total > 0


def test_a_path_may_be_a_file_or_a_folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    from_folder = load_config(tmp_path)
    assert from_folder == load_config(tmp_path / "config.json")
    assert from_folder.name == tmp_path.name
    assert load_config(str(tmp_path), name="mine").name == "mine"


def test_a_family_that_nobody_knows_is_read_as_llama_and_said_so():
    model = load_config({**LLAMA, "model_type": "brand_new"})
    assert model.unknown_keys == ("model_type=brand_new (read as a llama-like decoder)",)
    assert count_parameters(model).total == 70_553_706_496


def test_keys_that_nobody_read_are_named_and_harmless_ones_are_not():
    model = load_config({**LLAMA, "num_widgets": 3, "rope_scaling": None, "torch_dtype": "bf16"})
    assert model.unknown_keys == ("num_widgets",)


def test_of_a_model_that_sees_the_text_part_is_read_and_the_rest_named():
    text = {key: value for key, value in LLAMA.items() if key != "vocab_size"}
    values = {
        "model_type": "llava",
        "vocab_size": 128256,
        "text_config": text,
        "vision_config": {"hidden_size": 1024},
    }
    model = load_config(values)
    assert count_parameters(model).total == 70_553_706_496
    assert model.unknown_keys == ("vision_config (not counted: only the text part is read)",)


def test_what_files_of_gemma_leave_out_is_filled_in_and_said():
    values = {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "sliding_window": 1024,
        },
    }
    model = load_config(values)
    assert model.vocab_size == 262208
    assert any("num_attention_heads=8" in key for key in model.unknown_keys)


def without(key: str) -> dict[str, Any]:
    return {other: value for other, value in LLAMA.items() if other != key}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (without("hidden_size"), "the key hidden_size is missing; give a whole number"),
        (without("vocab_size"), "vocab_size is missing"),
        ({**LLAMA, "num_hidden_layers": 0}, "num_hidden_layers is 0, but a whole number of at"),
        ({**LLAMA, "num_hidden_layers": 10**9}, "a whole number of at most 10000"),
        ({**LLAMA, "hidden_size": "8192"}, "hidden_size is '8192', but a whole number"),
        ({**LLAMA, "hidden_size": 8192.5}, "hidden_size is 8192.5, but"),
        ({**LLAMA, "hidden_size": True}, "hidden_size is True, but"),
        ({**LLAMA, "tie_word_embeddings": "no"}, "tie_word_embeddings is 'no', but true or false"),
        ({**LLAMA, "num_attention_heads": 60, "num_key_value_heads": 60},
         "hidden_size 8192 is not divisible by num_attention_heads 60; give head_dim"),
        ({**LLAMA, "num_key_value_heads": 7},
         "num_key_value_heads 7 does not divide num_attention_heads 64; .* is 8"),
        ({**LLAMA, "layer_types": ["full_attention"], "sliding_window": 8},
         "layer_types is a list of 1, but a list of 80, one per layer"),
        ({**MIXTRAL, "num_experts_per_tok": 9}, "num_experts_per_tok 9 is more than num_experts 8"),
        ({key: value for key, value in MIXTRAL.items() if key != "num_local_experts"},
         r"num_experts is missing; .*n_routed_experts, num_local_experts"),
        ({"model_type": "bert", "hidden_size": 768}, "'bert' is an encoder"),
        ({"model_type": "vit"}, "'vit' is a vision model"),
        ({"model_type": "whisper", "d_model": 384}, "'whisper' is an audio model"),
        ({"model_type": "lamma", "hidden_size": 8}, "'lamma' is not known.* did you mean llama"),
        ({}, "'\\(missing\\)' is not known"),
        ({"model_type": "clusterwright-decoder", "hidden_size": 64, "num_hidden_layers": 2,
          "num_attention_heads": 4, "vocab_size": 10, "norm": "batch"},
         "norm is 'batch', but one of"),
        ({**LLAMA, "model_type": "nemotron_h", "hybrid_override_pattern": "MX"},
         "hybrid_override_pattern is 'X', but M"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_one_sentence(values, sentence):
    with pytest.raises(ConfigError, match=sentence) as refusal:
        load_config(values)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"hidden_size": 8,\n "a" 1}', "not JSON at line 2, column 6"),
        ("", "the file is empty"),
        ("  \n", "the file is empty"),
        ("[1, 2]", "not an object"),
        ("[" * 100_000, "not a model configuration"),
        ('{"hidden_size": ' + "9" * 5000 + "}", "not a model configuration"),
    ],
)
def test_a_file_that_is_not_a_configuration_is_refused(tmp_path, text, sentence):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        load_config(path)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(path)


def test_a_folder_without_a_configuration_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"the folder has no config\.json"):
        load_config(tmp_path)
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "nothing.json")


JUNK: list[Any] = ["text", -1, 0, 3, 10**12, float("nan"), 0.5, [], [1, 2], ["x"], {}, True]


@pytest.mark.parametrize(
    "path", sorted((CATALOGUE / "configs").glob("*.json"))[::6], ids=lambda p: p.stem
)
def test_nonsense_in_any_key_is_read_or_refused_and_never_crashes(path):
    values = json.loads(path.read_text(encoding="utf-8"))
    refused = 0
    for key in values:
        for junk in JUNK:
            try:
                count_parameters(load_config({**values, key: junk}))
            except ConfigError as error:
                refused += len(str(error).splitlines()) == 1
    assert refused > len(JUNK)


def test_every_family_refuses_an_empty_configuration():
    for family in READERS:
        with pytest.raises(ConfigError):
            load_config({"model_type": family})


PLAIN: dict[str, Any] = {
    "model_type": "clusterwright-decoder",
    "hidden_size": 1024,
    "num_hidden_layers": 8,
    "num_attention_heads": 16,
    "vocab_size": 5000,
    "intermediate_size": 2816,
}


def test_our_own_form_and_the_helper_make_the_same_model():
    told = load_config({**PLAIN, "num_key_value_heads": 4, "tie_word_embeddings": True}, name="x")
    built = decoder(
        layers=8, hidden=1024, heads=16, kv_heads=4, vocab=5000, ffn=2816, tied=True, name="x"
    )
    assert told == built


def test_our_own_form_makes_llama_mixtral_and_deepseek():
    llama = {**LLAMA, "model_type": "clusterwright-decoder"}
    assert count_parameters(load_config(llama)).total == 70_553_706_496
    deepseek = {
        **DEEPSEEK_V3,
        "model_type": "clusterwright-decoder",
        "shared_expert_intermediate_size": 2048,
    }
    ours, theirs = load_config(deepseek), load_config(DEEPSEEK_V3)
    assert (ours.blocks, ours.layout) == (theirs.blocks, theirs.layout)
    assert count_parameters(ours) == count_parameters(theirs)


def test_our_own_form_makes_gpt3():
    values = {
        "model_type": "clusterwright-decoder",
        "hidden_size": 12288,
        "num_hidden_layers": 96,
        "num_attention_heads": 96,
        "vocab_size": 50257,
        "gated_mlp": False,
        "intermediate_size": 49152,
        "norm": "layernorm",
        "attention_bias": True,
        "mlp_bias": True,
        "learned_positions": 2048,
        "tie_word_embeddings": True,
    }
    assert count_parameters(load_config(values)).total == 174_604_259_328


def test_the_helper_builds_experts_latent_attention_and_parallel_blocks():
    sparse = Sparse(num_experts=8, top_k=2, width=256, shared_width=256, first_dense=1, every=2)
    latent = Latent(kv_rank=64, query_rank=96, nope_dim=32, rope_dim=16, value_dim=32)
    model = decoder(
        layers=6, hidden=256, heads=8, vocab=1000, sparse=sparse, latent=latent, parallel_block=True
    )
    holds = [model.blocks[index].experts is not None for index in model.layout]
    assert holds == [False, False, True, False, True, False]
    assert model.blocks[0].vector_parameters == 96 + 64 + 256
    assert model.blocks[0].cores[0].query_key_dim == 48


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layers": 0}, "layers is 0, but at least 1"),
        ({"heads": 7}, "not divisible"),
        ({"kv_heads": 5}, "does not divide"),
        ({"windows": [1, 2]}, "2 windows for 4 layers"),
    ],
)
def test_the_helper_refuses_what_cannot_be(changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        decoder(**{"layers": 4, "hidden": 64, "heads": 8, "vocab": 100, **changes})
