"""Quantities at the border: people's units outside, SI floats inside.

A *dimension* is the SI unit a quantity is kept in: ``"B"``, ``"B/s"``, ``"FLOP/s"``, ``"FLOP"``,
``"s"``, ``"1/s"``, ``"W"``, ``"J"``, ``"USD"``, ``"USD/s"``, ``"USD/J"``, ``"USD/W"``,
``"USD/W/s"``, ``"kg"``, ``"kg/J"``, ``"L"``, ``"L/J"``, ``"K"`` (a temperature), ``"dK"`` (a
difference of two) and ``"1"`` (a plain count). ``GB`` is decimal and ``GiB`` binary; ``b`` is a bit
and ``B`` a byte.

>>> parse("400 Gb/s", "B/s")
50000000000.0
>>> format_quantity(3.35e12, "B/s")
'3.35 TB/s'
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

from clusterwright.errors import UnitError

_DECIMAL: Final = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18, "Z": 21}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50}
_COUNTS: Final = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "B": 9, "T": 12, "P": 15, "E": 18}
_NOUNS: Final = ("tokens", "tok", "params", "parameters", "sequences", "requests", "req")
_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
_YEAR: Final = 365.25 * _DAY
_KWH: Final = 3.6e6
_ICE: Final = 273.15

_NUMBER: Final = re.compile(
    r"\s*(?P<sign>-)?\s*(?P<money>\$)?\s*"
    r"(?P<digits>(?:\d{1,3}(?:[,_]\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?P<power>[eE][+-]?\d+)?"
    r"\s*(?P<unit>\S.*?)?\s*"
)

_MEANING: Final = {
    "B": ("a memory size", "80 GB", "kB MB GB TB PB KiB MiB GiB TiB"),
    "B/s": ("a bandwidth", "3.35 TB/s or 400 Gb/s", "GB/s TB/s Gb/s Gbps GiB/s"),
    "FLOP/s": ("a compute rate", "989.4 TFLOP/s", "GFLOP/s TFLOP/s PFLOP/s EFLOP/s TOPS"),
    "FLOP": ("an amount of compute", "3.8e25 FLOP", "FLOP TFLOP PFLOP EFLOP ZFLOP"),
    "s": ("a time", "50 ms or 90d", "ns us ms s min h d w y"),
    "1/s": ("a rate", "500/s", "/s /min /h Hz"),
    "W": ("a power", "700 W", "W kW MW GW"),
    "J": ("an energy", "12 MWh", "J kJ MJ GJ Wh kWh MWh GWh TWh"),
    "USD": ("a price", "$30,000", "$ USD, with k M B"),
    "USD/s": ("a price per time", "$2.10/h", "$/s $/h $/d $/y"),
    "USD/J": ("a price of energy", "$0.09/kWh", "$/J $/kWh $/MWh"),
    "USD/W": ("a price of building for power", "$11.7/W or $11.7M/MW", "$/W $/kW $/MW $/GW"),
    "USD/W/s": ("a rent of power", "$180/kW/month", "$/kW/month $/MW/y"),
    "kg": ("a mass", "552 t", "g kg t kt Mt"),
    "kg/J": ("carbon per energy", "0.385 kg/kWh", "g/kWh kg/kWh t/MWh"),
    "L": ("a volume", "500 L", "mL L m3"),
    "L/J": ("water per energy", "0.3 L/kWh", "L/kWh m3/MWh"),
    "K": ("a temperature", "18 °C", "°C °F K"),
    "dK": ("a difference in temperature", "10 K", "K"),
    "1": ("a plain count", "15.6T or 24576", "k M G B T, without a unit"),
}

DIMENSIONS: Final = tuple(_MEANING)
"""The SI units that quantities are kept in."""


def _scaled(stem: str, base: float, prefixes: str) -> dict[str, float]:
    """Write one unit with each of its decimal prefixes (``_`` stands for none)."""
    bare = prefixes.replace("_", " ")
    return {p.strip() + stem: base * 10.0 ** _DECIMAL[p.strip()] for p in bare}


def _spellings(units: dict[str, float], dimension: str) -> dict[str, tuple[str, float]]:
    return {name: (dimension, factor) for name, factor in units.items()}


def _unit_table() -> dict[str, tuple[str, float]]:
    """Return every unit that can be written: name to (dimension, value in SI)."""
    size = _scaled("B", 1.0, "_kKMGTPE") | {f"{p}B": 2.0**e for p, e in _BINARY.items()}
    bits = {f"{n[:-1]}{word}": f / 8 for n, f in size.items() for word in ("b", "bit", "bits")}
    size |= {"bytes": 1.0, "byte": 1.0} | bits
    flow = {f"{name}/s": factor for name, factor in size.items()}
    flow |= {f"{name[:-1]}bps": factor / 8 for name, factor in _scaled("B", 1.0, "_kKMGTP").items()}
    rate: dict[str, float] = {}
    for word in ("FLOP/s", "FLOPS", "FLOPs/s", "OP/s", "OPS", "OPs/s"):
        rate |= _scaled(word, 1.0, "_kMGTPEZ")
    work = _scaled("FLOP", 1.0, "_kMGTPEZ") | _scaled("FLOPs", 1.0, "_kMGTPEZ")
    time = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3}
    for words, seconds in (
        ("s sec second seconds", 1.0),
        ("min minute minutes", 60.0),
        ("h hr hour hours", _HOUR),
        ("d day days", _DAY),
        ("w week weeks", 7 * _DAY),
        ("y yr year years", _YEAR),
    ):
        time |= dict.fromkeys(words.split(), seconds)
    energy = _scaled("J", 1.0, "_kMGTPE") | _scaled("Wh", _HOUR, "_kMGT")
    money = {f"{p}{c}": 10.0**e for p, e in _COUNTS.items() for c in ("$", "USD")}
    power = _scaled("W", 1.0, "_kMGT") | {"mW": 1e-3}
    built = {f"{c}/{n}": v / f for c, v in money.items() for n, f in power.items()}
    rent_times = time | {"month": _YEAR / 12, "months": _YEAR / 12}
    rent = {f"{c}/{n}": v / f for c, v in built.items() for n, f in rent_times.items()}
    mass = {"mg": 1e-6, "g": 1e-3, "kg": 1.0, "lb": 0.45359237} | _scaled("t", 1e3, "_kMG")
    volume = {"mL": 1e-3, "L": 1.0, "litres": 1.0, "litre": 1.0, "m3": 1e3, "m³": 1e3}
    per_second = {f"/{name}": 1 / factor for name, factor in time.items()} | {"Hz": 1.0}
    per_second |= {f"{noun}/{name}": 1 / f for noun in _NOUNS for name, f in time.items()}
    table: dict[str, tuple[str, float]] = {}
    for units, dimension in (
        (size, "B"),
        (flow, "B/s"),
        (rate, "FLOP/s"),
        (work, "FLOP"),
        (time, "s"),
        (per_second, "1/s"),
        (power, "W"),
        (energy, "J"),
        (money, "USD"),
        ({f"{c}/{n}": v / f for c, v in money.items() for n, f in time.items()}, "USD/s"),
        ({f"{c}/{n}": v / f for c, v in money.items() for n, f in energy.items()}, "USD/J"),
        (built, "USD/W"),
        (rent, "USD/W/s"),
        (mass, "kg"),
        ({f"{m}/{n}": v / f for m, v in mass.items() for n, f in energy.items()}, "kg/J"),
        (volume, "L"),
        ({f"{m}/{n}": v / f for m, v in volume.items() for n, f in energy.items()}, "L/J"),
    ):
        table |= _spellings(units, dimension)
    return table


_UNITS: Final = _unit_table()
_PLAIN: Final = {p: 10.0**e for p, e in _COUNTS.items()} | {"%": 0.01}
_PLAIN_WORDS: Final = {f"{p}{noun}" for p in _COUNTS for noun in _NOUNS}


def parse(text: str | float, dimension: str) -> float:
    """Read a quantity as people write it and return it in SI.

    Parameters
    ----------
    text
        ``"3.35 TB/s"``, ``"400 Gb/s"``, ``"$2.10/h"``, ``"15.6T"``, ``"50ms"`` …; a bare number
        only where ``dimension`` is ``"1"``.
    dimension
        What is needed, as the SI unit of the result: ``"B/s"``, ``"FLOP/s"``, ``"1"`` …

    Raises
    ------
    UnitError
        If it is no quantity, lacks its unit, is negative, or has another dimension.

    >>> parse("80 GiB", "B"), parse("1.5B", "1"), parse("90d", "s")
    (85899345920.0, 1500000000.0, 7776000.0)
    """
    written = str(text)
    match = _NUMBER.fullmatch(written)
    if match is None:
        raise UnitError(f"{written!r} is not a quantity: {_needed(dimension)}")
    if dimension in {"K", "dK"}:
        return _kelvin(written, match, dimension)
    if match["sign"]:
        raise UnitError(f"{written!r} is negative: {_needed(dimension)} of zero or more")
    number = float(re.sub("[,_]", "", match["digits"]) + (match["power"] or ""))
    unit = _join_money(match["money"] or "", match["unit"] or "")
    value = _times(number, _factor(unit, dimension, written))
    if not math.isfinite(value):
        raise UnitError(f"{written!r} is too large to be a quantity: {_needed(dimension)}")
    return value


def _kelvin(written: str, match: re.Match[str], dimension: str) -> float:
    """Read a temperature, which alone may be below zero, or a difference of two."""
    scales = {"K": (1.0, 0.0)}
    if dimension == "K":
        scales |= dict.fromkeys(("°C", "C", "degC"), (1.0, _ICE))
        scales |= dict.fromkeys(("°F", "F", "degF"), (5 / 9, _ICE - 32 * 5 / 9))
    unit = match["unit"] or ""
    if unit not in scales:
        what = f"an unknown unit {unit!r}" if unit else "no unit"
        raise UnitError(f"{written!r} has {what}: {_needed(dimension)}; units: {_units(dimension)}")
    factor, shift = scales[unit]
    digits = float(re.sub("[,_]", "", match["digits"]) + (match["power"] or ""))
    value = (-digits if match["sign"] else digits) * factor + shift
    if not 0.0 <= value < math.inf:
        raise UnitError(f"{written!r} is out of range: {_needed(dimension)}")
    return value


def _times(number: float, factor: float) -> float:
    """Multiply; divide by what a small factor is a fraction of, so that 3.4 us is 3.4e-06."""
    fraction = round(1 / factor) if factor < 1 else 0
    if fraction and math.isclose(1 / factor, fraction, rel_tol=1e-12):
        return number / fraction
    return number * factor


def _join_money(sign: str, unit: str) -> str:
    """Move a leading ``$`` behind its multiplier: ``$2.1 M/y`` is ``2.1 M$/y``."""
    unit = re.sub(r"\s*/\s*", "/", unit.strip())
    unit = re.sub(r"\s+", " ", unit)
    if not sign:
        return unit
    scale, slash, per = unit.partition("/")
    return f"{scale.removesuffix('USD').strip()}${slash}{per}"


def _factor(unit: str, dimension: str, written: str) -> float:
    """Return the SI value of one ``unit``, or say what would be right."""
    if dimension not in _MEANING:
        raise UnitError(f"unknown dimension {dimension!r}: one of {', '.join(_MEANING)}")
    if dimension == "1":
        plain = _plain_factor(unit)
        if plain is not None:
            return plain
    if not unit:
        known = _units(dimension)
        raise UnitError(f"{written!r} has no unit: {_needed(dimension)}; units: {known}")
    found = _UNITS.get(unit) or _UNITS.get(unit.replace(" ", ""))
    if found is None:
        hint = _case_hint(unit)
        raise UnitError(
            f"{written!r} has an unknown unit {unit!r}{hint}: {_needed(dimension)}; "
            f"units: {_units(dimension)}"
        )
    if found[0] != dimension:
        what = _MEANING[found[0]][0]
        raise UnitError(f"{written!r} is {what}, but {_needed(dimension)}")
    return found[1]


def _plain_factor(unit: str) -> float | None:
    """Return the multiplier of a count such as ``T``, ``%`` or ``B tokens``."""
    joined = unit.replace(" ", "")
    if joined in _PLAIN:
        return _PLAIN[joined]
    if joined in _PLAIN_WORDS:
        noun = max((n for n in _NOUNS if joined.endswith(n)), key=len)
        return _PLAIN[joined.removesuffix(noun)]
    return None


def _needed(dimension: str) -> str:
    name, example, _ = _MEANING.get(dimension, (f"a value in {dimension}", "", ""))
    return f"{name} (e.g. {example}) is needed"


def _units(dimension: str) -> str:
    return _MEANING[dimension][2]


def _case_hint(unit: str) -> str:
    """Offer the spellings that differ in nothing but case: ``gb`` may be GB or Gb."""
    near = sorted({u for u in _UNITS if u.lower() == unit.lower()})
    return f" (did you mean {' or '.join(near[:3])}?)" if near else ""


def _significant(value: float, digits: int) -> str:
    """Write a number to ``digits`` significant digits without trailing zeros or an exponent."""
    if value == 0:
        return "0"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{float(f'{value:.{digits}g}'):,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _with_prefix(value: float, digits: int, steps: str) -> tuple[str, str]:
    """Return a number of 1 to 999 and the decimal prefix that goes with it."""
    rounded = float(f"{value:.{digits}g}")
    prefix, scaled = "", value
    for exponent, letter in enumerate(steps, start=1):
        if abs(rounded) >= 1000.0**exponent:
            prefix, scaled = letter, value / 1000.0**exponent
    return _significant(scaled, digits), prefix


def format_quantity(value: float, dimension: str, *, digits: int = 3) -> str:
    """Write an SI value in people's units, to ``digits`` significant digits.

    >>> format_quantity(5e10, "B/s"), format_quantity(2.1 / 3600, "USD/s")
    ('50 GB/s', '$2.1/h')
    """
    if not math.isfinite(value):
        return str(value)
    if dimension == "1":
        return format_count(value, digits=digits)
    if dimension == "s":
        return format_time(value, digits=digits)
    if dimension == "J":
        text, prefix = _with_prefix(value / _HOUR, digits, "kMGT")
        return f"{text} {prefix}Wh"
    if dimension == "1/s":
        return _format_rate(value, digits)
    if dimension.startswith("USD"):
        return _format_money(value, dimension, digits)
    if dimension in _PRINTED:
        return _PRINTED[dimension](value, digits)
    if dimension not in _MEANING:
        raise UnitError(f"unknown dimension {dimension!r}: one of {', '.join(_MEANING)}")
    if abs(value) >= 1e21:
        return f"{value:.{digits}g} {dimension}"
    text, prefix = _with_prefix(value, digits, "kMGT" if dimension == "W" else "kMGTPE")
    return f"{text} {prefix}{dimension}"


def _format_mass(value: float, digits: int) -> str:
    """Grams and kilograms below a tonne, tonnes above."""
    rounded = abs(float(f"{value:.{digits}g}"))
    if 0 < rounded < 1.0:
        return f"{_significant(1e3 * value, digits)} g"
    if rounded < 1e3:
        return f"{_significant(value, digits)} kg"
    text, prefix = _with_prefix(value / 1e3, digits, "kMG")
    return f"{text} {prefix}t"


def _format_volume(value: float, digits: int) -> str:
    """Litres below ten cubic metres, those above."""
    if abs(float(f"{value:.{digits}g}")) < 1e4:
        return f"{_significant(value, digits)} L"
    return f"{_significant(value / 1e3, digits)} m3"


_PRINTED: Final[dict[str, Callable[[float, int], str]]] = {
    "kg": _format_mass,
    "L": _format_volume,
    "kg/J": lambda value, digits: f"{_significant(value * _KWH, digits)} kg/kWh",
    "L/J": lambda value, digits: f"{_significant(value * _KWH, digits)} L/kWh",
    "K": lambda value, digits: f"{_significant(value - _ICE, digits)} °C",
    "dK": lambda value, digits: f"{_significant(value, digits)} K",
}


def _format_rate(value: float, digits: int) -> str:
    """Write a rate in the unit in which it is no tiny fraction: that of parts that fail is /d."""
    for unit, factor in (("s", 1.0), ("d", _DAY)):
        if value == 0 or abs(value) * factor >= 1e-3:
            return f"{_significant(value * factor, digits)}/{unit}"
    return f"{_significant(value * _YEAR, digits)}/y"


def _format_money(value: float, dimension: str, digits: int) -> str:
    per, factor = {
        "USD": ("", 1.0),
        "USD/s": ("/h", _HOUR),
        "USD/J": ("/kWh", _KWH),
        "USD/W": ("/W", 1.0),
        "USD/W/s": ("/kW/month", 1e3 * _YEAR / 12),
    }[dimension]
    value *= factor
    if abs(value) < 1e6:
        return f"${_significant(value, max(digits, 3))}{per}"
    text, prefix = _with_prefix(value, digits, "kMBT")
    return f"${text}{prefix}{per}"


def format_time(value: float, *, digits: int = 3) -> str:
    """Write a time in the unit people would use. ``value`` in [s].

    From two minutes on a digit less will do, but never less than the whole unit.

    >>> format_time(0.012), format_time(278_000.0), format_time(12_532_000.0)
    ('12.0 ms', '3.2 days', '145 days')
    """
    if not math.isfinite(value) or value == 0:
        return f"{value:g} s"
    for limit, unit, name in ((1e-6, 1e-9, "ns"), (1e-3, 1e-6, "us"), (1.0, 1e-3, "ms")):
        if float(f"{abs(value):.{digits}g}") < limit:
            return f"{_fixed(value / unit, digits)} {name}"
    if abs(value) < 120:
        return f"{_fixed(value, digits)} s"
    long = max(digits - 1, 1)
    for limit, unit, name in ((2 * _HOUR, 60.0, "min"), (2 * _DAY, _HOUR, "h")):
        if abs(value) < limit:
            return f"{_whole(value / unit, long)} {name}"
    if abs(value) < 2 * _YEAR:
        return f"{_whole(value / _DAY, long)} days"
    return f"{_whole(value / _YEAR, long)} years"


def _whole(value: float, digits: int) -> str:
    """Write ``digits`` significant digits, or all before the point."""
    return _fixed(value, max(digits, math.floor(math.log10(abs(value))) + 1))


def _fixed(value: float, digits: int) -> str:
    """Write ``digits`` significant digits, trailing zeros kept."""
    rounded = float(f"{value:.{digits}g}")
    places = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
    return f"{rounded:,.{places}f}"


def format_count(value: float, *, digits: int = 3) -> str:
    """Write a plain count: whole below 10,000, with k M B T above.

    >>> format_count(15.6e12), format_count(8192)
    ('15.6T', '8,192')
    """
    if not math.isfinite(value):
        return str(value)
    if abs(value) < 10_000:
        if float(value).is_integer():
            return f"{int(value):,}"
        return _significant(value, digits)
    text, prefix = _with_prefix(value, digits, "kMBTPE")
    return f"{text}{prefix}"
