"""A model as trainers name its parts: read from the ``config.json`` it was planned from.

A plan's `Model` knows what every layer costs, and not what it computes: the base of rotary
positions or the epsilon of a norm changes no time. A trainer needs both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from clusterwright.errors import InputError
from clusterwright.records import Record

Config = Mapping[str, Any]


class Latent(Record, frozen=True, kw_only=True):
    """Latent attention (DeepSeek-V2): ranks of queries (None: not compressed) and of keys."""

    query_rank: int | None
    key_rank: int
    plain_dim: int
    rotary_dim: int
    value_dim: int


class Mixture(Record, frozen=True, kw_only=True):
    """Experts: how many, how many a token uses, their width; which layers have them.

    ``shared_width``: summed over the experts that every token uses. ``dense_first``: layers without
    experts before the others; ``every``: one layer in so many has experts. ``score``: what the
    router makes of its outputs; ``normalised``: whether the chosen weights are made to sum to one.
    ``bias``: whether a learned bias balances the router; ``balance``: the weight of the loss that
    does so besides.
    """

    num_experts: int
    top_k: int
    width: int
    shared_width: int
    dense_first: int
    every: int
    score: Literal["softmax", "sigmoid"]
    normalised: bool
    groups: int
    top_groups: int
    scale: float
    bias: bool
    balance: float
    shared_gate: bool


class Architecture(Record, frozen=True, kw_only=True):
    """What a trainer must be told of a decoder; None where the configuration does not say.

    ``assumed``: what was not in the configuration, and what the family does by default instead.
    """

    family: str
    num_layers: int
    hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    width: int
    vocab_size: int
    max_positions: int
    gated: bool
    rms_norm: bool
    norm_eps: float
    rope_theta: float | None
    rope_scaling: dict[str, Any] = {}
    tied: bool
    qkv_bias: bool
    linear_bias: bool
    qk_norm: bool
    latent: Latent | None = None
    mixture: Mixture | None = None
    mtp_layers: int = 0
    assumed: tuple[str, ...] = ()


LLAMA_LIKE = ("llama", "mistral", "qwen2", "qwen3")
MIXTURES = ("mixtral", "qwen3_moe", "qwen2_moe")
LATENT = ("deepseek_v2", "deepseek_v3", "kimi_k2")
FAMILIES = ("gpt2", *LLAMA_LIKE, *MIXTURES, *LATENT)
"""Families whose every key is understood; another would start with a wrong layer somewhere."""

QKV_BIAS = ("qwen2", "qwen2_moe")
QK_NORM = ("qwen3", "qwen3_moe")
USUAL_EPSILON = {
    "qwen2": 1e-6,
    "qwen3": 1e-6,
    "qwen3_moe": 1e-6,
    "qwen2_moe": 1e-6,
} | dict.fromkeys(LATENT, 1e-6)
"""Defaults of the family's class in transformers, where they are not 1e-5."""

BALANCE = {True: "aux_loss_alpha", False: "router_aux_loss_coef"}
"""What DeepSeek's family, and the others, call the weight of the loss that balances experts."""
USUAL_BALANCE = dict.fromkeys(("deepseek_v3", "kimi_k2"), 1e-4)
"""As DeepSeek-V3 was trained (arXiv 2412.19437, section 4.2); for others the default of the
family's class in transformers."""


class _Keys:
    """A configuration's keys; one that is missing is noted with what stands in for it."""

    def __init__(self, config: Config, family: str) -> None:
        self.config, self.family, self.assumed = config, family, list[str]()

    def need(self, *names: str) -> int:
        for name in names:
            if self.config.get(name) is not None:
                return int(self.config[name])
        raise InputError(
            f"the plan's configuration has no {names[0]!r}, which a {self.family} needs: plan from "
            f"the model's own config.json"
        )

    def get(self, name: str, default: Any, *, say: bool = True) -> Any:  # noqa: ANN401
        value = self.config.get(name)
        if value is not None:
            return value
        if say and name not in self.config:
            self.assumed.append(f"{name} {default}")
        return default


def architecture_of(config: Config) -> Architecture:
    """Read a configuration.

    Raises
    ------
    InputError
        There is none, or it is of a family that is not known part by part.
    """
    if not config:
        raise InputError(
            "the plan does not hold the model's configuration (it was made from a Model, or by an "
            "older version): plan it again from a catalogue name or a config.json"
        )
    family = str(config.get("model_type", ""))
    if family not in FAMILIES:
        raise InputError(
            f"a {family or 'model without model_type'} cannot be told to a trainer part by part "
            f"(known: {', '.join(FAMILIES)}); start it with a tool that reads config.json itself: "
            f"--to deepspeed or --to megatron-bridge"
        )
    return _gpt2(_Keys(config, family)) if family == "gpt2" else _llama(_Keys(config, family))


