"""The framework that runs a job, as far as it changes time and memory."""

from __future__ import annotations

from clusterwright.records import Record


class Software(Record, frozen=True, kw_only=True):
    """What a training framework does by default; documented behaviour, not a fit.

    ``match``: lower-case fragments by which a published run's framework is recognised.
    ``launch_time``: host time to issue one kernel. [s]  ``graphs``: launches are replayed by the
    device (CUDA graphs, XLA programs) and cost the host nothing per kernel.
    ``fused``: norms, activations and optimizer run as fused kernels rather than one per operation.
    ``gradient_bytes``: format gradients are accumulated and reduced in. [B]
    ``overlap_*``: whether it hides that axis's traffic behind computation by default.
    ``flash_attention``: default attention kernel. ``zero``: default sharding stage when unsaid.
    """

    id: str
    name: str
    match: tuple[str, ...] = ()
    launch_time: float = 6e-6
    graphs: bool = False
    fused: bool = True
    gradient_bytes: float = 4.0
    overlap_tp: bool = False
    overlap_dp: bool = True
    overlap_ep: bool = False
    overlap_pp: bool = True
    flash_attention: bool = True
    sequence_parallel: bool = True
    zero: int = 1
    source: str = ""
