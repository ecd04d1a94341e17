"""A claim against its model: the same, the same under some assumptions, or not."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.claims.given import Given
from clusterwright.claims.models import MODELS
from clusterwright.claims.records import Beside, Case, CaseResult, Checked, Claim, Verdict
from clusterwright.errors import CatalogueError, ClusterwrightError, InputError, nearest_names
from clusterwright.uncertain import Floats, Interval, interval_of
from clusterwright.units import parse

PROVENANCE = ("seen_via", "read_level", "confidence", "checked", "name", "aliases")


def claim_of(entry: Entry) -> Claim:
    """Make a claim of an entry.

    Raises
    ------
    CatalogueError
        A key is missing, unknown or of the wrong type; neither a model nor a reason for none.
    """
    fields = Claim.__struct_fields__
    data = {key: value for key, value in entry.data.items() if key not in PROVENANCE}
    try:
        claim = msgspec.convert({"id": entry.id, **data}, Claim)
    except msgspec.ValidationError as error:
        odd = next((key for key in data if key not in fields), "")
        near = nearest_names(odd, fields, count=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise CatalogueError(f"claim {entry.id!r}: {error}{hint}") from None
    if bool(claim.model) == bool(claim.why_not):
        raise CatalogueError(
            f"claim {claim.id!r} needs either a `model` that computes it or a `why_not`"
        )
    for name in (claim.model, *(case.model for case in claim.cases)):
        if name and name not in MODELS:
            near = nearest_names(name, MODELS, count=1)
            mend = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(MODELS)}"
            raise CatalogueError(f"claim {claim.id!r} has no model called {name!r}: {mend}")
    return claim


def check(claim: Claim, catalogue: Catalogue) -> Checked:
    """Compute what a claim says, by default and under its cases, and compare.

    Raises
    ------
    InputError
        What is given cannot be used; the message names the claim.
    """
    if not claim.model:
        return Checked(claim=claim, verdict="unchecked")
    try:
        said = said_of(claim)
        found, beside, assumed = _computed(claim, catalogue)
        cases = []
        for case in claim.cases:
            value = _computed(_in_case(claim, case), catalogue)[0]
            same = said is not None and agrees(claim, said, value)
            cases.append(CaseResult(name=case.name, value=value, agrees=same))
    except ClusterwrightError as error:
        raise InputError(f"claim {claim.id}: {error}") from None
    return Checked(
        claim=claim,
        verdict=_verdict(claim, said, found, cases),
        said=said,
        ours=found,
        ratio=_ratio(said, found),
        cases=tuple(cases),
        beside=beside,
        assumed=assumed,
    )


def check_claims(
    catalogue: Catalogue,
    *,
    name: str = "",
    document: str = "",
    tell: Callable[[str], None] | None = None,
) -> list[Checked]:
    """Check one claim, those of some documents, or all.

    Parameters
    ----------
    catalogue
        The claims, and the facts that they are computed from.
    name
        One claim by its id.
    document
        Only those of documents that have this in their name.
    tell
        Is told the id of each claim before it is checked.

    Raises
    ------
    UnknownNameError
        No claim is called so; the nearest are offered.
    InputError
        No document is called so, or what a claim is given cannot be used.
    """
    if name:
        return [check(claim_of(catalogue.entry("claims", name)), catalogue)]
    every = [claim_of(entry) for entry in catalogue.entries("claims").values()]
    wanted = [claim for claim in every if document.lower() in claim.document.lower()]
    if not wanted:
        known = "; ".join(dict.fromkeys(claim.document for claim in every))
        raise InputError(f"no document has {document!r} in its name; there are: {known}")
    found = []
    for claim in wanted:
        if tell is not None:
            tell(claim.id)
        found.append(check(claim, catalogue))
    return found


def said_of(claim: Claim) -> tuple[float, float] | None:
    """Both ends of what was said, in SI; None: no figure was."""
    if not claim.said:
        return None
    ends = (claim.said, claim.said) if isinstance(claim.said, str) else claim.said
    low, high = (parse(end, claim.dimension) for end in ends)
    if low > high:
        raise InputError(f"what was said falls from {ends[0]} to {ends[1]}: write the lower first")
    return low, high


def agrees(claim: Claim, said: tuple[float, float], ours: Interval) -> bool:
    """Whether what was said lies in our interval, give or take what counts as the same.

    A floor holds if what we get may lie above it, a ceiling if it may lie below.
    """
    low, high = said[0] * (1.0 - claim.within), said[1] * (1.0 + claim.within)
    if claim.relation == "at-least":
        return ours.high >= low
    if claim.relation == "at-most":
        return ours.low <= high
    return ours.low <= high and ours.high >= low


def _in_case(claim: Claim, case: Case) -> Claim:
    """The claim under other assumptions."""
    if case.model:
        return msgspec.structs.replace(
            claim, model=case.model, given=case.given, result=case.result
        )
    given = {**claim.given, **case.given}
    return msgspec.structs.replace(claim, given=given, result=case.result or claim.result)


def _computed(
    claim: Claim, catalogue: Catalogue
) -> tuple[Interval, tuple[Beside, ...], tuple[str, ...]]:
    """The result that is meant, others beside it, and what they rest on in words."""
    given = Given(claim.given, catalogue)
    answer = MODELS[claim.model](given)
    given.check_all_read()
    result = claim.result or next(iter(answer.results))
    if result not in answer.results:
        known = ", ".join(answer.results)
        raise InputError(f"its model has no result {result!r}: one of {known}")
    unit = answer.dimensions.get(result, claim.dimension)
    if unit != claim.dimension:
        raise InputError(
            f"its model gives {result!r} in {unit}, but the claim's dimension is "
            f"{claim.dimension}: write another, or name another result"
        )
    value = _interval(answer.results[result])
    if not all(np.isfinite((value.low, value.middle, value.high))):
        raise InputError(f"its model gives no number for {result!r} from what is given")
    beside = tuple(
        Beside(name=name, dimension=unit, value=_interval(answer.results[name]))
        for name, unit in answer.dimensions.items()
        if name != result and name in (answer.beside or answer.results) and name in answer.results
    )
    return value, beside, tuple(dict.fromkeys((*given.read, *answer.assumed)))


def _interval(found: Floats | Interval) -> Interval:
    return found if isinstance(found, Interval) else interval_of(found)


def _verdict(
    claim: Claim, said: tuple[float, float] | None, ours: Interval, cases: list[CaseResult]
) -> Verdict:
    if said is None:
        return "computed"
    if agrees(claim, said, Interval(low=ours.middle, middle=ours.middle, high=ours.middle)):
        return "holds"
    if agrees(claim, said, ours):
        return "may-hold"
    return "holds-if" if any(case.agrees for case in cases) else "fails"


def _ratio(said: tuple[float, float] | None, ours: Interval) -> float | None:
    if said is None or sum(said) == 0.0:
        return None
    return ours.middle / (sum(said) / 2.0)
