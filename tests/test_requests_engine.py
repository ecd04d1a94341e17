"""The engine for requests: the same compiled and plain, and what is played token by token."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests_cases import (
    COMPILED,
    Case,
    bent,
    cases,
    replica,
    requests_of,
    same,
    straight,
    traffics,
)
from requests_oracle import Oracle

from clusterwright.engines.compiled import compiled_family
from clusterwright.engines.requests.simulator import Played, ReplicaKind, play_requests
from clusterwright.engines.requests.things import DECODE, PREFILL
from clusterwright.errors import InputError

FEW = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(FEW, max_examples=400)
needs_numba = pytest.mark.skipif(
    not COMPILED, reason="numba is not installed: the compiled loop is NOT compared"
)


def play(case: Case, *, compile_loop: bool = False) -> Played:
    return play_requests(case.traffic, case.kinds, router=case.router, compile_loop=compile_loop)


def assert_as_token_by_token(case: Case) -> Oracle:
    """Compare with the oracle; returns that."""
    found, slow = play(case), Oracle(case.traffic, case.kinds, case.router).play()
    for name in ("sent", "first", "finish", "replica"):
        expected = [getattr(job, name) for job in slow.jobs]
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-9, err_msg=name)
    for name in ("steps", "worked", "preempted"):
        expected = [getattr(server, name) for server in slow.servers]
        np.testing.assert_array_equal(getattr(found, name), expected, err_msg=name)
    busy = [server.busy for server in slow.servers]
    np.testing.assert_allclose(found.busy, busy, rtol=1e-9, err_msg="busy")
    return slow


# Compiled and plain.


@needs_numba
@MANY
@given(case=cases(priorities=True, lazy=True))
def test_the_compiled_loop_gives_what_the_plain_one_gives_to_the_bit(case):
    assert same(play(case), play(case, compile_loop=True))


@needs_numba
@FEW
@given(case=cases(tight=True, gains=(1.0,), promises=(0.0,)))
def test_the_compiled_loop_preempts_as_the_plain_one_does(case):
    assert same(play(case), play(case, compile_loop=True))


@needs_numba
def test_a_day_of_requests_is_the_same_compiled_and_plain():
    rng = np.random.default_rng(5)
    size = 3000
    traffic = requests_of(
        np.cumsum(rng.exponential(1.0, size)),
        rng.integers(1, 90, size),
        rng.integers(1, 60, size),
        users=40,
        think=3.0,
    )
    kinds = [ReplicaKind(times=bent(3), blocks=40.0, block=4, budget=31, most=8, count=3)]
    one, other = (play(Case(traffic, kinds, "least-loaded"), compile_loop=c) for c in (False, True))
    assert one.preempted.sum() > 0
    assert same(one, other)


def test_without_numba_the_loop_runs_and_asking_for_it_is_refused(monkeypatch):
    monkeypatch.setattr("clusterwright.engines.compiled.has_numba", lambda: False)
    monkeypatch.setattr("clusterwright.engines.compiled.WORTH_COMPILING", 0)
    compiled_family.cache_clear()
    traffic = requests_of([0.0], [3], [4])
    assert play_requests(traffic, [replica()]).finish[0] == 4.0
    with pytest.raises(InputError, match=r"clusterwright\[sim\]"):
        play_requests(traffic, [replica()], compile_loop=True)
    compiled_family.cache_clear()


# Token by token.


@MANY
@given(case=cases(tight=False, priorities=True))
def test_with_blocks_for_all_each_request_has_the_times_of_token_by_token(case):
    slow = assert_as_token_by_token(case)
    assert sum(server.preempted for server in slow.servers) == 0


@MANY
@given(case=cases(tight=True, promises=(0.0,), gains=(1.0,), pools=False), mixed=st.booleans())
def test_whole_prompts_in_blocks_of_a_token_preempt_as_token_by_token(case, mixed):
    size = case.kinds[0].blocks * case.kinds[0].block
    shape = {"mixed": mixed, "chunked": not mixed, "block": 1, "blocks": size}
    kinds = [replace(kind, **shape) for kind in case.kinds]
    assert_as_token_by_token(Case(case.traffic, kinds, case.router))


@MANY
@given(case=cases(tight=True, pools=False, priorities=True))
def test_at_tight_blocks_each_request_has_the_times_of_token_by_token(case):
    assert_as_token_by_token(case)


@MANY
@given(case=cases(tight=False, lazy=True, pools=False))
def test_replicas_that_look_seldom_have_the_times_of_token_by_token(case):
    assert_as_token_by_token(case)


@FEW
@given(case=cases(tight=False, lazy=True, pools=False))
def test_replicas_that_poll_have_the_times_of_token_by_token(case):
    kinds = [replace(kind, patience=0, enough=0) for kind in case.kinds]
    assert_as_token_by_token(Case(case.traffic, kinds, case.router))


# What is easily done wrong, each at its smallest: all steps take 1 s.


def test_sequences_that_grow_at_the_same_step_are_preempted_at_that_step():
    traffic = requests_of([0.0, 0.0], [3, 3], [9, 9])
    found = play(Case(traffic, [replica(block=4, blocks=5, most=2)], "round-robin"))
    # Contexts of 8 tokens at 5 s, one block left, both need one: the younger goes back, to begin
    # again with 8 tokens when the elder is done at 9 s.
    assert found.preempted.tolist() == [1]
    assert found.finish.tolist() == [9.0, 13.0]


def test_a_preemption_holds_up_the_prompts_under_way_for_one_step():
    traffic = requests_of([0.0, 1.5, 1.5], [1, 40, 26], [60, 1, 1])
    found = play(Case(traffic, [replica(block=1, blocks=71, lanes=2, budget=8)], "round-robin"))
    # The second request has 5 chunks from 2 s on. At 4 s no block is left to the first: the third
    # goes back, and between the chunks lies one step of decoding alone.
    assert found.preempted.tolist() == [1]
    assert found.first[1] == 8.0


def test_what_is_let_in_leaves_the_blocks_of_this_step_to_those_that_decode():
    traffic = requests_of([0.0, 0.0, 0.5], [3, 3, 18], [5, 5, 2])
    found = play(Case(traffic, [replica(block=4, blocks=7)], "round-robin"))
    # At 1 s there are 5 blocks; decoding takes 2 of them, the third request needs 5.
    assert found.preempted.tolist() == [0]
    assert found.first[2] == 6.0


def test_a_request_is_let_in_at_the_step_at_which_promises_leave_it_room():
    traffic = requests_of([0.0, 1.5], [1, 3], [40, 8])
    found = play(Case(traffic, [replica(block=4, blocks=14, promise=1.0)], "round-robin"))
    # At 2 s 13.25 blocks are needed and 13 free, at 3 s 13 are needed and 13 free.
    assert found.first[1] == 4.0


def test_an_urgent_request_passes_one_that_does_not_fit_at_the_next_step():
    traffic = requests_of([0.0, 1.5, 2.5], [1, 30, 1], [20, 1, 1], priority=np.array([1, 1, 0]))
    found = play(Case(traffic, [replica(block=1, blocks=33)], "round-robin"))
    assert found.first.tolist() == [1.0, 21.0, 4.0]


def test_patience_begins_when_a_request_waits():
    traffic = requests_of([0.0, 50.5], [1, 1], [200, 1])
    found = play(Case(traffic, [replica(patience=10, enough=1000)], "round-robin"))
    assert found.first[1] == 61.0


def test_preempted_sequences_of_a_decoding_pool_gain_no_token_without_a_step():
    traffic = requests_of([0.0, 0.0, 0.0], [8, 8, 8], [40, 40, 40])
    kinds = [replica(role=PREFILL), replica(role=DECODE, block=4, blocks=15)]
    found = play(Case(traffic, kinds, "round-robin"))
    assert found.preempted.sum() > 0
    assert found.worked.tolist() == [0, 3 * 39]


def test_whatever_is_played_is_finished():
    traffic = requests_of([0.0], [1], [3])
    found = play(Case(traffic, [replica(block=1, blocks=6, gain=4.0)], "round-robin"))
    assert found.finish[0] > 0.0


# Jumps.


def test_ten_thousand_tokens_are_a_few_events_and_the_sum_of_their_steps():
    decode, slope, prompt, output = 7e-3, 3e-8, 1000, 10_000
    times = straight(decode=(decode, 0.0), attention=slope, lane=(0.02, 1e-5), head=(1e-3, 0.0))
    found = play(Case(requests_of([2.0], [prompt], [output]), [replica(times)], "round-robin"))
    assert found.happened < 10
    first = 2.0 + 0.02 + 1e-5 * prompt + 1e-3
    assert found.first[0] == pytest.approx(first, rel=1e-12)
    steps = np.arange(output - 1)
    expected = first + np.sum(decode + slope * (prompt + 1 + steps))
    assert found.finish[0] == pytest.approx(expected, rel=1e-12)
    assert found.steps.tolist() == found.worked.tolist() == [output - 1]


@pytest.mark.parametrize("gain", [1.0, 2.5, 4.0])
def test_steps_of_a_lone_request_are_as_many_as_its_gain_asks_for(gain):
    found = play(Case(requests_of([0.0], [5], [1001]), [replica(gain=gain)], "round-robin"))
    assert found.steps[0] == 1000 / gain
    assert found.finish[0] == 1.0 + 1000 / gain


def test_each_cell_of_the_contexts_costs_one_event():
    times = replace(
        straight(),
        context=np.linspace(0.0, 2000.0, 21),
        attention=np.outer([0.0, 1e6], np.linspace(0.0, 1e-3, 21) ** 2),
    )
    case = Case(requests_of([0.0], [1], [1990]), [replica(times)], "round-robin")
    assert_as_token_by_token(case)
    assert 20 <= play(case).happened <= 25


# What cannot be played.


def test_a_request_longer_than_the_cache_is_refused_by_its_number():
    traffic = requests_of([0.0, 1.0, 2.0], [10, 900, 10], [10, 200, 10])
    with pytest.raises(InputError, match=r"request 2 needs room for 1,100 tokens .* has 640"):
        play_requests(traffic, [replica(blocks=40)], compile_loop=False)


@pytest.mark.parametrize("roles", [(PREFILL,), (0, PREFILL), (0, DECODE)])
def test_pools_for_prompts_and_for_decoding_come_together(roles):
    with pytest.raises(InputError, match="needed together, or neither"):
        play_requests(requests_of([0.0], [1], [1]), [replica(role=role) for role in roles])


def test_replicas_that_take_nobody_in_are_refused():
    with pytest.raises(InputError, match="no replica takes requests in"):
        play_requests(requests_of([0.0], [1], [1]), [replica(role=DECODE)])


@pytest.mark.parametrize(
    ("traffic", "kind", "router"),
    [
        ({"prompt": [0]}, {}, "round-robin"),
        ({"output": [0]}, {}, "round-robin"),
        ({"arrival": [np.nan]}, {}, "round-robin"),
        ({"arrival": [5.0, 0.0], "prompt": [1, 1], "output": [1, 1]}, {}, "round-robin"),
        ({"arrival": [0.0, 1.0]}, {}, "round-robin"),
        ({"arrival": [], "prompt": [], "output": []}, {}, "round-robin"),
        ({"users": 1, "think": -5.0}, {}, "round-robin"),
        ({}, {"most": 0}, "round-robin"),
        ({}, {"budget": 0}, "round-robin"),
        ({}, {"count": 0}, "round-robin"),
        ({}, {}, "fair"),
    ],
)
def test_what_makes_no_sense_is_refused(traffic, kind, router):
    asked = requests_of(**({"arrival": [0.0], "prompt": [1], "output": [1]} | traffic))
    with pytest.raises(InputError):
        play_requests(asked, [replica(**kind)], router=router, compile_loop=False)


# Routing.


@FEW
@given(traffic=traffics(), count=st.integers(1, 4), seed=st.integers(0, 1000))
def test_replicas_in_turn_are_replicas_of_their_own(traffic, count, seed):
    traffic = replace(traffic, users=0, think=0.0)
    kind = ReplicaKind(times=bent(seed), budget=31, most=3)
    found = play(Case(traffic, [replace(kind, count=count)], "round-robin"))
    assert found.replica.tolist() == [n % count for n in range(len(traffic.prompt))]
    for turn in range(min(count, len(traffic.prompt))):
        own = slice(turn, None, count)
        part = requests_of(traffic.arrival[own], traffic.prompt[own], traffic.output[own])
        alone = play(Case(replace(part, entry=traffic.entry), [kind], "round-robin"))
        np.testing.assert_array_equal(found.finish[own], alone.finish)
