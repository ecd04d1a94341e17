"""Nested values as TOML, tables after plain values, so that the file reads as one writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterwright.calibrate.writing import toml_value


def table_text(name: str, fields: Mapping[str, Any], *, many: bool = True) -> str:
    """Return one entry of a kind, or a table inside one.

    Parameters
    ----------
    name
        Dotted name of the table.
    fields
        Values, tables and lists of tables; None is left out.
    many
        Whether it is one of several (two brackets).

    >>> print(table_text("chip", {"id": "a", "rate": 1.5, "fast": True, "sizes": {"m": 2.0}}))
    [[chip]]
    id = "a"
    rate = 1.5
    fast = true
    [chip.sizes]
    m = 2.0
    <BLANKLINE>
    """
    plain = [f"{key} = {_value(value)}" for key, value in fields.items() if _is_plain(value)]
    lines = [f"[[{name}]]" if many else f"[{name}]", *plain]
    text = "\n".join(lines) + "\n"
    for key, value in fields.items():
        if isinstance(value, Mapping) and value:
            text += table_text(f"{name}.{key}", value, many=False)
        elif _is_tables(value):
            text += "".join(table_text(f"{name}.{key}", one) for one in value)
    return text


def _is_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _is_plain(value: object) -> bool:
    return value is not None and not isinstance(value, Mapping) and not _is_tables(value)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    return toml_value(value)
