"""The framework that runs a job, as far as it changes time and memory."""

from __future__ import annotations

import math
from typing import Literal

from clusterwright.errors import CatalogueError
from clusterwright.records import Record
from clusterwright.strategy import ContextScheme, Offload, Recompute, Schedule

LoraTarget = Literal["input", "output", "feed-forward"]
"""Linear layers of a block that low-rank adapters may stand beside."""


SHARES = ("product", "expert", "attention", "memory", "update", "network", "activation")
"""Factors that are rates over what the hardware explains."""


class Stack(Record, frozen=True, kw_only=True):
    """What the hardware cannot explain of a framework's speed: few factors, fitted on many rows.

    ``product_share``, ``expert_share``, ``attention_share``, ``memory_share``: rate of matrix
    products, of the grouped products of experts, of attention and of memory-bound kernels over what
    the chip's profile says. [1]
    ``update_share``: rate of the optimizer's update over that of other memory-bound kernels. [1]
    ``network_share``: bandwidth between nodes over the fabric's own. [1]
    ``launch_time``: host time per kernel (none: the usual of the settings). [s]
    ``activation_share``: bytes kept for the backward pass over those that the operators need. [1]
    ``tensor_sync_time``: least time of a layer and micro-batch, per tensor-parallel rank, while
    pipeline transfers cross nodes. [s] ``tensor_hop_time``: what each hop between nodes of a
    tensor-parallel collective takes beyond the fabric's latency. [s]
    ``gather_buffers``: gathered activations held at once without pipeline transfers, where the host
    runs ahead and a buffer is free again only when the device has passed it. [1]
    ``rows``, ``sources``: published runs it was fitted on; ``residual``: median absolute relative
    error that is left, each source weighing the same; ``held_out``: the same of sources that the
    factors were not fitted on, leaving out one at a time. [1]
    """

    product_share: float = 1.0
    expert_share: float = 1.0
    attention_share: float = 1.0
    memory_share: float = 1.0
    update_share: float = 1.0
    network_share: float = 1.0
    activation_share: float = 1.0
    launch_time: float | None = None
    tensor_sync_time: float = 0.0
    tensor_hop_time: float = 0.0
    gather_buffers: float = 1.0
    rows: int = 0
    sources: int = 0
    residual: float | None = None
    held_out: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse factors that no framework has."""
        for name in SHARES:
            share = getattr(self, f"{name}_share")
            if not 0.0 < share < math.inf:
                raise CatalogueError(f"stack: {name}_share is {share:g}, but must be above 0")
        if not 1.0 <= self.gather_buffers < math.inf:
            raise CatalogueError(
                f"stack: gather_buffers is {self.gather_buffers:g}, but must be 1 or more"
            )
        for name, time in (
            ("launch_time", self.launch_time or 0.0),
            ("tensor_sync_time", self.tensor_sync_time),
            ("tensor_hop_time", self.tensor_hop_time),
        ):
            if not 0.0 <= time < math.inf:
                raise CatalogueError(f"stack: {name} is {time:g} s, but must be 0 or more")


class Software(Record, frozen=True, kw_only=True):
    """What a training framework does by default.

    ``match``: lower-case fragments by which a published run's framework is recognised (the longest
    fragment found wins, and a trainer, of higher ``priority``, over the library it stands on);
    ``made``: fragments of a publication's name all of whose runs it made, whatever they call it;
    ``until``: the last date (ISO, or its beginning) to which the match applies;
    ``vendors``: the accelerator vendors it runs on (none: any); ``default_for``: those whose
    accelerators it is planned for unless another is named.
    ``graphs``: launches are replayed by the device (CUDA graphs, XLA programs) and cost the host
    nothing per kernel; ``graphs_experts``: routed experts, whose shapes change, among them.
    ``fused``: norms, activations and optimizer run as fused kernels rather than one per operation;
    ``fused_loss``: the cross entropy too (none: as those).
    ``gradient_bytes``: format gradients are accumulated and reduced in (``gradient_bytes_fp16``:
    the same with ``fp16``, where it differs). [B]
    ``gradient_copy_bytes``: 16-bit gradients that stay beside the wider sum. [B]
    ``update_gradient_bytes``: format that the optimizer makes of the rank's share of narrower
    gradients. [B] ``bucket_bytes``: buffers that gradients and weights pass through. [B]
    ``bucket_elements``: gradients that are reduced at once while the backward pass goes on, or
    ``bucket_elements_per_rank`` times the ranks that share them, if that is more (0: not known).
    ``listed_tensors``: tensors of a layer whose shards are gathered and reduced as lists of one
    slice a rank, each cut and copied by the host, rather than as one buffer; ``regathers``: whether
    fully sharded weights are gathered once more for the recompute.
    ``optimizer_passes``: traffic per trained parameter beside the states themselves (none: the
    usual of the settings). [B] ``launches_itself``: the processor that launches kernels runs them
    too, so that none of its time hides behind them. ``sharded_copies``: how often a rank copies
    weights out of the buffer that fully sharded ones are gathered in, and gradients into the one
    that they are reduced in (0: not counted, as where copies hide).
    ``gathers_fp8``: sharded weights are gathered in 8 bits when products run in 8 bits.
    ``block_scaled``: 8-bit products have a scale for each block of their operands.
    ``units_share``: share of the chip's units that compute, where some are set aside for traffic.
    ``state_bytes``: format of each optimizer moment. [B]
    ``overlap_*``: whether it hides that axis's traffic behind computation by default;
    ``overlap_pp_needs_vpp``: pipeline traffic is hidden under the interleaved schedule alone.
    ``flash_attention``: whether attention is fused by default, and ``attention_kernel`` by which
    kernel (``fa1``, ``fa2``, ``cudnn``, ``fa3``; empty: the usual one of the chip).
    ``selective``: what its selective recompute covers: the attention core with norms and activation
    functions; the feed-forward network as well (mlp); or all that is no product, and every second
    product (operators). ``logit_bytes``: memory of one logit and its
    gradient in all copies that the loss holds. [B] ``reserve_bytes``: memory that driver, runtime
    and the communicators hold (none: the usual of the settings). [B] ``dropout``: whether its
    recipes train with dropout.
    ``scatter_gather``: tensor-parallel ranks send a share each between pipeline stages even without
    sequence parallelism. ``zero``: default sharding stage when unsaid.
    ``recompute``: default activation recomputation. ``context_scheme``: default for ``cp``.
    ``lora_rank``: default rank of low-rank adapters, ``lora_targets``: layers they stand beside
    (of the mixer: what enters its core, what leaves it; the feed-forward network).
    ``causal_flops``: whether the FLOP rates it prints count attention by its causal half.
    ``schedules``, ``offloads``, ``context_schemes``: what the planner may choose with it (1f1b
    includes its interleaved form); ``pipeline``: whether it has pipeline parallelism at all;
    ``stages_by_weight``: whether it deals layers to stages by their weights, each stage taking
    layers until it has passed its share, rather than the same number to each.
    ``mtp``: whether the multi-token-prediction layers of a model that has some are trained.
    ``dispatch``: how tokens reach their experts: a copy for each expert in an all-to-all, or one
    copy for each node, which fans out there (deepep). ``dispatch_bytes``: of one element on the
    way there under 8-bit training, block scales included (the way back is 16-bit). [B]
    ``stack``: what was fitted of it; everything else here is documented behaviour.
    """

    id: str
    name: str
    match: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    priority: int = 0
    until: str = ""
    vendors: tuple[str, ...] = ()
    graphs: bool = False
    graphs_experts: bool = True
    fused: bool = True
    fused_loss: bool | None = None
    gradient_bytes: float = 4.0
    gradient_bytes_fp16: float | None = None
    gradient_copy_bytes: float = 0.0
    update_gradient_bytes: float = 0.0
    bucket_bytes: float = 0.0
    bucket_elements: float = 0.0
    bucket_elements_per_rank: float = 0.0
    listed_tensors: float = 0.0
    regathers: bool = False
    optimizer_passes: float | None = None
    launches_itself: bool = False
    sharded_copies: float = 0.0
    gathers_fp8: bool = False
    block_scaled: bool = False
    units_share: float = 1.0
    state_bytes: float = 4.0
    master_weights: bool = True
    overlap_tp: bool = False
    overlap_dp: bool = True
    overlap_ep: bool = False
    overlap_pp: bool = True
    overlap_pp_needs_vpp: bool = False
    flash_attention: bool = True
    attention_kernel: str = ""
    selective: Literal["core", "mlp", "operators"] = "core"
    logit_bytes: float = 8.0
    reserve_bytes: float | None = None
    dropout: bool = False
    scatter_gather: bool = False
    sequence_parallel: bool = True
    zero: int = 1
    recompute: Recompute = "none"
    context_scheme: ContextScheme = "ring"
    lora_rank: int = 16
    lora_targets: tuple[LoraTarget, ...] = ("input", "output", "feed-forward")
    causal_flops: bool = False
    mtp: bool = False
    dispatch: Literal["all-to-all", "deepep"] = "all-to-all"
    dispatch_bytes: float = 2.0
    default_for: tuple[str, ...] = ()
    schedules: tuple[Schedule, ...] = ("1f1b",)
    offloads: tuple[Offload, ...] = ("none",)
    context_schemes: tuple[ContextScheme, ...] = ("all-gather", "ring", "all-to-all")
    pipeline: bool = True
    stages_by_weight: bool = False
    stack: Stack = Stack()
    source: str = ""
    notes: str = ""
