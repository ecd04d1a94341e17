"""One life of a job, event by event and node by node: what the lockstep engine must agree with."""

from __future__ import annotations

import math

import numpy as np

from clusterwright.engines.failures import Cause, Job


class Life:
    """A job with two tiers: ``taken`` fast checkpoints are written, ``offset`` seconds follow."""

    def __init__(self, job: Job, horizon: float, random: np.random.Generator) -> None:
        self.job, self.horizon, self.random = job, horizon, random
        self.cycles = round(job.slow.interval / job.fast.interval)
        lengths = np.full(int(horizon / job.fast.interval) + 2, job.fast.interval + job.fast.stall)
        lengths[self.cycles - 1 :: self.cycles] += job.slow.stall
        self.ends = [0.0, *np.cumsum(lengths)]
        self.time = self.offset = self.lost = self.waiting = self.slowed = 0.0
        self.taken = self.fast_safe = self.slow_safe = self.failures = self.most = 0
        self.detection = self.restart = self.to_detect = self.to_restart = 0.0
        self.repairs: list[float] = []

    def down(self) -> int:
        self.repairs = [end for end in self.repairs if end > self.time]
        return len(self.repairs)

    def spend(self, time: float, speed: float) -> None:
        known = min(time, self.to_detect)
        started = min(time - known, self.to_restart)
        self.to_detect -= known
        self.to_restart -= started
        self.detection += known
        self.restart += started
        ran = time - known - started
        self.slowed += ran * (1.0 - speed)
        self.offset += ran * speed
        while self.ends[self.taken] + self.offset >= self.ends[self.taken + 1]:
            self.offset -= self.ends[self.taken + 1] - self.ends[self.taken]
            self.taken += 1
        self.time += time

    def last(self, before: float, every: int) -> int:
        """The last checkpoint of a tier that was taken before a place on the timeline."""
        index = self.taken - self.taken % every
        while index > 0 and self.ends[index] > before:
            index -= every
        return index

    def fail(self, cause: Cause) -> None:
        self.failures += 1
        now = self.ends[self.taken] + self.offset
        self.slow_safe = max(self.slow_safe, self.last(now - self.job.slow.lag, self.cycles))
        self.fast_safe = max(self.fast_safe, self.slow_safe, self.last(now - self.job.fast.lag, 1))
        if self.random.random() >= cause.fast_share:
            self.fast_safe = self.slow_safe
        if cause.latency > 0.0 and self.to_detect + self.to_restart <= 0.0:
            spoilt = now - self.random.exponential(cause.latency)
            self.slow_safe = min(self.slow_safe, self.last(spoilt, self.cycles))
            self.fast_safe = self.slow_safe
        self.lost += now - self.ends[self.fast_safe]
        self.taken, self.offset = self.fast_safe, 0.0
        self.to_detect, self.to_restart = cause.detection, cause.restart
        if cause.nodes:
            self.exchange(cause.nodes)

    def exchange(self, nodes: int) -> None:
        for _ in range(nodes):
            self.repairs.append(self.time + self.random.exponential(self.job.repair_time))
        short = self.down() - self.job.spares
        self.most = max(self.most, self.down())
        if short > 0 and not self.job.replica_nodes:
            end = min(sorted(self.repairs)[short - 1], self.horizon)
            self.waiting += end - self.time
            self.time = end


def play_one(job: Job, rate: float, horizon: float, random: np.random.Generator) -> list[float]:
    """Useful, stalls, lost, detection, restart, waiting, slowed, failures, fewest spares."""
    life = Life(job, horizon, random)
    shares = np.array([cause.share for cause in job.causes])
    shares /= shares.sum()
    while life.time < horizon:
        missing = max(life.down() - job.spares, 0)
        speed = 1.0 / (1.0 + job.slowdown)
        if job.replica_nodes:
            out = math.ceil(missing / job.replica_nodes)
            speed *= 1.0 - out * job.replica_nodes / job.num_nodes
        failure = life.time + random.exponential(1.0 / (rate * (job.num_nodes - missing)))
        repair = min(life.repairs) if missing else math.inf
        life.spend(min(failure, repair, horizon) - life.time, speed)
        if failure < min(repair, horizon):
            life.fail(job.causes[random.choice(len(shares), p=shares)])
    useful = life.taken * job.fast.interval + min(life.offset, job.fast.interval)
    stalls = life.ends[life.taken] + life.offset - useful
    parts = [useful, stalls, life.lost, life.detection, life.restart, life.waiting, life.slowed]
    return [*parts, life.failures, max(job.spares - life.most, 0)]
