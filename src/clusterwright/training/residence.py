"""Peak memory of a rank by part. [B]"""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.formulas import memory, pipeline
from clusterwright.training.arrays import sum_parts
from clusterwright.training.block import FULL, Block, Slot
from clusterwright.training.columns import OFFLOADS, SCHEDULES

Array = Any

OPTIMIZER, ACTIVATIONS = OFFLOADS.index("optimizer"), OFFLOADS.index("activations")
BOTH = OFFLOADS.index("both")
DUALPIPE, GPIPE, ZERO_BUBBLE = map(SCHEDULES.index, ("dualpipe", "gpipe", "zero-bubble"))


def slot_memory(block: Block, slot: Slot, kept: Array = None) -> dict[str, Array]:
    """Peak bytes of one rank by part, on the accelerator.

    ``kept``: activations of one micro-batch; by default those of the block's recompute.
    """
    r, state = block.r, block.state
    copies = np.where(r.schedule == DUALPIPE, 2.0, 1.0)
    kept = block.kept_bytes(slot) if kept is None else kept
    two_layers = np.minimum(kept, 2.0 * kept / np.maximum(1.0, slot.layers))
    gathered = 2.0 * (slot.dense + slot.expert) * state.weight / np.maximum(1.0, slot.layers)
    return {
        "weights": _states(block, slot, state.weight, 3) * copies,
        "gradients": _states(block, slot, state.gradient, 2) * copies + _gradient_copy(block, slot),
        "optimizer": np.where(
            _offloads_states(block), 0.0, _states(block, slot, state.optimizer, 1)
        ),
        "adapters": slot.adapter * state.adapter,
        "activations": np.where(_offloads_kept(block), two_layers, kept * _in_flight(block, slot)),
        "recompute": _recompute_bytes(block, slot),
        "communication": _communication_bytes(block),
        "logits": slot.is_last * block.gather(block.prepared.ends.logit_bytes),
        "gathered": np.where(r.zero == 3, gathered, 0.0),
        "reserve": np.float64(block.machine.reserve_bytes),
    }


def most_offloaded(offload: Array) -> Array:
    """One way to offload that holds no more on the accelerator than any of some do."""
    states = np.isin(offload, (OPTIMIZER, BOTH)).any()
    kept = np.isin(offload, (ACTIVATIONS, BOTH)).any()
    most = (BOTH if kept else OPTIMIZER) if states else (ACTIVATIONS if kept else offload.min())
    return np.full((1,) * offload.ndim, float(most))


def least_memory(block: Block, slot: Slot) -> Array:
    """Bytes that no way of running a cut can undercut, where the block's runs shard the most.

    Activations are the least that any recompute keeps; neither a layer that is recomputed nor
    weights that are gathered count, since other runs do without them.
    """
    none, selective, full = slot.kept
    inside = np.minimum(none, selective) * block.machine.software.stack.activation_share
    parts = slot_memory(block, slot, np.minimum(inside, full))
    counted = (name for name in parts if name not in ("recompute", "gathered"))
    return sum_parts({name: parts[name] for name in counted})


def host_memory(block: Block, slot: Slot) -> Array:
    """Bytes that one rank keeps in host memory."""
    states = _states(block, slot, block.state.optimizer, 1)
    held = np.where(_offloads_states(block), states, 0.0)
    moved = _offloads_kept(block)
    if not np.any(moved):
        return held
    return held + np.where(moved, block.kept_bytes(slot) * _in_flight(block, slot), 0.0)


def _communication_bytes(block: Block) -> Array:
    """Buffers of collectives: inside layers, between stages, of gradients and weights."""
    exchange = block.gather(block.prepared.exchange_bytes)
    hops = block.gather(block.prepared.hop_bytes)
    held = block.machine.software.stack.gather_buffers
    inside = np.where(block.c.pp > 1, exchange + hops, exchange * held)
    return inside + block.machine.software.bucket_bytes


def _gradient_copy(block: Block, slot: Slot) -> Array:
    """16-bit gradients that a framework keeps beside the sum, on whole parameters. [B]"""
    kept = block.machine.software.gradient_copy_bytes * (block.state.gradient > 2.0)
    return (slot.dense + slot.expert) * kept


def _offloads_states(block: Block) -> Array:
    return (block.r.offload == OPTIMIZER) | (block.r.offload == BOTH)


def _offloads_kept(block: Block) -> Array:
    return (block.r.offload == ACTIVATIONS) | (block.r.offload == BOTH)


def _states(block: Block, slot: Slot, bytes_per_parameter: float, from_stage: int) -> Array:
    """Bytes of a state that is sharded from a ZeRO stage on."""
    dense_shards, expert_shards = block.shards()
    sharded = block.r.zero >= from_stage
    return memory.sharded_bytes(
        slot.dense,
        bytes_per_parameter=bytes_per_parameter,
        shards=np.where(sharded, dense_shards, 1.0),
    ) + memory.sharded_bytes(
        slot.expert,
        bytes_per_parameter=bytes_per_parameter,
        shards=np.where(sharded, expert_shards, 1.0),
    )


def _in_flight(block: Block, slot: Slot) -> Array:
    """Micro-batches whose activations a rank holds at its peak."""
    c, schedule = block.c, block.r.schedule
    count = pipeline.micro_batches_in_flight(
        slot.rank, num_stages=c.pp, num_chunks=c.vpp, num_micro_batches=block.num_micro
    )
    # Weight gradients that lag behind keep the activations of later ranks as well.
    count = np.where(schedule == ZERO_BUBBLE, np.minimum(block.num_micro, c.pp), count)
    dual = np.minimum(block.num_micro, c.pp + 1.0)
    count = np.where(schedule == DUALPIPE, dual, count)
    return np.where(schedule == GPIPE, block.num_micro, count)


def _recompute_bytes(block: Block, slot: Slot) -> Array:
    """What one recomputed layer needs while it runs backward."""
    one_layer = slot.kept[0] / np.maximum(1.0, slot.layers)
    return np.where(block.r.recompute == FULL, one_layer, 0.0)
