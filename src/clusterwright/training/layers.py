"""Cost of one layer of each kind, for every distinct shape that a search can ask for."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.model.records import Block, Experts, Mlp
from clusterwright.training import traffic
from clusterwright.training.costs import BF16, Cost, LayerCosts
from clusterwright.training.kept import kept_bytes
from clusterwright.training.mixers import add_mixer
from clusterwright.training.operators import Operators

Array = Any


def layer_costs(ops: Operators, block: Block) -> LayerCosts:
    """Times and bytes of one block kind."""
    forward, backward, weight, selective = Cost(), Cost(), Cost(), Cost()
    add_mixer(ops, block, forward, backward, weight, selective)
    if block.mlp:
        _add_mlp(ops, block.mlp, forward, backward, weight, selective)
    if block.experts:
        _add_experts(ops, block.experts, forward, backward, weight, selective)
    traffic.add_tensor_traffic(ops, block, forward, backward)
    traffic.overlap_tensor_traffic(ops, forward, backward)
    traffic.overlap_expert_traffic(ops, forward, backward)
    for cost in (forward, backward, selective):
        cost.add("host", ops.host_wait(cost))
    kept_none, kept_selective, kept_full = kept_bytes(ops, block)
    return LayerCosts(
        forward=forward.matrix(ops.num_shapes),
        backward=backward.matrix(ops.num_shapes),
        selective=selective.matrix(ops.num_shapes),
        weight_gradient=np.broadcast_to(weight.total(), ops.num_shapes),
        kept_none=kept_none,
        kept_selective=kept_selective,
        kept_full=kept_full,
    )


def _add_mlp(
    ops: Operators, mlp: Mlp, forward: Cost, backward: Cost, weight: Cost, selective: Cost
) -> None:
    num_up = 2.0 if mlp.gated else 1.0
    width = mlp.width / ops.shapes.tp
    hidden = ops.job.hidden_size
    costs = (forward, backward, weight)
    if ops.machine.software.selective == "mlp":
        ops.matmul(selective, ops.tokens, num_up * width, hidden)
    ops.linear(costs, ops.tokens, num_up * width, hidden)
    ops.linear(costs, ops.tokens, hidden + 0.0 * width, width)
    norm = ops.norm(forward, backward)
    activation = ops.activation(ops.tokens * width, num_up, forward, backward)
    if ops.job.flash_attention:
        for cost in (norm, activation):
            selective.add("elementwise", cost.total())
            selective.kernels += cost.kernels


def _add_experts(
    ops: Operators, experts: Experts, forward: Cost, backward: Cost, weight: Cost, selective: Cost
) -> None:
    shapes, hidden = ops.shapes, ops.job.hidden_size
    costs = (forward, backward, weight)
    rows = ops.routed_tokens(experts)
    num_up = 2.0 if experts.gated else 1.0
    width = experts.width / shapes.etp
    groups = np.maximum(1.0, experts.num_experts / shapes.ep)
    ops.linear(costs, rows, num_up * width, hidden + 0.0 * rows, groups)
    ops.linear(costs, rows, hidden + 0.0 * rows, width, groups)
    activation = ops.activation(rows * width, num_up, forward, backward)
    own = ops.tokens / shapes.sequence_shards
    ops.linear(costs, own, float(experts.num_experts), hidden + 0.0 * own)
    norm = ops.norm(forward, backward)
    # Router scores, top-k, and the permutation of tokens to their experts and back.
    ops.stream(forward, own * experts.num_experts * 12.0, kernels=6.0)
    for cost, passes in ((forward, 4.0), (backward, 6.0)):
        ops.stream(cost, passes * BF16 * rows * hidden, kernels=passes)
    if ops.job.flash_attention:
        selective.add("elementwise", norm.total() + activation.total())
        selective.kernels += norm.kernels + activation.kernels
    if experts.shared_width:
        shared_up = 2.0 if experts.shared_gated else 1.0
        shared = experts.shared_width / shapes.tp
        ops.linear(costs, ops.tokens, shared_up * shared, hidden + 0.0 * shared)
        ops.linear(costs, ops.tokens, hidden + 0.0 * shared, shared)
        ops.activation(ops.tokens * shared, shared_up, forward, backward)
    traffic.add_expert_traffic(ops, experts, forward, backward)
