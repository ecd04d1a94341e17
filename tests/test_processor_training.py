"""Training where the processor that launches kernels runs them, in 32 bits, over sockets."""

from __future__ import annotations

import msgspec
import pytest
from measured_cases import MACHINE, imagined

from clusterwright.asking import ask_on, catalogue_with
from clusterwright.calibrate.measure.entry import entry_of
from clusterwright.formulas.roofline import memory_time
from clusterwright.model.config import load_config
from clusterwright.planner import estimate_question
from clusterwright.verify.cases import NARROW

PLAIN = {"sequence_parallel": False, "recompute": "none", "micro_batch": 2}


@pytest.fixture(scope="module")
def question(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "imagined.toml"
    entry = entry_of(MACHINE, imagined(), name="imagined", checked="2026-11-22")
    path.write_text(entry.toml, encoding="utf-8")
    facts = catalogue_with([path])
    return ask_on(
        load_config(NARROW.config(), name="narrow"),
        facts.cluster("imagined"),
        catalogue=facts,
        software="imagined",
        precision="fp32",
        sequence_length=256,
        batch_sequences=4,
    )


def with_software(question, **changes):
    software = msgspec.structs.replace(question.software, **changes)
    return msgspec.structs.replace(question, software=software)


def with_stack(question, **changes):
    stack = msgspec.structs.replace(question.software.stack, **changes)
    return with_software(question, stack=stack)


def with_library(question, **changes):
    library = msgspec.structs.replace(question.profile.communication, **changes)
    profile = msgspec.structs.replace(question.profile, communication=library)
    return msgspec.structs.replace(question, profile=profile)


def terms(question, **choices):
    found = estimate_question(question, **{**PLAIN, **choices})
    return {term.name: term.time for term in found.waterfall}


def test_activations_of_32_bits_take_twice_the_traffic_and_memory(question):
    half = msgspec.structs.replace(
        question,
        workload=msgspec.structs.replace(question.workload, precision="bf16"),
        cluster=msgspec.structs.replace(
            question.cluster,
            accelerator=msgspec.structs.replace(
                question.cluster.accelerator,
                peaks={"bf16": question.cluster.accelerator.peaks["fp32"]},
            ),
        ),
    )
    wide, narrow = (estimate_question(one, dp=2, zero=0, **PLAIN) for one in (question, half))

    def activations(found):
        parts = found.stages[0].parts
        return parts["attention"] + parts["feed-forward"]

    assert activations(wide) == pytest.approx(2.0 * activations(narrow))
    tensor = [terms(one, tp=2, dp=1, zero=0)["tp"] for one in (question, half)]
    assert 1.5 < tensor[0] / tensor[1] <= 2.0


def test_calls_add_up_where_the_host_runs_the_kernels(question):
    slow = with_stack(question, launch_time=1e-3)
    own = terms(slow, dp=2, zero=0)["host"]
    hidden = terms(with_software(slow, launches_itself=False), dp=2, zero=0)["host"]
    kernels = own / 1e-3
    assert kernels > 100.0
    assert hidden < own


def test_traffic_that_costs_all_of_its_time_hides_nothing(question):
    shown = terms(with_library(question, overlap_slowdown=1.0), dp=2, zero=0)["dp"]
    alone = terms(question, dp=2, zero=0, overlap_dp=False)["dp"]
    hidden = terms(with_library(question, overlap_slowdown=0.0), dp=2, zero=0)["dp"]
    # Reduced at once it pays its latency once, in buckets once for each.
    assert shown == pytest.approx(alone, rel=0.02)
    assert hidden < 0.5 * shown


def test_replicas_sum_by_all_reduces_where_those_were_measured(question):
    library = question.profile.communication
    slower = tuple(
        msgspec.structs.replace(one, share=0.5 * one.share, network_share=0.5 * one.network_share)
        for one in library.all_reduce_ring
    )
    before, after = (
        terms(one, dp=2, zero=0)["dp"]
        for one in (question, with_library(question, all_reduce_ring=slower))
    )
    assert 1.8 < after / before < 2.1
    sharded = [
        terms(one, dp=2, zero=3)["dp"]
        for one in (question, with_library(question, all_reduce_ring=slower))
    ]
    assert sharded[0] == sharded[1]


def test_copies_of_sharded_weights_are_theirs_alone(question):
    without = with_software(question, sharded_copies=0.0)
    assert terms(question, dp=2, zero=3)["dp"] > terms(without, dp=2, zero=3)["dp"]
    assert terms(question, dp=2, zero=0) == terms(without, dp=2, zero=0)


def test_an_update_of_twice_the_rate_takes_half_the_time(question):
    share = question.software.stack.update_share
    quick = with_stack(question, update_share=2.0 * share)
    before, after = (terms(one, dp=2, zero=0) for one in (question, quick))
    assert after["optimizer"] == pytest.approx(0.5 * before["optimizer"], rel=0.01)
    assert after["memory-bound"] == before["memory-bound"]


def test_what_a_cache_holds_passes_faster_and_what_it_does_not_as_before():
    memory = {"memory_bandwidth": 10e9, "efficiency": 1.0, "ramp_bytes": 0.0, "floor": 0.0}
    cache = {"cache_bytes": 50e6, "cache_speedup": 2.0}
    small, large = (
        memory_time(size, **memory, **cache) / memory_time(size, **memory) for size in (1e6, 1e9)
    )
    assert small == pytest.approx(0.5, rel=1e-3)
    assert large == pytest.approx(1.0, rel=1e-3)
    assert memory_time(0.0, **memory, **cache) == 0.0
