"""Published schedules, played out, give the bubbles and memories of their papers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.engines import bidirectional, controllable, orders
from clusterwright.engines.costs import StageCosts
from clusterwright.engines.executor import execute
from clusterwright.engines.schedule import BACKWARD, FORWARD, INPUT, Schedule, looped
from clusterwright.errors import InputError

CHUNKS = 3
ORDERS = {
    "GPipe": orders.gpipe,
    "1F1B": orders.one_forward_one_backward,
    "interleaved": lambda p, m: orders.interleaved(p, m, CHUNKS),
    "looped BFS": lambda p, m: orders.looped_breadth_first(p, m, CHUNKS),
    "ZB-H1": orders.zero_bubble_h1,
    "ZB-H2": orders.zero_bubble_h2,
    "interleaved zero-bubble": lambda p, m: orders.interleaved_zero_bubble(p, m, CHUNKS),
    "ZB-V": bidirectional.zero_bubble_v,
    "DualPipe": bidirectional.dualpipe,
    "DualPipeV": bidirectional.dualpipe_v,
    "V-Half": controllable.v_half,
    "V-Min": controllable.v_min,
}
SIZES = [(2, 4), (4, 8), (4, 32), (8, 16), (8, 64), (16, 64)]
F, B, W = 1.0, 1.3, 0.7
"""Seconds of a rank's forward, input gradient and weight gradient of one micro-batch."""


@cache
def made(name, p, m):
    schedule = ORDERS[name](p, m)
    schedule.check()
    return schedule


def played(name, p, m, *, f=F, b=B, w=W, both=None):
    """Stages that add up to a rank with the given times."""
    schedule = made(name, p, m)
    # DualPipe's two stages per rank are copies for half of the micro-batches each.
    parts = 1 if name == "DualPipe" else schedule.placement.num_stages // p
    costs = StageCosts.uniform(
        schedule.placement.num_stages,
        forward=f / parts,
        input_gradient=b / parts,
        weight_gradient=w / parts,
        both=None if both is None else both / parts,
    )
    return execute(schedule, costs), parts


def idle(timeline):
    return timeline.makespan - timeline.busy.max()


def idle_without_barrier(timeline):
    return timeline.span.max() - timeline.busy.max()


@pytest.mark.parametrize(("p", "m"), SIZES)
@pytest.mark.parametrize(
    ("name", "bubble"),
    [
        ("GPipe", lambda p: (p - 1) * (F + B + W)),
        ("1F1B", lambda p: (p - 1) * (F + B + W)),
        ("interleaved", lambda p: (p - 1) * (F + B + W) / CHUNKS),
        ("looped BFS", lambda p: (p - 1) * (F + B + W) / CHUNKS),
        ("ZB-H1", lambda p: (p - 1) * (F + B - W)),
    ],
)
def test_bubbles_of_the_papers(name, bubble, p, m):
    timeline, _ = played(name, p, m)
    assert idle(timeline) == pytest.approx(bubble(p), rel=1e-9)
    assert timeline.busy == pytest.approx(np.full(p, m * (F + B + W)))
    assert timeline.bubble == pytest.approx(bubble(p) / (m * (F + B + W)), rel=1e-9)


@pytest.mark.parametrize(("p", "m"), SIZES)
def test_interleaved_zero_bubble_divides_zb_h1_by_the_chunks(p, m):
    timeline, _ = played("interleaved zero-bubble", p, m, f=1.0, b=1.0, w=1.0)
    assert idle(timeline) == pytest.approx((p - 1) / CHUNKS)


@pytest.mark.parametrize(("p", "m"), [(2, 4), (4, 8), (8, 16), (16, 64)])
@pytest.mark.parametrize("name", ["ZB-H2", "ZB-V"])
def test_zero_bubble_without_the_barrier(name, p, m):
    timeline, _ = played(name, p, m, f=1.0, b=1.0, w=1.0)
    assert idle_without_barrier(timeline) == pytest.approx(0.0, abs=1e-9)
    # With the barrier the last rank's start shows, and nothing else.
    parts = 1 if name == "ZB-H2" else 2
    assert idle(timeline) == pytest.approx((p - 1) / parts)


