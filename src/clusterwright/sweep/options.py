"""What an option of a question may be: the same words and quantities that its command takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from clusterwright.asking import quantity_of, whole_number
from clusterwright.asking_load import rate_of
from clusterwright.asking_model import find_model
from clusterwright.asking_serving import price_of
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.site.quotes import newest_day, read_price

Value = str | int | float | bool
"""What one cell of a table of questions holds, as TOML has it."""
Kind = Literal[
    "model", "name", "words", "count", "whole", "share", "quantity", "money", "rate", "hourly",
    "number", "flag", "text", "list",
]  # fmt: skip
Changes = Literal["plan", "site", "run"]
"""What has to be worked out anew where an option differs: all, the building and its prices, or
failures alone."""


class Option(NamedTuple):
    """An option: its kind, of which dimension, kind of facts or words, and what it changes."""

    kind: Kind
    of: str | tuple[str | int, ...] = ""
    changes: Changes = "plan"


UNITS: Mapping[str, str] = {
    "s": "s",
    "1/s": "/s",
    "W": "W",
    "B/s": "B/s",
    "kg/J": "kg/J",
    "USD": "$",
    "USD/s": "$/s",
    "USD/J": "$/J",
    "USD/W": "$/W",
}
"""Dimension → the unit that is 1 in SI, so that a number is written and read without a loss."""


def read_value(option: Option, written: Value, name: str, facts: Catalogue) -> Value:
    """Check one value, and return it as the Python API takes it.

    Raises
    ------
    InputError
        It is not of the option's kind, or no such thing is known; the message names the option.
    """
    if isinstance(written, bool) != (option.kind == "flag"):
        needed = "true or false" if option.kind == "flag" else "no true or false"
        raise InputError(f"{name} is {_shown(written)}, but must be {needed}")
    try:
        return _READ[option.kind](option, written, name, facts)
    except InputError as error:
        flag = f"--{name.replace('_', '-')}: "
        words = str(error).removeprefix(flag).replace(flag[:-2], name)
        raise InputError(words if words.startswith(name) else f"{name}: {words}") from None


def dimension_of(option: Option, name: str) -> str:
    """The dimension in which an option can be drawn at random from a range.

    Raises
    ------
    InputError
        It is not a number.
    """
    if option.kind in ("quantity", "money"):
        return str(option.of)
    if option.kind == "rate":
        return "1/s"
    if option.kind in ("count", "whole", "share", "number", "hourly"):
        return "1"
    raise InputError(f"{name} is no quantity that has a range: write {{one-of = [...]}}")


def number_of(option: Option, written: Value, name: str, facts: Catalogue) -> float:
    """A value as a number in SI, for the ends of a range."""
    value = read_value(option, written, name, facts)
    dimension = dimension_of(option, name)
    if option.kind == "count":
        return float(whole_number(_counted(value), name))
    if option.kind == "rate":
        return rate_of(_counted(value), name)
    if option.kind == "money":
        return read_price(str(value), dimension, day=newest_day(facts), catalogue=facts)
    return quantity_of(str(value), dimension, name) if isinstance(value, str) else float(value)


def written_of(option: Option, number: float, dimension: str) -> Value:
    """A number in SI as a value of the option, which reads as the very same number.

    >>> written_of(Option("quantity", "W"), 960.5, "W"), written_of(Option("count"), 63.7, "1")
    ('960.5 W', 64)
    """
    if option.kind in ("count", "whole"):
        return max(1, round(number))
    if option.kind in ("quantity", "money") and dimension in UNITS:
        return f"{number!r} {UNITS[dimension]}"
    return number


def _shown(written: Value) -> str:
    return str(written).lower() if isinstance(written, bool) else repr(written)


def _counted(value: Value) -> str | float:
    return value if isinstance(value, str) else float(value)


def _model(_: Option, written: Value, name: str, facts: Catalogue) -> Value:
    find_model(_text_of(written, name), facts)
    return written


def _name(option: Option, written: Value, name: str, facts: Catalogue) -> Value:
    text = _text_of(written, name)
    if not (option.of == "software" and text == "any"):
        facts.entry(str(option.of), text)
    return text


def _words(option: Option, written: Value, name: str, _: Catalogue) -> Value:
    if written not in option.of:
        raise InputError(f"{name} is {written!r}; choose from {', '.join(map(str, option.of))}")
    return written


def _count(_: Option, written: Value, name: str, __: Catalogue) -> Value:
    whole_number(_counted(written), name)
    return written


def _whole(_: Option, written: Value, name: str, __: Catalogue) -> Value:
    if not isinstance(written, int) or written < 0:
        raise InputError(f"{name} is {written!r}, but must be a whole number, such as 8")
    return written


def _share(_: Option, written: Value, name: str, __: Catalogue) -> Value:
    try:
        text = str(written).strip()
        return float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        said = f"{name} is {written!r}, but must be a share, such as 0.9 or 90%"
        raise InputError(said) from None


def _quantity(option: Option, written: Value, name: str, _: Catalogue) -> Value:
    quantity_of(str(written), str(option.of), name)
    return str(written)


def _money(option: Option, written: Value, _: str, facts: Catalogue) -> Value:
    read_price(str(written), str(option.of), day=newest_day(facts), catalogue=facts)
    return str(written)


def _rate(_: Option, written: Value, name: str, __: Catalogue) -> Value:
    rate_of(_counted(written), name)
    return written


def _hourly(_: Option, written: Value, __: str, ___: Catalogue) -> Value:
    return price_of(_counted(written)) or 0.0


def _number(_: Option, written: Value, name: str, __: Catalogue) -> Value:
    if isinstance(written, str):
        raise InputError(f"{name} is {written!r}, but must be a number")
    return float(written)


def _flag(_: Option, written: Value, __: str, ___: Catalogue) -> Value:
    return written


def _text(_: Option, written: Value, name: str, __: Catalogue) -> Value:
    return _text_of(written, name)


def _text_of(written: Value, name: str) -> str:
    if not isinstance(written, str) or not written.strip():
        raise InputError(f"{name} is {written!r}, but must be a word in quotes")
    return written


_READ: dict[Kind, Callable[[Option, Value, str, Catalogue], Value]] = {
    "model": _model,
    "name": _name,
    "words": _words,
    "count": _count,
    "whole": _whole,
    "share": _share,
    "quantity": _quantity,
    "money": _money,
    "rate": _rate,
    "hourly": _hourly,
    "number": _number,
    "flag": _flag,
    "text": _text,
    "list": _text,
}


def picked(values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that are in a group of options."""
    return {name: values[name] for name in names if name in values}
