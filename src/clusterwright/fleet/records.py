"""What is asked of a long run, and what comes back: plain records."""

from __future__ import annotations

from typing import Literal

from clusterwright.records import Record
from clusterwright.uncertain import Influence, Input, Interval, Swing

Tier = Literal["remote-sync", "remote", "local", "memory", "replica"]
"""Where state is kept: on shared storage while all wait, the same in the background, on disks of
the nodes, in the memory of another node, or in the other data-parallel replicas, which go on while
a broken one starts again; the last three with `remote` behind them."""


class Cause(Record, frozen=True, kw_only=True):
    """One cause of interruptions.

    ``share``: of all of them. [1] ``hard``: share of its own for which nodes are exchanged. [1]
    ``repair``: mean time until such nodes are back. [s] ``nodes``: how many go at once.
    ``silent``: whether it goes unnoticed for a while and spoils the work.
    """

    id: str
    name: str
    group: str
    share: float
    hard: float = 0.0
    repair: float = 0.0
    nodes: int = 1
    silent: bool = False


class RunQuestion(Record, frozen=True, kw_only=True):
    """A run that is to be made on a machine.

    ``work``: how long it would take if nothing ever failed, or else ``horizon``: how long it is
    watched. [s] ``node_size``: accelerators of one node; ``replica``: of one data-parallel replica.
    ``inputs``: rates, times and bandwidths by name (see `clusterwright.fleet.goodput`). ``tier``,
    ``interval`` [s], ``spares`` [nodes]: as asked for; None: the best, or as many as it takes.
    ``elastic``: go on with fewer replicas when no spare is left. ``draws``: how often it is played
    (None: as often as takes a second), ``seed``: of the draws.
    """

    machine: str
    accelerators: int
    node_size: int
    replica: int
    inputs: dict[str, Input]
    causes: tuple[Cause, ...]
    work: float | None = None
    horizon: float | None = None
    tier: Tier | None = None
    interval: float | None = None
    spares: int | None = None
    elastic: bool = False
    draws: int | None = None
    seed: int = 0
    assumed: tuple[str, ...] = ()

    @property
    def nodes(self) -> int:
        """Nodes of the run."""
        return -(-self.accelerators // self.node_size)

    @property
    def replicas(self) -> float:
        """Data-parallel replicas of the run, the last maybe not whole."""
        return self.accelerators / self.replica


class TierOutlook(Record, frozen=True, kw_only=True):
    """What one way to keep checkpoints gives, by closed form.

    ``interval``, ``slow_interval``: between checkpoints of the tier and of the storage behind it,
    0: there is none. ``stall``: for which one stops the work; ``lag``: until it is safe. [s]
    """

    tier: Tier
    interval: float
    slow_interval: float
    stall: float
    lag: float
    goodput: Interval


class LostTime(Record, frozen=True, kw_only=True):
    """Where part of the wall-clock time goes: its share, mean over runs. [1]"""

    name: str
    share: float
    meaning: str


class CauseCount(Record, frozen=True, kw_only=True):
    """How often a cause interrupts a run, on average, and the node-time that repairs take. [s]"""

    name: str
    group: str
    count: float
    repair_time: float


class RunOutlook(Record, frozen=True, kw_only=True):
    """How a run is likely to go.

    ``failure_rate``: unexpected interruptions. [1/s] ``between``: mean time between them. [s]
    ``goodput``, ``duration`` [s], ``interruptions``: over runs played out, with what is not known
    of the inputs; ``spread``: that goodput in the middle of each twentieth of the runs, from the
    worst to the best; ``closed_form``: goodput by the formula alone. ``tiers``: all ways to keep
    checkpoints, the best first; ``chosen``: the one played. ``lost``: where time goes, sums to 1.
    ``spares``: nodes that stand by, and ``waited``: share of runs that ever waited for one. [1]
    ``half``: from a failure until work goes on, with which half of the time would be work; 0: no
    such time would do. [s]
    ``swings``, ``influences``: what moves the goodput.
    """

    question: RunQuestion
    failure_rate: Interval
    between: Interval
    chosen: TierOutlook
    tiers: tuple[TierOutlook, ...]
    closed_form: Interval
    goodput: Interval
    duration: Interval
    interruptions: Interval
    lost: tuple[LostTime, ...]
    causes: tuple[CauseCount, ...]
    spares: int
    waited: float
    half: float
    swings: tuple[Swing, ...]
    influences: tuple[Influence, ...]
    spread: tuple[float, ...] = ()
