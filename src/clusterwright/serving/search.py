"""Find deployments for a load: closed forms rank, the request engine settles the best few.

The closed form knows what a step costs at any load, and so the most that a replica may take before
its users wait too long for tokens. It knows no queue: how far below that a replica must stay, so
that arrivals at random find what was promised, the engine finds out by playing the same requests
at several loads. Both plan for less than what was promised, with room for the error of the
prediction (`clusterwright.serving.intervals.at_worst`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from clusterwright.engines.requests.simulator import ReplicaKind
from clusterwright.inference import Deployment
from clusterwright.serving.candidates import deployments, fitting
from clusterwright.serving.estimating import estimate, intervals_for, limits_of, with_room
from clusterwright.serving.loads import longest, reused_tokens
from clusterwright.serving.plan import FrontPoint, ServingEstimate, ServingQuestion
from clusterwright.serving.playing import keeps, kinds_of, play, run_as, saturation_of
from clusterwright.serving.refusing import refuse_count, refuse_promise, refuse_size
from clusterwright.serving.server import Pool, Server
from clusterwright.serving.steady import Steady, decoding, prefill_rate, prompt_time, steady

CHECKED = 4
"""Candidates that keep what was promised when played, of each way, each cut in its own way."""
TRIED = 12
"""Candidates that the engine plays at most, of each way, where few keep it."""
LOADS = 5
"""Loads that are played in the search for the highest that keeps what was promised."""
PREFILL_LOAD = 0.7
"""Share of its time that a replica for prompts works, so that prompts do not queue for long. [1]"""
MOST_RATIO = 6
"""Replicas of one role for each of the other, at most, in the unit that is repeated."""


@dataclass(frozen=True)
class Candidate:
    """Pools that are repeated, and what they take by closed form. [1/s]"""

    pools: tuple[Pool, ...]
    rate: float

    @property
    def accelerators(self) -> int:
        """Of one unit."""
        return sum(pool.accelerators for pool in self.pools)

    @property
    def worth(self) -> float:
        """Requests a second for each accelerator. [1/s]"""
        return self.rate / self.accelerators

    def needed(self, rate: float) -> int:
        """Accelerators for so many requests a second, in whole units."""
        return math.ceil(rate / self.rate) * self.accelerators


@dataclass(frozen=True)
class Outcome:
    """What a search found: estimates from the best on, the front, and counts."""

    estimates: tuple[ServingEstimate, ...]
    front: tuple[FrontPoint, ...]
    evaluated: int
    refused: int
    played: int


def search(question: ServingQuestion, server: Server) -> Outcome:
    """Find the best deployments for a question.

    Raises
    ------
    InfeasibleError
        Nothing fits, nothing keeps what is promised (the message says what is reachable and what
        binds), or the machine is too small for the load.
    """
    job = question.workload
    limit = question.cluster.count
    points, counted = _points(question, server)
    fits = [one for one, _ in points]
    careful = msgspec.structs.replace(question, workload=with_room(job, intervals_for(server)))
    candidates = [] if question.split == "only" else list(_together(points, careful))
    if question.split != "no":
        candidates += _apart(server, fits, careful)
    if not candidates:
        refuse_promise(points, question, careful.workload)
    within = [one for one in candidates if one.accelerators <= limit]
    if not within:
        refuse_count(min(one.accelerators for one in candidates), question, "for a start")
    settled, plays = _settle(careful, server, within)
    if not settled:
        refuse_promise(points, question, careful.workload)
    ordered = sorted(settled, key=lambda one: _objective(one, question))
    small = [one for one in ordered if one.accelerators <= limit]
    if not small:
        words = f"for {job.rate:,g} requests/s"
        refuse_count(min(one.accelerators for one in ordered), question, words)
    return Outcome(
        estimates=tuple(small),
        front=_front(points),
        evaluated=len(fits),
        refused=counted - len(fits),
        played=plays,
    )


def front(question: ServingQuestion, server: Server) -> tuple[FrontPoint, ...]:
    """Tokens a second of a user against those of an accelerator, by closed form alone.

    Raises
    ------
    InfeasibleError
        Nothing fits.
    """
    return _front(_points(question, server)[0])


def _points(
    question: ServingQuestion, server: Server
) -> tuple[list[tuple[Deployment, Steady]], int]:
    """Deployments that fit, each with what it gives at any load; and how many there are in all."""
    every = list(
        deployments(
            server,
            formats=question.formats,
            caches=question.caches,
            most=question.cluster.count,
            base=question.base,
        )
    )
    fits, refused = fitting(server, iter(every), longest(question.workload))
    if not fits:
        refuse_size(question, server, refused)
    return [(one, _steady_of(server, one, question)) for one in fits], len(every)


def _kind(
    server: Server, deployment: Deployment, role: str, question: ServingQuestion
) -> ReplicaKind:
    pool = Pool(role=role, deployment=deployment)  # type: ignore[arg-type]
    return run_as(server.replica(pool, longest(question.workload)), question.service, 0.0)


def _steady_of(server: Server, deployment: Deployment, question: ServingQuestion) -> Steady:
    job = question.workload
    kind = _kind(server, deployment, "both", question)
    return steady(kind, job.prompt, job.output, reused_tokens(kind, job))


def _together(
    points: Sequence[tuple[Deployment, Steady]], question: ServingQuestion
) -> list[Candidate]:
    """Replicas that do both, at the most load that keeps the time per token."""
    found = []
    for deployment, state in points:
        place = state.at(question.workload.slowest)
        if place >= 0 and state.prompt_time[place] <= question.workload.latest:
            pool = Pool(role="both", deployment=deployment)
            found.append(Candidate((pool,), float(state.rate[place])))
    return found


def _apart(
    server: Server, fits: Sequence[Deployment], question: ServingQuestion
) -> list[Candidate]:
    """Replicas for prompts beside replicas for decoding, in the ratio in which both are busy."""
    job = question.workload
    first: list[tuple[float, Deployment, float]] = []
    second: list[tuple[float, Deployment, float]] = []
    for deployment in fits:
        kind = _kind(server, deployment, "prefill", question)
        reused, nobody = reused_tokens(kind, job), np.zeros(1)
        rate = PREFILL_LOAD * prefill_rate(kind, job.prompt, reused)
        if prompt_time(kind, nobody, job.prompt, nobody, reused)[0] <= job.latest:
            first.append((rate / deployment.accelerators, deployment, rate))
        state = decoding(_kind(server, deployment, "decode", question), job.prompt, job.output)
        place = state.at(job.slowest)
        if place >= 0:
            rate = float(state.rate[place])
            second.append((rate / deployment.accelerators, deployment, rate))
    # Caches are handed over as they are: both pools keep them in one format.
    best = {one.cache: (one, rate) for _, one, rate in sorted(first, key=lambda each: each[0])}
    found: list[Candidate] = []
    for _, deployment, rate in sorted(second, key=lambda each: -each[0]):
        if deployment.cache not in best or len(found) == 3:
            continue
        early, prompts = best[deployment.cache]
        ahead, behind = _ratio(rate / prompts)
        pools = (
            Pool(role="prefill", count=ahead, deployment=early),
            Pool(role="decode", count=behind, deployment=deployment),
        )
        found.append(Candidate(pools, min(ahead * prompts, behind * rate)))
    return found


def _ratio(wanted: float) -> tuple[int, int]:
    """Small whole numbers whose quotient is nearest to what is wanted.

    >>> _ratio(0.5), _ratio(2.9), _ratio(0.01)
    ((1, 2), (3, 1), (1, 6))
    """
    pairs = [(a, b) for a in range(1, MOST_RATIO + 1) for b in range(1, MOST_RATIO + 1)]
    return min(pairs, key=lambda p: (round(abs(math.log(p[0] / p[1] / wanted)), 9), sum(p)))


def _settle(
    question: ServingQuestion, server: Server, candidates: Sequence[Candidate]
) -> tuple[list[ServingEstimate], int]:
    """Play the best candidates in growing numbers until what was promised is kept.

    Those with replicas of their own for prompts do not crowd out others, nor the other way round:
    who may have both never gets worse than who may have one.
    """
    found, plays = [], 0
    for ways in (1, 2):
        kept = 0
        for one in _chosen([each for each in candidates if len(each.pools) == ways], question):
            units, more = _fewest_units(question, server, one)
            plays += more
            if units:
                found.append(estimate(question, server, one.pools, scale=units))
                plays += 1
                kept += 1
            if kept == CHECKED:
                break
    return found, plays


def _chosen(candidates: Sequence[Candidate], question: ServingQuestion) -> list[Candidate]:
    """The best by closed form, each cut in its own way."""
    rate = question.workload.rate
    most = question.objective == "throughput"
    chosen: list[Candidate] = []
    for one in sorted(candidates, key=lambda one: (0 if most else one.needed(rate), -one.worth)):
        if len(chosen) < TRIED and all(_differs(one, other) for other in chosen):
            chosen.append(one)
    return chosen


def _differs(one: Candidate, other: Candidate) -> bool:
    """Whether two candidates are cut, or run, in different ways."""
    names = ("tp", "pp", "dp", "cp", "weights", "drafted")
    cuts = [
        [(pool.role, *(getattr(pool.deployment, name) for name in names)) for pool in each.pools]
        for each in (one, other)
    ]
    return cuts[0] != cuts[1]


def _fewest_units(
    question: ServingQuestion, server: Server, candidate: Candidate
) -> tuple[int, int]:
    """How many of a candidate's pools keep what is promised, 0: none do; and loads played."""
    job = question.workload
    kinds = kinds_of(server, candidate.pools, job, question.service)
    room = limits_of(saturation_of(kinds, job), intervals_for(server))[0]
    # Units, and not loads, are searched: where few will do, few loads differ.
    middle = max(math.ceil(job.rate / candidate.rate), math.floor(job.rate / room) + 1)
    low, high = middle - 1, 0
    for played in range(1, LOADS + 1):
        if keeps(play(question, kinds, job.rate / middle), job):
            high = middle
        else:
            low = middle
        if high and high - low <= 1:
            return high, played
        between = round(2.0 / (1.0 / low + 1.0 / high)) if high else 2 * low
        middle = min(max(between, low + 1), high - 1) if high else between
    return high, LOADS


