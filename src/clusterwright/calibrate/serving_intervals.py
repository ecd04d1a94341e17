"""Set the 80 % intervals of serving from runs that factors were not fitted on.

A second tenth of the published runs is used. In each group (sort of metric; with the engine; with
the generation of chips as well) the interval is the 10 % to 90 % quantile of the logarithm of
measured over predicted, each source weighing the same, as in the mean error over sources. A group
also has the rows of the one that it is a part of, which together weigh as much as `BORROWED` of
its own: few rows move it a little, many set it.

References
----------
.. [1] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World," 2005, section 4.5
   (Mondrian conformal predictors).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from clusterwright.calibrate.intervals import LEVEL, Pairs, bounds_of, effective, weighed
from clusterwright.errors import ClusterwrightError
from clusterwright.records import Record
from clusterwright.serving.intervals import BORROWED, ServingInterval, Sort
from clusterwright.validation.serving.predicting import Predictor
from clusterwright.validation.serving.questions import ServeLookup, question_of
from clusterwright.validation.serving.rows import ServeRun
from clusterwright.validation.serving.scoring import sort_of_metric
from clusterwright.validation.serving.tenths import INTERVALS, fitted_keys, run_key

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
    """Intervals of every group, from general to special."""
    found = []
    pooled: dict[tuple[str, ...], Pairs] = {}
    for level in LEVELS:
        groups: dict[tuple[str, ...], list[ServeResidual]] = {}
        for one in residuals:
            key = (one.sort, *(getattr(one, name) for name in level))
            groups.setdefault(key, []).append(one)
        for key, members in sorted(groups.items()):
            pairs = weighed([(one.source, one.log_ratio) for one in members], power=1.0)
            pooled[key] = _scaled(pairs, effective(pairs))
            if level:
                pooled[key] += _scaled(pooled[key[:-1]], BORROWED)
            found.append(_interval(members, bounds_of(pooled[key], LEVEL), level))
    return found


def _scaled(pairs: Pairs, total: float) -> Pairs:
    """Pairs of value and weight, with so much weight in all."""
    weight = sum(w for _, w in pairs)
    return [(value, w * total / weight) for value, w in pairs]


def _interval(
    members: Sequence[ServeResidual], bounds: tuple[float, float], level: tuple[str, ...]
) -> ServingInterval:
    place: dict[str, Any] = {name: getattr(members[0], name) for name in level}
    return ServingInterval(
        sort=members[0].sort,
        low=round(bounds[0], 3),
        high=round(bounds[1], 3),
        rows=len(members),
        sources=len({one.source for one in members}),
        **place,
    )
