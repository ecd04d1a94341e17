"""From what is asked to the records that the loop moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from clusterwright.engines.requests.asked import Outages, ReplicaKind, Traffic
from clusterwright.engines.requests.gaps import CLASSES
from clusterwright.engines.requests.things import (
    DECODE,
    FAILED,
    FAILS,
    LOOKS,
    NONE,
    OFF,
    RETURNS,
    SERVING,
    Array,
    Cached,
    Ending,
    Event,
    Kind,
    Replica,
    Request,
    Tally,
    World,
    blank,
    write,
)

LOOPED = {one.name for one in fields(Kind)} - {"reuse"}
OWN = tuple(one.name for one in fields(ReplicaKind) if one.name in LOOPED)
"""Fields that a kind of replica brings as they are."""
GRIDS = ("tokens", "rows", "context", "length")
TABLES = (*GRIDS, "lane", "whole", "decode", "head", "attention", "prefill")
"""Tables that it brings."""


def world_of(
    traffic: Traffic,
    kinds: Sequence[ReplicaKind],
    outages: Outages | None,
    router: int,
    *,
    plain: bool,
) -> World:
    """Lay out all that the loop looks at; ``plain``: as lists of objects, else as arrays."""
    ordered = sorted(kinds, key=lambda kind: kind.role == DECODE)
    total = len(traffic.prompt)
    counts = np.array([kind.count for kind in ordered])
    records, tables = _kinds(ordered, counts, traffic.hash_tokens, plain=plain)
    phases = np.zeros(int(np.dot(counts, [kind.block for kind in ordered])), dtype=np.int64)
    requests, hashes = _requests(traffic, plain=plain)
    slots = _slots(ordered, hashes, traffic.hash_tokens)
    cached = blank(Cached, slots, plain=plain)
    write(cached, "following", np.append(np.arange(1, slots), NONE)[:slots])
    buckets = np.full(1 << max(0, slots - 1).bit_length(), NONE)
    tallies = _tally(traffic, ordered, router, slots, plain=plain)
    calendar, size = _calendar(ordered, counts, outages, total, plain=plain)
    write(tallies, "events", np.array([size]))
    write(tallies, "number", np.array([size]))
    listed = {"tables": tables, "phases": phases, "hashes": hashes, "buckets": buckets}
    listed["gaps"] = np.zeros(CLASSES, dtype=np.int64)
    if plain:
        listed = {name: array.tolist() for name, array in listed.items()}
    return World(
        requests=requests,
        replicas=_replicas(ordered, counts, total, plain=plain),
        kinds=records,
        endings=blank(Ending, sum(min(k.most, total) * k.count for k in ordered), plain=plain),
        calendar=calendar,
        tallies=tallies,
        cached=cached,
        **listed,
    )


def _requests(traffic: Traffic, *, plain: bool) -> tuple[Array, Array]:
    made = blank(Request, len(traffic.prompt), plain=plain)
    write(made, "arrival", np.asarray(traffic.arrival, dtype=float))
    write(made, "prompt", np.asarray(traffic.prompt, dtype=np.int64))
    write(made, "output", np.asarray(traffic.output, dtype=np.int64))
    if traffic.priority is not None:
        write(made, "priority", np.asarray(traffic.priority, dtype=np.int64))
    if traffic.hash_tokens == 0 or traffic.hash_start is None or traffic.hash_ids is None:
        return made, np.zeros(0, dtype=np.int64)
    start = np.asarray(traffic.hash_start, dtype=np.int64)
    full = np.minimum(np.diff(start), np.asarray(traffic.prompt) // traffic.hash_tokens)
    write(made, "hash_at", start[:-1])
    write(made, "num_hashes", full)
    _, numbers = np.unique(traffic.hash_ids, return_inverse=True)
    return made, numbers.astype(np.int64)


def _slots(kinds: Sequence[ReplicaKind], hashes: Array, hash_tokens: int) -> int:
    """Blocks of known content that all caches may have at once."""
    if not len(hashes):
        return 0
    each = len(np.unique(hashes))
    return sum(
        kind.count * int(min(each, kind.blocks * kind.block / hash_tokens + 1.0))
        for kind in kinds
        if kind.reuse and kind.role != DECODE
    )


def _kinds(
    kinds: Sequence[ReplicaKind], counts: Array, hash_tokens: int, *, plain: bool
) -> tuple[Array, Array]:
    """Records of the kinds, and all of their tables in one array."""
    parts: list[Array] = []
    made = [Kind() for _ in kinds]
    length = 0
    for kind, one, last in zip(kinds, made, np.cumsum(counts).tolist(), strict=True):
        for name in OWN:
            setattr(one, name, type(getattr(one, name))(getattr(kind, name)))
        one.first_replica, one.num_replicas = last - kind.count, kind.count
        if kind.reuse and kind.role != DECODE:
            one.reuse, one.node = hash_tokens, hash_tokens / kind.block
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


def _replicas(kinds: Sequence[ReplicaKind], counts: Array, total: int, *, plain: bool) -> Array:
    kind_of = np.repeat(np.arange(len(kinds)), counts)
    made = blank(Replica, len(kind_of), plain=plain)
    write(made, "kind", kind_of)
    write(made, "index", np.arange(len(kind_of)))
    write(made, "free", np.array([float(kinds[index].blocks) for index in kind_of.tolist()]))
    endings = np.array([min(kinds[index].most, total) for index in kind_of.tolist()])
    phases = np.array([kinds[index].block for index in kind_of.tolist()])
    for name, sizes in (("endings_at", endings), ("phases_at", phases)):
        write(made, name, np.cumsum(sizes) - sizes)
    up = [n < (k.least if k.target else k.count) for k in kinds for n in range(k.count)]
    write(made, "state", np.where(up, SERVING, OFF))
    return made


def _calendar(
    kinds: Sequence[ReplicaKind],
    counts: Array,
    outages: Outages | None,
    total: int,
    *,
    plain: bool,
) -> tuple[Array, int]:
    """The calendar with what is known to happen, and how much that is."""
    known = [(k.period, LOOKS, number, 0) for number, k in enumerate(kinds) if k.target]
    if outages is not None:
        for at, replica, lasts in zip(outages.at, outages.replica, outages.lasts, strict=True):
            known.append((float(at), FAILS, int(replica), 0))
            known.append((float(at + lasts), RETURNS, int(replica), FAILED))
    known.sort(key=lambda event: event[0])
    replicas = int(counts.sum())
    # Each request is entered at most once on its way in, and once in the next pool; what a failure
    # sends on calls each replica once.
    room = 2 * total + 4 * replicas + 16 + len(known) * (1 + replicas)
    calendar = blank(Event, room, plain=plain)
    names = ("time", "what", "who", "version", "number")
    for place, event in enumerate(known):
        for name, value in zip(names, (*event, place), strict=True):
            if plain:
                setattr(calendar[place], name, value)
            else:
                calendar[place][name] = value
    return calendar, len(known)


def _tally(
    traffic: Traffic, kinds: Sequence[ReplicaKind], router: int, slots: int, *, plain: bool
) -> Array:
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
        "unused": 0 if slots else NONE,
    }
    for name, value in numbers.items():
        write(made, name, np.array([value]))
    return made
