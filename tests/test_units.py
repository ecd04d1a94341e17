"""Quantities read and written at the border."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.errors import UnitError
from clusterwright.units import format_count, format_quantity, format_time, parse

DIMENSIONS = ["B", "B/s", "FLOP/s", "FLOP", "s", "1/s", "W", "J", "USD", "USD/s", "USD/J", "1"]
DIMENSIONS += ["kg", "kg/J", "L", "L/J", "dK", "USD/W", "USD/W/s"]


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("3.35 TB/s", "B/s", 3.35e12),
        ("400 Gb/s", "B/s", 50e9),
        ("400Gbps", "B/s", 50e9),
        ("400 Gbit/s", "B/s", 50e9),
        ("80 GB", "B", 80e9),
        ("80 GiB", "B", 80 * 2.0**30),
        ("989.4 TFLOP/s", "FLOP/s", 989.4e12),
        ("989.4TFLOPS", "FLOP/s", 989.4e12),
        ("1979 TOPS", "FLOP/s", 1979e12),
        ("3.8e25 FLOP", "FLOP", 3.8e25),
        ("700 W", "W", 700.0),
        ("2 MW", "W", 2e6),
        ("12 MWh", "J", 12e6 * 3600),
        ("$2.10/h", "USD/s", 2.10 / 3600),
        ("2.10 USD/h", "USD/s", 2.10 / 3600),
        ("$30000", "USD", 30000.0),
        ("$30,000", "USD", 30000.0),
        ("$1.2B", "USD", 1.2e9),
        ("$0.09/kWh", "USD/J", 0.09 / 3.6e6),
        ("$11.7/W", "USD/W", 11.7),
        ("$11.7M/MW", "USD/W", 11.7),
        ("$29B/GW", "USD/W", 29.0),
        ("$184/kW/month", "USD/W/s", 0.184 / (365.25 * 7200)),
        ("$0.3 M/MW/y", "USD/W/s", 0.3 / (365.25 * 86400)),
        ("15.6T", "1", 15.6e12),
        ("1.5B", "1", 1.5e9),
        ("1.5B tokens", "1", 1.5e9),
        ("24_576", "1", 24576.0),
        ("43%", "1", 0.43),
        (8, "1", 8.0),
        ("50ms", "s", 0.05),
        ("3.4 µs", "s", 3.4e-6),
        ("2h", "s", 7200.0),
        ("90d", "s", 90 * 86400.0),
        ("500/s", "1/s", 500.0),
        ("500 tok/s", "1/s", 500.0),
        ("552 t", "kg", 552e3),
        ("11.39kt", "kg", 11.39e6),
        ("30 g", "kg", 0.030),
        ("0.385 kg/kWh", "kg/J", 0.385 / 3.6e6),
        ("385 g/kWh", "kg/J", 0.385 / 3.6e6),
        ("852.3 lb/MWh", "kg/J", 852.3 * 0.45359237 / 3.6e9),
        ("0.26 mL", "L", 0.26e-3),
        ("12 m3", "L", 12e3),
        ("2.24 L/kWh", "L/J", 2.24 / 3.6e6),
        ("18 °C", "K", 291.15),
        ("-9.3C", "K", 263.85),
        ("59 °F", "K", 288.15),
        ("300 K", "K", 300.0),
        ("10 K", "dK", 10.0),
    ],
)
def test_people_write_it_so(text: str | float, dimension: str, value: float) -> None:
    assert parse(text, dimension) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "dimension", "part"),
    [
        ("400 Gb/s", "B", "is a bandwidth, but a memory size (e.g. 80 GB) is needed"),
        ("80 GB", "B/s", "is a memory size, but a bandwidth"),
        ("3.35", "B/s", "has no unit: a bandwidth"),
        (3.35e12, "B/s", "units: GB/s TB/s Gb/s"),
        ("80 gb", "B", "did you mean GB or Gb"),
        ("80 bananas", "B", "unknown unit 'bananas'"),
        ("700 W", "1", "is a power, but a plain count"),
        ("much", "W", "is not a quantity: a power (e.g. 700 W)"),
        ("", "W", "is not a quantity"),
        ("-5 W", "W", "is negative"),
        ("$11.7", "USD/W", "is a price, but a price of building for power"),
        ("$11.7/kWh", "USD/W", "is a price of energy, but a price of building"),
        ("$184/kW", "USD/W/s", "is a price of building for power, but a rent of power"),
        ("1e999 W", "W", "too large"),
        ("1,00 W", "W", "unit"),
        ("5 W", "furlong", "unknown dimension"),
        ("5", "kg", "has no unit: a mass (e.g. 552 t)"),
        ("0.385 kg", "kg/J", "is a mass, but carbon per energy"),
        ("18", "K", "has no unit: a temperature (e.g. 18 °C)"),
        ("18 W", "K", "unknown unit 'W': a temperature"),
        ("18 °C", "dK", "a difference in temperature (e.g. 10 K)"),
        ("-300 °C", "K", "out of range"),
    ],
)
def test_refused_with_a_mend(text: str | float, dimension: str, part: str) -> None:
    with pytest.raises(UnitError) as refusal:
        parse(text, dimension)
    assert part in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (3.35e12, "B/s", "3.35 TB/s"),
        (80e9, "B", "80 GB"),
        (999.96e9, "B", "1 TB"),
        (989.4e12, "FLOP/s", "989 TFLOP/s"),
        (700.0, "W", "700 W"),
        (0.0, "W", "0 W"),
        (2.1 / 3600, "USD/s", "$2.1/h"),
        (30000.0, "USD", "$30,000"),
        (4.7e9, "USD", "$4.7B"),
        (0.09 / 3.6e6, "USD/J", "$0.09/kWh"),
        (11.7, "USD/W", "$11.7/W"),
        (0.184 / (365.25 * 7200), "USD/W/s", "$184/kW/month"),
        (3.6e9, "J", "1 MWh"),
        (500.0, "1/s", "500/s"),
        (15.6e12, "1", "15.6T"),
        (0.012, "s", "12.0 ms"),
        (552.1e3, "kg", "552 t"),
        (11.39e6, "kg", "11.4 kt"),
        (164.0, "kg", "164 kg"),
        (3e-5, "kg", "0.03 g"),
        (0.385 / 3.6e6, "kg/J", "0.385 kg/kWh"),
        (0.26e-3, "L", "0.00026 L"),
        (5e6, "L", "5,000 m3"),
        (2.24 / 3.6e6, "L/J", "2.24 L/kWh"),
        (263.85, "K", "-9.3 °C"),
        (10.0, "dK", "10 K"),
    ],
)
def test_printed_for_people(value: float, dimension: str, text: str) -> None:
    assert format_quantity(value, dimension) == text


def test_times() -> None:
    spoken = [format_time(t) for t in (3.4e-6, 0.99999, 11.02, 600.0, 36000.0, 276480.0, 1e9)]
    assert spoken == ["3.40 us", "1.00 s", "11.0 s", "10 min", "10 h", "3.2 days", "32 years"]
    assert format_time(0.0) == "0 s"
    assert format_time(float("inf")) == "inf s"


def test_counts() -> None:
    assert [format_count(n) for n in (8, 8192, 24576, 405e9, 0.25)] == [
        "8",
        "8,192",
        "24.6k",
        "405B",
        "0.25",
    ]


def test_unknown_dimension_is_not_printed() -> None:
    with pytest.raises(UnitError):
        format_quantity(1.0, "furlong")


@given(
    value=st.floats(min_value=1e-6, max_value=1e20, allow_nan=False),
    dimension=st.sampled_from(DIMENSIONS),
)
def test_round_trip(value: float, dimension: str) -> None:
    assert parse(format_quantity(value, dimension, digits=15), dimension) == pytest.approx(
        value, rel=1e-10
    )
