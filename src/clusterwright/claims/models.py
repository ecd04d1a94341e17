"""The models that claims may name: each turns what is given into named results.

A model is a function from `Given` to an `Answer`. Inputs that are ranges are drawn, so that its
results are arrays; they are of the project's own formulas and verbs, never figures of a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clusterwright.claims.arithmetic import evaluate
from clusterwright.claims.given import Given
from clusterwright.errors import InputError
from clusterwright.hardware import peak_rate
from clusterwright.records import Record
from clusterwright.uncertain import Input, draw

Floats = Any
ClaimModel = Callable[[Given], "Answer"]


class Answer(Record, frozen=True, kw_only=True):
    """Results by name, numbers or draws in SI; the first is the one meant unless a claim says."""

    results: dict[str, Any]
    assumed: tuple[str, ...] = ()


def _drawn(inputs: Mapping[str, Input]) -> dict[str, Floats]:
    return draw(inputs)


def arithmetic(given: Given) -> Answer:
    """A formula of quantities and of the catalogue's figures: ``formula = "new / old - 1"``."""
    formula = given.text("formula")
    inputs = {name: given.any_quantity(name) for name in given.rest()}
    value = evaluate(formula, _drawn(inputs))
    assumed = tuple(one.why for name, one in inputs.items() if one.why != name)
    return Answer(results={"value": value}, assumed=(formula, *assumed))


def training_time(given: Given) -> Answer:
    """Days of a run: compute over (accelerators, peak rate, MFU, goodput).

    Results: ``time`` [s]; ``mfu`` [1] that a given ``time`` implies.
    """
    chip = given.catalogue.accelerator(given.text("accelerator"))
    precision = given.text("precision", "bf16")
    inputs = {
        "compute": given.quantity("compute", "FLOP"),
        "count": given.quantity("accelerators", "1"),
        "mfu": given.quantity("mfu", "1", "100%"),
        "goodput": given.quantity("goodput", "1", "100%"),
    }
    if given.has("time"):
        inputs["time"] = given.quantity("time", "s")
    x = _drawn(inputs)
    rate = x["count"] * peak_rate(chip, precision)
    results = {"time": x["compute"] / (rate * x["mfu"] * x["goodput"])}
    if "time" in x:
        results["mfu"] = x["compute"] / (rate * x["time"] * x["goodput"])
    said = f"{chip.name} at {peak_rate(chip, precision) / 1e12:,.0f} TFLOP/s ({precision}, dense)"
    return Answer(results=results, assumed=(said,))


def clusters_known(given: Given) -> Answer:
    """How many owners of a list have a cluster of so many accelerators in the catalogue.

    Results: ``owners``, ``clusters`` [1]; ``rank`` of a cluster by its count. [1]
    """
    least = given.quantity("accelerators", "1").value
    named = [one.strip().lower() for one in given.text("owners", "").split(",") if one.strip()]
    until = given.text("until", "9999")
    found = [
        (entry.value("count") or 0.0, entry)
        for entry in given.catalogue.entries("clusters").values()
        if (entry.value("count") or 0.0) >= least and entry.text("date")[:7] <= until
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
    shown = [f"{e.name}: {count:,.0f} ({e.text('date') or 'no date'})" for count, e in found[:8]]
    return Answer(results=results, assumed=tuple(shown))


def model_size(given: Given) -> Answer:
    """Share of a cluster's memory that a model's weights and training state take. [1]"""
    chip = given.catalogue.accelerator(given.text("accelerator"))
    if chip.memory_bytes is None:
        raise InputError(f"nobody published the memory of {chip.id}")
    x = _drawn(
        {
            "parameters": given.quantity("parameters", "1"),
            "per": given.quantity("bytes_per_parameter", "B"),
            "count": given.quantity("accelerators", "1"),
        }
    )
    total = x["parameters"] * x["per"]
    results = {"share": total / (x["count"] * chip.memory_bytes), "bytes": total}
    return Answer(results=results, assumed=(f"{chip.name}: {chip.memory_bytes / 1e9:,.0f} GB",))


MODELS: dict[str, ClaimModel] = {
    "arithmetic": arithmetic,
    "training-time": training_time,
    "clusters-known": clusters_known,
    "model-size": model_size,
}
"""Models by the name that a claim gives."""
