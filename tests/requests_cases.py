"""Traffics, step times and replicas on which the tests of the engine for requests agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from clusterwright.engines.compiled import has_numba
from clusterwright.engines.requests.simulator import Played, ReplicaKind, StepTimes, Traffic
from clusterwright.engines.requests.things import DECODE, PREFILL

FAR = np.array([0.0, 1e6])
COMPILED = has_numba()


def straight(
    *,
    decode=(1.0, 0.0),
    attention=0.0,
    head=(0.0, 0.0),
    lane=(1.0, 0.0),
    whole=0.0,
    prefill=0.0,
) -> StepTimes:
    """Step times that are straight lines: (constant, slope), or a slope alone."""
    return StepTimes(
        tokens=FAR,
        lane=lane[0] + lane[1] * FAR,
        whole=whole * FAR,
        rows=FAR,
        decode=decode[0] + decode[1] * FAR,
        head=head[0] + head[1] * FAR,
        context=FAR,
        attention=np.array([[0.0, 0.0], [0.0, attention * FAR[1] * FAR[1]]]),
        length=FAR,
        prefill=prefill * FAR,
    )


def replica(times: StepTimes | None = None, **limits: Any) -> ReplicaKind:
    """One kind of replica; all of its steps take a second, unless said otherwise."""
    return ReplicaKind(times=straight() if times is None else times, **limits)


def requests_of(arrival: Any, prompt: Any, output: Any, **rest: Any) -> Traffic:
    """A traffic from whatever lists."""
    return Traffic(
        arrival=np.asarray(arrival, dtype=float),
        prompt=np.asarray(prompt, dtype=int),
        output=np.asarray(output, dtype=int),
        **rest,
    )


def bent(seed: int) -> StepTimes:
    """Random step times that rise, on coarse grids whose cells a small traffic crosses."""
    rng = np.random.default_rng(seed)

    def rising(points, scale):
        return scale * np.cumsum(rng.uniform(0.2, 1.0, points))

    rows, context = np.array([0.0, 1.0, 3.0, 8.0]), np.array([0.0, 20.0, 47.5, 90.0])
    return StepTimes(
        tokens=np.array([0.0, 7.0, 30.0, 100.0]),
        lane=rising(4, 0.3),
        whole=rising(4, 0.1),
        rows=rows,
        decode=rising(4, 0.2),
        head=rising(4, 0.05),
        context=context,
        attention=np.outer(rising(4, 1.0), rising(4, 0.1)),
        length=np.array([0.0, 10.0, 50.0, 120.0]),
        prefill=rising(4, 0.2) - 0.1,
    )


def scaled(times: StepTimes, factor: float) -> StepTimes:
    """All step times multiplied."""
    grids = {name: getattr(times, name) for name in ("tokens", "rows", "context", "length")}
    values = ("lane", "whole", "decode", "head", "attention", "prefill")
    return StepTimes(
        **grids, **{name: factor * np.asarray(getattr(times, name)) for name in values}
    )


@dataclass(frozen=True)
class Case:
    """What is played: a traffic, replicas, a router."""

    traffic: Traffic
    kinds: list[ReplicaKind]
    router: str


def blocks_for(traffic: Traffic, block: int, spare: int) -> float:
    """The fewest blocks that the longest request is let in with, and some."""
    longest = int(np.max(np.asarray(traffic.prompt) + np.asarray(traffic.output)))
    return float(-(-longest // block) + 2 + spare)


@st.composite
def traffics(draw: Any, *, priorities: bool = False) -> Traffic:
    """A few requests that arrive at random, or whose users wait for answers."""
    size = draw(st.integers(1, 24))
    sizes = st.lists(st.integers(1, 60), min_size=size, max_size=size)
    prompt, output = np.array(draw(sizes)), np.array(draw(sizes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gaps = rng.exponential(draw(st.sampled_from([0.1, 2.0, 20.0])), size)
    users = draw(st.sampled_from([0, 0, 1, 3, 30]))
    return Traffic(
        arrival=np.cumsum(gaps),
        prompt=prompt,
        output=output,
        priority=rng.integers(0, 3, size) if priorities else None,
        users=users,
        think=draw(st.sampled_from([0.0, 0.37, 11.0])) if users else 0.0,
        entry=draw(st.sampled_from([0.0, 0.21])),
    )


@st.composite
def cases(
    draw: Any,
    *,
    tight: bool | None = None,
    promises: tuple[float, ...] = (0.0, 0.3, 1.0),
    pools: bool | None = None,
    gains: tuple[float, ...] = (1.0, 2.5),
    priorities: bool = False,
    lazy: bool = False,
) -> Case:
    """A traffic and replicas for it; ``tight``: blocks for little more than one request."""
    traffic = draw(traffics(priorities=priorities))
    block = draw(st.sampled_from([1, 4, 16]))
    is_tight = draw(st.booleans()) if tight is None else tight
    # One that gains 2.5 tokens in its last step needs up to two more than it was asked for.
    spare = draw(st.integers(3, 40)) if is_tight else 100_000
    shared: dict[str, Any] = {
        "block": block,
        "blocks": blocks_for(traffic, block, spare),
        "lanes": draw(st.sampled_from([1, 4])),
        "budget": draw(st.sampled_from([8, 31, 200])),
        "most": draw(st.sampled_from([1, 3, 8])),
        "mixed": draw(st.booleans()),
        "chunked": draw(st.booleans()),
        "promise": draw(st.sampled_from(promises)),
        "gain": draw(st.sampled_from(gains)),
        "width": draw(st.sampled_from([1, 3])),
        "count": draw(st.integers(1, 3)),
        "shortest": draw(st.sampled_from([0.0, 0.4])),
    }
    if lazy:
        shared |= {
            "poll": draw(st.sampled_from([1, 2, 5])),
            "patience": draw(st.sampled_from([0, 1, 6])),
            "enough": draw(st.sampled_from([0, 40, 1000])),
        }
    seed = draw(st.integers(0, 2**32 - 1))
    router = draw(st.sampled_from(["round-robin", "least-loaded"]))
    apart = draw(st.booleans()) if pools is None else pools
    if not apart:
        return Case(traffic, [ReplicaKind(times=bent(seed), **shared)], router)
    tail = {"tail": draw(st.sampled_from([0.0, 0.13])), "tail_token": 0.011}
    first = ReplicaKind(times=bent(seed), role=PREFILL, **shared, **tail)
    second = {**shared, "count": draw(st.integers(1, 2)), "most": draw(st.sampled_from([1, 4]))}
    return Case(traffic, [ReplicaKind(times=bent(seed + 1), role=DECODE, **second), first], router)


def same(one: Played, other: Played) -> bool:
    """Whether two plays are the same to the bit."""
    names = (
        "sent", "first", "finish", "replica", "reused", "busy", "steps", "worked", "preempted",
        "lost", "paid", "gaps",
    )  # fmt: skip
    pairs = [(np.asarray(getattr(one, n)), np.asarray(getattr(other, n))) for n in names]
    return one.happened == other.happened and all(
        left.tobytes() == right.astype(left.dtype).tobytes() for left, right in pairs
    )
