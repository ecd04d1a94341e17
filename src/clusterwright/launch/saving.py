"""How often a job writes checkpoints, and how many it keeps."""

from __future__ import annotations

import math

import msgspec

from clusterwright.fleet.goodput import checkpoints, failure_rate
from clusterwright.formulas.checkpoints import best_interval
from clusterwright.launch.job import TrainingJob
from clusterwright.launch.records import Ask
from clusterwright.site.run import check_complete
from clusterwright.uncertain import likely

UNKNOWN = 1000
"""Steps between checkpoints where nothing is known of failures and storage."""
KEPT = 10
"""Checkpoints that are kept, the newest: what torchtitan keeps unless told otherwise."""


def save_interval(job: TrainingJob, *, behind: bool) -> int:
    """Steps between checkpoints of shared storage with which most is done.

    The plan's account counts on the best way to keep checkpoints that there is, which may be
    another host's memory; a launched trainer writes to shared storage.

    Parameters
    ----------
    behind
        Whether the trainer goes on while a checkpoint is written.

    Raises
    ------
    InputError
        The plan was saved by a version that counted on less.
    """
    site = job.plan.question.site
    if site is None:
        return UNKNOWN
    check_complete(site)
    run = msgspec.structs.replace(site.failures, accelerators=job.strategy.accelerators)
    x = likely({**run.inputs, **site.inputs})
    kind = checkpoints(run, "remote" if behind else "remote-sync", x)
    best = float(best_interval(kind.stall, failure_rate(run, x)))
    busy = float(kind.lag) / x["storage_share"]
    return max(1, math.ceil(max(best, busy) / job.plan.best.step_time))


def ask_interval(job: TrainingJob, *, behind: bool) -> Ask:
    """The variable that says it otherwise."""
    steps = save_interval(job, behind=behind)
    return Ask(variable="SAVE_INTERVAL", what="steps between checkpoints", default=str(steps))
