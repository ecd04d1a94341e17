"""The three layers: ratios to a baseline, and their weighted geometric means.

What is missing on either side has no ratio; its weight goes to the rest, and it is named. Nothing
counts as zero: a job that cannot be done is missing from the mean of jobs, and is counted in
``breadth``, a part of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from clusterwright.catalogue.store import Catalogue
from clusterwright.formulas.scores import weighted_mean_ratio
from clusterwright.hardware import Accelerator
from clusterwright.scorecard.operators import bench_of, domain_of
from clusterwright.scorecard.records import (
    ChipScore,
    Layer,
    OperatorResult,
    Part,
    ScenarioResult,
    Weights,
)

FIGURES = ("peaks.bf16", "memory", "memory_bandwidth", "board_power", "scaleup_bandwidth", "price")
"""Figures of the catalogue whose confidence counts as evidence."""
COLLECTIVE = "all-reduce"


def scored(
    sheet: ChipScore, baseline: ChipScore, weights: Weights, catalogue: Catalogue
) -> ChipScore:
    """A sheet with its ratios to the baseline's and the scores of the three layers."""
    operators = tuple(
        msgspec.structs.replace(own, ratio=ratio_of(own.achieved, other.achieved))
        for own, other in zip(sheet.operators, baseline.operators, strict=True)
    )
    scenarios = tuple(
        msgspec.structs.replace(own, ratio=ratio_of(own.rate, other.rate))
        for own, other in zip(sheet.scenarios, baseline.scenarios, strict=True)
    )
    performance = layer_of({one.id: one.ratio for one in operators}, weights.performance)
    scenario = layer_of({one.id: one.ratio for one in scenarios}, weights.scenarios)
    fresh = msgspec.structs.replace(
        sheet,
        operators=operators,
        scenarios=scenarios,
        performance=performance,
        scenario=scenario,
    )
    parts = tuple(
        PARTS[name](fresh, baseline, weights, catalogue, weight)
        for name, weight in weights.comprehensive.items()
    )
    whole = layer_of({part.id: part.ratio for part in parts}, weights.comprehensive)
    return msgspec.structs.replace(fresh, parts=parts, comprehensive=whole)


def ratio_of(own: float | None, other: float | None) -> float | None:
    """One over the other, where both are known. [1]"""
    return own / other if own and other else None


def layer_of(ratios: Mapping[str, float | None], weights: Mapping[str, float]) -> Layer:
    """The mean of a layer over what has a ratio.

    >>> layer_of({"a": 2.0, "b": None}, {"a": 0.25, "b": 0.75})
    Layer(score=2.0, covered=0.25, missing=('b',))
    """
    known = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    missing = tuple(name for name in ratios if name not in known)
    if not known:
        return Layer(missing=missing)
    weighed = [weights[name] for name in known]
    score = float(weighted_mean_ratio(list(known.values()), weighed))
    total = sum(weights[name] for name in ratios)
    return Layer(score=score, covered=sum(weighed) / total, missing=missing)


def _layer_part(name: str, layer: Layer, weight: float) -> Part:
    covered = "" if layer.covered > 1.0 - 1e-9 else f"over {layer.covered:.0%} of its weight"
    why = "" if layer.score is not None else "none of it is known"
    return Part(id=name, weight=weight, ratio=layer.score, note=covered, why=why)


def _operators(own: ChipScore, _o: ChipScore, _w: Weights, _c: Catalogue, weight: float) -> Part:
    return _layer_part("operators", own.performance, weight)


def _scenarios(own: ChipScore, _o: ChipScore, _w: Weights, _c: Catalogue, weight: float) -> Part:
    return _layer_part("scenarios", own.scenario, weight)


def breadth_of(results: Iterable[ScenarioResult], weights: Weights) -> float | None:
    """Share of the scenarios' weight that is done, of those whose outcome is known. [1]"""
    known = [one for one in results if one.outcome != "unknown"]
    total = sum(weights.scenarios[one.id] for one in known)
    done = sum(weights.scenarios[one.id] for one in known if one.outcome == "done")
    return done / total if total else None


def _breadth(
    own: ChipScore, other: ChipScore, weights: Weights, _c: Catalogue, weight: float
) -> Part:
    mine, theirs = (breadth_of(sheet.scenarios, weights) for sheet in (own, other))
    why = (
        "no job's outcome is known" if mine is None else "" if mine else "none of the jobs is done"
    )
    counts = [sum(one.outcome == what for one in own.scenarios) for what in ("done", "cannot")]
    note = f"{counts[0]} of {len(own.scenarios)} jobs done, {counts[1]} cannot be"
    return Part(id="breadth", weight=weight, ratio=ratio_of(mine, theirs), note=note, why=why)


def _energy(
    own: ChipScore, other: ChipScore, weights: Weights, _c: Catalogue, weight: float
) -> Part:
    ratios = {
        mine.id: ratio_of(mine.per_watt, theirs.per_watt)
        for mine, theirs in zip(own.scenarios, other.scenarios, strict=True)
    }
    found = layer_of(ratios, weights.scenarios)
    why = "" if found.score is not None else _lacking("power", own, other, "per_watt")
    return Part(
        id="energy", weight=weight, ratio=found.score, note="tokens for a joule, board power",
        why=why,
    )  # fmt: skip


