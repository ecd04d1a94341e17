"""One pass through the model on one lane: kernels and traffic of all layers, by number of tokens.

A *lane* is what works on its own part of the batch: a data-parallel rank of attention, on one
pipeline stage at a time. What its tokens cost alone (projections, dense networks, their traffic)
is kept apart from what the tokens of all lanes cost together (experts and the traffic to them), so
that a step in which one lane has a prompt and the others do not can be put together from both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clusterwright.inference import Deployment, Format, InferenceEngine
from clusterwright.links import Links
from clusterwright.model.records import Block, Experts, Model, heads_here
from clusterwright.serving.kernel_times import BF16, CACHE_BYTES, KernelTimes

Array = Any

LOAD = "power_law_1.01"
"""How tokens spread over experts that stay where they are: a little uneven."""
LEVELLED = "balanced"
"""How they spread where tokens are sent to experts, whose copies are placed to even the load."""


@dataclass(slots=True)
class Costs:
    """Seconds by part over a grid of token counts, and kernels launched."""

    parts: dict[str, Array] = field(default_factory=dict)
    kernels: float = 0.0

    def add(self, part: str, time: Array, kernels: float) -> None:
        """Add seconds, and the kernels that take them."""
        self.parts[part] = self.parts.get(part, 0.0) + time
        self.kernels += kernels

    @property
    def total(self) -> Array:
        """All parts. [s]"""
        return sum(self.parts.values(), start=0.0)


@dataclass(frozen=True, slots=True)
class Served:
    """A model bound to a machine, an engine and a deployment: what formulas need to know."""

    model: Model
    deployment: Deployment
    engine: InferenceEngine
    kernels: KernelTimes
    links: Links
    weights: Format
    expert_weights: Format
    head: Format

    @property
    def wide(self) -> str:
        """Format of activations: 16 bits, but for weights in 32."""
        return "fp32" if self.weights.dense == "fp32" else "bf16"

    @property
    def element_bytes(self) -> float:
        """Of an activation. [B]"""
        return CACHE_BYTES[self.wide]

    @property
    def overlapped(self) -> bool:
        """Whether traffic to the experts hides: halves of a batch take turns."""
        asked = self.deployment.overlap and self.engine.overlaps == "asked"
        return asked or self.engine.overlaps == "always"


def lane_costs(served: Served, tokens: Array) -> Costs:
    """Time of all layers on one lane's tokens, without attention and routed experts. [s]"""
    costs = Costs()
    tokens = np.asarray(tokens, dtype=float)
    for block, count in zip(served.model.blocks, served.model.count_of, strict=True):
        own = Costs()
        _projections(served, own, block, tokens)
        _network(served, own, block, tokens)
        _small(served, own, block, tokens)
        _all_reduces(served, own, block, tokens)
        _adapters(served, own, block, tokens)
        for part, time in own.parts.items():
            costs.add(part, count * time, 0.0)
        costs.kernels += count * own.kernels
    _hops(served, costs, tokens)
    return costs


def whole_costs(served: Served, tokens: Array) -> Costs:
    """Time of all layers' routed experts on the tokens of all lanes. [s]"""
    costs = Costs()
    tokens = np.asarray(tokens, dtype=float) / served.deployment.pp
    for block, count in zip(served.model.blocks, served.model.count_of, strict=True):
        if block.experts is None:
            continue
        own = _experts(served, block.experts, tokens)
        if served.deployment.dp == 1:
            costs.add("experts", count * own, 2.0 * count)
            continue
        gathered, sent = _exchanges(served, block.experts, tokens)
        sorted_out = _experts(served, block.experts, tokens, sorted_out=True)
        # Engines take the quicker way: all tokens to all ranks, or each to those of its experts.
        quick = sent + sorted_out < gathered + own
        costs.add("experts", count * np.where(quick, sorted_out, own), 2.0 * count)
        costs.add("exchange", count * np.where(quick, sent, gathered), 2.0 * count)
    if not costs.parts:
        costs.add("experts", 0.0 * tokens, 0.0)
    return costs


