"""Decoders that mix attention with recurrent layers, and decoders of recurrent layers alone."""

from __future__ import annotations

from math import ceil

from clusterwright.model import build, recurrent
from clusterwright.model.families.common import Reader
from clusterwright.model.families.decoder_only import (
    Layer,
    Traits,
    attention,
    feed_forward,
    read_decoder,
)
from clusterwright.model.keys import Keys
from clusterwright.model.records import Block, Model

RECURRENT = ("linear", "mamba", "recurrent", "conv")
"""How layer types that carry a state begin."""

ATTENTION = Traits(mlp_bias=False)


def recurrent_layers(
    keys: Keys, layers: int, *, full_every: int = 0, otherwise: bool = True
) -> list[bool]:
    """Return which layers carry a state instead of attending, from any of the known forms.

    ``full_every``: one attends in so many; ``otherwise``: what layers do when nothing is said.
    """
    kinds = keys.words("layer_types", length=layers) or keys.words(
        "layers_block_type", length=layers
    )
    listed = keys.indices("full_attn_idxs")
    listed = keys.indices("attn_layer_indices") if listed is None else listed
    every = keys.count("full_attention_interval", default=full_every, least=0)
    flags = keys.items("attn_type_list", length=layers)
    if kinds is not None:
        return [kind.startswith(RECURRENT) for kind in kinds]
    if listed is not None:
        return [number not in listed for number in range(layers)]
    if flags is not None:
        return [flag == 0 for flag in flags]
    if every:
        return [(number + 1) % every != 0 for number in range(layers)]
    return [otherwise] * layers


def prefixed_mamba2(
    keys: Keys,
    at: Layer,
    *,
    norm: bool = True,
    inner: int | None = None,
    out_bias: bool | None = None,
) -> Block:
    """Return the Mamba-2 that keys beginning with ``mamba_`` describe."""
    hidden = at.shape.hidden
    keys.ignore("mamba_chunk_size", "mamba_d_head", "mamba_expand", "mamba_norm_before_gate")
    width = inner or int(keys.number("mamba_expand", default=2) * hidden)
    return recurrent.mamba2(
        hidden=hidden,
        inner=width,
        heads=keys.count("mamba_n_heads", default=128),
        groups=keys.count("mamba_n_groups", default=1),
        state=keys.count("mamba_d_state", default=256),
        kernel=keys.count("mamba_d_conv", default=4),
        bias=keys.flag("mamba_proj_bias", default=False),
        out_bias=out_bias,
        kernel_bias=keys.flag("mamba_conv_bias", default=True),
        norm=norm,
    )


def read_bamba(keys: Keys, name: str) -> Model:
    """Read Bamba: Mamba-2 in all layers but the listed ones."""
    states = recurrent_layers(keys, keys.count("num_hidden_layers"))

    def mixer(own: Keys, at: Layer) -> Block:
        return prefixed_mamba2(own, at) if states[at.number] else attention(own, at)

    return read_decoder(keys, name, Traits(), mixer=mixer)


def read_granite_hybrid(keys: Keys, name: str) -> Model:
    """Read Granite 4: Mamba-2 or attention, a shared network beside the experts (if any)."""
    states = recurrent_layers(keys, keys.count("num_hidden_layers"))
    shared = keys.count("shared_intermediate_size", default=1024)

    def mixer(own: Keys, at: Layer) -> Block:
        return prefixed_mamba2(own, at) if states[at.number] else attention(own, at)

    if keys.count("num_experts", default=0, least=0) == 0:
        keys.ignore("num_experts_per_tok", "intermediate_size")
        only = keys.merged({"intermediate_size": shared, "num_local_experts": None})
        return read_decoder(only, name, ATTENTION, mixer=mixer)
    return read_decoder(keys, name, ATTENTION, mixer=mixer)