def _lacking(what: str, own: ChipScore, other: ChipScore, field: str) -> str:
    """Why nothing can be compared by power or price."""
    for sheet in (own, other):
        done = [one for one in sheet.scenarios if one.outcome == "done"]
        if not done:
            return f"{sheet.id} does none of the jobs, as far as is known"
        if all(getattr(one, field) is None for one in done):
            return f"nobody published the {what} of {sheet.id}"
    return "no job is done by both"


def _cost(own: ChipScore, other: ChipScore, weights: Weights, _c: Catalogue, weight: float) -> Part:
    """By the hour where both have such a price, else by the price of the accelerator."""
    hourly = own.price_hour is not None and other.price_hour is not None
    ratios = {
        mine.id: ratio_of(mine.per_dollar, theirs.per_dollar)
        if hourly
        else ratio_of(mine.per_price, theirs.per_price)
        for mine, theirs in zip(own.scenarios, other.scenarios, strict=True)
    }
    found = layer_of(ratios, weights.scenarios)
    note = "tokens for a dollar of hours" if hourly else "tokens/s for a dollar of its price"
    why = "" if found.score is not None else _lacking("price", own, other, "per_price")
    return Part(id="cost", weight=weight, ratio=found.score, note=note, why=why)


def _chip(sheet: ChipScore, catalogue: Catalogue) -> Accelerator:
    return catalogue.accelerator(sheet.accelerator)


def _memory(
    own: ChipScore, other: ChipScore, _w: Weights, catalogue: Catalogue, weight: float
) -> Part:
    mine, theirs = _chip(own, catalogue), _chip(other, catalogue)
    size = ratio_of(mine.memory_bytes, theirs.memory_bytes)
    rate = ratio_of(mine.memory_bandwidth, theirs.memory_bandwidth)
    if size is None or rate is None:
        missing = "size" if size is None else "bandwidth"
        return Part(id="memory", weight=weight, why=f"nobody published the memory's {missing}")
    ratio = float(weighted_mean_ratio([size, rate], [1.0, 1.0]))
    return Part(id="memory", weight=weight, ratio=ratio, note="size and bandwidth, alike")


def _scale(
    own: ChipScore, other: ChipScore, weights: Weights, catalogue: Catalogue, weight: float
) -> Part:
    """Memory that one fast domain joins, and how fast many add up."""
    collectives = layer_of(
        {
            mine.id: ratio_of(mine.achieved, theirs.achieved)
            for mine, theirs in zip(own.operators, other.operators, strict=True)
            if mine.id.startswith(COLLECTIVE)
        },
        weights.performance,
    )
    joined = ratio_of(*(_domain_memory(sheet, catalogue) for sheet in (own, other)))
    if collectives.score is None or joined is None:
        alone = next((one.why for one in own.operators if one.id.startswith(COLLECTIVE)), "")
        return Part(id="scale", weight=weight, why=alone or "no memory size, or no link, published")
    ratio = float(weighted_mean_ratio([joined, collectives.score], [1.0, 1.0]))
    return Part(id="scale", weight=weight, ratio=ratio, note="memory of a domain, all-reduce")


def _domain_memory(sheet: ChipScore, catalogue: Catalogue) -> float | None:
    chip = _chip(sheet, catalogue)
    if not chip.memory_bytes:
        return None
    return chip.memory_bytes * domain_of(
        bench_of(catalogue.any_cluster(sheet.accelerator, 1), catalogue)
    )


def evidence_of(sheet: ChipScore, weights: Weights, catalogue: Catalogue) -> float:
    """What the sheet rests on: half its operators' basis, half its figures' confidence. [1]

    What is blank is worth nothing: here, and only here, a blank is itself the finding.
    """
    worth = weights.evidence
    operators = {one.id: _worth_of(one, worth) for one in sheet.operators}
    total = sum(weights.performance[name] for name in operators)
    measured = sum(weights.performance[name] * value for name, value in operators.items()) / total
    entry = catalogue.entry("accelerators", sheet.accelerator)
    figures = [entry.figure(name) for name in FIGURES]
    if figures[0] is None:
        figures[0] = entry.figure("peaks.fp16")
    known = sum(worth.get(one.confidence, 0.0) for one in figures if one is not None) / len(figures)
    return 0.5 * (measured + known)


def _worth_of(result: OperatorResult, worth: Mapping[str, float]) -> float:
    return worth[result.basis] if result.basis else 0.0


def _evidence(
    own: ChipScore, other: ChipScore, weights: Weights, catalogue: Catalogue, weight: float
) -> Part:
    mine, theirs = (evidence_of(sheet, weights, catalogue) for sheet in (own, other))
    bases = [sum(one.basis == what for one in own.operators) for what in ("measured", "anchored")]
    note = f"{bases[0]} of {len(own.operators)} operators measured"
    note += f", {bases[1]} anchored" if bases[1] else ""
    return Part(id="evidence", weight=weight, ratio=ratio_of(mine, theirs), note=note)


PARTS = {
    "operators": _operators,
    "scenarios": _scenarios,
    "breadth": _breadth,
    "energy": _energy,
    "cost": _cost,
    "memory": _memory,
    "scale": _scale,
    "evidence": _evidence,
}
