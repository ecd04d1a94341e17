"""What is worked out once for all cuts: operators by shape, stages, ends; bytes per parameter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from clusterwright.formulas import memory
from clusterwright.training.columns import Cuts
from clusterwright.training.costs import LayerCosts
from clusterwright.training.ends import EndCosts
from clusterwright.training.stages import Stages
from clusterwright.workload import TrainingWorkload

Array = Any


STORED_4_BIT = 0.5625
"""A 4-bit weight with an 8-bit scale for each 16 (NF4 with double quantisation is near it). [B]"""


@dataclass(frozen=True, slots=True)
class StateBytes:
    """Bytes per parameter of weights, gradients and optimizer states; of adapters, all three.

    ``gathered``: of a weight on its way between the ranks that share it.
    """

    weight: float
    gathered: float
    gradient: float
    optimizer: float
    adapter: float

    @classmethod
    def of(
        cls,
        workload: TrainingWorkload,
        *,
        gathered_bytes: float | None = None,
        update_bytes: float = 0.0,
    ) -> StateBytes:
        """From the workload; LoRA trains a small share, QLoRA keeps 4-bit weights.

        ``update_bytes``: of the fp32 gradient that an update makes of a 16-bit one. [B]
        """
        moments = {"adam": 2.0, "muon": 1.0, "sgd": 1.0}[workload.optimizer]
        wide = workload.precision in ("fp32", "tf32")
        optimizer = memory.optimizer_state_bytes_per_parameter(
            num_moments=moments,
            moment_bytes=workload.state_bytes,
            master_bytes=4.0 if workload.master_weights and not wide else 0.0,
            update_bytes=update_bytes if workload.gradient_bytes < update_bytes else 0.0,
        )
        weight = 4.0 if wide else 2.0
        gathered = weight if gathered_bytes is None else gathered_bytes
        if workload.method == "full":
            return cls(weight, gathered, workload.gradient_bytes, optimizer, 0.0)
        stored = STORED_4_BIT if workload.method == "qlora" else weight
        return cls(stored, stored, 0.0, 0.0, weight + workload.gradient_bytes + optimizer)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Cuts with their gathered tables; what `Evaluator.evaluate` needs, made once.

    ``exchange_bytes``, ``hop_bytes``: communication buffers, (shapes,). [B]
    """

    cuts: Cuts
    costs: list[LayerCosts]
    ends: EndCosts
    stages: Stages
    exchange_bytes: Array
    hop_bytes: Array
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