def read_falcon_h1(keys: Keys, name: str) -> Model:
    """Read Falcon-H1: attention and Mamba-2 side by side in every layer."""
    width = keys.optional("mamba_d_ssm")
    norm = keys.flag("mamba_rms_norm", default=False)
    bias = keys.flag("projectors_bias", default=False)

    def mixer(own: Keys, at: Layer) -> Block:
        states = prefixed_mamba2(own, at, norm=norm, inner=width, out_bias=bias)
        return build.join(states, attention(own, at))

    return read_decoder(keys, name, Traits(), mixer=mixer)


def prefixed_mamba1(keys: Keys, hidden: int, *, norms: bool) -> Block:
    """Return the Mamba that keys beginning with ``mamba_`` describe."""
    state = keys.count("mamba_d_state", default=16)
    automatic = keys.values.get("mamba_dt_rank") == "auto"
    rank = ceil(hidden / 16)
    rank = rank if automatic else keys.count("mamba_dt_rank", default=rank)
    keys.ignore("mamba_dt_rank")
    return recurrent.mamba1(
        hidden=hidden,
        inner=keys.count("mamba_expand", default=2) * hidden,
        state=state,
        step_rank=rank,
        kernel=keys.count("mamba_d_conv", default=4),
        bias=keys.flag("mamba_proj_bias", default=False),
        kernel_bias=keys.flag("mamba_conv_bias", default=True),
        norms=rank + 2 * state if norms else 0,
    )


def read_jamba(keys: Keys, name: str) -> Model:
    """Read Jamba: attention and experts each in one layer of so many, Mamba in the others."""
    layers = keys.count("num_hidden_layers")
    period, first = keys.count("attn_layer_period"), keys.count("attn_layer_offset", least=0)
    expert_period = keys.count("expert_layer_period")
    expert_first = keys.count("expert_layer_offset", least=0)
    many = keys.count("num_experts", default=16) > 1
    kinds = [
        "sparse" if many and number % expert_period == expert_first % expert_period else "dense"
        for number in range(layers)
    ]

    def mixer(own: Keys, at: Layer) -> Block:
        if at.number % period == first % period:
            return attention(own, at)
        return prefixed_mamba1(own, at.shape.hidden, norms=True)

    extra = {"mlp_layer_types": kinds}
    traits = Traits(qkv_bias=False, out_bias=False, mlp_bias=False)
    return read_decoder(keys.merged(extra), name, traits, mixer=mixer)


def read_recurrent_gemma(keys: Keys, name: str) -> Model:
    """Read RecurrentGemma: two gated recurrences, then attention over a window."""
    layers, hidden = keys.count("num_hidden_layers"), keys.count("hidden_size")
    kinds = keys.words("block_types") or ["recurrent", "recurrent", "attention"]
    width = keys.count("lru_width", default=hidden)
    kernel = keys.count("conv1d_width", default=4)
    heads = keys.count("num_attention_heads")
    extra = {
        "intermediate_size": keys.count("intermediate_size") // 2,
        "sliding_window": keys.count("attention_window_size", default=2048),
        "layer_types": ["sliding_attention"] * layers,
    }

    def mixer(own: Keys, at: Layer) -> Block:
        if kinds[at.number % len(kinds)] == "attention":
            return attention(own, at)
        return recurrent.gated_lru(hidden=hidden, width=width, heads=heads, kernel=kernel)

    traits = Traits(tied=True, out_bias=True, mlp_bias=True)
    return read_decoder(keys.merged(extra), name, traits, mixer=mixer)


def read_minimax(keys: Keys, name: str) -> Model:
    """Read MiniMax-01: lightning attention with softmax attention in between."""
    states = recurrent_layers(keys, keys.count("num_hidden_layers"), full_every=8)
    keys.ignore("block_size")

    def mixer(own: Keys, at: Layer) -> Block:
        shape = at.shape
        if not states[at.number]:
            return attention(own, at)
        return recurrent.lightning(hidden=shape.hidden, heads=shape.heads, head_dim=shape.head_dim)

    traits = Traits(qkv_bias=False, out_bias=False, mlp_bias=False)
    return read_decoder(keys, name, traits, mixer=mixer)


