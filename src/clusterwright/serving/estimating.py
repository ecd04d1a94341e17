"""What pools of replicas do under a load: played, summed up, priced, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from clusterwright.engines.requests.simulator import Played, ReplicaKind, Traffic
from clusterwright.engines.requests.things import DECODE
from clusterwright.formulas.halves import halved_time
from clusterwright.serving.handheld import handheld
from clusterwright.serving.intervals import ServingInterval, Sort, at_worst, interval_of
from clusterwright.serving.layers import (
    Served,
    attention_costs,
    head_costs,
    lane_costs,
    whole_costs,
)
from clusterwright.serving.loads import longest, reused_tokens
from clusterwright.serving.plan import Latency, Part, ServingEstimate, ServingQuestion, Verdict
from clusterwright.serving.playing import keeps, kinds_of, play, saturation_of, settled, summary
from clusterwright.serving.server import Pool, Server
from clusterwright.serving.steady import decode_step, most_sequences
from clusterwright.workload import ServingWorkload

Array = Any


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
    most = saturation_of(kinds, job)
    answered = len(played.sent) / max(played.duration, 1e-12)
    if job.users:
        offered = answered
    # What is asked beyond what replicas can take waits, and is no throughput.
    served = offered if offered <= most else answered
    output = float(np.mean(played.output))
    at_once = served * float(np.mean(played.finish[part] - played.sent[part]))
    if job.users:  # the rate is of all requests, their time of those that count
        at_once = min(at_once, float(job.users))
    accelerators = scale * sum(pool.accelerators for pool in pools)
    intervals = intervals_for(server)
    saturation = scale * most
    limits = limits_of(saturation, intervals)
    up = share_up(pools, kinds, played) if question.service.target else 1.0
    tokens = scale * served * output
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
        reused=float(np.sum(played.reused) / np.sum(played.prompt)),
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
    most = most_sequences(kind, job.prompt, job.output, reused_tokens(kind, job))
    sequences = float(np.clip(at_once / pool.count, 1.0, most))
    context = job.prompt + 0.5 * job.output
    served = server.served(pool.deployment)
    one = np.array([sequences])
    times = pass_parts(served, one * kind.width, context, sequences=one)
    if served.overlapped:
        hidden = hidden_time(served, times, one * kind.width, context, sequences=one)
        times["hidden"] = -hidden
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


def hidden_time(
    served: Served, times: dict[str, float], tokens: Array, context: float, *, sequences: Array
) -> float:
    """Of a pass's parts, what its batch saves in two halves, where it is quicker so. [s]"""
    half = pass_parts(served, 0.5 * tokens, context, sequences=0.5 * sequences)
    traffic = half.pop("exchange", 0.0)
    kernels = sum(half.values()) - half["head"]
    apart = float(halved_time(kernels, traffic)) + times["head"]
    return max(0.0, sum(times.values()) - apart)
