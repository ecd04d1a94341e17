"""Decoders with experts whose configurations need more than a row of traits."""

from __future__ import annotations

import msgspec

from clusterwright.errors import ConfigError
from clusterwright.model import build
from clusterwright.model.families.common import Reader, read_shape
from clusterwright.model.families.decoder_only import (
    Layer,
    Traits,
    attention,
    dense,
    feed_forward,
    read_decoder,
)
from clusterwright.model.keys import Keys
from clusterwright.model.records import Block, Core, Model


def read_ernie_moe(keys: Keys, name: str) -> Model:
    """Read ERNIE 4.5: experts in every so many layers between a first and a last."""
    layers = keys.count("num_hidden_layers")
    first = keys.count("moe_layer_start_index", default=0, least=0)
    last = keys.count("moe_layer_end_index", default=layers - 1, least=-1)
    last = layers - 1 if last < 0 else last
    every = keys.count("moe_layer_interval", default=1)
    kinds = [
        "sparse" if first <= number <= last and (number + 1) % every == 0 else "dense"
        for number in range(layers)
    ]
    traits = Traits(
        qkv_bias="use_bias",
        out_bias="use_bias",
        mlp_bias="use_bias",
        head_bias="use_bias",
        tied=True,
        router_bias=True,
        default_shared=2,
    )
    return read_decoder(keys.merged({"mlp_layer_types": kinds}), name, traits)


def read_hunyuan_moe(keys: Keys, name: str) -> Model:
    """Read Hunyuan-A13B: one shared network beside the experts; lists of one number per layer."""
    extra: dict[str, object] = {"num_shared_experts": 1}
    for key in ("num_experts", "moe_topk", "moe_intermediate_size", "num_shared_expert"):
        found = keys.values.get(key)
        keys.ignore(key)
        if isinstance(found, list) and found:
            if len(set(map(str, found))) > 1:
                raise ConfigError(f"{keys.where}: {key} differs over layers; one number is needed.")
            extra[key] = found[0]
        elif found is not None:
            extra[key] = found
    extra["num_shared_experts"] = extra.get("num_shared_expert", 1)
    traits = Traits(mlp_bias=False, qk_norm="head", qk_norm_if="!use_qk_norm")
    return read_decoder(keys.merged(extra), name, traits)


def read_laguna(keys: Keys, name: str) -> Model:
    """Read Laguna: query heads of their own in every layer, gated attention."""
    layers = keys.count("num_hidden_layers")
    heads = keys.counts(
        "num_attention_heads_per_layer", length=layers, default=keys.count("num_attention_heads")
    )
    own = {str(number): {"num_attention_heads": count} for number, count in enumerate(heads)}
    gate = keys.values.get("gating")
    keys.ignore("gating")
    traits = Traits(
        mlp_bias=False,
        gate="head" if gate in (None, True, "per-head") else "full",
        qk_norm="head",
        router_bias=True,
    )
    return read_decoder(keys.merged({"per_layer_config": own}), name, traits)


def read_llama4(keys: Keys, name: str) -> Model:
    """Read Llama 4: one shared expert; dense layers of another width; chunks of attention."""
    layers = keys.count("num_hidden_layers")
    width = keys.count("intermediate_size")
    step = keys.count("interleave_moe_layer_step", default=1)
    listed = keys.indices("moe_layers")
    sparse = listed or frozenset(range(step - 1, layers, step))
    types = keys.words("layer_types", length=layers) or _llama4_types(keys, layers)
    extra = {
        "intermediate_size": keys.count("intermediate_size_mlp", default=width),
        "moe_intermediate_size": width,
        "num_shared_experts": 1,
        "mlp_layer_types": ["sparse" if n in sparse else "dense" for n in range(layers)],
        "layer_types": types,
    }
    keys.ignore("use_qk_norm", "attn_temperature_tuning", "floor_scale", "attn_scale")
    return read_decoder(keys.merged(extra), name, Traits(mlp_bias=False))


def _llama4_types(keys: Keys, layers: int) -> list[str]:
    """Return which layers see chunks: those with rotary positions, three in four by default."""
    step = keys.count("no_rope_layer_interval", default=4)
    rotary = keys.items("no_rope_layers") or [int((n + 1) % step != 0) for n in range(layers)]
    return ["chunked_attention" if flag else "full_attention" for flag in rotary]


