"""Decoders without attention: Mamba, xLSTM, RWKV; and Zamba, whose layers share theirs."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from clusterwright.model import build, recurrent
from clusterwright.model.families.common import Reader, tied
from clusterwright.model.keys import Keys
from clusterwright.model.parameters import count_block
from clusterwright.model.records import Block, Core, Model


def _assemble(
    keys: Keys, name: str, layers: Sequence[Block], *, tie: bool, other: int, shared: int = 0
) -> Model:
    return build.assemble(
        name=name,
        family=keys.word("model_type", default="decoder"),
        hidden=keys.count("hidden_size"),
        vocab=keys.count("vocab_size"),
        layers=layers,
        tied=tied(keys, default=tie),
        other=other,
        shared=shared,
        max_positions=keys.optional("max_position_embeddings"),
    )


def read_mamba(keys: Keys, name: str) -> Model:
    """Read Mamba and Falcon-Mamba."""
    hidden = keys.count("hidden_size")
    rank = ceil(hidden / 16)
    automatic = keys.values.get("time_step_rank") == "auto"
    rank = rank if automatic else keys.count("time_step_rank", default=rank)
    keys.ignore("time_step_rank", "expand", "d_inner", "d_model", "n_layer")
    inner = keys.optional("intermediate_size") or int(keys.number("expand", default=2) * hidden)
    layer = recurrent.mamba1(
        hidden=hidden,
        inner=inner,
        state=keys.count("state_size", default=16),
        step_rank=rank,
        kernel=keys.count("conv_kernel", default=4),
        bias=keys.flag("use_bias", default=False),
        kernel_bias=keys.flag("use_conv_bias", default=True),
    )
    layers = [build.join(layer, build.vectors(hidden))] * keys.count("num_hidden_layers")
    return _assemble(keys, name, layers, tie=True, other=hidden)


def read_mamba2(keys: Keys, name: str) -> Model:
    """Read Mamba-2."""
    hidden = keys.count("hidden_size")
    inner = int(keys.number("expand", default=2) * hidden)
    keys.ignore("head_dim", "chunk_size", "time_step_rank", "rms_norm")
    layer = recurrent.mamba2(
        hidden=hidden,
        inner=inner,
        heads=keys.count("num_heads", default=128),
        groups=keys.count("n_groups", default=8),
        state=keys.count("state_size", default=128),
        kernel=keys.count("conv_kernel", default=4),
        bias=keys.flag("use_bias", default=False),
        kernel_bias=keys.flag("use_conv_bias", default=True),
    )
    layers = [build.join(layer, build.vectors(hidden))] * keys.count("num_hidden_layers")
    return _assemble(keys, name, layers, tie=False, other=hidden)


def _rounded(width: float, multiple: int) -> int:
    return int((width + multiple - 1) // multiple * multiple)


def read_xlstm(keys: Keys, name: str) -> Model:
    """Read xLSTM: matrix memories and gated networks."""
    hidden, heads = keys.count("hidden_size"), keys.count("num_heads", default=8)
    bias = keys.flag("use_bias", default=False)
    multiple = keys.count("ffn_round_up_to_multiple_of", default=64)
    width = _rounded(hidden * keys.number("ffn_proj_factor", default=2.667), multiple)
    keys.ignore("mode", "weight_mode", "embedding_dim", "num_blocks", "chunk_size", "gate_soft_cap")
    layer = build.join(
        recurrent.matrix_lstm(
            hidden=hidden,
            heads=heads,
            key_width=int(hidden * keys.number("qk_dim_factor", default=0.5)),
            value_width=int(hidden * keys.number("v_dim_factor", default=1.0)),
            bias=bias,
        ),
        build.network(hidden, width, gated=True, bias=bias),
        build.vectors((4 if bias else 2) * hidden),
    )
    count = keys.optional("num_blocks") or keys.count("num_hidden_layers")
    keys.ignore("num_hidden_layers", "add_out_norm")
    untied = keys.merged({"tie_word_embeddings": False})
    return _assemble(untied, name, [layer] * count, tie=False, other=(2 if bias else 1) * hidden)


def read_rwkv(keys: Keys, name: str) -> Model:
    """Read RWKV-4: a decay per channel, and a network with a gate of its own."""
    hidden = keys.count("hidden_size")
    inner = keys.count("attention_hidden_size", default=hidden)
    width = keys.count("intermediate_size", default=4 * hidden)
    keys.ignore("context_length", "rescale_every")
    layer = build.join(
        build.project("receptance_key_value", hidden, 3 * inner),
        recurrent.state_update(heads=inner, key_dim=1, value_dim=1),
        build.project("out", inner, hidden, "row"),
        build.project("network_gate", hidden, hidden),
        build.network(hidden, width, gated=False),
        build.vectors(2 * inner + 5 * hidden + 4 * hidden),
    )
    layers = [layer] * keys.count("num_hidden_layers")
    return _assemble(keys, name, layers, tie=False, other=4 * hidden)


def _zamba_layers(keys: Keys) -> list[bool]:
    """Return which layers use the shared transformer."""
    layers = keys.count("num_hidden_layers")
    kinds = keys.words("layers_block_type", length=layers)
    keys.ignore("hybrid_layer_ids", "attn_layer_period", "attn_layer_offset", "layer_types")
    if kinds is not None:
        return [kind == "hybrid" for kind in kinds]
    listed = keys.indices("hybrid_layer_ids")
    if listed is not None:
        return [number in listed for number in range(layers)]
    period = keys.count("attn_layer_period", default=6)
    offset = keys.count("attn_layer_offset", default=4, least=0)
    # The first use is in the third layer; the period is counted from there.
    return [
        number == 2 or (number > 2 and (number - 3) % period == offset) for number in range(layers)
    ]


def _shared_transformer(keys: Keys, hidden: int, *, bias: bool) -> Block:
    """Return Zamba's attention over the layer's input beside the embedding, and its network."""
    inner = keys.count("attention_hidden_size", default=2 * hidden)
    heads = keys.count("num_attention_heads")
    width = keys.count("attention_head_dim", default=inner // heads)
    attention = build.attention(
        hidden=inner,
        heads=heads,
        kv_heads=keys.count("num_key_value_heads", default=heads),
        head_dim=width,
        outputs=hidden,
    )
    network = build.network(
        hidden, keys.count("intermediate_size", default=4 * hidden), gated=True, bias=bias
    )
    return build.join(attention, network, build.vectors(inner + hidden))


def read_zamba(keys: Keys, name: str) -> Model:
    """Read Zamba: Mamba in heads of its own, one transformer block shared by some layers."""
    hidden = keys.count("hidden_size")
    inner = keys.count("mamba_expand", default=2) * hidden
    heads = keys.count("n_mamba_heads", default=2)
    state, kernel = keys.count("mamba_d_state", default=16), keys.count("mamba_d_conv", default=4)
    automatic = keys.values.get("mamba_dt_rank") == "auto"
    rank = (
        ceil(hidden / 16) if automatic else keys.count("mamba_dt_rank", default=ceil(hidden / 16))
    )
    bias = keys.flag("mamba_proj_bias", default=False)
    core = Core(
        kind="linear",
        num_heads=inner,
        num_kv_heads=heads,
        query_key_dim=state,
        value_dim=1,
        state_dim=state,
    )
    small = inner * (state + 2 + kernel + keys.flag("mamba_conv_bias", default=True))
    mamba = build.join(
        build.project("in", hidden, 2 * inner, bias=bias),
        build.project("parameters", inner, rank + 2 * state, "row"),
        build.project("step", rank, inner),
        Block(cores=(core,), vector_parameters=small + hidden),
        build.project("out", inner, hidden, "row", bias=bias),
    )
    common = _shared_transformer(keys, hidden, bias=False)
    hybrid = build.join(mamba, common, build.project("merge", hidden, hidden))
    uses = _zamba_layers(keys)
    keys.ignore("head_dim")
    layers = [hybrid if use else mamba for use in uses]
    shared = max(sum(uses) - 1, 0) * count_block(common, hidden).total
    return _assemble(keys, name, layers, tie=True, other=hidden, shared=shared)


def read_zamba2(keys: Keys, name: str) -> Model:
    """Read Zamba2: Mamba-2, a few shared transformer blocks with adapters at every use."""
    hidden = keys.count("hidden_size")
    bias = keys.flag("add_bias_linear", default=False)
    mamba = recurrent.mamba2(
        hidden=hidden,
        inner=int(keys.number("mamba_expand", default=2) * hidden),
        heads=keys.count("n_mamba_heads", default=8),
        groups=keys.count("mamba_ngroups", default=1),
        state=keys.count("mamba_d_state", default=64),
        kernel=keys.count("mamba_d_conv", default=4),
        bias=bias,
    )
    mamba = build.join(mamba, build.vectors(hidden))
    common = _shared_transformer(keys, hidden, bias=bias)
    hybrid = build.join(
        mamba, common, build.project("merge", hidden, hidden), _adapters(keys, hidden)
    )
    uses, blocks = _zamba_layers(keys), keys.count("num_mem_blocks", default=1)
    keys.ignore("mamba_headdim", "mamba_head_dim", "chunk_size", "use_mem_rope", "use_conv_bias")
    keys.ignore("kv_channels", "num_query_groups", "use_long_context", "use_mem_eff_path")
    layers = [hybrid if use else mamba for use in uses]
    shared = max(sum(uses) - blocks, 0) * count_block(common, hidden).total
    return _assemble(keys, name, layers, tie=True, other=hidden, shared=shared)


def _adapters(keys: Keys, hidden: int) -> Block:
    rank = keys.count("adapter_rank", default=128)
    width = keys.count("intermediate_size", default=4 * hidden)
    parts = [
        build.project("adapter_a", hidden, rank, "replicated"),
        build.project("adapter_b", rank, 2 * width),
    ]
    if keys.flag("use_shared_attention_adapter", default=False):
        inner = keys.count("attention_hidden_size", default=2 * hidden)
        parts += [
            build.project("qkv_adapter_a", inner, 3 * rank, "replicated"),
            build.project("qkv_adapter_b", rank, 3 * inner),
        ]
    return build.join(*parts)


READERS: dict[str, Reader] = {
    "falcon_mamba": read_mamba,
    "mamba": read_mamba,
    "mamba2": read_mamba2,
    "rwkv": read_rwkv,
    "xlstm": read_xlstm,
    "zamba": read_zamba,
    "zamba2": read_zamba2,
}
