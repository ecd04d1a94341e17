"""Pictures of serving: their numbers are the records' own, intervals and promises are drawn."""

from __future__ import annotations

import msgspec
import pytest
from pictured import check, walk
from serving_cases import asked, planned

from clusterwright.cli import ask
from clusterwright.planner_serving import curve_of
from clusterwright.report.pictures.candidates import candidates, machines
from clusterwright.report.pictures.latencies import latencies, latency_rows, step_parts
from clusterwright.report.pictures.load_curve import load_curve, load_rows
from clusterwright.report.pictures.regions import MOST, rates, replicas
from clusterwright.serving.fleet import RegionPlan

PROMISE = {"ttft": "1s", "tpot": "25ms"}
FLEET = (
    "plan fleet llama-3.1-8b --accelerator h100 --rate 500/s --input 1000 --output 200 "
    "--regions us=0.5,eu=0.3@2.1,asia=0.2 --peak 1.5 --lose-region --spare 1 --measured 5/s"
)


@pytest.fixture(scope="module")
def plan():
    return planned(rate=50, price="$2", **PROMISE)


@pytest.fixture(scope="module")
def curve(plan):
    return curve_of(plan.question, plan.best.pools, together=False)


@pytest.fixture(scope="module")
def fleets():
    return ask(FLEET.split()).value


# Latencies and parts


def test_latencies_are_the_estimates_own_beside_the_promise(plan):
    best, job = plan.best, plan.question.workload
    rows = {row["name"]: row for row in latency_rows(best, job)}
    assert list(rows) == ["first token", "each token", "gaps", "whole answer"]
    first, each = rows["first token"], rows["each token"]
    assert (first["p50"], first["p90"], first["p99"]) == (
        best.ttft.p50,
        best.ttft.p90,
        best.ttft.p99,
    )
    assert (first["promised"], each["promised"]) == (1.0, pytest.approx(0.025))
    sure = {one.sort: one for one in best.intervals}
    assert first["low"] == pytest.approx(best.ttft.p90 * sure["TTFT"].low)
    assert each["high"] == pytest.approx(best.tpot.p90 * sure["TPOT dense"].high)
    spec = latencies(best, job)
    drawn = {row["name"]: row["p90"] for row in spec["data"]["values"]}
    assert drawn == {called: row["p90"] for called, row in rows.items()}
    check(spec)


def test_without_a_promise_no_limit_is_drawn():
    question = asked(rate=5)
    spec = latencies(planned(rate=5).best, question.workload)
    assert not any("promised" in row for row in spec["data"]["values"])
    assert "promised" not in spec["description"]
    check(spec)


def test_one_token_answers_have_no_time_per_token():
    plan = planned(rate=50, output=1, ttft="500ms")
    names = [row["name"] for row in latency_rows(plan.best, plan.question.workload)]
    assert "each token" not in names
    assert load_curve(curve_of(plan.question, plan.best.pools, together=False), "tpot") is None
    assert candidates(plan, "tpot") is None


def test_parts_of_a_step_add_up_to_the_step(plan):
    spec = step_parts(plan.best)
    total = sum(part.time for part in plan.best.parts)
    assert 1e-3 * sum(row["time"] for row in spec["data"]["values"]) == pytest.approx(total)
    times = [row["time"] for row in spec["data"]["values"]]
    assert times == sorted(times, reverse=True)
    check(spec)


# Against the load


@pytest.mark.parametrize("which", ["ttft", "tpot"])
def test_a_load_curve_goes_through_the_plan(plan, curve, which):
    rows = load_rows(curve, which)
    (point,) = (row for row in rows if "asked" in row)
    assert point["rate"] == plan.question.workload.rate
    assert point["p90"] == getattr(plan.best, which).p90
    assert point["low"] < point["p90"] < point["high"]
    spec = load_curve(curve, which)
    limits = spec["layer"][0]["data"]["values"][0]
    assert (limits["low"], limits["high"]) == plan.best.limits
    assert getattr(curve, which) in set(walk(spec["layer"]))
    check(spec)


