"""Pools of replicas, played request by request under a load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from clusterwright.engines.compiled import has_numba
from clusterwright.engines.requests.simulator import (
    Outages,
    Played,
    ReplicaKind,
    Traffic,
    play_requests,
)
from clusterwright.engines.requests.things import DECODE, PREFILL
from clusterwright.errors import InputError
from clusterwright.inference import Service
from clusterwright.serving.loads import TURNS, longest, reused_tokens, traffic_of
from clusterwright.serving.plan import Latency, ServingQuestion
from clusterwright.serving.server import Pool, Server
from clusterwright.serving.steady import Steady, decoding, prefill_rate, steady
from clusterwright.workload import ServingWorkload

Array = Any

REQUESTS = 400
"""Requests that a replica is played with: enough for a 99th percentile to within a few per cent."""
ROUNDS = 10.0
"""Requests played for each that is served at once, so that the load is seen as it stays. [1]"""
FILLING = 3.0
"""Of those, the first, which find an emptier machine than the rest. [1]"""
WARM = 0.2
"""Share of all requests that are left out at least, for the same reason. [1]"""
MANY = 2000
"""Requests from which a compiled loop pays: a plan plays a dozen such loads."""
MOST_REQUESTS = 20_000_000
"""Requests that are played at most: some minutes, and a few gigabytes."""


def run_as(kind: ReplicaKind, service: Service, weights: float) -> ReplicaKind:
    """Replicas of a kind, run as a service says; ``weights``: of one accelerator. [B]"""
    if service.target and service.least > kind.count:
        raise InputError(
            f"--least {service.least} replicas are to stay up, but there are {kind.count}: give "
            f"more --replicas"
        )
    return replace(
        kind,
        reuse=kind.reuse and service.reuse,
        target=service.target,
        least=service.least if service.target else 1,
        load_time=service.load_time + (weights / service.load_rate if service.load_rate else 0.0),
        calm=service.calm,
    )


def kinds_of(
    server: Server, pools: Sequence[Pool], job: ServingWorkload, service: Service
) -> list[ReplicaKind]:
    """Pools as the engine plays them.

    Raises
    ------
    InfeasibleError
        One does not fit.
    """
    tokens = longest(job)
    return [
        run_as(
            server.replica(pool, tokens), service, server.memory(pool.deployment, tokens).weights
        )
        for pool in pools
    ]


def saturation_of(kinds: Sequence[ReplicaKind], job: ServingWorkload) -> float:
    """Requests a second that pools take at most, each working all the time. [1/s]"""
    rates = []
    for kind in kinds:
        if kind.role == PREFILL:
            reused = reused_tokens(kind, job)
            rates.append(kind.count * prefill_rate(kind, job.prompt, reused))
        else:
            rates.append(kind.count * float(state_of(kind, job).rate.max()))
    return min(rates)


def state_of(kind: ReplicaKind, job: ServingWorkload) -> Steady:
    """What a replica that decodes does under loads that stay, by closed form."""
    if kind.role == DECODE:
        return decoding(kind, job.prompt, job.output)
    return steady(kind, job.prompt, job.output, reused_tokens(kind, job))


def at_once_of(kinds: Sequence[ReplicaKind], job: ServingWorkload, rate: float) -> float:
    """Sequences that decode at once under a load, by closed form; at most those that fit. [1]"""
    decoders = [kind for kind in kinds if kind.role != PREFILL]
    each = rate / sum(kind.count for kind in decoders)
    found = 0.0
    for kind in decoders:
        state = state_of(kind, job)
        reached = np.maximum.accumulate(state.rate)
        found += kind.count * float(np.interp(each, reached, state.sequences))
    return found


def play(
    question: ServingQuestion,
    kinds: Sequence[ReplicaKind],
    rate: float,
    traffic: Traffic | None = None,
) -> Played:
    """Play a load of ``rate``, or given requests, through pools of replicas."""
    job, engine, service = question.workload, question.engine, question.service
    entering = sum(kind.count for kind in kinds if kind.role != DECODE)
    replicas = max(entering, sum(kind.count for kind in kinds if kind.role != PREFILL))
    if traffic is None:
        entry, block = engine.entry_time, engine.block
        count = max(REQUESTS * replicas, math.ceil(ROUNDS * at_once_of(kinds, job, rate)))
        check_count(max(count, TURNS * job.users))
        traffic = traffic_of(job, count, rate, entry=entry, block=block)
    usual = "least-loaded"
    if traffic.hash_tokens and any(kind.reuse for kind in kinds):
        usual = "prefix-aware"
    return play_requests(
        traffic,
        kinds,
        router=service.router or usual,
        outages=outages_of(service),
        compile_loop=True if len(traffic.arrival) >= MANY and has_numba() else None,
    )


def check_count(count: int) -> None:
    """Refuse to play more requests than anybody waits for.

    Raises
    ------
    InputError
        Says how many it would be.
    """
    if count > MOST_REQUESTS:
        raise InputError(
            f"so many users or replicas take {count:,} requests to play, of {MOST_REQUESTS:,} at "
            f"most: ask about a part of them, such as a tenth of both"
        )


def outages_of(service: Service) -> Outages | None:
    """A service's failures, sorted; None: there are none."""
    if not service.outages:
        return None
    ordered = sorted(service.outages, key=lambda one: one.at)
    return Outages(
        at=np.array([one.at for one in ordered]),
        replica=np.array([one.replica for one in ordered]),
        lasts=np.array([one.lasts for one in ordered]),
    )


def settled(played: Played) -> slice:
    """Requests that count: those after the start."""
    count = len(played.sent)
    at_once = float(np.sum(played.finish - played.sent)) / max(played.duration, 1e-12)
    first = max(WARM * count, min(FILLING * at_once, 0.5 * count))
    return slice(int(first), count)


def keeps(played: Played, job: ServingWorkload) -> bool:
    """Whether what was promised is kept to its percentile."""
    part = settled(played)
    first, each = played.ttft[part], played.tpot[part]
    each = each[np.isfinite(each)]  # an answer of one token has none
    soon = np.percentile(first, job.percentile) <= job.latest
    quick = not len(each) or np.percentile(each, job.percentile) <= job.slowest
    return bool(soon and quick)


def summary(values: Array) -> Latency:
    """Mean and percentiles of a latency."""
    known = values[np.isfinite(values)]
    if not len(known):
        return Latency(mean=0.0, p50=0.0, p90=0.0, p99=0.0)
    p50, p90, p99 = (float(p) for p in np.percentile(known, (50, 90, 99)))
    return Latency(mean=float(known.mean()), p50=p50, p90=p90, p99=p99)
