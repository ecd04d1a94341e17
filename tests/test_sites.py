"""Training over several sites: formulas in their limits, published runs, plans, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.asking_sites import ask_method, ask_sites
from clusterwright.cli import main
from clusterwright.errors import InfeasibleError, InputError
from clusterwright.facts import shipped
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
from clusterwright.swarm.sharing import deal
from clusterwright.swarm.things import Replica, Site
from clusterwright.uncertain import likely

FACTS = shipped()
GLOBAL = ("usa", "usa-europe", "global")


def fact(name: str) -> float:
    return FACTS.figure("decentralised", name, "value").value


def span(name: str) -> tuple[float, float]:
    figure = FACTS.figure("decentralised", name, "value")
    return figure.low, figure.high


def intellect(link: str, **changes):
    """The run as it was made: 128 sequences a node, one at a time, activations computed again."""
    return plan_sites(
        "intellect-1",
        f"14x8xh100@{link}",
        **{
            "software": "prime",
            "pins": {"recompute": "full", "recompute_layers": 0, "micro_batch": 1},
            "batch_sequences": 14 * round(fact("intellect-1-batch")),
            "sequence_length": round(fact("intellect-1-sequence")),
            "tokens": "1T",
            **changes,
        },
    )


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
        # bf16, two replicas. Their grid of bandwidths rises by a fifth from one to the next, and
        # they let part of the exchange run beside the backward pass of the last step.
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
        # 0.93, 1.35, 1.23 and 1.51 of theirs: as without streaming, they move about a third less.
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


# Plans.


def test_shares_follow_speed_and_add_up():
    assert deal(100, [3.0, 1.0], [1, 1], sizes=[1, 1], least=[1, 1]) == [75, 25]


@given(st.integers(1, 5000), st.lists(st.floats(0.1, 100.0), min_size=1, max_size=5))
def test_each_site_has_work_near_its_share(batch, rates):
    counts = [1] * len(rates)
    shares = deal(batch, rates, counts, sizes=[8] * len(rates), least=counts)
    for share, rate in zip(shares, rates, strict=True):
        fair = batch * rate / sum(rates)
        assert share >= 1
        assert abs(share - fair) <= max(1.0, fair / 8 + 1e-9)


def test_unequal_sites_are_done_at_about_the_same_time():
    plan = plan_sites("llama-3.2-1b", "8xh100@1Gb/s,4x8xa100@1Gb/s", batch_sequences=2048)
    times = [one.step_time for one in plan.replicas]
    assert min(times) > 0.85 * max(times) == pytest.approx(0.85 * plan.step_time)
    assert plan.replicas[0].batch > plan.replicas[1].batch


def test_seldom_exchanges_beat_every_step_and_one_site_alone():
    plan = intellect("1Gb/s/50ms")
    assert plan.parallel.rate < plan.alone.rate < plan.chosen.rate < 14 * plan.alone.rate
    assert plan.reduction == 400.0
    assert plan.moved * 86_400 / plan.period == pytest.approx(plan.daily)
    assert plan.chosen.rates.low < plan.chosen.rate < plan.chosen.rates.high


def test_what_is_said_to_make_nine_tenths_computing_does():
    plan = intellect("500Mb/s/100ms", inner_steps=40)
    assert plan.chosen.utilization < 0.9
    more = intellect("500Mb/s/100ms", inner_steps=plan.needed_steps)
    assert more.chosen.utilization == pytest.approx(0.9, abs=0.002)
    faster = intellect(f"{plan.needed_bandwidth * 8 / 1e6:.3f}Mb/s/100ms", inner_steps=40)
    assert faster.chosen.utilization == pytest.approx(0.9, abs=0.002)


def test_leaving_sites_cost_work_and_newcomers_keep_places_filled():
    calm, restless = intellect("1Gb/s/50ms"), intellect("1Gb/s/50ms", stay="12h")
    assert restless.kept < 1.0
    assert restless.chosen.rate == pytest.approx(calm.chosen.rate * restless.kept)
    assert restless.newcomers == pytest.approx(14 / 43_200)
    assert calm.kept is None


def test_gaming_cards_share_a_replica_and_their_links_set_the_pace():
    plan = plan_sites("intellect-1", "1000xrtx-4090@100Mb/s", tokens="1T")
    (one,) = plan.replicas
    assert one.peers > 1
    assert one.relayed
    assert one.count * one.peers + one.idle == 1000
    assert plan.alone is None
    wider = plan_sites("intellect-1", "1000xrtx-4090@10Gb/s", tokens="1T")
    assert not wider.replicas[0].relayed
    assert wider.chosen.rate > plan.chosen.rate


def test_phones_are_told_what_they_can_hold_and_how_long_it_would_take():
    plan = plan_sites("intellect-1", "100000xmetavertu@20Mb/s", tokens="1T")
    (one,) = plan.replicas
    assert one.peers > 10
    assert plan.if_held.duration < plan.chosen.duration
    held = FACTS.entry("models", plan.smaller).data["parameters_counted"]
    assert held * 16 < plan.sites[0].cluster.accelerator.memory_bytes


def test_activations_that_do_not_fit_are_not_blamed_on_the_model():
    plan = plan_sites("smollm2-135m", "100xmetavertu@mobile", sequence_length=8192)
    assert plan.replicas[0].peers > 1
    assert plan.smaller == ""
    short = plan_sites("smollm2-135m", "100xmetavertu@mobile", sequence_length=1024)
    assert short.replicas[0].peers == 1


def test_the_link_that_all_wait_for_is_the_one_with_the_longest_way_for_its_part():
    # A phone's link is slow, but it sends a small slice.
    plan = plan_sites("intellect-1", "90xmetavertu@20Mb/s,2x8xh100@50Mb/s")
    (phones, cards) = plan.replicas
    payload = plan.parameters * plan.method.exchanged
    sent = [payload / phones.peers / (20e6 / 8), payload / cards.peers / (50e6 / 8)]
    slowest = ring_sync_time(max(sent), 4, 0.725, 0.0432)
    assert plan.sync_time == pytest.approx(slowest, rel=1e-6)


def test_one_site_has_nothing_to_exchange():
    plan = plan_sites("llama-3.1-8b", "8xh100@1Gb/s", tokens="1T")
    assert plan.sync_time == 0.0
    assert plan.chosen.rate == pytest.approx(plan.alone.rate, rel=0.01)


def test_peers_exchange_their_slices_only():
    # Ten peers share a replica: each averages a tenth, with its like in the other replica.
    whole, sliced = (
        Replica(
            site=0, count=2, peers=peers, batch=1, step_time=1.0, spread=(1.0, 1.0),
            memory_bytes=0.0, accelerators=peers,
        )
        for peers in (1, 10)
    )  # fmt: skip
    site = Site(
        text="x", count=20, cluster=FACTS.any_cluster("h100", 1), bandwidth=1e9, round_trip=0.0
    )
    times = []
    for replica in (whole, sliced):
        model = SwarmModel(
            1e9, ask_method("intellect-1", FACTS), "ring", 1, sites=[site], replicas=[replica],
            tokens_per_step=1.0,
        )  # fmt: skip
        share = FACTS.figure("defaults", "wan-share", "value").value
        known = {**likely(model.inputs(link_share())), "link share": share}
        times.append(model(known)["sync_time"])
    assert times[0] == pytest.approx(10 * times[1])


def link_share():
    from clusterwright.uncertain import known

    return known(1.0)


# How sites are written, and what is refused.


@pytest.mark.parametrize(
    ("text", "count", "accelerators", "bits", "trip"),
    [
        ("14x8xh100@500Mb/s/100ms", 14, 8, 500e6, 0.1),
        ("8 x h100 @ 1 Gb/s / 100 ms", 1, 8, 1e9, 0.1),
        ("1000xrtx-4090@100Mbps/50ms", 1000, 1, 100e6, 0.05),
        ("1x1000xrtx-4090@1Gb/s/50ms", 1, 1000, 1e9, 0.05),
        ("4xrtx-4090@1Gb/s/50ms", 1, 4, 1e9, 0.05),
        ("100000xmetavertu@mobile", 100_000, 1, 9.01e6, 0.031),
        ("16kxmeta-24k@1Tb/s/campus", 1, 16_000, 1e12, 1e-5),
        ("h100@home-fibre/2ms", 1, 1, 188.6e6, 0.002),
    ],
)
def test_sites_are_read_as_written(text, count, accelerators, bits, trip):
    (site,), _ = ask_sites(text, FACTS)
    assert (site.count, site.cluster.count) == (count, accelerators)
    assert site.bandwidth == pytest.approx(bits / 8)
    assert site.round_trip == pytest.approx(trip)


def test_a_distance_is_a_round_trip_and_twins_are_counted():
    (site,), _ = ask_sites("8xh100@1Gb/s/1000km,8xh100@1Gb/s/1000km", FACTS)
    assert site.count == 2
    assert site.round_trip == pytest.approx(0.0096067, rel=1e-4)


@pytest.mark.parametrize(
    ("sites", "words"),
    [
        ("8xh100", "'8xh100' does not say how fast its link"),
        ("8xh100@1Gb/s,4xh1000@1Gb/s", "'4xh1000@1Gb/s': no cluster, accelerator or device"),
        ("8xh100@fast", "'8xh100@fast': 'fast' is not a quantity"),
        ("8xh100@1GB", "'1GB' is a memory size"),
        ("8xh100@1Gb/s/far", "a distance, such as 1000km"),
        ("8xh100@0Gb/s", "a link of no bandwidth"),
        ("8xh100@transatlantic", "write 8xh100@1Gb/s/transatlantic"),
        ("0x8xh100@1Gb/s", "at least 1"),
        ("0xh100@1Gb/s", "at least 1"),
        ("2x3x4xh100@1Gb/s", "has 3 numbers"),
        ("@1Gb/s", "names no machine"),
        ("8xh100@1Gb/s,,8xa100@1Gb/s", "two commas"),
        (" ", "names no site"),
        ("2x8xmetavertu@mobile", "write 16xmetavertu"),
    ],
)
def test_sites_that_cannot_be_read_are_named(sites, words):
    with pytest.raises(InputError, match=words):
        ask_sites(sites, FACTS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inner_steps": 0}, "--inner-steps is '?0'?, but must be a whole number of at least 1"),
        ({"outer": "data-parallel", "inner_steps": 5}, "exchanges in every step"),
        ({"outer": "dilco"}, "did you mean diloco"),
        ({"exchange": "star"}, "choose from ring, butterfly, tree, server"),
        ({"stay": "3"}, "--stay"),
    ],
)
def test_exchanges_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        plan_sites("llama-3.2-1b", "2x8xh100@1Gb/s", **changes)


def test_a_site_too_small_is_told_what_would_help():
    with pytest.raises(InfeasibleError, match=r"cannot hold .* sliced over peers .* join 7 nv-rtx"):
        plan_sites("intellect-1", "1xrtx-4090@1Gb/s")
    with pytest.raises(InfeasibleError, match="too little for one of its layers"):
        plan_sites("llama-3.1-405b", "100xmetavertu@20Mb/s")


def test_the_command_line_prints_all_of_it(capsys):
    command = ["plan", "train", "llama-3.2-1b", "--sites", "4x8xh100@1Gb/s/60ms", "--tokens", "1T"]
    assert main([*command, "--stay", "2d"]) == 0
    text = capsys.readouterr().out
    for words in (
        "over 4 sites",
        "Exchanges",
        "one site alone",
        "in every step",
        "is kept",
        "Loss",
    ):
        assert words in text
    assert main([*command, "--json"]) == 0
    assert '"reduction":400.0' in capsys.readouterr().out
    assert main([*command, "--cluster", "meta-24k"]) != 0
    assert "both name the machine" in capsys.readouterr().err
    assert (
        main(["plan", "train", "llama-3.2-1b", "--inner-steps", "5", "--cluster", "meta-24k"]) != 0
    )
    assert "--inner-steps is about several sites" in capsys.readouterr().err
