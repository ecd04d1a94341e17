"""Goodput of a run by closed form, as a function of inputs that may be arrays.

The inputs, all in SI:

``large_rate``, ``small_rate``: unexpected interruptions of eight accelerators, in runs of
``large_size`` accelerators or more and in jobs of ``small_size`` or fewer [1/s]; ``planned_rate``:
interruptions that are planned, of eight accelerators, ``planned_most`` of any run. [1/s]
``detection``, ``restart``: from a failure until it is noticed, and on until the job has started
anew, state not yet loaded; ``exchange``: besides, where nodes are exchanged. [s]
``checkpoint_bytes``: state of the whole job. [B] ``storage_bandwidth``: of the shared storage,
``node_bandwidth``: of a node to it, ``disk_bandwidth``: of a node's own disks, ``host_bandwidth``:
of an accelerator to its host, ``network_bandwidth``: of an accelerator to another node. [B/s]
``hard_share``, ``correlated_share``, ``silent_share``: of interruptions that exchange nodes, that
take several at once, and that spoil work for ``silent_latency`` [s] before they are noticed;
``storage_share``: of the time that storage may be busy with checkpoints; ``stragglers``: how much
longer a step takes for the slowest node. [1] ``step_time``: of one step; ``regroup``: in which
replicas that are whole go on without a broken one; ``save_pause``: for which all wait, besides
copying, when a checkpoint is begun that is then written behind them. [s]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from clusterwright.fleet.records import RunQuestion, Tier
from clusterwright.formulas.checkpoints import best_interval, checkpoint_write_time
from clusterwright.formulas.failure_rates import job_failure_rate
from clusterwright.formulas.goodput import (
    clean_share,
    renewal_goodput,
    replica_share,
    two_tier_goodput,
)

Floats = Any
X = Mapping[str, Floats]

RATED_NODE = 8.0
"""Accelerators that published rates are per."""
WORTH = 0.002
"""Share of the goodput that a less simple way to keep checkpoints must gain to be chosen."""
INPUTS = frozenset(
    (
        *("large_rate", "small_rate", "large_size", "small_size", "planned_rate", "planned_most"),
        *("detection", "restart", "exchange", "regroup", "save_pause", "step_time", "stragglers"),
        *("checkpoint_bytes", "storage_bandwidth", "node_bandwidth", "disk_bandwidth"),
        *("host_bandwidth", "network_bandwidth", "storage_share", "silent_latency"),
        *("hard_share", "correlated_share", "silent_share"),
    )
)
"""All of them: an older plan may lack those that came later."""
TIERS: tuple[Tier, ...] = ("remote-sync", "remote", "local", "memory")
"""Those that any training software can have, the simplest first."""


class Checkpoints(NamedTuple):
    """How a tier keeps state: times of one checkpoint, what it saves, what loading it takes.

    ``kept``: share of failures that leave the tier whole. [1] ``slow_stall``: of the storage
    behind it. [s]
    """

    stall: Floats
    lag: Floats
    load: Floats
    kept: Floats
    slow_stall: Floats
    slow_lag: Floats


def failure_rate(question: RunQuestion, x: X) -> Floats:
    """Unexpected interruptions of the whole run. [1/s]"""
    return job_failure_rate(
        question.accelerators / RATED_NODE,
        np.maximum(x["small_rate"], x["large_rate"]),
        x["large_rate"],
        x["small_size"] / RATED_NODE,
        x["large_size"] / RATED_NODE,
    )


def checkpoints(question: RunQuestion, tier: Tier, x: X) -> Checkpoints:
    """Times of a tier's checkpoints."""
    write = checkpoint_write_time(
        x["checkpoint_bytes"], x["storage_bandwidth"], x["node_bandwidth"], question.nodes
    )
    own = x["checkpoint_bytes"] / question.accelerators
    copy = own / x["host_bandwidth"]
    if tier == "remote-sync":
        return Checkpoints(write, 0.0 * write, write, 1.0, 0.0, 0.0)
    stop = copy + x["save_pause"]
    if tier == "remote":
        return Checkpoints(stop, write, write, 1.0, 0.0, 0.0)
    if tier == "local":
        disk = own * question.node_size / x["disk_bandwidth"]
        return Checkpoints(stop, disk, disk, 1.0 - x["hard_share"], copy, write)
    if tier == "replica":
        # Each replica has all of the state, and holds it at every step.
        fetched = x["checkpoint_bytes"] / question.replica / x["network_bandwidth"]
        return Checkpoints(0.0 * copy, 0.0 * copy, fetched, 1.0 - x["silent_share"], stop, write)
    sent = copy + own / x["network_bandwidth"]
    kept = 1.0 - x["correlated_share"] - x["silent_share"]
    return Checkpoints(stop, sent, sent, kept, copy, write)


