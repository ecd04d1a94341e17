"""Token mixers: projections, attention cores, state-space scans."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.formulas.flops import scan_flops
from clusterwright.model.records import Block, Core
from clusterwright.training.costs import Work
from clusterwright.training.operators import Operators
from clusterwright.training.traffic import add_context_traffic

Array = Any


def add_mixer(ops: Operators, block: Block, work: Work) -> None:
    """A block's projections and cores, and the norm before them."""
    shapes = ops.shapes
    for projection in block.projections:
        columns: Array = float(projection.outputs)
        depth: Array = float(projection.inputs)
        rows = ops.tokens
        if projection.split == "column":
            columns = columns / shapes.tp
        elif projection.split == "row":
            depth = depth / shapes.tp
        else:
            rows = rows / shapes.sequence_shards
        part = "output" if projection.split == "row" else "input"
        ops.linear(work, rows, columns, depth, part=part)
        if projection.split == "row" and ops.machine.software.selective == "mlp":
            ops.matmul(work.selective, rows, columns, depth)
    if block.projections:
        norm = ops.norm(work)
        if ops.job.flash_attention:
            work.selective.merge(norm)
    for core in block.cores:
        _core(ops, core, work)


def _core(ops: Operators, core: Core, work: Work) -> None:
    """An attention core or a scan, with the traffic of context parallelism."""
    own = Work()
    if core.kind == "linear":
        _linear_core(ops, core, own)
    else:
        _softmax_core(ops, core, own)
        add_context_traffic(ops, core, own)
        _rotary(ops, core, work)
    if not ops.job.flash_attention:
        work.selective.merge(own.forward)
    work.forward.merge(own.forward)
    work.backward.merge(own.backward)


def _softmax_core(ops: Operators, core: Core, work: Work) -> None:
    """Scores, softmax and values, fused or not."""
    shapes, machine = ops.shapes, ops.machine
    heads = core.num_heads / shapes.tp
    tokens: Array = np.full(ops.num_shapes, ops.job.sequence_length)
    keys = tokens / core.stride
    queries = tokens / shapes.cp
    visible = np.minimum(keys, core.window) if core.window else keys
    masked = core.causal and not core.window and ops.job.flash_attention
    share = 0.5 if masked else 1.0
    dims = float(core.query_key_dim + core.value_dim)
    flops = 2.0 * shapes.micro_batch * heads * queries * visible * dims * share
    if ops.job.flash_attention:
        times = machine.attention_times(
            {
                # Zig-zag context parallelism gives every rank its even share of the pairs, and
                # compressed keys leave one pair of ``stride``.
                "batch_size": shapes.micro_batch / shapes.cp / (1 if core.window else core.stride),
                "num_heads": heads,
                "query_length": tokens,
                "key_length": tokens,
                "num_kv_heads": np.maximum(1.0, core.num_kv_heads / shapes.tp),
                "qk_dim": float(core.query_key_dim),
                "value_dim": float(core.value_dim),
                "causal": 1.0 if core.causal else 0.0,
                "window": float(core.window or 0),
            }
        )
        work.forward.kernels += 1.0
        work.backward.kernels += 2.0
    else:
        times = _unfused_attention(ops, core, work)
    for cost, time, ideal in (
        (work.forward, times[0], flops / machine.attention_peak),
        (work.backward, times[1], 2.5 * flops / machine.attention_peak),
    ):
        cost.add("attention_ideal", ideal)
        cost.add("attention_loss", time - ideal)


def _unfused_attention(ops: Operators, core: Core, work: Work) -> tuple[Array, Array]:
    """Two batched products around a scale-mask-softmax and a dropout pass over the scores."""
    keys = ops.job.sequence_length
    queries = keys / ops.shapes.cp
    groups = ops.shapes.micro_batch * core.num_heads / ops.shapes.tp
    one = ops.machine.matmul_time(
        groups * queries, keys, float(core.query_key_dim), groups=groups, activations=True
    )
    two = ops.machine.matmul_time(
        groups * queries, float(core.value_dim), keys, groups=groups, activations=True
    )
    scores = groups * queries * keys
    passes = 4.0 if ops.machine.software.fused else 10.0
    masks = 5.0 if ops.job.dropout else 0.0
    ops.stream(work.forward, scores * (passes + masks), kernels=2.0)
    ops.stream(work.backward, scores * (passes + 2.0 + masks), kernels=2.0)
    work.forward.kernels += 2.0
    work.backward.kernels += 4.0
    return one + two, 2.0 * (one + two)


def _linear_core(ops: Operators, core: Core, work: Work) -> None:
    """Chunked scan: two products with the state and two within a chunk, per token and head."""
    heads = core.num_heads / ops.shapes.tp
    flops = scan_flops(
        ops.tokens,
        num_heads=heads,
        state_dim=core.state_dim,
        value_dim=core.value_dim,
        chunk_length=ops.machine.settings.scan_chunk,
    )
    time = flops / (ops.machine.attention_peak * ops.machine.settings.scan_efficiency)
    for cost, factor in ((work.forward, 1.0), (work.backward, 2.5)):
        cost.add("attention_ideal", factor * flops / ops.machine.attention_peak)
        cost.add("attention_loss", factor * (time - flops / ops.machine.attention_peak))
        elements = ops.tokens * heads * (core.value_dim + core.state_dim)
        ops.stream(cost, factor * 6.0 * ops.job.element_bytes * elements, kernels=6.0 * factor)


def _rotary(ops: Operators, core: Core, work: Work) -> None:
    """Rotary embedding of queries and keys, a memory-bound pass."""
    elements = ops.tokens * (core.num_heads + core.num_kv_heads) * core.query_key_dim
    passes = 1.0 if ops.machine.software.fused else ops.machine.settings.unfused_norm_passes
    num_bytes = 2.0 * ops.job.element_bytes * passes * elements / ops.shapes.tp
    for cost in (work.forward, work.backward):
        ops.stream(cost, num_bytes, kernels=passes)
