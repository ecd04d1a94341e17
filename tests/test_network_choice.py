"""Which network joins a cluster: what is chosen where nobody says, and what is refused."""

from __future__ import annotations

import math

import pytest

from clusterwright.errors import InputError, UnknownNameError
from clusterwright.facts import shipped
from clusterwright.site.fabric import NetworkOptions
from clusterwright.site.network import network_bill

FACTS = shipped()


def bill(chip: str, count: int, **options):
    return network_bill(FACTS.any_cluster(chip, count), NetworkOptions(**options))


@pytest.mark.parametrize(
    ("cluster", "switch"),
    [
        ("colossus1-b", "sn5600"),
        ("ms-gb300-ndv6", "q3400"),
        ("coreweave-h200", "qm9700"),
        ("meta-rsc1", "qm8700"),
        ("frontier", "slingshot-11"),
        ("oci-mi300x", "tomahawk-5"),
        ("jean-zay-bloom", "sb7800"),
    ],
)
def test_the_switch_is_chosen_by_what_the_ports_speak_and_how_fast(cluster, switch):
    assert network_bill(FACTS.cluster(cluster)).fabric.switch.id == switch


def test_published_tiers_hold_for_the_whole_cluster_only():
    assert network_bill(FACTS.cluster("colossus1-b")).fabric.tiers == 3
    assert network_bill(FACTS.cluster("colossus1-b", 1024)).fabric.tiers == 1
    assert network_bill(FACTS.cluster("colossus1-b"), NetworkOptions(tiers=4)).fabric.tiers == 4


def test_a_cluster_of_ones_own_has_its_own_network(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        """
[[cluster]]
id = "mine"
name = "Mine"
accelerator = "nv-h100-sxm"
count = "4096"
tiers = 3
switch = "tomahawk-5"
[cluster.fabric]
levels = [
  { name = "NVLink", kind = "nvlink", size = 8, bandwidth = "450 GB/s" },
  { name = "net", kind = "roce", size = "all", bandwidth = "400 Gb/s", oversubscription = 2 },
]
""",
        encoding="utf-8",
    )
    own = FACTS.with_files([path])
    fabric = network_bill(own.cluster("mine"), catalogue=own).fabric
    assert (fabric.rate, fabric.tiers, fabric.oversubscriptions) == (50e9, 3, (1.0, 2.0))
    assert (fabric.switch.id, fabric.rails, fabric.assumed) == ("tomahawk-5", 8, ())


def test_a_port_faster_than_the_switch_takes_several():
    found = bill("nv-gb300", 1024, switch="qm9700")
    assert found.fabric.endpoints == 2048
    assert any("2 ports of the switch" in words for words in found.fabric.assumed)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tiers": 2}, "joins 2,048 ports at most .* a rail has 12,500: ask for 3"),
        ({"tiers": 0}, "--tiers is 0, but must be 1 to 6"),
        ({"rails": 9}, "--rails is 9, but must be 1 to 8, the ports of a node"),
        ({"planes": 0}, "--planes is 0"),
        ({"oversubscription": 0.0}, "such as 2 for half as many links up"),
        ({"oversubscription": math.nan}, "--oversubscription is nan"),
        ({"optics": "200g-multimode"}, "too slow for links of 400 Gb/s"),
    ],
)
def test_networks_that_cannot_be_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        bill("nv-h100-sxm", 100000, **options)


def test_other_refusals():
    with pytest.raises(InputError, match="ask for --tiers 2"):
        bill("nv-h100-sxm", 64, oversubscription=2.0)
    with pytest.raises(InputError, match="wired as a dragonfly"):
        network_bill(FACTS.cluster("frontier"), NetworkOptions(tiers=3))
    with pytest.raises(UnknownNameError, match="no switch called"):
        bill("nv-h100-sxm", 64, switch="qm970")
