"""Keys of a configuration that change neither parameters nor the cost of a layer.

Seeds, token numbers, activation names, rotary settings, caches, dropout: a person need not hear
that nobody read them.
"""

from __future__ import annotations

import re

EXACT = frozenset(
    """
    activation_function architectures attn_implementation auto_map chunk_size_feed_forward
    classifier_activation classifier_bias cross_attention_hidden_size embedding_multiplier eps
    finetuning_specific_params finetuning_task hidden_act hidden_activation id2label init_device
    is_composition is_decoder is_encoder_decoder keys_to_ignore_at_inference label2id language
    layer_norm_eps layer_norm_epsilon logit_scale logits_scaling model_name mup_enabled
    name_or_path num_labels original_max_position_embeddings partial_rotary_factor
    pad_to_multiple_of prefix pretraining_tp problem_type quantization_config residual_multiplier
    return_dict rotary rotary_dim rotary_emb_base rotary_pct scale_attn_weights scale_embedding
    score_function scoring_func seed tokenizer_class topk_group topk_method torch_dtype dtype
    torchscript transformers_version transformers.js_config unsloth_version unsloth_fixed
    use_cache use_mrope vision_token_id bos_token eos_token pad_token
    routed_scaling_factor n_group norm_topk_prob aux_loss_alpha seq_aux ep_size
    attention_multiplier z_loss_coefficient clip_qkv apply_residual_connection_post_layernorm
    slow_but_exact use_parallel_residual parallel_attn model_parallel reorder_and_upcast_attn
    scale_attn_by_inverse_layer_idx attention_softmax_in_fp32 scale_attention_softmax_in_fp32
    attn_logit_softcapping final_logit_softcapping query_pre_attn_scalar swiglu_limit swiglu_alpha
    layerdrop gradient_checkpointing use_bfloat16 fp32_residual_connection
    residual_in_fp32 num_logits_to_keep use_mamba_kernels use_mambapy use_associative_scan
    output_attentions output_hidden_states output_router_logits output_past
    """.split()
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
