"""Terms of a step beyond the busy stage: bubble, hops, data parallelism, optimizer, offload. [s]"""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.formulas import flops, pipeline, variation
from clusterwright.training.block import Block, Slot
from clusterwright.training.columns import SCHEDULES

Array = Any

ZERO_BUBBLE, DUALPIPE = SCHEDULES.index("zero-bubble"), SCHEDULES.index("dualpipe")


def bubble_time(block: Block, slots: list[Slot], times: list[Array], slowest: Array) -> Array:
    """Idle time of the slowest rank by schedule."""
    middle = slots[-1] if len(slots) < 3 else slots[2]
    middle_time = times[2] if len(times) > 2 else times[-1]
    pp, vpp = block.c.pp, block.c.vpp
    ends = np.where(pp > 1, times[0] + times[1], times[0])
    total = ends + np.maximum(0.0, pp - 2.0) * middle_time
    plain = pipeline.bubble_time(
        total, slowest, num_stages=pp, num_chunks=vpp, num_micro_batches=block.num_micro
    )
    saved = pipeline.zero_bubble_saving(middle.weight_gradient / vpp, num_stages=pp, delayed=2.0)
    zero_bubble = np.maximum(0.0, plain - saved)
    dual = pipeline.dualpipe_bubble_time(
        slowest, slowest - middle.forward, middle.weight_gradient, num_stages=pp
    )
    schedule = block.r.schedule
    chosen = np.where(schedule == ZERO_BUBBLE, zero_bubble, plain)
    return np.where(schedule == DUALPIPE, np.where(pp > 1, dual, 0.0), chosen)


def hop_time(block: Block) -> Array:
    """Exposed transfers between stages: the fill, and the steady state unless overlapped."""
    c = block.c
    lines = block.machine.links.point_to_point(c.tp * c.cp * c.dp)
    tokens = c.micro_batch * block.sequence_length / c.cp
    shared = (c.sequence_parallel > 0) | block.machine.software.scatter_gather
    cut = np.where(shared, c.tp, 1.0)
    hop = lines.time(tokens * block.model.hidden_size * 2.0 / cut)
    hidden = (block.c.overlap_pp > 0) & (c.vpp > 1)
    fill = 2.0 * (c.pp - 1.0) * hop
    steady = np.where(hidden, 0.0, 2.0 * block.num_micro * c.vpp * hop)
    return np.where(c.pp > 1, fill + steady, 0.0)


def straggler_time(block: Block, busy: Array) -> Array:
    """Waiting for the slowest node while all are busy."""
    nodes = block.c.accelerators() / block.machine.links.sizes[0]
    return variation.slowest_of_many(block.machine.settings.node_spread, nodes) * busy


def data_and_update_time(block: Block, slots: list[Slot]) -> tuple[Array, Array]:
    """Exposed gradient and weight traffic, and the optimizer's own time."""
    exposed: Array = 0.0
    update: Array = 0.0
    for slot in slots:
        one = _slot_data_time(block, slot)
        exposed = np.maximum(exposed, one)
        update = np.maximum(update, _slot_update_time(block, slot))
    return exposed, update


def _slot_data_time(block: Block, slot: Slot) -> Array:
    """Data-parallel traffic of one rank that computation does not hide."""
    c, r, state = block.c, block.r, block.state
    if state.gradient == 0.0 and not np.any(r.zero == 3):
        return np.zeros_like(c.tp)
    dense_shards, expert_shards = block.shards()
    links = block.machine.links
    dense_lines = links.gather(dense_shards, c.tp)
    expert_lines = links.gather(expert_shards, c.ep * c.etp)
    buckets = np.maximum(1.0, slot.layers)

    def moved(bytes_per_parameter: float) -> Array:
        """A reduce-scatter or an all-gather of the rank's parameters."""
        dense = dense_lines.time(slot.dense * bytes_per_parameter) * (dense_shards > 1)
        expert = expert_lines.time(slot.expert * bytes_per_parameter) * (expert_shards > 1)
        return dense + expert * (slot.expert > 0)

    reduce, gather = moved(state.gradient), moved(state.gathered)
    # Sharding over fewer ranks than replicate: the shards are reduced across the replicas.
    replicas = np.maximum(1.0, c.dp * c.cp / dense_shards)
    across = links.all_reduce(replicas, c.tp * dense_shards)
    reduce = reduce + across.time(slot.dense / dense_shards * state.gradient) * (replicas > 1)
    slowdown = block.machine.settings.overlap_slowdown
    overlap = c.overlap_dp > 0

    def shown(traffic: Array, window: Array) -> Array:
        """Traffic minus what the window hides; the last bucket cannot hide."""
        hideable = np.minimum(traffic * (1.0 - 1.0 / buckets), window)
        return traffic - np.where(overlap, hideable * (1.0 - slowdown), 0.0)

    backward = slot.backward + block.recompute_time(slot)
    # zero 0 reduces (two passes of the ring); 1 and 2 scatter, update and gather weights.
    plain = shown(2.0 * reduce, backward)
    sharded = shown(reduce, backward) + shown(gather, slot.forward)
    every = shown(gather, slot.forward) + shown(gather + reduce, backward)
    by_stage = np.where(r.zero == 0, plain, sharded)
    return np.where(r.zero == 3, block.num_micro * every, by_stage)


def _slot_update_time(block: Block, slot: Slot) -> Array:
    """Optimizer step: states and gradients through memory."""
    state, r = block.state, block.r
    dense_shards, expert_shards = block.shards()
    dense = np.where(r.zero >= 1, slot.dense / dense_shards, slot.dense)
    expert = np.where(r.zero >= 1, slot.expert / expert_shards, slot.expert)
    touched = 2.0 * state.optimizer + state.gradient + state.weight
    passes = block.machine.settings.optimizer_passes * (state.gradient > 0)
    num_bytes = (dense + expert) * (touched + passes)
    on_device = block.machine.memory_time(num_bytes, kernels=1.0)
    if block.subject.workload.optimizer == "muon":
        work = flops.newton_schulz_flops(dense + expert, hidden_size=block.model.hidden_size)
        on_device = on_device + work / block.machine.product_rate
    host = block.machine.cluster.host_bandwidth
    if not host:
        return on_device
    # Gradients cross to the host and weights come back; the update itself runs at the pace of host
    # memory, which one accelerator's share of is no faster than its link.
    on_host = (dense + expert) * (touched + state.gradient + state.weight) / host
    return np.where((r.offload == 1) | (r.offload == 3), on_host, on_device)


def offload_time(block: Block, slots: list[Slot]) -> Array:
    """Activations that the host link cannot move behind the computation."""
    host = block.machine.cluster.host_bandwidth
    on = (block.r.offload == 2) | (block.r.offload == 3)
    if not host or not np.any(on):
        return np.zeros_like(block.c.tp)
    worst: Array = 0.0
    for slot in slots:
        moved = block.kept_bytes(slot) / host
        out = np.maximum(0.0, moved - slot.forward)
        back = np.maximum(0.0, moved - slot.backward)
        worst = np.maximum(worst, out + back)
    return np.where(on, block.num_micro * worst, 0.0)
