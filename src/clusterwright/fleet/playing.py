"""A run played out by the engine of failures: what the closed form leaves out."""

from __future__ import annotations

import numpy as np

from clusterwright.engines.failures import Cause, Job, Tier, Trajectories, play_failures
from clusterwright.fleet.goodput import X, checkpoints, failure_rate
from clusterwright.fleet.records import RunQuestion, TierOutlook
from clusterwright.formulas.spares import down_share, spares

STEPS = 2_000_000
"""Failures that are played in all, unless told how many runs."""
FEWEST, MOST = 200, 2000
"""Runs that are played at least and at most."""
SHORTFALL = 0.01
"""Share of the time for which a spare may be wanting, where nobody says how many there are."""


def spares_for(question: RunQuestion, x: X) -> int:
    """Nodes that stand by: as asked for, or so many that one is nearly always there."""
    if question.spares is not None:
        return question.spares
    taken = sum(cause.share * cause.hard * cause.nodes for cause in question.causes)
    repair = repair_time(question)
    if not taken or not repair:
        return 0
    between = question.nodes / (float(failure_rate(question, x)) * taken)
    return spares(question.nodes, down_share(between, repair), SHORTFALL)


def repair_time(question: RunQuestion) -> float:
    """Mean time until a node that was exchanged is back. [s]"""
    weights = [cause.share * cause.hard * cause.nodes for cause in question.causes]
    times = [cause.repair for cause in question.causes]
    total = sum(weights)
    return float(np.dot(weights, times) / total) if total else 0.0


def draws_for(question: RunQuestion, x: X) -> int:
    """How many runs are played."""
    if question.draws is not None:
        return question.draws
    span = question.work or question.horizon or 0.0
    expected = max(1.0, float(failure_rate(question, x)) * span)
    return int(np.clip(STEPS / expected, FEWEST, MOST))


def play(question: RunQuestion, chosen: TierOutlook, x: X) -> Trajectories:
    """Play a run often, at given inputs."""
    kind = checkpoints(question, chosen.tier, x)
    tier = Tier(interval=chosen.interval, stall=float(kind.stall), lag=float(kind.lag))
    slow, fast = tier, None
    if chosen.slow_interval:
        slow = Tier(
            interval=chosen.slow_interval, stall=float(kind.slow_stall), lag=float(kind.slow_lag)
        )
        fast = tier
    counted = spares_for(question, x)
    repair = repair_time(question)
    replica = question.replica // question.node_size if question.elastic else 0
    job = Job(
        num_nodes=question.nodes,
        causes=tuple(_causes(question, chosen, x)),
        slow=slow,
        fast=fast,
        spares=counted if repair else None,
        repair_time=repair,
        replica_nodes=replica if replica and question.nodes % replica == 0 else 0,
    )
    return play_failures(
        job,
        float(failure_rate(question, x)) / question.nodes,
        work=question.work,
        horizon=question.horizon,
        trajectories=draws_for(question, x),
        seed=question.seed,
    )


def _causes(question: RunQuestion, chosen: TierOutlook, x: X) -> list[Cause]:
    """Each cause, its hard part apart from its soft one."""
    kind = checkpoints(question, chosen.tier, x)
    found = []
    for cause in question.causes:
        for hard, part in ((True, cause.hard), (False, 1.0 - cause.hard)):
            if part <= 0.0:
                continue
            several = cause.nodes if hard else 0
            lost = several > 1 or (hard and chosen.tier == "local")
            found.append(
                Cause(
                    name=cause.id,
                    share=cause.share * part,
                    detection=float(x["detection"]),
                    restart=float(x["restart"] + kind.load + (x["exchange"] if hard else 0.0)),
                    nodes=min(several, question.nodes),
                    fast_share=0.0 if lost else 1.0,
                    latency=cause.latency,
                )
            )
    return found
