"""``clusterwright replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.cli.answers import Answer
from clusterwright.saving import saved_kind

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
    text, same, fresh, version = (_serving if saved_kind(path) == "serving" else _training)(path)
    end = f"same bytes as saved ({version})" if same else f"differs from {version}"
    return Answer(fresh, lambda: f"{text}\n\n{end}\n", json=json, code=0 if same else DIFFERS)


def _training(path: Path) -> tuple[str, bool, object, str]:
    from clusterwright.planner import load_plan, replay_plan
    from clusterwright.report.text import plan_text

    saved = load_plan(path)
    fresh, same = replay_plan(saved)
    return plan_text(fresh), same, fresh, _version(saved.version, saved.catalogue)


def _serving(path: Path) -> tuple[str, bool, object, str]:
    from clusterwright.planner_serving import load_serving_plan, replay_serving
    from clusterwright.report.serving_text import plan_text

    saved = load_serving_plan(path)
    fresh, same = replay_serving(saved)
    return plan_text(fresh), same, fresh, _version(saved.version, saved.catalogue)


def _version(version: str, catalogue: str) -> str:
    return f"version {version}, catalogue {catalogue[:12]}"
