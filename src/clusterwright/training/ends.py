"""The two ends of the pipeline: embedding, loss head, multi-token prediction; and block weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from clusterwright.formulas import memory
from clusterwright.model.parameters import count_block
from clusterwright.model.records import Block, Model
from clusterwright.training.costs import Work
from clusterwright.training.operators import Operators

Array = Any


@dataclass(frozen=True, slots=True)
class BlockParameters:
    """Weights of one layer by how they are cut: over tp, not at all, over ep × etp.

    ``adapter``: parameters of low-rank adapters of rank 1 beside its dense linear layers.
    """

    split: float
    replicated: float
    expert: float
    adapter: float


@dataclass(frozen=True, slots=True)
class EndCosts:
    """Time (parts, shapes) [s] and bytes of embedding and head; parameters of every block kind."""

    embedding_forward: Array
    embedding_backward: Array
    head_forward: Array
    head_backward: Array
    logit_bytes: Array
    block_parameters: list[BlockParameters]
    tied_head_parameters: float
    own_head_parameters: float

    def head_parameters(self, pp: Array) -> Array:
        """Parameters that the last rank holds for the head; a tied head is a copy when pp > 1."""
        return self.own_head_parameters + np.where(pp > 1, self.tied_head_parameters, 0.0)


def block_parameters(block: Block, hidden_size: int) -> BlockParameters:
    """Sort one block's weights by how they are cut."""
    count = count_block(block, hidden_size)
    whole = sum(p.inputs * p.outputs for p in block.projections if p.split == "replicated")
    widths = [p.inputs + p.outputs for p in block.projections]
    if block.mlp:
        widths += [hidden_size + block.mlp.width] * (3 if block.mlp.gated else 2)
    split = count.mixer - whole + count.mlp + count.shared_experts
    return BlockParameters(
        split=float(split),
        replicated=float(whole + count.vectors + count.router),
        expert=float(count.experts),
        adapter=float(sum(widths)),
    )


def end_costs(model: Model, ops: Operators, *, host_bound: Array) -> EndCosts:
    """Costs of a model's ends for the shapes that ``ops`` were made with.

    ``host_bound``: where layers wait for the host, and ends therefore do too (elsewhere it has run
    ahead).
    """
    number = ops.num_shapes
    embedding, head = _embedding(model, ops), _head(model, ops)
    for cost in (embedding.forward, embedding.backward, head.forward, head.backward):
        cost.add("host", ops.host_wait(cost) * host_bound)
    forward = head.forward.matrix(number)
    backward = head.backward.matrix(number)
    for _ in range(model.mtp_layers):
        extra = Work()
        rows = ops.tokens / ops.shapes.sequence_shards
        double = 2.0 * model.hidden_size + 0.0 * rows
        ops.linear(extra, rows, model.hidden_size + 0.0 * rows, double)
        forward = forward + head.forward.matrix(number) + extra.forward.matrix(number)
        backward = backward + head.backward.matrix(number) + extra.backward.matrix(number)
    tied = model.head_parameters == 0
    heads = 1.0 + model.mtp_layers
    return EndCosts(
        embedding_forward=embedding.forward.matrix(number),
        embedding_backward=embedding.backward.matrix(number),
        head_forward=forward,
        head_backward=backward,
        logit_bytes=heads
        * memory.logit_bytes(
            ops.tokens,
            float(model.vocab_size),
            tensor_shards=ops.shapes.tp,
            bytes_per_logit=ops.machine.software.logit_bytes,
        ),
        block_parameters=[block_parameters(b, model.hidden_size) for b in model.blocks],
        tied_head_parameters=float(model.vocab_size * model.hidden_size) if tied else 0.0,
        own_head_parameters=model.head_parameters + model.mtp_layers * 2.0 * model.hidden_size**2,
    )


def _embedding(model: Model, ops: Operators) -> Work:
    """Table look-up, and the all-reduce (or reduce-scatter) of a vocabulary-parallel table."""
    work = Work()
    work.forward.kernels += ops.machine.settings.batch_launches
    shapes = ops.shapes
    wire = ops.job.element_bytes * ops.tokens * model.hidden_size
    ops.stream(work.forward, 3.0 * wire / shapes.sequence_shards, kernels=2.0)
    ops.stream(work.backward, 4.0 * wire / shapes.sequence_shards, kernels=2.0)
    links, sharded = ops.machine.tensor_links, shapes.sequence_parallel > 0
    traffic = links.gather(shapes.tp, 1.0).time(wire) * (shapes.tp > 1)
    reduce = links.all_reduce(shapes.tp, 1.0).time(wire) * (shapes.tp > 1)
    work.forward.add("tp", np.where(sharded, traffic, reduce))
    work.backward.add("tp", np.where(shapes.sequence_parallel > 0, traffic, 0.0))
    return work


def _head(model: Model, ops: Operators) -> Work:
    """Final norm, logits, cross entropy in fp32 over a vocabulary cut by tp."""
    work = Work()
    shapes = ops.shapes
    columns = model.vocab_size / shapes.tp
    ops.norm(work)
    wide = ops.machine.wide()
    ops.on(wide).linear(work, ops.tokens, columns, model.hidden_size + 0.0 * columns)
    logits = ops.tokens * columns
    # Cast to fp32, maximum, exponential and sum; then the gradient, cast back.
    software, settings = ops.machine.software, ops.machine.settings
    fused = software.fused if software.fused_loss is None else software.fused_loss
    passes = 1.0 if fused else settings.unfused_loss_passes
    work.forward.kernels += settings.loss_launches
    ops.stream(work.forward, 14.0 * logits * passes, kernels=4.0 * passes)
    ops.stream(work.backward, 8.0 * logits * passes, kernels=2.0 * passes)
    links, sharded = ops.machine.tensor_links, shapes.sequence_parallel > 0
    wire = ops.job.element_bytes * ops.tokens * model.hidden_size
    traffic = links.gather(shapes.tp, 1.0).time(wire) * (shapes.tp > 1)
    reduce = links.all_reduce(shapes.tp, 1.0).time(wire) * (shapes.tp > 1)
    work.forward.add("tp", np.where(sharded, traffic, 0.0))
    work.backward.add("tp", np.where(sharded, traffic, reduce))
    return work
