"""Prices: which figures hold on a day, in which currency, and what stands in for missing ones."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.errors import CatalogueError, InputError, UnitError
from clusterwright.facts import shipped
from clusterwright.site import prices
from clusterwright.site.prices import construction_price_of, price_of
from clusterwright.site.quotes import day_of, exchange_rate, holding, quotes, read_price

FACTS = shipped()
OF = prices._of
KWH = 3.6e6
HOUR = 3600.0


def price(accelerator, basis="purchase", day="2026-11"):
    return price_of(accelerator, basis, day=day, catalogue=FACTS)


# The facts.


def test_every_row_of_the_cost_sheet_is_there():
    found = {name[:8] for name in FACTS.entries("prices") if name.startswith("cost-")}
    assert found == {f"cost-{number:03d}" for number in range(1, 428)}


@pytest.mark.parametrize("name", sorted(FACTS.entries("prices")))
def test_a_price_has_a_figure_or_words_and_a_date_that_reads(name):
    entry = FACTS.entry("prices", name)
    has = [key for key in ("value", "amount", "text") if key in entry.data]
    assert len(has) == 1, has
    assert ("amount" in has) == ("per" in entry.data)
    for key in ("date", "until"):
        if key in entry.data:
            assert day_of(entry.text(key)) <= dt.date(2026, 11, 22)
    if entry.text("category") == "rental" and "value" in has:
        assert entry.require("value").dimension == "USD/s"


def test_money_of_others_keeps_its_currency():
    foreign = [e for e in FACTS.entries("prices").values() if "amount" in e.data]
    assert {entry.text("currency") for entry in foreign} == {"CNY", "EUR"}
    assert len(foreign) == 15


# Which figures hold.


@pytest.mark.parametrize(
    ("day", "low", "high"),
    [("2022-12", 30e3, 45e3), ("2024-06", 23e3, 30e3), ("2025-08-20", 20e3, 27e3)],
)
def test_the_latest_figure_not_after_the_day_counts(day, low, high):
    found = price("h100", day=day)
    assert (found.low, found.high, found.estimated) == (low, high, False)


def test_a_range_spans_the_sellers_of_the_day():
    found = price("h100", "on-demand")
    assert found.low == pytest.approx(2.99 / HOUR)
    assert found.high == pytest.approx(3.49 / HOUR)
    assert found.date == "2026-05-18"
    assert price("h100", "1-year").value == pytest.approx(2.35 / HOUR)


def test_a_node_is_priced_by_the_accelerator():
    assert price("h100", "node", "2024-12").high == pytest.approx(318_000 / 8)
    assert price("gb200", "rack").value == pytest.approx(3.1e6 / 72)


def test_a_launch_price_stands_in_where_no_list_has_one():
    assert price("rtx5090").value == 1999.0
    assert price("rtx5090").basis == "retail"


@given(st.dates(dt.date(2019, 1, 1), dt.date(2027, 1, 1)))
def test_nothing_that_holds_is_later_than_the_day(day):
    for quote in holding(quotes(FACTS, "rental"), day):
        assert quote.first <= day


# Estimates say that they are.


@pytest.mark.parametrize("name", ["hw-910c", "tpu-v7", "b300", "l40s", "mi355x"])
def test_an_estimate_says_so_and_is_wide(name):
    found = price(name)
    assert found.estimated
    assert "estimated" in found.why
    assert found.low < found.value / 2
    assert found.high > found.value * 2


def test_most_published_prices_lie_within_what_the_others_let_expect(monkeypatch):
    # Hide one chip's prices at a time; an interval of 10 to 90 % should hold about four of five.
    names = ["h100", "a100", "gb200", "gb300", "h20", "b200", "mi300x", "h200", "4090", "5090"]
    published = {FACTS.accelerator(name).id: price(name).value for name in names}
    inside = 0
    for chip, value in published.items():
        monkeypatch.setattr(
            "clusterwright.site.prices._of",
            lambda *asked, chip=chip: [q for q in OF(*asked) if q.accelerator != chip],
        )
        found = price(chip)
        monkeypatch.undo()
        assert found.estimated
        inside += found.low <= value <= found.high
    assert 7 <= inside <= 10


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(InputError, match="nor the 16-bit rate and memory"):
        price("soc-a15")
    with pytest.raises(InputError, match="too few to estimate"):
        price("h100", "on-demand", "2020")
    with pytest.raises(InputError, match="reckon it from the price of the chip"):
        price("b300", "server")
    with pytest.raises(InputError, match="no basis of prices called 'monthly'"):
        price("h100", "monthly")


# Regions.


def test_an_average_is_the_middle_and_its_cities_the_range():
    found = construction_price_of("us", day="2025-08", catalogue=FACTS)
    assert (found.low, found.value, found.high) == pytest.approx((9.3, 11.7, 15.0))
    early = construction_price_of("us", day="2023-01", catalogue=FACTS)
    assert "nothing is as early" in early.why


def test_a_place_without_a_price_has_that_of_what_it_lies_in():
    reno = construction_price_of("reno", day="2026", catalogue=FACTS)
    assert reno.value == 15.0
    ohio = construction_price_of("ohio", day="2026", catalogue=FACTS)
    assert ohio.value == pytest.approx(11.7)
    assert "none is known of ohio" in ohio.why
    india = construction_price_of("india", day="2026", catalogue=FACTS)
    assert "building in asia" in india.why
    assert india.low == pytest.approx(14.5)
    assert construction_price_of("brazil", day="2026", catalogue=FACTS).low == pytest.approx(9.3)


def test_an_unknown_place_is_refused():
    with pytest.raises(InputError, match="no region called 'atlantis'"):
        construction_price_of("atlantis", day="2025", catalogue=FACTS)


# What people type.


@pytest.mark.parametrize(
    ("text", "dimension", "dollars"),
    [
        ("$2.10/h", "USD/s", 2.10 / HOUR),
        ("2 USD/h", "USD/s", 2.0 / HOUR),
        ("USD 2/h", "USD/s", 2.0 / HOUR),
        ("US$2/h", "USD/s", 2.0 / HOUR),
        ("€0.20/kWh", "USD/J", 0.20 * 1.0763 / KWH),
        ("0.20 EUR/kWh", "USD/J", 0.20 * 1.0763 / KWH),
        ("30k EUR", "USD", 30e3 * 1.0763),
        ("CNY 3/h", "USD/s", 3 / 7.2734 / HOUR),
        ("3.5 RMB/h", "USD/s", 3.5 / 7.2734 / HOUR),
        ("$11.7M/MW", "USD/W", 11.7),
        ("$180/kW/month", "USD/W/s", 0.180 * 12 / (365.25 * 86_400)),
    ],
)
def test_prices_as_people_write_them(text, dimension, dollars):
    found = read_price(text, dimension, day="2025-08", catalogue=FACTS)
    assert found == pytest.approx(dollars, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "dimension", "said"),
    [
        ("-3 EUR/h", "USD/s", "negative"),
        ("-$3/h", "USD/s", "negative"),
        ("2.10", "USD/s", "has no unit"),
        ("$2", "USD/s", "a price per time"),
        ("3 EUR", "USD/s", "a price per time"),
        ("GBP 3/h", "USD/s", "no exchange rate for 'GBP'"),
        ("£3/h", "USD/s", "no exchange rate for '£'"),
        ("¥3/h", "USD/s", "yuan or yen"),
        ("cheap", "USD", "is not a quantity"),
    ],
)
def test_what_is_no_price_is_refused_in_one_sentence(text, dimension, said):
    with pytest.raises((InputError, UnitError), match=re.escape(said)):
        read_price(text, dimension, day="2025-08", catalogue=FACTS)


def test_exchange_rates_are_those_of_the_day():
    assert exchange_rate("EUR", dt.date(2022, 5, 1), FACTS)[0] == 1.0534
    assert exchange_rate("CNY", dt.date(2025, 5, 1), FACTS)[0] == pytest.approx(
        1 / 7.2734, rel=1e-5
    )
    assert exchange_rate("USD", dt.date(1990, 1, 1), FACTS)[0] == 1.0
    with pytest.raises(InputError, match="before 2020"):
        exchange_rate("EUR", dt.date(2019, 1, 1), FACTS)


@pytest.mark.parametrize("text", ["", "soon", "2025-13", "2025-02-30", "25-01-01", "20250101"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(InputError, match="is no date"):
        day_of(text)


EURO = """
[[price]]
id = "mine"
name = "Mine"
category = "rental"
accelerator = "nv-h100-sxm"
basis = "on-demand"
parameter = "list"
amount = "16"
size = 8
currency = "EUR"
{more}
source = "own"
seen_via = "own"
confidence = "A"
checked = 2026-11-22
"""


def own_quotes(tmp_path, more):
    (tmp_path / "own.toml").write_text(EURO.format(more=more), encoding="utf-8")
    facts = FACTS.with_files([tmp_path / "own.toml"])
    return [quote for quote in quotes(facts, "rental") if quote.id == "mine"]


@pytest.mark.parametrize(
    ("per", "dimension", "span"), [('per = "h"', "USD/s", 3600.0), ("", "USD", 1.0)]
)
def test_a_price_of_ones_own_is_brought_to_dollars_of_one(tmp_path, per, dimension, span):
    (found,) = own_quotes(tmp_path, f'date = "2025-08"\n{per}')
    rate, _ = exchange_rate("EUR", dt.date(2025, 8, 1), FACTS)
    assert found.dimension == dimension
    assert found.value * span == pytest.approx(16.0 / 8.0 * rate)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('date = "summer"', "price 'mine': 'summer' is no date: write 2025"),
        ('date = "2025"\nper = "parsec"', "price 'mine' is per 'parsec': write one of h, kWh, W"),
    ],
)
def test_a_price_that_cannot_be_read_is_named(tmp_path, more, said):
    with pytest.raises(CatalogueError, match=re.escape(said)):
        own_quotes(tmp_path, more)
