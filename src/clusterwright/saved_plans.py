"""Saved plans of either kind."""

from __future__ import annotations

from pathlib import Path

from clusterwright.planner import load_plan
from clusterwright.planner_serving import load_serving_plan
from clusterwright.saving import saved_kind
from clusterwright.serving.plan import ServingPlan
from clusterwright.training.plan import TrainingPlan

Plan = TrainingPlan | ServingPlan


def load_any_plan(path: Path) -> Plan:
    """Read a saved plan, for training or for serving.

    Raises
    ------
    InputError
        No such file, or no plan of this version.
    """
    return load_serving_plan(path) if saved_kind(path) == "serving" else load_plan(path)
