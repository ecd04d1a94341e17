"""What a claim's model is given: quantities, ranges, and figures of the catalogue by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.uncertain import Input, known
from clusterwright.units import DIMENSIONS, parse

MARK = "@"
"""Before the place of a figure: ``@accelerators/nv-h200-sxm/memory``."""


class Given:
    """The words under ``given``, read as what a model asks for; what it never asks for is told."""

    def __init__(self, words: Mapping[str, Any], catalogue: Catalogue) -> None:
        self._words = dict(words)
        self._left = set(words)
        self.catalogue = catalogue

    def has(self, name: str) -> bool:
        """Whether something is given under a name."""
        return name in self._words

    def text(self, name: str, default: str | None = None) -> str:
        """Words.

        Raises
        ------
        InputError
            Nothing is given, and there is no default.
        """
        self._left.discard(name)
        found = self._words.get(name, default)
        if found is None:
            raise InputError(f"the claim gives no {name!r}, which its model needs")
        return str(found)

    def quantity(self, name: str, dimension: str, default: str | None = None) -> Input:
        """A quantity, a range of three (low, likely, high), or a figure of the catalogue.

        Raises
        ------
        InputError
            Nothing is given, or it is none of these.
        """
        self._left.discard(name)
        found = self._words.get(name, default)
        if found is None:
            raise InputError(f"the claim gives no {name!r}, which its model needs")
        return read_quantity(found, dimension, self.catalogue, name)

    def any_quantity(self, name: str) -> Input:
        """A quantity of whatever dimension, in SI."""
        self._left.discard(name)
        return read_quantity(self._words[name], "", self.catalogue, name)

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


def read_quantity(found: Any, dimension: str, catalogue: Catalogue, name: str) -> Input:  # noqa: ANN401 - TOML
    """One quantity, however it is written; no ``dimension``: that of its own unit."""
    if isinstance(found, list):
        if len(found) != 3:
            raise InputError(f"{name!r} lists {len(found)} values: write low, likely and high")
        low, value, high = (read_quantity(one, dimension, catalogue, name) for one in found)
        if not low.value <= value.value <= high.value:
            raise InputError(f"{name!r} does not rise from low to high: {found}")
        return Input(
            value=value.value, low=low.value, high=high.value, dimension=value.dimension, why=name
        )
    words = str(found)
    if words.startswith(MARK):
        return _figure(words, dimension, catalogue, name)
    unit = dimension or _dimension_of(words)
    return known(parse(words, unit), unit, name)


def _figure(words: str, dimension: str, catalogue: Catalogue, name: str) -> Input:
    parts = words[len(MARK) :].split("/")
    if len(parts) != 3:
        raise InputError(f"{words!r} is no place of a figure: write @kind/entry/figure")
    figure = catalogue.figure(*parts)
    if dimension and figure.dimension != dimension:
        raise InputError(f"{name!r} is in {figure.dimension} ({words}), but {dimension} is needed")
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    why = f"{words[len(MARK) :]}: {figure.text}"
    return Input(value=figure.value, low=low, high=high, dimension=figure.dimension, why=why)


def _dimension_of(words: str) -> str:
    """The dimension whose units the words are in, a plain count first."""
    for dimension in ("1", *DIMENSIONS):
        try:
            parse(words, dimension)
        except InputError:
            continue
        return dimension
    raise InputError(f"{words!r} is not a quantity in any unit that is known")
