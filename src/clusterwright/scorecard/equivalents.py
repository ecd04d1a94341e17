"""Fleets of several kinds of accelerators, counted in one kind: by peak and by delivered work."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError, UnitError
from clusterwright.formulas.scores import fleet_equivalents
from clusterwright.hardware import peak_rate
from clusterwright.scorecard.records import ChipScore, Equivalents, FleetPart
from clusterwright.units import parse

LARGEST = 1e9
"""More accelerators than this are a slip of the pen."""
COUNTED = re.compile(r"(\d[\d.,_]*(?:e\d+)?\s*[kMBG]?)\s*[x*×\s]\s*(\S.*)")


class Fleet(NamedTuple):
    """A fleet by its name, and its parts: counts of accelerators by id."""

    name: str
    parts: tuple[FleetPart, ...]


def looks_like_fleet(text: str) -> bool:
    """Whether a person wrote numbers of accelerators rather than a name.

    >>> looks_like_fleet("100000xh100,50000xh200"), looks_like_fleet("100k x h100")
    (True, True)
    >>> looks_like_fleet("mi300x"), looks_like_fleet("soc-a15"), looks_like_fleet("350kxh100,250k")
    (False, False, True)
    """
    return "," in text or _counted(text) is not None


def _counted(text: str) -> tuple[str, str] | None:
    """A number and a name with an ``x``, ``*`` or blank between; None: it is a name alone.

    >>> _counted("1000xmi300x"), _counted("2k rtx4090"), _counted("mi300x")
    (('1000', 'mi300x'), ('2k', 'rtx4090'), None)
    """
    found = COUNTED.fullmatch(text.strip())
    return (found[1], found[2]) if found else None


def fleet_of(text: str, catalogue: Catalogue) -> Fleet:
    """A fleet, from what a person types: ``350000xh100,250000``, or the name of a cluster.

    A number alone is so many accelerators of the baseline's kind, as the owner counts them.

    Raises
    ------
    InputError
        An empty fleet, a number that cannot be, or a cluster of which nobody said what it holds.
    """
    if not looks_like_fleet(text):
        return _cluster_fleet(text, catalogue)
    parts = [_part(one, catalogue) for one in _pieces(text)]
    if not parts:
        raise InputError(f"the fleet {text!r} is empty: write it as 100000xh100,50000xh200")
    return Fleet(text, tuple(parts))


def _pieces(text: str) -> list[str]:
    """A fleet's parts; commas inside a number are no ends of a part.

    >>> _pieces("100,000xh100, 500xh200,250,000")
    ['100000xh100', '500xh200', '250000']
    """
    joined = re.sub(r"(?<![\w.])(\d{1,3}(?:,\d{3})+)(?!\d)", _without_commas, text)
    return [one.strip() for one in joined.split(",") if one.strip()]


def _without_commas(found: re.Match[str]) -> str:
    return found[0].replace(",", "")


def _part(text: str, catalogue: Catalogue) -> FleetPart:
    counted = _counted(text)
    if counted is None:
        return FleetPart(count=_count(text, text), stated=True)
    count, name = counted
    return FleetPart(count=_count(count, text), accelerator=_id_of(name, catalogue))


def _id_of(name: str, catalogue: Catalogue) -> str:
    return catalogue.entry("accelerators", name).id


def _count(text: str, where: str) -> float:
    try:
        value = parse(text, "1")
        # Without the last digits of a float, which 4.1M has.
        value = float(round(value)) if math.isclose(value, round(value)) else value
    except UnitError:
        value = 0.0
    if not 1.0 <= value <= LARGEST or value != int(value):
        raise InputError(
            f"the fleet's part {where!r} needs a whole number of accelerators, {LARGEST:,.0f} at "
            f"most, and their name: 100000xh100"
        )
    return value


def _cluster_fleet(name: str, catalogue: Catalogue) -> Fleet:
    entry = catalogue.entry("clusters", name)
    rows = entry.data.get("parts", ())
    if rows:
        parts = [
            FleetPart(
                count=float(row["count"]),
                accelerator=_id_of(row["accelerator"], catalogue),
                stated=row.get("equivalents", False),
            )
            for row in rows
        ]
        return Fleet(entry.name, tuple(parts))
    count, kind = entry.value("count"), entry.text("accelerator")
    if not kind or count is None:
        made_of = entry.text("accelerator_text") or "nobody said what"
        raise InputError(
            f"cluster {entry.id} ({made_of}) does not say how many of which accelerators it holds: "
            f"write the fleet out, such as 100000xh100,50000xh200"
        )
    return Fleet(entry.name, (FleetPart(count=count, accelerator=kind),))


def in_equivalents(
    fleet: Fleet, scores: Mapping[str, ChipScore], baseline: str, catalogue: Catalogue
) -> Equivalents:
    """A fleet in accelerators of the baseline's kind."""
    names = [one.id for one in scores[baseline].scenarios]
    parts = tuple(_compared(part, scores, baseline, catalogue) for part in fleet.parts)

    def job(name: str) -> Callable[[FleetPart], float | None]:
        return lambda part: _job_ratio(part, scores, name)

    return Equivalents(
        name=fleet.name,
        count=sum(part.count for part in parts),
        parts=parts,
        by_peak=_summed(parts, lambda part: part.by_peak),
        by_work=_summed(parts, lambda part: part.by_work),
        by_scenario={name: _summed(parts, job(name)) for name in names},
    )


def _compared(
    part: FleetPart, scores: Mapping[str, ChipScore], baseline: str, catalogue: Catalogue
) -> FleetPart:
    if not part.accelerator:
        return msgspec.structs.replace(part, accelerator=baseline, by_peak=1.0, by_work=1.0)
    chip = scores[part.accelerator]
    by_peak, why = None, ""
    try:
        own, other = (catalogue.accelerator(name) for name in (part.accelerator, baseline))
        by_peak = peak_rate(own, "bf16") / peak_rate(other, "bf16")
    except InputError as error:
        why = str(error).partition(";")[0]
    return msgspec.structs.replace(part, by_peak=by_peak, by_work=chip.scenario.score, why=why)


def _job_ratio(part: FleetPart, scores: Mapping[str, ChipScore], scenario: str) -> float | None:
    results = scores[part.accelerator].scenarios
    return next(one.ratio for one in results if one.id == scenario)


def _summed(
    parts: tuple[FleetPart, ...], ratio: Callable[[FleetPart], float | None]
) -> float | None:
    """Equivalents over all parts; None where one of them is not known. [1]"""
    ratios = [ratio(part) for part in parts]
    known = [one for one in ratios if one is not None]
    if len(known) < len(parts):
        return None
    return float(fleet_equivalents([part.count for part in parts], known))
