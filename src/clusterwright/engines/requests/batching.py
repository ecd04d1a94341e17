"""One replica's work: which tokens the next step takes, how long it is, and what came of it.

Continuous batching: after each step, sequences that ended leave and others are let in. A stretch of
steps that only decode, and in which nothing can change, is one event: the time of its steps rises
linearly with the context, so that their sum is known.

References
----------
.. [1] G.-I. Yu et al., "Orca: a distributed serving system for transformer-based generative
   models," OSDI 2022 (iteration-level scheduling).
.. [2] A. Agrawal et al., "Taming throughput-latency tradeoff in LLM inference with
   Sarathi-Serve," OSDI 2024, arXiv:2403.02310 (prompts in chunks beside decoding).
"""

from __future__ import annotations

import math

from clusterwright.engines.requests.durations import attention_line, interpolated
from clusterwright.engines.requests.gaps import count_prompts, count_steps
from clusterwright.engines.requests.heaps import add_ending, drop_ending, put
from clusterwright.engines.requests.lists import join_fill, join_run, leave_fill, leave_line
from clusterwright.engines.requests.prefixes import drop_for_room, known, let_go, publish, share
from clusterwright.engines.requests.room import (
    blocks_of,
    fits,
    growth_of,
    make_room,
    release,
    room_of,
)
from clusterwright.engines.requests.things import (
    ALONE,
    ARRIVES,
    DECODE,
    DRAINING,
    IDLE,
    NONE,
    OFF,
    PREFILL,
    WITH_PROMPTS,
    WORK_ENDS,
    Array,
    Kind,
    Replica,
    Tally,
    World,
)


def fill(world: World, kind: Kind, replica: Replica, room: int) -> int:
    """Choose the prompts' tokens of the next step; returns how many.

    Those begun go first, then those that wait and fit, each on a lane of its own.
    """
    requests = world.requests
    total = 0
    index = replica.fill_head
    while index != NONE and room > 0:
        request = requests[index]
        left = request.prompt + request.made - request.done
        chunk = min(left, kind.budget * kind.depth, room) if kind.chunked else left
        request.chunk = chunk
        total += chunk
        room -= chunk
        index = request.behind
    while room > 0 and replica.line_head != NONE and is_open(kind, replica):
        index = replica.line_head
        request = requests[index]
        found, idle = known(world, kind, replica, request)
        held = request.prompt + request.made
        left = held - found * kind.reuse
        cannot = not fits(kind, replica, request, found, idle)
        if cannot or (not kind.chunked and left > room and total > 0):
            break
        leave_line(requests, replica, index)
        join_fill(requests, replica, index)
        replica.held = kind.patience  # whoever is behind goes along
        share(world, replica, request, found)
        replica.free -= blocks_of(kind, held) - found * kind.node
        drop_for_room(world, kind, replica)
        chunk = min(left, kind.budget * kind.depth, room) if kind.chunked else left
        request.done = held - left
        request.chunk = chunk
        if request.first < 0.0:
            request.reused = held - left
        total += chunk
        room -= chunk
    return total


def is_open(kind: Kind, replica: Replica) -> bool:
    """Whether a replica lets anybody in now: it has looked, and need not wait for more prompts."""
    if replica.running + replica.filling == 0:
        return True
    if kind.poll > 1 and replica.cycle % kind.poll != 0:
        return False
    return replica.held >= kind.patience or replica.asked >= kind.enough


def start(world: World, kind: Kind, replica: Replica, index: int, now: float) -> bool:
    """Let a request decode, its prompt computed; returns whether it is done with that already."""
    request = world.requests[index]
    if request.first < 0.0:
        request.first = now
    left = request.output - request.made - 1
    if left <= 0:
        request.finish = now
        let_go(world, replica, request)
        return True
    context = request.prompt + request.made + 1
    replica.free -= blocks_of(kind, context) - request.shared * kind.node
    drop_for_room(world, kind, replica)
    request.joined = replica.step
    if kind.gain == 1.0:
        world.phases[replica.phases_at + (context - replica.step) % kind.block] += 1
    last = replica.step + math.ceil(left / kind.gain)
    add_ending(world.endings, world.requests, replica.endings_at, replica.running, index, last)
    join_run(world.requests, replica, index)
    replica.context += context
    replica.prompts += context
    replica.promised += kind.promise * (request.output - request.made)
    return False


def plan(world: World, index: int, now: float) -> None:
    """Begin what a replica does next: a step with prompts, or steps until something changes."""
    replica = world.replicas[index]
    kind = world.kinds[replica.kind]
    tokens = 0
    squeezed = False
    if kind.role == DECODE:
        receive(world, kind, replica, now)
        squeezed = make_room(world, kind, replica)
    elif kind.mixed:
        squeezed = make_room(world, kind, replica)
        if not squeezed or replica.running == 0:
            room = kind.lanes * kind.budget - replica.running * kind.width
            # What those that decode need for this very step is not there for others; promises
            # count it already.
            needed = 0.0
            if kind.promise <= 0.0:
                needed = growth_of(world.phases, kind, replica, 1)
            replica.free -= needed
            tokens = fill(world, kind, replica, room)
            replica.free += needed
    else:
        tokens = fill(world, kind, replica, kind.lanes * kind.budget)
        if tokens == 0:
            squeezed = make_room(world, kind, replica)
    begin(world, kind, replica, now, tokens, squeezed)


