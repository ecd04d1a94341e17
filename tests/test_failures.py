"""Failures of long runs: closed forms against the published, the engine against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from failures_oracle import play_one
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import lambertw

from clusterwright.engines.failures import Cause, Job, Tier, Trajectories, play_failures
from clusterwright.errors import InputError
from clusterwright.formulas.checkpoints import best_interval, daly_interval, young_interval
from clusterwright.formulas.failure_rates import first_failure_time, job_failure_rate
from clusterwright.formulas.goodput import (
    first_order_goodput,
    renewal_goodput,
    two_tier_goodput,
)

DAY = 86400.0
LLAMA = 419 / (54 * 2048) / DAY
"""Failures of one node of Llama 3's run: 419 in 54 days on 2,048. [1/s]"""
RSC_1 = 6.5e-3 / DAY
"""Failures of one node of Meta's RSC-1. [1/s]"""


NAMES = (
    "interval",
    "stall_time",
    "slow_interval",
    "slow_stall_time",
    "fast_share",
    "restart_time",
    "failure_rate",
    "lag_time",
)


def two_tiers(*values):
    return two_tier_goodput(**dict(zip(NAMES, values, strict=True)))


# Closed forms


def test_metas_projections():
    # arXiv 2410.21680: 1.8 h for 16,384 accelerators, 0.23 h (0.225) for 131,072.
    hours = [first_failure_time(1 / RSC_1, nodes) / 3600 for nodes in (2048, 16384)]
    assert hours == pytest.approx([1.80, 0.225], abs=0.005)


def test_blooms_checkpoints():
    # 40 s of every 3 hours: 0.37 %.
    assert 1 - first_order_goodput(10800.0, 40.0, 0.0, 0.0) == pytest.approx(0.0037, abs=5e-5)


def test_a_rate_between_two_regimes():
    small, large = 2.2e-2 / DAY, 6.5e-3 / DAY
    nodes = np.array([1, 128, 512, 2048, 16384])
    rates = job_failure_rate(nodes, small, large, 128, 2048) / nodes
    assert rates[:2] == pytest.approx([small] * 2)
    assert rates[3:] == pytest.approx([large] * 2)
    assert rates[2] == pytest.approx(math.sqrt(small * large))


@given(st.floats(1e-6, 1e-2))
def test_young_and_daly_where_stalls_are_short(share):
    # Of the goodput nothing is lost by either; the interval itself nears the best more slowly.
    rate, stall = share / 60.0, 60.0
    exact = best_interval(stall, rate)
    top = renewal_goodput(exact, stall, 0.0, rate, 0.0)
    for guess in (young_interval(stall, rate), daly_interval(stall, rate)):
        assert renewal_goodput(guess, stall, 0.0, rate, 0.0) == pytest.approx(top, rel=0.01)
        if share < 1e-4:
            assert guess == pytest.approx(exact, rel=0.01)


@given(st.floats(1e-8, 30.0))
def test_the_best_interval_is_lamberts(share):
    exact = 1.0 + lambertw(-np.exp(-1.0 - share)).real
    assert best_interval(share, 1.0) == pytest.approx(exact, rel=1e-6)


def test_no_interval_does_better_than_the_best():
    found = minimize_scalar(
        lambda log: -renewal_goodput(math.exp(log), 30.0, 200.0, 1e-3, 5.0),
        bounds=(0.0, 10.0),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert best_interval(30.0, 1e-3) == pytest.approx(math.exp(found.x), rel=1e-5)


@given(st.floats(60.0, 3600.0), st.floats(0.0, 600.0), st.floats(1e-8, 1e-2))
def test_metas_formula_where_failures_are_rare(interval, restart, lost):
    rate = lost / (restart + interval / 2)
    assert first_order_goodput(interval, 1.0, restart, rate) == pytest.approx(
        renewal_goodput(interval, 1.0, restart, rate, 0.0), rel=0.01
    )


@given(st.floats(0.0, 1.0), st.floats(1e-7, 1e-3))
def test_one_cycle_of_two_tiers_is_one_tier(share, rate):
    both = two_tiers(600.0, 2.0, 600.0, 3.0, share, 300.0, rate, 20.0)
    assert both == pytest.approx(renewal_goodput(600.0, 5.0, 300.0, rate, 20.0))


def test_a_kept_fast_tier_is_a_tier_of_its_own():
    both = two_tiers(60.0, 1.0, 3600.0, 0.0, 1.0, 300.0, 1e-4, 0.0)
    assert both == pytest.approx(renewal_goodput(60.0, 1.0, 300.0, 1e-4, 0.0))


# The engine


def a_job(*causes: Cause, nodes: int = 2048, **other) -> Job:
    usual = {"slow": Tier(interval=600.0, stall=1.0)}
    usual["causes"] = causes or (Cause(name="any", share=1.0, detection=30.0, restart=270.0),)
    return Job(num_nodes=nodes, **{**usual, **other})


def mean_and_error(values) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))


