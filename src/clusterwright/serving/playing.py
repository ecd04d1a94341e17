"""A deployment under a load, played request by request: latencies, rates, cost and energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from clusterwright.engines.compiled import has_numba
from clusterwright.engines.requests.simulator import Played, ReplicaKind, Traffic, play_requests
from clusterwright.engines.requests.things import DECODE, PREFILL
from clusterwright.serving.handheld import handheld
from clusterwright.serving.intervals import ServingInterval, Sort, at_worst, interval_of
from clusterwright.serving.layers import (
    attention_costs,
    head_costs,
    lane_costs,
    whole_costs,
)
from clusterwright.serving.plan import Latency, Part, ServingEstimate, ServingQuestion
from clusterwright.serving.server import Pool, Server
from clusterwright.serving.steady import decode_step, decoding, prefill_rate, steady
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
TURNS = 20
"""Requests of each user who waits for answers."""
SEED = 7
TAIL = 3.0
"""Standard deviations above the mean at which drawn lengths end. [1]"""


def drawn(mean: float, spread: float, count: int, random: np.random.Generator) -> Array:
    """Whole lengths of a mean and a spread: all the same, or log-normal, none beyond `TAIL`."""
    if spread <= 0.0:
        return np.full(count, max(1, round(mean)))
    variance = np.log1p(spread**2)
    values = random.lognormal(np.log(mean) - 0.5 * variance, np.sqrt(variance), count)
    return np.clip(np.round(values), 1, mean * (1.0 + TAIL * spread)).astype(np.int64)


def traffic_of(job: ServingWorkload, count: int, rate: float, entry: float) -> Traffic:
    """So many requests at a mean rate; the same seed, so that deployments face the same."""
    random = np.random.default_rng(SEED)
    count = max(count, TURNS * job.users)
    gaps = random.exponential(1.0, count)
    return Traffic(
        arrival=0.0 * gaps if job.users else np.cumsum(gaps) / rate,
        prompt=drawn(job.prompt, job.prompt_spread, count, random),
        output=drawn(job.output, job.output_spread, count, random),
        users=job.users,
        entry=entry,
    )


def longest(job: ServingWorkload) -> float:
    """Tokens of the longest request that is drawn, its answer included."""
    return job.prompt * (1.0 + TAIL * job.prompt_spread) + job.output * (
        1.0 + TAIL * job.output_spread
    )


def kinds_of(server: Server, pools: Sequence[Pool], job: ServingWorkload) -> list[ReplicaKind]:
    """Pools as the engine plays them.

    Raises
    ------
    InfeasibleError
        One does not fit.
    """
    return [server.replica(pool, longest(job)) for pool in pools]


def saturation_of(kinds: Sequence[ReplicaKind], job: ServingWorkload) -> float:
    """Requests a second that pools take at most, each working all the time. [1/s]"""
    rates = []
    for kind in kinds:
        if kind.role == PREFILL:
            rates.append(kind.count * prefill_rate(kind, job.prompt))
        else:
            model = decoding if kind.role == DECODE else steady
            rates.append(kind.count * float(model(kind, job.prompt, job.output).rate.max()))
    return min(rates)


def at_once_of(kinds: Sequence[ReplicaKind], job: ServingWorkload, rate: float) -> float:
    """Sequences that decode at once under a load, by closed form; at most those that fit. [1]"""
    decoders = [kind for kind in kinds if kind.role != PREFILL]
    each = rate / sum(kind.count for kind in decoders)
    found = 0.0
    for kind in decoders:
        model = decoding if kind.role == DECODE else steady
        state = model(kind, job.prompt, job.output)
        reached = np.maximum.accumulate(state.rate)
        found += kind.count * float(np.interp(each, reached, state.sequences))
    return found


def play(
    server: Server,
    kinds: Sequence[ReplicaKind],
    job: ServingWorkload,
    rate: float,
    traffic: Traffic | None = None,
) -> Played:
    """Play a load of ``rate``, or given requests, through pools of replicas."""
    entering = sum(kind.count for kind in kinds if kind.role != DECODE)
    replicas = max(entering, sum(kind.count for kind in kinds if kind.role != PREFILL))
    if traffic is None:
        count = max(REQUESTS * replicas, math.ceil(ROUNDS * at_once_of(kinds, job, rate)))
        traffic = traffic_of(job, count, rate, server.engine.entry_time)
    router = "least-loaded" if replicas > 1 else "round-robin"
    compiled = True if len(traffic.arrival) >= MANY and has_numba() else None
    return play_requests(traffic, list(kinds), router=router, compile_loop=compiled)


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


def estimate(
    question: ServingQuestion,
    server: Server,
    pools: Sequence[Pool],
    *,
    scale: int = 1,
    traffic: Traffic | None = None,
) -> ServingEstimate:
    """What pools do under a load.

    Parameters
    ----------
    question, server
        What is asked, and where it runs.
    pools
        Replicas by role, as many as are played.
    scale
        How many times these pools there are: what is alike is played once.
    traffic
        Requests to play; by default drawn as the question says.

    Raises
    ------
    InfeasibleError
        A pool does not fit.
    """
    job = question.workload
    offered = job.rate / scale
    kinds = kinds_of(server, pools, job)
    played = play(server, kinds, job, offered, traffic)
    part = settled(played)
    if job.users:
        offered = len(played.sent) / played.duration
    output = float(np.mean(played.output))
    at_once = offered * float(np.mean(played.finish[part] - played.sent[part]))
    accelerators = scale * sum(pool.accelerators for pool in pools)
    tokens = scale * offered * output
    busy = float(np.sum(played.busy) / (len(played.busy) * max(played.duration, 1e-12)))
    power = server.cluster.accelerator.board_power
    grown = tuple(replace_count(pool, scale) for pool in pools)
    tpot = summary(played.tpot[part])
    return ServingEstimate(
        pools=grown,
        accelerators=accelerators,
        rate=scale * offered,
        saturation=scale * saturation_of(kinds, job),
        ttft=summary(played.ttft[part]),
        tpot=tpot,
        latency=summary(played.finish[part] - played.sent[part]),
        output_rate=tokens,
        user_rate=1.0 / tpot.mean if tpot.mean else 0.0,
        concurrency=scale * at_once,
        busy=busy,
        preempted=float(np.sum(played.preempted)) / len(played.sent),
        cost=accelerators * question.price / 3600.0 / tokens * 1e6 if question.price else None,
        energy=accelerators * power / tokens if power else None,
        memory=server.memory(pools[-1].deployment, longest(job)),
        parts=step_parts(server, kinds[-1], pools[-1], job, at_once),
        meets=keeps(played, job),
        intervals=intervals_for(server),
        handheld=handheld(question.device, played, job.prompt) if question.device else None,
    )


def intervals_for(server: Server) -> tuple[ServingInterval, ...]:
    """How sure a deployment's latencies and rate are, as far as runs alike were measured."""
    sparse = any(block.experts for block in server.model.blocks)
    sorts: tuple[Sort, ...] = ("TTFT", "TPOT sparse" if sparse else "TPOT dense", "throughput")
    place = {"engine": server.engine.id, "profile": server.cluster.accelerator.profile}
    found = [interval_of(server.facts.intervals, sort, **place) for sort in sorts]
    return tuple(one for one in found if one is not None)


