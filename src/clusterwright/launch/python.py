"""Python as a person would write it: calls with one argument a line, literals as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SHORT = 60
"""Characters of a list that still stands on one line."""


class Code(str):
    """An expression; text that is not marked so is written as a literal."""

    __slots__ = ()


def call(name: str, fields: Mapping[str, Any]) -> Code:
    """A call with named arguments.

    >>> print(call("Config", {"seq_len": 4096, "spec": Code("spec()")}))
    Config(
        seq_len=4096,
        spec=spec(),
    )
    """
    if not fields:
        return Code(f"{name}()")
    lines = [f"{key}={indented(written(value))}," for key, value in fields.items()]
    return Code("\n".join([f"{name}(", *("    " + line for line in lines), ")"]))


def indented(text: str) -> str:
    """Text whose later lines stand one level in."""
    return text.replace("\n", "\n    ")


def written(value: Any) -> str:  # noqa: ANN401 - any literal
    """A value as source: text in double quotes, a long list with an element a line."""
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, list):
        parts = [written(one) for one in value]
        if sum(map(len, parts)) < SHORT:
            return f"[{', '.join(parts)}]"
        return "[\n" + "".join(f"    {indented(one)},\n" for one in parts) + "]"
    return repr(value)


def function(name: str, kind: str, about: str, body: str) -> str:
    """A function without arguments that returns an expression."""
    return f'def {name}() -> {kind}:\n    """{about}"""\n    return {indented(body)}\n'
