"""YAML for manifests and configurations: tables, lists, strings, numbers, comments, and no more.

Scripts must stay readable inside a manifest, which JSON cannot do, and a dependency for it would
be asked of everybody who launches on Kubernetes. The tests read back with PyYAML what this writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

Value = str | float | bool | Mapping[str, "Value"] | Sequence["Value"]

PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
"""Strings that need no quotes …"""

WORDS = re.compile(r"(true|false|yes|no|on|off|y|n|null)", re.IGNORECASE)
"""… unless YAML 1.1 takes them for something else."""


class Noted(dict[str, Value]):
    """A mapping with a comment above some of its keys."""

    def __init__(self, values: Mapping[str, Value], notes: Mapping[str, str]) -> None:
        super().__init__(values)
        self.notes = dict(notes)


def yaml(value: Mapping[str, Value], *, about: str = "") -> str:
    r"""One document; ``about``: what its first line says.

    >>> print(yaml({"kind": "Job", "data": {"run.sh": "a\nb\n"}, "args": ["-c", 2]}), end="")
    kind: Job
    data:
      run.sh: |
        a
        b
    args:
      - "-c"
      - 2
    """
    head = [f"# {_shown(about)}"] if about else []
    return "\n".join([*head, *(_mapping(value) or ["{}"])]) + "\n"


def documents(values: Sequence[Mapping[str, Value]]) -> str:
    """Several documents of one file."""
    return "---\n".join(yaml(value) for value in values)


def _mapping(value: Mapping[str, Value]) -> list[str]:
    notes = value.notes if isinstance(value, Noted) else {}
    lines = []
    for key, inner in value.items():
        lines += [f"# {_shown(line)}".rstrip() for line in notes.get(key, "").splitlines()]
        first, *rest = _value(inner)
        lines += [f"{_scalar(key)}:{first}", *rest]
    return lines


def _value(value: Value) -> list[str]:
    """What follows a key: the rest of its line, then lines further in."""
    if isinstance(value, str) and _is_text(value):
        return [" |", *_inside(value[:-1].split("\n"))]
    if isinstance(value, (str, int, float)) or not value:
        return [f" {_scalar(value)}"]
    if isinstance(value, Mapping):
        return ["", *_inside(_mapping(value))]
    return ["", *_inside(line for item in value for line in _item(item))]


def _item(value: Value) -> list[str]:
    """One item of a list: a dash, and what is in it further in."""
    if isinstance(value, Mapping) and value:
        first, *rest = _mapping(value)
        if first.startswith("#"):
            return ["-", *_inside([first, *rest])]
        return [f"- {first}", *_inside(rest)]
    first, *rest = _value(value)
    return [f"-{first}", *rest]


def _inside(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]


def _is_text(value: str) -> bool:
    """Lines that a literal block holds as they are: no odd characters, one newline at the end."""
    *lines, last = value.split("\n")
    plain = all(line.replace("\t", " ").isprintable() for line in lines)
    return plain and not last and bool(lines) and lines[-1] != "" and not _indented(lines[0])


def _indented(line: str) -> bool:
    """A first line from which a reader cannot tell how far the block is indented."""
    return line == "" or line[0].isspace()


def _shown(line: str) -> str:
    """A line of a comment, without what YAML does not take even there."""
    return "".join(character if character.isprintable() else "?" for character in line)


def _scalar(value: Value) -> str:
    if isinstance(value, str):
        plain = PLAIN.fullmatch(value) and not WORDS.fullmatch(value)
        return value if plain else "".join(map(_escaped, json.dumps(value, ensure_ascii=False)))
    return json.dumps(value)


def _escaped(character: str) -> str:
    """What JSON leaves as it is and YAML does not take."""
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}"