def with_room(job: ServingWorkload, intervals: Sequence[ServingInterval]) -> ServingWorkload:
    """What to plan for, so that nine in ten runs alike keep what is promised."""
    ends = {one.sort.split()[0]: at_worst(1.0, one) for one in intervals}
    limits = {
        name: None if limit is None else limit / ends.get(sort, 1.0)
        for name, limit, sort in (("ttft", job.ttft, "TTFT"), ("tpot", job.tpot, "TPOT"))
    }
    return msgspec.structs.replace(job, **limits)


def replace_count(pool: Pool, scale: int) -> Pool:
    """A pool of so many times as many replicas."""
    return Pool(role=pool.role, count=pool.count * scale, deployment=pool.deployment)


def step_parts(
    server: Server, kind: ReplicaKind, pool: Pool, job: ServingWorkload, at_once: float
) -> tuple[Part, ...]:
    """What a step that decodes is made of, with as many sequences as there are on average. [s]"""
    sequences = float(np.clip(at_once / pool.count, 1.0, kind.most))
    context = job.prompt + 0.5 * job.output
    served = server.served(pool.deployment)
    one = np.array([sequences])
    lane = lane_costs(served, np.maximum(1.0, one * kind.width / kind.lanes))
    whole, head = whole_costs(served, one * kind.width), head_costs(served, one)
    times = {name: float(np.ravel(t)[0]) for name, t in {**lane.parts, **whole.parts}.items()}
    times["head"] = float(np.ravel(head.total)[0])
    times["attention"] = float(attention_costs(served, one, np.array([context]))[0])
    total = float(decode_step(kind, one, context)[0])
    times["host_and_fitted"] = total - sum(times.values())
    return tuple(Part(name=name, time=time) for name, time in times.items() if time)
