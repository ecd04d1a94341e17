"""What replicas share, lose and gain: known prefixes, failures, replicas that come and go, gaps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests_cases import COMPILED, Case, bent, blocks_for, cases, replica, requests_of, same
from requests_oracle import Oracle

from clusterwright.engines.requests.gaps import WIDTH, class_of
from clusterwright.engines.requests.simulator import (
    Outages,
    Played,
    ReplicaKind,
    Traffic,
    play_requests,
)
from clusterwright.engines.requests.things import DECODE, PREFILL
from clusterwright.errors import InputError

MANY = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
needs_numba = pytest.mark.skipif(
    not COMPILED, reason="numba is not installed: the compiled loop is NOT compared"
)
BLOCK = 4
"""Tokens of a block of known content, in most of these tests, and of the cache."""


def known(traffic: Traffic, seed: int, *, size: int = BLOCK, kinds: int = 3) -> Traffic:
    """The same requests, whose prompts are drawn from few beginnings."""
    rng = np.random.default_rng(seed)
    ids, start = [], [0]
    for prompt in traffic.prompt:
        branch, depth = rng.integers(0, kinds), rng.integers(0, 8)
        for place in range(-(-int(prompt) // size)):
            own = place >= depth  # from here on nobody else has it
            ids.append(len(start) * 1000 + place if own else -1000 * (1 + branch) - place)
        start.append(len(ids))
    return replace(traffic, hash_ids=np.array(ids), hash_start=np.array(start), hash_tokens=size)


@st.composite
def shared_cases(draw: Any, *, tight: bool, pools: bool | None = None) -> Case:
    """Requests with known beginnings on replicas whose blocks are as large."""
    case = draw(cases(tight=False, gains=(1.0,), pools=pools, priorities=True))
    traffic = known(case.traffic, draw(st.integers(0, 2**32 - 1)))
    block = draw(st.sampled_from([1, 2, BLOCK]))
    spare = draw(st.integers(3, 40)) if tight else 100_000
    blocks = blocks_for(traffic, block, spare)
    kinds = [replace(kind, block=block, blocks=blocks) for kind in case.kinds]
    return Case(traffic, kinds, case.router)


@st.composite
def outages(draw: Any, replicas: int) -> Outages:
    """Failures of some replicas, one each."""
    which = draw(st.lists(st.integers(0, replicas - 1), min_size=1, max_size=4, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Outages(
        at=np.sort(rng.uniform(0.0, 60.0, len(which))),
        replica=np.array(which),
        lasts=rng.uniform(1.0, 90.0, len(which)),
    )


def play(case: Case, *, compile_loop: bool = False, failing: Outages | None = None) -> Played:
    return play_requests(
        case.traffic, case.kinds, router=case.router, outages=failing, compile_loop=compile_loop
    )


def assert_as_token_by_token(case: Case, failing: Outages | None = None) -> Oracle:
    """Compare with the oracle; returns that."""
    found = play(case, failing=failing)
    slow = Oracle(case.traffic, case.kinds, case.router, failing).play()
    for name in ("sent", "first", "finish", "replica", "reused"):
        expected = [getattr(job, name) for job in slow.jobs]
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-9, err_msg=name)
    for name in ("preempted", "lost"):
        expected = [getattr(server, name) for server in slow.servers]
        np.testing.assert_array_equal(getattr(found, name), expected, err_msg=name)
    paid = [server.paid for server in slow.servers]
    np.testing.assert_allclose(found.paid, paid, rtol=1e-9, atol=1e-9)
    return slow


# Known beginnings.


@MANY
@given(case=shared_cases(tight=False))
def test_with_room_for_all_beginnings_are_found_as_token_by_token(case):
    assert_as_token_by_token(case)


@MANY
@given(case=shared_cases(tight=True, pools=False))
def test_at_tight_blocks_the_oldest_go_as_token_by_token(case):
    assert_as_token_by_token(case)


@MANY
@given(case=shared_cases(tight=False))
def test_the_router_that_knows_prefixes_chooses_as_token_by_token(case):
    assert_as_token_by_token(Case(case.traffic, case.kinds, "prefix-aware"))


@needs_numba
@MANY
@given(case=shared_cases(tight=True), aware=st.booleans())
def test_known_beginnings_are_the_same_compiled_and_plain(case, aware):
    chosen = Case(case.traffic, case.kinds, "prefix-aware" if aware else case.router)
    assert same(play(chosen), play(chosen, compile_loop=True))


def twice(prompt: int, *, gap: float = 50.0, **kind: Any) -> Played:
    """Two requests of the same content, one after the other."""
    count = -(-prompt // BLOCK)
    traffic = requests_of(
        [0.0, gap], [prompt, prompt], [2, 2],
        hash_ids=np.tile(np.arange(count), 2),
        hash_start=np.array([0, count, 2 * count]),
        hash_tokens=BLOCK,
    )  # fmt: skip
    return play_requests(traffic, [replica(**({"block": BLOCK} | kind))], compile_loop=False)


@pytest.mark.parametrize(("prompt", "reused"), [(10, 8), (12, 8), (13, 12), (3, 0), (4, 0)])
def test_full_blocks_are_found_but_for_the_last_token(prompt, reused):
    assert twice(prompt).reused.tolist() == [0, reused]


def test_what_is_found_is_not_computed_again():
    # A budget of 4 tokens: 40 take ten steps, the last 4 of them one.
    assert (twice(40, budget=4).ttft).tolist() == [10.0, 1.0]
    assert (twice(40, budget=4, reuse=False).ttft).tolist() == [10.0, 10.0]


def test_a_prompt_under_way_is_not_found():
    assert twice(40, budget=4, lanes=2, gap=1.5).reused.tolist() == [0, 0]


def test_two_at_once_hold_the_same_blocks():
    # 44 blocks of one prompt leave no room for another, unless 43 of them are the same.
    found = twice(4 * 44, gap=1.5, blocks=60)
    assert found.preempted.tolist() == [0]
    assert found.first.tolist() == [1.0, 3.0]
    assert twice(4 * 44, gap=1.5, blocks=60, reuse=False).first[1] == 3.0


@given(case=shared_cases(tight=False, pools=False))
def test_reuse_computes_no_more_than_without(case):
    def computed(reuse: bool) -> float:
        kinds = [replace(kind, reuse=reuse) for kind in case.kinds]
        found = play(Case(case.traffic, kinds, case.router))
        return float(np.sum(case.traffic.prompt) - np.sum(found.reused))

    assert computed(True) <= computed(False) == np.sum(case.traffic.prompt)


# Failures.


@st.composite
def failing_cases(draw: Any) -> tuple[Case, Outages]:
    case = draw(shared_cases(tight=False))
    return case, draw(outages(sum(kind.count for kind in case.kinds)))


@MANY
@given(both=failing_cases())
def test_what_fails_begins_again_elsewhere_as_token_by_token(both):
    assert_as_token_by_token(*both)


@needs_numba
@MANY
@given(both=failing_cases())
def test_failures_are_the_same_compiled_and_plain(both):
    case, failing = both
    one, other = (play(case, failing=failing, compile_loop=c) for c in (False, True))
    assert same(one, other)


def test_a_lone_replica_begins_again_when_it_is_back():
    case = Case(requests_of([0.0], [1], [10]), [replica()], "round-robin")
    down = Outages(at=np.array([5.5]), replica=np.array([0]), lasts=np.array([100.0]))
    found = play(case, failing=down)
    assert found.finish[0] == 105.5 + 10.0
    assert found.first[0] == 1.0  # the user has seen it
    assert found.lost.tolist() == [1]


def test_those_who_come_meanwhile_go_to_others():
    traffic = requests_of([0.0, 1.0, 2.0, 3.0], [1] * 4, [2] * 4)
    down = Outages(at=np.array([0.5]), replica=np.array([0]), lasts=np.array([2.0]))
    found = play(Case(traffic, [replica(count=2)], "round-robin"), failing=down)
    assert found.replica.tolist() == [1, 1, 1, 0]


# Replicas that come and go.


@st.composite
def scaled_cases(draw: Any) -> Case:
    case = draw(shared_cases(tight=False))
    scaler = {
        "target": draw(st.sampled_from([0.7, 2.0, 5.0])),
        "period": draw(st.sampled_from([1.03, 7.77])),
        "calm": draw(st.sampled_from([0.0, 11.1])),
        "load_time": draw(st.sampled_from([0.0, 4.21])),
    }
    return Case(case.traffic, [replace(kind, **scaler) for kind in case.kinds], case.router)


@MANY
@given(case=scaled_cases())
def test_replicas_come_and_go_as_token_by_token(case):
    assert_as_token_by_token(case)


@MANY
@given(case=scaled_cases(), data=st.data())
def test_replicas_come_go_and_fail_as_token_by_token(case, data):
    failing = data.draw(outages(sum(kind.count for kind in case.kinds)))
    assert_as_token_by_token(case, failing)


@needs_numba
@MANY
@given(case=scaled_cases(), data=st.data())
def test_scaling_is_the_same_compiled_and_plain(case, data):
    failing = data.draw(outages(sum(kind.count for kind in case.kinds)))
    one, other = (play(case, failing=failing, compile_loop=c) for c in (False, True))
    assert same(one, other)


def test_a_second_replica_serves_once_its_model_is_loaded():
    kind = replica(count=3, most=1, target=1.0, period=10.0, load_time=7.0, calm=20.0)
    traffic = requests_of([0.0, 1.0, 18.0], [1] * 3, [100, 100, 5])
    found = play(Case(traffic, [kind], "least-loaded"))
    # At 10 s two are there for one replica: another starts. It serves from 17 s on and takes the
    # third request, while the second goes on waiting at the first. A third replica is asked for at
    # 20 s, when three are there.
    assert found.replica.tolist() == [0, 0, 1]
    assert found.first[2] == 19.0
    assert found.finish.tolist() == [100.0, 200.0, 23.0]
    # From 30 s on two are enough, and at 50 s, after 20 s of calm, one goes; from 100 s on one is.
    assert found.paid.tolist() == [200.0, 120.0 - 10.0, 50.0 - 20.0]


# Times between tokens.


@MANY
@given(case=shared_cases(tight=False))
def test_gaps_are_those_between_the_tokens_of_each_request(case):
    kinds = [replace(kind, mixed=True) for kind in case.kinds]
    chosen = Case(case.traffic, kinds, case.router)
    found, slow = play(chosen), Oracle(chosen.traffic, chosen.kinds, chosen.router).play()
    assert found.gaps.sum() == len(slow.gaps)
    if slow.gaps:
        for percentile in (50, 90, 99):
            expected = np.percentile(slow.gaps, percentile, method="inverted_cdf")
            assert found.itl(percentile) == pytest.approx(expected, rel=WIDTH)


def test_prompts_that_go_alone_hold_up_those_that_decode():
    traffic = requests_of([0.0, 2.5], [1, 1], [6, 1])
    found = play(Case(traffic, [replica(mixed=False)], "round-robin"))
    # Tokens at 1, 2, 3, then a prompt until 4, then 5, 6 and 7.
    assert found.finish[0] == 7.0
    assert found.gaps[class_of(1.0)] == 4
    assert found.gaps[class_of(2.0)] == 1
    assert found.itl(50) == pytest.approx(1.0, rel=WIDTH)
    assert found.itl(99) == pytest.approx(2.0, rel=WIDTH)


def test_who_gets_one_token_has_no_gaps():
    assert play(Case(requests_of([0.0], [1], [1]), [replica()], "round-robin")).itl(50) == 0.0


# What makes no sense.


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"least": 2}, "2 replicas of 1 are to stay"),
        ({"target": -1.0}, "0 or more"),
        ({"target": 1.0, "period": 0.0}, "looks every 0 s"),
    ],
)
def test_scalers_that_make_no_sense_are_refused(kind, words):
    with pytest.raises(InputError, match=words):
        play(Case(requests_of([0.0], [1], [1]), [replica(**kind)], "round-robin"))


@pytest.mark.parametrize(
    ("at", "which", "lasts", "words"),
    [
        ([1.0], [1], [1.0], "replica 1: they are 0 to 0"),
        ([1.0], [0], [0.0], "last more than 0"),
        ([np.nan], [0], [1.0], "a number of seconds"),
        ([1.0, 2.0], [0], [1.0], "each of them"),
        ([1.0, 2.0], [0, 0], [5.0, 1.0], "of replica 0 overlap"),
    ],
)
def test_outages_that_make_no_sense_are_refused(at, which, lasts, words):
    down = Outages(at=np.array(at), replica=np.array(which), lasts=np.array(lasts))
    with pytest.raises(InputError, match=words):
        play(Case(requests_of([0.0], [1], [1]), [replica()], "round-robin"), failing=down)


@pytest.mark.parametrize(
    ("hashes", "words"),
    [
        ({"hash_tokens": 16}, "needs hash_start and hash_ids"),
        ({"hash_tokens": 16, "hash_ids": [1], "hash_start": [0, 2]}, "ends at 2 of 1"),
        ({"hash_tokens": 16, "hash_ids": [1], "hash_start": [0]}, "one more than there are"),
        ({"hash_tokens": 10, "hash_ids": [1], "hash_start": [0, 1]}, "no multiple"),
    ],
)
def test_contents_that_make_no_sense_are_refused(hashes, words):
    with pytest.raises(InputError, match=words):
        play(Case(requests_of([0.0], [1], [1], **hashes), [replica()], "round-robin"))


def test_kinds_apart_share_no_known_blocks():
    traffic = known(requests_of([0.0, 90.0], [40, 40], [3, 3]), 1, kinds=1)
    kinds = [replica(role=PREFILL, block=4), replica(role=DECODE, block=4)]
    kinds = [ReplicaKind(times=bent(1), role=kind.role, block=4) for kind in kinds]
    assert_as_token_by_token(Case(traffic, kinds, "round-robin"))
