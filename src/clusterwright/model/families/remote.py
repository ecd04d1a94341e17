"""Families with code of their own, which transformers does not hold; held to published counts."""

from __future__ import annotations

from functools import partial

from clusterwright.model.families.common import Reader
from clusterwright.model.families.decoder_only import Traits, read_decoder
from clusterwright.model.families.dialects import NO_BIAS, QKV_BIAS, read_dialect
from clusterwright.model.keys import Keys
from clusterwright.model.records import Model


def read_qwen(keys: Keys, name: str) -> Model:
    """Read the first Qwen: ``intermediate_size`` is of both matrices going up together."""
    extra = {"intermediate_size": keys.count("intermediate_size") // 2}
    keys.ignore("kv_channels", "no_bias", "use_flash_attn", "use_dynamic_ntk", "use_logn_attn")
    return read_decoder(keys.merged(extra), name, QKV_BIAS)


def read_chatglm(keys: Keys, name: str) -> Model:
    """Read ChatGLM 2, ChatGLM 3 and the first files of GLM-4: keys of Megatron."""
    heads = keys.count("num_attention_heads")
    grouped = keys.flag("multi_query_attention", default=False)
    groups = keys.count("multi_query_group_num", default=1) if grouped else heads
    keys.ignore(
        "multi_query_group_num", "rmsnorm", "post_layer_norm", "apply_query_key_layer_scaling"
    )
    keys.ignore("bias_dropout_fusion", "attention_softmax_in_fp32", "original_rope", "vocab_size")
    extra = {
        "num_key_value_heads": groups,
        "head_dim": keys.count("kv_channels", default=128),
        "vocab_size": keys.count("padded_vocab_size", default=keys.count("vocab_size", default=1)),
    }
    traits = Traits(qkv_bias="add_qkv_bias", out_bias="add_bias_linear", mlp_bias="add_bias_linear")
    return read_decoder(keys.merged(extra), name, traits)


TRAITS: dict[str, Traits] = {
    "bailing_moe": Traits(qkv_bias="use_qkv_bias", out_bias="use_bias", mlp_bias="use_bias"),
    "baichuan": NO_BIAS,
    "deepseek": Traits(mlp_bias=False),
    "exaone": NO_BIAS,
    "internlm2": Traits(qkv_bias="bias", out_bias="bias", mlp_bias=False),
    "minicpm": Traits(mlp_bias=False, tied=True),
}

READERS: dict[str, Reader] = {
    "chatglm": read_chatglm,
    "qwen": read_qwen,
    **{family: partial(read_dialect, traits=traits) for family, traits in TRAITS.items()},
}
