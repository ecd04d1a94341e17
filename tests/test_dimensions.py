"""Every formula is fed physical quantities: its dimension must be right, in any units."""

from __future__ import annotations

import inspect

import numpy as np
import pint
import pytest
from dimension_cases import CASES
from formula_walk import public_formulas

FORMULAS = public_formulas()


def make_units() -> pint.UnitRegistry:
    """Only what a data centre needs; bytes and tokens are dimensions, FLOP are counts."""
    units = pint.UnitRegistry(None)
    units.define("micro- = 1e-6 = u-")
    units.define("milli- = 1e-3 = m-")
    for symbol, factor in (("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)):
        units.define(f"{symbol}_prefix- = {factor} = {symbol}-")
    for line in (
        "second = [time] = s",
        "minute = 60 * second",
        "hour = 60 * minute",
        "day = 24 * hour",
        "year = 365.25 * day",
        "byte = [data] = B",
        "joule = [energy] = J",
        "watt = joule / second = W",
        "watthour = watt * hour = Wh",
        "dollar = [money] = USD",
        "gram = [mass] = g",
        "litre = [volume] = L",
        "metre = [length]",
        "km = 1000 * metre",
        "kelvin = [temperature] = K",
        "radian = []",
        "token = [token]",
        "element = [element]",
        "parameter = [parameter]",
        "request = [request]",
        "FLOP = []",
    ):
        units.define(line)
    return units


UNITS = make_units()


def quantity(given: object) -> object:
    """Turn ``"3 us"`` into a quantity; leave numbers alone; look inside tuples."""
    if isinstance(given, tuple):
        return tuple(quantity(item) for item in given)
    if isinstance(given, str):
        number, unit = given.split(" ", maxsplit=1)
        return UNITS.Quantity(float(number), unit)
    return given


def in_base_units(given: object) -> object:
    """Turn quantities into plain numbers, in seconds, bytes, joules, dollars."""
    if isinstance(given, tuple):
        return tuple(in_base_units(item) for item in given)
    return given.to_base_units().magnitude if isinstance(given, UNITS.Quantity) else given


def test_every_formula_has_a_case():
    assert set(FORMULAS) - set(CASES) == set(), "add these to tests/dimension_cases.py"
    assert set(CASES) - set(FORMULAS) == set(), "these formulas are gone"


@pytest.mark.parametrize("name", sorted(set(CASES) & set(FORMULAS)))
def test_dimension(name):
    result_unit, arguments = CASES[name]
    formula = FORMULAS[name]
    quantities = {key: quantity(value) for key, value in arguments.items()}
    inspect.signature(formula).bind(**quantities)
    result = formula(**quantities)
    expected = UNITS.Quantity(1.0, "" if result_unit == "1" else result_unit)
    assert UNITS.Quantity(result).dimensionality == expected.dimensionality
    # The same physical inputs as plain SI numbers give the same figure: no unit hides inside.
    plain = formula(**{key: in_base_units(value) for key, value in quantities.items()})
    assert np.allclose(in_base_units(UNITS.Quantity(result)), plain, rtol=1e-12, atol=0)


def test_a_wrong_unit_is_noticed():
    arguments = {**CASES["roofline.memory_time"].arguments, "memory_bandwidth": "3.35 TB"}
    with pytest.raises(pint.DimensionalityError):
        FORMULAS["roofline.memory_time"](**{k: quantity(v) for k, v in arguments.items()})
