"""The loop over all that happens, in the order of time."""

from __future__ import annotations

from clusterwright.engines.requests.batching import conclude, cut_short, plan, steps_before
from clusterwright.engines.requests.heaps import drop_first, put
from clusterwright.engines.requests.lists import join_line
from clusterwright.engines.requests.things import (
    ALONE,
    ARRIVES,
    CALLED,
    IDLE,
    WORK_ENDS,
    Array,
    Tally,
)


def route(replicas: Array, tally: Tally, pool: int) -> int:
    """Choose a replica of a pool."""
    low = tally.entering if pool else 0
    high = tally.replicas if pool else tally.entering
    if tally.router == 0:
        turn = tally.next_turn if pool else tally.turn
        if pool:
            tally.next_turn += 1
        else:
            tally.turn += 1
        return low + turn % (high - low)
    best, least = low, -1
    for index in range(low, high):
        replica = replicas[index]
        load = replica.waiting + replica.filling + replica.running
        if least < 0 or load < least:
            best, least = index, load
    return best


def enter(
    requests: Array,
    replicas: Array,
    kinds: Array,
    calendar: Array,
    tally: Tally,
    request: int,
    pool: int,
    now: float,
) -> None:
    """Let a request wait at a replica of a pool, and call that replica if it is idle."""
    index = route(replicas, tally, pool)
    replica = replicas[index]
    requests[request].replica = index
    join_line(requests, replica, request, 0)
    if replica.mode == IDLE:
        replica.mode = CALLED
        replica.version += 1
        put(calendar, tally, now, WORK_ENDS, index, replica.version)
    elif replica.mode == ALONE:
        kind = kinds[replica.kind]
        if replica.waiting == 1:
            replica.held = 1 - steps_before(replica, now)  # it waits from this step on
        full = kind.patience > 0 and replica.asked >= kind.enough
        ready = replica.line_head == request or full
        if ready and replica.running < kind.most:
            cut_short(calendar, tally, kind, replica, index, now)


def play(
    requests: Array,
    replicas: Array,
    kinds: Array,
    tables: Array,
    endings: Array,
    phases: Array,
    calendar: Array,
    counters: Array,
) -> int:
    """Play until all requests are answered; returns how many things happened.

    ``counters``: one `Tally`.
    """
    tally = counters[0]
    coming = 0
    happened = 0
    while tally.finished < tally.total:
        happened += 1
        due = tally.events > 0
        if coming < tally.total and (tally.users == 0 or coming < tally.users):
            arrives = requests[coming].arrival + tally.entry
            if not due or arrives <= calendar[0].time:
                requests[coming].sent = requests[coming].arrival
                enter(requests, replicas, kinds, calendar, tally, coming, 0, arrives)
                coming += 1
                continue
        if not due:
            break
        event = calendar[0]
        now, what, who, version = event.time, event.what, event.who, event.version
        drop_first(calendar, tally)
        if what == ARRIVES:
            enter(requests, replicas, kinds, calendar, tally, who, version, now)
        elif version == replicas[who].version:
            if replicas[who].mode != CALLED:
                conclude(requests, replicas, kinds, endings, phases, calendar, tally, who, now)
            plan(requests, replicas, kinds, tables, endings, phases, calendar, tally, who, now)
    return happened
