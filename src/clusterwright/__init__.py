"""clusterwright: design, predict, price and launch AI superclusters.

>>> import clusterwright as cw
>>> cw.__version__.count(".") >= 2
True

Importing the package imports nothing else: each public name is fetched from its module on first
use. A new public name is one line in ``_HOME``, one in ``__all__`` and one in the block that type
checkers read; a test holds the three together.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clusterwright.asking import ask_training
    from clusterwright.asking_account import with_account
    from clusterwright.asking_build import ask_build
    from clusterwright.asking_prices import SiteOptions
    from clusterwright.asking_run import ask_run
    from clusterwright.asking_service import with_service_account
    from clusterwright.asking_serving import ask_serving
    from clusterwright.asking_site import ask_site
    from clusterwright.catalogue.store import Catalogue
    from clusterwright.errors import ClusterwrightError, InfeasibleError, InputError
    from clusterwright.fleet.outlook import look_ahead
    from clusterwright.fleet.records import RunOutlook, RunQuestion
    from clusterwright.hardware import Accelerator, Cluster
    from clusterwright.launch.api import launch_plan
    from clusterwright.launch.folder import write_launch
    from clusterwright.model.config import load_config
    from clusterwright.model.records import Model
    from clusterwright.observe.api import Diagnosis, diagnose
    from clusterwright.planner import (
        estimate_question,
        load_plan,
        plan_training,
        replay_plan,
        simulate_training,
    )
    from clusterwright.planner_build import plan_build
    from clusterwright.planner_limits import plan_within
    from clusterwright.planner_scorecard import score
    from clusterwright.planner_serving import plan_serving
    from clusterwright.report.notebook import notebook_html
    from clusterwright.report.paper.api import report_plan, write_report
    from clusterwright.saved_plans import load_any_plan
    from clusterwright.saving import save_plan
    from clusterwright.scorecard.records import Scorecard
    from clusterwright.serving.plan import ServingPlan
    from clusterwright.simulation.step import TrainingSimulation
    from clusterwright.site.outlook import look_at_site
    from clusterwright.software import Software
    from clusterwright.strategy import Strategy
    from clusterwright.sweep.study import read_study
    from clusterwright.training.api import estimate_training
    from clusterwright.training.estimate import TrainingEstimate
    from clusterwright.training.plan import TrainingPlan, TrainingQuestion
    from clusterwright.validation.api import validate
    from clusterwright.workload import TrainingWorkload

    __version__: str

__all__ = [
    "Accelerator",
    "Catalogue",
    "Cluster",
    "ClusterwrightError",
    "Diagnosis",
    "InfeasibleError",
    "InputError",
    "Model",
    "RunOutlook",
    "RunQuestion",
    "Scorecard",
    "ServingPlan",
    "SiteOptions",
    "Software",
    "Strategy",
    "TrainingEstimate",
    "TrainingPlan",
    "TrainingQuestion",
    "TrainingSimulation",
    "TrainingWorkload",
    "__version__",
    "ask_build",
    "ask_run",
    "ask_serving",
    "ask_site",
    "ask_training",
    "diagnose",
    "estimate_question",
    "estimate_training",
    "launch_plan",
    "load_any_plan",
    "load_config",
    "load_plan",
    "look_ahead",
    "look_at_site",
    "notebook_html",
    "plan_build",
    "plan_serving",
    "plan_training",
    "plan_within",
    "read_study",
    "replay_plan",
    "report_plan",
    "save_plan",
    "score",
    "simulate_training",
    "validate",
    "with_account",
    "with_service_account",
    "write_launch",
    "write_report",
]

_HOME = {
    "Accelerator": "clusterwright.hardware",
    "Catalogue": "clusterwright.catalogue.store",
    "Cluster": "clusterwright.hardware",
    "ClusterwrightError": "clusterwright.errors",
    "Diagnosis": "clusterwright.observe.api",
    "InfeasibleError": "clusterwright.errors",
    "InputError": "clusterwright.errors",
    "Model": "clusterwright.model.records",
    "RunOutlook": "clusterwright.fleet.records",
    "RunQuestion": "clusterwright.fleet.records",
    "Scorecard": "clusterwright.scorecard.records",
    "ServingPlan": "clusterwright.serving.plan",
    "SiteOptions": "clusterwright.asking_prices",
    "Software": "clusterwright.software",
    "Strategy": "clusterwright.strategy",
    "TrainingEstimate": "clusterwright.training.estimate",
    "TrainingPlan": "clusterwright.training.plan",
    "TrainingQuestion": "clusterwright.training.plan",
    "TrainingSimulation": "clusterwright.simulation.step",
    "TrainingWorkload": "clusterwright.workload",
    "ask_build": "clusterwright.asking_build",
    "ask_run": "clusterwright.asking_run",
    "ask_serving": "clusterwright.asking_serving",
    "ask_site": "clusterwright.asking_site",
    "ask_training": "clusterwright.asking",
    "diagnose": "clusterwright.observe.api",
    "estimate_question": "clusterwright.planner",
    "estimate_training": "clusterwright.training.api",
    "launch_plan": "clusterwright.launch.api",
    "load_any_plan": "clusterwright.saved_plans",
    "load_config": "clusterwright.model.config",
    "load_plan": "clusterwright.planner",
    "look_ahead": "clusterwright.fleet.outlook",
    "look_at_site": "clusterwright.site.outlook",
    "notebook_html": "clusterwright.report.notebook",
    "plan_build": "clusterwright.planner_build",
    "plan_serving": "clusterwright.planner_serving",
    "plan_training": "clusterwright.planner",
    "plan_within": "clusterwright.planner_limits",
    "read_study": "clusterwright.sweep.study",
    "replay_plan": "clusterwright.planner",
    "report_plan": "clusterwright.report.paper.api",
    "save_plan": "clusterwright.saving",
    "score": "clusterwright.planner_scorecard",
    "simulate_training": "clusterwright.planner",
    "validate": "clusterwright.validation.api",
    "with_account": "clusterwright.asking_account",
    "with_service_account": "clusterwright.asking_service",
    "write_launch": "clusterwright.launch.folder",
    "write_report": "clusterwright.report.paper.api",
}
"""Public name → the module where it lives."""


def __getattr__(name: str) -> object:
    """Fetch a public name on first use and keep it (PEP 562)."""
    value: object
    if name == "__version__":
        from importlib.metadata import version

        value = version("clusterwright")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg, name=name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, fetched or not."""
    return sorted({*globals(), *__all__})
