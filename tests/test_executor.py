"""The executor: exact, each operation once, the same compiled and plain; and what slows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_schedules import ORDERS, made

from clusterwright.engines import orders
from clusterwright.engines.compiled import compiled
from clusterwright.engines.costs import StageCosts
from clusterwright.engines.executor import (
    Noise,
    durations,
    execute,
    run_loop,
    sample_makespans,
)
from clusterwright.engines.kernel import play
from clusterwright.engines.schedule import (
    BACKWARD,
    BOTH,
    FORWARD,
    INPUT,
    WEIGHT,
    Schedule,
    looped,
)
from clusterwright.errors import InputError
from clusterwright.formulas import pipeline

NAMES = sorted(ORDERS)


def random_costs(num_stages, seed, *, hop=0.1):
    rng = np.random.default_rng(seed)

    def some(scale):
        return rng.uniform(0.5, 1.5, num_stages) * scale

    return StageCosts(
        forward=some(1.0),
        input_gradient=some(1.2),
        weight_gradient=some(0.8),
        forward_hop=some(hop),
        backward_hop=some(hop),
        kept_bytes=some(1e9),
        weight_share=rng.uniform(0.0, 1.0, num_stages),
    )


def finish_times(timeline):
    """(kind, stage, micro-batch) → start and end; fused operations count as both."""
    index, rows = timeline.schedule.halves
    return {
        tuple(row.tolist()): (timeline.start[op], timeline.end[op])
        for op, row in zip(index, rows, strict=True)
    }


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(seed=st.integers(0, 999), blocking=st.booleans())
def test_operations_wait_for_what_they_need_and_for_nothing_else(name, seed, blocking):
    schedule = made(name, 4, 8)
    costs = random_costs(schedule.placement.num_stages, seed)
    timeline = execute(schedule, costs, blocking=blocking)
    when = finish_times(timeline)
    place = schedule.placement
    for (kind, stage, micro), (start, _) in when.items():
        if kind == WEIGHT:
            assert start >= when[INPUT, stage, micro][1]
            continue
        if kind == FORWARD:
            source = place.previous[stage]
            needed = when[FORWARD, source, micro][1] if source >= 0 else 0.0
            hop = costs.forward_hop[source] if source >= 0 else 0.0
        else:
            source = place.following[stage]
            kinds = [k for k in (BACKWARD, INPUT) if (k, source, micro) in when]
            needed = when[kinds[0], source, micro][1] if kinds else when[FORWARD, stage, micro][1]
            hop = costs.backward_hop[source] if kinds else 0.0
        crosses = source >= 0 and place.rank_of[source] != place.rank_of[stage]
        assert start >= needed + (hop if crosses else 0.0) - 1e-9
    for rank in range(schedule.num_ranks):
        own = slice(schedule.first[rank], schedule.first[rank + 1])
        assert (timeline.start[own][1:] >= timeline.end[own][:-1]).all()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(seed=st.integers(0, 999), blocking=st.booleans(), data=st.data())
def test_a_longer_operation_never_shortens_the_step(name, seed, blocking, data):
    schedule = made(name, 4, 8)
    costs = random_costs(schedule.placement.num_stages, seed)
    seconds = durations(schedule, costs)
    longer = seconds.copy()
    longer[data.draw(st.integers(0, len(schedule) - 1))] += data.draw(st.floats(0.0, 5.0))
    before = run_loop(schedule, costs, seconds, blocking=blocking)[1].max()
    after = run_loop(schedule, costs, longer, blocking=blocking)[1].max()
    assert before <= after + 1e-9
    hop = replace(costs, forward_hop=2.0 * costs.forward_hop)
    assert before <= run_loop(schedule, hop, seconds, blocking=blocking)[1].max() + 1e-9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("blocking", [False, True])
def test_compiled_and_plain_agree_event_by_event(name, blocking):
    schedule = made(name, 8, 16)
    costs = random_costs(schedule.placement.num_stages, 7)
    noise, seed = Noise(slowdown={3: 1.2}, spread=0.1), 5
    lines = [
        execute(
            schedule,
            costs,
            blocking=blocking,
            noise=noise,
            rng=np.random.default_rng(seed),
            compile_loop=compile_loop,
        )
        for compile_loop in (True, False)
    ]
    np.testing.assert_array_equal(lines[0].start, lines[1].start)
    np.testing.assert_array_equal(lines[0].end, lines[1].end)


def test_the_loop_is_compiled_from_the_very_function():
    assert compiled(play).py_func is play


def test_hops_by_hand():
    """Two ranks, one micro-batch: F, hop, F, B, hop, B."""
    schedule = orders.one_forward_one_backward(2, 1)
    costs = StageCosts.uniform(2, hop=0.5)
    for blocking in (False, True):
        assert execute(schedule, costs, blocking=blocking).makespan == 3.0 + 3.0 + 2 * 0.5


def test_blocking_sends_hold_the_rank_up_and_others_do_not():
    schedule = orders.one_forward_one_backward(2, 8)
    costs = StageCosts.uniform(2, hop=0.25)
    # One rank's sends: an activation there, a gradient back, once per micro-batch each.
    free = execute(schedule, StageCosts.uniform(2)).makespan
    aside = execute(schedule, costs).makespan
    held = execute(schedule, costs, blocking=True).makespan
    assert free < aside < held
    assert held - free >= 8 * 0.25


def test_a_slow_link_carries_one_transfer_at_a_time():
    schedule = orders.gpipe(2, 4)
    costs = StageCosts.uniform(2, hop=10.0)
    timeline = execute(schedule, costs)
    starts = timeline.start[schedule.first[1] : schedule.first[1] + 4]
    assert starts.tolist() == [11.0, 21.0, 31.0, 41.0]


def test_memory_goes_partly_with_the_input_gradient():
    rows = [[(FORWARD, 0, 0), (FORWARD, 0, 1), (INPUT, 0, 0), (INPUT, 0, 1)]]
    rows[0] += [(WEIGHT, 0, 0), (WEIGHT, 0, 1)]
    schedule = Schedule.of_rows("split", looped(1), rows)
    costs = replace(StageCosts.uniform(1), weight_share=np.array([0.25]))
    during, after = execute(schedule, costs).memory
    assert after.tolist() == [1.0, 2.0, 1.25, 0.5, 0.25, 0.0]
    assert during.tolist() == [1.0, 2.0, 2.0, 1.25, 0.5, 0.25]


def test_an_overlapped_pair_holds_both_memories():
    rows = [[(FORWARD, 0, 0), (BOTH, 0, 1, 0, 0), (BACKWARD, 0, 1)]]
    timeline = execute(Schedule.of_rows("pair", looped(1), rows), StageCosts.uniform(1))
    assert timeline.memory[0].tolist() == [1.0, 2.0, 1.0]
    assert timeline.makespan == 6.0


def test_uneven_stages_cost_what_the_slowest_takes():
    schedule = orders.one_forward_one_backward(4, 64)
    head = replace(StageCosts.uniform(4), forward=np.array([1.0, 1.0, 1.0, 1.2]))
    timeline = execute(schedule, head)
    assert timeline.busy[3] == pytest.approx(64 * 3.2)
    assert timeline.makespan == pytest.approx(64 * 3.2 + 3 * 3.0)


def test_a_slow_rank_slows_its_operations_alone():
    schedule = orders.one_forward_one_backward(4, 8)
    costs = StageCosts.uniform(4)
    busy = execute(schedule, costs, noise=Noise(slowdown={2: 1.5})).busy
    assert busy.tolist() == [24.0, 24.0, 36.0, 24.0]


def test_jitter_keeps_the_mean_and_follows_the_seed():
    schedule = orders.gpipe(4, 400)
    costs, noise = StageCosts.uniform(4), Noise(spread=0.2)
    first = durations(schedule, costs, noise, np.random.default_rng(1))
    again = durations(schedule, costs, noise, np.random.default_rng(1))
    np.testing.assert_array_equal(first, again)
    even = durations(schedule, costs)
    assert first.mean() == pytest.approx(even.mean(), rel=0.02)
    assert np.log(first / even).std() == pytest.approx(0.2, rel=0.05)


def test_jitter_makes_a_pipeline_slower_on_average():
    schedule = orders.one_forward_one_backward(8, 16)
    costs, rng = StageCosts.uniform(8), np.random.default_rng(3)
    times = sample_makespans(schedule, costs, Noise(spread=0.2), rng=rng, num_samples=40)
    assert times.mean() > execute(schedule, costs).makespan
    assert times.std() > 0.0


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (Noise(slowdown={9: 2.0}), "there is no rank 9"),
        (Noise(slowdown={0: 0.0}), "a factor above 0"),
        (Noise(spread=-1.0), "from 0 to 2"),
        (Noise(spread=0.1), "needs a random generator"),
    ],
)
def test_noise_without_sense_is_refused(noise, message):
    with pytest.raises(InputError, match=message):
        execute(orders.gpipe(2, 2), StageCosts.uniform(2), noise=noise)


def test_costs_of_other_stages_are_refused():
    with pytest.raises(InputError, match="the schedule has 4 stages"):
        execute(orders.gpipe(4, 2), StageCosts.uniform(2))
    with pytest.raises(InputError, match="forward must be zero or more"):
        execute(orders.gpipe(2, 2), replace(StageCosts.uniform(2), forward=np.array([1, -1])))


def test_a_deadlock_names_who_waits_for_what():
    rows = [
        [(FORWARD, 0, 0), (BACKWARD, 0, 0), (FORWARD, 0, 1), (BACKWARD, 0, 1)],
        [(FORWARD, 1, 1), (FORWARD, 1, 0), (BACKWARD, 1, 0), (BACKWARD, 1, 1)],
    ]
    schedule = Schedule.of_rows("crossed", looped(2), rows)
    schedule.check()
    with pytest.raises(InputError) as refused:
        execute(schedule, StageCosts.uniform(2))
    said = str(refused.value)
    assert "rank 0 waits at its operation 1, 0B0, for 1B0" in said
    assert "rank 1 waits at its operation 0, 1F1, for 0F1" in said


def test_without_numba_the_loop_runs_and_asking_for_it_is_refused(monkeypatch):
    monkeypatch.setattr("clusterwright.engines.compiled.has_numba", lambda: False)
    monkeypatch.setattr("clusterwright.engines.compiled.WORTH_COMPILING", 0)
    compiled.cache_clear()
    schedule, costs = orders.gpipe(2, 2), StageCosts.uniform(2)
    assert execute(schedule, costs).makespan == 9.0
    with pytest.raises(InputError, match=r"clusterwright\[sim\]"):
        execute(schedule, costs, compile_loop=True)
    compiled.cache_clear()


@pytest.mark.parametrize(("p", "m", "v"), [(4, 8, 2), (8, 32, 8), (16, 64, 4)])
def test_transfers_beside_the_computation_show_while_it_fills_and_drains(p, m, v):
    schedule, hop = orders.interleaved(p, m, v), 0.02
    plain = StageCosts.uniform(p * v, forward=1 / v, input_gradient=1 / v, weight_gradient=1 / v)
    slow = replace(plain, forward_hop=plain.forward_hop + hop, backward_hop=plain.forward_hop + hop)
    shown = execute(schedule, slow).makespan - execute(schedule, plain).makespan
    sizes = {"num_stages": p, "num_chunks": v, "num_micro_batches": m}
    expected = pipeline.exposed_hop_time(hop, overlapped=True, **sizes)
    assert shown == pytest.approx(float(expected))


@pytest.mark.parametrize(("p", "m"), [(4, 8), (8, 32), (16, 64)])
def test_transfers_in_their_own_time_follow_every_operation(p, m):
    schedule, hop = orders.one_forward_one_backward(p, m), 0.02
    plain = execute(schedule, StageCosts.uniform(p)).makespan
    shown = execute(schedule, StageCosts.uniform(p, hop=hop), blocking=True).makespan - plain
    sizes = {"num_stages": p, "num_chunks": 1, "num_micro_batches": m}
    expected = float(pipeline.exposed_hop_time(hop, overlapped=False, **sizes))
    # The ends send one way only, which saves the closed form's last few.
    assert expected - 4 * hop <= shown <= expected


@pytest.mark.parametrize(("p", "m"), [(8, 32), (16, 512)])
def test_a_heavy_head_is_paid_with_every_micro_batch(p, m):
    v, head = 8, 0.05
    costs = StageCosts.uniform(v * p, forward=1 / v, input_gradient=2 / v, weight_gradient=0.0)
    extra = np.zeros(v * p)
    extra[-1] = head
    heavy = replace(
        costs, forward=costs.forward + extra, input_gradient=costs.input_gradient + 2.0 * extra
    )
    makespan = execute(orders.interleaved(p, m, v), heavy).makespan
    assert makespan == pytest.approx(3.0 * m * (1.0 + head) + 3.0 * (p - 1) / v, rel=1e-3)
