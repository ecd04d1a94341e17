"""Shapes, costs and their parts: the vocabulary of `layers`.

A *shape* is what changes an operator: tp, cp, ep, etp, micro-batch, context scheme, sequence
parallelism, overlap. Everything is an array over distinct shapes; the table of strategies gathers
from it. Times are split into `PARTS`, which add up to the layer's time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
    """Seconds by part, kernels launched, all per shape.

    ``expert_kernels``: those of ``kernels`` that routed experts launch, whose shapes change from
    step to step.
    """

    parts: dict[str, Array] = field(default_factory=dict)
    kernels: Array = 0.0
    expert_kernels: Array = 0.0

    def add(self, part: str, time: Array) -> None:
        """Add seconds to a part."""
        self.parts[part] = self.parts.get(part, 0.0) + time

    def merge(self, other: Cost) -> None:
        """Add all of another cost."""
        for part, time in other.parts.items():
            self.add(part, time)
        self.kernels = self.kernels + other.kernels
        self.expert_kernels = self.expert_kernels + other.expert_kernels

    def total(self, parts: tuple[str, ...] = PARTS) -> Array:
        """Sum of the given parts. [s]"""
        return sum((self.parts.get(part, 0.0) for part in parts), start=0.0)

    def matrix(self, num_shapes: int) -> Array:
        """Array of shape (parts, shapes). [s]"""
        rows = [np.broadcast_to(self.parts.get(part, 0.0), num_shapes) for part in PARTS]
        return np.array(rows, dtype=np.float64)


@dataclass(slots=True)
class Work:
    """What a layer does in one micro-batch: both passes, and two parts of them again.

    ``weight``: the part of ``backward`` that is weight gradients; ``selective``: what a selective
    recompute runs again.
    """

    forward: Cost = field(default_factory=Cost)
    backward: Cost = field(default_factory=Cost)
    weight: Cost = field(default_factory=Cost)
    selective: Cost = field(default_factory=Cost)


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes kept of one layer and micro-batch for its backward pass, (shapes,). [B]

    ``none``, ``selective``: without recompute and with a selective one, by half layer; ``full``:
    the layer's input alone.
    """

    none: dict[str, Array]
    selective: dict[str, Array]
    full: Array


@dataclass(slots=True)
class LayerCosts:
    """One block kind: time forward, backward, of a selective recompute; bytes kept.

    ``forward``, ``backward``, ``selective``: (parts, shapes) [s]. ``weight_gradient``: the share
    of backward that may be delayed (shapes,) [s]. ``kept``: bytes for the backward pass of one
    micro-batch; ``kept_none``, ``kept_selective``: their sums over half layers (shapes,) [B].
    """

    forward: Array
    backward: Array
    selective: Array
    weight_gradient: Array
    kept: Kept
    kept_none: Array = None
    kept_selective: Array = None
    forward_total: Array = None
    backward_total: Array = None
    selective_total: Array = None

    def __post_init__(self) -> None:
        """Sum the parts once; the table of strategies gathers the sums."""
        self.kept_none = sum(self.kept.none.values())
        self.kept_selective = sum(self.kept.selective.values())
        self.forward_total = self.forward.sum(axis=0)
        self.backward_total = self.backward.sum(axis=0)
        self.selective_total = self.selective.sum(axis=0)


@dataclass(frozen=True, slots=True)
class Job:
    """What all layers share: sizes of the workload as floats.

    ``element_bytes``: of an activation: 4 where products run in 32 bits, else 2. [B]
    ``accumulate_bytes``: traffic per parameter to add a micro-batch's gradient to the sum. [B]
    ``adapter_rank``: rank of low-rank adapters beside every linear layer (0: none). [1]
    ``unpack_bytes``: traffic per parameter to unpack stored weights before a product (0: none). [B]
    """

    hidden_size: float
    sequence_length: float
    trainable: bool
    flash_attention: bool
    dropout: bool
    expert_imbalance: float
    linear_input_bytes: float
    element_bytes: float
    accumulate_bytes: float
    adapter_rank: float
    unpack_bytes: float
