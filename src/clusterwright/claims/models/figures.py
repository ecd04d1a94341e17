"""Models of claims that need no plan: arithmetic, dates, growth, lists, what fits."""

from __future__ import annotations

import datetime as dt
import re

from clusterwright.catalogue.figures import Entry
from clusterwright.claims.arithmetic import evaluate
from clusterwright.claims.given import MARK, Given, place_of
from clusterwright.claims.models.answer import Answer, Floats, drawn
from clusterwright.errors import InputError
from clusterwright.formulas.growth import doubling_time, grown
from clusterwright.site.money import YEAR
from clusterwright.site.quotes import day_of

SHOWN = 8
"""Clusters of a list that are named."""


def arithmetic(given: Given) -> Answer:
    """A formula of quantities and of the catalogue's figures: ``formula = "new / old - 1"``."""
    formula = given.text("formula")
    inputs = {name: given.any_quantity(name) for name in given.rest()}
    alone = inputs.get(formula)
    units = {} if alone is None else {"value": alone.dimension}
    return Answer(results={"value": evaluate(formula, drawn(inputs))}, dimensions=units)


def dates(given: Given) -> Answer:
    """Time between two days, each written out or ``@kind/entry/key``.

    Results: ``time`` from the earlier to the later one, ``after`` that ``to`` comes after ``from``,
    0 if it comes before. [s]
    """
    start, end = (_day(given, name) for name in ("from", "to"))
    span = float((end - start).days) * 86_400.0
    said = (f"from {start} to {end}",)
    results = {"time": abs(span), "after": max(0.0, span)}
    return Answer(results=results, dimensions={"time": "s"}, assumed=said)


def _day(given: Given, name: str) -> dt.date:
    words = given.text(name)
    if not words.startswith(MARK):
        return day_of(words)
    entry, key = place_of(words, given.catalogue)
    found = re.search(r"\d{4}(-\d\d?){0,2}", entry.text(key))
    if found is None:
        raise InputError(
            f"nobody published the {key} of {entry.id}: write a day such as 2024-09-02"
        )
    return day_of(found[0])


def growth(given: Given) -> Answer:
    """A growth over a span beside one that was measured.

    Results: ``doubling`` [s] and ``yearly`` [1] of the ``factor`` over the ``span``; where a
    ``measured`` doubling time is given, ``grown``: what that makes of the span, and ``times``: by
    how much all else must multiply it. [1]
    """
    x = drawn(
        {
            "factor": given.quantity("factor", "1"),
            "span": given.quantity("span", "s"),
        }
    )
    if x["factor"] <= 1.0:
        raise InputError("'factor' must be above 1: it is by how much something grows")
    results: dict[str, Floats] = {
        "doubling": doubling_time(x["factor"], x["span"]),
        "yearly": x["factor"] ** (YEAR / x["span"]),
    }
    if given.has("measured"):
        measured = drawn({"measured": given.quantity("measured", "s")})["measured"]
        results["grown"] = grown(x["span"], measured)
        results["times"] = x["factor"] / results["grown"]
    units = {"doubling": "s", "yearly": "1", "grown": "1", "times": "1"}
    return Answer(results=results, dimensions=units)


def clusters_known(given: Given) -> Answer:
    """How many owners of a list have a cluster of so many accelerators in the catalogue.

    Results: ``owners``, ``clusters`` [1]; ``rank`` of a cluster by its count. [1]
    """
    least = given.quantity("accelerators", "1").value
    named = [one.strip().lower() for one in given.text("owners", "").split(",") if one.strip()]
    until = given.text("until", "9999")
    status = given.text("status", "")
    found = [
        (entry.value("count") or 0.0, entry)
        for entry in given.catalogue.entries("clusters").values()
        if (entry.value("count") or 0.0) >= least
        and entry.text("date")[:7] <= until
        and status in entry.text("status")
        and _stands(entry)
    ]
    found.sort(key=lambda pair: -pair[0])
    owners = [owner for owner in named if any(owner in e.text("owner").lower() for _, e in found)]
    results: dict[str, Floats] = {
        "owners": float(len(owners)) if named else float(len({e.text("owner") for _, e in found})),
        "clusters": float(len(found)),
    }
    if given.has("cluster"):
        entry = given.catalogue.entry("clusters", given.text("cluster"))
        larger = [e for count, e in found if count > (entry.value("count") or 0.0)]
        results["rank"] = 1.0 + len(larger)
    shown = [f"{e.name}: {n:,.0f} ({e.text('date') or 'no date'})" for n, e in found[:SHOWN]]
    units = dict.fromkeys(("owners", "clusters", "rank"), "1")
    return Answer(results=results, dimensions=units, assumed=tuple(shown))


def _stands(entry: Entry) -> bool:
    """Whether a cluster is more than an example, and has accelerators."""
    named = entry.text("accelerator_text")
    return entry.text("status") != "hypothetical" and "no accelerator" not in named


def model_size(given: Given) -> Answer:
    """Whether a model's weights and training state fit a cluster's memory.

    Results: ``share`` of the memory that they take [1], ``bytes`` [B], and ``parameters`` that
    would fill it [1].
    """
    chip = given.catalogue.accelerator(given.text("accelerator"))
    if chip.memory_bytes is None:
        raise InputError(f"nobody published the memory of {chip.id}")
    x = drawn(
        {
            "parameters": given.quantity("parameters", "1"),
            "per": given.quantity("bytes_per_parameter", "B"),
            "count": given.quantity("accelerators", "1"),
        }
    )
    total, memory = x["parameters"] * x["per"], x["count"] * chip.memory_bytes
    results = {"share": total / memory, "bytes": total, "parameters": memory / x["per"]}
    return Answer(
        results=results,
        dimensions={"share": "1", "bytes": "B", "parameters": "1"},
        assumed=(f"{chip.name}: {chip.memory_bytes / 1e9:,.0f} GB",),
    )
