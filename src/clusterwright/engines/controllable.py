"""V-Half and V-Min: folded schedules that trade bubble for memory, built as their authors do.

One micro-batch's forwards and backwards stand at fixed slots on every rank (the building block),
and every six slots the next begins. Warm-up and cool-down, which nothing precedes or follows, are
then pushed together as far as the steady state's memory allows; weight gradients take free slots.

References
----------
.. [1] P. Qi et al., "Pipeline parallelism with controllable memory," NeurIPS 2024, sections 3, 4,
   and the authors' implementation of both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from clusterwright.engines.orders import check_sizes
from clusterwright.engines.schedule import FORWARD, INPUT, WEIGHT, Op, Schedule, v_shaped

INTERVAL = 6
"""Slots from one micro-batch to the next: two forwards, two backwards, two weight gradients."""

KINDS = 4
"""Forward there (0) and back (1), backward there (2) and back (3); weight gradients are kind 4."""

Block = Callable[[int, int], list[int]]
Slots = list[list[list[int]]]
"""Slot of every operation: by rank, kind and number."""

Move = tuple[int, int, int, int]
"""(slot, rank, kind, number)."""


def v_half(num_ranks: int, num_micro_batches: int) -> Schedule:
    """About half of 1F1B's activations, for half of its bubble.

    See [1]_.
    """
    gap = 3 if num_ranks % 2 == 0 else 0

    def block(rank: int, p: int) -> list[int]:
        turn, end = 3 * p + gap, 6 * p + gap
        return [2 * rank, 3 * p - rank - 2, turn + 2 * rank - 1, end - rank - 2]

    return _schedule("V-Half", num_ranks, num_micro_batches, block)


def v_min(num_ranks: int, num_micro_batches: int) -> Schedule:
    """About a third of 1F1B's activations, for two thirds of its bubble.

    See [1]_.
    """
    gap = 2 if num_ranks % 3 == 0 else 0

    def block(rank: int, p: int) -> list[int]:
        turn, end = 2 * p + gap, 4 * p + gap
        return [rank, 2 * p - rank - 1, turn + rank, end - rank - 1]

    return _schedule("V-Min", num_ranks, num_micro_batches, block)


def _schedule(name: str, num_ranks: int, num_micro: int, block: Block) -> Schedule:
    check_sizes(num_ranks, num_micro)
    last = INTERVAL * num_micro
    slots = [
        [list(range(start, start + last, INTERVAL)) for start in block(rank, num_ranks)]
        for rank in range(num_ranks)
    ]
    slots = _squeezed(_pushed([_with_weights(own) for own in slots]))
    # The second time weight gradients go wherever there is room, and the drain alone is pushed.
    slots = _pushed([own[:KINDS] for own in slots])
    slots = _squeezed([_with_weights(own) for own in slots])
    rows = [_row(rank, num_ranks, own[:KINDS]) for rank, own in enumerate(slots)]
    return Schedule.of_rows(name, v_shaped(num_ranks), rows)


def _row(rank: int, num_ranks: int, own: list[list[int]]) -> list[Op]:
    """One rank's operations in the order of their slots, weight gradients in the free ones."""
    there, back = rank, 2 * num_ranks - 1 - rank
    what = ((FORWARD, there), (FORWARD, back), (INPUT, back), (INPUT, there))
    taken = {
        slot: (*what[kind], micro) for kind in range(KINDS) for micro, slot in enumerate(own[kind])
    }
    waiting: dict[int, deque[int]] = {back: deque(), there: deque()}
    ops: list[Op] = []
    for slot in range(max(taken) + 1):
        op = taken.get(slot)
        stage = back if waiting[back] else there
        if op:
            ops.append(op)
            if op[0] == INPUT:
                waiting[op[1]].append(op[2])
        elif waiting[stage]:
            ops.append((WEIGHT, stage, waiting[stage].popleft()))
    return [*ops, *((WEIGHT, stage, micro) for stage, left in waiting.items() for micro in left)]


def _with_weights(own: list[list[int]]) -> list[list[int]]:
    """One rank's slots with a fifth kind, two weight gradients each, in the first free ones."""
    used = {slot for kind in own for slot in kind}
    weights: list[int] = []
    free = -1
    for backward in sorted(own[2] + own[3]):
        free = max(free, backward) + 1
        while free in used:
            free += 1
        weights.append(free)
    return [*own, weights]


def _in_turn(slots: Slots) -> list[Move]:
    """All operations in order of time."""
    return sorted(
        (slot, rank, kind, number)
        for rank, own in enumerate(slots)
        for kind, times in enumerate(own)
        for number, slot in enumerate(times)
    )


def _after(slots: Slots, rank: int, kind: int, number: int) -> int:
    """The first slot in which an operation has all that it needs."""
    before = [-1]
    neighbour = rank - 1 if kind % 2 == 0 else rank + 1
    if kind < KINDS and 0 <= neighbour < len(slots):
        before.append(slots[neighbour][kind][number])
    if 0 < kind < KINDS:
        before.append(slots[rank][kind - 1][number])
    if kind == KINDS:
        before.append(sorted(slots[rank][2] + slots[rank][3])[number])
    if number:
        before.append(slots[rank][kind][number - 1])
    return max(before) + 1


def _pushed(slots: Slots) -> Slots:
    """Warm-up and cool-down pushed together, the steady state as it is.

    With weight gradients both ends are; without, the cool-down. No rank may keep more than the
    fullest did before.
    """
    with_weights = len(slots[0]) > KINDS
    limit = max(_peak(own) for own in slots)
    last_number = len(slots[0][0]) - 1
    taken: list[set[int]] = [set() for _ in slots]
    started, ended = False, False
    for slot, rank, kind, number in _in_turn(slots):
        started = started or (kind == 3 and rank == 0)
        fixed = not ended if started else not with_weights
        if not fixed:
            own = slots[rank]
            for early in range(_after(slots, rank, kind, number), slot):
                if early not in taken[rank]:
                    own[kind][number] = early
                    if _peak(own) <= limit:
                        break
            else:
                own[kind][number] = slot
        ended = ended or (started and kind == 0 and number == last_number)
        taken[rank].add(slots[rank][kind][number])
    return slots


def _peak(own: list[list[int]]) -> int:
    """Chunks whose activations one rank keeps at the most; weight gradients as soon as they can."""
    length = max(kind[-1] for kind in own) + 1
    forwards, backwards = np.zeros(length, int), np.zeros(length, int)
    forwards[own[0] + own[1]] = 1
    backwards[own[2] + own[3]] = 1
    done = np.zeros(length, int)
    if len(own) > KINDS:
        done[own[KINDS]] = 1
    else:
        free = 1 - forwards - backwards
        total = np.cumsum(backwards - free)
        waiting = total - np.minimum(np.minimum.accumulate(total), 0)
        done[1:] = free[1:] * (waiting[:-1] > 0)
    return int(np.cumsum(forwards - done).max())


def _squeezed(slots: Slots) -> Slots:
    """The same order with every operation as early as it can be."""
    found: Slots = [[[] for _ in own] for own in slots]
    free = [0] * len(slots)
    for _, rank, kind, number in _in_turn(slots):
        early = free[rank]
        neighbour = rank - 1 if kind % 2 == 0 else rank + 1
        if kind < KINDS and 0 <= neighbour < len(slots):
            early = max(early, found[neighbour][kind][number] + 1)
        found[rank][kind].append(early)
        free[rank] = early + 1
    return found