def delta_rule(keys: Keys, at: Layer) -> Block:
    """Return the gated delta rule that keys beginning with ``linear_`` describe."""
    return recurrent.gated_delta(
        hidden=at.shape.hidden,
        key_heads=keys.count("linear_num_key_heads", default=16),
        value_heads=keys.count("linear_num_value_heads", default=32),
        key_dim=keys.count("linear_key_head_dim", default=128),
        value_dim=keys.count("linear_value_head_dim", default=128),
        kernel=keys.count("linear_conv_kernel_dim", default=4),
    )


QWEN_NEXT = Traits(
    mlp_bias=False,
    head_dim=256,
    gate="full",
    gate_bias="attention_bias",
    qk_norm="head",
    shared_gate=True,
)


def read_qwen_next(keys: Keys, name: str) -> Model:
    """Read Qwen3-Next and Qwen3.5: the gated delta rule, with gated attention every so often."""
    states = recurrent_layers(keys, keys.count("num_hidden_layers"), full_every=4)
    traits = QWEN_NEXT
    keys.ignore("attn_output_gate")

    def mixer(own: Keys, at: Layer) -> Block:
        return delta_rule(own, at) if states[at.number] else attention(own, at)

    return read_decoder(keys, name, traits, mixer=mixer)


def read_olmo_hybrid(keys: Keys, name: str) -> Model:
    """Read OLMo-Hybrid: the gated delta rule with norms before, attention with norms after."""
    states = recurrent_layers(keys, keys.count("num_hidden_layers"), full_every=4)
    keys.ignore("linear_allow_neg_eigval")

    def mixer(own: Keys, at: Layer) -> Block:
        return delta_rule(own, at) if states[at.number] else attention(own, at)

    return read_decoder(keys, name, Traits(mlp_bias=False, qk_norm="all"), mixer=mixer)


def read_lfm2(keys: Keys, name: str) -> Model:
    """Read LFM2: short convolutions with some attention; the width is rounded, or has experts."""
    layers = keys.count("num_hidden_layers")
    states = recurrent_layers(keys, layers, otherwise=False)
    width = keys.count("intermediate_size", default=keys.count("block_ff_dim", default=12288))
    multiplier = keys.number("block_ffn_dim_multiplier", default=1.0)
    multiple = keys.count("block_multiple_of", default=256)
    if not keys.has("num_experts") and keys.flag("block_auto_adjust_ff_dim", default=True):
        width = int(multiplier * int(2 * width / 3))
        width = multiple * ceil(width / multiple)

    def mixer(own: Keys, at: Layer) -> Block:
        return lfm_convolution(own, at) if states[at.number] else attention(own, at)

    extra = {"intermediate_size": width}
    traits = Traits(qkv_bias=False, out_bias=False, mlp_bias=False, tied=True, qk_norm="head")
    return read_decoder(keys.merged(extra), name, traits, mixer=mixer)


def lfm_convolution(keys: Keys, at: Layer) -> Block:
    """Return the short convolution of LFM2."""
    return recurrent.short_convolution(
        hidden=at.shape.hidden,
        kernel=keys.count("conv_L_cache", default=3),
        bias=keys.flag("conv_bias", default=False),
    )


def read_lfm3(keys: Keys, name: str) -> Model:
    """Read LFM3: LFM2 with norms on both sides and gated attention, as its flags say."""
    states = recurrent_layers(keys, keys.count("num_hidden_layers"))

    def mixer(own: Keys, at: Layer) -> Block:
        return lfm_convolution(own, at) if states[at.number] else attention(own, at)

    gated = keys.flag("use_attention_gate", default=True)
    traits = Traits(
        mlp_bias=False,
        tied=True,
        qk_norm="head",
        norms=4 if keys.flag("use_sandwich_norm", default=True) else 2,
        gate="head" if gated else "",
    )
    return read_decoder(keys, name, traits, mixer=mixer)


NEMOTRON = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
"""Letters of ``hybrid_override_pattern``."""


