"""Training over several sites: plans, how sites are written, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sites_cases import FACTS, intellect

from clusterwright.asking_sites import ask_method, ask_sites
from clusterwright.cli import main
from clusterwright.errors import InfeasibleError, InputError
from clusterwright.formulas.low_communication import ring_sync_time
from clusterwright.planner_sites import plan_sites
from clusterwright.swarm.model import SwarmModel
from clusterwright.swarm.sharing import deal
from clusterwright.swarm.things import Replica, Site
from clusterwright.uncertain import known, likely

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
        times.append(model(likely(model.inputs(known(share))))["sync_time"])
    assert times[0] == pytest.approx(10 * times[1])


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


@pytest.mark.parametrize("option", [["--deadline", "60d"], ["--region", "sweden"], ["--sure"]])
def test_what_is_about_one_site_is_refused_and_not_left_unread(option, capsys):
    command = ["plan", "train", "llama-3.2-1b", "--sites", "4x8xh100@1Gb/s/60ms", "--tokens", "1T"]
    assert main([*command, *option]) == 2
    assert f"{option[0]} is about one site: leave it out" in capsys.readouterr().err
