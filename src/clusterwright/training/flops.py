"""FLOPs of a model per token, by part; the conventions of MFU and HFU are chosen by the caller."""

from __future__ import annotations

from clusterwright.formulas import flops
from clusterwright.model.parameters import count_block
from clusterwright.model.records import Core, Model


def core_flops_per_token(core: Core, sequence_length: int, *, causal_half: bool) -> float:
    """Forward FLOPs of an attention core (or a state update) for one token of one layer.

    ``causal_half``: count the masked half of the scores as absent, else as computed.
    """
    if core.kind == "linear":
        update = flops.scan_flops(
            1.0, num_heads=core.num_heads, state_dim=core.state_dim, value_dim=core.value_dim
        )
        return float(update)
    keys = sequence_length / core.stride
    keys = min(keys, core.window) if core.window else keys
    share = 0.5 if causal_half and core.causal and not core.window else 1.0
    width = 0.5 * core.num_heads * (core.query_key_dim + core.value_dim)
    whole = flops.attention_flops(
        1.0,
        sequence_length,
        num_layers=1.0,
        attention_width=width,
        visible_share=share * keys / sequence_length,
        passes=1.0,
    )
    return float(whole / sequence_length)


def forward_flops_per_token(
    model: Model, sequence_length: int, *, causal_half: bool = True, cores_only: bool = False
) -> float:
    """Forward FLOPs of one token: every matrix product, the cores, the head; no look-ups."""
    total = 0.0 if cores_only else _product(model.vocab_size * model.hidden_size)
    for block, number in zip(model.blocks, model.count_of, strict=True):
        count = count_block(block, model.hidden_size)
        weights = count.mixer + count.mlp + count.experts - count.idle_experts
        if block.experts:
            weights -= block.experts.top_k * block.experts.vector_parameters
        weights += count.shared_experts + count.router
        cores = sum(
            core_flops_per_token(core, sequence_length, causal_half=causal_half)
            for core in block.cores
        )
        total += number * (cores + (0.0 if cores_only else _product(weights)))
    return total


def _product(weights: int) -> float:
    """FLOPs of multiplying one token by some weights, forward."""
    return float(flops.parameter_flops(float(weights), 1.0, passes=1.0))


def head_layers(model: Model, sequence_length: int) -> float:
    """Work of the last rank beyond its layers, in mean layers: heads and multi-token prediction."""
    head = _product(model.vocab_size * model.hidden_size)
    layer = (forward_flops_per_token(model, sequence_length) - head) / model.num_layers
    return head * (1 + model.mtp_layers) / layer + model.mtp_layers
