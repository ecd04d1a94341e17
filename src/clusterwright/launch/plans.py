"""Saved plans of either kind."""

from __future__ import annotations

from pathlib import Path

import msgspec

from clusterwright.planner import load_plan
from clusterwright.planner_serving import load_serving_plan
from clusterwright.serving.plan import ServingPlan
from clusterwright.training.plan import TrainingPlan


def load_any_plan(path: Path) -> TrainingPlan | ServingPlan:
    """Read a saved plan for training or for serving.

    Raises
    ------
    InputError
        No such file, or no plan.
    """
    return load_serving_plan(path) if is_serving(path) else load_plan(path)


def is_serving(path: Path) -> bool:
    """Whether a file looks like a plan for serving, as far as its keys tell."""
    raw = dict[str, msgspec.Raw]
    try:
        keys = msgspec.json.decode(path.read_bytes(), type=raw)
        return "engine" in msgspec.json.decode(keys.get("question", b"{}"), type=raw)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return False
