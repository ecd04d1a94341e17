"""What the loop moves: requests, replicas and their kinds, what will happen; times in seconds.

Each is a record of numbers. The compiled loop takes arrays of such records, the plain one lists of
the objects themselves, and the source is the same: ``replica = replicas[index]`` and then
``replica.free``. Indices into lists and arrays are `NONE` where there is nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

Array = Any

NONE = -1

BOTH, PREFILL, DECODE = 0, 1, 2
"""What a kind of replica does."""

WORK_ENDS, ARRIVES, FAILS, RETURNS, LOOKS = 0, 1, 2, 3, 4
"""What happens: a replica's work ends, a request reaches a pool, a replica fails, one comes (back)
into service, the scaler of a kind looks at its load."""

IDLE, ALONE, WITH_PROMPTS, CALLED = 0, 1, 2, 3
"""What a replica does: nothing, decode alone, work on prompts, or it is about to look."""

SERVING, STARTING, DRAINING, FAILED, OFF = 0, 1, 2, 3, 4
"""Whether a replica takes requests: yes; not yet; no more, but it ends those it has; it has failed;
nobody pays for it."""


@dataclass(slots=True)
class Request:
    """One request: what is asked, how far it is, and what came of it.

    ``prompt``, ``output``: tokens, at least 1. ``priority``: less goes first. ``done``: tokens of
    the prompt, and of what was generated before a preemption, that are computed. ``made``: tokens
    generated before the last preemption. ``chunk``: tokens that the step under way works on.
    ``joined``: its replica's step at which it began to decode. ``ahead``, ``behind``: neighbours
    in whatever list it is in. ``place``: in the heap of what ends. ``hash_at``, ``num_hashes``:
    where its full blocks of known content begin, and how many; ``shared``: of these, the first so
    many are the cache's, not its own; ``reused``: tokens that it found there. ``sent``, ``first``,
    ``finish``: when its client sent it, and got the first and the last token; where decoding has
    replicas of its own, the first comes when it starts there. [s]
    """

    arrival: float = 0.0
    prompt: int = 1
    output: int = 1
    priority: int = 0
    done: int = 0
    made: int = 0
    chunk: int = 0
    joined: int = 0
    ahead: int = NONE
    behind: int = NONE
    place: int = 0
    hash_at: int = 0
    num_hashes: int = 0
    shared: int = 0
    reused: int = 0
    replica: int = NONE
    sent: float = -1.0
    first: float = -1.0
    finish: float = -1.0


@dataclass(slots=True)
class Kind:
    """What replicas of a kind have in common.

    ``role``: `BOTH`, `PREFILL` or `DECODE`. ``lanes``: parts of the batch that work side by side
    (data-parallel ranks times pipeline stages); ``depth``: those that chunks of one prompt may fill
    together (the stages). ``budget``: tokens of a step and lane at most.
    ``most``: sequences at once at most. ``blocks``: of the cache; ``block``: tokens of one.
    ``mixed``: 1 if prompts and decoding share a step, 0 if prompts go first and alone.
    ``chunked``: 1 if a prompt may be cut. ``promise``: share of a request's output that must find
    room before it is let in. ``gain``: tokens that a sequence gains in a step (speculation: above
    1), and ``width``: tokens of a sequence that a step works on. ``tail``, ``tail_token``: time
    from the end of a prompt to its arrival in the next pool, and the same per token. [s]
    ``poll``: steps between two looks at what has arrived. ``patience``: steps for which prompts
    may wait until together they have ``enough`` tokens. ``shortest``: step with prompts, but
    for its head. [s]

    Tables of step times lie in one array: a grid of so many points (``num_…``) at ``…_at``, and
    values over it. ``lane``: work on the tokens of the busiest lane, and ``whole``: work that the
    tokens of all lanes share, in steps with prompts. ``decode``: a step without prompts, but for
    attention, and ``head``: last layer and sampling, in steps with prompts, by sequences.
    ``attention``: of decoding, by sequences and mean context. ``prefill``: attention of a whole
    prompt, above that of one token.
    """

    role: int = BOTH
    lanes: int = 1
    depth: int = 1
    budget: int = 8192
    most: int = 256
    blocks: float = 0.0
    block: int = 16
    mixed: int = 1
    chunked: int = 1
    promise: float = 0.0
    gain: float = 1.0
    width: int = 1
    tail: float = 0.0
    tail_token: float = 0.0
    poll: int = 1
    patience: int = 0
    enough: int = 0
    shortest: float = 0.0
    reuse: int = 0
    node: float = 0.0
    target: float = 0.0
    least: int = 1
    period: float = 0.0
    calm: float = 0.0
    load_time: float = 0.0
    low: float = -1.0
    first_replica: int = 0
    num_replicas: int = 0
    tokens_at: int = 0
    num_tokens: int = 0
    lane_at: int = 0
    whole_at: int = 0
    rows_at: int = 0
    num_rows: int = 0
    decode_at: int = 0
    head_at: int = 0
    context_at: int = 0
    num_context: int = 0
    attention_at: int = 0
    length_at: int = 0
    num_length: int = 0
    prefill_at: int = 0


@dataclass(slots=True)
class Replica:
    """One replica: what it holds and what it does.

    ``index``: its own. ``state``: whether it takes requests. ``line_…``: requests that wait;
    ``fill_…``: whose prompts are being worked on; ``run_…``: that decode, in the order they began.
    ``waiting``, ``filling``, ``running``: how many. ``context``:
    tokens of those that decode; ``prompts``, ``promised``: of these, tokens at their start and
    tokens to come that were reckoned with. ``free``: blocks. ``phases_at``: where its sequences are
    counted by the place of their context in a block; ``endings_at``: its heap of what ends.
    ``step``: steps of decoding done; ``cycle``: all steps done. ``asked``: tokens of prompts that
    wait; ``held``: steps for which they were held back. ``mode``: what it does, since ``began``
    until ``ends``; ``planned``: its steps; ``first_time``, ``growth``: time of the first of them,
    and what each takes longer than the one before. ``version``: of its end in the calendar.
    ``busy``: time worked. ``worked``: sequences times steps. ``preempted``: requests sent back;
    ``lost``: to failures. ``idle_…``: blocks of known content that nobody uses, the oldest first;
    ``idle``: how many. ``stall``: time since those that decode got a token, of steps with prompts
    alone; ``stalled``: how many of them. ``since``: it is paid for; ``paid``: before that. [s]
    """

    kind: int = 0
    index: int = 0
    state: int = SERVING
    line_head: int = NONE
    line_tail: int = NONE
    fill_head: int = NONE
    fill_tail: int = NONE
    run_head: int = NONE
    run_tail: int = NONE
    waiting: int = 0
    filling: int = 0
    running: int = 0
    context: float = 0.0
    prompts: float = 0.0
    promised: float = 0.0
    free: float = 0.0
    phases_at: int = 0
    endings_at: int = 0
    step: int = 0
    cycle: int = 0
    asked: int = 0
    held: int = 0
    mode: int = IDLE
    began: float = 0.0
    ends: float = 0.0
    planned: int = 0
    first_time: float = 0.0
    growth: float = 0.0
    version: int = 0
    busy: float = 0.0
    worked: int = 0
    preempted: int = 0
    lost: int = 0
    idle_head: int = NONE
    idle_tail: int = NONE
    idle: int = 0
    stall: float = 0.0
    stalled: int = 0
    since: float = 0.0
    paid: float = 0.0


@dataclass(slots=True)
class Cached:
    """A block of known content in a replica's cache.

    ``key``: which; ``users``: requests that hold it. ``older``, ``newer``: neighbours among those
    that nobody holds. ``following``: the next in the same bucket, or the next unused record.
    """

    key: int = 0
    replica: int = 0
    users: int = 0
    older: int = NONE
    newer: int = NONE
    following: int = NONE


@dataclass(slots=True)
class Ending:
    """A sequence that ends at a step of its replica; one entry of a heap."""

    step: int = 0
    request: int = 0


@dataclass(slots=True)
class Event:
    """What happens at a time; of two at the same time the lower number is first.

    ``who``: the replica, or the request. ``version``: of the replica's plan, or the pool.
    """

    time: float = 0.0
    number: int = 0
    what: int = 0
    who: int = 0
    version: int = 0


@dataclass(slots=True)
class Tally:
    """Counters of the loop, and choices for all.

    ``events``: in the calendar, and ``number``: of the next. ``issued``, ``finished``: requests.
    ``turn``, ``next_turn``: whose turn it is in the pools. ``users``: at once in a closed loop (0:
    arrivals are given). ``think``: from an answer to the next question [s]. ``entry``: from the
    client to the first queue [s]. ``router``: 0 in turn, 1 to the least loaded, 2 to where most of
    a prompt is cached. ``entering``, ``replicas``: those of the first pool, and all. ``unused``:
    the first record for a cached block that is free.
    """

    events: int = 0
    number: int = 0
    issued: int = 0
    finished: int = 0
    turn: int = 0
    next_turn: int = 0
    total: int = 0
    users: int = 0
    think: float = 0.0
    entry: float = 0.0
    router: int = 0
    entering: int = 0
    replicas: int = 0
    unused: int = NONE


class World(NamedTuple):
    """All that the loop looks at.

    ``tables``: of step times. ``endings``: heaps of `Ending`, a replica's after another's.
    ``phases``: sequences by the place of their context in a block, likewise. ``calendar``: a heap
    of `Event`. ``tallies``: one `Tally`. ``hashes``: content of the requests' full blocks.
    ``cached``: records for blocks in caches, ``buckets``: the first of each bucket of them.
    ``gaps``: times between tokens, counted.
    """

    requests: Array
    replicas: Array
    kinds: Array
    tables: Array
    endings: Array
    phases: Array
    calendar: Array
    tallies: Array
    hashes: Array
    cached: Array
    buckets: Array
    gaps: Array


def layout(record: type) -> np.dtype[Any]:
    """Return how a record lies in an array."""
    types = {"int": np.int64, "float": np.float64}
    return np.dtype([(field.name, types[str(field.type)]) for field in fields(record)])


def blank(record: type, size: int, *, plain: bool) -> Array:
    """Return so many new records: a list of objects if ``plain``, else an array."""
    if plain:
        return [record() for _ in range(size)]
    made = np.zeros(size, dtype=layout(record))
    for field in fields(record):
        made[field.name] = field.default
    return made


def write(records: Array, name: str, values: Array) -> None:
    """Set a field of all records."""
    if isinstance(records, list):
        for record, value in zip(records, np.asarray(values).tolist(), strict=True):
            setattr(record, name, value)
    else:
        records[name] = values


def read(records: Array, name: str) -> Array:
    """Return a field of all records as an array."""
    if isinstance(records, list):
        return np.array([getattr(record, name) for record in records])
    return records[name].copy()
