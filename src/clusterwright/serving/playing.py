"""A deployment under a load, played request by request: latencies, rates, cost and energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

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
from clusterwright.serving.handheld import handheld
from clusterwright.serving.intervals import ServingInterval, Sort, interval_of
from clusterwright.serving.layers import (
    Served,
    attention_costs,
    head_costs,
    lane_costs,
    whole_costs,
)
from clusterwright.serving.plan import Latency, Part, ServingEstimate, ServingQuestion, Verdict
from clusterwright.serving.server import Pool, Server
from clusterwright.serving.steady import (
    decode_step,
    decoding,
    most_sequences,
    prefill_rate,
    steady,
)
from clusterwright.workload import ServingWorkload

Array = Any

REQUESTS = 400
"""Requests that a replica is played with: enough for a 99th percentile to within a few per cent."""
WARM = 0.2
"""Of the requests, the first, which find an emptier machine than the rest. [1]"""
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


def traffic_of(
    job: ServingWorkload, count: int, rate: float, *, entry: float, block: int
) -> Traffic:
    """So many requests at a mean rate; the same seed, so that deployments face the same.

    ``block``: tokens of a block of the cache, to whole ones of which beginnings are shared.
    """
    random = np.random.default_rng(SEED)
    count = max(count, TURNS * job.users)
    gaps = random.exponential(1.0, count)
    own = job.prompt - job.prefix
    prompt = drawn(own, job.prompt_spread * job.prompt / own, count, random) + round(job.prefix)
    shared = block * int(job.prefix // block)
    return Traffic(
        arrival=0.0 * gaps if job.users else np.cumsum(gaps) / rate,
        prompt=prompt,
        output=drawn(job.output, job.output_spread, count, random),
        users=job.users,
        entry=entry,
        hash_start=np.arange(count + 1) if shared else None,
        hash_ids=np.zeros(count, dtype=np.int64) if shared else None,
        hash_tokens=shared,
    )


def reused_tokens(kind: ReplicaKind, job: ServingWorkload) -> float:
    """Tokens of a prompt that a replica has from others."""
    return kind.block * (job.prefix // kind.block) if kind.reuse else 0.0


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


def longest(job: ServingWorkload) -> float:
    """Tokens of the longest request that is drawn, its answer included."""
    return job.prompt * (1.0 + TAIL * job.prompt_spread) + job.output * (
        1.0 + TAIL * job.output_spread
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
        elif kind.role == DECODE:
            rates.append(kind.count * float(decoding(kind, job.prompt, job.output).rate.max()))
        else:
            state = steady(kind, job.prompt, job.output, reused_tokens(kind, job))
            rates.append(kind.count * float(state.rate.max()))
    return min(rates)


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
        traffic = traffic_of(job, REQUESTS * replicas, rate, entry=entry, block=block)
    usual = "least-loaded"
    if traffic.hash_tokens and any(kind.reuse for kind in kinds):
        usual = "prefix-aware"
    outages = outages_of(service)
    return play_requests(traffic, kinds, router=service.router or usual, outages=outages)


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
    """Requests that count: those after the start, before the last stragglers."""
    count = len(played.sent)
    return slice(int(WARM * count), count)


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
    kinds = kinds_of(server, pools, job, question.service)
    played = play(question, kinds, offered, traffic)
    part = settled(played)
    if job.users:
        offered = len(played.sent) / played.duration
    output = float(np.mean(played.output))
    at_once = offered * float(np.mean(played.finish[part] - played.sent[part]))
    prompts = float(np.sum(traffic.prompt)) if traffic else job.prompt * len(played.sent)
    accelerators = scale * sum(pool.accelerators for pool in pools)
    intervals = intervals_for(server)
    saturation = scale * saturation_of(kinds, job)
    limits = limits_of(saturation, intervals)
    up = share_up(pools, kinds, played) if question.service.target else 1.0
    tokens = scale * offered * output
    busy = float(np.sum(played.busy) / (len(played.busy) * max(played.duration, 1e-12)))
    power = server.cluster.accelerator.board_power
    grown = tuple(replace_count(pool, scale) for pool in pools)
    tpot, itl = summary(played.tpot[part]), played.itl
    return ServingEstimate(
        pools=grown,
        accelerators=accelerators,
        rate=scale * offered,
        saturation=saturation,
        limits=limits,
        verdict=verdict_of(0.0 if job.users else scale * offered, limits),
        ttft=summary(played.ttft[part]),
        tpot=tpot,
        itl=Latency(mean=played.mean_itl, p50=itl(50), p90=itl(90), p99=itl(99)),
        latency=summary(played.finish[part] - played.sent[part]),
        output_rate=tokens,
        user_rate=1.0 / tpot.mean if tpot.mean else 0.0,
        concurrency=scale * at_once,
        busy=busy,
        preempted=float(np.sum(played.preempted)) / len(played.sent),
        lost=float(np.sum(played.lost)) / len(played.sent),
        reused=float(np.sum(played.reused)) / prompts,
        up=up,
        cost=up * accelerators * question.price / 3600.0 / tokens * 1e6 if question.price else None,
        energy=up * accelerators * power / tokens if power else None,
        memory=server.memory(pools[-1].deployment, longest(job)),
        parts=step_parts(server, kinds[-1], pools[-1], job, at_once),
        meets=keeps(played, job),
        intervals=intervals,
        handheld=handheld(question.device, played, job.prompt) if question.device else None,
    )


def share_up(pools: Sequence[Pool], kinds: Sequence[ReplicaKind], played: Played) -> float:
    """Share of the accelerators and the time that is paid for. [1]"""
    ordered = sorted(zip(kinds, pools, strict=True), key=lambda pair: pair[0].role == DECODE)
    each = np.repeat(
        [float(pool.deployment.accelerators) for _, pool in ordered],
        [kind.count for kind, _ in ordered],
    )
    start = float(played.finish.max()) * float(each.sum())
    return float(np.dot(each, played.paid)) / start if start else 1.0


def limits_of(saturation: float, intervals: Sequence[ServingInterval]) -> tuple[float, float]:
    """What 80 % of runs alike could take, for so much predicted. [1/s]"""
    for one in intervals:
        if one.sort == "throughput":
            return saturation * one.low, saturation * one.high
    return saturation, saturation


def verdict_of(rate: float, limits: tuple[float, float]) -> Verdict:
    """Whether replicas keep up with a rate; users who wait for answers never ask too much."""
    if rate < limits[0]:
        return "keeps up"
    return "unsure" if rate <= limits[1] else "falls behind"


def intervals_for(server: Server) -> tuple[ServingInterval, ...]:
    """How sure a deployment's latencies and rate are, as far as runs alike were measured."""
    sparse = any(block.experts for block in server.model.blocks)
    sorts: tuple[Sort, ...] = ("TTFT", "TPOT sparse" if sparse else "TPOT dense", "throughput")
    place = {"engine": server.engine.id, "profile": server.cluster.accelerator.profile}
    found = [interval_of(server.facts.intervals, sort, **place) for sort in sorts]
    return tuple(one for one in found if one is not None)