def read_nemotron_h(keys: Keys, name: str) -> Model:
    """Read Nemotron-H: every layer is one thing, Mamba-2, attention, a network or experts."""
    kinds = _nemotron_kinds(keys)
    keys.ignore("num_hidden_layers", "expand", "chunk_size", "moe_shared_expert_overlap")
    keys.ignore(
        "attention_bias",
        "mamba_proj_bias",
        "mtp_layers_block_type",
        "mtp_hybrid_override_pattern",
        "attention_head_dim",
    )
    extra = {
        "num_hidden_layers": len(kinds),
        "tie_word_embeddings": False,
        "mlp_layer_types": ["sparse" if k == "moe" else "dense" for k in kinds],
    }
    plain = feed_forward(keys.merged(extra), len(kinds))

    def mixer(own: Keys, at: Layer) -> Block:
        if kinds[at.number].startswith(RECURRENT):
            return _nemotron_mamba(own, at.shape.hidden)
        return attention(own, at) if "attention" in kinds[at.number] else build.vectors(0)

    def network(own: Keys, at: Layer) -> Block:
        if kinds[at.number] not in ("mlp", "moe"):
            return build.vectors(0)
        if kinds[at.number] == "moe":
            own.count("num_experts")
            own.count("moe_intermediate_size")
        made = plain(own, at)
        return _in_latent(own, made, at.shape.hidden) if made.experts else made

    traits = Traits(norms=1, gated=False, qkv_bias=False, out_bias=False)
    return read_decoder(keys.merged(extra), name, traits, mixer=mixer, network=network)


def _nemotron_kinds(keys: Keys) -> list[str]:
    kinds = keys.words("layers_block_type")
    pattern = keys.word("hybrid_override_pattern")
    if kinds is not None:
        return kinds
    if not pattern:
        raise keys.missing("hybrid_override_pattern", "a word of M, *, - and E, one per layer")
    if unknown := set(pattern) - set(NEMOTRON):
        raise keys.wrong("hybrid_override_pattern", "".join(sorted(unknown)), "M, *, - or E")
    return [NEMOTRON[letter] for letter in pattern]


def _nemotron_mamba(keys: Keys, hidden: int) -> Block:
    heads, width = keys.count("mamba_num_heads"), keys.count("mamba_head_dim")
    return recurrent.mamba2(
        hidden=hidden,
        inner=heads * width,
        heads=heads,
        groups=keys.count("n_groups", default=8),
        state=keys.count("ssm_state_size", default=128),
        kernel=keys.count("conv_kernel", default=4),
        bias=keys.flag("use_bias", default=False),
        kernel_bias=keys.flag("use_conv_bias", default=True),
    )


def _in_latent(keys: Keys, made: Block, hidden: int) -> Block:
    """Return experts that work in a narrower space, with the projections into it and out of it."""
    latent = keys.optional("moe_latent_size")
    if latent is None or made.experts is None:
        return made
    narrow = build.mixture(
        num_experts=made.experts.num_experts,
        top_k=made.experts.top_k,
        width=made.experts.width,
        gated=made.experts.gated,
        shared_width=made.experts.shared_width,
        hidden=latent,
    )
    bias = keys.flag("mlp_bias", default=False)
    return build.join(
        narrow,
        build.project("latent_in", hidden, latent, "replicated", bias=bias),
        build.project("latent_out", latent, hidden, "replicated", bias=bias),
        build.vectors(made.vector_parameters),
    )


READERS: dict[str, Reader] = {
    "bamba": read_bamba,
    "falcon_h1": read_falcon_h1,
    "granitemoehybrid": read_granite_hybrid,
    "jamba": read_jamba,
    "lfm2": read_lfm2,
    "lfm2_moe": read_lfm2,
    "lfm3": read_lfm3,
    "minimax": read_minimax,
    "nemotron_h": read_nemotron_h,
    "olmo_hybrid": read_olmo_hybrid,
    "qwen3_5_moe_text": read_qwen_next,
    "qwen3_5_text": read_qwen_next,
    "qwen3_next": read_qwen_next,
    "recurrent_gemma": read_recurrent_gemma,
}
