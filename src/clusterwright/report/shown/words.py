"""Words of an answer apart from pictures: its figures, and names that stay on their line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from clusterwright.records import Record
from clusterwright.report.labelled import Labelled, labelled

T = TypeVar("T", bound=Record)

ASSUMED = "assumed: "
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def figures_of(lines: Sequence[str]) -> tuple[Labelled, ...]:
    """Read the lines of a decision; what was assumed for it is said elsewhere."""
    found = []
    for one in labelled("\n".join(lines)):
        start = next((i for i, line in enumerate(one.more) if line.startswith(ASSUMED)), None)
        found.append(msgspec.structs.replace(one, more=one.more[:start]))
    return tuple(found)


def seen(record: T) -> T:
    """Return a record whose texts hold nothing that is not seen.

    A name from somebody's file can then neither start a line of its own nor turn its neighbours
    around.
    """
    found: T = msgspec.convert(_seen(msgspec.to_builtins(record)), type(record))
    return found


def seen_text(text: str) -> str:
    r"""Return a text with a mark for each letter that is not seen, or that ends a line.

    >>> seen_text("a\nb\u202ec")
    'a�b�c'
    """
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _seen(value: object) -> object:
    if isinstance(value, str):
        return seen_text(value)
    if isinstance(value, dict):
        return {_seen(key): _seen(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_seen(one) for one in value]
    return value