def read_minimax_m3(keys: Keys, name: str) -> Model:
    """Read MiniMax-M3: dense layers of another width, blocks of keys chosen by an indexer."""
    width = keys.count("intermediate_size")
    extra = {
        "intermediate_size": keys.count("dense_intermediate_size", default=width),
        "moe_intermediate_size": width,
    }
    types = keys.words("layer_types", length=keys.count("num_hidden_layers")) or []
    keys.ignore("index_n_heads", "index_head_dim", "index_block_size")
    keys.ignore("index_topk_blocks", "index_local_blocks")
    traits = Traits(qkv_bias=False, out_bias=False, mlp_bias=False, qk_norm="head")

    def mixer(own: Keys, at: Layer) -> Block:
        if not types or types[at.number] != "minimax_m3_sparse":
            return attention(own, at)
        size = own.count("index_block_size", default=128)
        blocks = own.count("index_topk_blocks", default=16)
        seen = msgspec.structs.replace(
            at, window=size * (blocks + own.count("index_local_blocks", default=1))
        )
        return build.join(attention(own, seen), _block_indexer(own, at.shape.hidden))

    return read_decoder(keys.merged(extra), name, traits, mixer=mixer)


def _block_indexer(keys: Keys, hidden: int) -> Block:
    heads, width = keys.count("index_n_heads"), keys.count("index_head_dim")
    core = Core(num_heads=heads, num_kv_heads=1, query_key_dim=width, value_dim=0)
    return build.join(
        build.project("index_q", hidden, heads * width),
        build.project("index_k", hidden, width, "replicated"),
        Block(cores=(core,), vector_parameters=2 * width),
    )


def read_mimo(keys: Keys, name: str) -> Model:
    """Read MiMo-V2-Flash: more key–value heads, and sinks, in the layers that see a window."""
    layers = keys.count("num_hidden_layers")
    groups = keys.count("swa_num_key_value_heads", default=2 * keys.count("num_key_value_heads"))
    pattern = keys.items("hybrid_layer_pattern", length=layers)
    kinds = ["sliding_attention" if flag else "full_attention" for flag in pattern or []]
    extra = {"layer_types": kinds} if kinds else {}

    def mixer(own: Keys, at: Layer) -> Block:
        shape, windowed = at.shape, at.window is not None
        made = build.attention(
            hidden=shape.hidden,
            heads=shape.heads,
            kv_heads=groups if windowed else shape.kv_heads,
            head_dim=shape.head_dim,
            value_dim=own.count("v_head_dim", default=shape.head_dim),
            window=at.window,
            qkv_bias=own.flag("attention_bias", default=False),
        )
        return build.join(made, build.vectors(shape.heads if windowed else 0))

    return read_decoder(keys.merged(extra), name, Traits(mlp_bias=False), mixer=mixer)


def read_dbrx(keys: Keys, name: str) -> Model:
    """Read DBRX: the shape of attention and of the experts in parts of their own."""
    mixer, experts = keys.part("attn_config"), keys.part("ffn_config")
    if experts is None:
        raise keys.missing("ffn_config", "an object with ffn_hidden_size and moe_num_experts")
    experts.ignore("hidden_size", "moe_loss_weight", "moe_normalize_expert_weights", "ffn_act_fn")
    extra = {
        "num_key_value_heads": mixer.count("kv_n_heads", default=1) if mixer else 1,
        "moe_intermediate_size": experts.count("ffn_hidden_size", default=3584),
        "num_experts": experts.count("moe_num_experts", default=4),
        "num_experts_per_tok": experts.count("moe_top_k", default=1),
    }
    traits = Traits(qkv_bias=False, out_bias=False, mlp_bias=False)
    return read_decoder(keys.merged(extra), name, traits)


