"""Latent attention and its descendants that look at a part of the keys only.

DeepSeek-V3.2 chooses keys with a small indexer, DeepSeek-V4 compresses them; Kimi Linear and Ling
mix latent attention with delta rules; LongCat puts two attentions and two networks beside its
experts.
"""

from __future__ import annotations

from clusterwright.model import build, recurrent
from clusterwright.model.families.common import Reader
from clusterwright.model.families.decoder_only import (
    Layer,
    Traits,
    dense,
    feed_forward,
    mixture,
    read_decoder,
)
from clusterwright.model.families.hybrid import recurrent_layers
from clusterwright.model.families.latent import NO_BIAS, latent_attention
from clusterwright.model.keys import Keys
from clusterwright.model.records import Block, Core, Model

UNTIED = {"tie_word_embeddings": False}
"""For families whose head is a matrix of its own whatever the configuration says."""


def indexer(keys: Keys, hidden: int) -> Block:
    """Return the lightning indexer of DeepSeek-V3.2: scores of a few narrow heads."""
    heads, width = keys.count("index_n_heads"), keys.count("index_head_dim")
    core = Core(num_heads=heads, num_kv_heads=1, query_key_dim=width, value_dim=0)
    return build.join(
        build.project("index_q", keys.count("q_lora_rank"), heads * width, "replicated"),
        build.project("index_k", hidden, width, "replicated"),
        build.project("index_weights", hidden, heads, "replicated"),
        Block(cores=(core,), vector_parameters=2 * width),
    )


def indexed_attention(keys: Keys, at: Layer) -> Block:
    """Return latent attention over the keys that an indexer has chosen, if this layer has one.

    Layers of type ``shared`` use the choice of the layer before; layers with a window need none.
    """
    if at.window is not None:
        return latent_attention(keys, at)
    kinds = keys.words("indexer_types", length=at.shape.layers)
    own = kinds is None or kinds[at.number] != "shared"
    made = latent_attention(keys, at, window=keys.count("index_topk", default=2048))
    return build.join(made, indexer(keys, at.shape.hidden)) if own else made


def read_indexed(keys: Keys, name: str) -> Model:
    """Read DeepSeek-V3.2 and GLM-5: V3 with an indexer."""
    return read_decoder(keys, name, NO_BIAS, mixer=indexed_attention)


