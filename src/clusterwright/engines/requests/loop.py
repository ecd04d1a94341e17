"""The loop over all that happens, in the order of time."""

from __future__ import annotations

from clusterwright.engines.requests.batching import conclude, cut_short, plan, steps_before
from clusterwright.engines.requests.heaps import drop_first
from clusterwright.engines.requests.lists import join_line, leave_line
from clusterwright.engines.requests.routing import least_loaded, route
from clusterwright.engines.requests.service import call, come_back, fail, look
from clusterwright.engines.requests.things import (
    ALONE,
    ARRIVES,
    CALLED,
    DRAINING,
    FAILS,
    IDLE,
    NONE,
    RETURNS,
    SERVING,
    WORK_ENDS,
    World,
)


def enter(world: World, request: int, pool: int, now: float) -> None:
    """Let a request wait at a replica of a pool, and call that replica if it is idle."""
    index = route(world, world.requests[request], pool)
    replica = world.replicas[index]
    world.requests[request].replica = index
    join_line(world.requests, replica, request, 0)
    if replica.state not in (SERVING, DRAINING):
        return
    if replica.mode == IDLE:
        call(world, replica, now)
    elif replica.mode == ALONE:
        kind = world.kinds[replica.kind]
        if replica.waiting == 1:
            replica.held = 1 - steps_before(replica, now)  # it waits from this step on
        full = kind.patience > 0 and replica.asked >= kind.enough
        ready = replica.line_head == request or full
        if ready and replica.running < kind.most:
            cut_short(world.calendar, world.tallies[0], kind, replica, index, now)


def send_on(world: World, index: int, now: float) -> None:
    """Send those who wait at a replica that has failed to others, if any other serves."""
    tally = world.tallies[0]
    replica = world.replicas[index]
    best, _ = least_loaded(world, 0, tally.entering)
    if index < tally.entering and world.replicas[best].state != SERVING:
        return
    while replica.line_head != NONE:
        request = replica.line_head
        leave_line(world.requests, replica, request)
        enter(world, request, 0, now)


def play(world: World) -> int:
    """Play until all requests are answered; returns how many things happened."""
    tally = world.tallies[0]
    coming = 0
    happened = 0
    while tally.finished < tally.total:
        happened += 1
        due = tally.events > 0
        if coming < tally.total and (tally.users == 0 or coming < tally.users):
            arrives = world.requests[coming].arrival + tally.entry
            if not due or arrives <= world.calendar[0].time:
                world.requests[coming].sent = world.requests[coming].arrival
                enter(world, coming, 0, arrives)
                coming += 1
                continue
        if not due:
            break
        event = world.calendar[0]
        now, what, who, version = event.time, event.what, event.who, event.version
        drop_first(world.calendar, tally)
        if what == WORK_ENDS:
            if version == world.replicas[who].version:
                if world.replicas[who].mode != CALLED:
                    conclude(world, who, now)
                plan(world, who, now)
        elif what == ARRIVES:
            enter(world, who, version, now)
        elif what == FAILS:
            fail(world, who, now)
            send_on(world, who, now)
        elif what == RETURNS:
            come_back(world, who, version, now)
        else:
            look(world, who, now)
    return happened
