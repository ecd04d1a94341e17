"""Set the 80 % intervals of serving from runs that factors were not fitted on.

A second tenth of the published runs is used. In each group (sort of metric; with the engine; with
the generation of chips as well) the interval is the 10 % to 90 % quantile of the logarithm of
measured over predicted, a row weighing the less, the more rows its source has in the group.

References
----------
.. [1] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World," 2005, section 4.5
   (Mondrian conformal predictors).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from clusterwright.calibrate.intervals import LEVEL, quantiles_of
from clusterwright.errors import ClusterwrightError
from clusterwright.records import Record
from clusterwright.serving.intervals import ServingInterval, Sort
from clusterwright.validation.serving.predicting import Predictor
from clusterwright.validation.serving.questions import ServeLookup, question_of
from clusterwright.validation.serving.rows import ServeRun
from clusterwright.validation.serving.scoring import sort_of_metric
from clusterwright.validation.serving.tenths import INTERVALS, fitted_keys, run_key

LEAST_ROWS = 20
"""Rows that a group of its own needs. [1]"""
LEVELS: tuple[tuple[str, ...], ...] = ((), ("engine",), ("engine", "profile"))


class ServeResidual(Record, frozen=True, kw_only=True):
    """One row: logarithm of measured over predicted, and what it may depend on."""

    source: str
    sort: Sort
    engine: str
    profile: str
    log_ratio: float


def serving_residuals(runs: Iterable[ServeRun], known: ServeLookup) -> list[ServeResidual]:
    """Predict the second tenth of the runs; rows that cannot be predicted are left out."""
    every = list(runs)
    chosen = fitted_keys(every, part=INTERVALS)
    predictor = Predictor(known)
    found = []
    for run in every:
        if not run.config_complete or run_key(run) not in chosen:
            continue
        try:
            question = question_of(run, known)
            predicted = predictor.predict(run, question)
        except ClusterwrightError:
            continue
        found.append(
            ServeResidual(
                source=run.source,
                sort=sort_of_metric(run.measured_metric, question.model),
                engine=question.engine.id,
                profile=question.cluster.accelerator.profile,
                log_ratio=float(np.log(run.measured_value / predicted)),
            )
        )
    return found


def fit_serving_intervals(residuals: Sequence[ServeResidual]) -> list[ServingInterval]:
    """Intervals of every group with rows enough, from general to special."""
    found = []
    for level in LEVELS:
        groups: dict[tuple[str, ...], list[ServeResidual]] = {}
        for one in residuals:
            key = (one.sort, *(getattr(one, name) for name in level))
            groups.setdefault(key, []).append(one)
        for key, members in sorted(groups.items()):
            if level and len(members) < LEAST_ROWS:
                continue
            low, high = quantiles_of([(one.source, one.log_ratio) for one in members], LEVEL)
            place: dict[str, Any] = dict(zip(level, key[1:], strict=True))
            found.append(
                ServingInterval(
                    sort=members[0].sort,
                    low=round(low, 3),
                    high=round(high, 3),
                    rows=len(members),
                    sources=len({one.source for one in members}),
                    **place,
                )
            )
    return found
