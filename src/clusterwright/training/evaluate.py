"""Time and memory of every crossing of cuts and runs: the whole cost model, in columns.

Arrays have five axes: cuts, then the four of the grid of runs (sharding, recompute, schedule,
offload), each of length 1 where nothing depends on it. Terms are added small shapes first, so that
only the last sums are as large as the space. Slots are the pipeline ranks that can be the worst
(`stages`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from clusterwright.model.records import Model
from clusterwright.strategy import Strategy
from clusterwright.training import terms
from clusterwright.training.arrays import largest_of, sum_parts, unique_rows
from clusterwright.training.block import Block, Slot, Subject
from clusterwright.training.columns import GRID_AXES, Cuts, Runs, columns_of, join_cuts
from clusterwright.training.costs import Job, Shapes
from clusterwright.training.ends import end_costs
from clusterwright.training.kept import exchange_bytes, hop_bytes
from clusterwright.training.layers import layer_costs, waits_for_host
from clusterwright.training.machine import Machine
from clusterwright.training.operators import Operators
from clusterwright.training.prepared import STORED_4_BIT, Prepared, StateBytes
from clusterwright.training.residence import (
    host_memory,
    least_memory,
    most_offloaded,
    slot_memory,
)
from clusterwright.training.stages import Stages, chunks_of, dealing_of, stages_of
from clusterwright.workload import TrainingWorkload

Array = Any

UNPACK_BYTES = STORED_4_BIT + 2.0
"""Read a 4-bit weight and its scale, write it in 16 bits. [B]"""
BOUND_CUTS = 16_384
"""Cuts bounded at once: their columns stay in cache."""


@dataclass(slots=True)
class Estimates:
    """Columns of results, five axes (see the module).

    ``terms``: seconds of a step by term; they add up to ``step_time``. ``slot_memory``: bytes by
    part for each slot, ``slot_times``: a micro-batch's seconds, ``slot_waits``: those of them spent
    waiting for tensor-parallel ranks; ``host_bytes``: what the fullest rank keeps in host memory.
    """

    step_time: Array
    memory_bytes: Array
    host_bytes: Array
    num_micro_batches: Array
    terms: dict[str, Array]
    slot_memory: list[dict[str, Array]]
    slot_times: list[Array]
    slot_waits: list[Array]
    slots: Stages
    stage_index: Array
    shape_index: Array


class Evaluator:
    """One model, machine and workload; evaluates any cuts and runs."""

    def __init__(self, model: Model, machine: Machine, workload: TrainingWorkload) -> None:
        self.model = model
        self.machine = machine
        self.workload = workload
        low = machine.is_low
        self.job = Job(
            hidden_size=float(model.hidden_size),
            sequence_length=float(workload.sequence_length),
            trainable=workload.method == "full",
            flash_attention=workload.flash_attention,
            dropout=workload.dropout,
            expert_imbalance=workload.expert_imbalance,
            linear_input_bytes=1.0 if low else 2.0,
            element_bytes=machine.activation_bytes,
            accumulate_bytes=_accumulate_bytes(machine, workload),
            adapter_rank=0.0 if workload.method == "full" else float(workload.lora_rank),
            unpack_bytes=UNPACK_BYTES if workload.method == "qlora" else 0.0,
        )
        self.dealing = dealing_of(
            model, workload.sequence_length, by_weight=machine.software.stages_by_weight
        )
        gathers_low = low and machine.software.gathers_fp8
        state = StateBytes.of(
            workload,
            gathered_bytes=1.0 if gathers_low else None,
            update_bytes=machine.software.update_gradient_bytes,
        )
        self.subject = Subject(model, machine, workload, state, self.job.adapter_rank)

    def prepare(self, cuts: Cuts, *, every_rank: bool = False) -> Prepared:
        """Evaluate each distinct operator shape and stage layout of the cuts, once.

        ``every_rank``: look at every pipeline rank, not only at those that can be the worst (for
        a single cut).
        """
        shape_columns = [getattr(cuts, f.name) for f in fields(Shapes)]
        unique, shape_index = unique_rows(shape_columns)
        shapes = Shapes(**{f.name: unique[i] for i, f in enumerate(fields(Shapes))})
        ops = Operators(self.machine, self.job, shapes)
        costs = [layer_costs(ops, block) for block in self.model.blocks]
        pairs, stage_index = unique_rows([cuts.pp, cuts.vpp])
        stages = stages_of(
            self.model.layout,
            len(self.model.blocks),
            [(int(pp), int(vpp)) for pp, vpp in pairs.T],
            dealing=self.dealing,
            every_rank=every_rank,
        )
        self._add_prediction_layers(stages)
        ends = end_costs(self.model, ops, host_bound=waits_for_host(costs))
        exchange = largest_of([exchange_bytes(ops, block) for block in self.model.blocks])
        return Prepared(
            cuts, costs, ends, stages, exchange, hop_bytes(ops), shape_index, stage_index
        )

    def prepare_each(self, strategies: Sequence[Strategy]) -> list[Prepared]:
        """The single cut of each strategy, all of them worked out together."""
        prepared = self.prepare(join_cuts([columns_of(one)[0] for one in strategies]))
        return [prepared.take(np.array([index])) for index in range(len(strategies))]

    def by_chunk(self, prepared: Prepared, pp: int, vpp: int) -> tuple[Prepared, Array]:
        """The same single cut with a slot for every kind of chunk, and each chunk's slot."""
        stages, alike = chunks_of(
            self.model.layout,
            len(self.model.blocks),
            pp,
            vpp,
            dealing=self.dealing,
        )
        self._add_prediction_layers(stages)
        only = np.zeros_like(prepared.stage_index)
        return replace(prepared, stages=stages, stage_index=only), alike

    def _add_prediction_layers(self, stages: Stages) -> None:
        """Each multi-token-prediction layer is one more of the last kind, on the last rank."""
        stages.counts[:, self.model.layout[-1]] += stages.last * self.model.mtp_layers

    def least_time(self, prepared: Prepared, runs: Runs) -> Array:
        """Time that no way of running a cut can undercut. (cuts,) [s]

        The slowest stage without recompute, the shortest bubble of any schedule, transfers between
        stages and stragglers; data-parallel traffic, optimizer and offload left out.
        """
        quick = replace(_plain(runs), zero=runs.zero[:1], offload=runs.offload[..., :1])
        time = np.empty(len(prepared.cuts))
        for start in range(0, len(time), BOUND_CUTS):
            rows = slice(start, start + BOUND_CUTS)
            block = Block(self.subject, prepared, quick, rows)
            slots = block.slots()
            times = [slot.forward + slot.backward + slot.wait for slot in slots]
            slowest = terms.pace(block, times)
            busy = block.num_micro * slowest + terms.bubble_time(block, slots, times, slowest)
            found = busy + terms.hop_time(block) + terms.straggler_time(block, busy)
            time[rows] = found.min(axis=(1, 2, 3, 4))
        return time

    def least_memory(self, prepared: Prepared, runs: Runs) -> Array:
        """Memory that no way of running a cut can undercut. (cuts,) [B]

        States sharded and offloaded as far as any run does, and the least that any keeps.
        """
        memory = np.empty(len(prepared.cuts))
        for places, grid in runs.by_pipeline(prepared.cuts):
            lean = replace(_plain(grid), zero=grid.zero[-1:], offload=most_offloaded(grid.offload))
            block = Block(self.subject, prepared.take(places), lean, slice(None))
            found = largest_of([least_memory(block, slot) for slot in block.slots()])
            memory[places] = found.min(axis=(1, 2, 3, 4))
        return memory

    def memory_parts(self, strategy: Strategy) -> dict[str, float]:
        """Bytes by part on the fullest stage of one strategy."""
        found = self.evaluate(self.prepare(columns_of(strategy)[0]), columns_of(strategy)[1])
        slots = [
            {name: float(np.ravel(value)[0]) for name, value in parts.items()}
            for parts in found.slot_memory
        ]
        return max(slots, key=lambda parts: sum(parts.values()))

    def evaluate(self, prepared: Prepared, runs: Runs, block: slice = slice(None)) -> Estimates:
        """Estimate every crossing of ``prepared.cuts[block]`` with ``runs``."""
        return _estimates(Block(self.subject, prepared, runs, block))


