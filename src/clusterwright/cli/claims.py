"""``clusterwright claims``: what the press says, computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.claims.checking import check_claims
from clusterwright.cli.answers import Answer
from clusterwright.cli.progress import tell
from clusterwright.errors import InputError
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
    if name and document:
        raise InputError(f"{name!r} names one claim: leave out --document, or the name")
    facts = catalogue_with(catalogue)
    found = check_claims(facts, name=name, document=document, tell=_tell)
    tell("")
    return Answer(found, lambda: claim_text(found[0]) if name else claims_text(found), json=json)


def _tell(claim: str) -> None:
    tell(f"checking {claim} ...")
