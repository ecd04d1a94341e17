"""Prices on a scorecard: which are compared, and what is printed of them."""

from __future__ import annotations

import re

import pytest
from test_scorecard import QUICK, sheet

from clusterwright.facts import shipped
from clusterwright.planner_scorecard import score
from clusterwright.report.folding import WIDTH
from clusterwright.report.labelled import labelled
from clusterwright.report.scorecard_text import scorecard_text
from clusterwright.site.prices import price_of
from clusterwright.units import format_quantity


@pytest.fixture(scope="module")
def card():
    return score("mi300x", scenarios=QUICK)


def test_an_hours_price_takes_the_place_of_the_chips(card):
    by_price = {part.id: part for part in sheet(card, "amd-mi300x").parts}["cost"]
    # Shop prices of both: that of an H100 bought in volume is not set against them.
    assert "retail" in by_price.note
    prices = [
        {p.basis: p.value for p in sheet(card, n).prices} for n in ("amd-mi300x", "nv-h100-sxm")
    ]
    assert by_price.ratio == pytest.approx(
        sheet(card, "amd-mi300x").scenario.score * prices[1]["retail"] / prices[0]["retail"]
    )
    found = score("mi300x", scenarios=QUICK, prices={"mi300x": "$2", "h100": 3})
    by_hour = {part.id: part for part in sheet(found, "amd-mi300x").parts}["cost"]
    assert by_hour.ratio == pytest.approx(1.5 * sheet(found, "amd-mi300x").scenario.score)
    hours = {one.id: one.per_dollar for one in sheet(found, "amd-mi300x").scenarios}
    rates = {one.id: one.rate for one in sheet(found, "amd-mi300x").scenarios}
    assert hours == pytest.approx({name: rate * 3600.0 / 2.0 for name, rate in rates.items()})
    # One hour's price alone compares nothing.
    alone = score("mi300x", scenarios=QUICK, prices={"mi300x": 2})
    assert {p.id: p for p in sheet(alone, "amd-mi300x").parts}["cost"].ratio == by_price.ratio


def test_prices_are_printed_with_what_they_rest_on(card):
    lines = scorecard_text(score("mi300x", scenarios=QUICK, prices={"h100": 2.1})).splitlines()
    start = lines.index("Prices: the newest that were published, or as given") + 2
    printed = [re.split(r"  +", line) for line in lines[start:]]
    facts = shipped()
    for chip in ("nv-h100-sxm", "amd-mi300x"):
        for one in sheet(card, chip).prices:
            known = price_of(chip, one.basis, day="2100-01-01", catalogue=facts)
            assert (one.low, one.high, one.sources) == (known.low, known.high, known.sources)
            [row] = [row for row in printed if row[:2] == [chip, one.basis]]
            assert row[2:4] == [format_quantity(one.value, "USD"), one.year]
    assert ["nv-h100-sxm", "an hour", "$2.10", "as given"] in printed
    [shop] = [row for row in printed if row[:2] == ["amd-mi300x", "retail"]]
    assert shop[-1] == "interpromicro.com", "of an archive's copy, whose page it is"
    assert max(map(len, lines)) <= WIDTH
    assert labelled("\n".join(lines)) == ()
    fleet = score("1000xh100", scenarios=["edge-1b"])
    assert "Prices" not in scorecard_text(fleet), "no cost is compared"
