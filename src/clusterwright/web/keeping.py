"""Files that a person may keep of an answer, made in memory."""

from __future__ import annotations

import io
import re
import zipfile

from clusterwright.cli.answers import Answer
from clusterwright.launch.records import Launch
from clusterwright.records import Record
from clusterwright.saving import encode_plan
from clusterwright.serving.plan import ServingPlan
from clusterwright.training.plan import TrainingPlan

MOST_LETTERS = 80
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""When files of an archive were made: the same launch gives the same bytes."""
PLAIN, RUNS = 0o100644, 0o100755


class Kept(Record, frozen=True, kw_only=True):
    """A file to keep."""

    name: str
    body: bytes


def plan_file(found: Answer) -> Kept | None:
    """The file that ``--save`` writes; None: the answer is no plan."""
    plan = found.value
    if not isinstance(plan, TrainingPlan | ServingPlan):
        return None
    cluster = plan.question.cluster
    count = cluster.count if isinstance(plan, TrainingPlan) else plan.best.accelerators
    called = f"{plan.question.model.name}-on-{count}x{cluster.accelerator.id}"
    return Kept(name=f"{plain_name(called)}.json", body=encode_plan(plan))


def launch_archive(found: Answer) -> Kept | None:
    """The files of a launch in one folder; None: the answer is no launch."""
    made = found.value
    if not isinstance(made, Launch):
        return None
    folder = plain_name(str(found.seen.get("folder", made.tool)))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in made.files:
            entry = zipfile.ZipInfo(f"{folder}/{file.path}", LONG_AGO)
            entry.create_system = 3  # Unix, which the permissions below are of
            entry.external_attr = (RUNS if file.executable else PLAIN) << 16
            archive.writestr(entry, file.text, zipfile.ZIP_DEFLATED)
    return Kept(name=f"{folder}.zip", body=packed.getvalue())


def plain_name(text: str) -> str:
    """A name that every file system takes.

    >>> plain_name("Llama 3/../x"), plain_name("...")
    ('Llama-3-x', 'plan')
    """
    found = re.sub(r"[^A-Za-z0-9.]+", "-", text)
    return re.sub(r"[-.]*-[-.]*", "-", found)[:MOST_LETTERS].strip("-.") or "plan"
