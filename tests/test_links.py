"""Communication libraries: the quickest line, its limits, and what may never happen."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_cases import INTERVALS

from clusterwright.communication import CommunicationLibrary, Protocol, plain_library
from clusterwright.errors import CatalogueError, ConfigError
from clusterwright.facts import library_of, links_on, profile_of, shipped
from clusterwright.formulas import collectives, protocols
from clusterwright.hardware import Level
from clusterwright.links import Links
from clusterwright.model.config import load_config
from clusterwright.strategy import Strategy
from clusterwright.training.api import settings_of, software_named
from clusterwright.training.estimate import estimate_with, make_evaluator
from clusterwright.workload import TrainingWorkload

NODE = {"level_sizes": (8.0, 1024.0), "level_bandwidths": (450e9, 50e9)}
OPERATIONS = ("gather", "all_reduce", "all_to_all", "broadcast")
GENERATIONS = ("nvidia-ampere", "nvidia-hopper", "nvidia-blackwell")
MEBIBYTE = 2.0**20


def links(accelerator: str = "nv-h100-sxm", count: int = 1024) -> Links:
    return links_on(shipped().any_cluster(accelerator, count))


def bus_bandwidth(time, group, size):
    return 2.0 * (group - 1.0) / group * size / time


def test_the_quickest_way_changes_with_the_size():
    lines = {"latencies": (10e-6, 50e-6), "inverse_bandwidths": (1 / 50e9, 1 / 200e9)}
    crossing = (50e-6 - 10e-6) / (1 / 50e9 - 1 / 200e9)
    for size, slope in ((crossing / 10.0, 1 / 50e9), (crossing * 10.0, 1 / 200e9)):
        step = protocols.quickest_time(size * 1.01, **lines) - protocols.quickest_time(
            size, **lines
        )
        assert step / (size * 0.01) == pytest.approx(slope)
    assert protocols.quickest_time(0.0, **lines) == 10e-6


@pytest.mark.parametrize(
    ("group", "stride", "seconds_per_byte"),
    [
        (8, 1, 2 / 450e9),  # inside a node: up and down the chain
        (16, 1, 2 / 450e9),  # two nodes send one buffer over eight adapters: 1/400e9 is less
        (16, 8, 2 / 50e9),  # sixteen nodes: each sends two buffers over one adapter
        (2, 8, 1 / 50e9),  # two nodes are special
        (32, 1, 2 / 400e9),
    ],
)
def test_a_double_tree_sends_each_buffer_twice_but_between_two_nodes_once(
    group, stride, seconds_per_byte
):
    found = protocols.tree_inverse_bandwidth(group, stride, **NODE)
    assert float(found) == pytest.approx(seconds_per_byte)


def test_switches_report_more_than_the_adapters_carry_between_two_nodes():
    node = {"level_sizes": (8.0, 1024.0), "level_bandwidths": (476e9, 50e9)}
    two, four = (float(protocols.switch_inverse_bandwidth(n, 1.0, **node)) for n in (16.0, 32.0))
    assert bus_bandwidth(two, 16.0, 1.0) > 400e9 > bus_bandwidth(four, 32.0, 1.0)


def test_switches_alone_report_their_bus_bandwidth():
    found = protocols.switch_inverse_bandwidth(8.0, 1.0, **NODE)
    assert bus_bandwidth(float(found), 8.0, 1.0) == pytest.approx(450e9)


def test_a_group_drives_no_more_rails_than_it_may():
    racks = {"level_sizes": (72.0, 1440.0), "level_bandwidths": (900e9, 50e9)}
    free = float(collectives.ring_inverse_bandwidth(1440.0, 1.0, **racks))
    held = float(collectives.ring_inverse_bandwidth(1440.0, 1.0, **racks, max_rails=9.0))
    assert 1.0 / free == pytest.approx(900e9, rel=1e-2)
    assert 1.0 / held == pytest.approx(450e9, rel=1e-2)
    pods = {"level_sizes": (72.0, 720.0, 1440.0), "level_bandwidths": (900e9, 50e9, 50e9)}
    for formula in (collectives.ring_inverse_bandwidth, protocols.switch_inverse_bandwidth):
        flat, split = (formula(1440.0, 1.0, **net, max_rails=9.0) for net in (racks, pods))
        assert float(flat) == pytest.approx(float(split))


def test_one_shot_beats_two_only_while_latency_rules():
    two = 2.0 * 7 / 8 / 350e9
    assert float(protocols.one_shot_inverse_bandwidth(8.0, level_bandwidth=350e9)) > two
    alone = protocols.one_shot_inverse_bandwidth(1.0, level_bandwidth=350e9)
    assert float(alone) == 0.0


@pytest.mark.parametrize(
    ("top_k", "domains", "limit", "expected"),
    [
        (8, 1, 8, 1.0),  # one node holds all experts
        (1, 8, 8, 1.0),  # one expert lies in one node
        (8, 8, 1, 1.0),
        (2, 2, 2, 1.5),  # both in one node half of the time
    ],
)
def test_domains_of_a_token(top_k, domains, limit, expected):
    found = protocols.expected_domains(float(top_k), float(domains), float(limit))
    assert float(found) == pytest.approx(expected)


@given(
    top_k=st.integers(1, 16).map(float),
    domains=st.integers(1, 64).map(float),
    limit=st.integers(1, 64).map(float),
)
def test_a_token_visits_neither_more_domains_than_experts_nor_than_allowed(top_k, domains, limit):
    found = float(protocols.expected_domains(top_k, domains, limit))
    assert 1.0 - 1e-9 <= found <= min(top_k, domains, limit) + 1e-9


def test_dispatch_once_per_node_never_sends_more_than_a_copy_for_each_expert():
    every = 8.0 * float(collectives.all_to_all_inverse_bandwidth(64.0, 1.0, **NODE))
    shape = {"top_k": 8.0, "token_bytes": 1.0}
    free = protocols.dispatch_time_per_token(64.0, 1.0, max_domains=8.0, **shape, **NODE)
    limited = protocols.dispatch_time_per_token(64.0, 1.0, max_domains=4.0, **shape, **NODE)
    assert float(limited) < float(free) < every


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("accelerator", ["nv-a100-80-sxm", "nv-h100-sxm", "nv-b200", "tpu-v5p"])
def test_more_bytes_and_more_ranks_never_take_less_time(operation, accelerator):
    machine = links(accelerator)
    sizes = np.array([1.0, 1e3, 1e6, 1e9, 1e11])
    groups = (2.0, 4.0, 8.0, 16.0, 64.0, 512.0)
    times = np.array([getattr(machine, operation)(g, 1.0).time(sizes) for g in groups])
    assert np.all(np.diff(times, axis=1) > 0)
    if operation != "all_reduce":
        assert np.all(np.diff(times, axis=0) >= -1e-12)


def test_all_reduce_grows_with_ranks_except_where_switches_come_in():
    machine = links()
    times = [float(machine.all_reduce(g, 1.0).time(1e10)) for g in (2.0, 3.0, 4.0)]
    assert times == sorted(times)
    assert float(machine.all_reduce(8.0, 1.0).time(1e10)) < times[-1]


@pytest.mark.parametrize(("accelerator", "threshold"), [("nv-h200-sxm", 5), ("nv-b200", 6)])
def test_switches_add_from_as_many_members_as_published(accelerator, threshold):
    machine = links(accelerator, 8)
    for group in range(2, 9):
        with_them = float(machine.all_reduce(float(group), 1.0).time(8.0 * 2**30))
        without = float(machine.without_switches(float(group), 1.0).time(8.0 * 2**30))
        assert (with_them < without) == (group >= threshold)


def test_a_lone_rank_waits_for_nobody():
    machine = links()
    for operation in ("gather", "all_reduce"):
        lines = getattr(machine, operation)(1.0, 1.0)
        assert all(float(inverse) == 0.0 for inverse in lines.inverses[:3])


def test_time_is_the_least_of_the_lines_and_concave_in_bytes():
    lines = links().all_reduce(64.0, 1.0)
    sizes = np.linspace(0.0, 1e9, 400)
    times = lines.time(sizes)
    single = [a + sizes * b for a, b in zip(lines.latencies, lines.inverses, strict=True)]
    assert times == pytest.approx(np.min(single, axis=0))
    assert np.all(np.diff(times, n=2) <= 1e-12)


def test_groups_as_an_array_and_one_by_one():
    machine = links()
    groups, strides = np.array([2.0, 8.0, 16.0, 64.0]), np.array([8.0, 1.0, 4.0, 16.0])
    for operation in OPERATIONS:
        together = getattr(machine, operation)(groups, strides).time(1e8)
        alone = [
            float(getattr(machine, operation)(g, s).time(1e8))
            for g, s in zip(groups, strides, strict=True)
        ]
        assert together == pytest.approx(alone)


@pytest.mark.parametrize("profile", GENERATIONS)
def test_a_level_split_in_two_alike_changes_no_gather(profile):
    library = library_of(shipped(), profile)
    assert library is not None
    node = Level(name="node", size=8, bandwidth=450e9, latency=3.4e-6)
    fabric = Level(name="all", size=1024, bandwidth=50e9, latency=14e-6)
    pod = msgspec.structs.replace(fabric, name="pod", size=256)
    flat, split = Links((node, fabric), library), Links((node, pod, fabric), library)
    for group, stride, size in itertools.product((8.0, 64.0, 1024.0), (1.0,), (1e4, 1e9)):
        one, two = (x.gather(group, stride).time(size) for x in (flat, split))
        assert float(one) == pytest.approx(float(two))


def test_a_slower_fabric_adds_its_latency_to_every_hop():
    library = library_of(shipped(), "nvidia-hopper")
    assert library is not None
    node = Level(name="node", size=8, bandwidth=450e9, latency=3.4e-6)
    near = Level(name="all", size=1024, bandwidth=50e9, latency=14e-6)
    far = msgspec.structs.replace(near, latency=94e-6)
    first = Links((node, near), library).point_to_point(8.0)
    second = Links((node, far), library).point_to_point(8.0)
    for one, two in zip(first.latencies, second.latencies, strict=True):
        assert float(two - one) == pytest.approx(80e-6)


def test_an_engine_without_an_all_reduce_of_its_own_uses_the_library():
    machine = links()
    own, usual = machine.own_all_reduce("none", 8.0), machine.all_reduce(8.0, 1.0)
    assert float(own.time(1e5)) == float(usual.time(1e5))
    for engine in ("vllm", "sglang", "trtllm"):
        assert float(machine.own_all_reduce(engine, 8.0).time(1e4)) < float(usual.time(1e4))


@pytest.mark.parametrize(
    ("ranks", "dispatch", "combine"),
    [
        # DeepEP's README (legacy.md): 128 tokens of 7,168 with 8 experts each, us.
        (8, 77, 114),
        (16, 118, 195),
        (32, 155, 273),
        (64, 173, 314),
        (128, 192, 369),
        (256, 194, 360),
    ],
)
def test_low_latency_dispatch_as_published(ranks, dispatch, combine):
    machine = links("nv-h800-sxm", 256)
    lines = machine.direct_dispatch(float(ranks), 1.0)
    copies = 128.0 * 8.0 * 7168.0
    for element_bytes, measured in ((1.0, dispatch), (2.0, combine)):
        assert float(lines.time(copies * element_bytes)) == pytest.approx(measured * 1e-6, rel=0.15)


def test_an_unknown_library_is_one_ring():
    levels = (
        Level(name="node", size=8, bandwidth=400e9, latency=3e-6),
        Level(name="all", size=64, bandwidth=50e9, latency=14e-6),
    )
    plain = Links(levels, plain_library(0.5, 0.8, hop=3e-6))
    ring = 7 / 8 / 200e9
    assert float(plain.gather(8.0, 1.0).time(1e12)) == pytest.approx(1e12 * ring, rel=1e-3)
    assert float(plain.gather(8.0, 8.0).inverses[0]) == pytest.approx(7 / 8 / 40e9)


@pytest.mark.parametrize(
    ("accelerator", "engine", "ranks", "size", "measured"),
    [
        # vllm-project/vllm pull request 39080 (MI355X), aiter 801 and sglang 6619 (MI300X), us.
        ("mi355x", "aiter", 8, 24 << 10, 6.4),
        ("mi355x", "aiter", 8, 192 << 10, 7.0),
        ("mi355x", "aiter", 8, 768 << 10, 9.6),
        ("mi355x", "aiter", 8, 1536 << 10, 12.9),
        ("mi355x", "vllm", 8, 192 << 10, 10.0),
        ("mi355x", "vllm", 8, 1536 << 10, 24.2),
        ("mi300x", "aiter", 2, 2 << 20, 54.9),
        ("mi300x", "aiter", 2, 4 << 20, 99.3),
        ("mi300x", "vllm", 2, 2 << 20, 49.7),
        ("mi300x", "sglang", 4, 1 << 20, 22.9),
        ("mi300x", "sglang", 4, 4 << 20, 63.9),
    ],
)
def test_all_reduces_of_engines_over_links_of_each_pair(accelerator, engine, ranks, size, measured):
    lines = links(accelerator, 8).own_all_reduce(engine, float(ranks))
    assert float(lines.time(float(size))) == pytest.approx(measured * 1e-6, rel=0.12)


def test_engines_leave_all_reduces_between_domains_of_one_to_the_library():
    cluster = shipped().any_cluster("mi300x", 16)
    inside, *beyond = cluster.levels
    alone = msgspec.structs.replace(inside, size=1)
    apart = links_on(msgspec.structs.replace(cluster, levels=(alone, *beyond)))
    time = float(apart.own_all_reduce("aiter", 2.0).time(1e6))
    assert time == pytest.approx(float(apart.all_reduce(2.0, 1.0).time(1e6)))


def test_a_library_without_a_way_is_refused():
    ring = Protocol(name="r", base=0.0, hop=0.0, network_hop=0.0, share=1.0, network_share=1.0)
    fixed = {"id": "x", "name": "x", "hop_reference": 0.0, "network_hop_reference": 0.0}
    with pytest.raises(CatalogueError, match="at least one ring"):
        CommunicationLibrary(ring=(), exchange=(ring,), **fixed)
    dead = msgspec.structs.replace(ring, share=0.0)
    with pytest.raises(CatalogueError, match="positive share"):
        CommunicationLibrary(ring=(dead,), exchange=(ring,), **fixed)


def test_every_profile_has_at_most_one_library():
    entries = shipped().entries("settings").values()
    served = [name for entry in entries for name in entry.data.get("profiles", ())]
    assert len(served) == len(set(served))
    known = shipped().entries("efficiency")
    assert set(served) <= set(known)


DEEPSEEK = shipped().entry("models", "deepseek-v3").data["config_json"]


def expert_traffic(config, **changes):
    """Expert traffic of DeepSeek-V3 over 64 ranks, nothing hidden. [s]"""
    cluster = shipped().any_cluster("nv-h800-sxm", 2048)
    software = msgspec.structs.replace(software_named(shipped(), "hai-llm"), **changes)
    bound = make_evaluator(
        load_config(config, name="deepseek"),
        cluster,
        TrainingWorkload(sequence_length=4096, global_batch=2048, precision="fp8"),
        software=software,
        profile=profile_of(shipped(), cluster),
        settings=settings_of(shipped()),
    )
    strategy = Strategy(dp=2048, ep=64)
    found = estimate_with(bound, strategy, intervals=INTERVALS)
    return next(term.time for term in found.waterfall if term.name == "ep")


def test_a_copy_for_each_node_is_less_traffic_than_one_for_each_expert():
    every = expert_traffic(DEEPSEEK, dispatch="all-to-all")
    once = expert_traffic(DEEPSEEK)
    wide = expert_traffic(DEEPSEEK, dispatch_bytes=2.0)
    free = expert_traffic({**DEEPSEEK, "n_group": 1, "topk_group": 1})
    assert once < free < every
    assert once < wide < every
    # 7 copies leave the node against 3.15, one of four passes in 8 bits, 96 % of the network
    # against DeepEP's 89 %.
    assert every / once == pytest.approx(7.0 / 3.15 * 4.0 / 3.52 * 0.89 / 0.96, rel=0.05)


def test_more_groups_for_a_token_than_there_are_is_refused():
    with pytest.raises(ConfigError, match="topk_group 9 is more than n_group 8"):
        load_config({**DEEPSEEK, "topk_group": 9}, name="wrong")


def test_a_library_of_ones_own_replaces_the_catalogues(tmp_path):
    own = tmp_path / "own.toml"
    protocol = 'name = "x"\nbase = 1e-5\nhop = 1e-6\nnetwork_hop = 1e-5\nshare = 0.5\n'
    text = f"""
[[settings]]
id = "collectives-nccl-hopper"
name = "mine"
source = "me"
checked = 2026-11-22
profiles = ["nvidia-hopper"]
hop_reference = 3.4e-6
network_hop_reference = 1.4e-5
[[settings.ring]]
{protocol}network_share = 0.5
[[settings.exchange]]
{protocol}"""
    own.write_text(text + "network_share = 0.5\n", encoding="utf-8")
    mine = shipped().with_files([own])
    cluster = mine.any_cluster("nv-h100-sxm", 8)
    found = links_on(cluster, catalogue=mine).gather(8.0, 1.0)
    assert 7 / 8 / float(found.inverses[0]) == pytest.approx(225e9)
    own.write_text(text + 'network_share = "half"\n', encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"collectives-nccl-hopper.*float"):
        links_on(cluster, catalogue=shipped().with_files([own]))
