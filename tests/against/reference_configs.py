"""What the parameter test knows of transformers: which types to compare, and how to make them.

Each table says why an entry is there. Nothing here imports transformers.
"""

from __future__ import annotations

from typing import Any

_ROPE = {"rope_theta": 10000.0, "rope_type": "default"}

CHANGES: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [3, 9]},
    "cohere_compass_text": {"rope_parameters": {"full_attention": _ROPE}},
    "dbrx": {
        "attn_config": {"kv_n_heads": 8, "rope_theta": 1e4, "model_type": ""},
        "ffn_config": {"hidden_size": 2048, "moe_num_experts": 8, "moe_top_k": 2},
    },
    "deepseek_v2": {"num_experts_per_tok": 6, "qk_rope_head_dim": 64},
    "dots1": {
        "n_routed_experts": 64,
        "n_shared_experts": 2,
        "head_dim": 128,
        "first_k_dense_replace": 1,
        "num_experts_per_tok": 6,
    },
    "glm4_moe": {"head_dim": 128},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * 16},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128, "num_experts": 4, "moe_topk": 2},
    "lfm2": {"layer_types": ["conv", "conv", "full_attention", "conv"] * 8},
    "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention"] * 8 + ["conv"] * 8},
    "ministral": {"head_dim": 128},
    "nemotron": {"head_dim": 128, "num_key_value_heads": 8},
    "qwen4_exp_text": {
        "layer_types": ["linear_attention", "indexed_attention"] * 20,
        "indexer_n_heads": 8,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 256,
        "indexer_budget": 2048,
        "indexer_compress_ratio": 4,
        "ple_layer_ids": [1, 5],
        "eos_token_id": 1,
    },
}
"""Default configurations that transformers cannot build, or that leave the interesting part out,
changed by as little as does it."""

_ENCODER = "an encoder; its language-model head is for training or for pairing with a decoder"
_HALF = "read as the encoder–decoder that it also is, and compared as that"
_DRAFT = "drafts for a Gemma 4 whose cache it reads; not a model by itself"
_SOUND = "reads or writes sound, and has no text part of its own"

NOT_COMPARED: dict[str, str] = {
    **dict.fromkeys(
        [
            "bert",
            "bert-generation",
            "big_bird",
            "camembert",
            "data2vec-text",
            "electra",
            "ernie",
            "megatron-bert",
            "rembert",
            "roberta",
            "roberta-prelayernorm",
            "roc_bert",
            "roformer",
            "xlm",
            "xlm-roberta",
            "xlm-roberta-xl",
            "xmod",
        ],
        _ENCODER,
    ),
    **dict.fromkeys(
        ["musicgen", "musicgen_melody", "seamless_m4t", "seamless_m4t_v2", "whisper"], _SOUND
    ),
    "blt": "four transformers of different widths, each at a pace of its own",
    "encoder-decoder": "a pair of any two models, with no numbers of its own",
    "gemma3n": "its picture tower needs a package for pictures; gemma3n_text is compared",
    "gemma4_assistant": _DRAFT,
    "gemma4_unified_assistant": _DRAFT,
    "git": "text and picture pass through one stack of layers after an encoder of pictures",
    "qwen4_exp": "transformers cannot build its default; qwen4_exp_text is compared",
    "reformer": "reversible layers, hashed attention, factored positions: not this cost model",
}
"""Types that are not compared, and why."""

CAUSAL_HALVES = frozenset(
    [
        "bart",
        "bigbird_pegasus",
        "blenderbot",
        "blenderbot-small",
        "marian",
        "mbart",
        "mvp",
        "pegasus",
        "plbart",
        "prophetnet",
        "moss_transcribe_diarize",
    ]
)
"""Types of the causal list that are compared in the list of encoder–decoders."""

_TIES = "untied, it also makes tables that nothing reads"

QUIRKS: dict[str, dict[str, str]] = {
    "helium": dict.fromkeys(
        ["hidden_size", "num_attention_heads", "head_dim"],
        "its output projection takes hidden_size inputs, whatever the heads give",
    ),
    "longcat_flash": dict.fromkeys(
        ["qk_nope_head_dim", "qk_rope_head_dim", "qk_head_dim"],
        "their sum is stored beside them, and not made anew",
    ),
    "mpt": {"expansion_ratio": "read, and then four times the width in any case"},
    "prophetnet": {"add_cross_attention": "would be a decoder without its encoder"},
    "xlstm": dict.fromkeys(
        ["hidden_size", "embedding_dim"], "two names of one width, used side by side"
    )
    | {"use_bias": "of all norms one has no bias"},
    "t5": {"tie_word_embeddings": "tied in any case, unlike the checkpoints of T5 1.1"},
    "zamba": {"tie_word_embeddings": "untied, the shared blocks come apart as well"},
}
QUIRKS |= dict.fromkeys(("longt5", "mt5", "umt5"), QUIRKS["t5"])
QUIRKS |= {"zamba2": QUIRKS["zamba"]}
QUIRKS |= {
    family: {"tie_word_embeddings": "the class for text alone asks its own part"}
    for family in ("dots3_note", "emu3", "llama4", "qwen3_5", "qwen3_5_moe")
}
QUIRKS |= {
    family: {"tie_word_embeddings": "missing outside, it is the default of the class"}
    for family in ("glmasr", "granite_speech", "granite_speech_plus", "moss_transcribe_diarize")
}
for _family in [
    "bart",
    "bigbird_pegasus",
    "blenderbot",
    "blenderbot-small",
    "led",
    "m2m_100",
    "marian",
    "mbart",
    "mvp",
    "nllb-moe",
    "pegasus",
    "pegasus_x",
    "plbart",
    "prophetnet",
    "switch_transformers",
    "t5gemma2",
]:
    QUIRKS[_family] = QUIRKS.get(_family, {}) | {"tie_word_embeddings": _TIES}
"""Keys that are not changed in a family, because transformers then builds what no checkpoint is."""

PICTURE_PARTS = ("vision", "embed_tokens_extend", "multi_modal")
"""In names of parameters: parts for pictures that sit inside the text model of some types."""
