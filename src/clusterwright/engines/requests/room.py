"""A replica's cache: what fits, what grows, who is sent back when it overflows.

Blocks are counted to the block: the places of contexts in their blocks are kept as a histogram that
turns by one with each step, so that the growth of any number of steps is known without looking at
a sequence.

References
----------
.. [1] W. Kwon et al., "Efficient memory management for large language model serving with
   PagedAttention," SOSP 2023, arXiv:2309.06180 (blocks, preemption by recomputing).
"""

from __future__ import annotations

import math

from clusterwright.engines.requests.heaps import drop_ending
from clusterwright.engines.requests.lists import join_line, leave_fill, leave_run
from clusterwright.engines.requests.prefixes import let_go
from clusterwright.engines.requests.things import DECODE, NONE, Array, Kind, Replica, Request, World


def blocks_of(kind: Kind, tokens: float) -> float:
    """Blocks of a context; on average where steps gain no whole number of tokens."""
    if kind.gain == 1.0:
        return math.ceil(tokens / kind.block) * 1.0
    return tokens / kind.block + 0.5


def room_of(kind: Kind, replica: Replica) -> float:
    """Blocks that are free, or kept for nobody in particular."""
    return replica.free + replica.idle * kind.node


def growth_of(phases: Array, kind: Kind, replica: Replica, steps: int) -> float:
    """Blocks that the decoding sequences of a replica need for some more steps."""
    size = kind.block
    if kind.gain != 1.0:
        return replica.running * kind.gain * steps / size
    needed = (steps // size) * replica.running
    for later in range(steps % size):
        needed += phases[replica.phases_at + (-(replica.step + later)) % size]
    return needed * 1.0


def fits(kind: Kind, replica: Replica, request: Request, found: int, idle: int) -> bool:
    """Whether there is room for a request, and for what was promised to those that decode.

    ``found``: of its blocks the replica has so many, ``idle`` of which nobody holds.
    """
    if replica.running + replica.filling >= kind.most:
        return False
    needed = blocks_of(kind, request.prompt + request.made + 1) - (found - idle) * kind.node
    if kind.promise > 0.0:
        grown = replica.context - replica.prompts
        promises = max(0.0, replica.promised - grown)
        promises += kind.promise * (request.output - request.made)
        needed += promises / kind.block + 0.5 * replica.running
    return needed <= room_of(kind, replica)


def make_room(world: World, kind: Kind, replica: Replica) -> bool:
    """Preempt until those that decode have blocks for one more step; returns whether any was."""
    before = replica.preempted
    while replica.running > 0 and growth_of(world.phases, kind, replica, 1) > room_of(
        kind, replica
    ):
        preempt(world, kind, replica)
    return replica.preempted > before


def preempt(world: World, kind: Kind, replica: Replica) -> None:
    """Send the youngest back to wait; what it computed is lost.

    A replica that only decodes cannot compute it again: there it is kept on the host, and comes
    back for nothing.
    """
    replica.preempted += 1
    requests = world.requests
    index = replica.fill_tail
    if index != NONE:
        stop_filling(world, kind, replica, index)
    else:
        index = replica.run_tail
        request = requests[index]
        tokens = int(kind.gain * (replica.step - request.joined))
        drop_ending(world.endings, requests, replica.endings_at, replica.running, request.place)
        release(world, kind, replica, index)
        request.made += tokens if kind.role == DECODE else 1 + tokens
    requests[index].done = 0
    requests[index].chunk = 0
    join_line(requests, replica, index, 1)


def stop_filling(world: World, kind: Kind, replica: Replica, index: int) -> None:
    """Take a request out of those whose prompts are worked on, with its blocks."""
    request = world.requests[index]
    leave_fill(world.requests, replica, index)
    replica.free += blocks_of(kind, request.prompt + request.made) - request.shared * kind.node
    let_go(world, replica, request)


def release(world: World, kind: Kind, replica: Replica, index: int) -> None:
    """Take a sequence out of those that decode, with its blocks."""
    request = world.requests[index]
    start = request.prompt + request.made + 1
    context = start + kind.gain * (replica.step - request.joined)
    if kind.gain == 1.0:
        world.phases[replica.phases_at + (start - request.joined) % kind.block] -= 1
    leave_run(world.requests, replica, index)
    replica.context -= context
    replica.prompts -= start
    replica.promised -= kind.promise * (request.output - request.made)
    replica.free += blocks_of(kind, context) - request.shared * kind.node
    let_go(world, replica, request)
