"""Which layers sit on which pipeline rank, and the few ranks that can be the worst.

Layers are dealt to ``pp × vpp`` chunks in order. When they do not divide evenly the chunks at the
two ends get one less, for the first also holds the embedding and the last the loss head (Llama 3
cut its 126 layers over 16 ranks in this way).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True, slots=True)
class Stages:
    """Representative ranks ("slots") of each (pp, vpp) pair.

    ``counts``: layers of each kind, (slots, kinds, pairs). ``first``, ``last``: 1.0 where the slot
    holds the embedding or the head, (slots, pairs). ``rank``: position in the pipeline.
    """

    counts: Array
    first: Array
    last: Array
    rank: Array


def chunk_sizes(num_layers: int, num_chunks: int) -> np.ndarray:
    """Layers in each chunk; the short ones lie at the ends, the last first.

    >>> chunk_sizes(126, 16).tolist()
    [7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 7]
    """
    size, extra = divmod(num_layers, num_chunks)
    short = num_chunks - extra if extra else 0
    sizes = np.full(num_chunks, size + (1 if extra else 0))
    sizes[num_chunks - (short + 1) // 2 :] -= 1
    sizes[: short // 2] -= 1
    return sizes


def rank_counts(layout: tuple[int, ...], num_kinds: int, pp: int, vpp: int) -> np.ndarray:
    """Layers of each kind on each pipeline rank, (pp, kinds); chunk *c* lies on rank *c mod pp*.

    >>> rank_counts((0, 0, 1, 1), 2, 2, 1).tolist()
    [[2, 0], [0, 2]]
    """
    sizes = chunk_sizes(len(layout), pp * vpp)
    one_hot = np.eye(num_kinds, dtype=int)[list(layout)]
    running = np.vstack([np.zeros((1, num_kinds), dtype=int), np.cumsum(one_hot, axis=0)])
    ends = np.cumsum(sizes)
    chunks = running[ends] - running[ends - sizes]
    counts: np.ndarray = chunks.reshape(vpp, pp, num_kinds).sum(axis=0)
    return counts


@lru_cache(maxsize=4096)
def _slots(
    layout: tuple[int, ...], num_kinds: int, pp: int, vpp: int
) -> tuple[list[int], np.ndarray]:
    """Ranks worth looking at: the ends, and the middle rank richest in each kind of layer."""
    counts = rank_counts(layout, num_kinds, pp, vpp)
    ranks = [0, pp - 1]
    for kind in range(num_kinds):
        middle = counts[1 : pp - 1] if pp > 2 else counts
        order = middle[:, kind] * 10_000 + middle.sum(axis=1)
        ranks.append(int(np.argmax(order)) + (1 if pp > 2 else 0))
    return ranks, counts[ranks]


def stages_of(layout: tuple[int, ...], num_kinds: int, pairs: list[tuple[int, int]]) -> Stages:
    """Slots of every (pp, vpp) pair."""
    found = [_slots(layout, num_kinds, pp, vpp) for pp, vpp in pairs]
    ranks = np.array([ranks for ranks, _ in found], dtype=float).T
    counts = np.array([counts for _, counts in found], dtype=float).transpose(1, 2, 0)
    pipeline = np.array([pp for pp, _ in pairs], dtype=float)
    return Stages(
        counts=counts,
        first=(ranks == 0).astype(float),
        last=(ranks == pipeline - 1).astype(float),
        rank=ranks,
    )
