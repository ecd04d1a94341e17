"""Saved plans of either kind."""

from __future__ import annotations

from pathlib import Path

from clusterwright.errors import InputError
from clusterwright.planner import load_plan, replay_plan
from clusterwright.planner_serving import load_serving_plan, replay_serving
from clusterwright.saving import is_saved_plan, saved_kind
from clusterwright.serving.plan import ServingPlan
from clusterwright.training.plan import TrainingPlan

Plan = TrainingPlan | ServingPlan


def load_any_plan(path: str | Path) -> Plan:
    """Read a saved plan, for training or for serving.

    Raises
    ------
    InputError
        No such file, no plan of this version, or one that was edited into what cannot be.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder: name a saved plan, such as plan.json")
    if path.is_file() and not is_saved_plan(path):
        raise InputError(
            f"{str(path)!r} is not a saved plan, for training or serving: save one with "
            f"clusterwright plan train or plan serve and --save"
        )
    return load_serving_plan(path) if saved_kind(path) == "serving" else load_plan(path)


def replay_any(saved: Plan) -> tuple[Plan, bool]:
    """Compute a saved plan's question again; tell whether the bytes are the same.

    Raises
    ------
    InputError
        The question was edited, or saved by a version that counted on less.
    """
    return replay_serving(saved) if isinstance(saved, ServingPlan) else replay_plan(saved)
