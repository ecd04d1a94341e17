"""Sites, how they exchange, and what a plan for them says."""

from __future__ import annotations

from typing import Literal

from clusterwright.hardware import Cluster
from clusterwright.records import Record
from clusterwright.strategy import Strategy
from clusterwright.uncertain import Interval

Exchange = Literal["ring", "butterfly", "tree", "server"]


class OuterMethod(Record, frozen=True, kw_only=True):
    """How replicas average what they learnt.

    ``inner_steps``: between two exchanges. ``exchanged``: bytes of a parameter in one. [B]
    ``fragments``: parts of the model exchanged one after another, each beside ``overlap`` inner
    steps (0: all wait). ``every_step``: it cannot exchange less often. ``claim``: only its vendor
    measured it.
    """

    id: str
    name: str
    inner_steps: int
    exchanged: float
    exchange: Exchange
    fragments: int = 1
    overlap: int = 0
    every_step: bool = False
    claim: bool = False


class Site(Record, frozen=True, kw_only=True):
    """Sites that are alike.

    ``text``: as it was asked for. ``count``: how many. ``cluster``: one of them. ``bandwidth``:
    what one sends to the others, one direction. [B/s] ``round_trip``: to the others and back. [s]
    ``speed``: rate after minutes over that of the first ones (phones get hot) [1], from ``slowest``
    to ``fastest``. [1]
    """

    text: str
    count: int
    cluster: Cluster
    bandwidth: float
    round_trip: float
    speed: float = 1.0
    slowest: float = 1.0
    fastest: float = 1.0


class Replica(Record, frozen=True, kw_only=True):
    """A whole copy of the model at work: on one site, or sliced over peers that relay.

    ``site``: which of the question's. ``count``: replicas of this sort. ``peers``: sites that share
    one (1: none do). ``batch``: sequences of an inner step. ``step_time``: of one. [s]
    ``spread``: its 80 % interval over it. [1] ``memory_bytes``: of the fullest accelerator. [B]
    ``strategy``: how a site cuts it; None for peers. ``relayed``: whether links, not chips, set the
    pace of peers. ``idle``: sites left over.
    """

    site: int
    count: int
    peers: int
    batch: int
    step_time: float
    spread: tuple[float, float]
    memory_bytes: float
    accelerators: int
    strategy: Strategy | None = None
    relayed: bool = False
    idle: int = 0


class Outcome(Record, frozen=True, kw_only=True):
    """What one way to train comes to.

    ``rate``: tokens a second of all replicas, and its interval. [1/s] ``utilization``: share of the
    time of the slowest replica for which it computes [1], and its interval. ``duration``: of all
    tokens [s], None: nobody said how many.
    """

    name: str
    rate: float
    rates: Interval
    utilization: float
    utilizations: Interval
    duration: float | None = None


class PublishedLoss(Record, frozen=True, kw_only=True):
    """The nearest published run: its loss over that of data parallelism, less one. [1]"""

    method: str
    parameters: float
    replicas: int
    inner_steps: int
    excess: float
    source: str


class SitesPlan(Record, frozen=True, kw_only=True):
    """Training over several sites.

    ``inner_steps``: between exchanges. ``tokens_per_step``: of all replicas. ``step_time``: of the
    slowest one; ``sync_time``: all exchanges between two outer steps, ``hidden_time``: of it beside
    inner steps, ``period``: from one outer step to the next. [s] ``moved``: bytes that a site sends
    in a period, ``daily``: in a day. [B] ``reduction``: of traffic, against data parallelism. [1]
    ``needed_steps``: inner steps that would make 90 % computing, ``needed_bandwidth``: of the
    slowest link, that would [B/s], None: none would. ``alone``: the fastest single
    replica, ``parallel``: exchanges in every step. ``newcomers``: that keep all at work [1/s], and
    ``kept``: share of the work that stays in spite of comings and goings [1], None: nobody leaves.
    ``join_time``: of a newcomer. [s] ``if_held``: as ``chosen``, if one site could hold a replica,
    where none can. ``smaller``: the largest model of the catalogue that
    such a site could keep, activations apart; empty where it is these that do not fit.
    """

    model: str
    parameters: float
    method: OuterMethod
    exchange: Exchange
    sites: tuple[Site, ...]
    replicas: tuple[Replica, ...]
    inner_steps: int
    tokens: float | None
    tokens_per_step: float
    sequence_length: int
    step_time: float
    sync_time: float
    hidden_time: float
    period: float
    moved: float
    daily: float
    reduction: float
    needed_steps: int
    needed_bandwidth: float | None
    chosen: Outcome
    alone: Outcome | None
    parallel: Outcome
    loss: PublishedLoss | None
    join_time: float
    mean_stay: float | None = None
    newcomers: float | None = None
    kept: float | None = None
    if_held: Outcome | None = None
    smaller: str = ""
    assumed: tuple[str, ...] = ()
