"""The loop of `failures`: every column one state, every row one trajectory, a failure a step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

Array = Any

BLOCK = 32
"""Steps between two looks at who is done; random numbers are drawn for that many at once."""
TRIED = 1024
"""Failures after which the pace of a trajectory tells whether it will ever be done."""
TINY = 1e-9
"""Share of an interval by which a checkpoint counts early, so that rounding undoes none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """A job as plain columns: one outcome of a failure a row, (outcomes,), then what holds for all.

    ``interval`` and ``cycle`` are those of the faster tier, without and with its stall; every
    ``cycles`` of them has ``slow_stall`` too. ``pace`` is the speed with all replicas.
    """

    shares: Array
    cause: Array
    keeps_fast: Array
    detection: Array
    restart: Array
    nodes: Array
    latency: Array
    silent: bool
    interval: float
    cycles: int
    cycle: float
    slow_stall: float
    fast_lag: float
    slow_lag: float
    two_tiers: bool
    num_nodes: int
    num_causes: int
    spares: int | None
    repair_rate: float
    replica_nodes: int
    pace: float
    interruptible: bool

    @property
    def period(self) -> float:
        """From one slow checkpoint to the next, stalls included. [s]"""
        return self.cycles * self.cycle + self.slow_stall

    @property
    def lags(self) -> bool:
        """Whether checkpoints are safe only some time after they are taken."""
        return self.fast_lag > 0.0 or self.slow_lag > 0.0

    def timeline(self, work: float) -> float:
        """Time without failures for some work, stalls of checkpoints before its end included."""
        done = max(math.ceil(work / self.interval - TINY) - 1, 0)
        return work + done * (self.cycle - self.interval) + done // self.cycles * self.slow_stall

    def slow_before(self, place: Array) -> Array:
        """The last slow checkpoint before places on the timeline."""
        return np.floor(place * (1.0 / self.period) + TINY) * self.period

    def fast_after(self, slow: Array, place: Array) -> Array:
        """The last fast checkpoint before places that follow slow ones."""
        count = np.floor((place - slow) * (1.0 / self.cycle) + TINY)
        return slow + np.minimum(count, self.cycles - 1.0) * self.cycle

    def work(self, place: Array) -> Array:
        """Work done at places on the timeline."""
        periods = np.floor(place / self.period + TINY)
        rest = np.maximum(place - periods * self.period, 0.0)
        count = np.minimum(np.floor(rest / self.cycle + TINY), self.cycles - 1.0)
        part = np.clip(rest - count * self.cycle, 0.0, self.interval)
        return (periods * self.cycles + count) * self.interval + part


