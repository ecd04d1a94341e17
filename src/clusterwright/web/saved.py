"""Answers about what lies in the folder that is served."""

from __future__ import annotations

import shlex
from pathlib import Path

from clusterwright.cli.answers import Answer
from clusterwright.errors import InputError
from clusterwright.launch.api import launch_plan
from clusterwright.launch.records import Options
from clusterwright.report.launch_text import launch_text
from clusterwright.report.serving_text import plan_text as serving_text
from clusterwright.report.sweep_text import left_text, summary_text
from clusterwright.report.text import plan_text as training_text
from clusterwright.saved_plans import Plan, load_any_plan
from clusterwright.sweep.answered import Answered, is_running, read_answers
from clusterwright.sweep.summing import Summary, summed
from clusterwright.training.plan import TrainingPlan
from clusterwright.web.folder import BROKEN, listed
from clusterwright.web.page import Asked

MOST_ROWS = 1_000_000
"""Of a study that a page sums up."""
MOST_PLACES = 200
"""Of its grid that are shown."""


def listing(asked: Asked) -> Answer:  # noqa: ARG001 - as all sources are called
    """What there is."""
    found = listed(Path())
    return Answer(found, lambda: "")


def plan(asked: Asked) -> Answer:
    """A plan as it was saved."""
    path = _named(asked, "plan")
    made = load_any_plan(path)
    return Answer(made, lambda: _plan_text(made), seen={"path": str(path)})


def _plan_text(made: Plan) -> str:
    return training_text(made) if isinstance(made, TrainingPlan) else serving_text(made)


def study(asked: Asked) -> Answer:
    """A study, as far as it is."""
    path = _named(asked, "study")
    try:
        with read_answers(path) as store:
            found, places = _summed(store, path)
            stamp, asks = store.stamp(), store.study
    except BROKEN as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{str(path)!r} is no file of a sweep's answers ({error})") from None
    return Answer(
        found,
        lambda: summary_text(found, asks) + left_text(found, path),
        seen={
            "study": asks,
            "places": places,
            "running": is_running(path),
            "stamp": stamp,
            "path": str(path),
        },
    )


def _summed(store: Answered, path: Path) -> tuple[Summary, Summary]:
    """What the command says of a study, and the same with more places of its grid."""
    if store.table.count > MOST_ROWS:
        raise InputError(
            f"{str(path)!r} has {store.table.count:,} questions, but a page sums up "
            f"{MOST_ROWS:,} at most: `clusterwright sweep` prints the summary"
        )
    return summed(store), summed(store, most_best=MOST_PLACES)


def launch(asked: Asked) -> Answer:
    """The files that start a plan, of which none is written."""
    path = _named(asked, "plan")
    options = Options(
        per_host=_whole(asked, "per-host"),
        mounts=tuple(shlex.split(asked.said.get("mount", ""))),
        **{name: asked.said.get(name, "") for name in PLAIN},
    )
    tool, place = asked.said.get("to", ""), asked.said.get("on") or "torchrun"
    made = launch_plan(load_any_plan(path), to=tool, on=place, options=options)
    folder = f"{path.stem}-{tool}"
    return Answer(
        made,
        lambda: launch_text(made, Path(folder)),
        seen={"folder": folder, "path": str(path)},
    )


PLAIN = ("name", "image", "partition", "account", "time", "namespace")
"""Options of a launch that are taken as they are written."""


def _whole(asked: Asked, name: str) -> int:
    written = asked.said.get(name, "0")
    if not (written.isascii() and written.isdigit() and len(written) < 7):
        raise InputError(f"--{name} is {written!r}, but must be a whole number, such as 8")
    return int(written)


def _named(asked: Asked, field: str) -> Path:
    """The file that a field names."""
    if not asked.said.get(field):
        raise InputError(f"{field} is missing: name one of the folder that is served")
    path = Path(asked.said[field].strip())
    if not path.is_file():
        raise InputError(f"{field} is {str(path)!r}, but there is no such file in the folder")
    return path
