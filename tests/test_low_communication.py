"""Seldom exchanges: identities of the sources, published runs, formulas in their limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites_cases import FACTS, GLOBAL, fact, intellect, span

from clusterwright.asking_sites import ask_method
from clusterwright.formulas.low_communication import (
    butterfly_sync_time,
    compute_utilization,
    download_time,
    fibre_round_trip,
    inner_steps_for,
    kept_work,
    ring_sync_time,
    server_sync_time,
    traffic_reduction,
    tree_sync_time,
)
from clusterwright.formulas.memory import sharded_bytes
from clusterwright.planner_sites import plan_sites
from clusterwright.swarm.model import SwarmModel

# Identities of the sources.


def test_light_takes_43_ms_from_coast_to_coast_and_back():
    index = FACTS.figure("defaults", "fibre-index", "value").value
    assert 299_792.458 / index == pytest.approx(208_188, rel=1e-4)
    assert fibre_round_trip(0.0432 / 2 * 208_188e3, index) == pytest.approx(
        fact("de-019"), rel=1e-4
    )


def test_a_checkpoint_of_100t_parameters_crosses_a_region_in_two_thirds_of_a_second():
    fast = FACTS.figure("wans", "metro", "bandwidth").value
    assert download_time(100e12 * 4, fast, 0.0) == pytest.approx(0.64)


def test_a_replica_of_27b_keeps_430_gb():
    bytes_each = FACTS.figure("defaults", "replica-bytes", "value").value
    assert sharded_bytes(27e9, bytes_per_parameter=bytes_each, shards=1) == pytest.approx(
        430e9, rel=0.01
    )


def test_intellect_1_and_streaming_diloco_move_400_times_less():
    prime = ask_method("intellect-1", FACTS)
    every = ask_method("data-parallel", FACTS)
    steps, sent = prime.inner_steps, prime.exchanged
    assert traffic_reduction(steps, every.exchanged, sent) == fact("de-012") == 400
    streaming = ask_method("streaming", FACTS)
    narrow = FACTS.figure("outer_methods", "data-parallel", "exchanged").disagrees[0].value
    moved = fact("streaming-dp-moved") / fact("streaming-diloco-moved")
    less = traffic_reduction(streaming.inner_steps, narrow, streaming.exchanged)
    assert less == pytest.approx(moved, rel=0.01) == fact("de-002")


# Published runs.


@pytest.mark.parametrize("place", GLOBAL)
def test_utilisation_follows_from_the_measured_exchange(place):
    step = fact("intellect-1-inner-time") / fact("intellect-1-cadence")
    found = compute_utilization(
        fact("intellect-1-cadence"), step, fact(f"intellect-1-{place}-exchange"), 0.0
    )
    assert found == pytest.approx(fact(f"intellect-1-{place}-utilization"), abs=0.003)


def test_a_node_of_intellect_1_is_as_fast_as_measured():
    plan = intellect("500Mb/s/100ms")
    measured = fact("intellect-1-inner-time") / fact("intellect-1-cadence")
    low, high = plan.replicas[0].spread
    assert low * plan.step_time < measured < high * plan.step_time
    assert plan.step_time == pytest.approx(measured, rel=0.1)


def test_measured_exchanges_lie_within_those_of_the_slowest_and_the_fastest_link():
    # 500 Mb/s to 4 Gb/s were measured between nodes; all of it, or half.
    slow, fast = (
        SwarmModel(
            plan.parameters,
            plan.method,
            "ring",
            plan.inner_steps,
            sites=plan.sites,
            replicas=plan.replicas,
            tokens_per_step=plan.tokens_per_step,
        )
        for plan in (intellect("500Mb/s/100ms"), intellect("4Gb/s/60ms"))
    )
    shares = FACTS.figure("defaults", "wan-share", "value")
    longest, shortest = slow.sync_time(shares.low), fast.sync_time(shares.high)
    for place in GLOBAL:
        assert shortest < fact(f"intellect-1-{place}-exchange") < longest


@pytest.mark.xfail(strict=True, reason="382 and 469 s measured; 305 s by the slowest link measured")
@pytest.mark.parametrize("place", ["usa-europe", "global"])
def test_links_at_their_full_rate_explain_exchanges_between_continents(place):
    slowest = span("intellect-1-links")[0]
    assert ring_sync_time(10.2e9, 14, slowest, 0.1) >= fact(f"intellect-1-{place}-exchange")


def test_intellect_1_computes_and_ends_as_published():
    slow, fast = intellect("500Mb/s/100ms"), intellect("4Gb/s/60ms")
    low, high = span("de-010")
    assert slow.chosen.utilizations.low < low < fast.chosen.utilization
    assert slow.chosen.utilization < high < fast.chosen.utilizations.high
    # Four to fourteen nodes were at work; all the time fourteen would have been sooner.
    fewest = span("intellect-1-nodes")[0]
    days = [plan.chosen.duration / 86_400 for plan in (slow, fast)]
    assert max(days) < 42 < min(days) * 14 / fewest


def test_the_mfu_of_intellect_1_is_that_of_a_node_times_utilisation():
    for place in GLOBAL:
        whole = fact("intellect-1-alone-mfu") * fact(f"intellect-1-{place}-utilization")
        assert whole == pytest.approx(fact(f"intellect-1-{place}-mfu"), abs=0.002)


def test_opendiloco_says_the_same_of_itself_twice():
    # Its links and batch are not in what was read: nothing to compute it from.
    low, high = span("de-004")
    assert low < 1.0 - fact("opendiloco-exchange") < high


def simulated(name: str) -> list[float]:
    return [
        float(part) * 1e9 / 8 for part in FACTS.entry("decentralised", name).text("text").split("/")
    ]


def needed(parameters, step, steps, exchanged, utilization, *, fragments=1, overlap=0):
    """Bandwidth at which two replicas compute for so much of the time, latency left out."""
    hidden = min(fragments * overlap, steps) * step
    allowed = steps * step * (1.0 / utilization - 1.0) + hidden
    return ring_sync_time(parameters * exchanged, 2, 1.0, 0.0) / allowed


@pytest.mark.parametrize(("size", "step"), [("10b", 0.8), ("405b", 26.0)])
@pytest.mark.parametrize("steps", [10, 50, 100, 300])
def test_bandwidth_for_much_computing_as_the_authors_of_diloco_simulate_it(size, step, steps):
    published = simulated(f"simulated-{size}-h{steps:03}")
    parameters = {"10b": 10e9, "405b": 405e9}[size]
    for share, theirs in zip((0.5, 0.8, 0.9), published[:3], strict=True):
        ours = needed(parameters, step, steps, 2.0, share)
        # bf16, two replicas: ours is 1.1 to 2.1 times theirs. What was read does not say why; it
        # is as if a third fewer bytes were sent, and one step's worth of them beside a step.
        extra = 1.0 + 1.0 / (steps * (1.0 / share - 1.0))
        assert 0.85 < ours / theirs < 1.5 * extra


def test_streaming_diloco_needs_what_its_authors_simulate():
    published = simulated("streaming-1b-simulated")
    streaming = ask_method("streaming", FACTS)
    for share, theirs in zip((0.5, 0.8, 0.9, 0.95), published[:4], strict=True):
        ours = needed(
            1e9, 0.1, 100, streaming.exchanged, share,
            fragments=streaming.fragments, overlap=streaming.overlap,
        )  # fmt: skip
        # 0.93, 1.35, 1.23 and 1.51 of theirs: not explained, as without streaming.
        assert 0.9 < ours / theirs < 1.6


def test_nemotron_between_two_sites_needs_links_that_fibres_have():
    # 96 % at 1,000 km; nobody published the links. Gradients of 340B after steps of 8 s take less
    # than what a pair of fibres carries, 20 to 122 Tb/s, even if nothing runs beside the step.
    efficiency = fact("de-027")
    trip = fibre_round_trip(1e6, FACTS.figure("defaults", "fibre-index", "value").value)
    allowed = 8.0 * (1.0 / efficiency - 1.0)
    bandwidth = 340e9 * 4.0 / (allowed - trip)
    assert 20e12 / 8 < bandwidth < 121.6e12 / 8


def test_gradients_of_every_step_cross_a_region_of_wide_fibre_as_gemini_does():
    # Google trained Gemini Ultra over several data centres without exchanging more seldom.
    plan = plan_sites("palm-540b", "2x3072xtpu-v4@metro", outer="data-parallel")
    assert plan.chosen.utilizations.low > 0.99
    assert plan.chosen.rate > 1.6 * plan.alone.rate


# Formulas in their limits.


REPLICAS, BYTES = st.integers(2, 10_000), st.floats(1e3, 1e13)
RATES, TRIPS = st.floats(1e3, 1e13), st.floats(0.0, 1.0)


@given(REPLICAS, BYTES, RATES, TRIPS)
def test_a_ring_is_never_quicker_than_a_butterfly_and_a_lone_server_never_than_a_ring(r, n, b, t):
    ring, butterfly = ring_sync_time(n, r, b, t), butterfly_sync_time(n, r, b, t)
    assert butterfly <= ring * (1 + 1e-12)
    assert server_sync_time(n, r, b, 0.0, b) >= ring_sync_time(n, r, b, 0.0)
    assert tree_sync_time(n, r, b, t) <= (ring + 2 * n / b / r + t) * (1 + 1e-9)


@given(st.floats(0.01, 0.99), st.floats(0.01, 100), st.floats(0.0, 1e5), st.floats(0.0, 1e3))
def test_inner_steps_keep_what_they_promise(u, step, sync, hidden):
    steps = inner_steps_for(u, step, sync, hidden)
    assert compute_utilization(steps, step, sync, hidden) >= u * (1 - 1e-9)
    if steps > 1:
        assert compute_utilization(steps - 1, step, sync, hidden) < u * (1 + 1e-9)


def test_kept_work_is_what_members_who_come_and_go_leave_in_the_model():
    random = np.random.default_rng(3)
    stay, join, period = 10_000.0, 900.0, 2_700.0
    stays = random.exponential(stay, 400_000)
    wait = join + random.uniform(0.0, period, stays.size)
    whole = np.floor(np.maximum(0.0, stays - wait) / period) * period
    assert kept_work(stay, join, period) == pytest.approx(whole.sum() / stays.sum(), rel=0.01)
