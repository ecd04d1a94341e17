"""Play a long job through failures: many trajectories at once, each a life of its own.

All trajectories advance together, one failure at a time, as columns of arrays (`lockstep`). What a
job has done is a place on the timeline that it would follow without failures, stalls of its
checkpoints included: running moves the place on, a failure moves it back to a checkpoint that is
safe. Gaps between failures are exponential; a repair frees its node after an exponential time too,
which changes nothing in how many are down on average (M/G/∞ does not see the shape).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from clusterwright.engines.lockstep import Lanes, Table, play
from clusterwright.errors import InputError

Array = Any

LANES = 2048
"""Trajectories that advance together: their columns stay in a core's cache."""
MOST_FAILURES = 5e6
"""In one trajectory; a million accelerators have a hundredth of that in a year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One kind of checkpoint.

    Parameters
    ----------
    interval
        Work between two. [s]
    stall
        For which one stops the work. [s]
    lag
        From the end of the stall until it is safe; written beside the work that goes on. [s]
    """

    interval: float
    stall: float = 0.0
    lag: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause of failures.

    Parameters
    ----------
    name
        What it is called in the result.
    share
        Of all failures, relative to the other causes. [1]
    detection
        From the failure until somebody, or a watchdog, knows. [s]
    restart
        From then until work goes on, with a node from the spares at hand. [s]
    nodes
        That go to repair and are replaced: 0 for a fault that a restart mends, more than 1 for what
        several share.
    fast_share
        Share of these failures that leaves the fast tier of checkpoints whole. [1]
    latency
        Mean working time for which it goes unnoticed while checkpoints are written that are spoilt
        too (silent corruption); 0: none are. While the job starts again it spoils nothing. [s]
    """

    name: str
    share: float
    detection: float
    restart: float
    nodes: int = 0
    fast_share: float = 1.0
    latency: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job that all its nodes work on, and what it has against failures.

    Parameters
    ----------
    num_nodes
        Nodes that it works on.
    causes
        What makes it fail.
    slow
        Checkpoints that outlive any failure.
    fast
        Those before them, which some failures take away; None: there are none. The slow interval is
        a multiple of the fast one.
    spares
        Nodes that stand by; None: always enough.
    repair_time
        Mean time until a node that was taken out is a spare again. [s]
    replica_nodes
        Nodes of a data-parallel replica. Given, the job goes on without the replicas that lack
        nodes, slower; 0: it waits for the first repair.
    slowdown
        Time for which the job waits for its slowest node, over its own. [1]
    interruptible
        Whether a failure during a restart begins it anew; without, restarts are safe, as formulas
        of first order have it.
    """

    num_nodes: int
    causes: tuple[Cause, ...]
    slow: Tier
    fast: Tier | None = None
    spares: int | None = None
    repair_time: float = 0.0
    replica_nodes: int = 0
    slowdown: float = 0.0
    interruptible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trajectories:
    """What became of each trajectory, (trajectories,); times in [s].

    Parameters
    ----------
    useful
        Work that stands at the end.
    stalls
        Of checkpoints on the way to it.
    lost
        Work that was undone, its stalls included.
    detection, restart
        From failures until somebody knew, and from then until work went on.
    waiting
        For a repair, with no spare left.
    slowed
        What running took beyond its full speed: replicas missing, or waits for the slowest node.
    failures
        By cause, (trajectories, causes).
    fewest_spares
        Ever left; 0 where some were missing, and where nobody counts them.
    finished
        Whether the work was done; where it is False the job made no progress worth waiting for.
    """

    useful: Array
    stalls: Array
    lost: Array
    detection: Array
    restart: Array
    waiting: Array
    slowed: Array
    failures: Array
    fewest_spares: Array
    finished: Array

    @property
    def wall(self) -> Array:
        """The sum of all parts. [s]"""
        parts = (self.stalls, self.lost, self.detection, self.restart, self.waiting, self.slowed)
        return sum(parts, self.useful)

    @property
    def goodput(self) -> Array:
        """Share of the time that was useful. [1]"""
        return self.useful / self.wall


