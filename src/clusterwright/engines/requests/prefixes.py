"""Blocks of known content that requests share: found, held, let go, and dropped when room is short.

A block is known by a number that stands for its tokens and all before them, so that two prompts
that begin with the same numbers begin with the same tokens. A prompt's full blocks are kept from
the end of its prefill on; nobody finds those of a prompt that is still being worked on. What nobody
holds stays until room is short, and then the longest unused goes first, of one request the last
block before the first. A block takes the room of its tokens; answers are not kept.

References
----------
.. [1] L. Zheng et al., "SGLang: efficient execution of structured language model programs," NeurIPS
   2024, arXiv:2312.07104 (reuse of prefixes, least recently used goes first).
.. [2] vLLM documentation, "Automatic prefix caching" (full blocks by hash; a prompt's last token is
   always computed; a request's blocks are freed from the last to the first).
"""

from __future__ import annotations

from clusterwright.engines.requests.things import NONE, Kind, Replica, Request, World


def bucket_of(world: World, replica: int, key: int) -> int:
    """Which bucket a block of a replica is in; there are 2^n."""
    return ((key * 2654435761 + replica * 40503) >> 5) & (len(world.buckets) - 1)


def find(world: World, replica: int, key: int) -> int:
    """Return the record of a block in a replica's cache, or `NONE`."""
    place: int = world.buckets[bucket_of(world, replica, key)]
    while place != NONE:
        one = world.cached[place]
        if one.key == key and one.replica == replica:
            break
        place = one.following
    return place


def known(world: World, kind: Kind, replica: Replica, request: Request) -> tuple[int, int]:
    """First blocks of a request that a replica has, and how many of them nobody holds."""
    if kind.reuse == 0:
        return 0, 0
    most = min(request.num_hashes, (request.prompt + request.made - 1) // kind.reuse)
    idle = 0
    for turn in range(most):
        place = find(world, replica.index, world.hashes[request.hash_at + turn])
        if place == NONE:
            return turn, idle
        if world.cached[place].users == 0:
            idle += 1
    return most, idle


def hold(world: World, replica: Replica, place: int) -> None:
    """Let one more request hold a block."""
    one = world.cached[place]
    if one.users == 0:
        leave_idle(world, replica, place)
    one.users += 1


def leave_idle(world: World, replica: Replica, place: int) -> None:
    """Take a block out of those that nobody holds."""
    older, newer = world.cached[place].older, world.cached[place].newer
    if older == NONE:
        replica.idle_head = newer
    else:
        world.cached[older].newer = newer
    if newer == NONE:
        replica.idle_tail = older
    else:
        world.cached[newer].older = older
    replica.idle -= 1


def share(world: World, replica: Replica, request: Request, count: int) -> None:
    """Let a request hold its first blocks, all of which the replica has."""
    for turn in range(count):
        hold(world, replica, find(world, replica.index, world.hashes[request.hash_at + turn]))
    request.shared = count


def publish(world: World, kind: Kind, replica: Replica, request: Request) -> None:
    """Give a request's blocks to the cache, its prompt computed; of those it has, drop the copy."""
    for turn in range(request.shared, request.num_hashes):
        key = world.hashes[request.hash_at + turn]
        place = find(world, replica.index, key)
        if place == NONE:
            place = add(world, replica, key)
            if place == NONE:
                return
            world.cached[place].users = 1
        else:
            hold(world, replica, place)
            replica.free += kind.node
        request.shared = turn + 1


def add(world: World, replica: Replica, key: int) -> int:
    """Enter a block into a replica's cache; `NONE`: there is no record left."""
    tally = world.tallies[0]
    place: int = tally.unused
    if place != NONE:
        one = world.cached[place]
        tally.unused = one.following
        bucket = bucket_of(world, replica.index, key)
        one.key = key
        one.replica = replica.index
        one.following = world.buckets[bucket]
        world.buckets[bucket] = place
    return place


def let_go(world: World, replica: Replica, request: Request) -> None:
    """Let a request hold its blocks no longer, the last first: so they go first."""
    for turn in range(request.shared - 1, -1, -1):
        place = find(world, replica.index, world.hashes[request.hash_at + turn])
        one = world.cached[place]
        one.users -= 1
        if one.users == 0:
            one.older = replica.idle_tail
            one.newer = NONE
            if replica.idle_tail == NONE:
                replica.idle_head = place
            else:
                world.cached[replica.idle_tail].newer = place
            replica.idle_tail = place
            replica.idle += 1
    request.shared = 0


def drop(world: World, kind: Kind, replica: Replica) -> None:
    """Drop the block that nobody has held for longest."""
    place = replica.idle_head
    leave_idle(world, replica, place)
    bucket = bucket_of(world, replica.index, world.cached[place].key)
    after = world.cached[place].following
    before = world.buckets[bucket]
    if before == place:
        world.buckets[bucket] = after
    else:
        while world.cached[before].following != place:
            before = world.cached[before].following
        world.cached[before].following = after
    world.cached[place].following = world.tallies[0].unused
    world.tallies[0].unused = place
    replica.free += kind.node


def drop_for_room(world: World, kind: Kind, replica: Replica) -> None:
    """Drop blocks that nobody holds until what was taken is there."""
    while replica.free < 0.0 and replica.idle > 0:
        drop(world, kind, replica)
