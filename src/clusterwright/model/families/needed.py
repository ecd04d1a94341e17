"""Keys that a family cannot be read without, and the few that its files are known to leave out.

A key that is missing takes, in the reference implementation, the number of some first model of the
family. Read silently that would be a wrong model; so it is refused here, with the key's name.
"""

from __future__ import annotations

from clusterwright.model.keys import ALIASES, Keys

_LATENT = (
    "axk1 axk2 bailing_hybrid deepseek_v2 deepseek_v3 deepseek_v32 dots3_note_text glm4_moe_lite "
    "glm_moe_dsa hy_v4 kimi_k2 kimi_linear longcat_flash minicpm3 youtu"
)
_EXPERTS = (
    "afmoe aria_text axk1 axk2 bailing_hybrid beam cohere2_moe deepseek_v2 deepseek_v3 "
    "deepseek_v32 deepseek_v4 dots1 dots3_note_text ernie4_5_moe exaone_moe flex_olmo flint "
    "glm4_moe glm4_moe_lite glm_moe_dsa gpt_oss granitemoe granitemoe_swa granitemoehybrid "
    "granitemoeshared hunyuan_v1_moe hy_v3 hy_v4 inkling2_text inkling_text jamba jetmoe kimi_k2 "
    "kimi_linear kolibri1 laguna lfm2_moe llama4_text mellum mimo_v2_flash minimax minimax_m2 "
    "minimax_m3_vl_text mixtral olmoe phimoe qwen2_moe qwen3_5_moe_text qwen3_moe qwen3_next "
    "solar_open"
)
_NARROW_EXPERTS = (
    "afmoe axk1 axk2 bailing_hybrid beam deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4 dots1 "
    "dots3_note_text ernie4_5_moe exaone_moe flint glm4_moe glm4_moe_lite glm_moe_dsa hy_v3 "
    "hy_v4 inkling2_text inkling_text kimi_k2 kimi_linear kolibri1 laguna lfm2_moe mellum "
    "mimo_v2_flash qwen2_moe qwen3_5_moe_text qwen3_moe qwen3_next solar_open"
)
_GROUPS = (
    "bamba beam bitnet cwm ernie4_5 ernie4_5_moe falcon_h1 flint glm glm4 glm4_moe gpt_oss "
    "granite_swa hy_v3 inkling2_text inkling_text internlm3 iquestcoder jamba kolibri1 laguna "
    "lfm2 lfm2_moe lfm3 llama4_text mellum minimax minimax_m2 minimax_m3_vl_text ministral "
    "ministral3 mistral mixtral nemotron_h phi4_multimodal phimoe qwen3_5_moe_text qwen3_5_text "
    "qwen3_moe qwen3_next qwen4_exp_text seed_oss smollm3 solar_open starcoder2 vaultgemma zaya"
)
_SHARED_COUNT = (
    "afmoe axk1 axk2 bailing_hybrid deepseek_v2 deepseek_v3 deepseek_v32 exaone_moe glm4_moe "
    "glm4_moe_lite glm_moe_dsa hy_v3 hy_v4 inkling_text kimi_k2 kimi_linear solar_open"
)
_HEAD_WIDTH = (
    "beam ernie4_5 flint gpt_oss hy_v3 inkling2_text inkling_text kolibri1 laguna mellum "
    "mimo_v2_flash minimax_m2 minimax_m3_vl_text seed_oss solar_open zaya"
)
_FIRST_DENSE = (
    "axk1 axk2 beam deepseek_v3 deepseek_v32 dots3_note_text glm4_moe glm4_moe_lite glm_moe_dsa "
    "hy_v3 hy_v4 kimi_k2 kimi_linear laguna mimo_v2_flash"
)

NEEDED: dict[str, str] = {
    "num_key_value_heads": _GROUPS,
    "head_dim": _HEAD_WIDTH,
    "num_experts": _EXPERTS,
    "moe_intermediate_size": _NARROW_EXPERTS,
    "num_shared_experts": _SHARED_COUNT,
    "shared_expert_intermediate_size": (
        "flint kolibri1 laguna qwen2_moe qwen3_5_moe_text qwen3_next qwen4_exp_text"
    ),
    "shared_intermediate_size": "granitemoehybrid minimax_m3_vl_text",
    "mlp_layer_types|first_k_dense_replace|moe_layer_freq": _FIRST_DENSE,
    "num_dense_layers": "afmoe lfm2_moe",
    "mlp_only_layers": "flint",
    "moe_layer_start_index": "ernie4_5_moe",
    "q_lora_rank": _LATENT.replace("bailing_hybrid ", "").replace("kimi_linear ", ""),
    "v_head_dim": "mimo_v2_flash",
    "sliding_window": "dots3_note_text mimo_v2_flash",
    "layer_types|hybrid_layer_pattern": "dots3_note_text lfm3 mimo_v2_flash",
    "layer_types|full_attn_idxs": "lfm2 lfm2_moe",
    "layer_types|attn_type_list": "minimax",
    "indexer_types": "hy_v4",
    "conv_L_cache": "lfm3",
    "swa_num_key_value_heads": "inkling2_text inkling_text",
    "sliding_window_size": "inkling2_text inkling_text",
    "zero_expert_num": "longcat_flash",
    "intermediate_size": "lfm2_moe",
    "mamba_d_ssm": "falcon_h1",
    "num_sparse_encoder_layers": "switch_transformers",
    "num_sparse_decoder_layers": "switch_transformers",
    "num_global_tokens": "pegasus_x",
    "linear_num_key_heads": "olmo_hybrid",
    "linear_num_value_heads": "olmo_hybrid",
    "linear_key_head_dim": "olmo_hybrid",
    "linear_value_head_dim": "olmo_hybrid",
    "per_layer_config": "dots3_note_text",
}
"""Each key, or keys of which one is enough, with the families that need it (null is an answer)."""

OMITTED: dict[str, dict[str, int]] = {
    "gemma": {"vocab_size": 256000, "num_attention_heads": 16},
    "gemma2": {"vocab_size": 256000, "num_attention_heads": 8, "num_key_value_heads": 4},
    "gemma3_text": {"vocab_size": 262208, "num_attention_heads": 8, "num_key_value_heads": 4},
    "gemma3n_text": {"vocab_size": 262400, "num_attention_heads": 8, "num_key_value_heads": 2},
    "gemma4_text": {"vocab_size": 262144, "num_attention_heads": 8, "num_key_value_heads": 4},
    "gemma4_unified_text": {
        "vocab_size": 262144,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
    },
}
"""What published files of a family leave out, as the format defines it; said to the person."""


def completed(keys: Keys, family: str) -> Keys:
    """Return the configuration with what files of the family leave out.

    Raises
    ------
    ConfigError
        A key is missing that the family cannot be read without.
    """
    for names, families in NEEDED.items():
        choices = names.split("|")
        if family in families.split() and not any(_given(keys, name) for name in choices):
            raise keys.missing(choices[0], "its value")
    left_out = {
        key: value for key, value in OMITTED.get(family, {}).items() if not _given(keys, key)
    }
    for key, value in left_out.items():
        keys.note(f"{key}={value} (missing; what the family's files leave out)")
    return keys.merged(left_out) if left_out else keys


def _given(keys: Keys, name: str) -> bool:
    return any(key in keys.values for key in ALIASES.get(name, (name,)))
