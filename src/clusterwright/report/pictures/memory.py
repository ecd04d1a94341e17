"""Memory of the pipeline's stages: what each is filled with, against what there is."""

from __future__ import annotations

from typing import Final

from clusterwright.report.pictures.layers import tooltip
from clusterwright.report.pictures.scales import Unit, unit_for
from clusterwright.report.pictures.theme import Row, Spec, picture, style
from clusterwright.training.estimate import ACTIVATIONS, TrainingEstimate

PARTS: Final[dict[str, tuple[str, ...]]] = {
    "weights": ("weights", "adapters", "gathered"),
    "gradients": ("gradients",),
    "optimizer": ("optimizer",),
    "activations": (*ACTIVATIONS, "recompute"),
    "logits": ("logits",),
    "communication": ("communication",),
    "reserve": ("reserve",),
}
"""What is drawn as one, from the bottom up; a part with another name is drawn by that name."""
LEAST: Final = 2**20
"""Parts that are smaller on every stage are left out. [B]"""
FEW: Final = 4
"""So many stages lie side by side as bars with their names written; more stand upright."""


def memory(estimate: TrainingEstimate) -> Spec:
    """Draw what fills each stage that the estimate has, and the limit of an accelerator.

    Parameters
    ----------
    estimate
        A training estimate, of one stage or of many.
    """
    limit = estimate.memory_limit
    unit = unit_for([limit, *(stage.total for stage in estimate.stages)], "B")
    values = _rows(estimate, unit)
    kinds = [kind for kind in _kinds(estimate) if any(row["part"] == kind for row in values)]
    few = len(estimate.stages) <= FEW
    return picture(
        values,
        height={"step": 34} if few else 260,
        description=_sentence(estimate, unit),
        layer=[_bars(kinds, estimate, unit, few=few), *_limit(unit.of(limit), unit, few=few)],
    )


def _kinds(estimate: TrainingEstimate) -> list[str]:
    known = {name for names in PARTS.values() for name in names}
    return [*PARTS, *(name for name in estimate.stages[0].parts if name not in known)]


def _rows(estimate: TrainingEstimate, unit: Unit) -> list[Row]:
    """One row for each stage and part."""
    kinds = _kinds(estimate)
    sums = [
        [sum(stage.parts.get(name, 0.0) for name in PARTS.get(kind, (kind,))) for kind in kinds]
        for stage in estimate.stages
    ]
    return [
        {
            "stage": stage.rank,
            "part": kind,
            "order": order,
            "size": unit.of(stages[order]),
            "words": _in(unit, stages[order]),
            "total": f"{_in(unit, stage.total)} of {_in(unit, estimate.memory_limit)}",
        }
        for stage, stages in zip(estimate.stages, sums, strict=True)
        for order, kind in enumerate(kinds)
        if max(one[order] for one in sums) >= LEAST
    ]


def _in(unit: Unit, value: float) -> str:
    return f"{unit.of(value):.1f} {unit.name}"


def _bars(kinds: list[str], estimate: TrainingEstimate, unit: Unit, *, few: bool) -> Row:
    """Lie down where there are few stages, so that one is no tower; stand where there are many."""
    titles = {"stage": "stage", "part": "part", "words": "memory", "total": "in all"}
    most = max(estimate.memory_limit, *(stage.total for stage in estimate.stages))
    size = {
        "field": "size",
        "type": "quantitative",
        "stack": True,
        "title": unit.titled("memory of an accelerator"),
        "scale": {"domainMax": unit.of(most) * 1.04, "nice": False},
    }
    stage = _stages(len(estimate.stages), few=few)
    return {
        "mark": {"type": "bar", "cornerRadius": 0},
        "encoding": {
            **({"y": stage, "x": size} if few else {"x": stage, "y": size}),
            "color": {
                "field": "part",
                "type": "nominal",
                "scale": {"domain": sorted(_kinds(estimate), key=_calmness)},
                "legend": {
                    "values": kinds,
                    **({"offset": 14} if len(estimate.stages) == 1 else {}),
                },
            },
            "order": {"field": "order"},
            "tooltip": tooltip(titles),
        },
    }


def _calmness(kind: str) -> int:
    """The palette's first colours go to what fills the most."""
    calm = ("activations", "gradients", "optimizer", "logits", "weights")
    return calm.index(kind) if kind in calm else len(calm)


def _stages(count: int, *, few: bool) -> Row:
    """The axis of the stages; a gap between bars only where they stay wide enough on a phone."""
    gap = 0.0 if count > 24 else 0.12
    alone = {"labels": False} if count == 1 else {}
    return {
        "field": "stage",
        "type": "ordinal",
        "title": None if count == 1 else "stage" if few else "pipeline stage",
        "axis": {"labelAngle": 0, "labelOverlap": True, **alone},
        "scale": {"paddingInner": gap, "paddingOuter": gap / 2},
    }


def _limit(limit: float, unit: Unit, *, few: bool) -> list[Row]:
    """The line that no bar may pass, with its figure."""
    axis, words = (
        ("x", {"align": "right", "dx": -4, "baseline": "bottom"})
        if few
        else ("y", {"align": "right", "baseline": "bottom", "dy": -3})
    )
    at = {axis: {"datum": limit}}
    edge = {"y": {"value": -2}} if few else {"x": {"value": "width"}}
    return [
        {"data": {"values": [{}]}, "mark": style("limit", "rule", tooltip=False), "encoding": at},
        {
            "data": {"values": [{"text": f"limit {limit:.1f} {unit.name}"}]},
            "mark": style("bad", "text", **words),
            "encoding": {**at, **edge, "text": {"field": "text"}},
        },
    ]


def _sentence(estimate: TrainingEstimate, unit: Unit) -> str:
    """Say what is seen."""
    fullest = max(estimate.stages, key=lambda stage: stage.total)
    fits = "which fits" if fullest.total <= estimate.memory_limit else "which does not fit"
    drawn = {
        kind: sum(fullest.parts.get(name, 0.0) for name in PARTS.get(kind, (kind,)))
        for kind in _kinds(estimate)
    }
    most = max(drawn, key=lambda kind: drawn[kind])
    count = estimate.strategy.pp
    where = (
        f"The fullest of {count} pipeline stages, stage {fullest.rank},"
        if count > 1
        else ("Each accelerator")
    )
    return (
        f"{where} holds {_in(unit, fullest.total)} of {_in(unit, estimate.memory_limit)}, {fits}; "
        f"the largest part of it is {most} with {_in(unit, drawn[most])}."
    )
