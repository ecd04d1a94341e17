"""Ways to cut one replica over accelerators, and which of them hold the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterwright.inference import Deployment
from clusterwright.serving.server import Server, has_room

LARGEST_EXPERT_GROUP = 64
"""Data-parallel ranks that share experts, at most."""


def deployments(
    server: Server, *, formats: Sequence[tuple[str, str]], caches: Sequence[str], most: int
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
    """
    domain = server.cluster.levels[0].size
    for tp, pp, dp, ep in _cuts(server, min(domain, most), most):
        for weights, experts in formats:
            for cache in caches:
                yield Deployment(
                    tp=tp, pp=pp, dp=dp, ep=ep, weights=weights, expert_weights=experts, cache=cache
                )


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
    heads = max((core.num_heads for block in model.blocks for core in block.cores), default=1)
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
