"""Replicas that no site can hold: layers sliced over peers, which hand activations on.

Each peer keeps some of the layers and works on sequences as they pass; the slower of its chip and
its link sets the pace. Embedding and head have peers of their own.

What it leaves out: peers that are lost on the way, and slices that fit unevenly.
"""

from __future__ import annotations

import math

import msgspec

from clusterwright.formulas.low_communication import relay_time
from clusterwright.formulas.pipeline import bubble_time
from clusterwright.model.records import Model
from clusterwright.swarm.things import Site

SENT_BYTES = 2.0
"""An activation travels in 16 bits. [B]"""


def slice_of(model: Model, layers: int) -> Model:
    """The model with so many of its layers and without its ends, as one peer works on them."""
    return msgspec.structs.replace(
        model,
        layout=model.layout[:layers],
        vocab_size=1,
        embedding_parameters=0,
        head_parameters=0,
        other_parameters=0,
        shared_parameters=0,
        mtp_layers=0,
    )


def peers_needed(model: Model, layers: int, memory_bytes: float, replica_bytes: float) -> int:
    """Peers that one replica takes.

    Parameters
    ----------
    model
        The whole model.
    layers
        That fit on a peer.
    memory_bytes
        Of a peer. [B]
    replica_bytes
        That the tables at the ends need for a parameter. [B]
    """
    ends = replica_bytes * (model.embedding_parameters + model.head_parameters)
    return math.ceil(model.num_layers / layers) + math.ceil(ends / memory_bytes)


def relayed_step(
    site: Site, model: Model, *, peers: int, batch: int, length: int, slice_time: float
) -> tuple[float, bool]:
    """Time of an inner step of a replica of peers [s], and whether links set its pace.

    Parameters
    ----------
    site
        The peers.
    model
        The whole model.
    peers
        That share a replica.
    batch, length
        Sequences of the step, and tokens of one.
    slice_time
        In which a peer's chip works through one sequence, forward and backward. [s]
    """
    sent = relay_time(length, model.hidden_size, SENT_BYTES, site.bandwidth)
    slot = max(slice_time, sent)
    # The first sequence passes all peers before the last of them has work.
    fill = bubble_time(peers * slot, slot, num_stages=peers, num_chunks=1, num_micro_batches=batch)
    hops = (peers - 1) * site.round_trip
    return float(batch * slot + fill + hops), sent > slice_time
