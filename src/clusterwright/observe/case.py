"""All that is known of a training run when its causes are looked for."""

from __future__ import annotations

import math

from clusterwright.observe.against_training import Split, planned_split
from clusterwright.observe.as_run import AsRun
from clusterwright.observe.records import TraceSummary, TrainingRun
from clusterwright.observe.steady import Pace, warms_up
from clusterwright.records import Record
from clusterwright.training.plan import TrainingPlan


class TrainingCase(Record, frozen=True, kw_only=True):
    """A run, with what is expected of it if there is a plan."""

    run: TrainingRun | None
    pace: Pace | None
    split: Split | None
    traces: tuple[TraceSummary, ...] = ()
    plan: TrainingPlan | None = None
    target: AsRun | None = None

    @property
    def step(self) -> float:
        """Measured seconds of a steady step; nan: not known, or of the first step alone. [s]"""
        if self.pace and self.run and warms_up(self.run, self.pace):
            return math.nan
        if self.pace and math.isfinite(self.pace.median):
            return self.pace.median
        times = [time for trace in self.traces for time in trace.step_times if trace.steps_marked]
        return sorted(times)[len(times) // 2] if times else math.nan

    @property
    def scale(self) -> float:
        """What shares are of: the expected step, or the measured one without a plan. [s]"""
        return self.target.expected.step_time if self.target else self.step

    def planned(self, name: str) -> float:
        """An expected group of terms; 0 without a plan. [s]"""
        if self.target is None or self.split is None:
            return 0.0
        return planned_split(self.target.expected, self.split).get(name, 0.0)

    @property
    def pace_ratio(self) -> float:
        """How much slower passes are than expected: waiting for them grows alike. [1]"""
        if self.target is None or self.split is None or not math.isfinite(self.split.compute_most):
            return 1.0
        return max(1.0, self.split.compute_most / self.planned("compute"))
