"""One block of cuts crossed with a grid of runs: what times and memory are computed from.

Arrays have five axes: cuts, then the four of the grid of runs (sharding, recompute, schedule,
offload), each of length 1 where nothing depends on it. Slots are the pipeline ranks that can be
the worst (`stages`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
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


@dataclass(slots=True)
class Slot:
    """One representative rank: seconds of a micro-batch and bytes, over cuts.

    ``wait``: what both passes wait beyond their own time for tensor-parallel ranks that pipeline
    transfers hold up. [s] ``full_share``: of its layers that full recompute covers. [1]
    """

    layers: Array
    full_share: Array
    forward: Array
    backward: Array
    wait: Array
    selective: Array
    layer_forward: Array
    weight_gradient: Array
    kept: tuple[Array, Array, Array]
    dense: Array
    expert: Array
    adapter: Array
    rank: Array
    is_last: Array


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
        return [self._slot(index) for index in range(self.prepared.stages.rank.shape[0])]

    def gather(self, array: Array) -> Array:
        """An array over shapes, gathered to the cuts."""
        return array[self.shape_index][LIFT]

    def _slot(self, index: int) -> Slot:
        """Seconds and bytes of one representative rank, over cuts."""
        stages, ends = self.prepared.stages, self.prepared.ends
        counts = stages.counts[index][:, self.stage_index][:, *LIFT]
        first = stages.first[index][self.stage_index][LIFT]
        last = stages.last[index][self.stage_index][LIFT]

        def over_layers(values: list[Array]) -> Array:
            pairs = zip(counts, values, strict=True)
            return total_of([number * self.gather(value) for number, value in pairs])

        costs, weights = self.prepared.costs, ends.block_parameters
        layer_forward = over_layers([cost.forward_total for cost in costs])
        layer_backward = over_layers([cost.backward_total for cost in costs])
        embedding = first * self.model.embedding_parameters
        split = embedding + last * ends.head_parameters(self.c.pp)
        split = split + total_of([n * w.split for n, w in zip(counts, weights, strict=True)])
        whole = total_of([n * w.replicated for n, w in zip(counts, weights, strict=True)])
        expert = total_of([n * w.expert for n, w in zip(counts, weights, strict=True)])
        adapter = total_of([n * w.adapter for n, w in zip(counts, weights, strict=True)])
        num_layers = counts.sum(axis=0)
        return Slot(
            layers=num_layers,
            full_share=self.share_of_layers(num_layers),
            wait=self._tensor_wait(num_layers, layer_forward + layer_backward),
            forward=layer_forward
            + first * self.gather(ends.embedding_forward.sum(axis=0))
            + last * self.gather(ends.head_forward.sum(axis=0)),
            backward=layer_backward
            + first * self.gather(ends.embedding_backward.sum(axis=0))
            + last * self.gather(ends.head_backward.sum(axis=0)),
            selective=over_layers([cost.selective_total for cost in costs]),
            layer_forward=layer_forward,
            weight_gradient=over_layers([cost.weight_gradient for cost in costs]),
            kept=(
                over_layers([cost.kept_none for cost in costs]),
                over_layers([cost.kept_selective for cost in costs]),
                over_layers([cost.kept.full for cost in costs]),
            ),
            dense=split / self.c.tp + whole,
            expert=expert / (self.c.ep * self.c.etp),
            adapter=adapter * self.subject.adapter_rank / self.c.tp,
            rank=stages.rank[index][self.stage_index][LIFT],
            is_last=last,
        )

    def _tensor_wait(self, num_layers: Array, layers_time: Array) -> Array:
        """What is missing to the least time of tensor-parallel layers between distant stages."""
        c = self.c
        apart = c.tp * c.cp * c.dp >= self.machine.links.sizes[0]
        least = num_layers * c.tp * self.machine.software.stack.tensor_sync_time
        missing = np.maximum(0.0, least - layers_time)
        return np.where((c.tp > 1) & (c.pp > 1) & apart, missing, 0.0)

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
