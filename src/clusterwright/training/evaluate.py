"""Time and memory of every crossing of cuts and runs: the whole cost model, in columns.

Arrays have five axes: cuts, then the four of the grid of runs (sharding, recompute, schedule,
offload), each of length 1 where nothing depends on it. Terms are added small shapes first, so that
only the last sums are as large as the space. Slots are the pipeline ranks that can be the worst
(`stages`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from clusterwright.formulas import memory, pipeline, variation
from clusterwright.model.records import Model
from clusterwright.strategy import Strategy
from clusterwright.training.columns import (
    GRID_AXES,
    RECOMPUTES,
    SCHEDULES,
    Cuts,
    Runs,
    columns_of,
    run_grid,
)
from clusterwright.training.costs import Job, LayerCosts, Shapes
from clusterwright.training.ends import EndCosts, end_costs
from clusterwright.training.layers import layer_costs
from clusterwright.training.machine import Machine
from clusterwright.training.operators import Operators
from clusterwright.training.stages import Stages, stages_of
from clusterwright.workload import TrainingWorkload

Array = Any

SELECTIVE, FULL = RECOMPUTES.index("selective"), RECOMPUTES.index("full")
ZERO_BUBBLE, DUALPIPE = SCHEDULES.index("zero-bubble"), SCHEDULES.index("dualpipe")
GPIPE = SCHEDULES.index("gpipe")
LIFT = (slice(None), *[None] * GRID_AXES)
TERMS = ("stage", "bubble", "pp", "stragglers", "dp", "optimizer", "offload")


@dataclass(slots=True)
class Estimates:
    """Columns of results, five axes (see the module).

    ``terms``: seconds of a step by term; they add up to ``step_time``. ``slot_memory``: bytes by
    part for each slot. ``slowest_slot``, ``fullest_slot``: which slot decides.
    """

    step_time: Array
    memory_bytes: Array
    num_micro_batches: Array
    terms: dict[str, Array]
    slot_memory: list[dict[str, Array]]
    slot_times: list[Array]
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
            accumulate_bytes=_accumulate_bytes(machine, workload),
        )
        self.state = StateBytes.of(workload, low=low)

    def prepare(self, cuts: Cuts) -> Prepared:
        """Evaluate each distinct operator shape and stage layout of the cuts, once."""
        shape_columns = [getattr(cuts, f.name) for f in fields(Shapes)]
        unique, shape_index = _unique_rows(shape_columns)
        shapes = Shapes(**{f.name: unique[i] for i, f in enumerate(fields(Shapes))})
        ops = Operators(self.machine, self.job, shapes)
        costs = [layer_costs(ops, block) for block in self.model.blocks]
        pairs, stage_index = _unique_rows([cuts.pp, cuts.vpp])
        stages = stages_of(
            self.model.layout,
            len(self.model.blocks),
            [(int(pp), int(vpp)) for pp, vpp in pairs.T],
        )
        # Each multi-token-prediction layer is one more of the last kind, on the last rank.
        stages.counts[:, self.model.layout[-1]] += stages.last * self.model.mtp_layers
        ends = end_costs(self.model, ops)
        return Prepared(cuts, costs, ends, stages, shape_index, stage_index)

    def lower_bound(self, prepared: Prepared) -> Array:
        """Time that no way of running a cut can undercut: its slowest stage, busy. (cuts,) [s]"""
        idle = run_grid(
            zeros=[0], recomputes=[("none", 1.0, 0)], schedules=["1f1b"], offloads=["none"]
        )
        block = _Block(self, prepared, idle, slice(None))
        slots = [block.slot(index) for index in range(prepared.stages.rank.shape[0])]
        slowest = _largest([slot.forward + slot.backward for slot in slots])
        return np.ravel(block.num_micro * slowest)

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
        return _Block(self, prepared, runs, block).estimates()


@dataclass(frozen=True, slots=True)
class StateBytes:
    """Bytes per parameter of weights, gradients and optimizer states."""

    weight: float
    gradient: float
    optimizer: float
    trained_share: float

    @classmethod
    def of(cls, workload: TrainingWorkload, *, low: bool) -> StateBytes:
        """From the workload; LoRA trains a small share, QLoRA keeps 4-bit weights."""
        moments = {"adam": 2.0, "muon": 1.0, "sgd": 1.0}[workload.optimizer]
        wide = workload.precision in ("fp32", "tf32")
        optimizer = memory.optimizer_state_bytes_per_parameter(
            num_moments=moments,
            moment_bytes=workload.state_bytes,
            master_bytes=4.0 if workload.master_weights and not wide else 0.0,
        )
        weight = 4.0 if wide else 2.0
        if low:
            weight += 0.0
        if workload.method == "full":
            return cls(weight, workload.gradient_bytes, optimizer, 1.0)
        return cls(0.56 if workload.method == "qlora" else weight, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Cuts with their gathered tables; what `Evaluator.evaluate` needs, made once."""

    cuts: Cuts
    costs: list[LayerCosts]
    ends: EndCosts
    stages: Stages
    shape_index: Array
    stage_index: Array

    def take(self, index: Array) -> Prepared:
        """The same for some of the cuts."""
        return replace(
            self,
            cuts=self.cuts.take(index),
            shape_index=self.shape_index[index],
            stage_index=self.stage_index[index],
        )


