"""A deployment from idle to saturation: the curve goes through the plan, and rises as queues do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from serving_cases import asked, planned

from clusterwright.errors import InputError
from clusterwright.inference import Deployment
from clusterwright.planner_serving import curve_of, estimate_serving
from clusterwright.serving.load_curve import alike
from clusterwright.serving.server import Pool

PROMISE = {"ttft": "1s", "tpot": "25ms"}


@pytest.fixture(scope="module")
def plan():
    return planned(rate=50, **PROMISE)


@pytest.fixture(scope="module")
def curve(plan):
    return curve_of(plan.question, plan.best.pools, together=False)


def test_a_plan_lies_on_its_curve(plan, curve):
    (point,) = (point for point in curve.points if point.asked)
    best = plan.best
    assert (point.ttft, point.tpot, point.meets) == (best.ttft, best.tpot, best.meets)
    assert curve.saturation == pytest.approx(best.saturation)
    assert curve.accelerators == best.accelerators


def test_an_estimate_lies_on_its_curve():
    question = asked(rate=30)
    pools = (Pool(count=3, deployment=Deployment(weights="fp8", cache="fp8")),)
    found = estimate_serving(question, pools)
    (point,) = (point for point in curve_of(question, pools).points if point.asked)
    assert (point.ttft, point.tpot) == (found.ttft, found.tpot)


def test_users_wait_longer_the_higher_the_load(curve):
    rates = [point.rate for point in curve.points]
    assert rates == sorted(rates)
    assert 0.0 < rates[0] < 0.05 * curve.saturation < 0.9 * curve.saturation < rates[-1]
    for name in ("ttft", "tpot"):
        tails = [getattr(point, name).p90 for point in curve.points]
        assert all(after > 0.97 * before for before, after in pairwise(tails))
        assert tails[-1] > 1.5 * tails[0]


def test_throughput_is_the_load_below_saturation(plan, curve):
    mean = plan.best.output_rate / plan.best.rate
    for point in curve.points:
        assert point.output_rate == pytest.approx(point.rate * mean, rel=0.05)


def test_a_load_beyond_saturation_is_not_on_the_curve(curve, plan):
    pools = plan.best.pools
    beyond = curve_of(asked(rate=100 * curve.saturation), pools, together=False)
    assert not any(point.asked for point in beyond.points)
    assert max(point.rate for point in beyond.points) < beyond.saturation


def test_pools_are_played_in_the_smallest_numbers_of_the_same_ratio():
    one = Deployment(tp=2)
    pools = (
        Pool(role="prefill", count=6, deployment=one),
        Pool(role="decode", count=4, deployment=one),
    )
    few, times = alike(pools)
    assert ([pool.count for pool in few], times) == ([3, 2], 2)


def test_users_who_wait_have_no_load_to_vary():
    with pytest.raises(InputError, match="a curve needs requests a second, such as --rate"):
        curve_of(asked(rate=None, users=4), (Pool(deployment=Deployment(weights="fp8")),))
