"""The dialects of the llama-like decoder: what each family does without saying so.

Each row was held against the reference implementation (``tests/against``).
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from clusterwright.model.families.common import Reader
from clusterwright.model.families.decoder_only import Traits, read_decoder
from clusterwright.model.keys import Keys
from clusterwright.model.records import Model

NO_BIAS = Traits(qkv_bias=False, out_bias=False, mlp_bias=False)
QKV_BIAS = Traits(qkv_bias=True, out_bias=False, mlp_bias=False)
ALL_BIAS = Traits(qkv_bias=True, out_bias=True, mlp_bias=True)

TRAITS: dict[str, Traits] = {
    "afmoe": Traits(
        mlp_bias=False, norms=4, gate="full", qk_norm="head", router_bias=True, full_every=4
    ),
    "apertus": Traits(mlp_bias=False, gated=False, qk_norm="head", scalars=2),
    "arcee": Traits(gated=False),
    "aria_text": Traits(default_shared=2),
    "beam": Traits(
        mlp_bias=False, norms=4, gate="full", heads_vectors=1, qk_norm="head", full_every=6
    ),
    "bitnet": Traits(mlp_bias=False, hidden_vectors=1, width_vectors=1),
    "cohere": Traits(mlp_bias=False, norms=1, tied=True, qk_norm="all", qk_norm_if="use_qk_norm"),
    "cohere2": Traits(mlp_bias=False, norms=1, tied=True, full_every=4),
    "cohere2_moe": Traits(mlp_bias=False, norms=1, tied=True, full_every=4),
    "cohere_compass_text": Traits(mlp_bias=False, norms=1, tied=True),
    "cwm": Traits(qkv_bias=False, out_bias=False, full_every=4),
    "diffllama": Traits(mlp_bias=False, head_vectors=4),
    "dots1": Traits(mlp_bias=False, qk_norm="head"),
    "emu3_text_model": Traits(),
    "ernie4_5": Traits(qkv_bias="use_bias", out_bias="use_bias", mlp_bias="use_bias", tied=True),
    "exaone4": replace(NO_BIAS, qk_norm="head", full_every=4),
    "exaone_moe": replace(NO_BIAS, qk_norm="head", full_every=4),
    "flex_olmo": Traits(mlp_bias=False, qk_norm="all"),
    "flint": Traits(mlp_bias=False, qk_norm="head", sinks=True),
    "gemma": Traits(mlp_bias=False, tied=True, head_dim=256),
    "gemma2": Traits(mlp_bias=False, tied=True, head_dim=256, norms=4, full_every=2),
    "gemma3_text": Traits(
        mlp_bias=False, tied=True, head_dim=256, norms=4, full_every=6, qk_norm="head"
    ),
    "glm": Traits(qkv_bias="!attention_bias", out_bias=False, mlp_bias=False),
    "glm4": Traits(qkv_bias="!attention_bias", out_bias=False, mlp_bias=False, norms=4),
    "glm4_moe": Traits(out_bias=False, mlp_bias=False, qk_norm="head", qk_norm_if="use_qk_norm"),
    "gpt_oss": Traits(
        qkv_bias="!attention_bias",
        out_bias="!attention_bias",
        sinks=True,
        full_every=2,
        router_bias=True,
        expert_bias=True,
    ),
    "granite": Traits(),
    "granite_swa": Traits(sinks=True, tied=True),
    "granitemoe": Traits(),
    "granitemoe_swa": Traits(sinks=True),
    "granitemoeshared": Traits(),
    "helium": Traits(out_bias=False),
    "hunyuan_v1_dense": Traits(mlp_bias=False, qk_norm="head"),
    "hy_v3": Traits(qk_norm="head"),
    "hyperclovax": Traits(norms_if=("!use_post_norm", 4)),
    "internlm3": Traits(),
    "iquestcoder": Traits(),
    "jais2": Traits(
        qkv_bias="!attention_bias",
        out_bias="!attention_bias",
        mlp_bias="!mlp_bias",
        norm="layer",
        gated=False,
    ),
    "kolibri1": replace(NO_BIAS, norms=4, qk_norm="head"),
    "llama": Traits(),
    "mellum": Traits(mlp_bias=False, qk_norm="head"),
    "minimax_m2": replace(NO_BIAS, qk_norm="all"),
    "ministral": NO_BIAS,
    "ministral3": NO_BIAS,
    "mistral": NO_BIAS,
    "mixtral": NO_BIAS,
    "nanochat": Traits(mlp_bias=False, norm="none", gated=False),
    "nemotron": Traits(norm="layer", gated=False),
    "olmo": Traits(mlp_bias=False, norm="none"),
    "olmo2": Traits(mlp_bias=False, qk_norm="all"),
    "olmo3": Traits(mlp_bias=False, qk_norm="all", full_every=4),
    "olmoe": Traits(mlp_bias=False, qk_norm="all"),
    "persimmon": replace(
        ALL_BIAS,
        norm="layer",
        gated=False,
        qk_norm="head",
        qk_norm_if="!qk_layernorm",
        qk_norm_kind="layer",
    ),
    "phi": replace(
        ALL_BIAS,
        norm="layer",
        norms=1,
        gated=False,
        head_bias=True,
        qk_norm="head",
        qk_norm_if="qk_layernorm",
        qk_norm_kind="layer",
    ),
    "phi3": NO_BIAS,
    "phi4_multimodal": NO_BIAS,
    "phimoe": Traits(mlp_bias=False, norm="layer", head_bias="lm_head_bias"),
    "qwen2": QKV_BIAS,
    "qwen2_5_omni_text": QKV_BIAS,
    "qwen2_5_vl": QKV_BIAS,
    "qwen2_5_vl_text": QKV_BIAS,
    "qwen2_vl": QKV_BIAS,
    "qwen2_vl_text": QKV_BIAS,
    "qwen2_moe": Traits(qkv_bias="!qkv_bias", out_bias=False, mlp_bias=False, shared_gate=True),
    "qwen3": Traits(mlp_bias=False, qk_norm="head"),
    "qwen3_moe": Traits(mlp_bias=False, qk_norm="head"),
    "qwen3_omni_moe_text": Traits(mlp_bias=False, qk_norm="head"),
    "qwen3_vl_moe_text": Traits(mlp_bias=False, qk_norm="head"),
    "qwen3_vl_text": Traits(mlp_bias=False, qk_norm="head"),
    "seed_oss": Traits(qkv_bias="!attention_bias", out_bias="attention_out_bias"),
    "smollm3": Traits(tied=True),
    "solar_open": Traits(out_bias=False, mlp_bias=False),
    "stablelm": Traits(
        qkv_bias="use_qkv_bias",
        out_bias=False,
        mlp_bias=False,
        norm="layer",
        norms_if=("use_parallel_residual", 1),
        qk_norm="all",
        qk_norm_if="qk_layernorm",
    ),
    "starcoder2": Traits(
        qkv_bias="!use_bias",
        out_bias="!use_bias",
        mlp_bias="!use_bias",
        norm="layer",
        gated=False,
        tied=True,
    ),
    "voxtral_realtime_text": replace(NO_BIAS, hidden_vectors=64, tied=True),
    "vaultgemma": Traits(mlp_bias=False, tied=True, head_dim=256, full_every=2),
}


def read_dialect(keys: Keys, name: str, *, traits: Traits) -> Model:
    """Read a family that differs from the common decoder in its traits alone."""
    return read_decoder(keys, name, traits)


READERS: dict[str, Reader] = {
    family: partial(read_dialect, traits=traits) for family, traits in TRAITS.items()
}
