"""Cost of one layer of each kind, for every distinct shape that a search can ask for."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.model.records import Block, Experts, Mlp
from clusterwright.training import traffic
from clusterwright.training.costs import PARTS, Cost, LayerCosts, Work
from clusterwright.training.kept import kept_bytes
from clusterwright.training.mixers import add_mixer
from clusterwright.training.operators import Operators

Array = Any


def layer_costs(ops: Operators, block: Block) -> LayerCosts:
    """Times and bytes of one block kind."""
    work = Work()
    add_mixer(ops, block, work)
    if block.mlp:
        _add_mlp(ops, block.mlp, work)
    if block.experts:
        _add_experts(ops, block.experts, work)
    if ops.machine.software.selective == "operators":
        work.selective = _every_second_product(work.forward)
    traffic.add_tensor_traffic(ops, block, work)
    for cost in (work.forward, work.backward):
        traffic.overlap_tensor_traffic(ops, cost)
        traffic.overlap_expert_traffic(ops, cost)
    for cost in (work.forward, work.backward, work.selective):
        cost.add("host", ops.host_wait(cost))
    return LayerCosts(
        forward=work.forward.matrix(ops.num_shapes),
        backward=work.backward.matrix(ops.num_shapes),
        selective=work.selective.matrix(ops.num_shapes),
        weight_gradient=np.broadcast_to(work.weight.total(), ops.num_shapes),
        kept=kept_bytes(ops, block),
    )


def waits_for_host(costs: list[LayerCosts]) -> Array:
    """Return, for each shape, whether every kind of layer waits for its launches. (shapes,)"""
    row = PARTS.index("host")
    return np.logical_and.reduce([cost.forward[row] > 0 for cost in costs])


def _every_second_product(forward: Cost) -> Cost:
    """A recompute that keeps attention's output and every second product, and nothing else."""
    again = Cost(kernels=forward.kernels)
    for part in ("matmul_ideal", "matmul_loss"):
        again.add(part, 0.5 * forward.parts.get(part, 0.0))
    again.add("elementwise", forward.parts.get("elementwise", 0.0))
    return again


def _add_mlp(ops: Operators, mlp: Mlp, work: Work) -> None:
    """Two or three matrices around an activation function, and the norm before them."""
    num_up = 2.0 if mlp.gated else 1.0
    width = mlp.width / ops.shapes.tp
    hidden = ops.job.hidden_size
    if ops.machine.software.selective == "mlp":
        ops.matmul(work.selective, ops.tokens, num_up * width, hidden)
    ops.linear(work, ops.tokens, num_up * width, hidden, part="feed-forward")
    ops.linear(work, ops.tokens, hidden + 0.0 * width, width, part="feed-forward")
    norm = ops.norm(work)
    activation = ops.activation(ops.tokens * width, num_up, work)
    if ops.job.flash_attention:
        work.selective.merge(norm)
        work.selective.merge(activation)


def _add_experts(ops: Operators, experts: Experts, work: Work) -> None:
    """Router, dispatch, grouped products of the routed experts, combine; the shared experts."""
    shapes, hidden = ops.shapes, ops.job.hidden_size
    before = (work.forward.kernels, work.backward.kernels)
    rows = ops.routed_tokens(experts)
    num_up = 2.0 if experts.gated else 1.0
    width = experts.width / shapes.etp
    groups = np.maximum(1.0, experts.num_experts / shapes.ep)
    ops.linear(work, rows, num_up * width, hidden + 0.0 * rows, groups=groups)
    ops.linear(work, rows, hidden + 0.0 * rows, width, groups=groups)
    activation = ops.activation(rows * width, num_up, work)
    # Each expert's product is a launch of its own, from one call of the library.
    loops = 2.0 * groups * ops.machine.settings.grouped_launch_share
    work.forward.kernels += loops
    work.backward.kernels += 2.0 * loops
    own = ops.tokens / shapes.sequence_shards
    ops.linear(work, own, float(experts.num_experts), hidden + 0.0 * own)
    norm = ops.norm(work)
    # Router scores, top-k, and the permutation of tokens to their experts and back.
    ops.stream(work.forward, own * experts.num_experts * 12.0, kernels=6.0)
    for cost, passes in ((work.forward, 4.0), (work.backward, 6.0)):
        ops.stream(cost, passes * ops.job.element_bytes * rows * hidden, kernels=passes)
    for cost, count in zip((work.forward, work.backward), before, strict=True):
        cost.expert_kernels = cost.kernels - count
    if ops.job.flash_attention:
        work.selective.merge(norm)
        work.selective.merge(activation)
    if experts.shared_width:
        shared_up = 2.0 if experts.shared_gated else 1.0
        shared = experts.shared_width / shapes.tp
        ops.linear(work, ops.tokens, shared_up * shared, hidden + 0.0 * shared, part="feed-forward")
        ops.linear(work, ops.tokens, hidden + 0.0 * shared, shared, part="feed-forward")
        ops.activation(ops.tokens * shared, shared_up, work)
    traffic.add_expert_traffic(ops, experts, work)
