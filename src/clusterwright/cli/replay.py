"""``clusterwright replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.cli.answers import Answer
from clusterwright.report import serving_text, text
from clusterwright.saved_plans import Plan, load_any_plan, replay_any
from clusterwright.serving.plan import ServingPlan

DIFFERS = 1


def replay(path: Path, /, *, json: Annotated[bool, Parameter(negative=())] = False) -> Answer:
    """Compute a saved plan again and tell whether it is the same; exit code 1 when it is not.

    Parameters
    ----------
    path
        A file that ``plan train --save`` or ``plan serve --save`` wrote.
    json
        Print the plan as it is computed now, as JSON.
    """
    saved = load_any_plan(path)
    fresh, same = replay_any(saved)
    version = f"version {saved.version}, catalogue {saved.catalogue[:12]}"
    end = f"same bytes as saved ({version})" if same else f"differs from {version}"
    words = _words(fresh).rstrip("\n")
    return Answer(fresh, lambda: f"{words}\n\n{end}\n", json=json, code=0 if same else DIFFERS)


def _words(plan: Plan) -> str:
    if isinstance(plan, ServingPlan):
        return serving_text.plan_text(plan)
    return text.plan_text(plan)
