"""The door to the loop: requests and replicas in, times of each request out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusterwright.engines.compiled import compiled_family, should_compile
from clusterwright.engines.requests import loop
from clusterwright.engines.requests.things import (
    BOTH,
    DECODE,
    PREFILL,
    Array,
    Ending,
    Event,
    Kind,
    Replica,
    Request,
    Tally,
    blank,
    read,
    write,
)
from clusterwright.errors import InputError, nearest_names

FAMILY = tuple(
    f"clusterwright.engines.requests.{name}"
    for name in ("durations", "lists", "heaps", "room", "batching", "loop")
)
"""Modules of the loop, those that others import from first."""

ROUTERS = {"round-robin": 0, "least-loaded": 1}

OWN = (
    "role",
    "lanes",
    "depth",
    "budget",
    "most",
    "blocks",
    "block",
    "mixed",
    "chunked",
    "promise",
    "gain",
    "width",
    "tail",
    "tail_token",
    "poll",
    "patience",
    "enough",
    "least",
)
GRIDS = ("tokens", "rows", "context", "length")
TABLES = (*GRIDS, "lane", "whole", "decode", "head", "attention", "prefill")
"""Fields that a replica's kind brings to the loop."""


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """How long steps of one kind of replica take, on grids that rise. [s]

    See `Kind` for what each is; ``attention`` is an array of (rows, context).
    """

    tokens: Array
    lane: Array
    whole: Array
    rows: Array
    decode: Array
    head: Array
    context: Array
    attention: Array
    length: Array
    prefill: Array


@dataclass(frozen=True, kw_only=True)
class ReplicaKind:
    """One kind of replica: what it may hold and do, and how long its steps take.

    See `Kind` for what the numbers mean; ``count``: how many there are.
    """

    times: StepTimes
    count: int = 1
    role: int = BOTH
    lanes: int = 1
    depth: int = 1
    budget: int = 8192
    most: int = 256
    blocks: float = 1e12
    block: int = 16
    mixed: bool = True
    chunked: bool = True
    promise: float = 0.0
    gain: float = 1.0
    width: int = 1
    tail: float = 0.0
    tail_token: float = 0.0
    poll: int = 1
    patience: int = 0
    enough: int = 0
    least: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What is asked. (requests,)

    ``arrival``: sorted [s]; only the first ``users`` count in a closed loop, whose users send the
    next question ``think`` after an answer [s]. ``entry``: from a client to the first queue [s].
    """

    arrival: Array
    prompt: Array
    output: Array
    priority: Array | None = None
    users: int = 0
    think: float = 0.0
    entry: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Played:
    """What came of it: times of requests (requests,) [s], and totals of replicas (replicas,)."""

    sent: Array
    first: Array
    finish: Array
    replica: Array
    output: Array
    busy: Array
    steps: Array
    worked: Array
    preempted: Array
    happened: int

    @property
    def ttft(self) -> Array:
        """Time to first token of each request. [s]"""
        return self.first - self.sent

    @property
    def tpot(self) -> Array:
        """Time per output token after the first; not a number where there is but one. [s]"""
        more = np.where(self.output > 1, self.output - 1.0, np.nan)
        return (self.finish - self.first) / more

    @property
    def duration(self) -> float:
        """From the first request to the last token. [s]"""
        return float(self.finish.max() - self.sent.min())


def play_requests(
    traffic: Traffic,
    kinds: list[ReplicaKind],
    *,
    router: str = "round-robin",
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
        ``round-robin`` or ``least-loaded``.
    compile_loop
        Whether numba compiles the loop; by default if it pays and can be done. The results are the
        same.

    Raises
    ------
    InputError
        A request that no replica can ever hold, or a wrong choice of replicas.
    """
    _check(traffic, kinds, router)
    total = len(traffic.prompt)
    plain = not should_compile(40 * total, compile_loop)
    ordered = sorted(kinds, key=lambda kind: kind.role == DECODE)
    kind_of = np.repeat(np.arange(len(ordered)), [kind.count for kind in ordered])
    records, tables = _kinds(ordered, plain=plain)
    requests = _requests(traffic, plain=plain)
    replicas = _replicas(ordered, kind_of, total, plain=plain)
    phases = np.zeros(sum(kind.block * kind.count for kind in ordered), dtype=np.int64)
    run = loop.play if plain else compiled_family(*FAMILY)["play"]
    happened = run(
        requests,
        replicas,
        records,
        tables.tolist() if plain else tables,
        blank(Ending, sum(min(k.most, total) * k.count for k in ordered), plain=plain),
        phases.tolist() if plain else phases,
        blank(Event, 2 * total + 4 * len(kind_of) + 16, plain=plain),
        _tally(traffic, ordered, ROUTERS[router], plain=plain),
    )
    if not (read(requests, "finish") >= 0.0).all():
        raise RuntimeError("the loop ended before all requests were answered")
    return Played(
        **{name: read(requests, name) for name in ("sent", "first", "finish", "replica")},
        output=np.asarray(traffic.output),
        busy=read(replicas, "busy"),
        steps=read(replicas, "step"),
        worked=read(replicas, "worked"),
        preempted=read(replicas, "preempted"),
        happened=int(happened),
    )


