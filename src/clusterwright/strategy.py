"""How one job is cut over a machine: the axes, and how it is run."""

from __future__ import annotations

from typing import Literal

from clusterwright.records import Record

Recompute = Literal["none", "selective", "full"]
Schedule = Literal["1f1b", "interleaved", "zero-bubble", "dualpipe", "gpipe"]
Offload = Literal["none", "optimizer", "activations", "both"]
ContextScheme = Literal["all-gather", "ring", "all-to-all"]


class Strategy(Record, frozen=True, kw_only=True):
    """One way to run a training job. Axes: ``pp × dp × cp × tp`` are all its accelerators.

    ``ep`` and ``etp`` cut the experts over the ranks of ``dp × cp × tp`` once more (``ep × etp``
    divides their product). ``dp`` counts ranks that see different sequences. ``vpp``: chunks of
    layers per pipeline rank. ``micro_batch``: sequences per data-parallel rank and micro-step.
    ``zero``: 0 none, 1 optimizer states, 2 and gradients, 3 and weights sharded (FSDP).
    ``shard_group``: ranks that the sharding spans (0: all of ``dp × cp``; less is HSDP).
    ``recompute_layers``: with ``full``, layers per pipeline rank that are recomputed (0: all).
    ``overlap_*``: whether the traffic of that axis may hide behind computation.
    """

    tp: int = 1
    cp: int = 1
    pp: int = 1
    vpp: int = 1
    dp: int = 1
    ep: int = 1
    etp: int = 1
    micro_batch: int = 1
    zero: int = 1
    shard_group: int = 0
    sequence_parallel: bool = True
    recompute: Recompute = "none"
    recompute_layers: int = 0
    schedule: Schedule = "1f1b"
    context_scheme: ContextScheme = "all-gather"
    offload: Offload = "none"
    overlap_tp: bool = False
    overlap_dp: bool = True
    overlap_ep: bool = False
    overlap_pp: bool = True

    @property
    def accelerators(self) -> int:
        """How many accelerators it runs on."""
        return self.tp * self.cp * self.pp * self.dp
