"""The engine for requests against the theory of queues, SimPy, and what must always hold."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from requests_cases import (
    COMPILED,
    Case,
    bent,
    cases,
    replica,
    requests_of,
    scaled,
    straight,
    traffics,
)

from clusterwright.engines.requests.simulator import Played, ReplicaKind, play_requests
from clusterwright.engines.requests.things import PREFILL

FEW = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
LOOSE = {"tight": False, "promises": (0.0,)}
SIZE = 200_000 if COMPILED else 20_000
"""Requests of a long run: fewer where nothing compiles the loop."""


def play(case: Case) -> Played:
    return play_requests(case.traffic, case.kinds, router=case.router, compile_loop=COMPILED)


def alone(traffic, kind) -> Played:
    return play(Case(traffic, [kind], "round-robin"))


# Queues whose waiting is known.


def one_after_another(*, most=1):
    """One sequence at a time, 10 ms for its prompt and 1 ms for each token after the first."""
    return replica(straight(lane=(0.01, 0.0), decode=(1e-3, 0.0)), most=most)


def mean_and_error(values, batches=40):
    """Mean of a correlated series, and its standard error by means of batches."""
    means = values[: len(values) // batches * batches].reshape(batches, -1).mean(axis=1)
    return means.mean(), means.std(ddof=1) / math.sqrt(batches)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("outputs", ["fixed", "geometric", "two sizes"])
def test_a_lone_server_waits_as_pollaczek_and_khinchine_say(load, outputs):
    rng = np.random.default_rng(int(load * 10))
    mean = 91
    output = {
        "fixed": np.full(SIZE, mean),
        "geometric": rng.geometric(1.0 / mean, SIZE),
        "two sizes": rng.choice([11, 171], SIZE),
    }[outputs]
    variance = {"fixed": 0.0, "geometric": mean * (mean - 1.0), "two sizes": 80.0**2}[outputs]
    service = 0.01 + 1e-3 * (mean - 1.0)
    rate = load / service
    traffic = requests_of(np.cumsum(rng.exponential(1.0 / rate, SIZE)), np.full(SIZE, 8), output)
    found = alone(traffic, one_after_another())
    wait, error = mean_and_error(found.ttft - 0.01)
    expected = rate * (service**2 + 1e-6 * variance) / (2.0 * (1.0 - load))
    assert abs(wait - expected) < 4.0 * error
    assert error < (0.03 if COMPILED else 0.1) * expected


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (2, 0.6), (4, 0.8), (8, 0.75)])
def test_sequences_that_do_not_slow_each_other_wait_as_erlang_says(servers, load):
    rng = np.random.default_rng(servers)
    step, mean = 1e-3, 400
    # A step takes the same with and without prompts: each of `most` sequences is a server.
    kind = replica(straight(lane=(step, 0.0), decode=(step, 0.0)), most=servers)
    arrival = np.cumsum(rng.exponential(step * mean / (servers * load), SIZE))
    output = rng.geometric(1.0 / mean, SIZE)
    found = alone(requests_of(arrival, np.full(SIZE, 8), output), kind)
    # Who comes to a server that works waits for the next step: half of one on average.
    wait, error = mean_and_error(found.ttft - 1.5 * step)
    offered = servers * load
    terms = [offered**k / math.factorial(k) for k in range(servers)]
    last = offered**servers / math.factorial(servers) / (1.0 - load)
    expected = last / (sum(terms) + last) * step * mean / (servers * (1.0 - load))
    assert abs(wait - expected) < max(0.05 * expected, 3.0 * error)
    assert error < (0.05 if COMPILED else 0.12) * expected


def lindley(arrival, service):
    """When each is begun by a lone server, first come first served."""
    begun, free = np.empty(len(arrival)), 0.0
    for number, (time, work) in enumerate(zip(arrival, service, strict=True)):
        begun[number] = max(time, free)
        free = begun[number] + work
    return begun


@FEW
@given(
    seed=st.integers(0, 10_000),
    gap=st.sampled_from([0.01, 0.05, 0.3]),
    slope=st.sampled_from([0.0, 1e-5]),
)
def test_one_at_a_time_is_lindleys_recursion_request_by_request(seed, gap, slope):
    rng = np.random.default_rng(seed)
    size = 60
    prompt, output = rng.integers(1, 500, size), rng.integers(1, 90, size)
    arrival = np.cumsum(rng.exponential(gap, size))
    times = straight(lane=(0.01, 1e-5), decode=(1e-3, 0.0), attention=slope, prefill=2e-5)
    found = alone(requests_of(arrival, prompt, output), replica(times, most=1))
    first = 0.01 + 3e-5 * prompt
    steps = output - 1.0
    decoding = steps * (1e-3 + slope * (prompt + 1)) + slope * steps * (steps - 1.0) / 2.0
    begun = lindley(arrival, first + decoding)
    np.testing.assert_allclose(found.first, begun + first, rtol=1e-9)
    np.testing.assert_allclose(found.finish, begun + first + decoding, rtol=1e-9)


def played_by_simpy(simpy, traffic, count, service, router):
    """First tokens and ends by SimPy: replicas are resources of one place."""
    world = simpy.Environment()
    servers = [simpy.Resource(world, capacity=1) for _ in range(count)]
    first, finish = np.empty(len(traffic.prompt)), np.empty(len(traffic.prompt))

    def client(number):
        yield world.timeout(float(traffic.arrival[number]))
        if router == "least-loaded":
            server = min(servers, key=lambda one: one.count + len(one.queue))
        else:
            server = servers[number % count]
        with server.request() as place:
            yield place
            prompt, decoding = service(number)
            yield world.timeout(prompt)
            first[number] = world.now
            yield world.timeout(decoding)
            finish[number] = world.now

    for number in range(len(traffic.prompt)):
        world.process(client(number))
    world.run()
    return first, finish


@pytest.mark.parametrize("router", ["round-robin", "least-loaded"])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_replicas_with_one_place_are_resources_of_simpy(router, count):
    simpy = pytest.importorskip("simpy", reason="simpy is not installed: NOT compared with it")
    rng = np.random.default_rng(count)
    size = 400
    prompt, output = rng.integers(1, 500, size), rng.integers(1, 200, size)
    arrival = np.cumsum(rng.exponential(0.13 / count, size))
    kind = replica(straight(lane=(0.01, 1e-5), decode=(1e-3, 0.0)), most=1, count=count)
    traffic = requests_of(arrival, prompt, output)

    def service(number):
        return 0.01 + 1e-5 * float(prompt[number]), 1e-3 * (float(output[number]) - 1.0)

    first, finish = played_by_simpy(simpy, traffic, count, service, router)
    found = play(Case(traffic, [kind], router))
    np.testing.assert_allclose(found.first, first, rtol=1e-9)
    np.testing.assert_allclose(found.finish, finish, rtol=1e-9)


# What must always hold.


@FEW
@given(case=cases(priorities=True, lazy=True))
def test_answers_come_after_questions_and_replicas_work_no_longer_than_the_play(case):
    found, traffic = play(case), case.traffic
    assert (found.sent + traffic.entry < found.first).all()
    assert (found.first <= found.finish).all()
    assert (found.busy <= found.finish.max() - found.sent.min() + 1e-9).all()
    longest = max(kind.most for kind in case.kinds)
    assert (found.worked <= longest * found.steps).all()
    many = np.asarray(traffic.output) > 1
    assert (found.finish[many] > found.first[many]).all()
    if traffic.users:
        later = np.sort(found.sent[traffic.users :])
        answered = np.sort(found.finish)[: len(later)] + traffic.think
        np.testing.assert_array_equal(later, answered)
    else:
        np.testing.assert_array_equal(found.sent, traffic.arrival)


@FEW
@given(case=cases(**LOOSE))
def test_each_token_after_the_first_is_gained_in_one_step(case):
    found, gain = play(case), case.kinds[0].gain
    steps = np.ceil((np.asarray(case.traffic.output) - 1) / gain)
    assert found.worked.sum() == steps.sum()
    assert found.preempted.sum() == 0


@FEW
@given(case=cases(tight=True, gains=(1.0,), pools=False, lazy=True, priorities=True))
def test_a_preemption_loses_no_token_and_gives_one_at_most(case):
    found = play(case)
    # Who computes again what it had gets the next token with it.
    spared = np.sum(np.asarray(case.traffic.output) - 1) - found.worked.sum()
    assert 0 <= spared <= found.preempted.sum()


@FEW
@given(case=cases(**LOOSE, lazy=True))
def test_no_more_sequences_decode_at_once_than_may(case):
    found = play(case)
    most = {kind.role: kind.most for kind in case.kinds}
    allowed = most.get(0, most.get(2))
    for one in range(len(found.steps)):
        own = found.replica == one
        for start in found.first[own]:
            at_once = (found.first[own] <= start) & (found.finish[own] > start)
            assert at_once.sum() <= allowed


@FEW
@given(case=cases(priorities=True, lazy=True))
def test_a_replica_that_has_served_all_serves_as_new(case):
    traffic = replace(case.traffic, users=0, think=0.0)
    # Far enough that all is served, and a power of two so that few digits are lost.
    later = 2.0**16
    twice = replace(
        traffic,
        arrival=np.concatenate([traffic.arrival, later + np.asarray(traffic.arrival)]),
        prompt=np.tile(traffic.prompt, 2),
        output=np.tile(traffic.output, 2),
        priority=np.tile(traffic.priority, 2),
    )
    # Looks come every so many steps of a replica's life, which are not the same the second time.
    kinds = [replace(kind, poll=1) for kind in case.kinds]
    found = play(Case(twice, kinds, "least-loaded"))
    size = len(traffic.prompt)
    assume(found.finish[:size].max() < later)
    np.testing.assert_allclose(found.finish[size:] - later, found.finish[:size], atol=1e-6)
    np.testing.assert_allclose(found.first[size:] - later, found.first[:size], atol=1e-6)
    assert (found.preempted % 2 == 0).all()


@FEW
@given(case=cases(priorities=True, lazy=True), power=st.integers(-3, 3))
def test_times_in_another_unit_are_the_same_times(case, power):
    unit, traffic = 2.0**power, case.traffic
    found = play(case)
    other = play(
        Case(
            replace(
                traffic,
                arrival=unit * np.asarray(traffic.arrival),
                think=unit * traffic.think,
                entry=unit * traffic.entry,
            ),
            [
                replace(
                    kind,
                    times=scaled(kind.times, unit),
                    tail=unit * kind.tail,
                    tail_token=unit * kind.tail_token,
                    shortest=unit * kind.shortest,
                )
                for kind in case.kinds
            ],
            case.router,
        )
    )
    np.testing.assert_array_equal(other.finish, unit * found.finish)
    np.testing.assert_array_equal(other.first, unit * found.first)


def faster(data, kind):
    """The same kind with some of its tables quicker."""
    names = ("lane", "whole", "decode", "head", "attention", "prefill")
    shares = {name: data.draw(st.floats(0.2, 1.0)) for name in names}
    quicker = {name: share * getattr(kind.times, name) for name, share in shares.items()}
    return replace(kind, times=replace(kind.times, **quicker))


# Where arrivals are spread, quicker steps may end before somebody comes who would have been in the
# same batch: then that one is later. Neither a burst nor one at a time knows of it.


@FEW
@given(case=cases(pools=False, lazy=True), data=st.data())
def test_a_burst_is_served_no_later_by_faster_steps(case, data):
    traffic = replace(case.traffic, arrival=0.0 * case.traffic.arrival, users=0, think=0.0)
    (kind,) = case.kinds
    before = play(Case(traffic, [kind], "round-robin"))
    after = play(Case(traffic, [faster(data, kind)], "round-robin"))
    assert (after.finish <= before.finish * (1.0 + 1e-12)).all()
    assert (after.first <= before.first * (1.0 + 1e-12)).all()
    np.testing.assert_array_equal(after.preempted, before.preempted)


@FEW
@given(traffic=traffics(), seed=st.integers(0, 10_000), data=st.data())
def test_one_at_a_time_no_request_is_later_with_faster_steps(traffic, seed, data):
    kind = ReplicaKind(times=bent(seed), most=1, budget=31)
    if traffic.users:  # whoever is answered sooner may ask again before another user comes first
        traffic = replace(traffic, arrival=0.0 * traffic.arrival)
    before, after = alone(traffic, kind), alone(traffic, faster(data, kind))
    assert (after.finish <= before.finish * (1.0 + 1e-12)).all()


@FEW
@given(
    traffic=traffics(),
    seed=st.integers(0, 10_000),
    users=st.integers(1, 6),
    think=st.floats(0.0, 30.0),
    longer=st.floats(0.0, 30.0),
)
def test_one_at_a_time_longer_thinking_never_raises_the_throughput(
    traffic, seed, users, think, longer
):
    kind = ReplicaKind(times=bent(seed), most=1)
    closed = replace(traffic, users=users, think=think)
    patient = replace(closed, think=think + longer)
    ends = [alone(one, kind).finish.max() for one in (closed, patient)]
    assert ends[0] <= ends[1] * (1.0 + 1e-12)


@FEW
@given(case=cases(**LOOSE))
def test_users_ask_no_faster_than_they_are_answered_and_think(case):
    users = max(1, case.traffic.users)
    traffic = replace(case.traffic, users=users, think=11.0)
    found = play(Case(traffic, case.kinds, case.router))
    size = len(traffic.prompt)
    turns = math.ceil(size / users)
    quickest = (found.finish - found.sent).min()
    assert found.duration >= turns * quickest + (turns - 1) * traffic.think - 1e-9


@FEW
@given(case=cases(**LOOSE, pools=False))
def test_first_come_is_first_served(case):
    traffic = replace(case.traffic, users=0, think=0.0)
    (kind,) = case.kinds
    found = alone(traffic, replace(kind, count=1, lanes=1))
    assert (np.diff(found.first) >= 0.0).all()


@FEW
@given(case=cases(**LOOSE, pools=True))
def test_a_longer_way_to_the_decoding_pool_is_paid_before_the_first_token(case):
    traffic = replace(case.traffic, users=0, think=0.0)
    found = play(Case(traffic, case.kinds, case.router))
    (kind,) = (one for one in case.kinds if one.role == PREFILL)
    way = kind.tail + kind.tail_token * np.asarray(traffic.prompt)
    assert (found.ttft > traffic.entry + way).all()
