"""Times between the tokens that users get, counted by how long they are."""

from __future__ import annotations

import math

from clusterwright.engines.requests.things import Array, Replica

LEAST = 1e-5
"""The shortest gap that is told from shorter ones. [s]"""
WIDTH = 0.02
"""Of a class of gaps, as the logarithm of its end over its start: what a percentile errs by."""
CLASSES = 900
"""Classes of gaps; the last begins at ten minutes and takes all that are longer."""


def class_of(gap: float) -> int:
    """Which class a gap belongs to.

    >>> class_of(0.0), class_of(1e-5), class_of(1e9) == CLASSES - 1
    (0, 0, True)
    """
    if gap <= LEAST:
        return 0
    return min(CLASSES - 1, int(math.log(gap / LEAST) / WIDTH))


def count_steps(gaps: Array, replica: Replica, steps: int) -> None:
    """Count the gaps of steps that only decode; the first of them ends what prompts held up."""
    start, growth = replica.first_time, replica.growth
    if replica.stalled > 0:
        held = min(replica.stalled, replica.running)
        gaps[class_of(start + replica.stall)] += held
        gaps[class_of(start)] -= held  # it is counted below with the others
        replica.stall = 0.0
        replica.stalled = 0
    done = 0
    while done < steps:
        place = class_of(start + growth * done)
        until = steps
        if growth > 0.0 and place < CLASSES - 1:
            edge = LEAST * math.exp((place + 1) * WIDTH)
            until = min(steps, max(done + 1, math.ceil((edge - start) / growth)))
        gaps[place] += (until - done) * replica.running
        done = until


def count_prompts(gaps: Array, replica: Replica, time: float, mixed: int) -> None:
    """Count the gap of a step with prompts, or keep it where those that decode wait meanwhile."""
    if mixed:
        gaps[class_of(time)] += replica.running
    elif replica.running > 0:
        replica.stall += time
        replica.stalled = replica.running
