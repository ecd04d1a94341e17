"""A whole service sized: regions, peaks, lost regions, spares; by a plan and by a measured rate."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_cases import asked

from clusterwright.cli import main
from clusterwright.errors import InputError
from clusterwright.formulas.spares import down_share, spares
from clusterwright.planner_serving_fleet import ask_fleet, both_ways, plan_fleet, plan_measured
from clusterwright.serving.fleet import sized_rates


def test_a_search_engine_on_a100_takes_four_million():
    # SemiAnalysis, "The inference cost of search disruption" (2023): ChatGPT answers 13 million
    # users 15 times a day with 28,936 A100; 320,000 queries a second take 4,102,568.
    per_accelerator = 13e6 * 15 / 86_400 / 28_936
    found = plan_measured(ask_fleet("320k/s"), per_accelerator)
    assert found.accelerators == pytest.approx(4_102_568, rel=1e-4)


def test_the_same_service_by_the_model():
    serving = asked("gpt-3-175b", "a100-80", accelerators=10**8, rate=320_000, tpot="100ms")
    found = plan_fleet(ask_fleet("320k/s"), serving)
    assert found.regions[0].accelerators == found.accelerators == found.largest.best.accelerators
    # 350 GB of weights on 80 GB chips, a thousand tokens in, two hundred out: 0.05 to 0.5 a chip.
    assert 0.05 < 320_000 / found.accelerators < 0.5


# Regions.


def test_regions_are_sized_for_their_peaks_and_headroom():
    asked_for = ask_fleet(1000, regions="us=0.5,eu=30%@3,asia=0.2", peak=2.0, headroom=0.1)
    assert sized_rates(asked_for) == pytest.approx([1100.0, 990.0, 440.0])


def test_what_a_lost_region_leaves_is_shared_by_the_others():
    asked_for = ask_fleet(900, regions=3, peak=2.0, lose_region=True)
    # 600/s each at the peak; two carry the third.
    assert sized_rates(asked_for) == pytest.approx([900.0] * 3)
    uneven = ask_fleet(1000, regions="a=0.6,b=0.3,c=0.1", lose_region=True)
    # Without a, b takes 3/4 of it; without b, a takes 6/7 of that.
    assert sized_rates(uneven) == pytest.approx([600 + 300 * 6 / 7, 300 + 450, 100 + 150])


@given(st.integers(2, 40), st.floats(1.0, 10.0), st.floats(0.0, 1.0))
def test_regions_sum_up_and_losing_one_costs_more(count, peak, headroom):
    calm = sized_rates(ask_fleet(1e4, regions=count, peak=peak, headroom=headroom))
    wary = sized_rates(
        ask_fleet(1e4, regions=count, peak=peak, headroom=headroom, lose_region=True)
    )
    assert sum(calm) == pytest.approx(1e4 * peak * (1 + headroom))
    assert sum(wary) == pytest.approx(sum(calm) * count / (count - 1))


def test_regions_that_are_planned_alike_have_the_same_plan():
    serving = asked(rate=100)
    found = plan_fleet(ask_fleet(300, regions=3, spare=1), serving)
    assert len({region.accelerators for region in found.regions}) == 1
    pools = found.largest.best.pools
    assert found.regions[0].spare == len(pools)
    assert found.accelerators == 3 * (
        found.largest.best.accelerators + sum(pool.deployment.accelerators for pool in pools)
    )


# Spares.


def short(needed: int, k: int, down: float) -> float:
    """Share of the time for which fewer than needed are up, term by term."""
    total = needed + k
    return sum(
        comb(total, lost) * down**lost * (1 - down) ** (total - lost)
        for lost in range(k + 1, total + 1)
    )


@given(st.integers(1, 60), st.floats(1e-4, 0.3), st.sampled_from([1e-2, 1e-4, 1e-6]))
def test_spares_are_the_fewest_that_do(needed, down, shortfall):
    k = spares(needed, down, shortfall)
    assert short(needed, k, down) <= shortfall * (1 + 1e-9)
    assert k == 0 or short(needed, k - 1, down) > shortfall * (1 - 1e-9)


def test_no_failures_take_no_spares():
    assert spares(1000, 0.0, 1e-9) == 0
    assert down_share(3.0, 1.0) == 0.25


def test_spares_come_by_how_often_replicas_fail():
    rare = ask_fleet(1000, shortfall=1e-4, between="60d", repair="8h")
    often = ask_fleet(1000, shortfall=1e-4, between="6d", repair="8h")
    counts = [plan_measured(one, 0.1).regions[0].spare for one in (rare, often)]
    assert 0 < counts[0] < counts[1] < 200


# Both ways.


def test_both_ways_are_compared(capsys):
    command = ["plan", "fleet", "llama-3.1-8b", "--accelerator", "h100", "--rate", "1000/s",
               "--input", "1000", "--output", "200", "--measured", "10/s", "--replica", "1",
               "--regions", "2", "--peak", "1.5", "--price", "$2"]  # fmt: skip
    assert main(command) == 0
    text = capsys.readouterr().out
    for words in ("By the model\n", "By the measured rate\n  accelerators 150\n", "times what the"):
        assert words in text
    assert main([*command, "--json"]) == 0
    assert '"way":"model"' in capsys.readouterr().out


def test_one_way_alone_has_nothing_to_compare():
    assert both_ways([plan_measured(ask_fleet(10), 1.0)]) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"regions": "us=0.5,eu=0.2"}, "add up to 0.7"),
        ({"regions": "us=0.5,eu"}, "needs a name and its share"),
        ({"regions": 0}, "--regions"),
        ({"regions": "2000"}, "1,000 at most"),
        ({"peak": 0.5}, "1 or more: the mean itself"),
        ({"headroom": -0.1}, "--headroom"),
        ({"lose_region": True}, "cannot take over from another"),
        ({"shortfall": 0.01}, "--between 60d --repair 8h"),
        ({"shortfall": 2.0}, "between 0 and 1"),
        ({"between": "1d", "repair": "1h"}, "need --shortfall"),
        ({"shortfall": 0.1, "between": "1h", "repair": "1d"}, "shorter than --between"),
        ({"shortfall": 0.1, "between": "9d", "repair": "1h", "spare": 2}, "give one of them"),
        ({"rate": "0/s"}, "--rate"),
    ],
)
def test_services_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        sized_rates(ask_fleet(**{"rate": 100, **changes}))


def test_a_fleet_needs_a_model_or_a_rate(capsys):
    assert main(["plan", "fleet", "--rate", "5/s"]) != 0
    assert "name a model, or give --measured" in capsys.readouterr().err
    assert main(["plan", "fleet", "llama-3.1-8b", "--accelerator", "h100"]) != 0
    assert "--rate is missing" in capsys.readouterr().err
