"""Replicas that fail and come back, and those that a scaler starts and lets go.

A replica that fails loses all it holds. Its requests are sent again, from the beginning, to
another: to one for prompts where prompts have replicas of their own.

The scaler aims at so many requests for each replica, as Kubernetes' horizontal autoscaler aims at a
value of a metric [1]_. It starts what is missing at once, and it takes a while until the model is
loaded. It lets go what has been too many for a while; those that go take nobody in and end what
they have.

References
----------
.. [1] Kubernetes documentation, "Horizontal Pod Autoscaling": as many replicas as the sum of the
   metric over its target, rounded up; fewer only after a time of stabilisation.
"""

from __future__ import annotations

import math

from clusterwright.engines.requests.heaps import drop_ending, put
from clusterwright.engines.requests.lists import join_line
from clusterwright.engines.requests.prefixes import drop
from clusterwright.engines.requests.room import release, stop_filling
from clusterwright.engines.requests.routing import load_of
from clusterwright.engines.requests.things import (
    CALLED,
    DRAINING,
    FAILED,
    IDLE,
    LOOKS,
    NONE,
    OFF,
    RETURNS,
    SERVING,
    STARTING,
    WORK_ENDS,
    Kind,
    Replica,
    World,
)


def fail(world: World, index: int, now: float) -> None:
    """Take a replica out of service; what it has waits, to begin again, and its cache is empty."""
    replica = world.replicas[index]
    if replica.state not in (SERVING, DRAINING):
        return
    kind = world.kinds[replica.kind]
    if replica.mode != IDLE:
        replica.busy += now - replica.began if replica.mode != CALLED else 0.0
        replica.version += 1
    replica.mode = IDLE
    replica.stall = 0.0
    replica.stalled = 0
    while replica.fill_tail != NONE:
        lost = replica.fill_tail
        stop_filling(world, kind, replica, lost)
        begin_again(world, replica, lost)
    while replica.run_tail != NONE:
        lost = replica.run_tail
        place = world.requests[lost].place
        drop_ending(world.endings, world.requests, replica.endings_at, replica.running, place)
        release(world, kind, replica, lost)
        begin_again(world, replica, lost)
    while replica.idle > 0:
        drop(world, kind, replica)
    if replica.state == DRAINING:
        replica.state = OFF
        replica.paid += now - replica.since
    else:
        replica.state = FAILED


def begin_again(world: World, replica: Replica, lost: int) -> None:
    """Let a request wait as if nothing had been done for it."""
    request = world.requests[lost]
    request.done = 0
    request.chunk = 0
    request.made = 0
    replica.lost += 1
    join_line(world.requests, replica, lost, 1)


def come_back(world: World, index: int, expected: int, now: float) -> None:
    """Let a replica serve that was `FAILED` or `STARTING`, as expected."""
    replica = world.replicas[index]
    if replica.state != expected:
        return
    replica.state = SERVING
    if replica.waiting > 0:
        call(world, replica, now)


def call(world: World, replica: Replica, now: float) -> None:
    """Let an idle replica look at who waits."""
    replica.mode = CALLED
    replica.version += 1
    put(world.calendar, world.tallies[0], now, WORK_ENDS, replica.index, replica.version)


def look(world: World, which: int, now: float) -> None:
    """Start replicas of a kind, or let them go, by how many requests they have."""
    kind = world.kinds[which]
    load, running = 0, 0
    for index in range(kind.first_replica, kind.first_replica + kind.num_replicas):
        replica = world.replicas[index]
        load += load_of(replica)
        running += replica.state in (SERVING, STARTING, FAILED)
    wanted = min(kind.num_replicas, max(kind.least, math.ceil(load / kind.target)))
    if wanted >= running:
        kind.low = -1.0
    elif kind.low < 0.0:
        kind.low = now
    if wanted > running:
        start_more(world, kind, wanted - running, now)
    elif wanted < running and now - kind.low >= kind.calm:
        let_some_go(world, kind, running - wanted, now)
    put(world.calendar, world.tallies[0], now + kind.period, LOOKS, which, 0)


def start_more(world: World, kind: Kind, missing: int, now: float) -> None:
    """Keep replicas that were to go, and start others."""
    for wanted in (DRAINING, OFF):
        for index in range(kind.first_replica, kind.first_replica + kind.num_replicas):
            replica = world.replicas[index]
            if missing == 0:
                return
            if replica.state != wanted:
                continue
            missing -= 1
            if wanted == DRAINING:
                replica.state = SERVING
            else:
                replica.state = STARTING
                replica.since = now
                later = now + kind.load_time
                put(world.calendar, world.tallies[0], later, RETURNS, index, STARTING)


def let_some_go(world: World, kind: Kind, surplus: int, now: float) -> None:
    """Let replicas end what they have and go, those with the least to do first."""
    for _ in range(surplus):
        best, least = NONE, 0
        for index in range(kind.first_replica, kind.first_replica + kind.num_replicas):
            replica = world.replicas[index]
            load = load_of(replica)
            if replica.state == SERVING and (best == NONE or load <= least):
                best, least = index, load
        if best == NONE:
            return
        replica = world.replicas[best]
        replica.state = DRAINING
        if replica.mode == IDLE:
            replica.state = OFF
            replica.paid += now - replica.since
