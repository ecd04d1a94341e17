"""One block of cuts crossed with a grid of runs: what times and memory are computed from.

Arrays have five axes: cuts, then the four of the grid of runs (sharding, recompute, schedule,
offload), each of length 1 where nothing depends on it. Slots are the pipeline ranks that can be
the worst (`stages`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from clusterwright.model.records import Model
from clusterwright.training.arrays import total_of
from clusterwright.training.columns import GRID_AXES, RECOMPUTES, Cuts, Runs
from clusterwright.training.machine import Machine
from clusterwright.training.prepared import Prepared, StateBytes
from clusterwright.workload import TrainingWorkload

Array = Any

SELECTIVE, FULL = RECOMPUTES.index("selective"), RECOMPUTES.index("full")
LIFT = (slice(None), *[None] * GRID_AXES)


@dataclass(frozen=True, slots=True)
class Subject:
    """The model, machine and workload that are being evaluated."""

    model: Model
    machine: Machine
    workload: TrainingWorkload
    state: StateBytes
    adapter_rank: float


class Block:
    """Columns of some cuts (``c``) and of the runs (``r``), lifted to five axes."""

    def __init__(self, subject: Subject, prepared: Prepared, runs: Runs, block: slice) -> None:
        self.subject = subject
        self.machine = subject.machine
        self.model = subject.model
        self.state = subject.state
        self.prepared = prepared
        cuts = prepared.cuts.take(block)
        self.shape_index = prepared.shape_index[block]
        self.stage_index = prepared.stage_index[block]
        self.c = Cuts(**{f.name: getattr(cuts, f.name)[LIFT] for f in fields(Cuts)})
        self.r = Runs(**{f.name: getattr(runs, f.name)[None] for f in fields(Runs)})
        self.shape = (len(self.c), *runs.shape)
        self.sequence_length = subject.workload.sequence_length
        self.num_micro = subject.workload.global_batch / (self.c.dp * self.c.micro_batch)

    def slots(self) -> list[Slot]:
        """Every representative rank."""
        return [Slot(self, index) for index in range(self.prepared.stages.rank.shape[0])]

    def gather(self, array: Array) -> Array:
        """An array over shapes, gathered to the cuts."""
        return array[self.shape_index][LIFT]

    def share_of_layers(self, num_layers: Array) -> Array:
        """Share of ``num_layers`` on a rank that full recompute covers."""
        # A share is whole layers of a rank, the number that `strategy_of` writes into a plan.
        wanted = np.ceil(self.r.recompute_share * self.model.num_layers / self.c.pp)
        layers = np.where(self.r.recompute_layers > 0, self.r.recompute_layers, wanted)
        counted = np.minimum(1.0, layers / np.maximum(1.0, num_layers))
        every = (self.r.recompute_layers == 0) & (self.r.recompute_share == 1.0)
        return np.where(self.r.recompute == FULL, np.where(every, 1.0, counted), 0.0)

    def recompute_time(self, slot: Slot, full_share: Array = None) -> Array:
        """Seconds that one micro-batch's recompute adds to the backward pass."""
        share = slot.full_share if full_share is None else full_share
        selective = np.where(self.r.recompute == SELECTIVE, slot.selective, 0.0)
        return selective + share * slot.layer_forward

    def kept_bytes(self, slot: Slot, full_share: Array = None) -> Array:
        """Activations that a rank keeps of one micro-batch. [B]"""
        share = slot.full_share if full_share is None else full_share
        some = np.where(self.r.recompute == SELECTIVE, slot.kept[1], slot.kept[0])
        inside = (1.0 - share) * some * self.machine.software.stack.activation_share
        return share * slot.kept[2] + inside

    def shards(self) -> tuple[Array, Array]:
        """Ranks that share the dense and the expert states."""
        c = self.c
        dense = c.dp * c.cp
        dense = np.where(c.shard_group > 0, np.minimum(c.shard_group, dense), dense)
        return dense, np.maximum(1.0, c.dp * c.cp * c.tp / (c.ep * c.etp))