def _plain(runs: Runs) -> Runs:
    """The same runs without recompute."""
    one = np.ones((1,) * GRID_AXES)
    return replace(runs, recompute=0 * one, recompute_share=one, recompute_layers=0 * one)


def _estimates(block: Block) -> Estimates:
    """Add the terms up, small shapes first."""
    slots = block.slots()
    times = [s.forward + s.backward + s.wait + block.recompute_time(s) for s in slots]
    slowest = terms.pace(block, times)
    found = {"stage": block.num_micro * slowest}
    found["bubble"] = terms.bubble_time(block, slots, times, slowest)
    found["pp"] = terms.hop_time(block)
    found["stragglers"] = terms.straggler_time(block, found["stage"] + found["bubble"])
    found["dp"], found["optimizer"] = terms.data_and_update_time(block, slots)
    found["offload"] = terms.offload_time(block, slots)
    memories = [slot_memory(block, slot) for slot in slots]
    return Estimates(
        step_time=np.broadcast_to(sum_parts(found), block.shape),
        memory_bytes=np.broadcast_to(largest_of([sum_parts(m) for m in memories]), block.shape),
        host_bytes=_host_bytes(block, slots),
        num_micro_batches=block.num_micro,
        terms=found,
        slot_memory=memories,
        slot_times=times,
        slot_waits=[slot.wait for slot in slots],
        slots=block.prepared.stages,
        stage_index=block.stage_index,
        shape_index=block.shape_index,
    )


def _host_bytes(block: Block, slots: list[Slot]) -> Array:
    """What the fullest rank keeps in host memory; nothing where nothing is offloaded."""
    if not np.any(block.r.offload):
        return np.zeros((1,) * len(block.shape))
    return largest_of([host_memory(block, slot) for slot in slots])


def _accumulate_bytes(machine: Machine, workload: TrainingWorkload) -> float:
    """Traffic per parameter of adding one micro-batch's gradient to the sum. [B]

    A fused product adds in its epilogue (read and write the sum, less the result that is not
    written); otherwise the gradient is written, read and added in a pass of its own.
    """
    summed, own = 2.0 * workload.gradient_bytes, machine.activation_bytes
    return summed - own if machine.software.fused else summed + own