def head_costs(served: Served, sequences: Array) -> Costs:
    """Time of the last layer and of choosing a token for so many sequences on all lanes. [s]"""
    costs = Costs()
    deployment, model = served.deployment, served.model
    rows = np.maximum(1.0, np.asarray(sequences, dtype=float) / deployment.dp)
    vocab = model.vocab_size / deployment.tp
    time = served.kernels.matmul(rows, vocab, float(model.hidden_size), served.head)
    if deployment.tp > 1:
        lines = served.links.gather(float(deployment.tp), 1.0)
        time = time + lines.time(rows * model.vocab_size * served.element_bytes)
    # Logits are widened, scaled, normalised and searched: passes of 4 bytes over all of them.
    time = time + served.kernels.stream(rows * model.vocab_size * 16.0, kernels=4.0)
    costs.add("head", time, 6.0)
    return costs


def _projections(served: Served, costs: Costs, block: Block, tokens: Array) -> None:
    tp = served.deployment.tp
    heads = max((core.num_heads for core in block.cores), default=tp)
    share = heads_here(heads, tp) / heads  # of the projections to and from whole heads
    for projection in block.projections:
        columns, depth = float(projection.outputs), float(projection.inputs)
        if projection.split == "column":
            columns *= share
        elif projection.split == "row":
            depth *= share
        time = served.kernels.matmul(tokens, columns, depth, served.weights)
        costs.add("projections", time, 1.0)


def _network(served: Served, costs: Costs, block: Block, tokens: Array) -> None:
    hidden, tp = float(served.model.hidden_size), served.deployment.tp
    networks = []
    if block.mlp is not None:
        networks.append((block.mlp.width, block.mlp.gated))
    if block.experts is not None and block.experts.shared_width:
        networks.append((block.experts.shared_width, block.experts.shared_gated))
    for width, gated in networks:
        up = (2.0 if gated else 1.0) * width / tp
        costs.add("feed_forward", served.kernels.matmul(tokens, up, hidden, served.weights), 1.0)
        down = served.kernels.matmul(tokens, hidden, width / tp, served.weights)
        costs.add("feed_forward", down, 1.0)
    if block.experts is not None:
        wide = served.head
        router = served.kernels.matmul(tokens, float(block.experts.num_experts), hidden, wide)
        costs.add("feed_forward", router, 1.0)


def _small(served: Served, costs: Costs, block: Block, tokens: Array) -> None:
    """Norms, rotary embedding, cache writes and activation functions."""
    hidden, tp = served.model.hidden_size, served.deployment.tp
    width = sum(p.outputs / (tp if p.split == "column" else 1) for p in block.projections)
    inner = (block.mlp.width if block.mlp else 0) / tp
    elements = 2.0 * 3.0 * hidden + width + 3.0 * inner
    kernels = served.engine.small_kernels
    moved = tokens * elements * served.element_bytes
    costs.add("small", served.kernels.stream(moved, kernels=kernels), kernels)


def _all_reduces(served: Served, costs: Costs, block: Block, tokens: Array) -> None:
    """Sums of partial results over tensor-parallel ranks: after the mixer, after the network."""
    tp = served.deployment.tp
    if tp == 1:
        return
    if served.engine.rows:
        products = len(block.projections) + (3.0 if block.mlp and block.mlp.gated else 2.0)
        copies = 2.0 * (tp - 1) * products
        each = served.links.point_to_point(1.0).time(tokens * served.model.hidden_size * 4.0)
        costs.add("all_reduce", copies * each, copies)
        return
    lines = served.links.own_all_reduce(served.engine.own_all_reduce, float(tp))
    sums = sum(1 for p in block.projections if p.split == "row")
    sums += 1 if block.mlp is not None or block.experts is not None else 0
    time = sums * lines.time(tokens * served.model.hidden_size * served.element_bytes)
    costs.add("all_reduce", time, float(sums))


def adapter_shapes(served: Served, block: Block) -> list[tuple[float, float, float]]:
    """What adapters stand beside on one rank, all but experts: products joined, inputs, outputs."""
    tp, hidden = served.deployment.tp, float(served.model.hidden_size)
    found = []
    for projection in block.projections:
        rows = projection.inputs / (tp if projection.split == "row" else 1)
        columns = projection.outputs / (tp if projection.split == "column" else 1)
        found.append((3.0 if projection.name == "qkv" else 1.0, rows, columns))
    if block.mlp is not None:
        inner = block.mlp.width / tp
        joined = 2.0 if block.mlp.gated else 1.0
        found += [(joined, hidden, joined * inner), (1.0, inner, hidden)]
    return found