def _check(traffic: Traffic, kinds: list[ReplicaKind], router: str) -> None:
    if not any(kind.role != DECODE for kind in kinds):
        raise InputError("no replica takes requests in: add one of role BOTH or PREFILL")
    passes_on = any(kind.role == PREFILL for kind in kinds)
    if passes_on != any(kind.role == DECODE for kind in kinds):
        raise InputError("replicas for prompts and for decoding are needed together, or neither")
    if router not in ROUTERS:
        near = nearest_names(router, ROUTERS)
        hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(ROUTERS)}"
        raise InputError(f"no router called {router!r}: {hint}")
    for kind in kinds:
        for name in ("count", "lanes", "depth", "budget", "most", "block", "width", "poll"):
            if getattr(kind, name) < 1:
                raise InputError(
                    f"a replica's {name} is {getattr(kind, name)}: 1 or more is needed"
                )
    _check_traffic(traffic)
    longest = int(np.argmax(np.asarray(traffic.prompt) + np.asarray(traffic.output)))
    tokens = int(traffic.prompt[longest]) + int(traffic.output[longest])
    for kind in kinds:
        room = kind.blocks * kind.block
        if tokens + 2 * kind.block > room:
            raise InputError(
                f"request {longest + 1} needs room for {tokens:,} tokens in the cache, but a "
                f"replica has {int(room):,}: use more accelerators for a replica, a narrower cache "
                f"or narrower weights"
            )


def _check_traffic(traffic: Traffic) -> None:
    count = len(traffic.prompt)
    if count == 0:
        raise InputError("no requests: give at least one")
    if not count == len(traffic.output) == len(traffic.arrival):
        raise InputError(
            f"{len(traffic.arrival)} arrivals, {count} prompts and {len(traffic.output)} outputs: "
            f"give one of each for every request"
        )
    for name, tokens in (("prompt", traffic.prompt), ("output", traffic.output)):
        least = int(np.argmin(tokens))
        if tokens[least] < 1:
            raise InputError(f"request {least + 1} has a {name} of {tokens[least]} tokens, not 1")
    arrival = np.asarray(traffic.arrival, dtype=float)
    if not np.isfinite(arrival).all() or (np.diff(arrival) < 0.0).any():
        raise InputError("arrivals must be numbers that rise: sort the requests by arrival")
    if min(traffic.users, traffic.think, traffic.entry) < 0:
        raise InputError("users, think and entry must be 0 or more")


def _requests(traffic: Traffic, *, plain: bool) -> Array:
    made = blank(Request, len(traffic.prompt), plain=plain)
    write(made, "arrival", np.asarray(traffic.arrival, dtype=float))
    write(made, "prompt", np.asarray(traffic.prompt, dtype=np.int64))
    write(made, "output", np.asarray(traffic.output, dtype=np.int64))
    if traffic.priority is not None:
        write(made, "priority", np.asarray(traffic.priority, dtype=np.int64))
    return made


def _kinds(kinds: list[ReplicaKind], *, plain: bool) -> tuple[Array, Array]:
    """Records of the kinds, and all of their tables in one array."""
    parts: list[Array] = []
    made = [Kind() for _ in kinds]
    length = 0
    for kind, one in zip(kinds, made, strict=True):
        for name in OWN:
            setattr(one, name, type(getattr(one, name))(getattr(kind, name)))
        for name in TABLES:
            part = np.asarray(getattr(kind.times, name), dtype=float).ravel()
            setattr(one, f"{name}_at", length)
            if name in GRIDS:
                setattr(one, f"num_{name}", len(part))
            parts.append(part)
            length += len(part)
    if plain:
        return made, np.concatenate(parts)
    records = blank(Kind, len(made), plain=False)
    for name in records.dtype.names:
        records[name] = [getattr(one, name) for one in made]
    return records, np.concatenate(parts)


def _replicas(kinds: list[ReplicaKind], kind_of: Array, total: int, *, plain: bool) -> Array:
    made = blank(Replica, len(kind_of), plain=plain)
    write(made, "kind", kind_of)
    write(made, "free", np.array([float(kinds[index].blocks) for index in kind_of]))
    endings = np.array([min(kinds[index].most, total) for index in kind_of])
    phases = np.array([kinds[index].block for index in kind_of])
    for name, sizes in (("endings_at", endings), ("phases_at", phases)):
        write(made, name, np.cumsum(sizes) - sizes)
    return made


def _tally(traffic: Traffic, kinds: list[ReplicaKind], router: int, *, plain: bool) -> Array:
    made = blank(Tally, 1, plain=plain)
    numbers = {
        "total": len(traffic.prompt),
        "issued": min(traffic.users or len(traffic.prompt), len(traffic.prompt)),
        "users": traffic.users,
        "think": float(traffic.think),
        "entry": float(traffic.entry),
        "router": router,
        "entering": sum(kind.count for kind in kinds if kind.role != DECODE),
        "replicas": sum(kind.count for kind in kinds),
    }
    for name, value in numbers.items():
        write(made, name, np.array([value]))
    return made
