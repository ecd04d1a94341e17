"""Which replica a request goes to."""

from __future__ import annotations

from clusterwright.engines.requests.prefixes import known
from clusterwright.engines.requests.things import NONE, OFF, SERVING, Replica, Request, Tally, World

MATCHED = 0.3
"""Share of a prompt that must be cached for its replica to be chosen for that. [1]"""
AHEAD, TIMES = 64, 1.5
"""By how many requests, and how many times as many, the busiest replica must lead the idlest for
load alone to decide. The three are defaults of the cache-aware routers of SGLang and vLLM."""


def route(world: World, request: Request, pool: int) -> int:
    """Choose a replica of a pool: one that serves, or the least busy if none does."""
    tally = world.tallies[0]
    low = tally.entering if pool else 0
    high = tally.replicas if pool else tally.entering
    if tally.router == 0:
        for _ in range(high - low):
            index = in_turn(tally, pool, low, high)
            if world.replicas[index].state == SERVING:
                return index
    best, most = least_loaded(world, low, high)
    if tally.router == 2 and pool == 0:
        least = load_of(world.replicas[best])
        if most - least <= AHEAD or most <= TIMES * least:
            return best_known(world, request, low, high, best)
    return best


def in_turn(tally: Tally, pool: int, low: int, high: int) -> int:
    """Whose turn it is in a pool."""
    turn = tally.next_turn if pool else tally.turn
    if pool:
        tally.next_turn += 1
    else:
        tally.turn += 1
    return low + turn % (high - low)


def load_of(replica: Replica) -> int:
    """Requests that a replica has."""
    return replica.waiting + replica.filling + replica.running


def least_loaded(world: World, low: int, high: int) -> tuple[int, int]:
    """Of the replicas that serve, the one with the fewest requests, and how many the busiest has.

    If none serves: of those that will.
    """
    best, least, most = NONE, 0, 0
    later, fewest = low, -1
    for index in range(low, high):
        replica = world.replicas[index]
        load = load_of(replica)
        if replica.state == SERVING:
            most = max(most, load)
            if best == NONE or load < least:
                best, least = index, load
        elif replica.state != OFF and (fewest < 0 or load < fewest):
            later, fewest = index, load
    return (later, most) if best == NONE else (best, most)


def best_known(world: World, request: Request, low: int, high: int, least: int) -> int:
    """The replica that has most of a prompt, if that is enough; else the one with ``least``."""
    best, most, load = least, 0, 0
    for index in range(low, high):
        replica = world.replicas[index]
        kind = world.kinds[replica.kind]
        if replica.state != SERVING:
            continue
        tokens = known(world, kind, replica, request)[0] * kind.reuse
        if tokens > most or (tokens == most and load_of(replica) < load):
            best, most, load = index, tokens, load_of(replica)
    return best if most > MATCHED * request.prompt else least
