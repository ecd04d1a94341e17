"""``clusterwright claims``: what the press says, computed again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.claims.checking import check_claims
from clusterwright.cli.answers import Answer
from clusterwright.report.claims_text import claim_text, claims_text


def claims(
    name: str = "",
    /,
    *,
    document: str = "",
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Compute again what press, vendors and keynotes claim, and say whether it holds.

    Parameters
    ----------
    name
        One claim by its id, such as C07; without it all are listed.
    document
        Only those of documents that have this in their name.
    catalogue
        A file of your own with [[claim]] tables, or other facts (may be repeated).
    json
        Print as JSON.
    """
    found = check_claims(catalogue_with(catalogue), name=name, document=document, tell=_tell)
    _tell("")
    return Answer(found, lambda: claim_text(found[0]) if name else claims_text(found), json=json)


def _tell(claim: str) -> None:
    """Keep one line on a terminal up to date; nothing where nobody looks."""
    if sys.stderr.isatty():
        words = f"checking {claim} ..." if claim else ""
        print(f"\r{words:<30}\r{words}", end="", file=sys.stderr, flush=True)
