"""What one operation of a stage takes and keeps: the executor's input, arrays over stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from clusterwright.errors import InputError

Array = Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StageCosts:
    """Seconds and bytes of one micro-batch on every stage, (stages,).

    Parameters
    ----------
    forward, input_gradient, weight_gradient
        Seconds of F, I and W; a whole backward is I and W. [s]
    both
        Seconds of a forward of this stage overlapped with a backward of the rank's other stage;
        None: one after the other. [s]
    forward_hop, backward_hop
        Seconds to hand the result to the following, the previous stage (nothing on one rank). [s]
    kept_bytes
        Bytes that a forward leaves for its backward. [B]
    weight_share
        Share of them that waits for the weight gradients; the rest goes with I. [1]
    """

    forward: Array
    input_gradient: Array
    weight_gradient: Array
    forward_hop: Array
    backward_hop: Array
    kept_bytes: Array
    weight_share: Array
    both: Array | None = None

    @classmethod
    def uniform(
        cls,
        num_stages: int,
        *,
        forward: float = 1.0,
        input_gradient: float = 1.0,
        weight_gradient: float = 1.0,
        hop: float = 0.0,
        both: float | None = None,
    ) -> Self:
        """Equal stages that keep one byte each."""

        def fill(value: float) -> Array:
            return np.full(num_stages, float(value))

        return cls(
            forward=fill(forward),
            input_gradient=fill(input_gradient),
            weight_gradient=fill(weight_gradient),
            forward_hop=fill(hop),
            backward_hop=fill(hop),
            kept_bytes=fill(1.0),
            weight_share=fill(1.0),
            both=None if both is None else fill(both),
        )

    def check(self, num_stages: int) -> None:
        """Refuse costs of other stages than the schedule has, and times below zero.

        Raises
        ------
        InputError
            One sentence: which array, and what it should be.
        """
        for name in self.__slots__:
            values = getattr(self, name)
            if values is None:
                continue
            if np.shape(values) != (num_stages,):
                raise InputError(
                    f"{name} has the shape {np.shape(values)}, but the schedule has {num_stages} "
                    f"stages: give one value for each"
                )
            if not np.all(np.isfinite(values) & (np.asarray(values) >= 0.0)):
                raise InputError(f"{name} must be zero or more on every stage, and finite")
