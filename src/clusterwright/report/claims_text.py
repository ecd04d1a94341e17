"""Checked claims as text a person reads."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from clusterwright.aligned import aligned
from clusterwright.claims.records import Beside, Checked, Claim, Verdict
from clusterwright.errors import UnitError
from clusterwright.report.folding import WIDTH, fold
from clusterwright.uncertain import Interval
from clusterwright.units import format_count, format_quantity, parse

VERDICTS: dict[Verdict, str] = {
    "holds": "holds",
    "may-hold": "may hold",
    "holds-if": "holds only if",
    "fails": "does not hold",
    "computed": "computed",
    "unchecked": "not checkable",
}
RELATIONS = {"about": "", "at-least": "at least ", "at-most": "at most "}
ABOUT = 40
SHARES = ("mfu", "goodput", "battery", "memory", "share")
"""Results that are shown in per cent."""
WATT_HOUR = 3600.0


def claims_text(found: Sequence[Checked]) -> str:
    """All claims, document by document, and how many hold."""
    lines: list[str] = []
    for document in dict.fromkeys(one.claim.document for one in found):
        theirs = [one for one in found if one.claim.document == document]
        rows = [_row(one) for one in theirs]
        header = ("  claim", "about", "said", "ours", "80 % interval", "verdict")
        lines += [document, *aligned(header, rows, align="llrrrl"), ""]
    counts = Counter(one.verdict for one in found)
    said = ", ".join(f"{words} {counts[one]}" for one, words in VERDICTS.items() if counts[one])
    lines += fold(f"{len(found)} claims: {said}", 2)
    lines.append(f"One in full: clusterwright claims {found[0].claim.id}")
    return "\n".join(lines) + "\n"


def claim_text(found: Checked) -> str:
    """One claim in full: its words, ours, under which assumptions it holds."""
    claim = found.claim
    lines = [f"{claim.id}: {claim.about}", *_prose(f'  "{claim.quote}"', 3)]
    lines += [f"  {claim.document}", ""]
    if found.verdict == "unchecked":
        lines += _prose(f"  not checkable: {claim.why_not}", 4)
    if found.said is not None:
        lines.append(f"  said         {RELATIONS[claim.relation]}{_said(found)}")
    if found.ours is not None:
        lines.append(f"  ours         {_range(claim, found.ours)}")
    if found.ratio is not None:
        lines.append(f"  ratio        {found.ratio:.3g} times what was said")
    for case in found.cases:
        word = "or" if found.said is None else "agrees" if case.agrees else "differs"
        lines += _prose(f"  {word:<12} {_range(claim, case.value)} if {case.name}", 15)
    if found.verdict != "unchecked":
        lines += _prose(f"  verdict      {_verdict(found)}", 15)
    if found.beside:
        lines += fold(f"  beside       {'; '.join(map(_beside, found.beside))}", 15)
    if found.assumed:
        lines += fold(f"  assumed      {'; '.join(found.assumed)}", 15)
    if claim.notes:
        lines += _prose(f"  note         {claim.notes}", 15)
    if claim.source:
        lines += _prose(f"  source       {claim.source}", 15)
    return "\n".join(lines) + "\n"


def _row(found: Checked) -> list[str]:
    claim, ours = found.claim, found.ours
    about = claim.about if len(claim.about) <= ABOUT else f"{claim.about[: ABOUT - 1]}…"
    middle = "-" if ours is None else _shown(claim, ours.middle)
    ends = "-"
    if ours is not None and ours.low < ours.high:
        ends = _span(claim, ours.low, ours.high)
    said = _said(found) if found.said is not None else "-"
    sign = {"about": "", "at-least": ">= ", "at-most": "<= "}[claim.relation]
    return [f"  {claim.id}", about, sign + said, middle, ends, VERDICTS[found.verdict]]


def _prose(line: str, indent: int) -> list[str]:
    """A sentence as lines that fit, all but the first indented."""
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)


def _range(claim: Claim, value: Interval) -> str:
    """The likely value, and the 80 % interval where there is one."""
    middle = _shown(claim, value.middle)
    if value.low == value.high:
        return middle
    return f"{middle} (80 %: {_span(claim, value.low, value.high)})"


def _beside(one: Beside) -> str:
    """Another result; shares in per cent, small energies in joules."""

    def shown(value: float) -> str:
        if one.name in SHARES:
            return f"{value * 100:.3g} %"
        if one.dimension == "J" and value < WATT_HOUR:
            return f"{value:.3g} J"
        return format_quantity(value, one.dimension)

    return f"{one.name.replace('_', ' ')} {_ends(shown(one.value.low), shown(one.value.high))}"


def _verdict(found: Checked) -> str:
    words = VERDICTS[found.verdict]
    agreed = [case.name for case in found.cases if case.agrees]
    if found.verdict == "holds-if":
        return f"{words} {'; or if '.join(agreed)}"
    if found.verdict == "computed":
        return f"{words}; no figure was said"
    return words


def _said(found: Checked) -> str:
    assert found.said is not None
    return _span(found.claim, *found.said)


def _span(claim: Claim, low: float, high: float) -> str:
    """Two ends in the claim's unit."""
    return _ends(_shown(claim, low), _shown(claim, high))


def _ends(first: str, last: str) -> str:
    """Two ends in words, their unit once where it is the same."""
    if first == last:
        return first
    number, _, unit = first.partition(" ")
    return f"{number if unit and last.endswith(f' {unit}') else first} to {last}"


def _shown(claim: Claim, value: float) -> str:
    """A value in the claim's own unit, or in the one that a person expects."""
    if claim.unit:
        try:
            one = parse(f"1 {claim.unit}", claim.dimension)
        except UnitError:
            return f"{format_quantity(value, claim.dimension)} {claim.unit}"
        return f"{format_count(value / one)} {claim.unit}"
    return format_quantity(value, claim.dimension)
