"""The executor's loop: explicit arrays in, arrays out; one source, compiled by numba or not.

Written for a compiler: flat arrays (or, run as plain Python, lists), no objects, no allocation. A
rank runs on until an operation's input has not arrived; whoever sends that input wakes it. So every
operation is looked at once, plus once for each time its rank had to wait.

What moves along the model, and back, has the same form: way 0 are activations, way 1 gradients, and
all that there is of each way stands in one array, way 1 behind way 0.
"""

from __future__ import annotations

from typing import Any

Array = Any

NEVER = -1.0
"""Arrival of what has not been sent."""


def play(  # noqa: PLR0915, PLR0917 - numba calls no plain function and takes arguments by place
    kind: Array,
    stage: Array,
    micro: Array,
    other_stage: Array,
    other_micro: Array,
    duration: Array,
    first: Array,
    rank_of: Array,
    onward: Array,
    hop: Array,
    num_micro: int,
    blocking: bool,
    arrived: Array,
    clock: Array,
    link: Array,
    position: Array,
    wanted: Array,
    stack: Array,
    start: Array,
    end: Array,
) -> int:
    """Play all operations; returns how many were done (fewer than there are: a deadlock).

    ``onward``, ``hop``: (2 × stages) the stage that takes each stage's result, -1: none, and how
    long it travels. ``arrived``: (2 × stages × micro-batches) when an input arrives at a stage,
    `NEVER` until it does. ``clock``: (ranks,) when a rank is free; ``link``: (2 × ranks,) when its
    way out is. ``position``: each rank's next operation. ``wanted``: the place in ``arrived`` that
    a rank waits for, -1: none. ``stack``: ranks that can go on, at first all. ``start``, ``end``:
    results. [s]
    """
    stages = len(rank_of)
    ready = len(stack)
    done = 0
    while ready > 0:
        ready -= 1
        rank = stack[ready]
        now = clock[rank]
        op = position[rank]
        last = first[rank + 1]
        while op < last:
            what = kind[op]
            here = stage[op]
            batch = micro[op]
            forward = what in (0, 4)
            if forward:
                place = here * num_micro + batch
                came = arrived[place]
                if came < 0.0:
                    wanted[rank] = place
                    break
                now = max(now, came)
            if what == 4:
                back, its_batch = other_stage[op], other_micro[op]
            else:
                back, its_batch = here, batch
            if what in (1, 2, 4):
                place = (stages + back) * num_micro + its_batch
                came = arrived[place]
                if came < 0.0:
                    wanted[rank] = place
                    break
                now = max(now, came)
            start[op] = now
            now += duration[op]
            end[op] = now
            if forward:
                to = onward[here]
                if to < 0:  # the loss: what came forward goes back
                    arrived[(stages + here) * num_micro + batch] = now
                else:
                    arrival = now
                    goal = rank_of[to]
                    if goal != rank:
                        if blocking:
                            now += hop[here]
                            arrival = now
                        else:
                            arrival = max(arrival, link[2 * rank]) + hop[here]
                            link[2 * rank] = arrival
                    place = to * num_micro + batch
                    arrived[place] = arrival
                    if wanted[goal] == place:
                        wanted[goal] = -1
                        stack[ready] = goal
                        ready += 1
            if what in (1, 2, 4):
                to = onward[stages + back]
                if to >= 0:
                    arrival = end[op]
                    goal = rank_of[to]
                    if goal != rank:
                        if blocking:
                            now += hop[stages + back]
                            arrival = now
                        else:
                            arrival = max(arrival, link[2 * rank + 1]) + hop[stages + back]
                            link[2 * rank + 1] = arrival
                    place = (stages + to) * num_micro + its_batch
                    arrived[place] = arrival
                    if wanted[goal] == place:
                        wanted[goal] = -1
                        stack[ready] = goal
                        ready += 1
            op += 1
            done += 1
        clock[rank] = now
        position[rank] = op
    return done
