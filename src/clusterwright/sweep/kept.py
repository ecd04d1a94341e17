"""What the answers of many like questions share, worked out once."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import ClusterwrightError
from clusterwright.records import Record
from clusterwright.site.run import NEVER
from clusterwright.uncertain import Interval

T = TypeVar("T")

MOST = 1024
"""Of each part of answers that a worker keeps; one is some tens of kilobytes."""


class Kept:
    """The facts, and the last parts of answers that were worked out, refusals among them."""

    def __init__(self, facts: Catalogue, most: int = MOST) -> None:
        self.facts = facts
        self._most = most
        self._found: dict[str, OrderedDict[Hashable, object]] = {}

    def __call__(self, key: Key, make: Callable[[], T]) -> T:
        """What ``make`` returns, or the error that it raises, from the last time if it is kept."""
        held = self._found.setdefault(key.part, OrderedDict())
        if key.values in held:
            held.move_to_end(key.values)
        else:
            try:
                held[key.values] = make()
            except ClusterwrightError as error:
                held[key.values] = error.with_traceback(None)
            if len(held) > self._most:
                held.popitem(last=False)
        found = held[key.values]
        if isinstance(found, ClusterwrightError):
            raise found
        return found  # type: ignore[return-value]  # what was kept under this key


class Key(NamedTuple):
    """A part of an answer, and the options that it depends on."""

    part: str
    values: Hashable


def key_of(part: str, values: Mapping[str, Hashable]) -> Key:
    """A key for a part of an answer and the options that it depends on."""
    return Key(part, tuple(sorted(values.items())))


def with_interval(name: str, found: Interval | None) -> dict[str, float]:
    """A result and the ends of its 80 % interval, as three numbers; nothing for None.

    What a plan has of a run that never ends is infinite again, which summing leaves out.
    """
    if found is None:
        return {}
    ends = {name: found.middle, f"{name}_low": found.low, f"{name}_high": found.high}
    return {key: math.inf if value >= NEVER else value for key, value in ends.items()}


def how(record: Record, usual: Record) -> str:
    """What a record has that is not as usual, as ``name=value`` words.

    >>> from clusterwright.strategy import Strategy
    >>> how(Strategy(tp=8, dp=4, recompute="full"), Strategy())
    'tp=8 dp=4 recompute=full'
    """
    ours, theirs = msgspec.structs.asdict(record), msgspec.structs.asdict(usual)
    differs = (f"{name}={value}" for name, value in ours.items() if value != theirs[name])
    return " ".join(word.replace("=True", "=true").replace("=False", "=false") for word in differs)
