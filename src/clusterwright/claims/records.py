"""A claim as its file states it, and what came of checking it."""

from __future__ import annotations

from typing import Any, Literal

from clusterwright.records import Record
from clusterwright.uncertain import Interval

Nature = Literal["quantity", "comparison", "forecast", "system", "function", "words"]
"""What is claimed; ``words``: nothing that can be computed."""

Relation = Literal["about", "at-least", "at-most"]
Verdict = Literal["holds", "may-hold", "holds-if", "fails", "computed", "unchecked"]
"""``may-hold``: what was said is not our likely value, but within its interval. ``computed``: no
figure was said that ours could be compared with."""


class Case(Record, frozen=True, kw_only=True):
    """Other assumptions: ``given`` takes the place of what the claim is given by default.

    A case with a ``model`` of its own is given nothing else; ``result``: which of its results.
    """

    name: str
    given: dict[str, Any]
    model: str = ""
    result: str = ""


class Claim(Record, frozen=True, kw_only=True):
    """One sentence of a document, and how to compute what it says.

    ``quote``: its words. ``said``: the figure in them, with its unit, or two ends of a range;
    ``relation``: whether it is a floor or a ceiling. ``dimension``: its SI unit. ``model``: which
    model computes it anew from ``given``, and ``result``: which of the model's results it is.
    ``cases``: assumptions under which it may hold where it does not by default. ``why_not``: why
    nothing can be computed. ``within``: how far apart counts as the same. [1]
    """

    id: str
    document: str
    quote: str
    about: str
    nature: Nature
    said: str | tuple[str, str] = ""
    relation: Relation = "about"
    dimension: str = "1"
    unit: str = ""
    model: str = ""
    result: str = ""
    given: dict[str, Any] = {}
    cases: tuple[Case, ...] = ()
    within: float = 0.05
    why_not: str = ""
    source: str = ""
    notes: str = ""


class CaseResult(Record, frozen=True, kw_only=True):
    """What a case gives, in SI, and whether that is what was said."""

    name: str
    value: Interval
    agrees: bool


class Beside(Record, frozen=True, kw_only=True):
    """Another result of the same model, in the SI unit that ``dimension`` names."""

    name: str
    dimension: str
    value: Interval


class Checked(Record, frozen=True, kw_only=True):
    """A claim beside what was computed: ``said`` as two ends in SI, ``ours`` with its interval.

    ``ratio``: ours over what was said, the middle of both. [1] ``beside``: what else the model
    gives. ``assumed``: in words, what the default rests on.
    """

    claim: Claim
    verdict: Verdict
    said: tuple[float, float] | None = None
    ours: Interval | None = None
    ratio: float | None = None
    cases: tuple[CaseResult, ...] = ()
    beside: tuple[Beside, ...] = ()
    assumed: tuple[str, ...] = ()
