"""What cannot be played is refused with what would help."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clusterwright.engines.requests.asked import Outages, ReplicaKind, Traffic
from clusterwright.engines.requests.things import DECODE, PREFILL
from clusterwright.errors import InputError, nearest_names

ROUTERS = {"round-robin": 0, "least-loaded": 1, "prefix-aware": 2}


def check(
    traffic: Traffic, kinds: Sequence[ReplicaKind], router: str, outages: Outages | None
) -> None:
    """Refuse what cannot be played.

    Raises
    ------
    InputError
        Says which request or replica, and what it must be.
    """
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
        _check_kind(kind, traffic.hash_tokens)
    _check_traffic(traffic)
    _check_hashes(traffic)
    _check_room(traffic, kinds)
    if outages is not None:
        _check_outages(outages, sum(kind.count for kind in kinds))


def _check_kind(kind: ReplicaKind, hash_tokens: int) -> None:
    for name in ("count", "lanes", "depth", "budget", "most", "block", "width", "poll", "least"):
        if getattr(kind, name) < 1:
            raise InputError(f"a replica's {name} is {getattr(kind, name)}: 1 or more is needed")
    if kind.least > kind.count:
        raise InputError(f"{kind.least} replicas of {kind.count} are to stay: ask for less")
    if kind.target < 0.0 or kind.load_time < 0.0 or kind.calm < 0.0:
        raise InputError("a scaler's target, load_time and calm must be 0 or more")
    if kind.target and not kind.period > 0.0:
        raise InputError(f"a scaler looks every {kind.period:g} s: more than 0 is needed")
    if kind.reuse and kind.role != DECODE and hash_tokens % kind.block:
        raise InputError(
            f"blocks of known content have {hash_tokens} tokens, which is no multiple of the "
            f"cache's {kind.block}"
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


def _check_hashes(traffic: Traffic) -> None:
    if traffic.hash_tokens == 0:
        return
    if traffic.hash_start is None or traffic.hash_ids is None:
        raise InputError("hash_tokens needs hash_start and hash_ids")
    start = np.asarray(traffic.hash_start)
    right = len(start) == len(traffic.prompt) + 1 and start[0] == 0
    if traffic.hash_tokens < 1 or not right or (np.diff(start) < 0).any():
        raise InputError("hash_start must rise from 0, one more than there are requests")
    if start[-1] != len(traffic.hash_ids):
        raise InputError(f"hash_start ends at {start[-1]} of {len(traffic.hash_ids)} hash_ids")


def _check_room(traffic: Traffic, kinds: Sequence[ReplicaKind]) -> None:
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


def _check_outages(outages: Outages, replicas: int) -> None:
    at, lasts = np.asarray(outages.at, dtype=float), np.asarray(outages.lasts, dtype=float)
    which = np.asarray(outages.replica)
    if not len(at) == len(lasts) == len(which):
        raise InputError("outages need a time, a replica and how long, each of them")
    if not (np.isfinite(at).all() and np.isfinite(lasts).all()) or (lasts <= 0.0).any():
        raise InputError("outages must begin at a number of seconds, and last more than 0")
    if len(which) and not (which.min() >= 0 and which.max() < replicas):
        raise InputError(f"an outage names replica {which.max()}: they are 0 to {replicas - 1}")
    for replica in np.unique(which):
        own = np.flatnonzero(which == replica)
        own = own[np.argsort(at[own])]
        if (at[own][1:] < (at + lasts)[own][:-1]).any():
            raise InputError(f"outages of replica {replica} overlap: let one end before the next")
