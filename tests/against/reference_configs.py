"""What the parameter test needs to know of transformers: which types, and how to make them.

Each table says why an entry is there. Nothing here is needed without transformers.
"""

from __future__ import annotations

from typing import Any

_ROPE = {"rope_theta": 10000.0, "rope_type": "default"}

CHANGES: dict[str, dict[str, Any]] = {
    # Default configurations of transformers that it cannot build itself, or that leave the
    # interesting part out; changed by as little as does it.
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

_ENCODER = "an encoder; its language-model head serves other ends than generation"
_SPEECH = "reads sound; its text decoder is a type of its own that is tested"
_HALF = "also an encoder–decoder, and tested and read as that; this is its decoder alone"

NOT_READ: dict[str, str] = {
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
        [
            "audioflamingo3",
            "glmasr",
            "granite_speech",
            "granite_speech_plus",
            "moss_transcribe_diarize",
            "musicflamingo",
            "nemo_speechlm",
            "qwen2_audio",
            "qwen3_asr",
            "vibevoice_asr",
            "voxtral",
            "voxtral_realtime",
        ],
        _SPEECH,
    ),
    "blt": "four transformers of different widths, each at a pace of its own",
    "encoder-decoder": "a pair of any two models, which has no numbers of its own",
    "gemma4_assistant": "drafts for a Gemma 4 whose cache it reads; not a model by itself",
    "gemma4_unified_assistant": "drafts for a Gemma 4 whose cache it reads; not a model by itself",
    "git": "its own layers hold an encoder of images",
    "musicgen": "writes sound codes",
    "musicgen_melody": "writes sound codes",
    "reformer": "reversible layers with axial positions and hashing; nobody trains it",
    "seamless_m4t": "reads and writes sound; its text halves are one part of six",
    "seamless_m4t_v2": "reads and writes sound; its text halves are one part of six",
    "whisper": "reads sound",
}
"""Types that are not read, and why."""

DECODER_HALVES = frozenset(
    """bart bigbird_pegasus blenderbot blenderbot-small marian mbart mvp pegasus plbart
    prophetnet""".split()
)
"""Causal types that are read as the encoder–decoders that they also are."""

WRAPPERS: dict[str, str] = {
    "aria_text": "",
    "cwm": "",
}

TEXT_PARTS: dict[str, str] = {
    # Types with parts for images or sound: their text part is read, and compared by itself.
    "cohere_compass_text": "",
    "dots3_note": "dots3_note_text",
    "emu3": "emu3_text_model",
    "fuyu": "persimmon",
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "gemma4_unified": "gemma4_unified_text",
    "got_ocr2": "qwen2",
    "llama4": "llama4_text",
    "mllama": "mllama_text_model",
    "phi4_multimodal": "phi3",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "qwen4_exp": "qwen4_exp_text",
}
"""Multimodal types and the type of their text part."""

QUIRKS: dict[str, dict[str, str]] = {
    # Keys that are not changed in a family, because transformers then builds something else than
    # the published models of the family are.
    "helium": {
        "hidden_size": "the output projection takes hidden_size inputs, whatever the heads give",
        "num_attention_heads": "as hidden_size",
        "head_dim": "as hidden_size",
    },
    "mpt": {"expansion_ratio": "read and then not used: four times the width in any case"},
    "prophetnet": {"add_cross_attention": "would be a decoder without its encoder"},
    "xlstm": {
        "hidden_size": "embedding_dim is a second name of it, and used beside it",
        "embedding_dim": "as hidden_size",
        "use_bias": "one norm in the state has no bias although its kin have",
    },
    **{
        family: {"tie_word_embeddings": "untied, it makes a table of which nothing reads a row"}
        for family in (
            "bart bigbird_pegasus blenderbot blenderbot-small led m2m_100 marian mbart mvp "
            "nllb-moe pegasus pegasus_x plbart prophetnet switch_transformers t5gemma2"
        ).split()
        if family != "prophetnet"
    },
    **{
        family: {"tie_word_embeddings": "tied in any case, unlike the checkpoints of T5 1.1"}
        for family in "t5 mt5 umt5 longt5".split()
    },
    **{
        family: {"tie_word_embeddings": "untied, the shared transformer blocks come apart too"}
        for family in ("zamba", "zamba2")
    },
}
