"""What fits: weights, activations and graphs on each accelerator, and the cache in what is left."""

from __future__ import annotations

import math
from typing import Any

from clusterwright.inference import Deployment
from clusterwright.model.parameters import count_block
from clusterwright.model.records import Block, Model, heads_here
from clusterwright.records import Record
from clusterwright.serving.attending import latent_of
from clusterwright.serving.kernel_times import BF16, CACHE_BYTES
from clusterwright.serving.layers import Served, adapter_shapes

Array = Any


LARGEST_STEP = 16384
"""Tokens of a step that engines without a budget work on at once, layer by layer."""


class Memory(Record, frozen=True, kw_only=True):
    """Bytes on one accelerator, and the cache that fits beside them.

    ``cache_tokens``: of all of a replica's lanes together, at the mean context asked about.
    """

    weights: float
    activations: float
    reserve: float
    taken: float
    cache: float
    cache_tokens: float
    blocks: int
    sequence_bytes: float

    @property
    def fits(self) -> bool:
        """Whether any room is left for the cache."""
        return self.blocks > 0


def weight_bytes(served: Served, *, ends: bool = True) -> float:
    """Weights on one accelerator; ``ends``: with embedding and last layer. [B]"""
    deployment, model = served.deployment, served.model
    ranks = deployment.tp * deployment.dp
    total = 0.0
    for block, count in zip(model.blocks, model.count_of, strict=True):
        counted = count_block(block, model.hidden_size)
        own = _shared_bytes(served, block)
        own += counted.experts / ranks * served.expert_weights.weight_bytes
        own += (counted.router + counted.vectors) * BF16
        ranks_of_all = deployment.adapters * deployment.adapter_rank
        thin = sum(many * rows + columns for many, rows, columns in adapter_shapes(served, block))
        own += ranks_of_all * thin * BF16
        total += count * own
    total /= deployment.pp
    if not ends:
        return total
    outer = (model.embedding_parameters, model.head_parameters)
    wide = served.head.weight_bytes
    return total + (max(outer) if deployment.pp > 1 else sum(outer)) / deployment.tp * wide


def passed_bytes(served: Served) -> float:
    """Weights that each token passes on its way, on one accelerator of every stage. [B]"""
    model = served.model
    layers = zip(model.blocks, model.count_of, strict=True)
    total = sum(count * _shared_bytes(served, block) for block, count in layers)
    head = model.vocab_size * model.hidden_size * served.head.weight_bytes
    return total + head / served.deployment.tp


def _shared_bytes(served: Served, block: Block) -> float:
    """Weights of a layer that all tokens share, on one accelerator. [B]"""
    counted = count_block(block, served.model.hidden_size)
    replicated = sum(p.inputs * p.outputs for p in block.projections if p.split == "replicated")
    split = counted.mixer - replicated + counted.mlp + counted.shared_experts
    return (split / served.deployment.tp + replicated) * served.weights.weight_bytes


def sequence_bytes(served: Served, context: float) -> float:
    """Cache of one sequence of so many tokens, on one accelerator. [B]"""
    model, deployment = served.model, served.deployment
    element = CACHE_BYTES[deployment.cache]
    total = sum(
        count * _block_cache(block, context, deployment, element)
        for block, count in zip(model.blocks, model.count_of, strict=True)
    )
    return total / deployment.pp


def _block_cache(block: Block, context: float, deployment: Deployment, element: float) -> float:
    latent = latent_of(block)
    tp, cp = deployment.tp, deployment.cp
    total = 0.0
    for core in block.cores:
        if core.kind == "linear":
            total += core.num_heads / tp * core.state_dim * core.value_dim * 4.0
            continue
        kept = context / core.stride / cp
        if core.value_dim == 0:
            total += kept * core.num_kv_heads * core.query_key_dim
        elif latent is not None:
            total += kept * sum(latent) * element
        else:
            kept = min(kept, core.window / cp) if core.window else kept
            heads = heads_here(core.num_kv_heads * cp, tp)
            total += kept * heads * (core.query_key_dim + core.value_dim) * element
    return total


def activation_bytes(served: Served, model: Model, budget: int) -> float:
    """Activations of the largest step: a layer's widest tensors twice, and logits. [B]"""
    deployment = served.deployment
    inner = max(
        max((b.mlp.width for b in model.blocks if b.mlp), default=0) * 3.0,
        max((b.experts.top_k * b.experts.width * 3.0 for b in model.blocks if b.experts), default=0)
        / max(1.0, deployment.ep / deployment.dp),
    )
    step = min(budget, LARGEST_STEP) * BF16 * (6.0 * model.hidden_size + inner / deployment.tp)
    logits = served.engine.most * model.vocab_size * 4.0 * 2.0 / deployment.dp
    return step + logits


def memory_of(
    served: Served, memory_bytes: float, *, context: float, drafter: Served | None = None
) -> Memory:
    """What fits on one accelerator of a deployment.

    Parameters
    ----------
    served
        Model, engine and deployment.
    memory_bytes
        Of one accelerator. [B]
    context
        Mean tokens of a sequence, which say what a token costs where layers see a window alone.
    drafter
        What proposes tokens, with weights and a cache of its own; a layer of the model's kind has
        its head and embedding already.
    """
    engine, deployment = served.engine, served.deployment
    share = deployment.memory_share or engine.memory_share
    budget = deployment.budget or engine.budget
    weights = weight_bytes(served)
    if drafter is not None:
        weights += weight_bytes(drafter, ends=served.deployment.drafter == "model")
    activations = activation_bytes(served, served.model, budget)
    taken = memory_bytes * share
    left = engine.free_share * max(0.0, taken - weights - activations - engine.reserve_bytes)
    one = sequence_bytes(served, context)
    if drafter is not None:
        one += sequence_bytes(drafter, context)
    each = deployment.cache_tokens or left / (one / context)
    tokens = each * deployment.dp
    return Memory(
        weights=weights,
        activations=activations,
        reserve=engine.reserve_bytes,
        taken=taken,
        cache=left,
        cache_tokens=tokens,
        blocks=math.floor(tokens / engine.block),
        sequence_bytes=one,
    )