def _accumulate_bytes(machine: Machine, workload: TrainingWorkload) -> float:
    """Traffic per parameter of adding one micro-batch's gradient to the sum. [B]

    A fused product adds in its epilogue (read and write the sum, less the 16-bit result that is
    not written); otherwise the 16-bit gradient is written, read and added in a pass of its own.
    """
    summed = 2.0 * workload.gradient_bytes
    return summed - 2.0 if machine.software.fused else summed + 2.0


def _sum(parts: dict[str, Array]) -> Array:
    """Sum of arrays of different shapes, equal shapes first, then rising sizes."""
    by_shape: dict[tuple[int, ...], Array] = {}
    for part in parts.values():
        shape = np.shape(part)
        by_shape[shape] = by_shape[shape] + part if shape in by_shape else part
    arrays = sorted(by_shape.values(), key=np.size)
    return sum(arrays[1:], start=arrays[0])


def _total(arrays: list[Array]) -> Array:
    """Sum of a few arrays that broadcast."""
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total


def _largest(arrays: list[Array]) -> Array:
    """Element-wise maximum of arrays that broadcast."""
    largest = arrays[0]
    for array in arrays[1:]:
        largest = np.maximum(largest, array)
    return largest


def _unique_rows(columns: list[Array]) -> tuple[Array, Array]:
    """Distinct combinations of columns, (columns, unique), and each row's index among them."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values, index = np.unique(column, return_inverse=True)
        codes = codes * len(values) + index
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return np.array([column[first] for column in columns], dtype=float), inverse


@dataclass(slots=True)
class _Slot:
    """One representative rank: seconds of a micro-batch and bytes, over cuts."""

    layers: Array
    forward: Array
    backward: Array
    selective: Array
    layer_forward: Array
    weight_gradient: Array
    kept: tuple[Array, Array, Array]
    dense: Array
    expert: Array
    rank: Array
    is_first: Array
    is_last: Array


class _Block:
    """The arithmetic for one block of cuts; methods in the order of the data's way."""

    def __init__(self, parent: Evaluator, prepared: Prepared, runs: Runs, block: slice) -> None:
        self.parent = parent
        self.machine = parent.machine
        self.workload = parent.workload
        self.model = parent.model
        self.prepared = prepared
        cuts = prepared.cuts.take(block)
        self.shape_index = prepared.shape_index[block]
        self.stage_index = prepared.stage_index[block]
        self.c = Cuts(**{f.name: getattr(cuts, f.name)[LIFT] for f in fields(Cuts)})
        self.r = Runs(**{f.name: getattr(runs, f.name)[None] for f in fields(Runs)})
        self.shape = runs.shape
        self.num_micro = parent.workload.global_batch / (self.c.dp * self.c.micro_batch)

    def estimates(self) -> Estimates:
        slots = [self.slot(index) for index in range(self.prepared.stages.rank.shape[0])]
        recomputes = [self._recompute_time(slot) for slot in slots]
        times = [
            slot.forward + slot.backward + extra
            for slot, extra in zip(slots, recomputes, strict=True)
        ]
        slowest = _largest(times)
        terms = {"stage": self.num_micro * slowest}
        terms["bubble"] = self._bubble(slots, times, slowest)
        terms["pp"] = self._hops()
        nodes = self.c.accelerators() / self.machine.links.sizes[0]
        share = variation.slowest_of_many(self.machine.settings.node_spread, nodes)
        terms["stragglers"] = share * (terms["stage"] + terms["bubble"])
        data_time, optimizer_time = self._data_parallel(slots)
        terms["dp"] = data_time
        terms["optimizer"] = optimizer_time
        memories = [self._memory(slot) for slot in slots]
        terms["offload"] = self._offload_time(slots)
        full = (len(self.c), *self.shape)
        step_time = np.broadcast_to(_sum(terms), full)
        peak = np.broadcast_to(_largest([_sum(parts) for parts in memories]), full)
        return Estimates(
            step_time=step_time,
            memory_bytes=peak,
            num_micro_batches=self.num_micro,
            terms=terms,
            slot_memory=memories,
            slot_times=times,
            slots=self.prepared.stages,
            stage_index=self.stage_index,
            shape_index=self.shape_index,
        )

    def _gather(self, array: Array) -> Array:
        return array[self.shape_index][LIFT]

    def slot(self, index: int) -> _Slot:
        """Seconds and bytes of one representative rank, over cuts."""
        stages, ends = self.prepared.stages, self.prepared.ends
        counts = stages.counts[index][:, self.stage_index][:, *LIFT]
        first = stages.first[index][self.stage_index][LIFT]
        last = stages.last[index][self.stage_index][LIFT]

        def over_layers(values: list[Array]) -> Array:
            pairs = zip(counts, values, strict=True)
            return _total([number * self._gather(value) for number, value in pairs])

        costs, weights = self.prepared.costs, ends.block_parameters
        layer_forward = over_layers([cost.forward_total for cost in costs])
        layer_backward = over_layers([cost.backward_total for cost in costs])
        embedding = first * self.model.embedding_parameters
        split = embedding + last * ends.head_parameters(self.c.pp)
        split = split + _total([n * w.split for n, w in zip(counts, weights, strict=True)])
        whole = _total([n * w.replicated for n, w in zip(counts, weights, strict=True)])
        expert = _total([n * w.expert for n, w in zip(counts, weights, strict=True)])
        return _Slot(
            layers=counts.sum(axis=0),
            forward=layer_forward
            + first * self._gather(ends.embedding_forward.sum(axis=0))
            + last * self._gather(ends.head_forward.sum(axis=0)),
            backward=layer_backward
            + first * self._gather(ends.embedding_backward.sum(axis=0))
            + last * self._gather(ends.head_backward.sum(axis=0)),
            selective=over_layers([cost.selective_total for cost in costs]),
            layer_forward=layer_forward,
            weight_gradient=over_layers([cost.weight_gradient for cost in costs]),
            kept=(
                over_layers([cost.kept_none for cost in costs]),
                over_layers([cost.kept_selective for cost in costs]),
                over_layers([cost.kept_full for cost in costs]),
            ),
            dense=split / self.c.tp + whole,
            expert=expert / (self.c.ep * self.c.etp),
            rank=stages.rank[index][self.stage_index][LIFT],
            is_first=first,
            is_last=last,
        )

    def _full_share(self, slot: _Slot) -> Array:
        """Share of a rank's layers that full recompute covers."""
        counted = np.minimum(1.0, self.r.recompute_layers / np.maximum(1.0, slot.layers))
        share = np.where(self.r.recompute_layers > 0, counted, self.r.recompute_share)
        return np.where(self.r.recompute == FULL, share, 0.0)

    def _recompute_time(self, slot: _Slot) -> Array:
        selective = np.where(self.r.recompute == SELECTIVE, slot.selective, 0.0)
        return selective + self._full_share(slot) * slot.layer_forward

    def _bubble(self, slots: list[_Slot], times: list[Array], slowest: Array) -> Array:
        """Idle time of the slowest rank by schedule."""
        middle = slots[-1] if len(slots) < 3 else slots[2]
        middle_time = times[2] if len(times) > 2 else times[-1]
        pp, vpp = self.c.pp, self.c.vpp
        ends = np.where(pp > 1, times[0] + times[1], times[0])
        total = ends + np.maximum(0.0, pp - 2.0) * middle_time
        plain = pipeline.bubble_time(
            total, slowest, num_stages=pp, num_chunks=vpp, num_micro_batches=self.num_micro
        )
        saved = pipeline.zero_bubble_saving(
            middle.weight_gradient / vpp, num_stages=pp, delayed=2.0
        )
        zero_bubble = np.maximum(0.0, plain - saved)
        dual = pipeline.dualpipe_bubble_time(
            slowest, slowest - middle.forward, middle.weight_gradient, num_stages=pp
        )
        schedule = self.r.schedule
        chosen = np.where(schedule == ZERO_BUBBLE, zero_bubble, plain)
        return np.where(schedule == DUALPIPE, np.where(pp > 1, dual, 0.0), chosen)

    def _hops(self) -> Array:
        """Exposed transfers between stages: the fill, and the steady state unless overlapped."""
        c = self.c
        inverse, latency = self.machine.links.point_to_point(c.tp * c.cp * c.dp)
        tokens = c.micro_batch * self.workload.sequence_length / c.cp
        shared = (c.sequence_parallel > 0) | self.machine.software.scatter_gather
        cut = np.where(shared, c.tp, 1.0)
        hop = tokens * self.model.hidden_size * 2.0 / cut * inverse + latency
        hidden = (self.c.overlap_pp > 0) & (c.vpp > 1)
        fill = 2.0 * (c.pp - 1.0) * hop
        steady = np.where(hidden, 0.0, 2.0 * self.num_micro * c.vpp * hop)
        return np.where(c.pp > 1, fill + steady, 0.0)

    def _data_parallel(self, slots: list[_Slot]) -> tuple[Array, Array]:
        """Exposed gradient and weight traffic, and the optimizer's own time."""
        exposed: Array = 0.0
        update: Array = 0.0
        for slot in slots:
            one = self._slot_data_time(slot)
            exposed = np.maximum(exposed, one)
            update = np.maximum(update, self._slot_update_time(slot))
        return exposed, update

    def _shards(self) -> tuple[Array, Array]:
        """Ranks that share the dense and the expert states."""
        c = self.c
        dense = c.dp * c.cp
        dense = np.where(c.shard_group > 0, np.minimum(c.shard_group, dense), dense)
        return dense, np.maximum(1.0, c.dp * c.cp * c.tp / (c.ep * c.etp))

    def _slot_data_time(self, slot: _Slot) -> Array:
        """Data-parallel traffic of one rank that computation does not hide."""
        c, r, state = self.c, self.r, self.parent.state
        if state.gradient == 0.0 and not np.any(r.zero == 3):
            return np.zeros_like(c.tp)
        dense_shards, expert_shards = self._shards()
        links = self.machine.links
        dense_inverse, dense_latency = links.ring(dense_shards, c.tp)
        expert_inverse, expert_latency = links.ring(expert_shards, c.ep * c.etp)
        buckets = np.maximum(1.0, slot.layers)
        per_byte = slot.dense * dense_inverse + slot.expert * expert_inverse
        latency = dense_latency * (dense_shards > 1) + expert_latency * (expert_shards > 1) * (
            slot.expert > 0
        )
        reduce = per_byte * state.gradient + latency
        gather = per_byte * state.weight + latency
        # Sharding over fewer ranks than replicate: the shards are reduced across the replicas.
        replicas = np.maximum(1.0, c.dp * c.cp / dense_shards)
        across_inverse, across_latency = links.ring(replicas, c.tp * dense_shards)
        across = slot.dense / dense_shards * state.gradient * 2.0 * across_inverse
        across = (across + across_latency) * (replicas > 1)
        reduce = reduce + across
        slowdown = self.machine.overlap_slowdown
        overlap = c.overlap_dp > 0

        def shown(traffic: Array, window: Array) -> Array:
            """Traffic minus what the window hides; the last bucket cannot hide."""
            hideable = np.minimum(traffic * (1.0 - 1.0 / buckets), window)
            return traffic - np.where(overlap, hideable * (1.0 - slowdown), 0.0)

        backward = slot.backward + self._recompute_time(slot)
        # zero 0 reduces (two passes of the ring); 1 and 2 scatter, update and gather weights.
        plain = shown(2.0 * reduce, backward)
        sharded = shown(reduce, backward) + shown(gather, slot.forward)
        every = shown(gather, slot.forward) + shown(gather + reduce, backward)
        by_stage = np.where(r.zero == 0, plain, sharded)
        return np.where(r.zero == 3, self.num_micro * every, by_stage)

    def _slot_update_time(self, slot: _Slot) -> Array:
        """Optimizer step: states and gradients through memory."""
        state, r = self.parent.state, self.r
        dense_shards, expert_shards = self._shards()
        dense = np.where(r.zero >= 1, slot.dense / dense_shards, slot.dense)
        expert = np.where(r.zero >= 1, slot.expert / expert_shards, slot.expert)
        touched = 2.0 * state.optimizer + state.gradient + state.weight
        passes = self.machine.settings.optimizer_passes * (state.gradient > 0)
        num_bytes = (dense + expert) * (touched + passes)
        host = self.machine.cluster.host_bandwidth
        offloaded = (r.offload == 1) | (r.offload == 3)
        on_device = self.machine.memory_time(num_bytes, kernels=1.0)
        if not host:
            return on_device
        return (
            np.where(offloaded, (dense + expert) * (state.gradient + state.weight) / host, 0.0)
            + on_device
        )

    def _memory(self, slot: _Slot) -> dict[str, Array]:
        """Peak bytes of one rank by part."""
        c, r, state = self.c, self.r, self.parent.state
        dense_shards, expert_shards = self._shards()
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
            slot.rank, num_stages=c.pp, num_chunks=c.vpp, num_micro_batches=self.num_micro
        )
        dual = np.minimum(self.num_micro, c.pp + 1.0)
        in_flight = np.where(r.schedule == DUALPIPE, dual, in_flight)
        in_flight = np.where(r.schedule == GPIPE, self.num_micro, in_flight)
        kept = self._kept_bytes(slot)
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
            "activations": resident,
            "recompute": self._recompute_bytes(slot),
            "logits": slot.is_last * self._gather(self.prepared.ends.logit_bytes),
            "gathered": np.where(r.zero == 3, gathered, 0.0),
            "reserve": np.float64(self.machine.software.reserve_bytes),
        }

    def _kept_bytes(self, slot: _Slot) -> Array:
        share = self._full_share(slot)
        some = np.where(self.r.recompute == SELECTIVE, slot.kept[1], slot.kept[0])
        return share * slot.kept[2] + (1.0 - share) * some

    def _recompute_bytes(self, slot: _Slot) -> Array:
        """What one recomputed layer needs while it runs backward."""
        one_layer = slot.kept[0] / np.maximum(1.0, slot.layers)
        return np.where(self.r.recompute == FULL, one_layer, 0.0)

    def _offload_time(self, slots: list[_Slot]) -> Array:
        """Activations that the host link cannot move behind the computation."""
        host = self.machine.cluster.host_bandwidth
        on = (self.r.offload == 2) | (self.r.offload == 3)
        if not host or not np.any(on):
            return np.zeros_like(self.c.tp)
        worst: Array = 0.0
        for slot in slots:
            moved = self._kept_bytes(slot) / host
            window = np.minimum(slot.forward, slot.backward)
            worst = np.maximum(worst, 2.0 * np.maximum(0.0, moved - window))
        return np.where(on, self.num_micro * worst, 0.0)
