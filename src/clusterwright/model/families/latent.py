"""Families with multi-head latent attention: DeepSeek-V2, V3 and their kin."""

from __future__ import annotations

from functools import partial

from clusterwright.model import build
from clusterwright.model.families.common import Reader
from clusterwright.model.families.decoder_only import (
    Layer,
    Traits,
    feed_forward,
    read_decoder,
    says,
)
from clusterwright.model.keys import Keys
from clusterwright.model.records import Block, Model


def latent_attention(keys: Keys, at: Layer, *, window: int | None = None) -> Block:
    """Return the latent attention that the configuration describes."""
    keys.ignore("qk_head_dim", "head_dim")
    return build.latent_attention(
        hidden=at.shape.hidden,
        heads=at.shape.heads,
        query_rank=keys.optional("q_lora_rank"),
        kv_rank=keys.count("kv_lora_rank"),
        nope_dim=keys.count("qk_nope_head_dim"),
        rope_dim=keys.count("qk_rope_head_dim"),
        value_dim=keys.count("v_head_dim"),
        window=window or at.window,
        bias=says(at.traits.qkv_bias, keys),
    )


def read_latent(keys: Keys, name: str, *, traits: Traits) -> Model:
    """Read a decoder with latent attention in every layer."""
    return read_decoder(keys, name, traits, mixer=latent_attention)


def read_axk1(keys: Keys, name: str) -> Model:
    """Read A.X-K1: DeepSeek-V3 with one more norm in the layers that hold experts."""
    plain = feed_forward(keys, keys.count("num_hidden_layers"))

    def network(own: Keys, at: Layer) -> Block:
        made = plain(own, at)
        return build.join(made, build.vectors(at.shape.hidden if made.experts else 0))

    return read_decoder(keys, name, NO_BIAS, mixer=latent_attention, network=network)


NO_BIAS = Traits(mlp_bias=False, head_dim=1)
"""``head_dim=1``: the width that hidden and heads would give is of no use here."""

TRAITS = {
    "deepseek_v2": Traits(head_dim=1),
    "deepseek_v3": NO_BIAS,
    "glm4_moe_lite": NO_BIAS,
    "kimi_k2": NO_BIAS,
    "minicpm3": Traits(head_dim=1, tied=True),
    "youtu": Traits(head_dim=1, tied=True),
}

READERS: dict[str, Reader] = {
    "axk1": read_axk1,
    **{family: partial(read_latent, traits=traits) for family, traits in TRAITS.items()},
}