def restart_time(x: X, load: Floats) -> Floats:
    """Mean time from a failure until what broke works again. [s]"""
    return x["detection"] + x["restart"] + x["hard_share"] * x["exchange"] + load


def stopped_time(tier: Tier, kind: Checkpoints, x: X) -> Floats:
    """Mean time from a failure until the job goes on, be it without what broke. [s]"""
    if tier != "replica":
        return restart_time(x, kind.load)
    alone = x["detection"] + x["regroup"]
    return kind.kept * alone + (1.0 - kind.kept) * restart_time(x, kind.slow_lag)


def present_share(question: RunQuestion, tier: Tier, x: X) -> Floats:
    """Speed of the job over its full speed: stragglers, and replicas that start again alone. [1]"""
    paced = 1.0 / (1.0 + x["stragglers"])
    if tier != "replica":
        return paced
    kind = checkpoints(question, tier, x)
    away = np.maximum(restart_time(x, kind.load) - x["detection"] - x["regroup"], 0.0)
    return paced * replica_share(failure_rate(question, x) * kind.kept, away, question.replicas)


def intervals_for(question: RunQuestion, tier: Tier, x: X) -> tuple[float, float]:
    """Work between checkpoints of a tier, and of the storage behind it (0: none). [s]

    A checkpoint is never begun before a step is done, nor so soon that writing would keep the
    storage busy for more than ``storage_share`` of the time.
    """
    rate = failure_rate(question, x)
    kind = checkpoints(question, tier, x)
    fast, asked = question.interval, None
    if tier == "replica":
        fast, asked = float(x["step_time"]), fast
    if fast is None:
        lag = kind.lag if tier == "memory" else kind.lag / x["storage_share"]
        fast = float(np.max([best_interval(kind.stall, rate), lag, x["step_time"]]))
    if np.all(np.asarray(kind.kept) >= 1.0):
        return fast, 0.0
    best = best_interval(kind.slow_stall, rate * (1.0 - kind.kept))
    slow = asked or float(np.maximum(best, kind.slow_lag / x["storage_share"]))
    return fast, fast * max(1.0, round(slow / fast))


def goodput(
    question: RunQuestion, tier: Tier, intervals: tuple[float, float], x: X
) -> dict[str, Floats]:
    """Results by name: ``goodput`` [1], ``failure_rate`` [1/s], ``between`` [s].

    Planned interruptions come after a checkpoint of their own: they cost a restart each.
    """
    rate = failure_rate(question, x)
    # Where a stop outlasts many failures the time to get on is beyond any number: no goodput.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        useful = np.nan_to_num(_useful(question, tier, intervals, x))
    clean = clean_share(rate * x["silent_share"], x["silent_latency"])
    present = present_share(question, tier, x)
    return {
        "goodput": useful * clean * present * (1.0 - planned_share(question, tier, x)),
        "failure_rate": rate,
        "between": 1.0 / rate,
    }


def _useful(question: RunQuestion, tier: Tier, intervals: tuple[float, float], x: X) -> Floats:
    """Share of the time in which work is done that failures leave. [1]"""
    rate = failure_rate(question, x)
    kind = checkpoints(question, tier, x)
    fast, slow = intervals
    again = stopped_time(tier, kind, x)
    if slow:
        return two_tier_goodput(
            interval=fast,
            stall_time=kind.stall,
            slow_interval=slow,
            slow_stall_time=kind.slow_stall,
            fast_share=kind.kept,
            restart_time=again,
            failure_rate=rate,
            lag_time=kind.lag,
        )
    return renewal_goodput(fast, kind.stall, again, rate, kind.lag)


def planned_share(question: RunQuestion, tier: Tier, x: X) -> Floats:
    """Share of the time that planned interruptions take. [1]"""
    kind = checkpoints(question, tier, x)
    each = x["planned_rate"] * question.accelerators / RATED_NODE
    planned = np.minimum(each, x["planned_most"])
    pause = planned * (x["restart"] + kind.load)
    return pause / (1.0 + pause)


def simplest_tier(goodputs: Mapping[Tier, float], wanted: Tier | None) -> Tier:
    """The tier asked for, or the simplest of those with which hardly anything is lost."""
    if wanted is not None:
        return wanted
    best = max(goodputs.values())
    return next(tier for tier, one in goodputs.items() if one >= best * (1.0 - WORTH))
