"""How often a job writes checkpoints."""

from __future__ import annotations

from clusterwright.launch.job import TrainingJob


def saving(job: TrainingJob) -> str:
    """Steps between checkpoints: what the plan's account found best, else one in 1,000."""
    account = job.plan.account
    if account is None:
        return "1000"
    return str(max(1, round(account.interval / job.plan.best.step_time)))
