"""The door to the loop: requests and replicas in, times of each request out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clusterwright.engines.compiled import compiled_family, has_numba, should_compile
from clusterwright.engines.requests import loop
from clusterwright.engines.requests.asked import (
    Outages,
    Played,
    ReplicaKind,
    StepTimes,
    Traffic,
)
from clusterwright.engines.requests.checks import ROUTERS, check
from clusterwright.engines.requests.things import OFF, Array, read
from clusterwright.engines.requests.worlds import world_of

__all__ = ["Outages", "Played", "ReplicaKind", "StepTimes", "Traffic", "play_requests"]

FAMILY = tuple(
    f"clusterwright.engines.requests.{name}"
    for name in (
        "durations",
        "lists",
        "heaps",
        "gaps",
        "prefixes",
        "room",
        "batching",
        "routing",
        "service",
        "loop",
    )
)
"""Modules of the loop, those that others import from first."""


def play_requests(
    traffic: Traffic,
    kinds: Sequence[ReplicaKind],
    *,
    router: str = "round-robin",
    outages: Outages | None = None,
    compile_loop: bool | None = None,
) -> Played:
    """Play requests through replicas.

    Parameters
    ----------
    traffic
        What is asked, and when.
    kinds
        Kinds of replicas; those of role `BOTH` and `PREFILL` make the pool that requests enter,
        those of role `DECODE` the one that they go on to.
    router
        ``round-robin``, ``least-loaded`` or ``prefix-aware``.
    outages
        Failures of replicas, which are numbered as they stand, the pool that requests enter first.
    compile_loop
        Whether numba compiles the loop; by default if it pays and can be done. The results are the
        same.

    Raises
    ------
    InputError
        A request that no replica can ever hold, or a wrong choice of replicas.
    """
    check(traffic, kinds, router, outages)
    plain = not should_compile(40 * len(traffic.prompt), compile_loop)
    world = world_of(traffic, kinds, outages, ROUTERS[router], plain=plain)
    run = loop.play if plain else compiled_family(*FAMILY)["play"]
    happened = int(run(world))
    finish = read(world.requests, "finish")
    if not (finish >= 0.0).all():
        raise RuntimeError("the loop ended before all requests were answered")
    of_requests = ("sent", "first", "replica", "reused")
    of_replicas = ("busy", "worked", "preempted", "lost")
    return Played(
        **{name: read(world.requests, name) for name in of_requests},
        **{name: read(world.replicas, name) for name in of_replicas},
        finish=finish,
        prompt=np.asarray(traffic.prompt),
        output=np.asarray(traffic.output),
        steps=read(world.replicas, "step"),
        paid=_paid(world.replicas, float(finish.max())),
        gaps=np.asarray(world.gaps),
        happened=happened,
    )


def expect_many() -> None:
    """Load the compiled loop ahead of many short plays, each too short to load it for."""
    if has_numba():
        compiled_family(*FAMILY)


def _paid(replicas: Array, end: float) -> Array:
    """Time for which each replica was paid for, up to the end. [s]"""
    running = read(replicas, "state") != OFF
    paid = read(replicas, "paid") + np.where(running, end - read(replicas, "since"), 0.0)
    return np.maximum(0.0, paid)