@dataclass(slots=True, kw_only=True, eq=False)
class Lanes:
    """The state of trajectories, a column each; ``failures`` has a column for each cause."""

    index: Array
    rate: Array
    left: Array
    place: Array
    safe_fast: Array
    safe_slow: Array
    to_detect: Array
    to_restart: Array
    down: Array
    most_down: Array
    looked: Array
    lost: Array
    detection: Array
    restart: Array
    waiting: Array
    slowed: Array
    failures: Array
    finished: Array

    @classmethod
    def begin(cls, rate: Array, horizon: float, num_causes: int) -> Self:
        """Trajectories at their start; ``rate`` is that of one node, one for each of them."""
        count = len(rate)
        columns: dict[str, Array] = {one.name: np.zeros(count) for one in fields(cls)}
        columns |= {
            "index": np.arange(count),
            "rate": np.array(rate),
            "left": np.full(count, horizon),
            "looked": np.full(count, horizon),
            "down": np.zeros(count, np.int64),
            "most_down": np.zeros(count, np.int64),
            "failures": np.zeros((count, num_causes), np.int64),
            "finished": np.ones(count, bool),
        }
        return cls(**columns)

    def taken(self, rows: Array) -> Lanes:
        """Some of them, in order."""
        return Lanes(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    def put(self, lanes: Lanes) -> None:
        """Write trajectories back to where they came from."""
        for one in fields(self):
            getattr(self, one.name)[lanes.index] = getattr(lanes, one.name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draw:
    """What chance brings to each trajectory in a step: a gap of mean 1, and what ends it."""

    gap: Array
    detection: Array
    restart: Array
    nodes: Array
    latency: Array
    keeps_fast: Array
    counter: Array


def draws(table: Table, count: int, random: np.random.Generator) -> Iterator[Draw]:
    """Draw a block of steps at once."""
    shape = (BLOCK, count)
    gaps = random.standard_exponential(shape)
    edges = np.cumsum(table.shares)[:-1]
    outcomes = np.searchsorted(edges, random.random(shape), side="right")
    columns = {
        name: getattr(table, name)[outcomes]
        for name in ("detection", "restart", "nodes", "latency", "keeps_fast")
    }
    counters = table.cause[outcomes] + table.num_causes * np.arange(count)
    for step in range(BLOCK):
        chosen = {name: column[step] for name, column in columns.items()}
        yield Draw(gap=gaps[step], counter=counters[step], **chosen)


def play(lanes: Lanes, table: Table, goal: float, random: np.random.Generator) -> Lanes:
    """Play trajectories until their time is up or their place is ``goal``."""
    horizon = float(lanes.left[0])
    live, steps = lanes.taken(slice(None)), 0
    while len(live.index):
        # Without failures, or without a replica left, a time is infinite, and that is meant.
        with np.errstate(divide="ignore", invalid="ignore"):
            for draw in draws(table, len(live.index), random):
                _step(live, table, goal, draw, random)
        steps += BLOCK
        if steps >= TRIED and math.isfinite(goal):
            # At this pace it ends beyond the horizon; what is done already is left alone.
            stuck = live.place * horizon < (horizon - live.left) * goal
            live.left[stuck & (live.place < goal)] = 0.0
        over = live.left <= 0.0
        if over.any():
            if math.isfinite(goal):
                live.finished = live.place >= goal
            lanes.put(live.taken(over))
            live = live.taken(~over)
    return lanes


def _step(live: Lanes, table: Table, goal: float, draw: Draw, random: np.random.Generator) -> None:
    """To the next failure (or, where replicas are missing, repair) of every trajectory."""
    elastic = table.replica_nodes > 0
    speed: Array = table.pace
    if elastic:
        missing = np.maximum(live.down - (table.spares or 0), 0)
        repairs = np.where(missing > 0, table.repair_rate * live.down, 0.0)
        rate = live.rate * np.maximum(table.num_nodes - missing, 0) + repairs
        out = -(-missing // table.replica_nodes)
        speed = speed * (1.0 - out * (table.replica_nodes / table.num_nodes))
    else:
        rate = live.rate * table.num_nodes
    gap = draw.gap / rate
    if not table.interruptible:
        gap += live.to_detect + live.to_restart
    failed = gap < live.left
    spent = _run(live, goal, np.minimum(gap, live.left), speed)
    if math.isfinite(goal):
        failed &= live.place < goal
    live.left = np.where(failed, live.left - spent, 0.0)
    if elastic:
        # A share of what happens next are repairs; they interrupt nothing.
        mended = failed & (random.random(len(rate)) * rate < repairs)
        live.down -= mended
        live.looked = np.where(missing > 0, live.left, live.looked)
        failed &= ~mended
    _fall_back(live, table, failed, draw, random)
    live.failures.ravel()[draw.counter] += failed
    # Those whose time is up have no time to detect or start again.
    live.to_detect = np.where(failed, draw.detection, live.to_detect) if elastic else draw.detection
    live.to_restart = np.where(failed, draw.restart, live.to_restart) if elastic else draw.restart
    if table.spares is not None:
        hard = (failed & (draw.nodes > 0)).nonzero()[0]
        if len(hard):
            _replace(live, table, hard, draw.nodes[hard], random)


def _run(live: Lanes, goal: float, time: Array, speed: Array) -> Array:
    """Detect, start again and run for some time, to the goal at most; return the time it took."""
    known = np.minimum(time, live.to_detect)
    started = np.minimum(time - known, live.to_restart)
    live.to_detect = live.to_detect - known
    live.to_restart = live.to_restart - started
    live.detection += known
    live.restart += started
    idle = known + started
    ran = time - idle
    ahead = ran * speed
    if math.isfinite(goal):
        rest = goal - live.place
        there = ahead >= rest
        ran = np.where(there, np.where(rest > 0.0, rest / speed, 0.0), ran)
        live.place = np.where(there, goal, live.place + ahead)
        ahead = np.minimum(ahead, rest)
    else:
        live.place = live.place + ahead
    live.slowed += ran - ahead
    return idle + ran


def _fall_back(
    live: Lanes, table: Table, failed: Array, draw: Draw, random: np.random.Generator
) -> None:
    """Move those that failed to a checkpoint that is safe."""
    slow = table.slow_before(live.place - table.slow_lag)
    if table.lags:
        slow = np.maximum(slow, live.safe_slow)
    back = slow
    if table.two_tiers:
        place = live.place - table.fast_lag
        fast = table.fast_after(table.slow_before(place), place)
        if table.lags:
            fast = np.maximum(np.maximum(fast, slow), live.safe_fast)
        back = np.where(draw.keeps_fast, fast, slow)
    if table.silent:
        # It shows in what is computed; what fails while the job starts again is no more than that.
        running = live.to_detect + live.to_restart <= 0.0
        late = (failed & running & (draw.latency > 0.0)).nonzero()[0]
        clean = live.place[late] - draw.latency[late] * random.standard_exponential(len(late))
        slow[late] = np.maximum(np.minimum(slow[late], table.slow_before(clean)), 0.0)
        back[late] = slow[late]
    if table.lags:
        live.safe_slow = slow  # safe by now, whether or not anything failed
        if table.two_tiers:
            live.safe_fast = np.where(failed, back, live.safe_fast)
    back = np.where(failed, back, live.place)
    live.lost += live.place - back
    live.place = back


def _replace(
    live: Lanes, table: Table, hard: Array, nodes: Array, random: np.random.Generator
) -> None:
    """Take nodes out and spares in; without any, wait for repairs unless the job is elastic."""
    spares = table.spares or 0
    left = live.left[hard]
    back = -np.expm1(table.repair_rate * (left - live.looked[hard]))
    before = live.down[hard]
    down = before - random.binomial(before, back) + nodes
    live.looked[hard] = left
    live.down[hard] = down
    live.most_down[hard] = np.maximum(live.most_down[hard], down)
    if not table.replica_nodes and down.max() > spares:
        short = down > spares
        _wait(live, table, hard[short], random)


def _wait(live: Lanes, table: Table, rows: Array, random: np.random.Generator) -> None:
    """Wait until as few nodes are down as there are spares."""
    spares, down, waited = table.spares or 0, live.down[rows], np.zeros(len(rows))
    while (short := down > spares).any():
        times = random.standard_exponential(len(rows)) / (table.repair_rate * down)
        waited += np.where(short, times, 0.0)
        down -= short
    waited = np.minimum(waited, live.left[rows])
    live.waiting[rows] += waited
    live.left[rows] -= waited
    live.looked[rows] = live.left[rows]
    live.down[rows] = down
