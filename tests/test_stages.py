"""Dealing layers to pipeline ranks, and which ranks are looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clusterwright.training.stages import (
    Dealing,
    chunk_sizes,
    rank_counts,
    stages_of,
    weighed_sizes,
)


def test_llama_405b_is_cut_as_its_paper_says():
    # Llama 3 herd of models, section 3.3.2: one layer fewer on the first and on the last stage.
    sizes = chunk_sizes(126, 16, 0.7)
    assert sizes[0] == sizes[-1] == 7
    assert set(sizes[1:-1]) == {8}


heads = st.floats(0.0, 8.0)


@given(layers=st.integers(1, 200), chunks=st.integers(1, 64), head=heads)
def test_every_layer_is_dealt_once_and_equally_between_the_ends(layers, chunks, head):
    sizes = chunk_sizes(layers, chunks, head)
    assert sizes.sum() == layers
    assert len(sizes) == chunks
    assert sizes.min() >= 0
    middle = sizes[1:-1]
    assert np.ptp(middle) <= 1 if len(middle) else True
    assert sizes[-1] <= sizes.max()


@given(layers=st.integers(1, 12), chunks=st.integers(1, 16), head=heads)
def test_layers_that_divide_are_dealt_evenly(layers, chunks, head):
    assert set(chunk_sizes(layers * chunks, chunks, head)) == {layers}


@given(
    layers=st.integers(16, 120),
    chunks=st.integers(2, 16),
    heads=st.tuples(heads, heads).map(sorted),
)
def test_a_heavier_head_leaves_its_rank_no_more_layers(layers, chunks, heads):
    light, heavy = (chunk_sizes(layers, chunks, head)[-1] for head in heads)
    assert heavy <= light
    assert light <= np.ceil(layers / chunks)


def test_dealing_by_weight_is_that_of_nanotron():
    # Llama 1.34B of the Ultra-Scale Playbook: a head of 131,072 x 2048 weighs four layers.
    sizes, head = weighed_sizes(16, 4, 4.0)
    assert sizes.tolist() == [6, 5, 5, 0]
    assert head == 3


@example(layers=120, chunks=11, head=0.0)  # 11 times the share is less than 120 by rounding
@given(layers=st.integers(64, 200), chunks=st.integers(1, 64), head=heads)
def test_dealing_by_weight_deals_every_layer_once_and_fills_from_the_front(layers, chunks, head):
    sizes, place = weighed_sizes(layers, chunks, head)
    share = (layers + head) / chunks
    assert sizes.sum() == layers
    assert 0 <= place < chunks
    assert not sizes[place + 1 :].any()
    # Nobody is given more than its share and the layer that passes it.
    assert (np.cumsum(sizes)[:place] <= share * np.arange(1, place + 1) + 1.0).all()


def test_the_head_counts_where_it_is_dealt():
    dealing = Dealing(4.0, by_weight=True)
    stages = stages_of((0,) * 16, 1, [(8, 1)], dealing=dealing)
    assert stages.rank[1, 0] == 6.0
    assert stages.last[1, 0] == 1.0
    assert stages.counts[1, 0, 0] == 0.0


@given(
    layout=st.lists(st.integers(0, 2), min_size=1, max_size=60).map(tuple),
    pp=st.integers(1, 8),
    vpp=st.integers(1, 4),
)
def test_ranks_hold_all_layers_of_every_kind(layout, pp, vpp):
    counts, head = rank_counts(layout, 3, pp, vpp)
    assert head == pp - 1
    assert counts.shape == (pp, 3)
    assert counts.sum(axis=0).tolist() == [layout.count(kind) for kind in range(3)]


def test_interleaved_chunks_go_round_the_ranks():
    # Eight layers, two ranks, two chunks each: rank 0 holds layers 0, 1, 4 and 5.
    layout = (0, 1, 2, 2, 0, 1, 2, 2)
    counts, _ = rank_counts(layout, 3, 2, 2)
    assert counts.tolist() == [[2, 2, 0], [0, 0, 4]]


@pytest.mark.parametrize("pp", [1, 2, 3, 8])
def test_the_ends_and_the_richest_rank_are_looked_at(pp):
    layout = (0,) * 3 + (1,) * 21
    stages = stages_of(layout, 2, [(pp, 1)])
    assert stages.rank[:2, 0].tolist() == [0, pp - 1]
    assert stages.first[0, 0] == 1.0
    assert stages.last[1, 0] == 1.0
    assert stages.first[:, 0].tolist() == (stages.rank[:, 0] == 0).tolist()
    assert stages.last[:, 0].tolist() == (stages.rank[:, 0] == pp - 1).tolist()
    whole, _ = rank_counts(layout, 2, pp, 1)
    # Slots are counts of real ranks; nobody's total is above the fullest that is looked at.
    for slot in range(len(stages.rank)):
        rank = int(stages.rank[slot, 0])
        assert stages.counts[slot, :, 0].tolist() == whole[rank].tolist()
    assert stages.counts[:, :, 0].sum(axis=1).max() == whole.sum(axis=1).max()
    for kind in range(2):
        assert stages.counts[:, kind, 0].max() == whole[:, kind].max()


def test_pairs_are_columns_beside_each_other():
    layout = (0,) * 12
    together = stages_of(layout, 1, [(1, 1), (2, 3), (4, 1)])
    for column, pair in enumerate([(1, 1), (2, 3), (4, 1)]):
        alone = stages_of(layout, 1, [pair])
        assert np.array_equal(together.counts[:, :, column], alone.counts[:, :, 0])
        assert np.array_equal(together.rank[:, column], alone.rank[:, 0])
