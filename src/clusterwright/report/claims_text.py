"""Checked claims as text a person reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from clusterwright.aligned import aligned
from clusterwright.claims.records import Beside, Checked, Claim
from clusterwright.errors import UnitError
from clusterwright.report.folding import fold
from clusterwright.units import format_count, format_quantity, parse

VERDICTS = {
    "holds": "holds",
    "may-hold": "may hold",
    "holds-if": "holds only if",
    "fails": "does not hold",
    "computed": "computed",
    "unchecked": "not checkable",
}
RELATIONS = {"about": "", "at-least": "at least ", "at-most": "at most "}
ABOUT = 40
SHARES = 2.0
"""Plain numbers below this are shares."""


def claims_text(found: Sequence[Checked]) -> str:
    """All claims, document by document, and how many hold."""
    lines: list[str] = []
    for document in dict.fromkeys(one.claim.document for one in found):
        theirs = [one for one in found if one.claim.document == document]
        rows = [_row(one) for one in theirs]
        header = ("  claim", "about", "said", "ours", "80 % interval", "verdict")
        lines += [document, *aligned(header, rows, align="llrrrl"), ""]
    counts = Counter(VERDICTS[one.verdict] for one in found)
    said = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    lines.append(f"{len(found)} claims: {said}. One in full: clusterwright claims C07")
    return "\n".join(lines) + "\n"


def claim_text(found: Checked) -> str:
    """One claim in full: its words, ours, under which assumptions it holds."""
    claim = found.claim
    lines = [f"{claim.id}: {claim.about}", *fold(f'  "{claim.quote}"', 3)]
    lines += [f"  {claim.document}", ""]
    if found.verdict == "unchecked":
        lines += fold(f"  not checkable: {claim.why_not}", 4)
    if found.said is not None:
        lines.append(f"  said         {RELATIONS[claim.relation]}{_said(found)}")
    if found.ours is not None:
        ours = found.ours
        lines.append(
            f"  ours         {_shown(claim, ours.middle)} (80 %: {_shown(claim, ours.low)} to "
            f"{_shown(claim, ours.high)})"
        )
    if found.ratio is not None:
        lines.append(f"  ratio        {found.ratio:.2f} of what was said")
    for case in found.cases:
        word = "or" if found.said is None else "agrees" if case.agrees else "differs"
        lines += fold(f"  {word:<12} {_shown(claim, case.value)} if {case.name}", 15)
    if found.verdict != "unchecked":
        lines.append(f"  verdict      {_verdict(found)}")
    if found.beside:
        lines += fold(f"  beside       {'; '.join(map(_beside, found.beside))}", 15)
    if found.assumed:
        lines += fold(f"  assumed      {'; '.join(found.assumed)}", 15)
    if claim.notes:
        lines += fold(f"  note         {claim.notes}", 15)
    if claim.source:
        lines += fold(f"  source       {claim.source}", 15)
    return "\n".join(lines) + "\n"


def _row(found: Checked) -> list[str]:
    claim, ours = found.claim, found.ours
    about = claim.about if len(claim.about) <= ABOUT else f"{claim.about[: ABOUT - 1]}…"
    middle = "-" if ours is None else _shown(claim, ours.middle)
    ends = "-"
    if ours is not None and ours.low < ours.high:
        ends = f"{_shown(claim, ours.low)} to {_shown(claim, ours.high)}"
    said = _said(found) if found.said is not None else "-"
    sign = {"about": "", "at-least": ">= ", "at-most": "<= "}[claim.relation]
    return [f"  {claim.id}", about, sign + said, middle, ends, VERDICTS[found.verdict]]


def _beside(one: Beside) -> str:
    """Another result; shares in per cent."""
    share = one.dimension == "1" and one.value.high < SHARES and one.name != "pue"
    ends = [
        f"{end * 100:.3g} %" if share else format_quantity(end, one.dimension)
        for end in (one.value.low, one.value.high)
    ]
    words = ends[0] if ends[0] == ends[1] else " to ".join(ends)
    return f"{one.name.replace('_', ' ')} {words}"


def _verdict(found: Checked) -> str:
    words = VERDICTS[found.verdict]
    agreed = [case.name for case in found.cases if case.agrees]
    if found.verdict == "holds-if":
        return f"{words} {' or '.join(agreed)}"
    if found.verdict == "computed":
        return f"{words}; no figure was said"
    return words


def _said(found: Checked) -> str:
    assert found.said is not None
    low, high = (_shown(found.claim, end) for end in found.said)
    return low if low == high else f"{low} to {high}"


def _shown(claim: Claim, value: float) -> str:
    """A value in the claim's own unit, or in the one that a person expects."""
    if claim.unit:
        try:
            one = parse(f"1 {claim.unit}", claim.dimension)
        except UnitError:
            return f"{format_quantity(value, claim.dimension)} {claim.unit}"
        return f"{format_count(value / one)} {claim.unit}"
    return format_quantity(value, claim.dimension, digits=4 if claim.dimension == "s" else 3)