def read_jetmoe(keys: Keys, name: str) -> Model:
    """Read JetMoE: experts for queries and outputs of attention as well as for networks.

    Queries and outputs of the experts that a token does not visit stand among the vectors: they
    are stored, and no product is done with them.
    """
    hidden, top_k = keys.count("hidden_size"), keys.count("num_experts_per_tok")
    groups, width = keys.count("num_key_value_heads"), keys.count("kv_channels", default=128)
    heads = groups * top_k
    idle = keys.count("num_experts") - top_k
    if idle < 0:
        raise keys.wrong("num_experts_per_tok", top_k, f"at most {top_k + idle}")

    made = build.attention(hidden=hidden, heads=heads, kv_heads=groups, head_dim=width)
    stored, router = idle * 2 * hidden * groups * width, hidden * (idle + top_k)
    mixed = build.join(made, build.vectors(stored + router + 2 * hidden))

    def mixer(_own: Keys, _at: Layer) -> Block:
        return mixed

    keys.ignore("num_attention_heads")
    extra = {"num_attention_heads": heads, "head_dim": width}
    traits = Traits(mlp_bias=False, tied=True)
    return read_decoder(keys.merged(extra), name, traits, mixer=mixer)


def read_doge(keys: Keys, name: str) -> Model:
    """Read Doge: a mask from the values, residual weights, and experts of one vector each."""

    def mixer(own: Keys, at: Layer) -> Block:
        inputs, groups = at.shape.kv_heads * at.shape.head_dim, at.shape.kv_heads
        bias = groups if own.flag("attention_bias", default=False) else 0
        return build.join(attention(own, at), build.vectors(inputs * groups + groups + bias))

    def network(own: Keys, at: Layer) -> Block:
        made = dense(own, at)
        own.ignore("num_experts", "num_experts_per_tok")
        if not own.flag("is_moe", default=False):
            return made
        count, hidden = own.count("num_experts"), at.shape.hidden
        router = 2 * int(count**0.5) * hidden
        return build.join(made, build.vectors(router + 2 * count * hidden))

    keys.ignore("keep_window_size")
    traits = Traits(qk_norm="head", hidden_vectors=2)
    return read_decoder(keys, name, traits, mixer=mixer, network=network)


def read_moshi(keys: Keys, name: str) -> Model:
    """Read the text part of Moshi: one more row in the embedding, networks of half the width."""
    shape = read_shape(keys)
    extra = {"intermediate_size": keys.count("ffn_dim") // 2, "tie_word_embeddings": False}
    keys.ignore("num_codebooks")
    traits = Traits(qkv_bias=False, out_bias=False, mlp_bias=False)
    table = (shape.vocab + 1) * shape.hidden
    return read_decoder(keys.merged(extra), name, traits, embedding=table)


def read_modernbert(keys: Keys, name: str) -> Model:
    """Read the ModernBERT decoder: a norm on the embedding instead of on the first layer."""
    layers, hidden = keys.count("num_hidden_layers"), keys.count("hidden_size")
    size = keys.count("local_attention", default=128) // 2
    extra = {"sliding_window": keys.count("sliding_window", default=size)}
    bias = keys.flag("norm_bias", default=False)
    one = 2 * hidden if bias else hidden
    plain = feed_forward(keys, layers)
    every = keys.count("global_attn_every_n_layers", default=3)
    if not keys.has("layer_types"):
        kinds = ["full_attention" if n % every == 0 else "sliding" for n in range(layers)]
        extra["layer_types"] = kinds  # type: ignore[assignment]

    def network(own: Keys, at: Layer) -> Block:
        made = plain(own, at)
        return build.join(made, build.vectors(one if at.number else 0))

    head = hidden * hidden + one
    head += hidden if keys.flag("classifier_bias", default=False) else 0
    traits = Traits(norm="layer" if bias else "rms", norms=1, tied=True, head_bias="!decoder_bias")
    return read_decoder(keys.merged(extra), name, traits, network=network, other=one + head)


READERS: dict[str, Reader] = {
    "dbrx": read_dbrx,
    "doge": read_doge,
    "ernie4_5_moe": read_ernie_moe,
    "hunyuan_v1_moe": read_hunyuan_moe,
    "jetmoe": read_jetmoe,
    "laguna": read_laguna,
    "llama4_text": read_llama4,
    "mimo_v2_flash": read_mimo,
    "minimax_m3_vl_text": read_minimax_m3,
    "modernbert-decoder": read_modernbert,
    "moshi": read_moshi,
}
