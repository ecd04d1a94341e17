"""What was found out about a run: terms against a plan, and causes with their evidence."""

from __future__ import annotations

import math
from typing import Literal

from clusterwright.records import Record

Sureness = Literal["strong", "some", "little"]
"""Evidence: measured directly; measured together with something else; inferred."""


class Term(Record, frozen=True, kw_only=True):
    """One quantity, planned and measured; nan: not known. ``unit``: a dimension of `units`.

    ``low``, ``high``: what the plan is sure of to 80 %, nan: it does not say. ``by``: what measured
    it.
    """

    name: str
    planned: float = math.nan
    measured: float = math.nan
    low: float = math.nan
    high: float = math.nan
    unit: str = "s"
    by: str = ""


class Finding(Record, frozen=True, kw_only=True):
    """One cause of a difference.

    ``time``: seconds of a step, or of a request, that it explains (nan: it cannot be said).
    ``share``: of the step or request as planned, or as is typical where there is no plan. [1]
    """

    cause: str
    title: str
    time: float
    share: float
    evidence: str
    advice: str
    sure: Sureness = "strong"


class Fact(Record, frozen=True, kw_only=True):
    """One line of what a log says, for a person."""

    name: str
    said: str


def ranked(findings: list[Finding]) -> tuple[Finding, ...]:
    """Largest first; those whose size is not known come last."""
    return tuple(
        sorted(findings, key=lambda one: -one.time if math.isfinite(one.time) else math.inf)
    )
