"""What the backward pass needs of a layer under each recompute mode, in bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.formulas import memory
from clusterwright.model.records import Block, Experts
from clusterwright.training.columns import SCHEMES
from clusterwright.training.costs import BF16, Kept
from clusterwright.training.operators import Operators

Array = Any


def kept_bytes(ops: Operators, block: Block) -> Kept:
    """Bytes kept of one layer and micro-batch, by half layer and recompute mode."""
    job, shapes = ops.job, ops.shapes
    shared = {
        "hidden_size": job.hidden_size,
        "sequence_shards": shapes.sequence_shards,
        "linear_input_bytes": job.linear_input_bytes,
        "mask_bytes": 1.0 if job.dropout else 0.0,
    }
    zero: Array = np.zeros(ops.num_shapes)
    none = {"attention": zero, "feed-forward": zero, "experts": zero}
    if block.projections:
        none["attention"] = _mixer_bytes(ops, block, shared)
    if block.mlp:
        none["feed-forward"] = memory.mlp_activation_bytes(
            ops.tokens,
            width=float(block.mlp.width),
            num_up=2.0 if block.mlp.gated else 1.0,
            tensor_shards=shapes.tp,
            **shared,
        )
    if block.experts:
        none["experts"] = _expert_bytes(ops, block.experts, shared)
    saved = _saved_by_selective(ops, block)
    # The formulas below count 16-bit activations.
    wide = job.element_bytes / BF16
    full = ops.tokens * job.element_bytes * job.hidden_size / shapes.sequence_shards
    return Kept(
        none={name: wide * kept for name, kept in none.items()},
        selective={name: wide * (kept - saved.get(name, zero)) for name, kept in none.items()},
        full=np.broadcast_to(full, ops.num_shapes),
    )


def _saved_by_selective(ops: Operators, block: Block) -> dict[str, Array]:
    """Bytes that a selective recompute does not keep.

    The scores of unfused attention; else the outputs of norms and activation functions, and where
    the framework's policy covers the feed-forward network, all of it and what enters it, or half of
    the products' outputs where it takes every second.
    """
    job, shapes = ops.job, ops.shapes
    if not job.flash_attention:
        return {"attention": _score_bytes(ops, block)}
    residual = ops.tokens * job.hidden_size / shapes.sequence_shards
    saved: dict[str, Array] = {}
    if block.projections:
        saved["attention"] = job.linear_input_bytes * residual
        if ops.machine.software.selective == "operators":
            wide = sum(p.outputs for p in block.projections if p.split != "row") / shapes.tp
            saved["attention"] = saved["attention"] + 0.5 * BF16 * ops.tokens * wide
    if block.mlp:
        inner = ops.tokens * block.mlp.width / shapes.tp
        num_up = 2.0 if block.mlp.gated else 1.0
        saved["feed-forward"] = job.linear_input_bytes * (residual + inner)
        if ops.machine.software.selective == "mlp":
            saved["feed-forward"] = saved["feed-forward"] + BF16 * (residual + num_up * inner)
        if ops.machine.software.selective == "operators":
            saved["feed-forward"] = saved["feed-forward"] + 0.5 * BF16 * num_up * inner
    if block.experts:
        inner = ops.routed_tokens(block.experts) * block.experts.width / shapes.etp
        saved["experts"] = job.linear_input_bytes * (residual + inner)
    return saved


def exchange_bytes(ops: Operators, block: Block) -> Array:
    """Buffers that a layer's traffic needs while it runs: gathered inputs, keys, routed tokens."""
    job, shapes = ops.job, ops.shapes
    gathered = (
        ops.tokens * job.hidden_size * job.element_bytes * ((shapes.sequence_shards > 1) * 1.0)
    )
    width = max((c.num_kv_heads * (c.query_key_dim + c.value_dim) for c in block.cores), default=0)
    keys = ops.tokens * width / shapes.tp * job.element_bytes
    held = np.where(shapes.scheme == SCHEMES.index("all-gather"), shapes.cp, 2.0)
    total = gathered + keys * held * (shapes.cp > 1)
    if block.experts:
        routed = ops.routed_tokens(block.experts) * job.hidden_size * job.element_bytes
        total = total + 2.0 * routed * (shapes.ep > 1)
    return total


def hop_bytes(ops: Operators) -> Array:
    """Buffers of one pipeline rank for what it receives: an activation and a gradient."""
    return (
        2.0 * ops.tokens * ops.job.hidden_size * ops.job.element_bytes / ops.shapes.sequence_shards
    )


def _mixer_bytes(ops: Operators, block: Block, shared: dict[str, Any]) -> Array:
    projected = sum(p.outputs for p in block.projections if p.split != "row")
    core_width = sum(p.inputs for p in block.projections if p.split == "row")
    kept = memory.mixer_activation_bytes(
        ops.tokens,
        projected_width=float(projected),
        core_width=float(core_width),
        tensor_shards=ops.shapes.tp,
        **shared,
    )
    if not ops.job.flash_attention:
        kept = kept + _score_bytes(ops, block)
    return kept


def _score_bytes(ops: Operators, block: Block) -> Array:
    length = ops.job.sequence_length
    heads = sum(core.num_heads for core in block.cores if core.kind == "softmax")
    return memory.score_activation_bytes(
        ops.shapes.micro_batch, length / ops.shapes.cp, length, heads / ops.shapes.tp
    )


def _expert_bytes(ops: Operators, experts: Experts, shared: dict[str, Any]) -> Array:
    routed = memory.expert_activation_bytes(
        ops.routed_tokens(experts),
        hidden_size=shared["hidden_size"],
        width=float(experts.width),
        num_up=2.0 if experts.gated else 1.0,
        expert_shards=ops.shapes.etp,
        linear_input_bytes=shared["linear_input_bytes"],
    )
    everywhere = memory.mlp_activation_bytes(
        ops.tokens,
        width=float(experts.shared_width),
        num_up=2.0 if experts.shared_gated else 1.0,
        tensor_shards=ops.shapes.tp,
        **shared,
    )
    return routed + everywhere
