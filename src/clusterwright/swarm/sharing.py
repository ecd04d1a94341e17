"""How the batch is dealt to unequal replicas, so that all are done at about the same time."""

from __future__ import annotations

from collections.abc import Sequence


def deal(
    batch: int,
    rates: Sequence[float],
    counts: Sequence[int],
    *,
    sizes: Sequence[int],
    least: Sequence[int],
) -> list[int]:
    """Sequences for each replica of each sort, in proportion to its rate.

    Parameters
    ----------
    batch
        Sequences of an inner step of all replicas.
    rates
        Tokens a second of a replica of each sort. [1/s]
    counts
        Replicas of each sort.
    sizes
        Accelerators of each: a share is rounded to what feeds them evenly.
    least
        Sequences that each must have to work at all, or well.

    >>> deal(48, [1.0, 2.0], [1, 1], sizes=[8, 8], least=[1, 1])
    [16, 32]
    >>> deal(10, [1.0], [100], sizes=[1], least=[1])
    [1]
    """
    total = sum(rate * count for rate, count in zip(rates, counts, strict=True))
    return [
        max(fewest, _even(batch * rate / total, size))
        for rate, size, fewest in zip(rates, sizes, least, strict=True)
    ]


def _even(share: float, size: int) -> int:
    """The nearest multiple of a power of two that the accelerators can divide among them.

    It is not above a quarter of the share, so that rounding moves it by an eighth at most.
    """
    step = 1
    while step * 2 <= min(size, share / 4.0):
        step *= 2
    return max(1, round(share / step)) * step
