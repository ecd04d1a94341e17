"""Files that a person may keep of an answer, made in memory."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

from clusterwright.cli.answers import Answer
from clusterwright.launch.records import Launch
from clusterwright.records import Record
from clusterwright.report.paper.api import report_plan
from clusterwright.saved_plans import Plan
from clusterwright.saving import encode_plan
from clusterwright.serving.plan import ServingPlan
from clusterwright.training.plan import TrainingPlan

HTML, JSON = "text/html; charset=utf-8", "application/json"
PDF, ZIP = "application/pdf", "application/zip"
MOST_LETTERS = 80
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""When files of an archive were made: the same launch gives the same bytes."""
PLAIN, RUNS = 0o100644, 0o100755


class Kept(Record, frozen=True, kw_only=True):
    """A file to keep, and of which media type it is."""

    name: str
    media: str
    body: bytes


def plan_file(found: Answer) -> Kept | None:
    """The file that ``--save`` writes; None: the answer is no plan."""
    plan = found.value
    if not isinstance(plan, TrainingPlan | ServingPlan):
        return None
    return Kept(name=f"{_called(plan)}.json", media=JSON, body=encode_plan(plan))


def report_file(found: Answer) -> Kept | None:
    """The report as one file of HTML; None: the answer is no plan."""
    return _report(found, "html", HTML)


def report_pages(found: Answer) -> Kept | None:
    """The report as pages; None: the answer is no plan."""
    return _report(found, "pdf", PDF)


def _report(found: Answer, to: str, media: str) -> Kept | None:
    plan = found.value
    if not isinstance(plan, TrainingPlan | ServingPlan):
        return None
    file = found.seen.get("path")
    body = report_plan(plan, to, file=None if file is None else Path(str(file)))
    return Kept(name=f"{_called(plan)}.{to}", media=media, body=body)


def _called(plan: Plan) -> str:
    cluster = plan.question.cluster
    count = cluster.count if isinstance(plan, TrainingPlan) else plan.best.accelerators
    return plain_name(f"{plan.question.model.name}-on-{count}x{cluster.accelerator.id}")


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
    return Kept(name=f"{folder}.zip", media=ZIP, body=packed.getvalue())


def plain_name(text: str) -> str:
    """A name that every file system takes.

    >>> plain_name("Llama 3/../x"), plain_name("...")
    ('Llama-3-x', 'plan')
    """
    found = re.sub(r"[^A-Za-z0-9.]+", "-", text)
    return re.sub(r"[-.]*-[-.]*", "-", found)[:MOST_LETTERS].strip("-.") or "plan"