def replace_count(pool: Pool, scale: int) -> Pool:
    """A pool of so many times as many replicas."""
    return Pool(role=pool.role, count=pool.count * scale, deployment=pool.deployment)


def step_parts(
    server: Server, kind: ReplicaKind, pool: Pool, job: ServingWorkload, at_once: float
) -> tuple[Part, ...]:
    """What a step that decodes is made of, with as many sequences as there are on average. [s]"""
    most = most_sequences(kind, job.prompt, job.output, reused_tokens(kind, job))
    sequences = float(np.clip(at_once / pool.count, 1.0, most))
    context = job.prompt + 0.5 * job.output
    served = server.served(pool.deployment)
    one = np.array([sequences])
    times = pass_parts(served, one * kind.width, context, sequences=one)
    drafter = server.drafter(pool.deployment)
    if drafter is not None:
        drafts = pass_parts(drafter, one, context, sequences=one)
        times["drafting"] = pool.deployment.drafted * sum(drafts.values())
    total = float(decode_step(kind, one, context)[0])
    times["host_and_fitted"] = total - sum(times.values())
    return tuple(Part(name=name, time=time) for name, time in times.items() if time)


def pass_parts(
    served: Served, tokens: Array, context: float, *, sequences: Array
) -> dict[str, float]:
    """Parts of one pass over so many tokens of all lanes, those of decoding sequences. [s]"""
    lanes = served.deployment.lanes
    lane = lane_costs(served, np.maximum(1.0, tokens / lanes))
    whole, head = whole_costs(served, tokens), head_costs(served, tokens)
    times = {name: float(np.ravel(t)[0]) for name, t in {**lane.parts, **whole.parts}.items()}
    times["head"] = float(np.ravel(head.total)[0])
    times["attention"] = float(attention_costs(served, sequences, np.array([context]))[0])
    return times
