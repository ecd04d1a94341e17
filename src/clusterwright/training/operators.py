"""The operators that layers are made of, for all shapes at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.model.records import Experts
from clusterwright.training.costs import DEVICE_PARTS, Cost, Job, Shapes, Work
from clusterwright.training.machine import Machine

Array = Any


class Operators:
    """Adds operators' seconds to a `Cost`, for a set of shapes on a machine.

    ``tokens``: tokens of one micro-batch on a rank, before tensor parallelism, (shapes,). [1]
    """

    def __init__(self, machine: Machine, job: Job, shapes: Shapes) -> None:
        self.machine = machine
        self.job = job
        self.shapes = shapes
        self.tokens = shapes.micro_batch * job.sequence_length / shapes.cp
        self.num_shapes = len(shapes.tp)

    def on(self, machine: Machine) -> Operators:
        """The same shapes on another machine (or precision)."""
        return self if machine is self.machine else Operators(machine, self.job, self.shapes)

    def matmul(
        self, cost: Cost, rows: Array, columns: Array, depth: Array, groups: Array = 1.0
    ) -> None:
        """Add one matrix product (or ``groups`` of them side by side, ``rows`` in all)."""
        time = self.machine.matmul_time(rows, columns, depth, groups=groups)
        ideal = 2.0 * rows * columns * depth / self.machine.matmul_peak
        cost.add("matmul_ideal", ideal)
        cost.add("matmul_loss", time - ideal)
        cost.kernels += 1.0

    def linear(
        self,
        work: Work,
        rows: Array,
        columns: Array,
        depth: Array,
        *,
        groups: Array = 1.0,
        part: str = "",
    ) -> None:
        """Add a linear layer: forward, input gradient, weight gradient (if trained).

        ``part``: which of the layers that adapters may stand beside it is, as `LoraTarget` says.
        """
        forward, backward = work.forward, work.backward
        self.matmul(forward, rows, columns, depth, groups)
        self.matmul(backward, rows, depth, columns, groups)
        if self.job.trainable:
            before = backward.total(DEVICE_PARTS)
            if np.ndim(groups) == 0 and float(groups) == 1.0:
                self.matmul(backward, depth, columns, rows)
            else:
                self.matmul(backward, rows, columns, depth, groups)
            work.weight.add("matmul_ideal", backward.total(DEVICE_PARTS) - before)
            self.stream(backward, self.job.accumulate_bytes * columns * depth * groups, kernels=1.0)
        if part in self.machine.software.lora_targets:
            self._adapter(work, rows, columns, depth)
        for cost in (forward, backward) if self.job.unpack_bytes else ():
            self.stream(cost, self.job.unpack_bytes * columns * depth * groups, kernels=1.0)
        cast = self.machine.cast_bytes_per_element * rows * depth
        self.stream(forward, cast, kernels=1.0 if self.machine.cast_bytes_per_element else 0.0)
        cast = self.machine.cast_bytes_per_element * rows * columns
        self.stream(backward, cast, kernels=1.0 if self.machine.cast_bytes_per_element else 0.0)

    def _adapter(self, work: Work, rows: Array, columns: Array, depth: Array) -> None:
        """Two thin products beside a frozen layer, bound by reading and adding activations."""
        if not self.job.adapter_rank:
            return
        thin, element = 2.0 * self.job.adapter_rank, self.job.element_bytes
        self.stream(work.forward, element * rows * (depth + 2.0 * columns + thin), kernels=3.0)
        self.stream(work.backward, element * rows * (2.0 * depth + columns + thin), kernels=5.0)

    def stream(self, cost: Cost, num_bytes: Array, *, kernels: float) -> None:
        """Add memory-bound kernels that move ``num_bytes`` in all."""
        if kernels:
            cost.add("elementwise", self.machine.memory_time(num_bytes, kernels=kernels))
            cost.kernels += kernels

    def norm(self, work: Work) -> Cost:
        """Add a norm and the residual addition beside it; returns the norm alone (recompute)."""
        elements = self.tokens * self.job.hidden_size / self.shapes.sequence_shards
        element = self.job.element_bytes
        passes = 1.0 if self.machine.software.fused else self.machine.settings.unfused_norm_passes
        norm = Cost()
        self.stream(norm, 2.0 * element * elements * passes, kernels=passes)
        work.forward.merge(norm)
        masks = 2.0 if self.job.dropout else 0.0
        self.stream(work.forward, (3.0 * element + masks) * elements, kernels=1.0)
        self.stream(
            work.backward, (5.0 * element * passes + masks) * elements, kernels=1.0 + passes
        )
        return norm

    def activation(self, elements: Array, num_up: float, work: Work) -> Cost:
        """The activation function between the matrices; returns it alone (recompute)."""
        passes = 1.0 if self.machine.software.fused else 2.0
        one = Cost()
        moved = self.job.element_bytes * elements * passes
        self.stream(one, (num_up + 1.0) * moved, kernels=passes)
        work.forward.merge(one)
        self.stream(work.backward, (2.0 * num_up + 1.0) * moved, kernels=passes)
        return one

    def routed_tokens(self, experts: Experts) -> Array:
        """Token copies that reach one rank's experts (after its etp gather)."""
        shapes = self.shapes
        per_rank = self.tokens * experts.top_k / shapes.tp
        return per_rank * shapes.etp * np.where(shapes.ep > 1, self.job.expert_imbalance, 1.0)

    def host_wait(self, cost: Cost) -> Array:
        """Time the device waits for the host to launch kernels; nothing that is in a graph."""
        software = self.machine.software
        launched = cost.kernels
        if software.graphs:
            launched = 0.0 if software.graphs_experts else cost.expert_kernels
        issue = launched * self.machine.launch_time
        if software.launches_itself:
            return issue
        return np.maximum(0.0, issue - cost.total())
