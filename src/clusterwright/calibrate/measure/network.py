"""Measured collectives to a communication library of one's own, and the level that it drives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from clusterwright.calibrate.measure.fits import Fitted, fit_line, rows_of
from clusterwright.calibrate.measure.journal import Measured
from clusterwright.efficiency import Evidence

WAYS = ("all_reduce", "all_gather", "reduce_scatter", "message")
ROUNDS = {"all_reduce": 2.0, "all_gather": 1.0, "reduce_scatter": 1.0}


class Network(NamedTuple):
    """What processes reach among themselves.

    ``bandwidth`` [B/s] and ``latency`` [s]: of a message from one to the next; ``lines``: of each
    collective, by the bytes of its buffer; ``slowdown``: what an all-reduce beside products costs
    them, as a share of its own time. [1]
    """

    processes: int
    bandwidth: float
    latency: float
    lines: dict[str, Fitted]
    slowdown: float

    @property
    def evidence(self) -> dict[str, Evidence]:
        """How far each line is from what was measured."""
        return {way: line.evidence for way, line in self.lines.items()}

    @property
    def gather_share(self) -> float:
        """Share of the level's rate that a ring's gathers reach. [1]"""
        return self.share("all_gather")

    def share(self, way: str) -> float:
        """Share of the level's rate that the rings of a collective reach. [1]"""
        if way == "message":
            return 1.0
        passes = ROUNDS[way] * (self.processes - 1.0) / self.processes
        return passes / (self.bandwidth * self.lines[way].values["inverse"])

    def protocol(self, way: str) -> dict[str, Any]:
        """Return the protocol whose time is the line, for as many processes as were measured."""
        steps = 1.0 if way == "message" else ROUNDS[way] * (self.processes - 1.0)
        hop, share = self.lines[way].values["latency"] / steps, self.share(way)
        return {
            "name": way.replace("_", "-"),
            "base": 0.0,
            "hop": hop,
            "network_hop": hop,
            "share": share,
            "network_share": share,
        }

    def entry(self, name: str, origin: dict[str, Any]) -> dict[str, Any]:
        """Return the entry of kind ``settings`` that a `CommunicationLibrary` is read from."""
        rings = {way: [self.protocol(way)] for way in WAYS}
        evidence = self.evidence.values()
        return {
            "id": f"collectives-{name}",
            "name": "Collectives of this machine's processes",
            "profiles": [name],
            "source": origin["source"],
            "checked": origin["checked"],
            "hop_reference": self.latency,
            "network_hop_reference": self.latency,
            "overlap_slowdown": self.slowdown,
            "rows": sum(one.rows for one in evidence),
            "residual": max(one.residual or 0.0 for one in evidence),
            "ring": rings["all_gather"],
            "all_reduce_ring": rings["all_reduce"],
            "scatter_ring": rings["reduce_scatter"],
            "message": rings["message"],
            # Not measured: an exchange of all with all is taken to be as quick as a gather.
            "exchange": rings["all_gather"],
        }


def network_of(measured: tuple[Measured, ...], processes: int) -> Network | None:
    """Fit every collective; None where one process has nobody to talk to.

    Raises
    ------
    InputError
        Too little was measured.
    """
    if processes == 1:
        return None
    lines = {way: fit_line(measured, way) for way in WAYS}
    message = lines["message"].values
    return Network(
        processes=processes,
        bandwidth=1.0 / message["inverse"],
        latency=message["latency"],
        lines=lines,
        slowdown=_slowdown(measured, lines["all_reduce"]),
    )


def _slowdown(measured: tuple[Measured, ...], all_reduce: Fitted) -> float:
    """Time that products lose to an all-reduce beside them, over its own; none is gained. [1]"""
    alone, beside = (rows_of(measured, "overlap", way) for way in ("alone", "beside"))
    order = [np.argsort(rows.sizes["bytes"]) for rows in (alone, beside)]
    lost = beside.seconds[order[1]] - alone.seconds[order[0]]
    sizes = alone.sizes["bytes"][order[0]]
    own = all_reduce.values["latency"] + all_reduce.values["inverse"] * sizes
    return float(max(0.0, np.median(lost / own)))
