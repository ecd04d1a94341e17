"""What a claim's model is given: quantities, ranges, and figures of the catalogue by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.uncertain import Input, known
from clusterwright.units import DIMENSIONS, parse

MARK = "@"
"""Before the place of a figure: ``@accelerators/nv-h200-sxm/memory``."""


class Given:
    """The words under ``given``, read as what a model asks for; what it never asks for is told.

    ``read``: what was read so far, in words, each with where it is from.
    """

    def __init__(self, words: Mapping[str, Any], catalogue: Catalogue) -> None:
        self._words = dict(words)
        self._left = set(words)
        self.catalogue = catalogue
        self.read: list[str] = []

    def has(self, name: str) -> bool:
        """Whether something is given under a name."""
        return name in self._words

    def text(self, name: str, default: str | None = None) -> str:
        """Words; or a table of these as ``value``, and their ``source``.

        Raises
        ------
        InputError
            Nothing is given, and there is no default; or it is a list.
        """
        found, source = _apart(self._take(name, default), name)
        if isinstance(found, list | dict):
            raise InputError(f"{name!r} is {found}, but its model needs one word or number")
        if self.has(name):
            self.read.append(f"{_words_of(name)} {found}{source}")
        return str(found)

    def texts(self, *names: str) -> dict[str, str]:
        """Words under those of several names that are given."""
        return {name: self.text(name) for name in names if self.has(name)}

    def quantity(self, name: str, dimension: str, default: str | None = None) -> Input:
        """A quantity, a range of three (low, likely, high), or a figure of the catalogue.

        Raises
        ------
        InputError
            Nothing is given, or it is none of these.
        """
        return self._quantity(name, self._take(name, default), dimension)

    def any_quantity(self, name: str) -> Input:
        """A quantity of whatever dimension, in SI."""
        return self._quantity(name, self._take(name, None), "")

    def rest(self) -> tuple[str, ...]:
        """Names that were not asked for yet."""
        return tuple(name for name in self._words if name in self._left)

    def check_all_read(self) -> None:
        """Refuse what no model asked for: most likely a slip of the keyboard.

        Raises
        ------
        InputError
            Something is left.
        """
        if self._left:
            raise InputError(f"the claim gives {min(self._left)!r}, which its model does not use")

    def _take(self, name: str, default: str | None) -> Any:  # noqa: ANN401 - TOML
        self._left.discard(name)
        found = self._words.get(name, default)
        if found is None:
            raise InputError(f"the claim gives no {name!r}, which its model needs")
        return found

    def _quantity(self, name: str, found: Any, dimension: str) -> Input:  # noqa: ANN401 - TOML
        one = read_quantity(found, dimension, self.catalogue, name)
        if self.has(name):
            self.read.append(one.why)
        return one


def read_quantity(found: Any, dimension: str, catalogue: Catalogue, name: str) -> Input:  # noqa: ANN401 - TOML
    """One quantity, however it is written; no ``dimension``: that of its own unit.

    Words such as ``4 d``; low, likely and high; ``@kind/entry/figure``; or a table of ``value``,
    which is one of these, and its ``source``.
    """
    found, source = _apart(found, name)
    what = _words_of(name)
    if isinstance(found, list):
        if len(found) != 3:
            raise InputError(f"{name!r} lists {len(found)} values: write low, likely and high")
        low, value, high = (read_quantity(one, dimension, catalogue, name) for one in found)
        if not low.value <= value.value <= high.value:
            raise InputError(f"{name!r} does not rise from low to high: {found}")
        return Input(
            value=value.value,
            low=low.value,
            high=high.value,
            dimension=value.dimension,
            why=f"{what} {found[0]} to {found[2]}, likely {found[1]}{source}",
        )
    words = str(found)
    if words.startswith(MARK):
        return _figure(words, dimension, catalogue, name)
    unit = dimension or _dimension_of(words, name)
    return known(parse(words, unit), unit, f"{what} {words}{source}")


def place_of(words: str, catalogue: Catalogue) -> tuple[Entry, str]:
    """The entry and the key that ``@kind/entry/key`` names.

    Raises
    ------
    InputError
        It is no such place; an unknown kind or name, to which the nearest are offered.
    """
    parts = words.removeprefix(MARK).split("/")
    if not words.startswith(MARK) or len(parts) != 3:
        raise InputError(f"{words!r} is no place of a figure: write @kind/entry/figure")
    return catalogue.entry(parts[0], parts[1]), parts[2]


def _figure(words: str, dimension: str, catalogue: Catalogue, name: str) -> Input:
    entry, key = place_of(words, catalogue)
    figure = entry.require(key)
    if dimension and figure.dimension != dimension:
        raise InputError(f"{name!r} is in {figure.dimension} ({words}), but {dimension} is needed")
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    why = f"{_words_of(name)} {figure.text} ({words.removeprefix(MARK)})"
    return Input(value=figure.value, low=low, high=high, dimension=figure.dimension, why=why)


def _apart(found: Any, name: str) -> tuple[Any, str]:  # noqa: ANN401 - TOML
    """What is given, and its source in brackets."""
    if not isinstance(found, dict):
        return found, ""
    if set(found) != {"value", "source"}:
        raise InputError(f"{name!r} is {found}: a table needs a value and its source alone")
    return found["value"], f" ({found['source']})"


def _words_of(name: str) -> str:
    return name.replace("_", " ")


def _dimension_of(words: str, name: str) -> str:
    """The dimension whose units the words are in, unless it may be one of two."""
    found = [dimension for dimension in DIMENSIONS if _is(words, dimension)]
    if {"1", "B"} <= set(found):
        raise InputError(
            f"{name!r} is {words!r}, which may be billions or bytes: write 4G or 4 bytes"
        )
    if not found:
        raise InputError(
            f"{name!r} is {words!r}, which is not a quantity in any unit that is known"
        )
    return found[0]


def _is(words: str, dimension: str) -> bool:
    try:
        parse(words, dimension)
    except InputError:
        return False
    return True
