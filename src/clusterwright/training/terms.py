"""Terms of a step beyond the busy stage: bubble, hops, data parallelism, optimizer, offload. [s]"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from clusterwright.formulas import flops, pipeline, variation
from clusterwright.links import Lines
from clusterwright.training.arrays import largest_of
from clusterwright.training.block import Block, Slot
from clusterwright.training.columns import SCHEDULES, Cuts

Array = Any

ZERO_BUBBLE, DUALPIPE = SCHEDULES.index("zero-bubble"), SCHEDULES.index("dualpipe")


def pace(block: Block, times: list[Array]) -> Array:
    """Time of a micro-batch on the slowest rank.

    DualPipe's first rank is also its last, and so on inwards: it evens the two ends out.
    """
    slowest = largest_of(times)
    dual = block.r.schedule == DUALPIPE
    if len(times) < 3 or not np.any(dual):
        return slowest
    evened = largest_of([0.5 * (times[0] + times[1]), *times[2:]])
    return np.where(dual & (block.c.pp > 1), evened, slowest)


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
    schedule = block.r.schedule
    if np.any(schedule == ZERO_BUBBLE):
        gradient = middle.weight_gradient / vpp
        saved = pipeline.zero_bubble_saving(gradient, num_stages=pp, delayed=2.0)
        plain = np.where(schedule == ZERO_BUBBLE, np.maximum(0.0, plain - saved), plain)
    if np.any(schedule == DUALPIPE):
        dual = pipeline.dualpipe_bubble_time(
            slowest, slowest - middle.forward, middle.weight_gradient, num_stages=pp
        )
        plain = np.where(schedule == DUALPIPE, np.where(pp > 1, dual, 0.0), plain)
    return plain


def one_hop_time(block: Block) -> Array:
    """One activation, or gradient, from a rank to its neighbour."""
    c = block.c
    lines = block.machine.links.point_to_point(c.tp * c.cp * c.dp)
    tokens = c.micro_batch * block.sequence_length / c.cp
    shared = (c.sequence_parallel > 0) | block.machine.software.scatter_gather
    cut = np.where(shared, c.tp, 1.0)
    return lines.time(tokens * block.model.hidden_size * block.machine.activation_bytes / cut)


def hops_overlap(block: Block) -> Array:
    """Whether transfers between ranks run beside the computation."""
    return (block.c.overlap_pp > 0) & (block.c.vpp > 1)


def hop_time(block: Block) -> Array:
    """Exposed transfers between stages."""
    c = block.c
    exposed = pipeline.exposed_hop_time(
        one_hop_time(block),
        num_stages=c.pp,
        num_chunks=c.vpp,
        num_micro_batches=block.num_micro,
        overlapped=hops_overlap(block),
    )
    return np.where(c.pp > 1, exposed, 0.0)


def straggler_share(block: Block) -> Array:
    """Share of the busy time that all wait for the slowest node. [1]"""
    nodes = block.c.accelerators() / block.machine.links.sizes[0]
    return variation.slowest_of_many(block.machine.settings.node_spread, nodes)


def straggler_time(block: Block, busy: Array) -> Array:
    """Waiting for the slowest node while all are busy."""
    return straggler_share(block) * busy


def data_and_update_time(block: Block, slots: list[Slot]) -> tuple[Array, Array]:
    """Exposed gradient and weight traffic, and the optimizer's own time."""
    exposed: Array = 0.0
    update: Array = 0.0
    lines = _data_lines(block)
    for slot in slots:
        one = _slot_data_time(block, slot, lines)
        exposed = np.maximum(exposed, one)
        update = np.maximum(update, _slot_update_time(block, slot))
    return exposed, update


class _DataLines(NamedTuple):
    """Collectives of states, the same for every slot: of dense ones, and of experts if there are.

    ``plain``: an all-reduce, where it was measured apart from a gather; ``across``: of the shards
    over their replicas.
    """

    gather: tuple[Lines, Lines | None]
    scatter: tuple[Lines, Lines | None]
    plain: tuple[Lines, Lines | None] | None
    across: Lines


def _data_lines(block: Block) -> _DataLines:
    c, links = block.c, block.machine.links
    dense_shards, expert_shards = block.shards()
    sparse = any(kind.experts is not None for kind in block.model.blocks)

    def of(way: Callable[[Array, Array], Lines]) -> tuple[Lines, Lines | None]:
        return way(dense_shards, c.tp), way(expert_shards, c.ep * c.etp) if sparse else None

    gather = of(links.gather)
    return _DataLines(
        gather=gather,
        scatter=of(links.scatter) if links.library.scatter_ring else gather,
        plain=of(links.all_reduce) if links.library.all_reduce_ring else None,
        across=links.all_reduce(_replicas(c, dense_shards), c.tp * dense_shards),
    )


def _replicas(c: Cuts, dense_shards: Array) -> Array:
    """Ranks that hold the same shard of the dense states."""
    return np.maximum(1.0, c.dp * c.cp / dense_shards)


def _slot_data_time(block: Block, slot: Slot, lines: _DataLines) -> Array:
    """Data-parallel traffic of one rank that computation does not hide."""
    zero = block.r.zero
    whole, each = zero == 0, zero == 3
    time: Array = np.zeros_like(block.c.tp)
    if block.state.gradient == 0.0 and not np.any(each):
        return time
    by_bucket = _Traffic(block, slot, lines, *_buckets(block, slot))
    if np.any(whole):
        time = np.where(whole, _replicated_time(by_bucket), time)
    if np.any(~whole & ~each):
        time = np.where(~whole & ~each, _sharded_time(by_bucket), time)
    if np.any(each):
        layers = np.maximum(1.0, slot.layers)
        time = np.where(
            each, _fully_sharded_time(_Traffic(block, slot, lines, layers, layers)), time
        )
    return time


