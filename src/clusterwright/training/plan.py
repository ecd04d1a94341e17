"""A plan: the question, the answer, the runners-up, and why the rest lost."""

from __future__ import annotations

from typing import Any, Literal

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.hardware import Cluster
from clusterwright.model.records import Model
from clusterwright.records import Record, Shown
from clusterwright.site.run import RunAccount, RunSite
from clusterwright.software import Software
from clusterwright.strategy import Strategy
from clusterwright.training.estimate import TrainingEstimate
from clusterwright.training.intervals import Intervals
from clusterwright.training.settings import Settings
from clusterwright.workload import TrainingWorkload

Objective = Literal["time", "cost", "memory"]


class TrainingQuestion(Record, frozen=True, kw_only=True):
    """All that an answer depends on; the same question gives the same bytes.

    ``pins``: choices fixed in advance, named as the fields of `Strategy`. ``intervals``: how
    measured runs came out against their predictions. ``site``: what failures, power, carbon and
    prices of the machine an account rests on; None: none is asked for. ``config``: the
    ``config.json`` that the model was read from, which launching needs (empty: made by hand).
    """

    model: Model
    cluster: Cluster
    workload: TrainingWorkload
    software: Software
    profile: EfficiencyProfile
    settings: Settings
    intervals: Intervals
    objective: Objective = "time"
    pins: dict[str, int | str | bool] = {}
    assumed: tuple[str, ...] = ()
    site: RunSite | None = None
    config: dict[str, Any] = {}


class Alternative(Record, frozen=True, kw_only=True):
    """A strategy that fits but lost, with the terms that cost it most against the best. [s]"""

    estimate: TrainingEstimate
    slower_by: float
    because: tuple[tuple[str, float], ...]


class FrontPoint(Record, frozen=True, kw_only=True):
    """A strategy that no other beats in time, memory headroom and accelerators together."""

    strategy: Strategy
    step_time: float
    memory_bytes: float
    accelerators: int


class Sweep(Record, frozen=True, kw_only=True):
    """The best step time for each value of one axis, all other axes free. [s]"""

    axis: str
    values: tuple[int, ...]
    step_times: tuple[float | None, ...]


class RunTotals(Record, frozen=True, kw_only=True):
    """The whole run at the best strategy, failures and restarts left out: those are in an account.

    ``steps``; ``duration`` [s] with its 80 % interval; ``accelerator_hours``; ``training_flops``.
    """

    tokens: float
    steps: float
    duration: float
    duration_interval: tuple[float, float]
    accelerator_hours: float
    training_flops: float


class TrainingPlan(Shown, frozen=True, kw_only=True):
    """The answer to a `TrainingQuestion`."""

    version: str
    catalogue: str
    question: TrainingQuestion
    best: TrainingEstimate
    totals: RunTotals | None
    alternatives: tuple[Alternative, ...]
    front: tuple[FrontPoint, ...]
    sweeps: tuple[Sweep, ...]
    evaluated: int
    rejected: dict[str, int]
    account: RunAccount | None = None
