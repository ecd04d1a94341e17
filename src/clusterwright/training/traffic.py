"""Traffic of the axes inside a layer, and what of it hides behind computation."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.model.records import Block, Core, Experts
from clusterwright.training.columns import SCHEMES
from clusterwright.training.costs import DEVICE_PARTS, Cost, Work
from clusterwright.training.operators import Operators

Array = Any


def add_context_traffic(ops: Operators, core: Core, work: Work) -> None:
    """Exchange of keys and values (or of heads) over cp, hidden behind attention in a ring."""
    shapes, links = ops.shapes, ops.machine.links
    if np.all(shapes.cp == 1):
        return
    element = ops.job.element_bytes
    tokens = shapes.micro_batch * ops.job.sequence_length
    width = core.num_kv_heads * (core.query_key_dim + core.value_dim) / shapes.tp
    gather = links.gather(shapes.cp, shapes.tp).time(tokens * width * element)
    ring_out = np.maximum(0.0, gather - work.forward.total(DEVICE_PARTS)) + gather / shapes.cp
    ring_back = (
        np.maximum(0.0, 2.0 * gather - work.backward.total(DEVICE_PARTS)) + gather / shapes.cp
    )
    heads_width = (core.num_heads + core.num_kv_heads) * (core.query_key_dim + core.value_dim)
    # Queries, keys, values and the result: four exchanges.
    quarter = ops.tokens * heads_width / shapes.tp * element / 4.0
    exchange = 4.0 * links.all_to_all(shapes.cp, shapes.tp).time(quarter)
    schemes = [shapes.scheme == index for index in range(len(SCHEMES))]
    many = shapes.cp > 1
    work.forward.add("cp", np.select(schemes, [gather, ring_out, exchange]) * many)
    work.backward.add("cp", np.select(schemes, [2.0 * gather, ring_back, exchange]) * many)


def add_expert_traffic(ops: Operators, experts: Experts, work: Work) -> None:
    """Dispatch and combine: one all-to-all each, forward and work.backward."""
    shapes, links = ops.shapes, ops.machine.links
    tokens = ops.tokens / shapes.tp * ops.job.hidden_size
    element = ops.job.element_bytes
    gathered = links.gather(shapes.etp, 1.0).time(tokens * experts.top_k * element * shapes.etp)
    gather = 2.0 * gathered * (shapes.etp > 1)
    if ops.machine.software.dispatch == "deepep":
        forward, backward = _dispatch(ops, experts, tokens)
    else:
        sent = tokens * experts.top_k * element * ops.job.expert_imbalance
        forward = backward = 2.0 * links.all_to_all(shapes.ep, shapes.etp).time(sent)
    work.forward.add("ep", forward * (shapes.ep > 1) + gather)
    work.backward.add("ep", backward * (shapes.ep > 1) + gather)
    work.forward.kernels += 2.0
    work.backward.kernels += 2.0


def _dispatch(ops: Operators, experts: Experts, elements: Array) -> tuple[Array, Array]:
    """Dispatch and combine that send a token once to each node, forward and backward. [s]"""
    shapes, links = ops.shapes, ops.machine.links
    domains = np.maximum(1.0, shapes.ep * shapes.etp / links.sizes[0])
    limit = domains
    if experts.top_groups:
        limit = experts.top_groups * np.maximum(1.0, domains / experts.num_groups)
    lines = links.dispatch(
        shapes.ep, shapes.etp, top_k=float(experts.top_k), max_domains=np.minimum(limit, domains)
    )
    element = ops.job.element_bytes
    there = ops.machine.software.dispatch_bytes if ops.machine.is_low else element
    one_way = elements * ops.job.expert_imbalance
    # Gradients of the combine go out, and those of the dispatch come back, as activations are.
    return (
        lines.time(one_way * there) + lines.time(one_way * element),
        2.0 * lines.time(one_way * element),
    )


def add_tensor_traffic(ops: Operators, block: Block, work: Work) -> None:
    """All-gather and reduce-scatter (or all-reduce) around each tensor-parallel half layer."""
    shapes, links = ops.shapes, ops.machine.tensor_links
    halves = float(bool(block.projections)) + float(bool(block.mlp))
    if block.experts and block.experts.shared_width:
        halves += 1.0
    if np.all(shapes.tp == 1) or halves == 0.0:
        return
    wire = ops.tokens * ops.job.hidden_size * ops.job.element_bytes
    gather = links.gather(shapes.tp, 1.0).time(wire)
    sharded = shapes.sequence_parallel > 0
    once = np.where(sharded, 2.0 * gather, links.all_reduce(shapes.tp, 1.0).time(wire))
    regather = np.where(sharded, gather, 0.0) if ops.job.trainable else 0.0
    many = shapes.tp > 1
    work.forward.add("tp", halves * once * many)
    work.backward.add("tp", halves * once * many)
    # The backward all-gather of the saved shard runs beside the input gradient.
    if ops.job.trainable:
        hidden_by = work.backward.total(DEVICE_PARTS) / 3.0
        work.backward.add("tp", np.maximum(0.0, halves * regather * many - hidden_by))
    # Per shape: what a strategy launches may not depend on its neighbours in the table.
    launches = halves * np.where(sharded, 2.0, 1.0) * many
    work.forward.kernels = work.forward.kernels + launches
    work.backward.kernels = work.backward.kernels + launches


def overlap_tensor_traffic(ops: Operators, cost: Cost) -> None:
    """Hide tp traffic behind the products it feeds, chunk by chunk; the first chunk shows.

    Only inside the scale-up domain: the overlapping kernels write into their peers' memory.
    """
    shapes = ops.shapes
    domain = ops.machine.links.sizes[0]
    on = (shapes.overlap_tp > 0) & (shapes.tp > 1) & (shapes.tp <= domain)
    if not np.any(on):
        return
    traffic = cost.parts.get("tp", 0.0)
    products = cost.total(("matmul_ideal", "matmul_loss"))
    hidden = np.minimum(traffic - traffic / shapes.tp, products)
    shown = traffic - hidden * (1.0 - ops.machine.overlap_slowdown)
    cost.parts["tp"] = np.where(on, shown, traffic)


def overlap_expert_traffic(ops: Operators, cost: Cost) -> None:
    """Hide ep traffic of one micro-batch behind the computation of another."""
    on = (ops.shapes.overlap_ep > 0) & (ops.shapes.ep > 1)
    if not np.any(on):
        return
    traffic = cost.parts.get("ep", 0.0)
    hidden = np.minimum(traffic, cost.total(DEVICE_PARTS))
    shown = traffic - hidden * (1.0 - ops.machine.overlap_slowdown)
    cost.parts["ep"] = np.where(on, shown, traffic)