def play_failures(
    job: Job,
    node_rate: Array,
    *,
    horizon: float | None = None,
    work: float | None = None,
    trajectories: int = 1000,
    patience: float = 100.0,
    seed: int = 0,
) -> Trajectories:
    """Play a job for some time, or until its work is done.

    Parameters
    ----------
    job
        What runs, and what it has against failures.
    node_rate
        Failures of one node, of all causes: one rate, or one for each trajectory. [1/s]
    horizon
        Time to play. [s]
    work
        Work to do, in place of ``horizon``: the time it would take without failures. [s]
    trajectories
        How many.
    patience
        With ``work``: a trajectory is given up when it will take that many times as long as it
        would without failures. [1]
    seed
        The same one gives the same trajectories.

    Raises
    ------
    InputError
        For a job that cannot be: what, and what would be right.

    Examples
    --------
    Llama 3's rate, a checkpoint every ten minutes, five minutes from a failure to work.

    >>> cause = Cause(name="any", share=1.0, detection=30.0, restart=270.0)
    >>> job = Job(num_nodes=2048, causes=(cause,), slow=Tier(interval=600.0, stall=1.0))
    >>> rate = 419 / (54 * 2048 * 86400)
    >>> played = play_failures(job, rate, horizon=54 * 86400.0, trajectories=200)
    >>> round(float(played.goodput.mean()), 3), round(float(played.failures.mean()))
    (0.946, 420)
    """
    _check(job, horizon, work, trajectories, patience)
    rates = _rates(node_rate, trajectories)
    table = _table(job)
    goal = math.inf if work is None else table.timeline(work)
    end = float(horizon) if horizon is not None else patience * goal
    many = float(rates.max()) * job.num_nodes * (horizon or 0.0)
    if many > MOST_FAILURES:
        raise InputError(
            f"{many:.3g} failures in one trajectory are too many to play: are rates per second?"
        )
    blocks = []
    for start in range(0, trajectories, LANES):
        lanes = Lanes.begin(rates[start : start + LANES], end, len(job.causes))
        random = np.random.default_rng((seed, start // LANES))
        blocks.append(_result(job, table, play(lanes, table, goal, random)))
    return Trajectories(
        **{
            one.name: np.concatenate([getattr(block, one.name) for block in blocks])
            for one in fields(Trajectories)
        }
    )


def _rates(node_rate: Array, trajectories: int) -> Array:
    """A rate for each trajectory."""
    rates = np.asarray(node_rate, float)
    if rates.shape not in {(), (1,), (trajectories,)}:
        raise InputError(
            f"{rates.size} failure rates for {trajectories} trajectories: give one, or one for each"
        )
    if not (np.isfinite(rates).all() and (rates >= 0.0).all()):
        raise InputError("a failure rate is negative or no number: give zero or more per second")
    return np.broadcast_to(rates, (trajectories,))


def _table(job: Job) -> Table:
    """The job as plain columns, one outcome for each cause and tier that it leaves."""
    weights, causes, keeps_fast = [], [], []
    for index, cause in enumerate(job.causes):
        for keeps, share in ((True, cause.fast_share), (False, 1.0 - cause.fast_share)):
            if share > 0.0:
                weights.append(cause.share * share)
                causes.append(index)
                keeps_fast.append(keeps)
    chosen = [job.causes[index] for index in causes]
    fast = job.fast or job.slow
    cycles = round(job.slow.interval / fast.interval)
    return Table(
        shares=np.array(weights) / sum(weights),
        cause=np.array(causes),
        keeps_fast=np.array(keeps_fast),
        detection=np.array([one.detection for one in chosen]),
        restart=np.array([one.restart for one in chosen]),
        nodes=np.array([one.nodes for one in chosen]),
        latency=np.array([one.latency for one in chosen]),
        silent=any(one.latency > 0.0 for one in chosen),
        interval=job.slow.interval / cycles,
        cycles=cycles,
        cycle=job.slow.interval / cycles + (job.fast.stall if job.fast else 0.0),
        slow_stall=job.slow.stall,
        fast_lag=fast.lag,
        slow_lag=job.slow.lag,
        two_tiers=job.fast is not None,
        num_nodes=job.num_nodes,
        num_causes=len(job.causes),
        spares=job.spares,
        repair_rate=1.0 / job.repair_time if job.repair_time > 0.0 else 0.0,
        replica_nodes=job.replica_nodes,
        pace=1.0 / (1.0 + job.slowdown),
        interruptible=job.interruptible,
    )


def _result(job: Job, table: Table, lanes: Lanes) -> Trajectories:
    useful = table.work(lanes.place)
    left = 0 if job.spares is None else np.maximum(job.spares - lanes.most_down, 0)
    return Trajectories(
        useful=useful,
        stalls=np.maximum(lanes.place - useful, 0.0),
        lost=lanes.lost,
        detection=lanes.detection,
        restart=lanes.restart,
        waiting=lanes.waiting,
        slowed=lanes.slowed,
        failures=lanes.failures,
        fewest_spares=left + np.zeros(len(useful), int),
        finished=lanes.finished,
    )


def _check(
    job: Job, horizon: float | None, work: float | None, trajectories: int, patience: float
) -> None:
    if (horizon is None) == (work is None):
        raise InputError("give either a time to play or the work to do")
    for what, value in (("time to play", horizon), ("work", work)):
        if value is not None and not 0.0 < value < math.inf:
            raise InputError(f"the {what} is {value:g} s: give a finite time above zero")
    if trajectories < 1:
        raise InputError(f"{trajectories} trajectories: ask for one or more")
    if not 1.0 < patience < math.inf:
        raise InputError(f"a patience of {patience:g}: give a number above 1")
    if job.num_nodes < 1:
        raise InputError(f"a job on {job.num_nodes} nodes: give one or more")
    if not job.causes or sum(cause.share for cause in job.causes) <= 0.0:
        raise InputError("nothing makes this job fail: give at least one cause with a share")
    for cause in job.causes:
        _check_cause(cause, job)
    _check_tiers(job)
    if job.spares is not None and job.repair_time <= 0.0:
        raise InputError("spares are counted, but no repair time is given: give one above zero")
    if job.spares is not None and job.spares < 0:
        raise InputError(f"{job.spares} spare nodes: give none or more")
    if job.replica_nodes < 0 or job.num_nodes % max(job.replica_nodes, 1):
        raise InputError(
            f"{job.num_nodes} nodes are no whole number of replicas of {job.replica_nodes}"
        )
    if job.replica_nodes and job.spares is None:
        raise InputError("a job that goes on with fewer replicas needs a number of spares: give 0")
    if job.slowdown < 0.0:
        raise InputError(f"a slowdown of {job.slowdown:g}: give a share of zero or more")


def _check_cause(cause: Cause, job: Job) -> None:
    times = (cause.share, cause.detection, cause.restart, cause.latency)
    if not all(0.0 <= one < math.inf for one in times):
        raise InputError(f"cause {cause.name!r}: share and times are finite and not negative")
    if not 0.0 <= cause.fast_share <= 1.0:
        raise InputError(f"cause {cause.name!r}: the share that keeps the fast tier is 0 to 1")
    if not 0 <= cause.nodes <= job.num_nodes:
        raise InputError(f"cause {cause.name!r} takes {cause.nodes} of {job.num_nodes} nodes")


def _check_tiers(job: Job) -> None:
    for tier in (job.slow, job.fast):
        if tier is None:
            continue
        if not 0.0 < tier.interval < math.inf:
            raise InputError(f"a checkpoint every {tier.interval:g} s: give a time above zero")
        if not all(0.0 <= one < math.inf for one in (tier.stall, tier.lag)):
            raise InputError("a checkpoint's stall and lag are finite and not negative")
    if job.fast is not None:
        cycles = job.slow.interval / job.fast.interval
        if cycles < 1.0 or abs(cycles - round(cycles)) > 1e-6 * cycles:
            raise InputError(
                f"the slow tier's {job.slow.interval:g} s are no multiple of the fast tier's "
                f"{job.fast.interval:g} s: give {max(round(cycles), 1) * job.fast.interval:g} s"
            )
