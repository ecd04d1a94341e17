"""Keys of a configuration that change neither parameters nor the cost of a layer.

Seeds, token numbers, activation names, rotary settings, caches, dropout: a person need not hear
that nobody read them.
"""

from __future__ import annotations

import re

EXACT = frozenset(
    {
        "activation_function",
        "apply_residual_connection_post_layernorm",
        "architectures",
        "attention_multiplier",
        "attention_softmax_in_fp32",
        "attn_implementation",
        "attn_logit_softcapping",
        "auto_map",
        "aux_loss_alpha",
        "bos_token",
        "chunk_size_feed_forward",
        "classifier_activation",
        "classifier_bias",
        "clip_qkv",
        "cross_attention_hidden_size",
        "dtype",
        "embedding_multiplier",
        "eos_token",
        "ep_size",
        "eps",
        "final_logit_softcapping",
        "finetuning_specific_params",
        "finetuning_task",
        "fp32_residual_connection",
        "gradient_checkpointing",
        "hidden_act",
        "mlp_hidden_act",
        "model_type",
        "projector_hidden_act",
        "mamba_hidden_act",
        "hidden_activation",
        "id2label",
        "init_device",
        "is_composition",
        "is_decoder",
        "is_encoder_decoder",
        "keys_to_ignore_at_inference",
        "label2id",
        "language",
        "layer_norm_eps",
        "layer_norm_epsilon",
        "layerdrop",
        "logit_scale",
        "logits_scaling",
        "model_name",
        "model_parallel",
        "mup_enabled",
        "name_or_path",
        "norm_topk_prob",
        "num_labels",
        "num_logits_to_keep",
        "original_max_position_embeddings",
        "output_attentions",
        "output_hidden_states",
        "output_past",
        "output_router_logits",
        "pad_to_multiple_of",
        "pad_token",
        "parallel_attn",
        "partial_rotary_factor",
        "prefix",
        "pretraining_tp",
        "problem_type",
        "quantization_config",
        "query_pre_attn_scalar",
        "reorder_and_upcast_attn",
        "residual_in_fp32",
        "residual_multiplier",
        "return_dict",
        "rotary",
        "rotary_dim",
        "rotary_emb_base",
        "rotary_pct",
        "routed_scaling_factor",
        "scale_attention_softmax_in_fp32",
        "scale_attn_by_inverse_layer_idx",
        "scale_attn_weights",
        "scale_embedding",
        "score_function",
        "scoring_func",
        "seed",
        "seq_aux",
        "slow_but_exact",
        "swiglu_alpha",
        "swiglu_limit",
        "tokenizer_class",
        "topk_method",
        "torch_dtype",
        "torchscript",
        "transformers.js_config",
        "transformers_version",
        "unsloth_fixed",
        "unsloth_version",
        "use_associative_scan",
        "use_bfloat16",
        "use_cache",
        "use_mamba_kernels",
        "use_mambapy",
        "use_mrope",
        "use_parallel_residual",
        "vision_token_id",
        "z_loss_coefficient",
    }
)
"""Keys known by their full name."""

PATTERNS = re.compile(
    r"""
    (^|.*_)(token_id|token_ids|token_index|id|ids)$ | .*(dropout|pdrop).* | ^(rope|rotary)_.*
    | .*initializer.* | .*init_(std|range|method|scale).* | ^_.* | ^summary_.* | ^router_.*
    | .*(aux_loss|z_loss).* | .*_eps$ | .*_epsilon$ | ^task_specific_params$ | ^generation_.*
    | ^(max|min)_(length|new_tokens)$ | ^(num_beams|top_k|top_p|temperature|do_sample)$
    | ^(num_beam_groups|num_return_sequences|no_repeat_ngram_size|encoder_no_repeat_ngram_size)$
    | ^(repetition_penalty|length_penalty|diversity_penalty|typical_p|early_stopping)$
    | ^(bad_words_ids|forced_.*|suppress_tokens|begin_suppress_tokens|remove_invalid_values)$
    | ^(exponential_decay_length_penalty|tf_legacy_loss|pruned_heads|sep_token_id)$
    | ^time_step_.* | .*_multipliers?$ | .*_softcap(ping)?$ | .*jitter.*
    """,
    re.VERBOSE,
)
"""Keys known by their shape."""


def is_irrelevant(key: str) -> bool:
    """Whether a key, with the path of its part, changes nothing that is counted here.

    >>> is_irrelevant("text_config.rope_theta"), is_irrelevant("num_widgets")
    (True, False)
    """
    last = key.rpartition(".")[2]
    return last in EXACT or PATTERNS.match(last) is not None
