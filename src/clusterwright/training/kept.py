"""What the backward pass needs of a layer under each recompute mode, in bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.formulas import memory
from clusterwright.model.records import Block, Experts
from clusterwright.training.costs import BF16
from clusterwright.training.operators import Operators

Array = Any


def kept_bytes(ops: Operators, block: Block) -> tuple[Array, Array, Array]:
    """Bytes kept for the backward pass: none, selective, full recompute."""
    job, shapes = ops.job, ops.shapes
    shared = {
        "hidden_size": job.hidden_size,
        "sequence_shards": shapes.sequence_shards,
        "linear_input_bytes": job.linear_input_bytes,
        "mask_bytes": 1.0 if job.dropout else 0.0,
    }
    kept: Array = np.zeros(ops.num_shapes)
    if block.projections:
        kept = kept + _mixer_bytes(ops, block, shared)
    if block.mlp:
        kept = kept + memory.mlp_activation_bytes(
            ops.tokens,
            width=float(block.mlp.width),
            num_up=2.0 if block.mlp.gated else 1.0,
            tensor_shards=shapes.tp,
            **shared,
        )
    if block.experts:
        kept = kept + _expert_bytes(ops, block.experts, shared)
    full = ops.tokens * BF16 * job.hidden_size / shapes.sequence_shards
    light = kept - _saved_by_selective(ops, block)
    return kept, light, np.broadcast_to(full, ops.num_shapes)


def _saved_by_selective(ops: Operators, block: Block) -> Array:
    """Bytes that a selective recompute does not keep.

    The scores of unfused attention; else the outputs of norms and activation functions, and where
    the framework's policy covers the feed-forward network, all of it and what enters it.
    """
    job, shapes = ops.job, ops.shapes
    if not job.flash_attention:
        return _score_bytes(ops, block)
    residual = ops.tokens * job.hidden_size / shapes.sequence_shards
    saved: Array = np.zeros(ops.num_shapes)
    if block.projections:
        saved = saved + job.linear_input_bytes * residual
    if block.mlp:
        inner = ops.tokens * block.mlp.width / shapes.tp
        saved = saved + job.linear_input_bytes * (residual + inner)
        if ops.machine.software.selective == "mlp":
            num_up = 2.0 if block.mlp.gated else 1.0
            saved = saved + BF16 * (residual + num_up * inner)
    if block.experts:
        inner = ops.routed_tokens(block.experts) * block.experts.width / shapes.etp
        saved = saved + job.linear_input_bytes * (residual + inner)
    return saved


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
