"""Which layers sit on which pipeline rank, and the few ranks that can be the worst.

Layers are dealt to ``pp × vpp`` chunks in order. When they do not divide evenly the chunks at the
two ends get fewer, for the first also holds the embedding and the last the loss head (Llama 3 cut
its 126 layers over 16 ranks in this way). Some frameworks deal by weight instead: each chunk takes
layers until it has passed its share, and the head counts like any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from clusterwright.model.parameters import count_block
from clusterwright.model.records import Model
from clusterwright.training.flops import head_layers

Array = Any

EMBEDDING_LAYERS = 0.3
"""What the embedding's look-up, and its memory, count for when layers are dealt out."""


class Dealing(NamedTuple):
    """How layers are dealt to chunks.

    ``head_layers``: work of the loss head (and what is trained with it), in layers. [1]
    ``by_weight``: each chunk takes layers, and the head after them, until it has passed its share
    of the whole; otherwise all get the same number, or balanced ones, and the last the head.
    """

    head_layers: float = 1.0
    by_weight: bool = False

    def chunks(self, num_layers: int, num_chunks: int) -> tuple[np.ndarray, int]:
        """Layers in each chunk, and the chunk that holds the head."""
        if self.by_weight:
            return weighed_sizes(num_layers, num_chunks, self.head_layers)
        return chunk_sizes(num_layers, num_chunks, self.head_layers), num_chunks - 1


EVENLY = Dealing()


def dealing_of(model: Model, sequence_length: int, *, by_weight: bool) -> Dealing:
    """How a model's layers are dealt to pipeline stages: by their FLOPs, or by their weights."""
    if by_weight:
        # Matrices alone, as the framework counts: a head of exactly four layers makes ties.
        counts = [count_block(block, model.hidden_size) for block in model.blocks]
        weights = sum(
            number * (count.mixer + count.mlp + count.experts + count.shared_experts)
            for count, number in zip(counts, model.count_of, strict=True)
        )
        layer = weights / model.num_layers
        return Dealing(model.vocab_size * model.hidden_size / layer, by_weight=True)
    return Dealing(head_layers(model, sequence_length))


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


def weighed_sizes(num_layers: int, num_chunks: int, head_layers: float) -> tuple[np.ndarray, int]:
    """Layers in each chunk, and the head's chunk, when each takes on until it passes its share.

    A chunk is left after the layer that brings the running sum above its share; with a heavy head
    the first chunks get more, and the last may get nothing (nanotron, ``models/base.py``).

    >>> sizes, head = weighed_sizes(16, 2, 4.0)
    >>> sizes.tolist(), head
    ([11, 5], 1)
    >>> sizes, head = weighed_sizes(16, 8, 4.0)
    >>> sizes.tolist(), head
    ([3, 3, 2, 3, 2, 3, 0, 0], 6)
    """
    share = (num_layers + head_layers) / num_chunks
    sizes = np.zeros(num_chunks, dtype=int)
    chunk = 0
    for dealt in range(1, num_layers + 1):
        sizes[chunk] += 1
        # The last share ends with the last layer, whatever rounding makes of their product.
        if chunk + 1 < num_chunks and dealt > share * (chunk + 1):
            chunk += 1
    return sizes, chunk


def chunk_counts(
    layout: tuple[int, ...], num_kinds: int, num_chunks: int, dealing: Dealing = EVENLY
) -> tuple[np.ndarray, int]:
    """Layers of each kind in each chunk, in the model's order, (chunks, kinds); the head's chunk.

    >>> counts, head = chunk_counts((0, 0, 1, 1), 2, 2)
    >>> counts.tolist(), head
    ([[2, 0], [0, 2]], 1)
    """
    sizes, head = dealing.chunks(len(layout), num_chunks)
    one_hot = np.eye(num_kinds, dtype=int)[list(layout)]
    running = np.vstack([np.zeros((1, num_kinds), dtype=int), np.cumsum(one_hot, axis=0)])
    ends = np.cumsum(sizes)
    return running[ends] - running[ends - sizes], head


def rank_counts(
    layout: tuple[int, ...], num_kinds: int, pp: int, vpp: int, dealing: Dealing = EVENLY
) -> tuple[np.ndarray, int]:
    """Layers of each kind on each pipeline rank, (pp, kinds), and the head's rank.

    Chunk *c* lies on rank *c mod pp*.

    >>> counts, head = rank_counts((0, 1, 0, 1), 2, 2, 2)
    >>> counts.tolist(), head
    ([[2, 0], [0, 2]], 1)
    """
    chunks, head = chunk_counts(layout, num_kinds, pp * vpp, dealing)
    return chunks.reshape(vpp, pp, num_kinds).sum(axis=0), head % pp


@lru_cache(maxsize=4096)
def _slots(
    layout: tuple[int, ...], num_kinds: int, pp: int, vpp: int, dealing: Dealing
) -> tuple[list[int], np.ndarray, int]:
    """Ranks worth looking at, and the head's: both ends, the middle rank richest in each kind."""
    counts, head = rank_counts(layout, num_kinds, pp, vpp, dealing)
    ranks = [0, head]
    for kind in range(num_kinds):
        middle = counts[1 : pp - 1] if pp > 2 else counts
        order = middle[:, kind] * 10_000 + middle.sum(axis=1)
        ranks.append(int(np.argmax(order)) + (1 if pp > 2 else 0))
    return ranks, counts[ranks], head


def stages_of(
    layout: tuple[int, ...],
    num_kinds: int,
    pairs: list[tuple[int, int]],
    *,
    dealing: Dealing = EVENLY,
    every_rank: bool = False,
) -> Stages:
    """Slots of every (pp, vpp) pair.

    ``every_rank``: after the worst, all the other ranks (for one pair alone).
    """
    found = [_slots(layout, num_kinds, pp, vpp, dealing) for pp, vpp in pairs]
    if every_rank:
        [(pp, vpp)], [(worst, _, head)] = pairs, found
        every = [*worst, *(rank for rank in range(pp) if rank not in worst)]
        counts, _ = rank_counts(layout, num_kinds, pp, vpp, dealing)
        found = [(every, counts[every], head)]
    ranks = np.array([ranks for ranks, _, _ in found], dtype=float).T
    counts = np.array([counts for _, counts, _ in found], dtype=float).transpose(1, 2, 0)
    heads = np.array([head for _, _, head in found], dtype=float)
    return Stages(
        counts=counts,
        first=(ranks == 0).astype(float),
        last=(ranks == heads).astype(float),
        rank=ranks,
    )


def chunks_of(
    layout: tuple[int, ...], num_kinds: int, pp: int, vpp: int, *, dealing: Dealing = EVENLY
) -> tuple[Stages, Array]:
    """Every kind of chunk of one (pp, vpp) pair as a slot, and each chunk's slot in order."""
    counts, head = chunk_counts(layout, num_kinds, pp * vpp, dealing)
    place = np.arange(pp * vpp)
    rows = np.column_stack([counts, place == 0, place == head])
    kinds, alike = np.unique(rows, axis=0, return_inverse=True)
    kinds = kinds.astype(float)[:, :, None]
    first, last = kinds[:, -2], kinds[:, -1]
    return Stages(kinds[:, :-2].copy(), first, last, np.zeros_like(first)), alike.ravel()
