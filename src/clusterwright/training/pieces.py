"""One strategy taken apart along the pipeline: what its closed form sums up, chunk by chunk.

The costs are those of `terms`, so that an event engine and the closed form differ only in how they
put them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from clusterwright.strategy import Strategy
from clusterwright.training import terms
from clusterwright.training.block import Block
from clusterwright.training.columns import columns_of
from clusterwright.training.evaluate import Evaluator
from clusterwright.training.prepared import Prepared

Array = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """What a strategy's pipeline is made of.

    ``forward``, ``input_gradient``, ``weight_gradient``: of one micro-batch by chunk in the model's
    order, recompute with the input gradient [s]; ``kept_bytes``: activations that it leaves on the
    accelerator [B]. ``hop_time``: one transfer between ranks [s]; ``hops_overlap``: whether it runs
    beside the computation. ``straggler_share``: of the pipeline's time, waiting for the slowest
    node [1].
    """

    num_micro_batches: int
    forward: Array
    input_gradient: Array
    weight_gradient: Array
    kept_bytes: Array
    hop_time: float
    hops_overlap: bool
    straggler_share: float


def pieces_of(evaluator: Evaluator, strategy: Strategy, prepared: Prepared | None = None) -> Pieces:
    """Take one strategy's pipeline apart; ``prepared``: its cut, if it was worked out before."""
    cuts, runs = columns_of(strategy)
    pp, vpp = strategy.pp, strategy.vpp
    prepared, alike = evaluator.by_chunk(prepared or evaluator.prepare(cuts), pp, vpp)
    block = Block(evaluator.subject, prepared, runs, slice(None))
    slots = block.slots()
    layers = _row([slot.layers for slot in slots])[alike].reshape(vpp, pp).sum(axis=0)
    # How much is recomputed is settled for a rank, whichever its chunks.
    shares = np.tile(block.share_of_layers(layers).reshape(pp), vpp)
    again = _row([block.recompute_time(slot, 0.0) for slot in slots])[alike]
    again = again + shares * _row([slot.layer_forward for slot in slots])[alike]
    full, none = (
        _row([block.kept_bytes(slot, share) for slot in slots])[alike] for share in (1.0, 0.0)
    )
    kept = shares * full + (1.0 - shares) * none
    forward = _row([slot.forward for slot in slots])[alike]
    weight = _row([slot.weight_gradient for slot in slots])[alike]
    backward = _row([slot.backward + slot.wait for slot in slots])[alike] + again
    return Pieces(
        num_micro_batches=round(_one(block.num_micro)),
        forward=forward,
        input_gradient=np.maximum(0.0, backward - weight),
        weight_gradient=np.minimum(weight, backward),
        kept_bytes=np.zeros_like(kept) if strategy.offload in ("activations", "both") else kept,
        hop_time=_one(terms.one_hop_time(block)),
        hops_overlap=bool(_one(terms.hops_overlap(block))),
        straggler_share=_one(terms.straggler_share(block)),
    )


def _one(value: Array) -> float:
    return float(np.ravel(value)[0])


def _row(values: list[Array]) -> Array:
    return np.array([_one(value) for value in values])
