"""A diagnosis as text a person reads: the verdict, what was read, what differs, what to do."""

from __future__ import annotations

import math
import textwrap

from clusterwright.aligned import aligned
from clusterwright.observe.api import Diagnosis
from clusterwright.observe.doubts import SIZELESS
from clusterwright.observe.findings import Finding, Term
from clusterwright.report.folding import WIDTH
from clusterwright.units import format_count, format_time

_SURE = {
    "strong": "measured",
    "some": "measured together with something else",
    "little": "little evidence",
}
MOST_FINDINGS = 8
NOT_TOLD = (
    "No cause stands out: the plan is no surer of itself than that, and these files do not say "
    "where the difference goes. Timers or a trace of the profiler would."
)
FASTER = (
    "No cause stands out. Check that the plan is of this very job (model, batch, lengths, "
    "precision); if it is, keep the run (--add-to), and calibrate with it."
)
NOTHING = "Nothing stands out. With --plan this is held against what was planned, term by term."


def diagnosis_text(found: Diagnosis) -> str:
    """All of it."""
    blocks = [[_title(found), *_folded(found.said[:1].upper() + found.said[1:] + ".", "")]]
    blocks.append(["What the files say", *_facts(found)])
    if found.terms:
        blocks.append([f"Against {found.against}", *_terms(found)])
    blocks.append(_findings(found))
    if found.notes:
        blocks.append(
            ["How it was read", *[part for one in found.notes for part in _folded(one, "  ")]]
        )
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _title(found: Diagnosis) -> str:
    names = [path.replace("\\", "/").rsplit("/", 1)[-1] for path in found.paths]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{found.tool}: {', '.join(names[:3])}{more}"


def _folded(text: str, indent: str, first: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first or indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _facts(found: Diagnosis) -> list[str]:
    if not found.facts:
        return ["  nothing about speed"]
    width = max(len(fact.name) for fact in found.facts)
    return [
        line
        for fact in found.facts
        for line in _folded(fact.said, " " * (width + 4), f"  {fact.name:<{width}}  ")
    ]


def _terms(found: Diagnosis) -> list[str]:
    """Planned and measured side by side, and by how much they differ."""
    rows = []
    for one in found.terms:
        sure = ""
        if math.isfinite(one.low):
            sure = f"{_value(one.low, one.unit)} to {_value(one.high, one.unit)}"
        rows.append(
            [one.name, _value(one.planned, one.unit), _value(one.measured, one.unit),
             _difference(one), sure, one.by]
        )  # fmt: skip
    usual = "planned" if found.against == "the plan" else "expected"
    header = ["", usual, "measured", "differs", "80 % of runs alike", "by"]
    used = [column for column in range(len(header)) if any(row[column] for row in rows)]
    cut = [[row[column] for column in used] for row in rows]
    return aligned([header[column] for column in used], cut, indent="  ",
                   align="".join("l" if column in (0, 5) else "r" for column in used))  # fmt: skip


def _value(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return ""
    if unit == "s":
        return format_time(value)
    if unit == "B":
        return f"{value / 2**30:.1f} GiB"
    if unit == "share":
        return f"{value:.1%}"
    return format_count(value)


def _difference(one: Term) -> str:
    if not (math.isfinite(one.planned) and math.isfinite(one.measured)):
        return ""
    if one.unit == "share":
        return f"{100.0 * (one.measured - one.planned):+.1f} points"
    if one.planned > 0.0 and one.measured < 10.0 * one.planned:
        return f"{one.measured / one.planned - 1.0:+.1%}"
    change = one.measured - one.planned
    return f"{'+' if change >= 0 else '-'}{_value(abs(change), one.unit)}"


def _findings(found: Diagnosis) -> list[str]:
    """Causes, the largest first."""
    if not found.findings:
        if found.verdict == "no plan":
            return _folded(NOTHING, "")
        if found.verdict == "open":
            return []
        if found.verdict == "faster":
            return _folded(FASTER, "")
        if found.verdict == "within the plan's interval":
            return _folded(NOT_TOLD, "")
        return ["Nothing differs by more than what is lost in the noise."]
    unit = "a step" if found.kind == "training" else "a request"
    lines = [f"What explains it, largest first (seconds of {unit})"]
    for number, one in enumerate(found.findings[:MOST_FINDINGS], start=1):
        lines += _finding(number, one)
    return lines


def _finding(number: int, one: Finding) -> list[str]:
    size = "" if one.cause in SIZELESS else ": size not known"
    if math.isfinite(one.time):
        sign = "+" if one.time >= 0.0 else "-"
        size = f": {sign}{format_time(abs(one.time))} ({100.0 * one.share:+.1f} %)"
    lines = [f"  {number}. {one.title}{size} [{_SURE[one.sure]}]"]
    lines += _folded(one.evidence[:1].upper() + one.evidence[1:] + ".", "     ")
    return [*lines, *_folded(f"try: {one.advice}", "          ", "     ")]
