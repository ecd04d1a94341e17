"""Fitted kernels as entries of a catalogue file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from clusterwright.kernels.library import Kernels

DIGITS = 3
"""Significant digits of a fitted number: its error is larger than the fourth."""


def as_toml(kernels: Iterable[Kernels], *, source: str, confidence: str, checked: str) -> str:
    """Return entries as TOML, sorted by id; a catalogue file of one's own, or the project's.

    Parameters
    ----------
    kernels
        What was fitted.
    source
        Where the measurements come from.
    confidence
        A to D, as in every catalogue entry.
    checked
        Day of the fit, such as 2026-11-22.
    """
    blocks = [
        _entry(one, source=source, confidence=confidence, checked=checked)
        for one in sorted(kernels, key=lambda one: one.id)
    ]
    return "\n".join(blocks)


def _entry(one: Kernels, *, source: str, confidence: str, checked: str) -> str:
    fields = msgspec.to_builtins(one)
    precisions = fields.pop("precisions")
    head = {**fields, "source": source, "confidence": confidence}
    lines = ["[[kernels]]", *_lines(head), f"checked = {checked}"]
    for name, fit in precisions.items():
        key = f"kernels.precisions.{name}"
        lines += [f"[{key}.evidence]", *_lines(fit["evidence"])]
        for branch in fit["branches"]:
            bounds = {side: inline_table(branch[side]) for side in ("above", "up_to")}
            lines += [f"[[{key}.branches]]", *(f"{s} = {b}" for s, b in bounds.items() if b)]
            lines.append(f"values = {inline_table(branch['values'])}")
    return "\n".join(lines) + "\n"


def _lines(fields: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} = {toml_value(value)}" for key, value in fields.items() if value not in (None, "")
    ]


def inline_table(fields: Mapping[str, object]) -> str:
    """Return values by name on one line, nothing for none."""
    cells = ", ".join(f"{key} = {toml_value(value)}" for key, value in fields.items())
    return f"{{ {cells} }}" if cells else ""


def toml_value(value: object) -> str:
    """Return a value as TOML writes it; floats with few digits and always a point.

    >>> toml_value(2.0), toml_value(120), toml_value("a file")
    ('2.0', '120', '"a file"')
    """
    if isinstance(value, float):
        text = f"{value:.{DIGITS}g}"
        text = text if float(text) == value else f"{value:.10g}"
        return text if any(mark in text for mark in ".en") else text + ".0"
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
