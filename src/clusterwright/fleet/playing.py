"""A run played out by the engine of failures: what the closed form leaves out."""

from __future__ import annotations

import numpy as np

from clusterwright.engines.failures import Cause, Job, Tier, Trajectories, play_failures
from clusterwright.errors import InputError
from clusterwright.fleet.goodput import Floats, X, checkpoints, failure_rate, present_share
from clusterwright.fleet.records import RunQuestion, TierOutlook
from clusterwright.formulas.spares import down_share, spares
from clusterwright.units import format_count

STEPS = 1_000_000
"""Failures that are played in all, unless told how many runs."""
MOST_FAILURES = 200_000
"""Of one run: a million accelerators have as many in a year."""
FEWEST, MOST = 100, 1000
"""Runs that are played at least and at most."""
SHORTFALL = 0.01
"""Share of the time for which a spare may be wanting, where nobody says how many there are."""


def spares_for(question: RunQuestion, rate: float) -> int:
    """Nodes that stand by: as asked for, or so many that one is nearly always there.

    ``rate``: of failures of the whole run. [1/s]
    """
    if question.spares is not None:
        return question.spares
    taken = sum(cause.share * cause.hard * cause.nodes for cause in question.causes)
    repair = repair_time(question)
    if not taken or not repair:
        return 0
    between = question.nodes / (rate * taken)
    return spares(question.nodes, down_share(between, repair), SHORTFALL)


def repair_time(question: RunQuestion) -> float:
    """Mean time until a node that was exchanged is back. [s]"""
    weights = [cause.share * cause.hard * cause.nodes for cause in question.causes]
    times = [cause.repair for cause in question.causes]
    total = sum(weights)
    return float(np.dot(weights, times) / total) if total else 0.0


def draws_for(question: RunQuestion, x: X) -> int:
    """How many runs are played."""
    span = question.work or question.horizon or 0.0
    expected = max(1.0, float(failure_rate(question, x)) * span)
    if expected > MOST_FAILURES:
        raise InputError(
            f"{format_count(expected)} failures are too many to play: watch the run for less "
            "(--days), or say how often it fails (--rate)"
        )
    if question.draws is not None:
        return question.draws
    return int(np.clip(STEPS / expected, FEWEST, MOST))


def play(
    question: RunQuestion, chosen: TierOutlook, x: X, standby: int, rates: Floats
) -> Trajectories:
    """Play a run once for each rate of failures, its other inputs as given.

    Parameters
    ----------
    question, chosen, x
        The run, how it keeps checkpoints, and its inputs.
    standby
        Nodes that stand by.
    rates
        Of failures of the whole run. [1/s]
    """
    kind = checkpoints(question, chosen.tier, x)
    tier = Tier(interval=chosen.interval, stall=float(kind.stall), lag=float(kind.lag))
    slow, fast = tier, None
    if chosen.slow_interval:
        slow = Tier(
            interval=chosen.slow_interval, stall=float(kind.slow_stall), lag=float(kind.slow_lag)
        )
        fast = tier
    repair = repair_time(question)
    elastic = question.elastic or chosen.tier == "replica"
    job = Job(
        num_nodes=question.nodes,
        causes=tuple(_causes(question, chosen, x)),
        slow=slow,
        fast=fast,
        spares=standby if repair else None,
        repair_time=repair,
        replica_nodes=question.replica // question.node_size if elastic and repair else 0,
        slowdown=1.0 / float(present_share(question, chosen.tier, x)) - 1.0,
    )
    return play_failures(
        job,
        rates / question.nodes,
        work=question.work,
        horizon=question.horizon,
        trajectories=len(rates),
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
            memory = chosen.tier == "memory" and several > 1
            restart = x["restart"] + kind.load + (x["exchange"] if hard else 0.0)
            if chosen.tier == "replica" and not cause.silent:
                restart = x["regroup"]
            found.append(
                Cause(
                    name=cause.id,
                    share=cause.share * part,
                    detection=float(x["detection"]),
                    restart=float(restart),
                    nodes=min(several, question.nodes),
                    fast_share=0.0 if memory or (hard and chosen.tier == "local") else 1.0,
                    latency=float(x["silent_latency"]) if cause.silent else 0.0,
                )
            )
    return found