def begin(
    world: World, kind: Kind, replica: Replica, now: float, tokens: int, squeezed: bool
) -> None:
    """Begin a step with so many tokens of prompts, or steps without; enter when it ends."""
    replica.began = now
    replica.planned = 1
    if tokens > 0:
        empty = replica.mode != WITH_PROMPTS
        replica.mode = WITH_PROMPTS
        time = prompt_step_time(world.requests, world.tables, kind, replica, tokens, empty)
        replica.ends = now + time
    elif replica.running > 0:
        replica.mode = ALONE
        plan_alone(world, kind, replica)
        if squeezed:  # whoever was sent back, or stands half done, is looked at again at once
            replica.planned = 1
            replica.ends = now + replica.first_time
    else:
        replica.mode = IDLE
        if replica.state == DRAINING:
            replica.state = OFF
            replica.paid += now - replica.since
        return
    replica.version += 1
    put(world.calendar, world.tallies[0], replica.ends, WORK_ENDS, replica.index, replica.version)


def prompt_step_time(
    requests: Array, tables: Array, kind: Kind, replica: Replica, tokens: int, empty: bool
) -> float:
    """Time of a step that works on ``tokens`` of prompts, beside decoding if they may mix. [s]

    Chunks enter the first pipeline stage one after another, and an ``empty`` pipeline must fill.
    """
    biggest, ending = 0, 0
    attention, longest = 0.0, 0.0
    index = replica.fill_head
    while index != NONE and requests[index].chunk > 0:
        chunk, done = requests[index].chunk, requests[index].done
        one = interpolated(tables, kind.length_at, kind.num_length, kind.prefill_at, done + chunk)
        if done > 0:
            one -= interpolated(tables, kind.length_at, kind.num_length, kind.prefill_at, done)
        attention += one
        longest = max(longest, one)
        biggest = max(biggest, chunk)
        ending += 1
        index = requests[index].behind
    piece = min(biggest, kind.budget) if kind.chunked else biggest
    busiest = max(piece * 1.0, tokens / kind.lanes)
    in_turn = max(1.0, tokens * kind.depth / (kind.lanes * busiest))
    passes = (in_turn + (kind.depth - 1.0 if empty else 0.0)) / kind.depth
    whole = tokens * kind.depth / in_turn
    time = attention * kind.depth / (kind.lanes * in_turn)
    time = max(longest / max(1.0, biggest / busiest), time)
    if kind.mixed and replica.running > 0:
        passes = max(1.0, passes)
        decoded = replica.running * kind.width
        busiest += decoded / kind.lanes
        whole += decoded
        ending += replica.running
        mean = replica.context / replica.running
        time += attention_line(tables, kind, replica.running * 1.0, mean)[0]
    points = kind.num_tokens
    time += interpolated(tables, kind.tokens_at, points, kind.lane_at, busiest)
    time += interpolated(tables, kind.tokens_at, points, kind.whole_at, whole)
    head = interpolated(tables, kind.rows_at, kind.num_rows, kind.head_at, ending * 1.0)
    return max(kind.shortest, time * passes) + head


def plan_alone(world: World, kind: Kind, replica: Replica) -> None:
    """Plan steps that only decode, as many as nothing can change in."""
    tables = world.tables
    running = replica.running
    mean = replica.context / running
    attention, slope, end = attention_line(tables, kind, running * 1.0, mean)
    replica.first_time = attention + interpolated(
        tables, kind.rows_at, kind.num_rows, kind.decode_at, running * 1.0
    )
    replica.growth = slope * kind.gain
    ending = world.endings[replica.endings_at].step
    steps = min(ending - replica.step, math.ceil(min(1e9, (end - mean) / kind.gain)))
    if replica.waiting > 0:
        steps = min(steps, until_open(kind, replica))
        if kind.promise > 0.0 and kind.gain == 1.0:
            steps = until_fits(world, kind, replica, steps)
    replica.planned = steps_with_room(world.phases, kind, replica, max(1, steps))
    replica.ends = replica.began + time_of(replica, replica.planned)


def steps_with_room(phases: Array, kind: Kind, replica: Replica, steps: int) -> int:
    """Most steps, at least one, whose growth has blocks."""
    low, high = 1, steps
    while low < high:
        middle = (low + high + 1) >> 1
        if growth_of(phases, kind, replica, middle) <= room_of(kind, replica):
            low = middle
        else:
            high = middle - 1
    return low


