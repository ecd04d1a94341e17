"""What exchanges make of the pace of replicas: one function of uncertain inputs.

All replicas take their inner steps; the slowest is waited for; then all exchange over links, of
which the slowest sets the pace. A replica that is sliced over peers exchanges slice by slice, each
over its peer's own link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clusterwright.formulas.low_communication import (
    butterfly_sync_time,
    compute_utilization,
    ring_sync_time,
    server_sync_time,
    tree_sync_time,
)
from clusterwright.swarm.things import Exchange, OuterMethod, Replica, Site
from clusterwright.uncertain import Input

Floats = Any


class SwarmModel:
    """Rate and utilisation of replicas, from step times and the share of a link that is reached.

    Parameters
    ----------
    parameters
        Of the model.
    method, exchange, inner_steps
        How, over what, and how seldom they average.
    sites, replicas
        Who takes part.
    tokens_per_step
        Of all replicas.
    """

    def __init__(
        self,
        parameters: float,
        method: OuterMethod,
        exchange: Exchange,
        inner_steps: int,
        *,
        sites: Sequence[Site],
        replicas: Sequence[Replica],
        tokens_per_step: float,
    ) -> None:
        self.parameters = parameters
        self.method = method
        self.exchange = exchange
        self.inner_steps = inner_steps
        self.sites = sites
        self.replicas = replicas
        self.tokens_per_step = tokens_per_step

    @property
    def count(self) -> int:
        """Replicas."""
        return sum(one.count for one in self.replicas)

    def inputs(self, link_share: Input) -> dict[str, Input]:
        """Pace of each sort of replica, and the share of its link that an exchange reaches."""
        paces = {
            f"step time of {self.sites[one.site].text}": Input(
                value=one.step_time,
                low=one.step_time * min(1.0, one.spread[0]),
                high=one.step_time * max(1.0, one.spread[1]),
                dimension="s",
                why="80 % interval of the step time",
            )
            for one in self.replicas
        }
        return {**paces, "link share": link_share}

    def __call__(self, given: Mapping[str, Floats]) -> dict[str, Floats]:
        """Results by name: step_time, sync_time, hidden_time, period [s], utilization, rate."""
        step: Floats = 0.0
        for one in self.replicas:
            step = np.maximum(step, given[f"step time of {self.sites[one.site].text}"])
        sync = self.sync_time(given["link share"])
        fragments, overlap = self.method.fragments, self.method.overlap
        hidden = min(fragments * overlap, self.inner_steps) * step
        utilization = compute_utilization(self.inner_steps, step, sync, hidden)
        period = self.inner_steps * step / utilization
        return {
            "step_time": step,
            "sync_time": sync,
            "hidden_time": hidden,
            "period": period,
            "utilization": utilization,
            "rate": self.inner_steps * self.tokens_per_step / period,
        }

    def payload(self, replica: Replica) -> float:
        """What a site of a replica has to average, of one fragment. [B]"""
        whole = self.parameters * self.method.exchanged
        return whole / self.method.fragments / replica.peers

    def send_time(self, replica: Replica) -> float:
        """Of its payload over the whole rate of its link. [s]"""
        return self.payload(replica) / self.sites[replica.site].bandwidth

    @property
    def slowest(self) -> Replica:
        """The replica that all wait for when they exchange."""
        return max(self.replicas, key=self.send_time)

    def sync_time(self, link_share: Floats) -> Floats:
        """All exchanges between two outer steps. [s]"""
        if self.count == 1:
            return 0.0 * link_share
        longest = max(self.sites[one.site].round_trip for one in self.replicas)
        slowest = self.send_time(self.slowest)
        # A payload of so many bytes over a link of 1 B/s takes what the slowest site takes.
        asked = (slowest, float(self.count), 1.0 * link_share, longest)
        if self.exchange == "server":
            # The fastest link serves.
            best = max(self.sites[one.site].bandwidth for one in self.replicas)
            largest = max(self.payload(one) for one in self.replicas)
            one = server_sync_time(*asked, slowest * best * link_share / largest)
        else:
            formula = {
                "ring": ring_sync_time,
                "butterfly": butterfly_sync_time,
                "tree": tree_sync_time,
            }[self.exchange]
            one = formula(*asked)
        return self.method.fragments * one

    def needed_share(self, utilization: float, step_time: float) -> float | None:
        """Share of its link that an exchange must reach for so much computing; above 1: of more.

        None: no link is fast enough, because of how long messages take.
        """
        fragments, overlap = self.method.fragments, self.method.overlap
        hidden = min(fragments * overlap, self.inner_steps) * step_time
        allowed = (1.0 / utilization - 1.0) * self.inner_steps * step_time + hidden
        least = float(self.sync_time(np.inf))
        return float(self.sync_time(1.0) - least) / (allowed - least) if allowed > least else None

    def moved(self) -> float:
        """Bytes that a site sends between two outer steps, at most. [B]"""
        largest = max(self.payload(one) for one in self.replicas) * self.method.fragments
        if self.exchange in ("ring", "butterfly"):
            return 2.0 * (self.count - 1) / self.count * largest
        return largest if self.exchange == "server" else 2.0 * largest