def _gpt2(keys: _Keys) -> Architecture:
    hidden, heads = keys.need("n_embd"), keys.need("n_head")
    return Architecture(
        family="gpt2",
        num_layers=keys.need("n_layer"),
        hidden_size=hidden,
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=hidden // heads,
        width=int(keys.get("n_inner", 4 * hidden, say=False)),
        vocab_size=keys.need("vocab_size"),
        max_positions=int(keys.get("n_positions", 1024)),
        gated=False,
        rms_norm=False,
        norm_eps=float(keys.get("layer_norm_epsilon", 1e-5)),
        rope_theta=None,
        tied=bool(keys.get("tie_word_embeddings", True, say=False)),
        qkv_bias=True,
        linear_bias=True,
        qk_norm=False,
        assumed=tuple(keys.assumed),
    )


def _llama(keys: _Keys) -> Architecture:
    family, config = keys.family, keys.config
    hidden, heads = keys.need("hidden_size"), keys.need("num_attention_heads")
    rope = config.get("rope_parameters") or {}
    theta = rope.get("rope_theta") or keys.get("rope_theta", 10000.0)
    scaling = dict(config.get("rope_scaling") or {})
    if not scaling and rope.get("rope_type", "default") != "default":
        scaling = dict(rope)
    architecture = Architecture(
        family=family,
        num_layers=keys.need("num_hidden_layers"),
        hidden_size=hidden,
        num_heads=heads,
        num_kv_heads=int(keys.get("num_key_value_heads", heads, say=False)),
        head_dim=int(keys.get("head_dim", hidden // heads, say=False)),
        width=keys.need("intermediate_size", "moe_intermediate_size"),
        vocab_size=keys.need("vocab_size"),
        max_positions=int(keys.get("max_position_embeddings", 2048)),
        gated=True,
        rms_norm=True,
        norm_eps=float(keys.get("rms_norm_eps", USUAL_EPSILON.get(family, 1e-5))),
        rope_theta=float(theta),
        rope_scaling=scaling,
        tied=bool(keys.get("tie_word_embeddings", False, say=False)),
        qkv_bias=bool(keys.get("attention_bias", False, say=False)) or family in QKV_BIAS,
        linear_bias=bool(keys.get("mlp_bias", False, say=False)),
        qk_norm=family in QK_NORM,
        latent=_latent(keys) if family in LATENT else None,
        mixture=_mixture(keys) if family in MIXTURES or family in LATENT else None,
        mtp_layers=int(config.get("num_nextn_predict_layers") or 0),
    )
    return msgspec.structs.replace(architecture, assumed=tuple(keys.assumed))


def _latent(keys: _Keys) -> Latent:
    rank = keys.config.get("q_lora_rank")
    return Latent(
        query_rank=None if rank is None else int(rank),
        key_rank=keys.need("kv_lora_rank"),
        plain_dim=keys.need("qk_nope_head_dim"),
        rotary_dim=keys.need("qk_rope_head_dim"),
        value_dim=keys.need("v_head_dim"),
    )


def _mixture(keys: _Keys) -> Mixture | None:
    config, family = keys.config, keys.family
    if config.get("n_routed_experts", 1) is None:
        return None  # a small DeepSeek without experts
    newest = family in ("deepseek_v3", "kimi_k2")
    width = keys.need("moe_intermediate_size", "intermediate_size")
    shared = int(config.get("n_shared_experts") or 0) * width
    return Mixture(
        num_experts=keys.need("n_routed_experts", "num_experts", "num_local_experts"),
        top_k=keys.need("num_experts_per_tok"),
        width=width,
        shared_width=int(config.get("shared_expert_intermediate_size") or shared),
        dense_first=int(config.get("first_k_dense_replace") or 0),
        every=int(config.get("decoder_sparse_step") or config.get("moe_layer_freq") or 1),
        score="sigmoid" if newest else "softmax",
        normalised=newest or family == "mixtral" or bool(keys.get("norm_topk_prob", False)),
        groups=int(config.get("n_group") or 1),
        top_groups=int(config.get("topk_group") or 1),
        scale=float(keys.get("routed_scaling_factor", 2.5 if newest else 1.0, say=newest)),
        bias=newest,
        balance=float(keys.get(BALANCE[family in LATENT], USUAL_BALANCE.get(family, 1e-3))),
        shared_gate=family == "qwen2_moe",
    )
