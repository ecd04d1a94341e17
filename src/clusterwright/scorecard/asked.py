"""What a scorecard asks, from the catalogue: operators, scenarios and their weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError, nearest_names
from clusterwright.records import Record
from clusterwright.scorecard.records import Operator, Scenario, Weights

T = TypeVar("T", bound=Record)

USUAL = "usual"
PARTS = (
    "operators", "scenarios", "breadth", "energy", "cost", "memory", "scale", "evidence",
)  # fmt: skip
"""Parts of the third layer: each is computed in a way of its own."""
EVIDENCE = ("measured", "anchored", "borrowed", "A", "B", "C", "D")
SUM_TOLERANCE = 1e-6


def weights_of(name: str, catalogue: Catalogue) -> tuple[Weights, Catalogue]:
    """Weights by name, or from a person's own file; and the catalogue with that file in it.

    Raises
    ------
    InputError
        Weights that do not add up to 1, or of something that there is not.
    """
    entries = catalogue.entries("scorecards")
    if not name.endswith(".toml"):
        entry = catalogue.entry("scorecards", name)
    else:
        own = catalogue.with_files([Path(name)])
        found = [
            one for one in own.entries("scorecards").values()
            if one.id not in entries or one.data != entries[one.id].data
        ]  # fmt: skip
        if len(found) != 1:
            raise InputError(
                f"{name} holds {len(found)} sets of weights, but must hold one: [[scorecard]] with "
                f"performance, scenarios, comprehensive and evidence (see `clusterwright catalogue "
                f"show scorecards usual`)"
            )
        entry, catalogue = found[0], own
    return _weights(entry, catalogue), catalogue


def _weights(entry: Entry, catalogue: Catalogue) -> Weights:
    known = {
        "performance": tuple(catalogue.entries("operators")),
        "scenarios": tuple(catalogue.entries("scenarios")),
        "comprehensive": PARTS,
        "evidence": EVIDENCE,
    }
    layers = {name: _layer(entry, name, names) for name, names in known.items()}
    return Weights(id=entry.id, name=entry.name, baseline=entry.text("baseline"), **layers)


def _layer(entry: Entry, layer: str, known: tuple[str, ...]) -> dict[str, float]:
    """Weights by what they weigh.

    Raises
    ------
    InputError
        See `weights_of`.
    """
    where = f"scorecard {entry.id}, {layer}"
    found: dict[str, float] = {}
    for row in entry.data[layer]:
        name = row["of"]
        if name not in known:
            near = nearest_names(name, known)
            mend = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
            raise InputError(f"{where}: there is no {name!r} to weigh: {mend}")
        if name in found:
            raise InputError(f"{where}: {name!r} has two weights; give it one")
        found[name] = float(row["weight"])
    if layer == "evidence":
        _check_worths(where, found)
    elif not math.isclose(total := sum(found.values()), 1.0, abs_tol=SUM_TOLERANCE):
        raise InputError(
            f"{where}: the weights add up to {total:g}, but must to 1: divide each by {total:g}"
        )
    return found


def _check_worths(where: str, worths: dict[str, float]) -> None:
    """Refuse worths that are missing or above 1."""
    missing = [name for name in EVIDENCE if name not in worths]
    if missing:
        raise InputError(f"{where}: say what {', '.join(missing)} is worth, from above 0 to 1")
    for name, worth in worths.items():
        if worth > 1.0:
            raise InputError(f"{where}: {name!r} is worth {worth:g}, but can be 1 at most")


def operators_of(weights: Weights, catalogue: Catalogue) -> list[Operator]:
    """The operators that are weighed, in the weights' order."""
    return [_record(Operator, catalogue.entry("operators", name)) for name in weights.performance]


def scenarios_of(
    weights: Weights, catalogue: Catalogue, asked: tuple[str, ...] = ()
) -> list[Scenario]:
    """The scenarios that are weighed, or those of them that are asked for.

    Raises
    ------
    InputError
        One that there is not, or that has no weight.
    """
    for name in asked:
        entry = catalogue.entry("scenarios", name)
        if entry.id not in weights.scenarios:
            raise InputError(
                f"scenario {entry.id} has no weight in scorecard {weights.id}: give it one in a "
                f"file of your own, or ask for {', '.join(weights.scenarios)}"
            )
    names = asked or tuple(weights.scenarios)
    return [_record(Scenario, catalogue.entry("scenarios", name)) for name in dict.fromkeys(names)]


def _record(record: type[T], entry: Entry) -> T:
    """Make a record of an entry: figures become their SI values, provenance is left behind."""
    data: dict[str, Any] = {}
    for key in record.__struct_fields__:
        if key in entry.data:
            figure = entry.figure(key)
            data[key] = entry.data[key] if figure is None else figure.value
    return msgspec.convert(data, record)
