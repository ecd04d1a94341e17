"""What a command found: the one shape in which all of them answer, and how it is printed.

A command asks the library and returns an `Answer`; it prints nothing. Whoever called it, a
terminal or a page, takes the value or the words.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec


class Answer(NamedTuple):
    """An answer to a command.

    ``value``: what ``--json`` prints. ``words``: makes the text for people. ``json``: which of the
    two was asked for. ``seen``: by name, records that pictures of the value need beside it.
    ``code``: the exit code.
    """

    value: object
    words: Callable[[], str]
    json: bool = False
    seen: Mapping[str, object] = MappingProxyType({})
    code: int = 0


def show(answer: Answer) -> None:
    """Print an answer as it was asked for; JSON is indented when a person looks."""
    text = _indented(answer.value) if answer.json else answer.words()
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def as_json(value: object) -> bytes:
    """The value on one line, the same bytes for the same value."""
    try:
        return msgspec.json.encode(value, order="deterministic")
    except TypeError:  # keys that are numbers are put into order once they are words
        words = msgspec.to_builtins(value, str_keys=True, order="deterministic")
        return msgspec.json.encode(words)


def _indented(value: object) -> str:
    encoded = as_json(value)
    return (msgspec.json.format(encoded, indent=2) if sys.stdout.isatty() else encoded).decode()
