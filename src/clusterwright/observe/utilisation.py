"""Model FLOPs utilization of a run without a plan, as far as its log or its user tells enough."""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from clusterwright.asking import find_cluster
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import ClusterwrightError
from clusterwright.formulas.flops import utilization
from clusterwright.hardware import Accelerator, peak_rate
from clusterwright.model.records import Model
from clusterwright.observe.records import RunSettings, TrainingRun
from clusterwright.observe.steady import Pace
from clusterwright.training.flops import forward_flops_per_token
from clusterwright.validation.lookup import Lookup
from clusterwright.validation.runs import Run
from clusterwright.validation.shapes import SHAPE, shape_of

PASSES = 3.0
"""A forward and a backward pass, in forward passes."""


class Utilisation(NamedTuple):
    """MFU, and in words how it was counted."""

    mfu: float
    how: str


def chip_of(settings: RunSettings, given: str | None, facts: Catalogue) -> Accelerator | None:
    """The accelerator that a user or a log names."""
    found = None if given else Lookup(facts).device_of(settings.accelerator or "?")
    name = given or (found.accelerator if found else "")
    return find_cluster(None, name, 1, facts).accelerator if name else None


def model_of(settings: RunSettings) -> Model | None:
    """The model that a log's shape describes."""
    shape = settings.shape
    if any(name not in shape for name in SHAPE):
        return None
    row = msgspec.structs.replace(
        Run(
            line=0,
            id="log",
            model_name=settings.model or "log",
            accelerator="log",
            measured_metric="step_time_s",
            measured_value=1.0,
        ),
        **shape,
    )
    return shape_of(row, None).model


def utilisation_of(
    run: TrainingRun, pace: Pace, *, model: Model | None, chip: Accelerator | None
) -> Utilisation | None:
    """MFU of the steady steps; None: too little is known."""
    told = run.settings
    tokens = _tokens_a_second(run, pace)
    precision = told.precision or "bf16"
    name = chip.id if chip else ""
    try:
        peak = peak_rate(chip, precision) if chip else None
    except ClusterwrightError:
        peak = None
    if model is not None and peak and told.sequence_length and math.isfinite(tokens):
        each = PASSES * forward_flops_per_token(model, told.sequence_length)
        mfu = float(utilization(each * tokens, 1.0, num_accelerators=1, peak_flops=peak))
        return Utilisation(mfu, f"over the {precision} peak of {name}, attention causal")
    flops = _median([run.flops_rate[row] for row in pace.rows])
    if peak and math.isfinite(flops):
        return Utilisation(flops / peak, f"the tool's FLOPs over the {precision} peak of {name}")
    said = _median([run.mfu[row] for row in pace.rows])
    if math.isfinite(said):
        return Utilisation(said, "as the tool prints it")
    return None


def _tokens_a_second(run: TrainingRun, pace: Pace) -> float:
    """Tokens a second of one accelerator. [1/s]"""
    rate = _median([run.device_rate[row] for row in pace.rows])
    if math.isfinite(rate):
        return rate
    told = run.settings
    if told.global_batch and told.sequence_length and told.world_size and pace.median > 0.0:
        return told.global_batch * told.sequence_length / pace.median / told.world_size
    return math.nan


def _median(values: list[float]) -> float:
    good = sorted(value for value in values if math.isfinite(value))
    return good[len(good) // 2] if good else math.nan
