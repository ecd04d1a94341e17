"""Cost of one layer of each kind, for every distinct shape that a search can ask for.

A *shape* is what changes an operator: tp, cp, ep, etp, micro-batch, context scheme, sequence
parallelism, overlap. Everything here is an array over shapes (suffix ``_S``); the table of
strategies gathers from it. Times are split into `PARTS`, which add up to the layer's time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clusterwright.formulas import memory
from clusterwright.model.records import Block, Core, Experts, Mlp
from clusterwright.training.machine import Machine

Array = Any

PARTS = (
    "matmul_ideal",
    "matmul_loss",
    "attention_ideal",
    "attention_loss",
    "elementwise",
    "host",
    "tp",
    "cp",
    "ep",
)
"""What a layer's time is made of: ideal is FLOPs at peak, loss the kernels' distance from it."""

DEVICE_PARTS = PARTS[:5]
SCHEMES = ("all-gather", "ring", "all-to-all")
BF16 = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Distinct operator shapes, one array entry each (floats)."""

    tp: Array
    cp: Array
    ep: Array
    etp: Array
    micro_batch: Array
    scheme: Array
    sequence_parallel: Array
    overlap_tp: Array
    overlap_ep: Array

    @property
    def sequence_shards(self) -> Array:
        """Shards of what lies between tensor-parallel regions."""
        return np.where(self.sequence_parallel > 0, self.tp, 1.0)


@dataclass(slots=True)
class Cost:
    """Seconds by part, kernels launched, all per shape."""

    parts: dict[str, Array] = field(default_factory=dict)
    kernels: float = 0.0

    def add(self, part: str, time: Array) -> None:
        """Add seconds to a part."""
        self.parts[part] = self.parts.get(part, 0.0) + time

    def total(self, parts: tuple[str, ...] = PARTS) -> Array:
        """Sum of the given parts. [s]"""
        return sum((self.parts.get(part, 0.0) for part in parts), start=0.0)

    def matrix(self, num_shapes: int) -> Array:
        """Array of shape (parts, shapes). [s]"""
        rows = [np.broadcast_to(self.parts.get(part, 0.0), num_shapes) for part in PARTS]
        return np.array(rows, dtype=np.float64)


@dataclass(slots=True)
class LayerCosts:
    """One block kind: time forward, backward, of a selective recompute; bytes kept.

    ``forward``, ``backward``, ``selective``: (parts, shapes) [s]. ``weight_gradient``: the share
    of backward that may be delayed (shapes,) [s]. ``kept_*``: bytes kept for the backward pass of
    one micro-batch under each recompute mode (shapes,) [B].
    """

    forward: Array
    backward: Array
    selective: Array
    weight_gradient: Array
    kept_none: Array
    kept_selective: Array
    kept_full: Array
    forward_total: Array = None
    backward_total: Array = None
    selective_total: Array = None

    def __post_init__(self) -> None:
        """Sum the parts once; the table of strategies gathers the sums."""
        self.forward_total = self.forward.sum(axis=0)
        self.backward_total = self.backward.sum(axis=0)
        self.selective_total = self.selective.sum(axis=0)


@dataclass(frozen=True, slots=True)
class Job:
    """What all layers share: sizes of the workload as floats.

    ``accumulate_bytes``: traffic per parameter to add a micro-batch's gradient to the sum. [B]
    """

    hidden_size: float
    sequence_length: float
    trainable: bool
    flash_attention: bool
    dropout: bool
    expert_imbalance: float
    linear_input_bytes: float
    accumulate_bytes: float


