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
    Bought,
    ChipScore,
    Layer,
    OperatorResult,
    Part,
    ScenarioResult,
    Weights,
)
from clusterwright.units import format_quantity

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
    """Tokens for a joule at board power."""
    return _compared("energy", "per_watt", (own, other), weights, weight)


def _cost(own: ChipScore, other: ChipScore, weights: Weights, _c: Catalogue, weight: float) -> Part:
    """Tokens for a dollar: of hours where both have such a price, else of what one costs."""
    if own.price_hour is not None and other.price_hour is not None:
        return _compared("cost", "per_dollar", (own, other), weights, weight)
    theirs = {one.basis: one for one in other.prices}
    pair = next(((one, theirs[one.basis]) for one in own.prices if one.basis in theirs), None)
    if pair is None:
        lacking = next((sheet.id for sheet in (own, other) if not sheet.prices), "")
        why = f"nobody published the price of {lacking}" if lacking else "no prices of one sort"
        return Part(id="cost", weight=weight, why=f"{why}: give --price for both")
    if own.scenario.score is None:
        return Part(id="cost", weight=weight, why="no job is done by both")
    mine, base = pair
    words = f"{_dollars(mine)} against {_dollars(base)}, {mine.basis}"
    # The mean is geometric: one price divides each of its ratios, and so itself.
    ratio = own.scenario.score * base.value / mine.value
    return Part(id="cost", weight=weight, ratio=ratio, note=f"tokens/s for a dollar: {words}")


def _dollars(price: Bought) -> str:
    year = f" ({price.year})" if price.year else ""
    return f"{format_quantity(price.value, 'USD')}{year}"


NOTES = {
    "per_watt": "tokens for a joule, board power",
    "per_dollar": "tokens for a dollar of hours",
}


def _compared(
    name: str, field: str, sheets: tuple[ChipScore, ChipScore], weights: Weights, weight: float
) -> Part:
    """A part that is the mean over jobs of what each gives for a joule, or a dollar."""
    own, other = sheets
    ratios = {
        mine.id: ratio_of(getattr(mine, field), getattr(theirs, field))
        for mine, theirs in zip(own.scenarios, other.scenarios, strict=True)
    }
    found = layer_of(ratios, weights.scenarios)
    why = "" if found.score is not None else _lacking(sheets, field)
    return Part(id=name, weight=weight, ratio=found.score, note=NOTES[field], why=why)


def _lacking(sheets: tuple[ChipScore, ChipScore], field: str) -> str:
    """Why two sheets cannot be compared by what they give for a joule, or a dollar."""
    for sheet in sheets:
        done = [one for one in sheet.scenarios if one.outcome == "done"]
        if not done:
            return f"{sheet.id} does none of the jobs, as far as is known"
        if all(getattr(one, field) is None for one in done):
            return f"nobody published the power of {sheet.id}"
    return "no job is done by both"


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
