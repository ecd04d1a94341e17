"""Collectives against hand calculations, their limits, and what may never happen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright.formulas import collectives

SIZES = (8.0, 72.0, 1024.0)
BANDWIDTHS = (450e9, 100e9, 50e9)
LATENCIES = (3e-6, 5e-6, 14e-6)
NODE = {"level_sizes": (8.0, 1024.0), "level_bandwidths": (400e9, 50e9)}
HOPS = {"level_sizes": (8.0, 1024.0), "level_latencies": (3e-6, 14e-6)}
powers = st.integers(0, 9).map(lambda exponent: 2.0**exponent)
bandwidths = st.floats(1e8, 1e13)


def ring(group, stride, **machine):
    return float(collectives.ring_inverse_bandwidth(group, stride, **(machine or NODE)))


def all_to_all(group, stride, **machine):
    return float(collectives.all_to_all_inverse_bandwidth(group, stride, **(machine or NODE)))


@pytest.mark.parametrize(
    ("group", "stride", "seconds_per_byte"),
    [
        (8, 1, 7 / 8 / 400e9),  # inside a node: Thakur's (p - 1)/p n/b
        (2, 4, 1 / 2 / 400e9),
        (2, 8, 1 / 2 / 50e9),  # one member a node: one NIC
        (128, 8, 127 / 128 / 50e9),
        (16, 4, 15 / 16 / 100e9),  # two members a node drive two NICs
        (16, 1, 15 / 16 / 400e9),  # eight members a node: the NICs together equal the link
        (1024, 1, 1023 / 1024 / 400e9),
    ],
)
def test_a_ring_runs_at_the_pace_of_its_slowest_crossing(group, stride, seconds_per_byte):
    assert ring(group, stride) == pytest.approx(seconds_per_byte, rel=1e-12)


def test_groups_that_span_nodes_share_the_nics_of_the_node():
    # tp = 8 inside the node and dp over nodes: eight groups at once, one NIC each. A single group
    # of all ranks owns all eight NICs: its slowest crossing is eight times faster.
    slow = {"level_sizes": (8.0, 1024.0), "level_bandwidths": (1e15, 50e9)}
    alone = ring(1024, 1, **slow) / (1023 / 1024)
    beside = ring(128, 8, **slow) / (127 / 128)
    assert beside / alone == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("group", "stride", "seconds_per_byte"),
    [
        (8, 1, 7 / 8 / 400e9),  # a rank keeps its own eighth
        (16, 1, 1 / 2 / 50e9),  # half of the partners sit in the other node
        (64, 1, 56 / 64 / 50e9),
        (8, 8, 7 / 8 / 50e9),
        (16, 4, 14 / 16 / 50e9),
    ],
)
def test_an_all_to_all_sends_over_the_network_what_leaves_the_node(group, stride, seconds_per_byte):
    assert all_to_all(group, stride) == pytest.approx(seconds_per_byte, rel=1e-12)


@pytest.mark.parametrize(
    ("group", "stride", "latency"),
    [
        (2, 1, 3e-6),
        (8, 1, 7 * 3e-6),
        (16, 1, 14 * 3e-6 + 1 * 14e-6),
        (4, 8, 3 * 14e-6),
        (64, 1, 56 * 3e-6 + 7 * 14e-6),
    ],
)
def test_a_ring_of_g_ranks_takes_g_minus_1_steps(group, stride, latency):
    assert float(collectives.ring_latency(group, stride, **HOPS)) == pytest.approx(latency)


def test_ring_latency_counts_every_step_once():
    same = {"level_sizes": SIZES, "level_latencies": (1.0, 1.0, 1.0)}
    for group in (2.0, 8.0, 64.0, 1024.0):
        assert float(collectives.ring_latency(group, 1.0, **same)) == pytest.approx(group - 1)


def test_a_tree_is_logarithmic_between_nodes():
    steps = [float(collectives.tree_latency(8.0 * n, 1.0, **HOPS)) for n in (1, 2, 4, 8, 16)]
    assert np.diff(steps) == pytest.approx([14e-6] * 4)
    assert steps[0] == pytest.approx(7 * 3e-6)


@pytest.mark.parametrize(
    ("stride", "bandwidth", "latency"),
    [(1, 450e9, 3e-6), (4, 450e9, 3e-6), (8, 100e9, 5e-6), (36, 100e9, 5e-6), (64, 50e9, 14e-6)],
)
def test_neighbours_use_the_lowest_level_that_joins_them(stride, bandwidth, latency):
    inverse = collectives.point_to_point_inverse_bandwidth(
        stride, level_sizes=SIZES, level_bandwidths=BANDWIDTHS
    )
    hop = collectives.point_to_point_latency(stride, level_sizes=SIZES, level_latencies=LATENCIES)
    assert 1.0 / float(inverse) == pytest.approx(bandwidth)
    assert float(hop) == latency


@given(stride=powers)
def test_a_group_of_one_costs_nothing(stride):
    flow = {"level_sizes": SIZES, "level_bandwidths": BANDWIDTHS}
    hops = {"level_sizes": SIZES, "level_latencies": LATENCIES}
    assert ring(1.0, stride, **flow) == 0.0
    assert all_to_all(1.0, stride, **flow) == 0.0
    for latency in (collectives.ring_latency, collectives.tree_latency):
        assert float(latency(1.0, stride, **hops)) == 0.0


@given(group=powers, stride=powers)
def test_with_infinite_bandwidth_only_latency_is_left(group, stride):
    flow = {"level_sizes": SIZES, "level_bandwidths": (math.inf,) * 3}
    hops = {"level_sizes": SIZES, "level_latencies": LATENCIES}
    assert ring(group, stride, **flow) == 0.0
    assert all_to_all(group, stride, **flow) == 0.0
    at_least = 0.0 if group == 1.0 else LATENCIES[0]
    assert float(collectives.ring_latency(group, stride, **hops)) >= at_least


@given(group=powers, stride=powers, rates=st.tuples(bandwidths, bandwidths, bandwidths))
def test_larger_groups_never_take_less_for_the_same_bytes(group, stride, rates):
    flow = {"level_sizes": SIZES, "level_bandwidths": rates}
    assert ring(2 * group, stride, **flow) >= ring(group, stride, **flow)


@given(
    group=powers,
    stride=powers,
    rates=st.tuples(bandwidths, bandwidths, bandwidths),
    level=st.integers(0, 2),
    factor=st.floats(1.0, 100.0),
)
def test_a_faster_level_never_slows_a_collective(group, stride, rates, level, factor):
    better = tuple(rate * (factor if i == level else 1.0) for i, rate in enumerate(rates))
    for cost in (ring, all_to_all):
        slow = cost(group, stride, level_sizes=SIZES, level_bandwidths=rates)
        fast = cost(group, stride, level_sizes=SIZES, level_bandwidths=better)
        assert fast <= slow


@given(group=powers, stride=powers)
def test_an_all_to_all_never_beats_what_must_leave_the_rank(group, stride):
    flow = {"level_sizes": SIZES, "level_bandwidths": (1e11,) * 3}
    least = 0.0 if group == 1.0 else 0.5 / 1e11
    assert least <= all_to_all(group, stride, **flow) <= 1.0 / 1e11


@settings(max_examples=30)
@given(
    groups=st.lists(powers, min_size=1, max_size=6),
    strides=st.lists(powers, min_size=1, max_size=6),
)
def test_many_groups_at_once_are_the_same_as_one_by_one(groups, strides):
    g, s = np.array(groups)[:, None], np.array(strides)[None]
    table = collectives.ring_inverse_bandwidth(g, s, **NODE)
    apart = [[ring(group, stride) for stride in strides] for group in groups]
    assert np.array_equal(np.broadcast_to(table, np.shape(apart)), apart)
