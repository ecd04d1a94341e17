"""YAML that every reader of YAML takes, without a package for it.

Each value is written as JSON, which YAML contains, one key a line and blocks for tables. So what a
person reads is plain YAML, strings are always quoted and nothing is read as something else. What
tools are told is a table of numbers, words and small tables: a dependency would bring no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Table = Mapping[str, Any]


def yaml_text(table: Table, *, about: str) -> str:
    """A table as a file; ``about``: what its first line says.

    >>> print(yaml_text({"tp": 8, "cache": {"dtype": "fp8"}, "lora": True}, about="for vLLM"))
    # for vLLM
    tp: 8
    cache:
      dtype: "fp8"
    lora: true
    """
    return "\n".join([f"# {about}", *_lines(table, "")]) + "\n"


def _lines(table: Table, indent: str) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{key}: {json.dumps(value)}"