def _objective(one: ServingEstimate, question: ServingQuestion) -> tuple[float, float]:
    """What is to be least; ties go to the quicker."""
    if question.objective == "cost" and one.cost is not None:
        return one.cost, one.tpot.mean
    if question.objective == "energy" and one.energy is not None:
        return one.energy, one.tpot.mean
    if question.objective == "throughput":
        return -one.saturation / one.accelerators, one.tpot.mean
    return float(one.accelerators), one.tpot.mean


def _front(points: Sequence[tuple[Deployment, Steady]]) -> tuple[FrontPoint, ...]:
    """Tokens a second of a user against those of an accelerator: what no other point beats."""
    found: list[FrontPoint] = []
    for deployment, state in points:
        user = 1.0 / state.step
        each = state.sequences * user / deployment.accelerators
        found += [
            FrontPoint(
                user_rate=float(u), accelerator_rate=float(a), sequences=float(s),
                deployment=deployment,
            )
            for u, a, s in zip(user, each, state.sequences, strict=True)
        ]  # fmt: skip
    found.sort(key=lambda point: (-point.user_rate, -point.accelerator_rate))
    best, kept = 0.0, []
    for point in found:
        if point.accelerator_rate > best * 1.02:
            kept.append(point)
            best = point.accelerator_rate
    return tuple(kept)
