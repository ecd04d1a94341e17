"""A deployment from idle to saturation: what users wait at loads between, each one played."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from clusterwright.errors import InputError
from clusterwright.records import Record
from clusterwright.serving.estimating import estimate, intervals_for, limits_of
from clusterwright.serving.intervals import ServingInterval
from clusterwright.serving.plan import Latency, ServingQuestion
from clusterwright.serving.playing import kinds_of, saturation_of
from clusterwright.serving.server import Pool, Server

SHARES = (0.02, 0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 0.97)
"""Of saturation, loads that are played: the closer to it, the more latencies change. [1]"""
APART = 0.04
"""Share of saturation by which the rate that was asked for lies apart from those, or is one. [1]"""


class LoadPoint(Record, frozen=True, kw_only=True):
    """What users get at one load.

    ``rate``: requests a second. [1/s] ``ttft``, ``tpot``: to the first token, and per token after
    it. [s] ``output_rate``: tokens a second of all. [1/s] ``concurrency``: requests at once. [1]
    ``busy``: share of time that replicas work. [1] ``meets``: whether what was promised is kept.
    ``asked``: whether it is the load of the question.
    """

    rate: float
    ttft: Latency
    tpot: Latency
    output_rate: float
    concurrency: float
    busy: float
    meets: bool
    asked: bool = False


class LoadCurve(Record, frozen=True, kw_only=True):
    """A deployment at loads from idle to near saturation, growing.

    ``pools``, ``accelerators``: what serves. ``saturation``: requests a second that it takes at
    most, and ``limits``: what 80 % of runs alike could take. [1/s] ``ttft``, ``tpot``: what is
    promised (None: nothing) [s], to ``percentile`` of requests. ``intervals``: of measured over
    predicted, in runs alike.
    """

    pools: tuple[Pool, ...]
    accelerators: int
    saturation: float
    limits: tuple[float, float]
    points: tuple[LoadPoint, ...]
    ttft: float | None
    tpot: float | None
    percentile: float
    intervals: tuple[ServingInterval, ...] = ()


def load_curve(
    question: ServingQuestion, server: Server, pools: Sequence[Pool], *, scale: int = 1
) -> LoadCurve:
    """Play a deployment at loads from idle to near saturation, and at the one that was asked for.

    Parameters
    ----------
    question, server
        What is asked, and where it runs. Its failures are left out: a load stays.
    pools
        Replicas by role, as many as are played.
    scale
        How many times these pools there are: what is alike is played once.

    Raises
    ------
    InputError
        Users who wait for their answers: they have no load to vary.
    InfeasibleError
        A pool does not fit.
    """
    job = question.workload
    if job.users:
        raise InputError(
            "users who wait for their answers never ask too much: a curve needs requests a "
            "second, such as --rate 5/s"
        )
    calm = msgspec.structs.replace(question.service, outages=())
    most = scale * saturation_of(kinds_of(server, pools, job, calm), job)
    points = []
    for rate in loads(most, job.rate):
        load = msgspec.structs.replace(job, rate=rate)
        asked = msgspec.structs.replace(question, workload=load, service=calm)
        found = estimate(asked, server, pools, scale=scale)
        points.append(
            LoadPoint(
                rate=rate,
                ttft=found.ttft,
                tpot=found.tpot,
                output_rate=found.output_rate,
                concurrency=found.concurrency,
                busy=found.busy,
                meets=found.meets,
                asked=rate == job.rate,
            )
        )
    intervals = intervals_for(server)
    return LoadCurve(
        pools=tuple(msgspec.structs.replace(pool, count=pool.count * scale) for pool in pools),
        accelerators=scale * sum(pool.accelerators for pool in pools),
        saturation=most,
        limits=limits_of(most, intervals),
        points=tuple(points),
        ttft=job.ttft,
        tpot=job.tpot,
        percentile=job.percentile,
        intervals=intervals,
    )


def loads(most: float, asked: float) -> list[float]:
    """Loads to play [1/s]; the one that was asked for takes the place of one next to it.

    >>> [round(load, 1) for load in loads(10.0, 4.1)]
    [0.2, 2.0, 4.1, 5.5, 7.0, 8.0, 9.0, 9.7]
    """
    rates = [share * most for share in SHARES]
    if not 0.0 < asked <= SHARES[-1] * most:
        return rates
    return sorted([asked, *(rate for rate in rates if abs(rate - asked) > APART * most)])


def alike(pools: Sequence[Pool]) -> tuple[tuple[Pool, ...], int]:
    """The smallest pools of which a deployment is a multiple, and how many times there are these.

    A plan plays these, so that its own load lies on the curve.
    """
    times = math.gcd(*(pool.count for pool in pools))
    return tuple(msgspec.structs.replace(pool, count=pool.count // times) for pool in pools), times
