"""``clusterwright replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.cli.options import write, write_json
from clusterwright.planner import load_plan, replay_plan
from clusterwright.report.text import plan_text


def replay(path: Path, /, *, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Compute a saved plan again and tell whether it is the same; exit code 1 when it is not.

    Parameters
    ----------
    path
        A file that ``plan train --save`` wrote.
    json
        Print the plan as it is computed now, as JSON.
    """
    saved = load_plan(path)
    fresh, same = replay_plan(saved)
    if json:
        write_json(fresh)
    else:
        write(plan_text(fresh))
        version = f"version {saved.version}, catalogue {saved.catalogue[:12]}"
        write("\n" + (f"same bytes as saved ({version})" if same else f"differs from {version}"))
    return 0 if same else 1
