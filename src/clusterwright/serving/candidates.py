"""Ways to cut one replica over accelerators, and which of them hold the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import msgspec

from clusterwright.inference import Deployment
from clusterwright.serving.server import Server, has_room, most_copies, most_heads

LARGEST_EXPERT_GROUP = 64
"""Data-parallel ranks that share experts, at most."""


def deployments(
    server: Server,
    *,
    formats: Sequence[tuple[str, str]],
    caches: Sequence[str],
    most: int,
    base: Deployment,
) -> Iterator[Deployment]:
    """List deployments of a replica on at most so many accelerators, the smallest first.

    Parameters
    ----------
    server
        Model, machine and engine.
    formats
        Formats to try: of dense weights, and of experts'.
    caches
        Formats of the cache to try.
    most
        Accelerators of one replica.
    base
        What all have in common; each is tried without its speculation too.
    """
    domain = server.cluster.levels[0].size
    plain = msgspec.structs.replace(base, drafted=0, accepted=0.0, drafter="")
    bases = [plain, base] if base.drafted else [plain]
    for tp, pp, dp, ep in _cuts(server, min(domain, most), most):
        copies = most_copies(server.model, tp) if server.engine.splits_cache else 1
        for cp in (1, copies) if copies > 1 else (1,):
            for (weights, experts), cache, one in product(formats, caches, bases):
                yield msgspec.structs.replace(
                    one, tp=tp, pp=pp, dp=dp, ep=ep, cp=cp,
                    weights=weights, expert_weights=experts, cache=cache,
                    overlap=base.overlap and dp > 1,
                )  # fmt: skip


def fitting(
    server: Server, every: Iterator[Deployment], tokens: float
) -> tuple[list[Deployment], Deployment | None]:
    """Those with room for a request of so many tokens, and the largest one that has none."""
    good: list[Deployment] = []
    refused: Deployment | None = None
    for deployment in every:
        memory = server.memory(deployment, tokens)
        if memory.fits and has_room(server, deployment, memory, tokens):
            good.append(deployment)
        else:
            refused = deployment
    return good, refused


def _cuts(server: Server, domain: int, most: int) -> Iterator[tuple[int, int, int, int]]:
    """(tp, pp, dp, ep) of a replica."""
    model = server.model
    heads = most_heads(model)
    experts = max((b.experts.num_experts for b in model.blocks if b.experts), default=0)
    for tp in _powers(domain):
        if tp > heads:
            continue
        yield tp, 1, 1, 1
        if experts and tp > 1 and tp <= experts:
            yield tp, 1, 1, tp
    for dp in _powers(min(most, LARGEST_EXPERT_GROUP, experts)) if experts else ():
        if dp > 1:
            yield 1, 1, dp, dp
    for pp in (2, 4, 8):
        if domain * pp <= most and model.num_layers >= pp and domain <= heads:
            yield domain, pp, 1, 1


def _powers(limit: int) -> Iterator[int]:
    value = 1
    while value <= limit:
        yield value
        value *= 2
