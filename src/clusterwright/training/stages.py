"""Which layers sit on which pipeline rank, and the few ranks that can be the worst.

Layers are dealt to ``pp × vpp`` chunks in order. When they do not divide evenly the chunks at the
two ends get fewer, for the first also holds the embedding and the last the loss head (Llama 3 cut
its 126 layers over 16 ranks in this way).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

Array = Any

EMBEDDING_LAYERS = 0.3
"""What the embedding's look-up, and its memory, count for when layers are dealt out."""


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


def chunk_sizes(num_layers: int, num_chunks: int, head_layers: float) -> np.ndarray:
    """Layers in each chunk: equal if they divide evenly, else balanced against the two ends.

    ``head_layers``: work of the loss head (and what is trained with it), in layers. The embedding
    counts `EMBEDDING_LAYERS`. What is left after rounding down goes to the largest remainders.

    >>> chunk_sizes(126, 16, 0.7).tolist()
    [7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 7]
    >>> chunk_sizes(61, 16, 3.8).tolist()
    [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 1]
    """
    if num_layers % num_chunks == 0:
        return np.full(num_chunks, num_layers // num_chunks)
    wanted = np.full(num_chunks, (num_layers + head_layers + EMBEDDING_LAYERS) / num_chunks)
    wanted[0] -= EMBEDDING_LAYERS
    wanted[-1] -= head_layers
    wanted = np.maximum(wanted, 0.0)
    wanted *= num_layers / wanted.sum()
    sizes: np.ndarray = np.floor(wanted).astype(int)
    order = np.argsort(-(wanted - sizes), kind="stable")
    sizes[order[: num_layers - sizes.sum()]] += 1
    return sizes


def chunk_counts(
    layout: tuple[int, ...], num_kinds: int, num_chunks: int, head_layers: float = 1.0
) -> np.ndarray:
    """Layers of each kind in each chunk, in the model's order, (chunks, kinds).

    >>> chunk_counts((0, 0, 1, 1), 2, 2).tolist()
    [[2, 0], [0, 2]]
    """
    sizes = chunk_sizes(len(layout), num_chunks, head_layers)
    one_hot = np.eye(num_kinds, dtype=int)[list(layout)]
    running = np.vstack([np.zeros((1, num_kinds), dtype=int), np.cumsum(one_hot, axis=0)])
    ends = np.cumsum(sizes)
    counts: np.ndarray = running[ends] - running[ends - sizes]
    return counts


def rank_counts(
    layout: tuple[int, ...], num_kinds: int, pp: int, vpp: int, head_layers: float = 1.0
) -> np.ndarray:
    """Layers of each kind on each pipeline rank, (pp, kinds); chunk *c* lies on rank *c mod pp*.

    >>> rank_counts((0, 1, 0, 1), 2, 2, 2).tolist()
    [[2, 0], [0, 2]]
    """
    chunks = chunk_counts(layout, num_kinds, pp * vpp, head_layers)
    counts: np.ndarray = chunks.reshape(vpp, pp, num_kinds).sum(axis=0)
    return counts


@lru_cache(maxsize=4096)
def _slots(
    layout: tuple[int, ...], num_kinds: int, pp: int, vpp: int, head_layers: float
) -> tuple[list[int], np.ndarray]:
    """Ranks worth looking at: the ends, and the middle rank richest in each kind of layer."""
    counts = rank_counts(layout, num_kinds, pp, vpp, head_layers)
    ranks = [0, pp - 1]
    for kind in range(num_kinds):
        middle = counts[1 : pp - 1] if pp > 2 else counts
        order = middle[:, kind] * 10_000 + middle.sum(axis=1)
        ranks.append(int(np.argmax(order)) + (1 if pp > 2 else 0))
    return ranks, counts[ranks]


def stages_of(
    layout: tuple[int, ...],
    num_kinds: int,
    pairs: list[tuple[int, int]],
    *,
    head_layers: float,
    every_rank: bool = False,
) -> Stages:
    """Slots of every (pp, vpp) pair; ``head_layers`` as in `chunk_sizes`.

    ``every_rank``: after the worst, all the other ranks (for one pair alone).
    """
    found = [_slots(layout, num_kinds, pp, vpp, head_layers) for pp, vpp in pairs]
    if every_rank:
        [(pp, vpp)], [(worst, _)] = pairs, found
        every = [*worst, *(rank for rank in range(pp) if rank not in worst)]
        found = [(every, rank_counts(layout, num_kinds, pp, vpp, head_layers)[every])]
    ranks = np.array([ranks for ranks, _ in found], dtype=float).T
    counts = np.array([counts for _, counts in found], dtype=float).transpose(1, 2, 0)
    pipeline = np.array([pp for pp, _ in pairs], dtype=float)
    return Stages(
        counts=counts,
        first=(ranks == 0).astype(float),
        last=(ranks == pipeline - 1).astype(float),
        rank=ranks,
    )


def chunks_of(
    layout: tuple[int, ...], num_kinds: int, pp: int, vpp: int, *, head_layers: float
) -> tuple[Stages, Array]:
    """Every kind of chunk of one (pp, vpp) pair as a slot, and each chunk's slot in order."""
    counts = chunk_counts(layout, num_kinds, pp * vpp, head_layers)
    place = np.arange(pp * vpp)
    rows = np.column_stack([counts, place == 0, place == pp * vpp - 1])
    kinds, alike = np.unique(rows, axis=0, return_inverse=True)
    kinds = kinds.astype(float)[:, :, None]
    first, last = kinds[:, -2], kinds[:, -1]
    return Stages(kinds[:, :-2].copy(), first, last, np.zeros_like(first)), alike.ravel()
