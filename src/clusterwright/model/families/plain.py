"""``clusterwright-decoder``: this project's own form of a configuration, for any plain decoder.

The keys are the field's usual ones; `read_plain` lists them. It stands on `decoder`, so that a
model from numbers and a model from a file are the same thing.
"""

from __future__ import annotations

from typing import get_args

from clusterwright.errors import ConfigError
from clusterwright.model.decoder import Latent, Norm, Sparse, decoder
from clusterwright.model.families.common import Reader, read_windows
from clusterwright.model.keys import Keys
from clusterwright.model.records import Model


def read_plain(keys: Keys, name: str) -> Model:
    """Read a ``clusterwright-decoder``.

    Needed: ``hidden_size``, ``num_hidden_layers``, ``num_attention_heads``, ``vocab_size``.
    Optional: ``num_key_value_heads``, ``head_dim``, ``intermediate_size``, ``gated_mlp`` (true),
    ``tie_word_embeddings`` (false), ``attention_bias``, ``mlp_bias``, ``norm`` (``rmsnorm``,
    ``layernorm`` or ``none``), ``qk_norm``, ``learned_positions`` (0), ``parallel_block``,
    ``sliding_window`` with ``layer_types`` or ``sliding_window_pattern``,
    ``max_position_embeddings``, ``num_nextn_predict_layers``.
    Experts: ``num_experts``, ``num_experts_per_tok``,
    ``moe_intermediate_size``, ``shared_expert_intermediate_size``, ``first_k_dense_replace``,
    ``moe_layer_freq``. Latent attention: ``kv_lora_rank``, ``q_lora_rank``, ``qk_nope_head_dim``,
    ``qk_rope_head_dim``, ``v_head_dim``.
    """
    layers = keys.count("num_hidden_layers")
    norm = keys.word("norm", default="rmsnorm")
    if norm not in get_args(Norm):
        raise keys.wrong("norm", norm, f"one of {', '.join(get_args(Norm))}")
    return decoder(
        layers=layers,
        hidden=keys.count("hidden_size"),
        heads=keys.count("num_attention_heads"),
        vocab=keys.count("vocab_size"),
        ffn=keys.optional("intermediate_size"),
        kv_heads=keys.optional("num_key_value_heads"),
        head_dim=keys.optional("head_dim"),
        gated=keys.flag("gated_mlp", default=True),
        tied=keys.flag("tie_word_embeddings", default=False),
        norm=norm,  # type: ignore[arg-type]
        attention_bias=keys.flag("attention_bias", default=False),
        mlp_bias=keys.flag("mlp_bias", default=False),
        qk_norm=keys.flag("qk_norm", default=False),
        parallel_block=keys.flag("parallel_block", default=False),
        learned_positions=keys.count("learned_positions", default=0, least=0),
        windows=read_windows(keys, layers),
        latent=_read_latent(keys),
        sparse=_read_sparse(keys),
        mtp_layers=keys.count("num_nextn_predict_layers", default=0, least=0),
        max_positions=keys.optional("max_position_embeddings"),
        name=name,
        family="clusterwright-decoder",
    )


def _read_latent(keys: Keys) -> Latent | None:
    rank = keys.optional("kv_lora_rank")
    if rank is None:
        return None
    return Latent(
        kv_rank=rank,
        query_rank=keys.optional("q_lora_rank"),
        nope_dim=keys.count("qk_nope_head_dim"),
        rope_dim=keys.count("qk_rope_head_dim"),
        value_dim=keys.count("v_head_dim"),
    )


def _read_sparse(keys: Keys) -> Sparse | None:
    count = keys.count("num_experts", default=0, least=0)
    if not count:
        return None
    top_k = keys.count("num_experts_per_tok")
    if top_k > count:
        raise ConfigError(
            f"{keys.where}: num_experts_per_tok {top_k} is more than num_experts {count}; "
            f"a token visits at most {count}."
        )
    width = keys.optional("moe_intermediate_size") or keys.count("intermediate_size")
    shared = keys.count("shared_expert_intermediate_size", default=0, least=0)
    number = keys.count("num_shared_experts", default=0, least=0)
    return Sparse(
        num_experts=count,
        top_k=top_k,
        width=width,
        shared_width=shared or number * width,
        first_dense=keys.count("first_k_dense_replace", default=0, least=0),
        every=keys.count("moe_layer_freq", default=1),
    )


READERS: dict[str, Reader] = {"clusterwright-decoder": read_plain}