def assert_sums_up(played: Trajectories, wall: float) -> None:
    parts = ("useful", "stalls", "lost", "detection", "restart", "waiting", "slowed")
    total = sum(getattr(played, part) for part in parts)
    assert np.array_equal(total, played.wall) or np.allclose(total, played.wall, rtol=1e-14)
    assert np.allclose(played.wall, wall, rtol=1e-12)
    assert all((getattr(played, part) >= 0.0).all() for part in parts)


@pytest.mark.parametrize(
    ("nodes", "interval", "stall", "restart", "lag"),
    [
        (128, 3600.0, 60.0, 600.0, 0.0),
        (2048, 600.0, 1.0, 300.0, 10.0),
        (16384, 120.0, 1.0, 300.0, 0.0),
        (16384, 120.0, 5.0, 300.0, 200.0),
        (131072, 60.0, 1.0, 60.0, 10.0),
        (131072, 20.0, 1.0, 300.0, 0.0),
    ],
)
def test_the_engines_mean_is_the_renewal_formula(nodes, interval, stall, restart, lag):
    cause = Cause(name="any", share=1.0, detection=restart / 3, restart=restart * 2 / 3)
    job = a_job(cause, nodes=nodes, slow=Tier(interval=interval, stall=stall, lag=lag))
    days = 54 * 2048 / nodes if nodes > 2048 else 540
    played = play_failures(job, LLAMA, horizon=days * DAY, trajectories=1000, seed=3)
    assert_sums_up(played, days * DAY)
    mean, _ = mean_and_error(played.goodput)
    formula = float(renewal_goodput(interval, stall, restart, LLAMA * nodes, lag))
    assert mean == pytest.approx(formula, rel=0.01)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("fast_stall", [0.0, 2.0])
def test_two_tiers_mean_their_formula(share, fast_stall):
    cause = Cause(name="any", share=1.0, detection=0.0, restart=120.0, fast_share=share)
    slow, fast = Tier(interval=1800.0, stall=30.0), Tier(interval=60.0, stall=fast_stall, lag=10.0)
    job = a_job(cause, nodes=16384, slow=slow, fast=fast)
    played = play_failures(job, LLAMA, horizon=10 * DAY, trajectories=1000, seed=5)
    assert_sums_up(played, 10 * DAY)
    rate = LLAMA * 16384
    formula = two_tiers(60.0, fast_stall, 1800.0, 30.0, share, 120.0, rate, 10.0)
    assert played.goodput.mean() == pytest.approx(float(formula), rel=0.01)


@pytest.mark.parametrize("group", [0, 4])
@pytest.mark.parametrize("spares", [2, 9])
def test_the_engine_plays_what_one_by_one_plays(group, spares):
    """All features at once, against a plain state machine with a list of repairs."""
    job = Job(
        num_nodes=256,
        causes=(
            Cause(name="soft", share=0.3, detection=60.0, restart=200.0, fast_share=0.8),
            Cause(name="node", share=0.6, detection=20.0, restart=600.0, nodes=1, fast_share=0.5),
            Cause(name="rack", share=0.06, detection=5.0, restart=900.0, nodes=3, fast_share=0.0),
            Cause(name="silent", share=0.04, detection=0.0, restart=600.0, nodes=1, latency=5e3),
        ),
        slow=Tier(interval=3600.0, stall=60.0, lag=900.0),
        fast=Tier(interval=400.0, stall=5.0, lag=100.0),
        spares=spares,
        repair_time=0.2 * DAY,
        replica_nodes=group,
        slowdown=0.1,
    )
    rate, horizon = 25 / DAY / 256, 10 * DAY
    played = play_failures(job, rate, horizon=horizon, trajectories=4000, seed=2)
    random = np.random.default_rng(99)
    parts = ("useful", "stalls", "lost", "detection", "restart", "waiting", "slowed")
    names = (*parts, "failures", "fewest_spares")
    rows = np.array([play_one(job, rate, horizon, random) for _ in range(300)])
    assert rows[:, :7].sum(axis=1) == pytest.approx(np.full(300, horizon))
    for name, column in zip(names, rows.T, strict=True):
        found = getattr(played, name)
        found = found.sum(axis=1) if name == "failures" else found
        mean, error = mean_and_error(found)
        other, more = mean_and_error(column)
        assert mean == pytest.approx(other, abs=4.5 * math.hypot(error, more) + 1e-9), name