class Slot:
    """One representative rank: seconds of a micro-batch and bytes, over cuts.

    Each is worked out when it is first asked for: a bound asks for few of them.
    """

    def __init__(self, block: Block, index: int) -> None:
        self._block = block
        stages, at = block.prepared.stages, block.stage_index
        self._counts = stages.counts[index][:, at][:, *LIFT]
        self._first = stages.first[index][at][LIFT]
        self.rank = stages.rank[index][at][LIFT]
        self.is_last = stages.last[index][at][LIFT]
        self.layers = self._counts.sum(axis=0)

    @cached_property
    def full_share(self) -> Array:
        """Share of its layers that full recompute covers. [1]"""
        return self._block.share_of_layers(self.layers)

    @cached_property
    def layer_forward(self) -> Array:
        """Forward through its layers alone."""
        return self._over_layers([cost.forward_total for cost in self._block.prepared.costs])

    @cached_property
    def _layer_backward(self) -> Array:
        return self._over_layers([cost.backward_total for cost in self._block.prepared.costs])

    @cached_property
    def forward(self) -> Array:
        """Forward, embedding and head included."""
        ends = self._block.prepared.ends
        return self.layer_forward + self._at_ends(ends.embedding_forward, ends.head_forward)

    @cached_property
    def backward(self) -> Array:
        """Backward, embedding and head included, without recompute."""
        ends = self._block.prepared.ends
        return self._layer_backward + self._at_ends(ends.embedding_backward, ends.head_backward)

    @cached_property
    def wait(self) -> Array:
        """What both passes wait beyond their own time for tensor-parallel ranks.

        Those that pipeline transfers between distant stages hold up.
        """
        block, c = self._block, self._block.c
        apart = c.tp * c.cp * c.dp >= block.machine.links.sizes[0]
        least = self.layers * c.tp * block.machine.software.stack.tensor_sync_time
        missing = np.maximum(0.0, least - (self.layer_forward + self._layer_backward))
        return np.where((c.tp > 1) & (c.pp > 1) & apart, missing, 0.0)

    @cached_property
    def selective(self) -> Array:
        """What a selective recompute adds."""
        return self._over_layers([cost.selective_total for cost in self._block.prepared.costs])

    @cached_property
    def weight_gradient(self) -> Array:
        """The part of the backward pass that nobody waits for."""
        return self._over_layers([cost.weight_gradient for cost in self._block.prepared.costs])

    @cached_property
    def kept(self) -> tuple[Array, Array, Array]:
        """Activations of its layers without recompute, with selective, with full. [B]"""
        costs = self._block.prepared.costs
        return (
            self._over_layers([cost.kept_none for cost in costs]),
            self._over_layers([cost.kept_selective for cost in costs]),
            self._over_layers([cost.kept.full for cost in costs]),
        )

    @cached_property
    def dense(self) -> Array:
        """Parameters that are no experts'. [1]"""
        block, ends = self._block, self._block.prepared.ends
        split = self._first * block.model.embedding_parameters
        split = split + self.is_last * ends.head_parameters(block.c.pp)
        split = split + self._weights("split")
        return split / block.c.tp + self._weights("replicated")

    @cached_property
    def expert(self) -> Array:
        """Parameters of experts. [1]"""
        return self._weights("expert") / (self._block.c.ep * self._block.c.etp)

    @cached_property
    def adapter(self) -> Array:
        """Parameters of low-rank adapters. [1]"""
        block = self._block
        return self._weights("adapter") * block.subject.adapter_rank / block.c.tp

    def _over_layers(self, values: list[Array]) -> Array:
        pairs = zip(self._counts, values, strict=True)
        return total_of([number * self._block.gather(value) for number, value in pairs])

    def _at_ends(self, first: Array, last: Array) -> Array:
        gather = self._block.gather
        return self._first * gather(first.sum(axis=0)) + self.is_last * gather(last.sum(axis=0))

    def _weights(self, kind: str) -> Array:
        kinds = self._block.prepared.ends.block_parameters
        pairs = zip(self._counts, kinds, strict=True)
        return total_of([number * getattr(one, kind) for number, one in pairs])
