"""The picture of a cluster: every machine draws, and groups lie where the traffic is counted."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import msgspec
import numpy as np
import pytest

from clusterwright.asking import catalogue_with
from clusterwright.errors import InputError
from clusterwright.formulas.collectives import members_inside
from clusterwright.hardware import Level
from clusterwright.report.cluster_groups import groups_of, units_touched
from clusterwright.report.cluster_map import MOST_ROWS, cluster_map, map_words
from clusterwright.strategy import Strategy

FACTS = catalogue_with(())
SVG = "{http://www.w3.org/2000/svg}"
LLAMA = Strategy(tp=8, pp=16, dp=128)


def known_clusters():
    for name in FACTS.entries("clusters"):
        try:
            yield FACTS.cluster(name)
        except InputError:  # of several kinds, or nobody says of what
            continue


KNOWN = list(known_clusters())


def boxes(root, kind):
    """How many boxes of a class there are."""
    paths = root.iter(f"{SVG}path")
    return sum(one.get("d").count("M") for one in paths if one.get("class") == f"map-{kind}")


def words_in(root):
    return [one.text for one in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("cluster", KNOWN, ids=lambda one: one.id)
@pytest.mark.parametrize("width", [320, 720])
def test_any_cluster_of_the_catalogue_draws_inside_its_frame(cluster, width):
    strategy = Strategy(tp=2, dp=cluster.count // 4, pp=2)
    root = ET.fromstring(cluster_map(cluster, strategy, width=width))
    height = float(root.get("height"))
    for box in root.iter(f"{SVG}rect"):
        assert float(box.get("x", 0)) + float(box.get("width")) <= width + 0.1
        assert float(box.get("y", 0)) + float(box.get("height")) <= height + 0.1
    for path in root.iter(f"{SVG}path"):
        for x, y in re.findall(r"M([\d.]+) ([\d.]+)", path.get("d")):
            assert float(x) < width
            assert float(y) < height
    assert len(ET.tostring(root)) < 40_000
    assert f"{cluster.count:,}" in root.find(f"{SVG}desc").text


def test_a_strict_page_may_hold_it():
    drawn = cluster_map(FACTS.cluster("meta-24k"), LLAMA)
    for barred in ("<style", " style=", "<script", "href", "id="):
        assert barred not in drawn
    root = ET.fromstring(drawn)
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[1].tag == f"{SVG}desc"


def test_levels_are_drawn_from_the_whole_to_the_accelerators():
    root = ET.fromstring(cluster_map(FACTS.cluster("meta-24k")))
    said = words_in(root)
    heads = ["The whole machine", "One pod", "One NVLink domain"]
    assert [one for one in said if one in heads] == heads
    assert "7.14 GB/s per accelerator, 14 us a hop, 1/7 of the pod's" in said
    assert "384 NVLink domains of 8" in said
    assert boxes(root, "unit") == 8 + 384 + 8


def test_a_hundred_thousand_are_folded_and_said_how():
    root = ET.fromstring(cluster_map(FACTS.cluster("colossus1-b")))
    said = " ".join(words_in(root))
    assert "12,500 NVLink domains of 8; a square is 50 of them, 400 accelerators" in said
    assert boxes(root, "unit") == 12_500 / 50 + 8


def test_what_is_left_over_is_said():
    said = " ".join(words_in(ET.fromstring(cluster_map(FACTS.cluster("blackwell-2000")))))
    assert 2000 % 72 == 56
    assert "28 NVLink domains of 72; the last NVLink domain has 56" in said


def test_squares_are_coloured_where_members_are():
    root = ET.fromstring(cluster_map(FACTS.cluster("meta-24k"), LLAMA))
    # tp: the first pod, its first node, all eight in it. dp: one pod, 128 nodes, one accelerator.
    assert boxes(root, "tp") == 1 + 1 + 8
    assert boxes(root, "dp") == 1 + 128 + 1
    # pp: 1,024 apart, so three in each pod of 3,072, one of them in the first node.
    assert boxes(root, "pp") == 6 + 3 + 1
    assert boxes(root, "free") == 2


def test_words_say_where_groups_lie_and_at_what_rate():
    said = map_words(FACTS.cluster("meta-24k"), LLAMA)
    assert "tp 8: inside one NVLink domain, at 450 GB/s per accelerator." in said
    assert (
        "dp 128: 8 accelerators apart, over 128 NVLink domains of one pod, "
        "at 50 GB/s per accelerator." in said
    )
    assert "pp 16: 1,024 accelerators apart, over 6 pods, at 7.14 GB/s per accelerator." in said


STRATEGIES = [
    Strategy(tp=8, cp=2, dp=64, pp=4, ep=16),
    Strategy(tp=2, cp=4, dp=128, pp=2, ep=8, etp=2),
    Strategy(dp=1024),
    Strategy(tp=4, pp=8, dp=32, ep=128),
]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_groups_lie_where_their_traffic_is_counted(strategy):
    cluster = FACTS.cluster("meta-24k")
    for group in groups_of(strategy, cluster):
        assert group.size == getattr(strategy, group.axis)
        assert group.ranks.max() < strategy.accelerators
        for level in cluster.levels[:-1]:
            inside = members_inside(group.size, group.stride, level_size=level.size)
            assert units_touched(group.ranks, level.size).size == np.ceil(group.size / inside)


def test_dense_axes_cut_the_ranks_into_each_once():
    strategy = Strategy(tp=2, cp=3, dp=5, pp=7)
    groups = groups_of(strategy, FACTS.any_cluster("h100", 210))
    grid = sum(np.meshgrid(*(one.ranks for one in groups), indexing="ij"))
    assert sorted(grid.ravel().tolist()) == list(range(210))


def test_a_strategy_that_needs_more_than_there_are_is_refused():
    with pytest.raises(InputError, match="needs 16,384 accelerators"):
        cluster_map(FACTS.any_cluster("h100", 64), LLAMA)


def test_hostile_names_are_shown_as_text():
    machine = FACTS.cluster("meta-24k")
    evil = '<script>alert("1")</script>&'
    levels = tuple(msgspec.structs.replace(one, name=evil) for one in machine.levels)
    chip = msgspec.structs.replace(machine.accelerator, name=evil)
    bad = msgspec.structs.replace(machine, name=evil, levels=levels, accelerator=chip)
    drawn = cluster_map(bad, LLAMA)
    assert "<script" not in drawn
    assert evil in ET.fromstring(drawn).find(f"{SVG}title").text


@pytest.mark.parametrize("units", [1, 7, 480, 481, 997, 15_625, 4_102_568])
def test_no_grid_has_more_lines_than_it_may(units):
    machine = FACTS.any_cluster("h100", 8)
    levels = (
        Level(name="NVLink", size=8, bandwidth=4e11, latency=1e-6),
        Level(name="network", size=8 * (units + 1), bandwidth=5e10, latency=1e-6),
    )
    many = msgspec.structs.replace(machine, count=8 * (units + 1), levels=levels)
    root = ET.fromstring(cluster_map(many))
    tops = {
        y
        for path in root.iter(f"{SVG}path")
        for y in re.findall(r"M[\d.]+ ([\d.]+)h", path.get("d"))
    }
    assert len(tops) <= MOST_ROWS + 1