def study(nodes: int, interval: float, process: float, node: float, load: float) -> Job:
    """The case of the project's study: 40 % of failures are mended by a restart, 1 % are silent."""
    silent = Cause(name="silent", share=0.01, detection=30.0, restart=node + load, latency=1800.0)
    return Job(
        num_nodes=nodes,
        causes=(
            Cause(name="process", share=0.396, detection=30.0, restart=process + load),
            Cause(name="node", share=0.594, detection=30.0, restart=node + load, nodes=1),
            silent,
        ),
        slow=Tier(interval=interval, stall=1.0, lag=10.0),
        spares=max(4, nodes // 100),
        repair_time=63 * 3600.0,
        replica_nodes=16,
        interruptible=False,
    )


@pytest.mark.parametrize(
    ("nodes", "interval", "restarts", "expected"),
    [
        (2048, 600.0, (120.0, 300.0, 60.0), 0.942),
        (16384, 120.0, (120.0, 300.0, 60.0), 0.755),
        (131072, 20.0, (15.0, 30.0, 5.0), 0.55),
    ],
)
def test_the_study_of_engines_is_met(nodes, interval, restarts, expected):
    job = study(nodes, interval, *restarts)
    played = play_failures(job, LLAMA, horizon=54 * DAY, trajectories=100, seed=1)
    assert played.goodput.mean() == pytest.approx(expected, rel=0.02)


def test_it_is_deterministic_and_rates_may_differ():
    rates = np.array([0.0, LLAMA, 10 * LLAMA])
    one, two = (
        play_failures(a_job(), rates, horizon=54 * DAY, trajectories=3, seed=7) for _ in range(2)
    )
    assert np.array_equal(one.goodput, two.goodput)
    assert one.failures[0, 0] == 0
    assert one.goodput[0] == pytest.approx(600 / 601, rel=1e-4)
    assert one.goodput[0] > one.goodput[1] > one.goodput[2]
    other = play_failures(a_job(), rates, horizon=54 * DAY, trajectories=3, seed=8)
    assert not np.array_equal(one.goodput[1:], other.goodput[1:])


def test_work_takes_what_is_lost_longer():
    work = 20 * DAY
    played = play_failures(a_job(), LLAMA, work=work, trajectories=500)
    assert played.finished.all()
    assert np.allclose(played.useful, work, rtol=1e-9)
    formula = float(renewal_goodput(600.0, 1.0, 300.0, LLAMA * 2048, 0.0))
    assert work / played.wall.mean() == pytest.approx(formula, rel=0.005)
    calm = play_failures(a_job(), 0.0, work=600.0, trajectories=1)
    assert calm.wall[0] == 600.0  # nobody writes a checkpoint of what is done
    twice = play_failures(a_job(), 0.0, work=1200.0, trajectories=1)
    assert twice.wall[0] == 1201.0


def test_no_progress_is_given_up_and_said():
    # A restart of twenty minutes where something fails every three.
    cause = Cause(name="any", share=1.0, detection=0.0, restart=1200.0)
    job = a_job(cause, nodes=131072, slow=Tier(interval=600.0, stall=60.0))
    played = play_failures(job, LLAMA, work=54 * DAY, trajectories=20)
    assert not played.finished.any()
    assert (played.goodput < 0.01).all()


def test_without_spares_it_waits_or_goes_on_slower():
    hard = Cause(name="node", share=1.0, detection=0.0, restart=300.0, nodes=1)
    usual = {"spares": 4, "repair_time": 1.0 * DAY}
    rate = 8 / DAY / 2048
    waits, slower = (
        play_failures(
            a_job(hard, **usual, replica_nodes=group), rate, horizon=30 * DAY, trajectories=300
        )
        for group in (0, 16)
    )
    for played in (waits, slower):
        assert_sums_up(played, 30 * DAY)
        assert (played.fewest_spares == 0).all()
    assert waits.waiting.mean() > 0.05 * 30 * DAY
    assert (slower.waiting == 0.0).all()
    assert slower.slowed.mean() > 0.0
    assert slower.goodput.mean() > waits.goodput.mean()


def most_in_repair(random, rate: float, repair: float, time: float) -> int:
    """The most nodes in repair at once, node by node."""
    starts = np.sort(random.uniform(0.0, time, random.poisson(rate * time)))
    ends = np.sort(starts + random.exponential(repair, len(starts)))
    return int((np.arange(1, len(starts) + 1) - np.searchsorted(ends, starts)).max(initial=0))


def test_nodes_in_repair_are_those_of_one_by_one():
    rate, repair, time = 8 / DAY, DAY / 2, 60 * DAY
    hard = Cause(name="node", share=1.0, detection=0.0, restart=0.0, nodes=1)
    job = a_job(hard, spares=60, repair_time=repair)
    played = play_failures(job, rate / 2048, horizon=time, trajectories=2000)
    mean, error = mean_and_error(60 - played.fewest_spares)
    random = np.random.default_rng(11)
    each = np.array([most_in_repair(random, rate, repair, time) for _ in range(2000)])
    assert mean == pytest.approx(each.mean(), abs=5 * error)


def test_what_takes_a_rack_takes_its_nodes():
    rack = Cause(name="rack", share=1.0, detection=0.0, restart=300.0, nodes=9)
    job = a_job(rack, spares=20, repair_time=6 * 3600.0)
    played = play_failures(job, 0.2 / DAY / 2048, horizon=30 * DAY, trajectories=300)
    some = played.failures[:, 0] > 0
    assert (played.fewest_spares[some] <= 11).all()
    assert (played.fewest_spares[~some] == 20).all()


def test_silent_corruption_costs_its_latency():
    silent = Cause(name="silent", share=1.0, detection=0.0, restart=0.0, latency=7200.0)
    job = a_job(silent, slow=Tier(interval=60.0))
    played = play_failures(job, 1 / DAY / 2048, horizon=100 * DAY, trajectories=300)
    mean = played.lost.sum() / played.failures.sum()
    assert mean == pytest.approx(7200.0, rel=0.02)


def test_a_slow_node_slows_all():
    played = play_failures(a_job(slowdown=0.25), 0.0, horizon=1e6, trajectories=2)
    assert played.goodput == pytest.approx(0.8 * 600 / 601, rel=1e-3)


def test_causes_come_by_their_shares():
    soft = Cause(name="soft", share=3.0, detection=0.0, restart=1.0)
    hard = Cause(name="hard", share=1.0, detection=0.0, restart=1.0, fast_share=0.5)
    job = a_job(soft, hard, fast=Tier(interval=60.0))
    played = play_failures(job, LLAMA, horizon=54 * DAY, trajectories=200)
    shares = played.failures.sum(axis=0) / played.failures.sum()
    assert shares == pytest.approx([0.75, 0.25], abs=0.01)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 20000),
    st.floats(1.0, 20000.0),
    st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 500.0), st.floats(0.0, 1.0)),
    st.integers(1, 30),
    st.booleans(),
)
def test_parts_always_sum_up(nodes, interval, others, cycles, elastic):
    stall, lag, share = others
    causes = (
        Cause(name="soft", share=1.0, detection=20.0, restart=100.0, fast_share=share),
        Cause(name="hard", share=1.0, detection=20.0, restart=300.0, nodes=1, fast_share=share),
        Cause(name="silent", share=0.1, detection=9.0, restart=300.0, latency=1e4),
    )
    job = Job(
        num_nodes=nodes * 4,
        causes=causes,
        slow=Tier(interval=cycles * interval, stall=stall, lag=2 * lag),
        fast=Tier(interval=interval, stall=stall / 10, lag=lag),
        spares=3,
        repair_time=DAY,
        replica_nodes=4 if elastic else 0,
    )
    played = play_failures(job, LLAMA, horizon=5 * DAY, trajectories=20)
    assert_sums_up(played, 5 * DAY)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slow": Tier(interval=0.0)}, "every 0 s"),
        ({"slow": Tier(interval=600.0), "fast": Tier(interval=70.0)}, "give 630 s"),
        ({"spares": 3}, "no repair time"),
        ({"replica_nodes": 100}, "no whole number of replicas"),
        ({"causes": ()}, "at least one cause"),
        ({"slowdown": -0.1}, "slowdown"),
        ({"num_nodes": 0}, "0 nodes"),
    ],
)
def test_a_job_that_cannot_be_is_refused(change, words):
    usual = {"num_nodes": 8, "slow": Tier(interval=60.0), "causes": a_job().causes}
    with pytest.raises(InputError, match=words):
        play_failures(Job(**{**usual, **change}), LLAMA, horizon=DAY)


def test_what_is_asked_must_make_sense():
    with pytest.raises(InputError, match="either a time to play or the work"):
        play_failures(a_job(), LLAMA)
    with pytest.raises(InputError, match="above zero"):
        play_failures(a_job(), LLAMA, horizon=-1.0)
    with pytest.raises(InputError, match="zero or more per second"):
        play_failures(a_job(), -LLAMA, horizon=DAY)
    with pytest.raises(InputError, match="are rates per second"):
        play_failures(a_job(), LLAMA * DAY, horizon=54 * DAY)
    with pytest.raises(InputError, match="2 failure rates for 1000 trajectories"):
        play_failures(a_job(), [LLAMA, LLAMA], horizon=DAY)