def _adapters(served: Served, costs: Costs, block: Block, tokens: Array) -> None:
    """Low-rank adapters, each sequence its own: two thin products, and all touched are read."""
    deployment = served.deployment
    if not deployment.adapters:
        return
    rank = float(deployment.adapter_rank)
    others = np.minimum(deployment.adapters, tokens) - 1.0
    for joined, rows, columns in adapter_shapes(served, block):
        time = served.kernels.matmul(tokens, joined * rank, rows, served.head)
        time = time + served.kernels.matmul(tokens, columns, rank, served.head)
        read = served.kernels.stream(others * rank * (joined * rows + columns) * BF16, kernels=1.0)
        costs.add("adapters", time + read, 2.0)


def _hops(served: Served, costs: Costs, tokens: Array) -> None:
    pp = served.deployment.pp
    if pp == 1:
        return
    lines = served.links.point_to_point(float(served.deployment.tp * served.deployment.dp))
    time = pp * lines.time(tokens * served.model.hidden_size * served.element_bytes)
    costs.add("hops", time, float(pp))


def _experts(served: Served, experts: Experts, tokens: Array, *, sorted_out: bool = False) -> Array:
    load = LEVELLED if sorted_out else LOAD
    together = _experts_together(served, experts, tokens, load, sorted_out=sorted_out)
    if served.engine.expert_rows and not sorted_out:
        return _filled_up(served, experts, tokens, together)
    few = served.engine.alone_below
    if not few:
        return together
    one = _experts_together(served, experts, np.array([1.0]), load, sorted_out=sorted_out)
    return np.where(tokens < few, np.maximum(1.0, tokens) * one, together)


def _filled_up(served: Served, experts: Experts, tokens: Array, together: Array) -> Array:
    """Experts each of which is given whole tiles of rows, so that none is passed over.

    All weights are loaded as if each expert had a row. Rows of filling, and room for those of
    experts elsewhere, pass the memory as others do: inputs in 8 bits read, results of the first
    product written and read, activations written, read, cast to 8 bits and read, results written.
    """
    deployment = served.deployment
    each = np.array([np.ceil(experts.num_experts / experts.top_k)])
    least = _experts_together(served, experts, each, LEVELLED, sorted_out=False)
    hidden = float(experts.inputs or served.model.hidden_size)
    width = experts.width * deployment.ep / (deployment.tp * deployment.dp)
    row = 3.0 * hidden + (6.0 + (8.0 if experts.gated else 4.0)) * width
    here = experts.num_experts / deployment.ep * (served.engine.expert_rows - 1.0)
    elsewhere = tokens * experts.top_k * (1.0 - 1.0 / deployment.ep)
    return np.maximum(together, least) + served.kernels.stream((here + elsewhere) * row)


def _experts_together(
    served: Served, experts: Experts, tokens: Array, load: str, *, sorted_out: bool
) -> Array:
    deployment = served.deployment
    ranks = deployment.tp * deployment.dp
    return served.kernels.experts(
        tokens,
        hidden=float(experts.inputs or served.model.hidden_size),
        width=float(experts.width),
        top_k=float(experts.top_k),
        # Experts that do not divide evenly are filled up with copies of busy ones.
        num_experts=float(-(-experts.num_experts // deployment.ep) * deployment.ep),
        gated=experts.gated,
        tp=float(ranks / deployment.ep),
        ep=float(deployment.ep),
        form=served.expert_weights,
        distribution=load,
        sorted_out=sorted_out,
    )


def _exchanges(served: Served, experts: Experts, tokens: Array) -> tuple[Array, Array]:
    """Tokens of data-parallel ranks to the experts and back: gathered, and sent one by one. [s]"""
    dp, tp = served.deployment.dp, served.deployment.tp
    hidden = float(experts.inputs or served.model.hidden_size)
    gathered = 2.0 * served.links.gather(float(dp), float(tp)).time(
        tokens * hidden * served.element_bytes
    )
    ranks, own = float(dp * tp), tokens / (dp * tp) * hidden
    # 8 bits on the way there, 16 back: a copy for each expert, or one for each node.
    direct = served.links.direct_dispatch(ranks, 1.0)
    sent = direct.time(own * experts.top_k) + direct.time(own * experts.top_k * BF16)
    domains = max(1.0, ranks / served.links.sizes[0])
    if experts.top_groups:  # a group of all experts bars none
        domains = min(domains, experts.top_groups * max(1.0, domains / experts.num_groups))
    once = served.links.dispatch(ranks, 1.0, top_k=float(experts.top_k), max_domains=domains)
    return gathered, np.minimum(sent, once.time(own) + once.time(own * BF16))