@pytest.mark.parametrize(("p", "m"), [(4, 16), (6, 36), (8, 32), (9, 45), (16, 64)])
@pytest.mark.parametrize(
    ("name", "shares"), [("V-Half", (1 / 2, 1 / 2, 1)), ("V-Min", (2 / 3, 1 / 3, 2))]
)
def test_controllable_memory_is_bought_with_the_bubble_of_the_paper(name, shares, p, m):
    """Shares of 1F1B's, the memory up to a constant number of chunks."""
    bubble, memory, more = shares
    timeline, parts = played(name, p, m, f=1.0, b=1.0, w=1.0)
    plain, _ = played("1F1B", p, m, f=1.0, b=1.0, w=1.0)
    share = idle(timeline) / idle(plain)
    assert bubble - 1.0 / p <= share <= bubble
    peak = timeline.peak_bytes.max() / parts
    assert memory * p <= peak <= memory * p + more


def test_controllable_memory_at_f_b_w_follows_its_building_block():
    """A rank's steady state repeats every six slots: each kind of operation of each chunk once."""
    schedule = controllable.v_min(4, 32)
    own = schedule.ops[: schedule.first[1]][90:126]
    rounds = [{tuple(op[:2].tolist()) for op in own[at : at + 6]} for at in range(0, 36, 6)]
    assert all(len(one) == 6 for one in rounds)


@pytest.mark.parametrize(("p", "m"), [(4, 8), (4, 32), (8, 16), (8, 64), (16, 64)])
@pytest.mark.parametrize("unit", [1.0, 0.3])
def test_dualpipe_idles_as_its_authors_say(p, m, unit):
    """Their formula is exact at F = I = W and no gain by the overlap; elsewhere it is not."""
    together, full = 3 * unit, 2 * unit
    timeline, _ = played("DualPipe", p, m, f=unit, b=unit, w=unit)
    assert idle(timeline) == pytest.approx((p / 2 - 1) * (together + full - 3 * unit), rel=1e-9)


@pytest.mark.parametrize("both", [1.0, 0.8, 2 / 3])
def test_dualpipe_overlap_shortens_the_steady_state(both):
    """All but the pairs of fill and drain run at the overlapped pace."""
    p, together = 8, 3.0 * both
    short, _ = played("DualPipe", p, 32, f=1.0, b=1.0, w=1.0, both=together)
    long, _ = played("DualPipe", p, 64, f=1.0, b=1.0, w=1.0, both=together)
    assert long.makespan - short.makespan == pytest.approx(32 * together)


@pytest.mark.parametrize(("p", "m"), [(2, 4), (4, 8), (8, 32)])
def test_dualpipe_v_is_dualpipe_on_half_the_ranks(p, m):
    folded, parts = played("DualPipeV", p, m)
    whole, _ = played("DualPipe", 2 * p, 2 * m, f=F / parts, b=B / parts, w=W / parts)
    assert folded.makespan == pytest.approx(whole.makespan, rel=1e-9)
    assert folded.peak_bytes[0] == pytest.approx(whole.peak_bytes[0])


@pytest.mark.parametrize(("p", "m"), [(4, 8), (4, 32), (8, 64)])
@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("GPipe", max),
        ("1F1B", min),
        ("interleaved", lambda p, m: min(m, p * (1 + (p - 1) / (p * CHUNKS)))),
        ("looped BFS", max),
        ("ZB-H1", min),
        ("ZB-H2", lambda p, m: min(m, 2 * p - 1)),
        ("ZB-V", min),
        ("DualPipe", lambda p, m: min(m, p + 1)),
        ("DualPipeV", lambda p, m: min(m, p + 0.5)),
    ],
)
def test_peak_activations_of_the_papers(name, peak, p, m):
    timeline, parts = played(name, p, m)
    assert timeline.peak_bytes[0] / parts == pytest.approx(peak(p, m))
    if name != "1F1B":
        return
    assert timeline.peak_bytes.tolist() == [min(m, p - rank) for rank in range(p)]


