"""A training run across the growth of its cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clusterwright.buildout.plan import Training, TrainingPlan
from clusterwright.errors import InputError

Floats = Any
MOST_STEPS = 100_000


def train_across(
    training: Training, online: Callable[[Floats], Floats], all_up: float, whole: float
) -> TrainingPlan:
    """When a run ends that grows with its cluster, one that waits, and one that stays small.

    Between checkpoints the number of accelerators stays as it is.

    Leaves out: what a restart costs, what large runs deliver less of each accelerator, and batches
    that grow with the fleet.

    Parameters
    ----------
    training
        The run.
    online
        Accelerators online at each of some times [s].
    all_up
        When all are online that did not fail in their burn-in; a run that waits begins then. [s]
    whole
        When those that failed are replaced. [s]

    Raises
    ------
    InputError
        Checkpoints beyond number.
    """
    sound = float(online(np.array([all_up]))[0])
    begin = _reaches(online, training.first, whole)
    steps = max(0.0, whole - begin) / training.every
    if steps > MOST_STEPS:
        raise InputError(f"--grow-every asks for {steps:,.0f} checkpoints: let them be rarer")
    times = begin + training.every * np.arange(int(np.ceil(steps)) + 1)
    counts = np.maximum(online(times), training.first)
    done = np.concatenate([[0.0], np.cumsum(counts[:-1] * training.rate * training.every)])
    last = int(np.searchsorted(done, training.work, side="right")) - 1
    rest = training.work - done[last]
    return TrainingPlan(
        begin=begin,
        end=float(times[last] + rest / (counts[last] * training.rate)),
        waiting=all_up + training.work / (sound * training.rate),
        small=begin + training.work / (training.first * training.rate),
    )


def _reaches(online: Callable[[Floats], Floats], count: float, end: float) -> float:
    """The first time at which so many are online. [s]"""
    low, high = 0.0, end
    for _ in range(60):
        middle = 0.5 * (low + high)
        if float(online(np.array([middle]))[0]) >= count:
            high = middle
        else:
            low = middle
    return high