def until_fits(world: World, kind: Kind, replica: Replica, steps: int) -> int:
    """Steps after which the request that waits first fits, if that is before ``steps``.

    What is promised shrinks as contexts grow; blocks do so in jumps, which come round after as many
    steps as a block has tokens.
    """
    request = world.requests[replica.line_head]
    found, idle = known(world, kind, replica, request)
    free, context = replica.free, replica.context
    least = steps
    for later in range(1, min(steps, kind.block + 1)):
        replica.free = free - growth_of(world.phases, kind, replica, later)
        replica.context = context + replica.running * later
        if fits(kind, replica, request, found, idle):
            least = later
            break
    replica.free, replica.context = free, context
    return least


def until_open(kind: Kind, replica: Replica) -> int:
    """Steps after which those that wait may be let in, as far as that is known."""
    steps = 1 << 40
    if kind.poll > 1:
        steps = kind.poll - replica.cycle % kind.poll
    if replica.held < kind.patience and replica.asked < kind.enough:
        steps = min(steps, kind.patience - replica.held)
    return max(1, steps)


def time_of(replica: Replica, steps: int) -> float:
    """Time of the first steps of what is under way. [s]"""
    return steps * replica.first_time + 0.5 * replica.growth * (steps * (steps - 1.0))


def cut_short(
    calendar: Array, tally: Tally, kind: Kind, replica: Replica, index: int, now: float
) -> None:
    """End the steps under way with the first that ends no earlier than ``now`` and may let in."""
    steps = steps_before(replica, now)
    if kind.poll > 1:
        steps = min(replica.planned, max(steps, kind.poll - replica.cycle % kind.poll))
    if steps < replica.planned:
        replica.planned = steps
        replica.ends = replica.began + time_of(replica, steps)
        replica.version += 1
        put(calendar, tally, replica.ends, WORK_ENDS, index, replica.version)


def steps_before(replica: Replica, now: float) -> int:
    """Steps under way up to the first that ends no earlier than ``now``."""
    low, high = 1, replica.planned
    while low < high:
        middle = (low + high) >> 1
        if replica.began + time_of(replica, middle) >= now:
            high = middle
        else:
            low = middle + 1
    return low


def receive(world: World, kind: Kind, replica: Replica, now: float) -> None:
    """Let requests whose cache has arrived decode, as many as fit."""
    requests = world.requests
    index = replica.line_head
    while index != NONE and is_open(kind, replica) and fits(kind, replica, requests[index], 0, 0):
        leave_line(requests, replica, index)
        if start(world, kind, replica, index, now):
            answer(world, now)
        index = replica.line_head


def conclude(world: World, index: int, now: float) -> None:
    """Reckon up what a replica has done: tokens gained, sequences ended, prompts completed."""
    replica = world.replicas[index]
    kind = world.kinds[replica.kind]
    steps = replica.planned
    replica.busy += now - replica.began
    replica.cycle += steps
    replica.held = replica.held + steps if replica.waiting > 0 else 0
    if replica.mode == ALONE:
        count_steps(world.gaps, replica, steps)
    else:
        count_prompts(world.gaps, replica, now - replica.began, kind.mixed)
    if replica.running > 0 and (replica.mode == ALONE or kind.mixed):
        decode(world, kind, replica, steps, now)
    if replica.mode == WITH_PROMPTS:
        advance(world, kind, replica, now)


def decode(world: World, kind: Kind, replica: Replica, steps: int, now: float) -> None:
    """Let sequences gain the tokens of some steps; those that end leave."""
    replica.free -= growth_of(world.phases, kind, replica, steps)
    drop_for_room(world, kind, replica)
    replica.context += replica.running * kind.gain * steps
    replica.step += steps
    replica.worked += replica.running * steps
    base = replica.endings_at
    while replica.running > 0 and world.endings[base].step <= replica.step:
        request = world.endings[base].request
        drop_ending(world.endings, world.requests, base, replica.running, 0)
        release(world, kind, replica, request)
        world.requests[request].finish = now
        answer(world, now)


def advance(world: World, kind: Kind, replica: Replica, now: float) -> None:
    """Move on the prompts that a step has worked on; those completed decode, here or elsewhere."""
    index = replica.fill_head
    while index != NONE and world.requests[index].chunk > 0:
        request = world.requests[index]
        after = request.behind
        request.done += request.chunk
        request.chunk = 0
        held = request.prompt + request.made
        if request.done >= held:
            leave_fill(world.requests, replica, index)
            if kind.reuse > 0:
                publish(world, kind, replica, request)
            replica.free += blocks_of(kind, held) - request.shared * kind.node
            if kind.role == PREFILL:
                let_go(world, replica, request)
                late = now + kind.tail + kind.tail_token * held
                put(world.calendar, world.tallies[0], late, ARRIVES, index, 1)
            elif start(world, kind, replica, index, now):
                answer(world, now)
        index = after


def answer(world: World, now: float) -> None:
    """Count a finished request; in a closed loop its client sends the next one."""
    tally = world.tallies[0]
    tally.finished += 1
    if tally.users > 0 and tally.issued < tally.total:
        following = tally.issued
        tally.issued += 1
        world.requests[following].sent = now + tally.think
        late = now + tally.think + tally.entry
        put(world.calendar, tally, late, ARRIVES, following, 0)