class _Traffic:
    """Collectives of one rank's states, cut into pieces."""

    def __init__(
        self, block: Block, slot: Slot, lines: _DataLines, buckets: Array, pieces: Array
    ) -> None:
        self.block, self.slot, self.lines = block, slot, lines
        self.buckets, self.pieces = buckets, pieces
        self.shards = block.shards()
        self.backward = slot.backward + block.recompute_time(slot)

    def moved(self, bytes_per_parameter: float, ways: tuple[Lines, Lines | None]) -> Array:
        """A collective of the rank's parameters, piece by piece."""
        dense_shards, expert_shards = self.shards
        each = bytes_per_parameter / self.pieces
        found = ways[0].time(self.slot.dense * each) * (dense_shards > 1)
        if ways[1] is not None:
            expert = ways[1].time(self.slot.expert * each) * (expert_shards > 1)
            found = found + expert * (self.slot.expert > 0)
        return self.pieces * found

    def gathered(self) -> Array:
        """All weights, to every rank of those that share them."""
        return self.moved(self.block.state.gathered, self.lines.gather)

    def reduced(self) -> Array:
        """All gradients to the ranks that keep them, and across the replicas of the shards."""
        dense_shards, gradient = self.shards[0], self.block.state.gradient
        # Sharding over fewer ranks than replicate: the shards are reduced across the replicas.
        own = self.slot.dense / dense_shards * gradient
        several = _replicas(self.block.c, dense_shards) > 1
        across = self.lines.across.time(own / self.pieces) * several
        return self.moved(gradient, self.lines.scatter) + self.pieces * across

    def shown(self, traffic: Array, window: Array) -> Array:
        """Traffic minus what the window hides; the last bucket cannot hide."""
        hideable = np.minimum(traffic * (1.0 - 1.0 / self.buckets), window)
        hidden = hideable * (1.0 - self.block.machine.overlap_slowdown)
        return traffic - np.where(self.block.c.overlap_dp > 0, hidden, 0.0)

    def list_time(self) -> Array:
        """Host time to cut the rank's tensors into lists of shards."""
        return _list_time(self.block, self.slot, self.shards[0])


def _replicated_time(own: _Traffic) -> Array:
    """Gradients are summed, in two passes of the ring."""
    plain, gradient = own.lines.plain, own.block.state.gradient
    summed = 2.0 * own.reduced() if plain is None else own.moved(gradient, plain)
    return own.shown(summed, own.backward)


def _sharded_time(own: _Traffic) -> Array:
    """Gradients are scattered, updated, and weights gathered."""
    gathered = own.shown(own.gathered(), own.slot.forward)
    return own.shown(own.reduced(), own.backward) + gathered + 2.0 * own.list_time()


def _fully_sharded_time(own: _Traffic) -> Array:
    """Weights are gathered for each pass, and where the framework does for what is run again."""
    block, slot, gather = own.block, own.slot, own.gathered()
    again = 1.0 + (slot.full_share if block.machine.software.regathers else 0.0)
    every = own.shown(gather, slot.forward)
    every = every + own.shown(again * gather + own.reduced(), own.backward)
    every = every + (2.0 + again) * own.list_time()
    return block.num_micro * (every + _copy_time(block, slot, own.pieces, 1.0 + again))


def _copy_time(block: Block, slot: Slot, pieces: Array, gathers: Array) -> Array:
    """Copies out of, and into, the buffers of a fully sharded rank's collectives."""
    copies, state = block.machine.software.sharded_copies, block.state
    if not copies:
        return 0.0
    each = 2.0 * copies * (slot.dense + slot.expert) / pieces
    gathered = block.machine.memory_time(each * state.gathered, kernels=1.0)
    reduced = block.machine.memory_time(each * state.gradient, kernels=1.0)
    return pieces * (gathers * gathered + reduced)


def _buckets(block: Block, slot: Slot) -> tuple[Array, Array]:
    """Buckets of which the last cannot hide, and pieces that each pay the latency of a collective.

    Both are what the framework documents; where it does not, a bucket is a layer, and latencies are
    taken to hide behind their neighbours. (A fully sharded layer is a piece.)
    """
    software, c = block.machine.software, block.c
    if not software.bucket_elements:
        layers = np.maximum(1.0, slot.layers)
        return layers, np.ones_like(layers)
    size = np.maximum(software.bucket_elements, software.bucket_elements_per_rank * c.dp * c.cp)
    by_size = np.maximum(1.0, np.ceil((slot.dense + slot.expert) / size))
    buckets = np.where(c.overlap_dp > 0, by_size, 1.0)
    return buckets, buckets


def _list_time(block: Block, slot: Slot, num_shards: Array) -> Array:
    """Host time to cut a rank's tensors into a list of shards, or to put them together again."""
    tensors = slot.layers * block.machine.software.listed_tensors
    slices = np.where(num_shards > 1, num_shards, 0.0)
    return tensors * slices * block.machine.settings.slice_time


def _slot_update_time(block: Block, slot: Slot) -> Array:
    """Optimizer step: states and gradients through memory."""
    state, r = block.state, block.r
    dense_shards, expert_shards = block.shards()
    dense = np.where(r.zero >= 1, slot.dense / dense_shards, slot.dense)
    expert = np.where(r.zero >= 1, slot.expert / expert_shards, slot.expert)
    touched = 2.0 * state.optimizer + state.gradient + state.weight
    passes = block.machine.optimizer_passes * (state.gradient > 0)
    num_bytes = (dense + expert) * (touched + passes)
    num_bytes = num_bytes / block.machine.software.stack.update_share
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
