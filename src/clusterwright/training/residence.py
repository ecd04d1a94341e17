"""Peak memory of a rank by part. [B]"""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.formulas import memory, pipeline
from clusterwright.training.block import FULL, Block, Slot
from clusterwright.training.columns import SCHEDULES

Array = Any

DUALPIPE, GPIPE = SCHEDULES.index("dualpipe"), SCHEDULES.index("gpipe")


def slot_memory(block: Block, slot: Slot) -> dict[str, Array]:
    """Peak bytes of one rank by part."""
    c, r, state = block.c, block.r, block.state
    dense_shards, expert_shards = block.shards()
    copies = np.where(r.schedule == DUALPIPE, 2.0, 1.0)
    one = np.ones_like(dense_shards)

    def states(bytes_per_parameter: float, from_stage: int) -> Array:
        dense = np.where(r.zero >= from_stage, dense_shards, one)
        expert = np.where(r.zero >= from_stage, expert_shards, 1.0)
        return memory.sharded_bytes(
            slot.dense, bytes_per_parameter=bytes_per_parameter, shards=dense
        ) + memory.sharded_bytes(
            slot.expert, bytes_per_parameter=bytes_per_parameter, shards=expert
        )

    offload_states = (r.offload == 1) | (r.offload == 3)
    offload_kept = (r.offload == 2) | (r.offload == 3)
    in_flight = pipeline.micro_batches_in_flight(
        slot.rank, num_stages=c.pp, num_chunks=c.vpp, num_micro_batches=block.num_micro
    )
    dual = np.minimum(block.num_micro, c.pp + 1.0)
    in_flight = np.where(r.schedule == DUALPIPE, dual, in_flight)
    in_flight = np.where(r.schedule == GPIPE, block.num_micro, in_flight)
    kept = block.kept_bytes(slot)
    resident = np.where(
        offload_kept,
        np.minimum(kept, 2.0 * kept / np.maximum(1.0, slot.layers)),
        kept * in_flight,
    )
    gathered = 2.0 * (slot.dense + slot.expert) * state.weight / np.maximum(1.0, slot.layers)
    return {
        "weights": states(state.weight, 3) * copies,
        "gradients": states(state.gradient, 2) * copies,
        "optimizer": np.where(offload_states, 0.0, states(state.optimizer, 1)),
        "adapters": slot.adapter * state.adapter,
        "activations": resident,
        "recompute": _recompute_bytes(block, slot),
        "logits": slot.is_last * block.gather(block.prepared.ends.logit_bytes),
        "gathered": np.where(r.zero == 3, gathered, 0.0),
        "reserve": np.float64(block.machine.software.reserve_bytes),
    }


def _recompute_bytes(block: Block, slot: Slot) -> Array:
    """What one recomputed layer needs while it runs backward."""
    one_layer = slot.kept[0] / np.maximum(1.0, slot.layers)
    return np.where(block.r.recompute == FULL, one_layer, 0.0)
