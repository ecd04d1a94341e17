"""Refusals name what was asked too much of, and what mends it."""

from __future__ import annotations

import pytest
from serving_cases import asked

from clusterwright.asking_load import make_base, make_load, rate_of
from clusterwright.errors import ClusterwrightError, InfeasibleError, InputError, UnitError
from clusterwright.inference import Deployment
from clusterwright.planner_serving import deployment_of, estimate_serving
from clusterwright.planner_serving_fleet import ask_fleet, plan_measured

SIZES = [
    ({"tp": 1000}, 1, "32 heads"),
    ({"tp": 8, "ep": 8}, 1, "no experts to spread: leave out --ep"),
    ({"tp": 2}, 3, "the replicas take 6 accelerators, but there are 4"),
]
BASES = [
    ({"cache_tokens": 10}, "--cache-tokens: give more, or leave it out"),
    ({"memory_share": 0.05}, "give a larger --memory-share than 0.05"),
    ({"adapters": 100_000}, "llama-3.1-8b with 100,000 adapters in fp8 does not fit"),
    (
        {"drafted": 3, "acceptance": 0.8, "drafter": "llama-3.1-70b"},
        "with the drafter llama-3.1-70b in fp8 does not fit",
    ),
]


@pytest.mark.parametrize(("cut", "replicas", "said"), SIZES)
def test_a_cut_that_nobody_can_make_is_refused(cut, replicas, said):
    question = asked(accelerators=None if replicas == 1 else 4)
    with pytest.raises(InputError, match=said):
        estimate_serving(question, Deployment(**cut), replicas=replicas)


@pytest.mark.parametrize(("base", "said"), BASES)
def test_what_does_not_fit_is_named_and_what_was_set_is_what_mends_it(base, said):
    draft = base.get("drafter")
    question = asked(base=make_base(**base), draft=draft)
    with pytest.raises(InfeasibleError, match=said):
        estimate_serving(question, deployment_of(question))


@pytest.mark.parametrize("load", [{"users": 10**9, "rate": None}, {}], ids=["users", "replicas"])
def test_more_requests_than_anybody_waits_for_are_not_played(load):
    question = asked(**load)
    with pytest.raises(InputError, match=r"requests to play, of 20,000,000 at most"):
        estimate_serving(question, deployment_of(question), replicas=1 if load else 900_000)


@pytest.mark.parametrize("rate", ["5ms", "nan", "5/x", "-1", "1e30", "0"])
def test_a_rate_that_is_none_is_answered_with_one(rate):
    with pytest.raises((InputError, UnitError), match="requests a second, such as 500/s"):
        rate_of(rate)


def test_a_measured_rate_is_called_by_its_own_name():
    with pytest.raises(ClusterwrightError, match="--measured is '0'"):
        plan_measured(ask_fleet("5/s"), "0")


def test_a_percentile_is_of_a_hundred():
    with pytest.raises(InputError, match="such as 90: of a hundred"):
        make_load(rate=5, prompt=10, output=10, percentile=0.9)
