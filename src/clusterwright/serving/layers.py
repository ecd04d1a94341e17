"""One pass through the model on one lane: kernels and traffic of all layers, by number of tokens.

A *lane* is what works on its own part of the batch: a data-parallel rank of attention, on one
pipeline stage at a time. What its tokens cost alone (projections, dense networks, their traffic)
is kept apart from what the tokens of all lanes cost together (experts and the traffic to them), so
that a step in which one lane has a prompt and the others do not can be put together from both.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np

from clusterwright.inference import Deployment, Format, InferenceEngine
from clusterwright.links import Links
from clusterwright.model.records import Block, Core, Experts, Model
from clusterwright.serving.kernel_times import BF16, KernelTimes

Array = Any

LOAD = "power_law_1.01"
"""How tokens spread over experts that stay where they are: a little uneven."""
LEVELLED = "balanced"
"""How they spread where tokens are sent to experts, whose copies are placed to even the load."""


SCORE_BYTES = 16.0
"""Traffic of a score that leaves the chip: 4 bytes written, twice read, written again. [B]"""


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
    def kv_split(self) -> float:
        """Over how many ranks keys and values are cut."""
        return float(self.deployment.tp)


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
        time = time + lines.time(rows * model.vocab_size * BF16)
    # Logits are widened, scaled, normalised and searched: passes of 4 bytes over all of them.
    time = time + served.kernels.stream(rows * model.vocab_size * 16.0, kernels=4.0)
    costs.add("head", time, 6.0)
    return costs


def attention_costs(served: Served, sequences: Array, context: Array) -> Array:
    """Attention of all layers while decoding; (shapes,) sequences on all lanes. [s]"""
    batch = np.maximum(1.0, np.asarray(sequences, dtype=float) / served.deployment.lanes)
    context = np.asarray(context, dtype=float)
    total: Array = np.zeros(np.broadcast(batch, context).shape)
    for block, count in zip(served.model.blocks, served.model.count_of, strict=True):
        latent = latent_of(block)
        for core in block.cores:
            total = total + count * _decode_core(served, core, latent, batch, context)
    return total


def prefill_costs(served: Served, length: Array) -> Array:
    """Attention of all layers over whole prompts, one at a time. [s]"""
    length = np.asarray(length, dtype=float)
    total: Array = np.zeros(length.shape)
    for block, count in zip(served.model.blocks, served.model.count_of, strict=True):
        for core in block.cores:
            total = total + count * _prefill_core(served, core, length)
    return total


def latent_of(block: Block) -> tuple[float, float] | None:
    """Rank of the cached latent and width of its turned part, where attention is latent."""
    found = {projection.name: projection for projection in block.projections}
    if "kv_a" in found and "kv_b" in found:
        rank = found["kv_b"].inputs
        return float(rank), float(found["kv_a"].outputs - rank)
    return None


def _projections(served: Served, costs: Costs, block: Block, tokens: Array) -> None:
    tp = served.deployment.tp
    for projection in block.projections:
        columns, depth = float(projection.outputs), float(projection.inputs)
        if projection.split == "column":
            columns /= tp
        elif projection.split == "row":
            depth /= tp
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
    costs.add("small", served.kernels.stream(tokens * elements * BF16, kernels=kernels), kernels)


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
    time = sums * lines.time(tokens * served.model.hidden_size * BF16)
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
    time = pp * lines.time(tokens * served.model.hidden_size * BF16)
    costs.add("hops", time, float(pp))


def _experts(served: Served, experts: Experts, tokens: Array, *, sorted_out: bool = False) -> Array:
    together = _experts_together(served, experts, tokens, sorted_out=sorted_out)
    few = served.engine.alone_below
    if not few:
        return together
    one = _experts_together(served, experts, np.array([1.0]), sorted_out=sorted_out)
    return np.where(tokens < few, np.maximum(1.0, tokens) * one, together)


def _experts_together(
    served: Served, experts: Experts, tokens: Array, *, sorted_out: bool
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
        distribution=LEVELLED if sorted_out else LOAD,
        sorted_out=sorted_out,
    )


def _exchanges(served: Served, experts: Experts, tokens: Array) -> tuple[Array, Array]:
    """Tokens of data-parallel ranks to the experts and back: gathered, and sent one by one. [s]"""
    dp, tp = served.deployment.dp, served.deployment.tp
    hidden = float(experts.inputs or served.model.hidden_size)
    gathered = 2.0 * served.links.gather(float(dp), float(tp)).time(tokens * hidden * BF16)
    ranks, own = float(dp * tp), tokens / (dp * tp) * hidden
    # 8 bits on the way there, 16 back: a copy for each expert, or one for each node.
    direct = served.links.direct_dispatch(ranks, 1.0)
    sent = direct.time(own * experts.top_k) + direct.time(own * experts.top_k * BF16)
    domains = float(experts.top_groups or experts.top_k)
    once = served.links.dispatch(ranks, 1.0, top_k=float(experts.top_k), max_domains=domains)
    return gathered, np.minimum(sent, once.time(own) + once.time(own * BF16))


def _decode_core(
    served: Served, core: Core, latent: tuple[float, float] | None, batch: Array, context: Array
) -> Array:
    tp, cp, cache = served.deployment.tp, served.deployment.cp, served.deployment.cache
    heads = max(1.0, core.num_heads / tp)
    if core.kind == "linear":
        state = heads * core.state_dim * core.value_dim
        return served.kernels.stream(batch * state * 2.0 * 4.0 + 0.0 * context, kernels=2.0)
    if cp > 1:
        return _decode_cut(served, core, latent, batch, context)
    keys = np.maximum(1.0, context / core.stride)
    if core.value_dim == 0:  # an indexer: reads narrow keys, computes scores alone
        read = batch * keys * core.num_kv_heads * core.query_key_dim
        return served.kernels.stream(read, kernels=3.0)
    if latent is not None:
        seen = np.minimum(keys, core.window) if core.window else keys
        rank, rope = latent
        return served.kernels.latent(batch, seen, heads=heads, rank=rank, rope=rope, cache=cache)
    return served.kernels.decode(
        batch,
        keys,
        heads=heads,
        kv_heads=max(1.0, core.num_kv_heads / tp) if served.engine.shared_keys else heads,
        width=0.5 * (core.query_key_dim + core.value_dim),
        window=_window(served, core),
        cache=cache,
    )


def _window(served: Served, core: Core) -> float:
    """Keys that decoding reads of a window; 0: it sees all. [tokens]"""
    engine = served.engine
    beside = (served.deployment.budget or engine.budget) if engine.wide_windows else 0
    return float(core.window + beside) if core.window else 0.0


def _decode_cut(
    served: Served, core: Core, latent: tuple[float, float] | None, batch: Array, context: Array
) -> Array:
    """Attention of ranks that cut each sequence between them: all have the queries of all.

    Queries are gathered before and results brought together after.
    """
    deployment = served.deployment
    cp = deployment.cp
    whole = msgspec.structs.replace(deployment, tp=max(1, deployment.tp // cp), cp=1)
    narrow = msgspec.structs.replace(core, window=-(-core.window // cp)) if core.window else core
    shared = replace(served, deployment=whole)
    time = _decode_core(shared, narrow, latent, batch, context / cp)
    asked, given = (sum(latent), latent[0]) if latent else (core.query_key_dim, core.value_dim)
    heads = max(1.0, core.num_heads * cp / deployment.tp)
    lines = served.links.gather(float(cp), 1.0)
    return time + sum(lines.time(batch * heads * width * BF16) for width in (asked, given))


def _prefill_core(served: Served, core: Core, length: Array) -> Array:
    tp = served.deployment.tp
    heads = max(1.0, core.num_heads / tp)
    if core.kind == "linear":
        moved = length * heads * (2.0 * core.state_dim + 2.0 * core.value_dim) * 4.0
        return served.kernels.stream(moved, kernels=6.0)
    keys = np.maximum(1.0, length)
    if core.value_dim == 0:
        width = float(core.query_key_dim)
        flops = 2.0 * heads * width * keys * keys / core.stride
        return flops / (0.4 * served.kernels.peak("bf16"))
    time = served.kernels.prefill(
        keys,
        heads=heads,
        kv_heads=max(1.0, core.num_kv_heads / tp),
        width=0.5 * (core.query_key_dim + core.value_dim),
        window=float(core.window or 0),
    )
    if not served.engine.fused_attention:
        seen = np.minimum(keys, core.window) if core.window else keys
        scores = heads * seen * (keys - 0.5 * seen)
        time = time + served.kernels.stream(scores * SCORE_BYTES, kernels=3.0)
    return time / core.stride