def test_a_curve_without_intervals_or_promise_still_draws(curve):
    bare = msgspec.structs.replace(
        curve, intervals=(), ttft=None, tpot=None, limits=(curve.saturation, curve.saturation)
    )
    spec = load_curve(bare)
    assert "promised" not in spec["description"]
    check(spec)


# Candidates


def test_candidates_are_the_plan_and_its_others(plan):
    every = (plan.best, *plan.alternatives)
    spec = candidates(plan)
    rows = spec["data"]["values"]
    assert [row["taken"] for row in rows] == [one.cost for one in every]
    assert [row["time"] for row in rows] == [one.tpot.p90 for one in every]
    assert all(row["low"] < row["time"] < row["high"] for row in rows)
    check(spec)
    check(candidates(plan, "ttft"))


def test_without_a_price_candidates_are_compared_by_accelerators():
    plan = planned(rate=50, **PROMISE)
    rows = candidates(plan)["data"]["values"]
    assert [row["taken"] for row in rows] == [
        one.accelerators for one in (plan.best, *plan.alternatives)
    ]


def test_candidates_of_one_kind_of_replicas_lead_to_their_estimates(plan):
    asked_for = {"model": "llama-3.1-8b", "accelerator": "h100", "rate": "50/s"}
    spec = candidates(plan, asked=asked_for)
    every = (plan.best, *plan.alternatives)
    for row, one in zip(spec["data"]["values"], every, strict=True):
        assert ("href" in row) == (len(one.pools) == 1)
        if "href" in row:
            assert row["href"].startswith("/estimate/serve?model=llama-3.1-8b&")
            assert f"replicas={one.pools[0].count}" in row["href"]
    check(spec)


@pytest.mark.parametrize("of", ["cost", "energy"])
def test_machines_are_drawn_with_the_intervals_of_what_they_take(of):
    words = "compare serve llama-3.1-8b h100 b200 --rate 20/s --input 1000 --output 200"
    plans = ask(words.split()).value["plans"]
    spec = machines(plans, of)
    taken = {p.question.cluster.accelerator.name: getattr(p.account, of) for p in plans}
    for row in spec["data"]["values"]:
        one = taken[row["name"]]
        assert (row["low"], row["middle"], row["high"]) == (one.low, one.middle, one.high)
    check(spec)
    assert machines([planned(rate=50, **PROMISE)], of) is None


# Regions


def test_regions_have_the_replicas_of_the_plan(fleets):
    for fleet in fleets:
        spec = replicas(fleet)
        for region in fleet.regions:
            ends = [row for row in spec["data"]["values"] if row["name"] == region.name]
            assert max(row["to"] for row in ends) == region.replicas + region.spare
            assert ends[0]["to"] == region.replicas
        check(spec)
        check(rates(fleet))


def test_rates_of_regions_are_the_plans(fleets):
    (us, *_) = rates(fleets[0])["data"]["values"]
    region = fleets[0].regions[0]
    assert (us["mean"], us["peak"], us["sized"]) == (region.mean, region.peak, region.sized)


def test_of_many_regions_the_rest_is_drawn_as_their_mean(fleets):
    one = RegionPlan(name="", mean=1.0, peak=2.0, sized=3.0, replicas=4, spare=0, accelerators=8)
    many = tuple(
        msgspec.structs.replace(one, name=f"r{turn}", sized=3.0 + turn) for turn in range(100)
    )
    spec = rates(msgspec.structs.replace(fleets[0], regions=many))
    *_, rest = spec["data"]["values"]
    assert len(spec["data"]["values"]) == MOST + 1
    assert rest["name"] == f"each of {100 - MOST} others"
    assert rest["sized"] == pytest.approx(3.0 + (99 - MOST) / 2)
    check(spec)