class LayerModel:
    """Computes `LayerCosts` of blocks on a machine, for a set of shapes."""

    def __init__(self, machine: Machine, job: Job, shapes: Shapes) -> None:
        self.machine = machine
        self.job = job
        self.shapes = shapes
        self.tokens = shapes.micro_batch * job.sequence_length / shapes.cp
        self.num_shapes = len(shapes.tp)

    def on(self, machine: Machine) -> LayerModel:
        """The same shapes on another machine (or precision)."""
        return self if machine is self.machine else LayerModel(machine, self.job, self.shapes)

    def costs(self, block: Block) -> LayerCosts:
        """Times and bytes of one block kind."""
        forward, backward, weight, selective = Cost(), Cost(), Cost(), Cost()
        self._mixer(block, forward, backward, weight, selective)
        if block.mlp:
            self._mlp(block.mlp, forward, backward, weight, selective)
        if block.experts:
            self._experts(block.experts, forward, backward, weight, selective)
        self._tensor_traffic(block, forward, backward)
        self._overlap_tensor_traffic(forward, backward)
        self._overlap_expert_traffic(forward, backward)
        for cost in (forward, backward, selective):
            cost.add("host", self._host_wait(cost))
        kept_none, kept_selective, kept_full = self._kept_bytes(block)
        return LayerCosts(
            forward=forward.matrix(self.num_shapes),
            backward=backward.matrix(self.num_shapes),
            selective=selective.matrix(self.num_shapes),
            weight_gradient=np.broadcast_to(weight.total(), self.num_shapes),
            kept_none=kept_none,
            kept_selective=kept_selective,
            kept_full=kept_full,
        )

    def matmul(self, cost: Cost, rows: Array, columns: Array, depth: Array, groups: Array = 1.0) -> None:
        """Add one matrix product (or ``groups`` of them side by side, ``rows`` in all)."""
        time = self.machine.matmul_time(rows, columns, depth, groups=groups)
        ideal = 2.0 * rows * columns * depth / self.machine.matmul_peak
        cost.add("matmul_ideal", ideal)
        cost.add("matmul_loss", time - ideal)
        cost.kernels += 1.0

    def linear(
        self, costs: tuple[Cost, Cost, Cost], rows: Array, columns: Array, depth: Array, groups: Array = 1.0
    ) -> None:
        """Add a linear layer: forward, input gradient, weight gradient (if trained)."""
        forward, backward, weight = costs
        self.matmul(forward, rows, columns, depth, groups)
        self.matmul(backward, rows, depth, columns, groups)
        if self.job.trainable:
            before = backward.total(DEVICE_PARTS)
            if np.ndim(groups) == 0 and float(groups) == 1.0:
                self.matmul(backward, depth, columns, rows)
            else:
                self.matmul(backward, rows, columns, depth, groups)
            weight.add("matmul_ideal", backward.total(DEVICE_PARTS) - before)
            self.stream(backward, self.job.accumulate_bytes * columns * depth * groups, kernels=1.0)
        cast = self.machine.cast_bytes_per_element * rows * depth
        self.stream(forward, cast, kernels=1.0 if self.machine.cast_bytes_per_element else 0.0)
        cast = self.machine.cast_bytes_per_element * rows * columns
        self.stream(backward, cast, kernels=1.0 if self.machine.cast_bytes_per_element else 0.0)

    def stream(self, cost: Cost, num_bytes: Array, *, kernels: float) -> None:
        """Add memory-bound kernels that move ``num_bytes`` in all."""
        if kernels:
            cost.add("elementwise", self.machine.memory_time(num_bytes, kernels=kernels))
            cost.kernels += kernels

    def norm(self, forward: Cost, backward: Cost) -> Cost:
        """Add a norm and the residual addition beside it; returns the norm alone (recompute)."""
        elements = self.tokens * self.job.hidden_size / self.shapes.sequence_shards
        passes = 1.0 if self.machine.software.fused else self.machine.unfused_norm_passes
        norm = Cost()
        self.stream(norm, 2.0 * BF16 * elements * passes, kernels=passes)
        forward.add("elementwise", norm.total())
        forward.kernels += norm.kernels
        masks = 2.0 if self.job.dropout else 0.0
        self.stream(forward, (3.0 * BF16 + masks) * elements, kernels=1.0)
        self.stream(backward, (5.0 * BF16 * passes + masks) * elements, kernels=1.0 + passes)
        return norm

    def _mixer(
        self, block: Block, forward: Cost, backward: Cost, weight: Cost, selective: Cost
    ) -> None:
        shapes = self.shapes
        for projection in block.projections:
            columns: Array = float(projection.outputs)
            depth: Array = float(projection.inputs)
            rows = self.tokens
            if projection.split == "column":
                columns = columns / shapes.tp
            elif projection.split == "row":
                depth = depth / shapes.tp
            else:
                rows = rows / shapes.sequence_shards
            self.linear((forward, backward, weight), rows, columns, depth)
        if block.projections:
            norm = self.norm(forward, backward)
            if self.job.flash_attention:
                selective.add("elementwise", norm.total())
                selective.kernels += norm.kernels
        for core in block.cores:
            self._core(core, forward, backward, selective)

    def _core(self, core: Core, forward: Cost, backward: Cost, selective: Cost) -> None:
        one, two = Cost(), Cost()
        if core.kind == "linear":
            self._linear_core(core, one, two)
        else:
            self._softmax_core(core, one, two)
            self._rotary(core, forward, backward)
            self._context_traffic(core, one, two)
        if not self.job.flash_attention:
            for part, time in one.parts.items():
                selective.add(part, time)
            selective.kernels += one.kernels
        for whole, cost in ((forward, one), (backward, two)):
            for part, time in cost.parts.items():
                whole.add(part, time)
            whole.kernels += cost.kernels

    def _softmax_core(self, core: Core, forward: Cost, backward: Cost) -> None:
        shapes, machine = self.shapes, self.machine
        heads = core.num_heads / shapes.tp
        keys: Array = np.full(self.num_shapes, self.job.sequence_length)
        queries = keys / shapes.cp
        visible = np.minimum(keys, core.window) if core.window else keys
        masked = core.causal and not core.window and self.job.flash_attention
        share = 0.5 if masked else 1.0
        dims = float(core.query_key_dim + core.value_dim)
        flops = 2.0 * shapes.micro_batch * heads * queries * visible * dims * share
        if self.job.flash_attention:
            times = machine.attention_times(
                {
                    # Zig-zag context parallelism gives every rank its even share of the pairs.
                    "batch_size": shapes.micro_batch / shapes.cp,
                    "num_heads": heads,
                    "query_length": keys,
                    "key_length": keys,
                    "num_kv_heads": np.maximum(1.0, core.num_kv_heads / shapes.tp),
                    "qk_dim": float(core.query_key_dim),
                    "value_dim": float(core.value_dim),
                    "causal": 1.0 if core.causal else 0.0,
                    "window": float(core.window or 0),
                }
            )
            forward.kernels += 1.0
            backward.kernels += 2.0
        else:
            times = self._unfused_attention(core, heads, queries, keys, forward, backward)
        for cost, time, ideal in (
            (forward, times[0], flops / machine.attention_peak),
            (backward, times[1], 2.5 * flops / machine.attention_peak),
        ):
            cost.add("attention_ideal", ideal)
            cost.add("attention_loss", time - ideal)

    def _unfused_attention(
        self, core: Core, heads: Array, queries: Array, keys: Array, forward: Cost, backward: Cost
    ) -> tuple[Array, Array]:
        """Two batched products around a scale-mask-softmax and a dropout pass over the scores."""
        sequences = self.shapes.micro_batch
        groups = sequences * heads
        one = self.machine.matmul_time(
            groups * queries, keys, float(core.query_key_dim), groups=groups, activations=True
        )
        two = self.machine.matmul_time(
            groups * queries, float(core.value_dim), keys, groups=groups, activations=True
        )
        scores = groups * queries * keys
        passes = 4.0 if self.machine.software.fused else 10.0
        masks = 5.0 if self.job.dropout else 0.0
        self.stream(forward, scores * (passes + masks), kernels=2.0)
        self.stream(backward, scores * (passes + 2.0 + masks), kernels=2.0)
        forward.kernels += 2.0
        backward.kernels += 4.0
        return one + two, 2.0 * (one + two)

    def _linear_core(self, core: Core, forward: Cost, backward: Cost) -> None:
        """Chunked scan: two products with the state and two within a chunk, per token and head."""
        heads = core.num_heads / self.shapes.tp
        chunk = self.machine.scan_chunk
        state = float(core.state_dim * core.value_dim)
        inner = chunk * float(core.state_dim + core.value_dim)
        flops = 2.0 * self.tokens * heads * (2.0 * state + inner)
        time = flops / (self.machine.attention_peak * self.machine.scan_efficiency)
        for cost, factor in ((forward, 1.0), (backward, 2.5)):
            cost.add("attention_ideal", factor * flops / self.machine.attention_peak)
            cost.add("attention_loss", factor * (time - flops / self.machine.attention_peak))
            elements = self.tokens * heads * (core.value_dim + core.state_dim)
            self.stream(cost, factor * 6.0 * BF16 * elements, kernels=6.0 * factor)

    def _rotary(self, core: Core, forward: Cost, backward: Cost) -> None:
        elements = self.tokens * (core.num_heads + core.num_kv_heads) * core.query_key_dim
        passes = 1.0 if self.machine.software.fused else self.machine.unfused_norm_passes
        for cost in (forward, backward):
            self.stream(cost, 2.0 * BF16 * passes * elements / self.shapes.tp, kernels=passes)

    def _context_traffic(self, core: Core, forward: Cost, backward: Cost) -> None:
        """Exchange of keys and values (or of heads) over cp, hidden behind attention in a ring."""
        shapes, links = self.shapes, self.machine.links
        if np.all(shapes.cp == 1):
            return
        inverse, latency = links.ring(shapes.cp, shapes.tp)
        tokens = shapes.micro_batch * self.job.sequence_length
        width = core.num_kv_heads * (core.query_key_dim + core.value_dim) / shapes.tp
        gather = tokens * width * BF16 * inverse + latency
        ring_out = np.maximum(0.0, gather - forward.total(DEVICE_PARTS)) + gather / shapes.cp
        ring_back = np.maximum(0.0, 2.0 * gather - backward.total(DEVICE_PARTS)) + gather / shapes.cp
        inverse, latency = links.all_to_all(shapes.cp, shapes.tp)
        heads_width = (core.num_heads + core.num_kv_heads) * (core.query_key_dim + core.value_dim)
        exchange = self.tokens * heads_width / shapes.tp * BF16 * inverse + 4.0 * latency
        schemes = [shapes.scheme == index for index in range(len(SCHEMES))]
        many = shapes.cp > 1
        forward.add("cp", np.select(schemes, [gather, ring_out, exchange]) * many)
        backward.add("cp", np.select(schemes, [2.0 * gather, ring_back, exchange]) * many)

    def _activation(self, elements: Array, num_up: float, forward: Cost, backward: Cost) -> Cost:
        """The activation function between the matrices; returns it alone (recompute)."""
        passes = 1.0 if self.machine.software.fused else 2.0
        one = Cost()
        self.stream(one, (num_up + 1.0) * BF16 * elements * passes, kernels=passes)
        forward.add("elementwise", one.total())
        forward.kernels += one.kernels
        self.stream(backward, (2.0 * num_up + 1.0) * BF16 * elements * passes, kernels=passes)
        return one

    def _mlp(
        self, mlp: Mlp, forward: Cost, backward: Cost, weight: Cost, selective: Cost
    ) -> None:
        num_up = 2.0 if mlp.gated else 1.0
        width = mlp.width / self.shapes.tp
        hidden = self.job.hidden_size
        costs = (forward, backward, weight)
        if self.machine.software.selective == "mlp":
            self.matmul(selective, self.tokens, num_up * width, hidden)
        self.linear(costs, self.tokens, num_up * width, hidden)
        self.linear(costs, self.tokens, hidden + 0.0 * width, width)
        norm = self.norm(forward, backward)
        activation = self._activation(self.tokens * width, num_up, forward, backward)
        if self.job.flash_attention:
            for cost in (norm, activation):
                selective.add("elementwise", cost.total())
                selective.kernels += cost.kernels

    def _routed_tokens(self, experts: Experts) -> Array:
        """Token copies that reach one rank's experts (after its etp gather)."""
        shapes = self.shapes
        per_rank = self.tokens * experts.top_k / shapes.tp
        return per_rank * shapes.etp * np.where(shapes.ep > 1, self.job.expert_imbalance, 1.0)

    def _experts(
        self, experts: Experts, forward: Cost, backward: Cost, weight: Cost, selective: Cost
    ) -> None:
        shapes, hidden = self.shapes, self.job.hidden_size
        costs = (forward, backward, weight)
        rows = self._routed_tokens(experts)
        num_up = 2.0 if experts.gated else 1.0
        width = experts.width / shapes.etp
        groups = np.maximum(1.0, experts.num_experts / shapes.ep)
        self.linear(costs, rows, num_up * width, hidden + 0.0 * rows, groups)
        self.linear(costs, rows, hidden + 0.0 * rows, width, groups)
        activation = self._activation(rows * width, num_up, forward, backward)
        own = self.tokens / shapes.sequence_shards
        self.linear(costs, own, float(experts.num_experts), hidden + 0.0 * own)
        norm = self.norm(forward, backward)
        # Router scores, top-k, and the permutation of tokens to their experts and back.
        self.stream(forward, own * experts.num_experts * 12.0, kernels=6.0)
        for cost, passes in ((forward, 4.0), (backward, 6.0)):
            self.stream(cost, passes * BF16 * rows * hidden, kernels=passes)
        if self.job.flash_attention:
            selective.add("elementwise", norm.total() + activation.total())
            selective.kernels += norm.kernels + activation.kernels
        if experts.shared_width:
            shared_up = 2.0 if experts.shared_gated else 1.0
            shared = experts.shared_width / shapes.tp
            self.linear(costs, self.tokens, shared_up * shared, hidden + 0.0 * shared)
            self.linear(costs, self.tokens, hidden + 0.0 * shared, shared)
            self._activation(self.tokens * shared, shared_up, forward, backward)
        self._expert_traffic(experts, forward, backward)

    def _expert_traffic(self, experts: Experts, forward: Cost, backward: Cost) -> None:
        """Dispatch and combine: one all-to-all each, forward and backward."""
        shapes, links = self.shapes, self.machine.links
        sent = self.tokens / shapes.tp * experts.top_k * self.job.hidden_size * BF16
        inverse, latency = links.all_to_all(shapes.ep, shapes.etp)
        time = sent * self.job.expert_imbalance * inverse + latency
        gather_inverse, gather_latency = links.ring(shapes.etp, 1.0)
        gather = sent * shapes.etp * gather_inverse + gather_latency * (shapes.etp > 1)
        both = 2.0 * (time * (shapes.ep > 1) + gather)
        forward.add("ep", both)
        backward.add("ep", both)
        forward.kernels += 2.0
        backward.kernels += 2.0

    def _tensor_traffic(self, block: Block, forward: Cost, backward: Cost) -> None:
        """All-gather and reduce-scatter (or all-reduce) around each tensor-parallel half layer."""
        shapes, links = self.shapes, self.machine.links
        halves = float(bool(block.projections)) + float(bool(block.mlp))
        if block.experts and block.experts.shared_width:
            halves += 1.0
        if np.all(shapes.tp == 1) or halves == 0.0:
            return
        inverse, latency = links.ring(shapes.tp, 1.0)
        reduce_latency = links.all_reduce_latency(shapes.tp, 1.0)
        wire = self.tokens * self.job.hidden_size * BF16 * inverse
        sharded = shapes.sequence_parallel > 0
        once = 2.0 * wire + np.where(sharded, 2.0 * latency, reduce_latency)
        regather = np.where(sharded, wire + latency, 0.0) if self.job.trainable else 0.0
        many = shapes.tp > 1
        forward.add("tp", halves * once * many)
        backward.add("tp", halves * once * many)
        # The backward all-gather of the saved shard runs beside the input gradient.
        if self.job.trainable:
            hidden_by = backward.total(DEVICE_PARTS) / 3.0
            backward.add("tp", np.maximum(0.0, halves * regather * many - hidden_by))
        forward.kernels += halves * 2.0
        backward.kernels += halves * 2.0

    def _overlap_tensor_traffic(self, forward: Cost, backward: Cost) -> None:
        """Hide tp traffic behind the products it feeds, chunk by chunk; the first chunk shows."""
        shapes = self.shapes
        on = (shapes.overlap_tp > 0) & (shapes.tp > 1)
        if not np.any(on):
            return
        slowdown = self.machine.overlap_slowdown
        for cost in (forward, backward):
            traffic = cost.parts.get("tp", 0.0)
            work = cost.total(("matmul_ideal", "matmul_loss"))
            first = traffic / shapes.tp
            hidden = np.minimum(traffic - first, work)
            cost.parts["tp"] = np.where(on, traffic - hidden * (1.0 - slowdown), traffic)

    def _overlap_expert_traffic(self, forward: Cost, backward: Cost) -> None:
        """Hide ep traffic of one micro-batch behind the computation of another."""
        on = (self.shapes.overlap_ep > 0) & (self.shapes.ep > 1)
        if not np.any(on):
            return
        slowdown = self.machine.overlap_slowdown
        for cost in (forward, backward):
            traffic = cost.parts.get("ep", 0.0)
            hidden = np.minimum(traffic, cost.total(DEVICE_PARTS))
            cost.parts["ep"] = np.where(on, traffic - hidden * (1.0 - slowdown), traffic)

    def _host_wait(self, cost: Cost) -> Array:
        """Time the device waits for the host to launch kernels; nothing with graphs."""
        software = self.machine.software
        if software.graphs:
            return np.zeros(self.num_shapes)
        issue = cost.kernels * software.launch_time
        return np.maximum(0.0, issue - cost.total())

    def _kept_bytes(self, block: Block) -> tuple[Array, Array, Array]:
        """Bytes kept for the backward pass: none, selective, full recompute."""
        job, shapes = self.job, self.shapes
        shared = {
            "hidden_size": job.hidden_size,
            "sequence_shards": shapes.sequence_shards,
            "linear_input_bytes": job.linear_input_bytes,
            "mask_bytes": 1.0 if job.dropout else 0.0,
        }
        kept: Array = np.zeros(self.num_shapes)
        light: Array = np.zeros(self.num_shapes)
        norm = self.tokens * job.linear_input_bytes * job.hidden_size / shapes.sequence_shards
        if block.projections:
            kept = kept + self._mixer_bytes(block, shared)
            light = light + norm
            if not job.flash_attention:
                light = self._score_bytes(block)
        if block.mlp:
            num_up = 2.0 if block.mlp.gated else 1.0
            width = float(block.mlp.width)
            kept = kept + memory.mlp_activation_bytes(
                self.tokens, width=width, num_up=num_up, tensor_shards=shapes.tp, **shared
            )
            if job.flash_attention:
                light = light + norm + self.tokens * job.linear_input_bytes * width / shapes.tp
                if self.machine.software.selective == "mlp":
                    light = light + self.tokens * 2.0 * num_up * width / shapes.tp
        if block.experts:
            kept = kept + self._expert_bytes(block.experts, shared)
            if job.flash_attention:
                inner = self._routed_tokens(block.experts) * block.experts.width / shapes.etp
                light = light + norm + job.linear_input_bytes * inner
        full = self.tokens * BF16 * job.hidden_size / shapes.sequence_shards
        return kept, kept - light, np.broadcast_to(full, self.num_shapes)

    def _mixer_bytes(self, block: Block, shared: dict[str, Any]) -> Array:
        projected = sum(p.outputs for p in block.projections if p.split != "row")
        core_width = sum(p.inputs for p in block.projections if p.split == "row")
        kept = memory.mixer_activation_bytes(
            self.tokens,
            projected_width=float(projected),
            core_width=float(core_width),
            tensor_shards=self.shapes.tp,
            **shared,
        )
        if not self.job.flash_attention:
            kept = kept + self._score_bytes(block)
        return kept

    def _score_bytes(self, block: Block) -> Array:
        length = self.job.sequence_length
        heads = sum(core.num_heads for core in block.cores if core.kind == "softmax")
        return memory.score_activation_bytes(
            self.shapes.micro_batch, length / self.shapes.cp, length, heads / self.shapes.tp
        )

    def _expert_bytes(self, experts: Experts, shared: dict[str, Any]) -> Array:
        routed = memory.expert_activation_bytes(
            self._routed_tokens(experts),
            hidden_size=shared["hidden_size"],
            width=float(experts.width),
            num_up=2.0 if experts.gated else 1.0,
            expert_shards=self.shapes.etp,
            linear_input_bytes=shared["linear_input_bytes"],
        )
        everywhere = memory.mlp_activation_bytes(
            self.tokens,
            width=float(experts.shared_width),
            num_up=2.0 if experts.shared_gated else 1.0,
            tensor_shards=self.shapes.tp,
            **shared,
        )
        return routed + everywhere