def read_axk2(keys: Keys, name: str) -> Model:
    """Read A.X-K2: a gate beside the queries, gated norms of low rank."""
    rank, query_rank = keys.count("gated_norm_rank"), keys.count("q_lora_rank")
    plain = feed_forward(keys, keys.count("num_hidden_layers"))

    def mixer(own: Keys, at: Layer) -> Block:
        shape = at.shape
        value = own.count("v_head_dim")
        query = own.count("qk_nope_head_dim") + own.count("qk_rope_head_dim")
        extra = 2 * query_rank * shape.heads * (query + value) - query_rank * shape.heads * query
        gate = build.project("q_gate", query_rank, extra // query_rank)
        return build.join(indexed_attention(own, at), gate, build.vectors(2 * rank * shape.hidden))

    def network(own: Keys, at: Layer) -> Block:
        made = plain(own, at)
        return build.join(made, build.vectors(2 * rank * at.shape.hidden if made.experts else 0))

    return read_decoder(keys, name, NO_BIAS, mixer=mixer, network=network)


def hyper_connections(hidden: int, streams: int, *, mixed: bool) -> Block:
    """Return the weights of two hyper-connections (before attention and before the network).

    ``mixed``: the streams are mixed among themselves as well (DeepSeek-V4).
    """
    rows = 2 * streams + (streams * streams if mixed else 0)
    return build.vectors(2 * (rows * streams * hidden + rows + (3 if mixed else 2)))


def hyper_head(hidden: int, streams: int) -> int:
    """Return the parameters of the last gathering of the streams."""
    return streams * streams * hidden + streams + 1


def read_hy4(keys: Keys, name: str) -> Model:
    """Read Hunyuan 4: an indexer in some layers, gates, sinks, hyper-connections."""
    streams, hidden = keys.count("hc_mult", default=4), keys.count("hidden_size")

    def mixer(own: Keys, at: Layer) -> Block:
        heads = at.shape.heads
        gate = build.project("gate", hidden, heads * own.count("v_head_dim"))
        small = hyper_connections(hidden, streams, mixed=False)
        return build.join(indexed_attention(own, at), gate, small, build.vectors(heads))

    keys.ignore("hc_magnitude", "learnable_sink_init")
    return read_decoder(keys, name, NO_BIAS, mixer=mixer, other=hyper_head(hidden, streams))


def read_dots3(keys: Keys, name: str) -> Model:
    """Read dots3: indexed layers and layers with a window, of two shapes; a gate per head."""

    def mixer(own: Keys, at: Layer) -> Block:
        small = own.count("qk_rope_head_dim") + at.shape.hidden * at.shape.heads
        return build.join(indexed_attention(own, at), build.vectors(small))

    width = keys.count(
        "shared_experts_intermediate_size", default=keys.count("moe_intermediate_size")
    )
    shared = {
        "shared_expert_intermediate_size": width * keys.count("num_shared_experts", default=1)
    }
    return read_decoder(keys.merged(shared), name, NO_BIAS, mixer=mixer)


def _rates(keys: Keys) -> dict[str, int]:
    found = keys.part("compress_rates")
    short, long = "compressed_sparse_attention", "heavily_compressed_attention"
    if found is None:
        return {short: 4, long: 128}
    return {short: found.count(short, default=4), long: found.count(long, default=128)}


def _compressor(hidden: int, width: int, rate: int) -> Block:
    return build.join(
        build.project("compress_kv", hidden, width, "replicated"),
        build.project("compress_gate", hidden, width, "replicated"),
        build.vectors(rate * width),
    )


def _v4_indexer(keys: Keys, hidden: int, rate: int) -> Block:
    heads, width = keys.count("index_n_heads"), keys.count("index_head_dim")
    core = Core(num_heads=heads, num_kv_heads=1, query_key_dim=width, value_dim=0, stride=rate)
    return build.join(
        _compressor(hidden, 2 * width, rate),
        build.project("index_q", keys.count("q_lora_rank"), heads * width, "replicated"),
        build.project("index_weights", hidden, heads, "replicated"),
        Block(cores=(core,), vector_parameters=width),
    )


def _v4_attention(keys: Keys, at: Layer, kind: str, rates: dict[str, int]) -> Block:
    """Return a shared key–value head over a window, and compressed keys beyond it."""
    hidden, heads, width = at.shape.hidden, at.shape.heads, at.shape.head_dim
    rank, groups = keys.count("q_lora_rank"), keys.count("o_groups")
    out_rank = keys.count("o_lora_rank")
    core = Core(
        num_heads=heads,
        num_kv_heads=1,
        query_key_dim=width,
        value_dim=width,
        window=keys.count("sliding_window", default=128),
    )
    parts = [
        build.project("q_a", hidden, rank, "replicated"),
        build.project("q_b", rank, heads * width),
        build.project("kv", hidden, width, "replicated"),
        Block(cores=(core,), vector_parameters=rank + width + heads),
        build.project("out_a", heads * width // groups, groups * out_rank),
        build.project("out_b", groups * out_rank, hidden, "row"),
    ]
    if kind in rates:
        sparse = kind == "compressed_sparse_attention"
        seen = keys.count("index_topk") * rates[kind] if sparse else None
        far = Core(
            num_heads=heads,
            num_kv_heads=1,
            query_key_dim=width,
            value_dim=width,
            window=seen,
            stride=rates[kind],
        )
        parts += [
            _compressor(hidden, (2 if sparse else 1) * width, rates[kind]),
            Block(cores=(far,), vector_parameters=width),
        ]
        if sparse:
            parts.append(_v4_indexer(keys, hidden, rates[kind]))
    return build.join(*parts)


def read_deepseek_v4(keys: Keys, name: str) -> Model:
    """Read DeepSeek-V4: a window beside compressed keys, hyper-connections, experts everywhere."""
    layers, hidden = keys.count("num_hidden_layers"), keys.count("hidden_size")
    streams = keys.count("hc_mult", default=4)
    rates = _rates(keys)
    kinds = keys.words("layer_types", length=layers) or _v4_types(keys, layers)
    keys.ignore(
        "attention_bias",
        "qk_rope_head_dim",
        "hc_sinkhorn_iters",
        "mlp_layer_types",
        "num_hash_layers",
        "expert_dtype",
    )

    def mixer(own: Keys, at: Layer) -> Block:
        small = hyper_connections(hidden, streams, mixed=True)
        return build.join(_v4_attention(own, at, kinds[at.number], rates), small)

    traits = Traits(qkv_bias=False, out_bias=False, head_dim=512)
    keys.ignore("num_shared_experts")
    one = keys.merged({"n_shared_experts": 1})
    return read_decoder(
        one, name, traits, mixer=mixer, network=mixture, other=hyper_head(hidden, streams)
    )


def _v4_types(keys: Keys, layers: int) -> list[str]:
    """Return the kinds of layers from ``compress_ratios``: 0 window alone, 4 sparse, 128 heavy.

    Without it, two heavily compressed layers come first, then both kinds take turns.
    """
    sparse, heavy = "compressed_sparse_attention", "heavily_compressed_attention"
    if not keys.has("compress_ratios"):
        return [sparse if number > 1 and number % 2 else heavy for number in range(layers)]
    ratios = keys.counts("compress_ratios", length=layers, default=0)
    names = {4: sparse, 128: heavy}
    return [names.get(ratio, "sliding_attention") for ratio in ratios[:layers]]


def read_longcat(keys: Keys, name: str) -> Model:
    """Read LongCat-Flash: two attentions, two networks, and experts some of which do nothing.

    A token chooses among real and empty experts; ``top_k`` here is what it visits on average of
    the real ones.
    """
    real = keys.count("num_experts")
    empty = keys.count("zero_expert_num", default=0, least=0)
    top_k = keys.count("num_experts_per_tok")
    keys.ignore("zero_expert_type")
    bias = keys.flag("router_bias", default=False)
    visited = max(1, round(top_k * real / (real + empty)))

    def mixer(own: Keys, at: Layer) -> Block:
        return build.join(latent_attention(own, at), latent_attention(own, at))

    def network(own: Keys, at: Layer) -> Block:
        hidden = at.shape.hidden
        experts = build.mixture(
            num_experts=real, top_k=visited, width=own.count("moe_intermediate_size")
        )
        small = empty * hidden + (real + empty if bias else 0)
        return build.join(dense(own, at), dense(own, at), experts, build.vectors(small))

    traits = Traits(mlp_bias=False, head_dim=1, norms=4)
    return read_decoder(keys, name, traits, mixer=mixer, network=network)


def read_kimi_linear(keys: Keys, name: str) -> Model:
    """Read Kimi Linear: three delta-rule layers, then latent attention without positions."""
    layers = keys.count("num_hidden_layers")
    part = keys.part("linear_attn_config")
    states = recurrent_layers(keys, layers, full_every=4)
    heads = keys.count("linear_num_heads", default=32)
    width = keys.count("linear_head_dim", default=128)
    kernel = keys.count("linear_conv_kernel_dim", default=4)
    if part is not None:
        heads = part.count("num_heads", default=heads)
        width = part.count("head_dim", default=width)
        kernel = part.count("short_conv_kernel_size", default=kernel)
        full = part.indices("full_attn_layers") or frozenset()
        part.ignore("kda_layers")
        states = [number + 1 not in full for number in range(layers)]

    def mixer(own: Keys, at: Layer) -> Block:
        if not states[at.number]:
            return latent_attention(own, at)
        return recurrent.channel_delta(
            hidden=at.shape.hidden, heads=heads, head_dim=width, kernel=kernel, gate_rank=width
        )

    return read_decoder(keys.merged(UNTIED), name, NO_BIAS, mixer=mixer)


def read_bailing_hybrid(keys: Keys, name: str) -> Model:
    """Read Ling with delta rules: full-rank gates, latent attention with a gate per head."""
    states = recurrent_layers(
        keys,
        keys.count("num_hidden_layers"),
        full_every=keys.count("layer_group_size", default=6),
    )
    heads = keys.count("linear_num_heads", default=keys.count("num_attention_heads"))
    width = keys.count("linear_head_dim", default=keys.count("head_dim", default=128))
    kernel = keys.count("short_conv_kernel_size", default=4)
    kernel = keys.count("linear_conv_kernel_dim", default=kernel)
    keys.ignore("kda_safe_gate", "kda_lower_bound", "q_lora_rank")

    def mixer(own: Keys, at: Layer) -> Block:
        hidden = at.shape.hidden
        if states[at.number]:
            return recurrent.channel_delta(
                hidden=hidden, heads=heads, head_dim=width, kernel=kernel, gate_rank=None
            )
        gate = build.vectors(hidden * at.shape.heads)
        return build.join(latent_attention(own.merged({"q_lora_rank": None}), at), gate)

    return read_decoder(keys.merged(UNTIED), name, NO_BIAS, mixer=mixer)


READERS: dict[str, Reader] = {
    "axk2": read_axk2,
    "bailing_hybrid": read_bailing_hybrid,
    "deepseek_v32": read_indexed,
    "deepseek_v4": read_deepseek_v4,
    "dots3_note_text": read_dots3,
    "glm_moe_dsa": read_indexed,
    "hy_v4": read_hy4,
    "kimi_linear": read_kimi_linear,
    "longcat_flash": read_longcat,
}
