"""Published schedules that fold the pipeline or feed it from both ends: ZB-V, DualPipe, DualPipeV.

References
----------
.. [1] P. Qi et al., "Zero bubble pipeline parallelism," ICLR 2024, section 6 (ZB-V).
.. [2] DeepSeek-AI, "DeepSeek-V3 technical report," arXiv 2412.19437, section 3.2.1, and the
   repository DualPipe, 2025; P. Qi et al. cut it in half: "DualPipe could be better without the
   dual," 2025 (DualPipeV).
"""

from __future__ import annotations

from collections import Counter, deque

from clusterwright.engines.orders import check_sizes
from clusterwright.engines.schedule import (
    BACKWARD,
    BOTH,
    FORWARD,
    INPUT,
    WEIGHT,
    Op,
    Schedule,
    two_ways,
    v_shaped,
)
from clusterwright.errors import InputError


class _Row:
    """One rank's operations: each takes the next micro-batch of its stage."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.waiting: deque[tuple[int, int]] = deque()
        self._forwards: Counter[int] = Counter()
        self._backwards: Counter[int] = Counter()

    def _next(self, counter: Counter[int], stage: int) -> int:
        micro = counter[stage]
        counter[stage] += 1
        return micro

    def forward(self, stage: int) -> None:
        """Forward of the next micro-batch."""
        self.ops.append((FORWARD, stage, self._next(self._forwards, stage)))

    def backward(self, stage: int, *, split: bool = False) -> None:
        """Backward of the next micro-batch; split, its weight gradients wait."""
        micro = self._next(self._backwards, stage)
        self.ops.append((INPUT if split else BACKWARD, stage, micro))
        if split:
            self.waiting.append((stage, micro))

    def weight(self) -> None:
        """The weight gradients that have waited longest, if any wait."""
        if self.waiting:
            self.ops.append((WEIGHT, *self.waiting.popleft()))

    def both(self, forward: int, backward: int) -> None:
        """A forward and a backward, overlapped."""
        there = self._next(self._forwards, forward)
        back = self._next(self._backwards, backward)
        self.ops.append((BOTH, forward, there, backward, back))


def dualpipe(num_ranks: int, num_micro_batches: int) -> Schedule:
    """DualPipe: half of the micro-batches from either end, through two copies of the model.

    See [2]_.

    Raises
    ------
    InputError
        For an odd number of ranks or micro-batches, or fewer than 2p micro-batches.
    """
    check_sizes(num_ranks, num_micro_batches)
    if num_ranks % 2 or num_micro_batches % 2 or num_micro_batches < 2 * num_ranks:
        raise InputError(
            f"DualPipe needs an even number of ranks and at least twice as many micro-batches, "
            f"an even number too, not {num_ranks} and {num_micro_batches}"
        )
    half, rows = num_ranks // 2, []
    for rank in range(num_ranks):
        there, back = rank, 2 * num_ranks - 1 - rank
        if rank >= half:
            there, back = back, there
        depth = min(rank, num_ranks - 1 - rank)
        rows.append(_dual_row(there, back, depth, half, num_micro_batches // 2))
    return Schedule.of_rows("DualPipe", two_ways(num_ranks), rows)


def dualpipe_v(num_ranks: int, num_micro_batches: int) -> Schedule:
    """DualPipe on half the ranks and one copy of the model, folded into a V.

    See [2]_.

    Raises
    ------
    InputError
        For fewer than 2p micro-batches.
    """
    check_sizes(num_ranks, num_micro_batches)
    if num_micro_batches < 2 * num_ranks:
        raise InputError(
            f"DualPipeV on {num_ranks} ranks needs at least {2 * num_ranks} micro-batches, "
            f"not {num_micro_batches}"
        )
    rows = [
        _dual_row(rank, 2 * num_ranks - 1 - rank, rank, num_ranks, num_micro_batches)
        for rank in range(num_ranks)
    ]
    return Schedule.of_rows("DualPipeV", v_shaped(num_ranks), rows)


def _dual_row(there: int, back: int, depth: int, half: int, num_micro: int) -> list[Op]:
    """The eight phases of one rank.

    ``there``, ``back``: its stage near the start of one chain, and near the end of the other;
    ``depth``: ranks between it and the end; ``half``: ranks to the middle; ``num_micro``:
    micro-batches of each stage.
    """
    row, outer = _Row(), half - depth - 1
    for _ in range(2 * outer):
        row.forward(there)
    for _ in range(depth + 1):
        row.forward(there)
        row.forward(back)
    for _ in range(outer):
        row.backward(back, split=True)
        row.weight()
        row.forward(back)
    for turn in range(num_micro - 2 * half + depth + 1):
        if turn == 0 and outer == 0:
            # The innermost rank starts one after the other, which shortens the fill.
            row.forward(there)
            row.backward(back)
        else:
            row.both(there, back)
        row.both(back, there)
    for _ in range(outer):
        row.backward(back)
        row.both(back, there)
    # The last backwards leave their weight gradients to fill the drain.
    split_from = depth + 1
    for turn in range(2 * (depth + 1)):
        row.backward(there if turn % 2 else back, split=turn >= split_from)
    for _ in range(outer):
        row.weight()
        row.backward(there, split=True)
    while row.waiting:
        row.weight()
    return row.ops


def zero_bubble_v(num_ranks: int, num_micro_batches: int) -> Schedule:
    """ZB-V: two chunks folded into a V; no bubble at F = B = W without a barrier.

    See [1]_.
    """
    check_sizes(num_ranks, num_micro_batches)
    # The order is that of enough micro-batches to fill the pipeline; what is beyond is left out.
    enough = max(num_micro_batches, 2 * num_ranks - 1)
    rows = [
        [op for op in _v_row(rank, num_ranks, enough) if op[2] < num_micro_batches]
        for rank in range(num_ranks)
    ]
    return Schedule.of_rows("ZB-V", v_shaped(num_ranks), rows)


def _v_row(rank: int, num_ranks: int, num_micro: int) -> list[Op]:
    there, back = rank, 2 * num_ranks - 1 - rank
    row, inner = _Row(), num_ranks - rank
    for _ in range(2 * inner - 1):
        row.forward(there)
    for _ in range(rank):
        row.forward(back)
        row.forward(there)
    for _ in range(inner):
        row.forward(back)
        row.backward(back, split=True)
        row.weight()
    started = 2 * num_ranks - 1 - rank
    for turn in range(num_micro - num_ranks):
        if started + turn < num_micro:
            row.forward(there)
        row.backward(there, split=True)
        row.weight()
        row.forward(back)
        row.backward(back, split=True)
        row.weight()
    late = []
    for _ in range(rank):
        row.backward(there, split=True)
        row.backward(back, split=True)
        late.append(row.waiting.pop())
    for _ in range(inner):
        row.backward(there, split=True)
        row.weight()
    row.waiting.extendleft(reversed(late))
    while row.waiting:
        row.weight()
    return row.ops