@pytest.mark.parametrize("name", sorted(ORDERS))
@given(p=st.integers(1, 7), extra=st.integers(0, 9))
def test_every_order_is_whole_and_runs(name, p, extra):
    p, m = (2 * p, 4 * p + 2 * extra) if name.startswith("Dual") else (p, 1 + extra)
    timeline, parts = played(name, p, m)
    assert timeline.busy == pytest.approx(np.full(p, m * (F + B + W)))
    assert timeline.makespan >= timeline.busy.max() * (1 - 1e-12)
    last = timeline.schedule.first[1:] - 1
    assert timeline.memory[1][last] == pytest.approx(np.zeros(p), abs=1e-9)
    assert timeline.peak_bytes.max() <= m * parts + 1e-9


@pytest.mark.parametrize(("p", "m", "group"), [(4, 12, 6), (4, 10, 5), (4, 14, 8), (3, 7, 7)])
def test_interleaved_groups_as_megatron_allows(p, m, group):
    schedule = orders.interleaved(p, m, 2, group_size=group)
    schedule.check()
    rank_0 = schedule.ops[: schedule.first[1]]
    forwards = rank_0[rank_0[:, 0] == FORWARD]
    assert forwards[:group, 2].tolist() == list(range(min(group, m)))
    assert set(forwards[:group, 1]) == {0}
    warm_up = np.argmax(rank_0[:, 0] == BACKWARD)
    assert warm_up == min(2 * (p - 1) + group + 1, 2 * m)
    timeline = execute(schedule, StageCosts.uniform(2 * p))
    assert timeline.makespan >= (2 * m + p - 1) * 3.0


@pytest.mark.parametrize(("m", "group", "least"), [(8, 3, 4), (9, 4, 5), (11, 9, 6)])
def test_groups_that_would_wait_for_themselves_are_refused(m, group, least):
    with pytest.raises(InputError, match=f"the least that works is {least}"):
        orders.interleaved(4, m, 2, group_size=group)
    assert execute(orders.interleaved(4, m, 2), StageCosts.uniform(8)).makespan > m * 6.0


@pytest.mark.parametrize("make", [orders.gpipe, bidirectional.zero_bubble_v])
def test_sizes_below_one_are_refused(make):
    with pytest.raises(InputError, match="give at least 1"):
        make(0, 4)


@pytest.mark.parametrize(("p", "m"), [(3, 12), (4, 9), (4, 6)])
def test_dualpipe_refuses_what_its_authors_refuse(p, m):
    with pytest.raises(InputError, match="twice as many"):
        bidirectional.dualpipe(p, m)


F0, B0 = (FORWARD, 0, 0), (BACKWARD, 0, 0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([F0], "0B0 is missing"),
        ([B0], "0F0 is missing"),
        ([F0, F0, B0], "0F0 is there twice"),
        ([B0, F0], "0B0 stands before its forward"),
        ([F0, (INPUT, 0, 0)], "0I0 and its W must both be there"),
        ([F0, B0, (INPUT, 0, 0), (3, 0, 0)], "0B0 is there as I and W too"),
        ([F0, (3, 0, 0), (INPUT, 0, 0)], "0W0 stands before its I"),
        ([F0, B0, (FORWARD, 4, 0)], "stage 4 does not exist"),
    ],
)
def test_an_order_with_a_fault_is_refused(row, message):
    with pytest.raises(InputError, match=message):
        Schedule.of_rows("bad", looped(1), [row]).check()


def test_a_stage_on_the_wrong_rank_is_refused():
    rows = [[F0, B0, (FORWARD, 1, 0)], [(BACKWARD, 1, 0)]]
    with pytest.raises(InputError, match="1F0 is on rank 0, its stage on rank 1"):
        Schedule.of_rows("bad", looped(2), rows).check()
