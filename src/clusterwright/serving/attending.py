"""Attention of all layers on one lane: of sequences that decode, and of whole prompts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from clusterwright.model.records import Block, Core, heads_here
from clusterwright.serving.kernel_times import BF16
from clusterwright.serving.layers import Served

Array = Any

OVER_HALF = 4.0 / 3.0
"""Next power of two over a length, on average over a doubling of it. [1]"""
SCORE_BYTES = 16.0
"""Traffic of a score that leaves the chip: 4 bytes written, twice read, written again. [B]"""


def attention_costs(served: Served, sequences: Array, context: Array) -> Array:
    """Attention of all layers while decoding; (shapes,) sequences on all lanes. [s]"""
    batch = np.maximum(1.0, np.asarray(sequences, dtype=float) / served.deployment.lanes)
    context = np.asarray(context, dtype=float)
    if served.engine.doubling_context:
        context = OVER_HALF * context
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


def _decode_core(
    served: Served, core: Core, latent: tuple[float, float] | None, batch: Array, context: Array
) -> Array:
    tp, cp, cache = served.deployment.tp, served.deployment.cp, served.deployment.cache
    heads = heads_here(core.num_heads, tp)
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
        kv_heads=heads_here(core.num_kv_heads, tp) if served.engine.shared_keys else heads,
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
    heads = heads_here(core.num_heads * cp, deployment.tp)
    lines = served.links.gather(float(cp), 1.0)
    return time + sum(lines.time(batch * heads * width * BF16) for width in (asked, given))


def _prefill_core(served: Served, core: Core, length: Array) -> Array:
    tp = served.deployment.tp
    heads = heads_here(core.num_heads, tp)
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
        kv_heads=heads_here(core.num_kv_heads, tp),
        width=0.5 * (core.query_key_dim + core.value_dim),
        window=float(core.window or 0),
        precision=served.wide,
    )
    if not served.engine.fused_attention:
        seen = np.minimum(keys, core.window) if core.window else keys
        scores = heads * seen * (keys - 0.5 * seen)
        time = time + served.kernels.stream(scores * SCORE_BYTES, kernels=3.0)
    return time / core.stride
