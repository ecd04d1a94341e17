"""Published schedules of chunks laid round the ranks: GPipe to zero-bubble.

Each is three sequences per rank (forwards, backwards, weight gradients) woven by two numbers: how
many forwards come first, and how many backwards the weight gradients lag behind.

References
----------
.. [1] Y. Huang et al., "GPipe," NeurIPS 2019.
.. [2] D. Narayanan et al., "PipeDream," SOSP 2019 (1F1B); "Efficient large-scale language model
   training on GPU clusters using Megatron-LM," SC21, section 2.2 (interleaved).
.. [3] J. Lamy-Poirier, "Breadth-first pipeline parallelism," MLSys 2023.
.. [4] P. Qi et al., "Zero bubble pipeline parallelism," ICLR 2024.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clusterwright.engines.schedule import BACKWARD, FORWARD, INPUT, WEIGHT, Schedule, looped
from clusterwright.errors import InputError

Array = Any


def check_sizes(num_ranks: int, num_micro_batches: int, num_chunks: int = 1) -> None:
    """Refuse sizes below one.

    Raises
    ------
    InputError
        When one is.
    """
    sizes = {"ranks": num_ranks, "micro-batches": num_micro_batches, "chunks": num_chunks}
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"a pipeline of {size} {name} does nothing; give at least 1")


def gpipe(num_ranks: int, num_micro_batches: int) -> Schedule:
    """All forwards, then all backwards, both in order.

    See [1]_.
    """
    return _in_order("GPipe", num_ranks, num_micro_batches, lambda _: num_micro_batches)


def looped_breadth_first(num_ranks: int, num_micro_batches: int, num_chunks: int) -> Schedule:
    """Chunk after chunk, all micro-batches of each; backward in the very reverse.

    See [3]_.
    """
    check_sizes(num_ranks, num_micro_batches, num_chunks)
    chunk = np.repeat(np.arange(num_chunks), num_micro_batches)
    micro = np.tile(np.arange(num_micro_batches), num_chunks)
    back = (chunk[::-1], micro[::-1])
    rows = [
        _woven(rank, num_ranks, (chunk, micro), back, warm_up=len(chunk))
        for rank in range(num_ranks)
    ]
    return _schedule("looped BFS", num_ranks, num_chunks, rows)


def one_forward_one_backward(num_ranks: int, num_micro_batches: int) -> Schedule:
    """1F1B: p - 1 - r forwards first, then one forward and one backward in turn.

    See [2]_.
    """
    return _in_order("1F1B", num_ranks, num_micro_batches, lambda rank: num_ranks - 1 - rank)


def interleaved(
    num_ranks: int, num_micro_batches: int, num_chunks: int, *, group_size: int | None = None
) -> Schedule:
    """Interleaved 1F1B in Megatron's order.

    See [2]_. ``group_size``: micro-batches that run through a chunk before the next chunk takes
    over; by default the least that Megatron allows, which is p where p divides the micro-batches.

    Raises
    ------
    InputError
        For a group, or a remainder in the last one, of fewer than p micro-batches (unless that is
        all there are): a chunk would ask for what the last rank has not yet done.
    """
    check_sizes(num_ranks, num_micro_batches, num_chunks)
    group = _group(num_ranks, num_micro_batches, group_size)
    forward, backward = _in_groups(num_micro_batches, num_chunks, group)
    rows = [
        _woven(
            rank,
            num_ranks,
            forward,
            backward,
            warm_up=2 * (num_ranks - 1 - rank) + (num_chunks - 1) * group,
        )
        for rank in range(num_ranks)
    ]
    return _schedule("interleaved 1F1B", num_ranks, num_chunks, rows)


def interleaved_zero_bubble(
    num_ranks: int, num_micro_batches: int, num_chunks: int, *, group_size: int | None = None
) -> Schedule:
    """ZB-H1 on looped chunks, as PyTorch has it: weight gradients lag r backwards behind.

    See [4]_. With one chunk it is ZB-H1 itself; ``group_size`` as in `interleaved`.
    """
    check_sizes(num_ranks, num_micro_batches, num_chunks)
    group = _group(num_ranks, num_micro_batches, group_size)
    forward, backward = _in_groups(num_micro_batches, num_chunks, group)
    rows = [
        _woven(
            rank,
            num_ranks,
            forward,
            backward,
            warm_up=num_ranks - 1 - rank + (num_chunks - 1) * group,
            lag=rank,
        )
        for rank in range(num_ranks)
    ]
    name = "ZB-H1" if num_chunks == 1 else "interleaved zero-bubble"
    return _schedule(name, num_ranks, num_chunks, rows)


def zero_bubble_h1(num_ranks: int, num_micro_batches: int) -> Schedule:
    """ZB-H1: 1F1B's memory, a third of its bubble at F = B = W.

    See [4]_.
    """
    return interleaved_zero_bubble(num_ranks, num_micro_batches, 1)


def zero_bubble_h2(num_ranks: int, num_micro_batches: int) -> Schedule:
    """ZB-H2: 2(p - r) - 1 forwards in flight, weight gradients lag 2r backwards behind.

    See [4]_. No bubble where the next step may begin before all ranks are done.
    """
    check_sizes(num_ranks, num_micro_batches)
    micro = np.arange(num_micro_batches)
    zero = np.zeros_like(micro)
    rows = [
        _woven(
            rank,
            num_ranks,
            (zero, micro),
            (zero, micro),
            warm_up=2 * (num_ranks - 1 - rank),
            lag=2 * rank,
        )
        for rank in range(num_ranks)
    ]
    return _schedule("ZB-H2", num_ranks, 1, rows)


def _in_order(
    name: str, num_ranks: int, num_micro_batches: int, warm_up: Callable[[int], int]
) -> Schedule:
    """One chunk per rank, forwards and backwards both in order; ``warm_up``: forwards of a rank."""
    check_sizes(num_ranks, num_micro_batches)
    micro = np.arange(num_micro_batches)
    order = (np.zeros_like(micro), micro)
    rows = [
        _woven(rank, num_ranks, order, order, warm_up=warm_up(rank)) for rank in range(num_ranks)
    ]
    return _schedule(name, num_ranks, 1, rows)


def _group(num_ranks: int, num_micro_batches: int, group_size: int | None) -> int:
    def allowed(size: int) -> bool:
        left = num_micro_batches % size
        return num_ranks <= size <= num_micro_batches and (left == 0 or left >= num_ranks)

    if num_micro_batches <= num_ranks:
        return num_micro_batches
    sizes = [size for size in range(num_ranks, num_micro_batches + 1) if allowed(size)]
    if group_size is None:
        return sizes[0]
    if group_size not in sizes:
        raise InputError(
            f"groups of {group_size} of {num_micro_batches} micro-batches leave the "
            f"{num_ranks} ranks waiting for themselves; the least that works is {sizes[0]}"
        )
    return group_size


def _in_groups(num_micro: int, num_chunks: int, group: int) -> tuple[tuple[Array, Array], ...]:
    """(chunk, micro-batch) of every forward in order, and of every backward."""
    micro, step = np.arange(num_micro), np.arange(num_chunks)
    chunk = np.repeat(step, num_micro)
    each = np.tile(micro, num_chunks)
    order = np.lexsort((each, chunk, each // group))
    return (chunk[order], each[order]), (num_chunks - 1 - chunk[order], each[order])


def _woven(
    rank: int,
    num_ranks: int,
    forwards: tuple[Array, Array],
    backwards: tuple[Array, Array],
    *,
    warm_up: int,
    lag: int | None = None,
) -> Array:
    """One rank's operations, (number, 5).

    After ``warm_up`` forwards, rounds of a forward, a backward and (with a ``lag``) the weight
    gradient of ``lag`` rounds ago; what is left comes last.
    """
    number = len(forwards[0])
    turn = np.arange(number)
    kinds = [(FORWARD, forwards, 4 * (turn - warm_up))]
    if lag is None:
        kinds += [(BACKWARD, backwards, 4 * turn + 1)]
    else:
        # The last lag weight gradients follow one another when no round is left to carry them.
        kinds += [(INPUT, backwards, 4 * turn + 1), (WEIGHT, backwards, 4 * (turn + lag) + 2)]
    ops = np.full((len(kinds) * number, 5), -1)
    for part, (kind, (chunk, micro), _) in enumerate(kinds):
        block = ops[part * number : (part + 1) * number]
        block[:, 0], block[:, 1], block[:, 2] = kind, chunk * num_ranks + rank, micro
    return ops[np.argsort(np.concatenate([key for *_, key in kinds]), kind="stable")]


def _schedule(name: str, num_ranks: int, num_chunks: int, rows: list[Array]) -> Schedule:
    first = np.cumsum([0, *map(len, rows)])
    return Schedule(name, looped(num_ranks, num_chunks), np.concatenate(rows), first)
