"""Pipelines in closed form against the papers, and against a small pipeline run by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.formulas import pipeline


def bubble(times, *, chunks=1, micro=8):
    return float(
        pipeline.bubble_time(
            sum(times),
            max(times),
            num_stages=len(times),
            num_chunks=chunks,
            num_micro_batches=micro,
        )
    )


def one_f_one_b(forward, backward, micro):
    """When a 1F1B pipeline is done: every task after the tasks that it needs, in rank order."""
    stages = len(forward)
    orders = []
    for rank in range(stages):
        warm = min(stages - rank, micro)
        order = [("F", i) for i in range(warm)]
        for i in range(micro):
            order.append(("B", i))
            order += [("F", i + warm)] if i + warm < micro else []
        orders.append(order)
    done: dict[tuple[str, int, int], float] = {}
    clock, place = [0.0] * stages, [0] * stages
    while any(place[rank] < len(orders[rank]) for rank in range(stages)):
        for rank in range(stages):
            while place[rank] < len(orders[rank]):
                kind, i = orders[rank][place[rank]]
                needed = ("F", i, rank - 1) if kind == "F" else ("B", i, rank + 1)
                at_end = rank == (0 if kind == "F" else stages - 1)
                if not at_end and needed not in done:
                    break
                start = max(clock[rank], 0.0 if at_end else done[needed])
                clock[rank] = start + (forward if kind == "F" else backward)[rank]
                done[kind, i, rank] = clock[rank]
                place[rank] += 1
    return max(clock)


@pytest.mark.parametrize("stages", [1, 2, 4, 8])
@pytest.mark.parametrize("micro", [8, 32])
@pytest.mark.parametrize("chunks", [1, 2, 4])
def test_the_bubble_is_p_minus_1_over_v_m(stages, micro, chunks):
    # Narayanan et al., SC21, section 2.2: (p - 1)/m of the ideal time, interleaved (p - 1)/(v m).
    share = bubble([3.0] * stages, chunks=chunks, micro=micro) / (3.0 * micro)
    assert share == pytest.approx((stages - 1) / (chunks * micro))


def test_one_stage_has_no_bubble():
    assert bubble([5.0]) == 0.0


@given(
    stages=st.integers(1, 6),
    micro=st.integers(1, 12),
    forward=st.floats(0.5, 2.0),
    backward=st.floats(0.5, 4.0),
)
def test_equal_stages_take_what_a_pipeline_run_by_hand_takes(stages, micro, forward, backward):
    times = [forward + backward] * stages
    closed = micro * times[0] + bubble(times, micro=micro)
    assert one_f_one_b([forward] * stages, [backward] * stages, micro) == pytest.approx(closed)


@given(times=st.lists(st.floats(0.5, 2.0), min_size=1, max_size=6), micro=st.integers(6, 24))
def test_unequal_stages_take_about_what_a_pipeline_run_by_hand_takes(times, micro):
    # A slow first rank works on while the others fill; fast ranks between slow ones starve.
    closed = micro * max(times) + bubble(times, micro=micro)
    run = one_f_one_b(times, [2 * time for time in times], micro) / 3.0
    assert run >= micro * max(times) * (1 - 1e-12)
    assert run == pytest.approx(closed, rel=0.25)


def test_micro_batches_that_do_not_fill_a_round_cost_the_interleaved_schedule():
    full, partial = (bubble([1.0] * 4, chunks=2, micro=micro) for micro in (8, 9))
    assert full == pytest.approx(1.5)
    assert partial == pytest.approx(1.5 + 3 / 2)


def test_zb_h1_idles_p_minus_1_times_f_plus_b_minus_w():
    # Qi et al., ICLR 2024, table 2, where B is the input gradient alone.
    forward, inputs, weights, stages = 1.0, 1.1, 0.9, 8
    plain = bubble([forward + inputs + weights] * stages, micro=64)
    saved = pipeline.zero_bubble_saving(weights, num_stages=stages, delayed=2.0)
    assert plain == pytest.approx((stages - 1) * (forward + inputs + weights))
    assert plain - saved == pytest.approx((stages - 1) * (forward + inputs - weights))


def test_dualpipe_idles_as_its_table_says():
    # DualPipe, README: (PP/2 - 1)(F&B + B - 3W), with B the full backward.
    found = pipeline.dualpipe_bubble_time(3.2, 2.0, 0.9, num_stages=16)
    assert float(found) == pytest.approx(7 * (3.2 + 2.0 - 2.7))


def test_dualpipe_of_two_stages_has_no_bubble_and_none_is_negative():
    assert float(pipeline.dualpipe_bubble_time(3.0, 2.0, 1.0, num_stages=2)) == 0.0
    assert float(pipeline.dualpipe_bubble_time(1.0, 1.0, 1.0, num_stages=8)) == 0.0


def in_flight(rank, stages, chunks, micro):
    return float(
        pipeline.micro_batches_in_flight(
            rank, num_stages=stages, num_chunks=chunks, num_micro_batches=micro
        )
    )


@pytest.mark.parametrize("stages", [2, 4, 8, 16])
@pytest.mark.parametrize("chunks", [2, 3, 5])
def test_interleaving_keeps_p_times_1_plus_p_minus_1_over_p_v(stages, chunks):
    # Korthikanti et al., section 4.2.3, on the first rank.
    expected = stages * (1 + (stages - 1) / (stages * chunks))
    assert in_flight(0, stages, chunks, 1024) == pytest.approx(expected)


def test_without_interleaving_rank_r_keeps_p_minus_r():
    assert [in_flight(rank, 4, 1, 64) for rank in range(4)] == [4.0, 3.0, 2.0, 1.0]


@given(
    stages=st.integers(1, 32), chunks=st.integers(1, 8), micro=st.integers(1, 64), data=st.data()
)
def test_nobody_keeps_more_than_there_is_and_the_first_rank_keeps_most(stages, chunks, micro, data):
    rank = data.draw(st.integers(0, stages - 1))
    kept = in_flight(rank, stages, chunks, micro)
    assert 0 < kept <= micro
    assert kept <= in_flight(0, stages, chunks, micro)
