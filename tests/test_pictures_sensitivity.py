"""Pictures of what moves a study: bars end where the summary says, in the summary's words."""

from __future__ import annotations

from functools import partial

import pytest
from pictured import check, rows_of
from sweep_cases import study_of

from clusterwright.report.pictures.sensitivity import ALONE, HIGH, LOW, WITH, shares, tornado
from clusterwright.report.sweep_text import quantity_words
from clusterwright.sweep.summing import Moved
from clusterwright.uncertain import Influence, Swing

DRAWN = """\
question = "site"
samples = 4
least = "hour"
results = ["hour", "bill"]
[options]
target = "8000xh100"
[uncertain]
tariff = ["$0.04/kWh", "$0.06/kWh", "$0.09/kWh"]
server-price = ["$25,000", "$30,000", "$40,000"]
"""
GRID = """\
question = "site"
[options]
target = "8000xh100"
[axes]
tariff = ["$0.04/kWh", "$0.06/kWh"]
pue = [1.1, 1.2]
"""
HOUR = 3600.0
MOVED = Moved(
    result="hour",
    swings=(Swing(name="server_price", low=2.0, high=3.5), Swing(name="tariff", low=2.7, high=2.2)),
    influences=(
        Influence(name="server_price", first=0.9, total=0.95),
        Influence(name="tariff", first=-0.01, total=0.02),
    ),
)


@pytest.fixture
def drawn(tmp_path):
    return study_of(tmp_path, DRAWN)


@pytest.fixture
def grid(tmp_path):
    return study_of(tmp_path, GRID)


def test_bars_reach_from_the_likely_result_to_both_ends(drawn):
    spec = tornado(MOVED, drawn, middle=2.5)
    check(spec)
    words = partial(quantity_words, "hour", study=drawn)
    (low,) = rows_of(spec, name="server_price", end=LOW)
    (high,) = rows_of(spec, name="server_price", end=HIGH)
    # A price of time is drawn as it is said: of an hour.
    assert (low["from"], low["to"]) == pytest.approx((2.5 * HOUR, 2.0 * HOUR))
    assert (low["words"], low["side"]) == (words(2.0), "left")
    assert high["to"] == pytest.approx(3.5 * HOUR)
    assert (high["words"], high["side"]) == (words(3.5), "right")
    assert (low["change"], high["change"]) == ("-20.0%", "+40.0%")


def test_an_option_that_lowers_a_result_has_its_ends_the_other_way_round(drawn):
    spec = tornado(MOVED, drawn, middle=2.5)
    (low,) = rows_of(spec, name="tariff", end=LOW)
    (high,) = rows_of(spec, name="tariff", end=HIGH)
    assert (low["side"], high["side"]) == ("right", "left")


def test_options_stand_in_the_order_of_the_summary(drawn):
    assert tornado(MOVED, drawn, middle=2.5)["encoding"]["y"]["sort"] == ["server_price", "tariff"]
    assert shares(MOVED)["encoding"]["y"]["sort"] == ["server_price", "tariff"]


def test_an_axis_is_one_bar_from_the_least_to_the_most(grid):
    spec = tornado(MOVED, grid)
    check(spec)
    ends = [(row["from"], row["to"]) for row in rows_of(spec, name="server_price")]
    expected = [(2.0 * HOUR, 2.0 * HOUR), (2.0 * HOUR, 3.5 * HOUR)]
    assert ends == [pytest.approx(pair) for pair in expected]


def test_shares_below_nothing_are_drawn_as_nothing_and_said_alike():
    spec = shares(MOVED)
    check(spec)
    (alone,) = rows_of(spec, name="tariff", sort=ALONE)
    (both,) = rows_of(spec, name="tariff", sort=WITH)
    assert (alone["share"], alone["first words"], both["total words"]) == (0.0, "0%", "2%")
    assert "server_price has 90% alone and 95% with others" in spec["description"]


def test_what_moves_nothing_has_no_picture(drawn, grid):
    still = Moved(result="hour", swings=(Swing(name="tariff", low=2.0, high=2.0),))
    assert tornado(still, drawn, middle=2.0) is None
    assert tornado(Moved(result="hour", swings=()), grid) is None
    assert shares(still) is None
