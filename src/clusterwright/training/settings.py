"""The cost model's own assumptions: few, named, sourced in ``catalogue/settings``."""

from __future__ import annotations

from clusterwright.records import Record


class Settings(Record, frozen=True, kw_only=True):
    """Assumptions that belong to no chip, model or framework.

    ``launch_time``: host time to issue one kernel, with the Python, autograd and small operators
    around it. [s]
    ``grouped_launch_share``: of that, for each further product of a grouped one. [1]
    ``batch_launches``, ``loss_launches``: kernels of a micro-batch around the embedding and in the
    loss that layers do not show: its broadcast, masks and positions; scaling and averaging. [1]
    ``slice_time``: host time to slice a tensor and to issue the slice's copy. [s]
    ``reserve_bytes``: memory that driver, runtime and communicators hold, where the framework's
    entry does not say. [B]
    ``reserve_share``: share of memory lost to fragmentation. [1]
    ``cast_bytes``: traffic to quantise one operand element below 16 bits; ``block_cast_bytes``:
    with a scale for each block instead of the whole tensor. [B]
    ``unfused_norm_passes``: kernels that one fused norm or rotation is made of when written
    operation by operation. [1]
    ``unfused_loss_passes``: the same for the cross entropy. [1]
    ``scan_chunk``, ``scan_efficiency``: chunk length and share of peak of linear attention. [1]
    ``overlap_slowdown``: what hidden traffic costs the computation it hides behind, as a share of
    its own time. [1]
    ``optimizer_passes``: traffic per trained parameter beside the states themselves (gradient
    norm, scaling, clearing). [B]
    ``node_spread``: standard deviation of a node's speed over the mean. [1]
    """

    launch_time: float
    grouped_launch_share: float
    batch_launches: float
    loss_launches: float
    slice_time: float
    reserve_bytes: float
    reserve_share: float
    cast_bytes: float
    block_cast_bytes: float
    unfused_norm_passes: float
    unfused_loss_passes: float
    scan_chunk: float
    scan_efficiency: float
    overlap_slowdown: float
    optimizer_passes: float
    node_spread: float
