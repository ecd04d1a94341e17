"""The Gemmas that need more than traits: 3n and 4, with tables per layer and shared keys."""

from __future__ import annotations

from clusterwright.model import build
from clusterwright.model.families.common import Reader, read_windows
from clusterwright.model.families.decoder_only import (
    Layer,
    Traits,
    dense,
    mixture,
    read_decoder,
)
from clusterwright.model.keys import Keys
from clusterwright.model.records import Block, Core, Model

TRAITS = Traits(mlp_bias=False, tied=True, norms=4, head_dim=256)


def shared_attention(keys: Keys, at: Layer, *, reuse: bool, same: bool) -> Block:
    """Return attention with norms of queries and keys.

    Parameters
    ----------
    reuse
        Keys and values come from a layer below: only queries and outputs are projected.
    same
        Values are the keys.
    """
    shape, bias = at.shape, keys.flag("attention_bias", default=False)
    heads, groups, width = shape.heads, shape.kv_heads, shape.head_dim
    kv = 0 if reuse else groups * width * (1 if same else 2)
    core = Core(
        num_heads=heads,
        num_kv_heads=groups,
        query_key_dim=width,
        value_dim=width,
        window=at.window,
    )
    return build.join(
        build.project("qkv", shape.hidden, heads * width + kv, bias=bias),
        Block(cores=(core,), vector_parameters=width if reuse else 2 * width),
        build.project("out", heads * width, shape.hidden, "row", bias=bias),
    )


def layer_input(keys: Keys, hidden: int) -> Block:
    """Return the gate, projection and norm that bring the layer's own embedding in."""
    narrow = keys.count("hidden_size_per_layer_input", default=256, least=0)
    if not narrow:
        return build.vectors(0)
    return build.join(
        build.project("input_gate", hidden, narrow, "replicated"),
        build.project("input_out", narrow, hidden, "replicated"),
        build.vectors(hidden),
    )


def layer_tables(keys: Keys, hidden: int, layers: int) -> tuple[int, int]:
    """Return the parameters of the tables per layer, and of the projection beside them."""
    narrow = keys.count("hidden_size_per_layer_input", default=256, least=0)
    if not narrow:
        keys.ignore("vocab_size_per_layer_input")
        return 0, 0
    rows = keys.count("vocab_size_per_layer_input", default=262144)
    return rows * layers * narrow, hidden * layers * narrow + narrow


def read_gemma3n(keys: Keys, name: str) -> Model:
    """Read Gemma 3n: four streams, low-rank shortcuts, an embedding for every layer."""
    layers, hidden = keys.count("num_hidden_layers"), keys.count("hidden_size")
    first_shared = layers - keys.count("num_kv_shared_layers", default=15, least=0)
    streams = keys.count("altup_num_inputs", default=4)
    rank = keys.count("laurel_rank", default=64)
    widths = keys.counts("intermediate_size", length=layers)
    keys.ignore("activation_sparsity_pattern", "altup_active_idx", "altup_correct_scale")
    keys.ignore("altup_coef_clip", "altup_lr_multiplier")

    def mixer(own: Keys, at: Layer) -> Block:
        shortcut = build.join(
            build.project("laurel_in", hidden, rank, "replicated"),
            build.project("laurel_out", rank, hidden, "replicated"),
        )
        small = 3 * hidden + streams * streams * (1 + streams) + streams * hidden
        made = shared_attention(own, at, reuse=at.number >= first_shared, same=False)
        return build.join(made, shortcut, layer_input(own, hidden), build.vectors(small))

    def network(_own: Keys, at: Layer) -> Block:
        return build.network(hidden, widths[at.number], gated=True)

    tables, beside = layer_tables(keys, hidden, layers)
    whole = keys.count("vocab_size") * hidden
    beside += 2 * (streams - 1) * hidden * hidden
    return read_decoder(
        keys.merged({"layer_types": _types(keys, layers, every=5)}),
        name,
        TRAITS,
        mixer=mixer,
        network=network,
        other=beside,
        embedding=whole + tables,
    )


def _types(keys: Keys, layers: int, *, every: int) -> list[str]:
    given = keys.words("layer_types", length=layers)
    if given:
        return [*given[:-1], "full_attention"]
    return [
        "full_attention" if (number + 1) % every == 0 else "sliding_attention"
        for number in range(layers - 1)
    ] + ["full_attention"]


def _global_layers(keys: Keys, layers: int) -> dict[str, object]:
    """Return the keys of layers that see everything, where they have a shape of their own."""
    groups = keys.optional("num_global_key_value_heads")
    changed: dict[str, object] = {"head_dim": keys.count("global_head_dim", default=512)}
    if keys.has("per_layer_config"):
        return {}
    if groups is not None and keys.flag("attention_k_eq_v", default=False):
        changed["num_key_value_heads"] = groups
    windows = read_windows(keys, layers)
    full = {str(number): changed for number in range(layers) if windows[number] is None}
    return {"per_layer_config": full}


def read_gemma4(keys: Keys, name: str) -> Model:
    """Read Gemma 4: wider heads in full layers, shared keys, experts beside the network."""
    layers, hidden = keys.count("num_hidden_layers"), keys.count("hidden_size")
    first_shared = layers - keys.count("num_kv_shared_layers", default=0, least=0)
    same = keys.flag("attention_k_eq_v", default=False)
    wide = keys.flag("use_double_wide_mlp", default=False)
    experts = keys.flag("enable_moe_block", default=False)
    types = {"layer_types": _types(keys, layers, every=6)}
    typed = keys.merged(types)
    keys.ignore("num_experts", "num_experts_per_tok", "moe_intermediate_size", "intermediate_size")

    def mixer(own: Keys, at: Layer) -> Block:
        reuse = at.number >= first_shared
        made = shared_attention(own, at, reuse=reuse, same=same and at.window is None)
        return build.join(made, inputs(own))

    def inputs(own: Keys) -> Block:
        if keys.values.get("model_type") == "gemma4_unified_text":
            return build.vectors(0)
        return layer_input(own, hidden)

    def network(own: Keys, at: Layer) -> Block:
        made = dense(own, at)
        if wide and at.number >= first_shared:
            made = build.join(made, made)
        if not experts:
            return made
        routed = mixture(own, at)
        count = routed.experts.num_experts if routed.experts else 0
        return build.join(made, routed, build.vectors(4 * hidden + count))

    tables, beside = (0, 0)
    if keys.values.get("model_type") != "gemma4_unified_text":
        tables, beside = layer_tables(keys, hidden, layers)
    whole = keys.count("vocab_size") * hidden
    return read_decoder(
        typed.merged(_global_layers(typed, layers)),
        name,
        TRAITS,
        mixer=mixer,
        network=network,
        other=beside,
        embedding=whole + tables,
    )


READERS: dict[str, Reader] = {
    "gemma3n_text": read_gemma3n,
    "gemma4_text": read_gemma4,
    "gemma4_unified_text": read_gemma4,
}
