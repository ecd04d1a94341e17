"""What the parts of a training step make of an accelerator's power."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterwright.catalogue.store import Catalogue
from clusterwright.facts import usual
from clusterwright.formulas.power import phase_power
from clusterwright.uncertain import Input

Floats = Any

PARTS = {
    "compute_share": ("ideal", "extra work", "kernels", "recompute"),
    "memory_share": ("memory-bound", "optimizer"),
    "traffic_share": ("tp", "cp", "ep", "pp", "dp", "offload"),
}
"""Terms of a step's waterfall by what keeps the accelerator busy in them; in others it is idle."""
LEVELS = {
    "compute_level": "power-compute",
    "memory_level": "power-memory",
    "traffic_level": "power-communication",
    "idle_level": "power-idle",
}
"""Power over the board's in each, by default of the catalogue."""


def shares_of(times: Mapping[str, float]) -> dict[str, float]:
    """Shares of a step's time by what keeps accelerators busy, from its terms. [s]

    >>> shares_of({"ideal": 3.0, "tp": 1.0, "bubble": 4.0})
    {'compute_share': 0.375, 'memory_share': 0.0, 'traffic_share': 0.125}
    """
    kept = {name: max(time, 0.0) for name, time in times.items()}
    total = sum(kept.values())
    return {
        share: sum(kept.get(name, 0.0) for name in names) / total for share, names in PARTS.items()
    }


def level_inputs(catalogue: Catalogue) -> dict[str, Input]:
    """Power of an accelerator over its board's while it computes, moves data, or waits. [1]"""
    return {name: usual(catalogue, default) for name, default in LEVELS.items()}


def load_of(x: Mapping[str, Floats]) -> Floats:
    """How far a step's mix of phases takes a node from idle to the most it was seen to draw. [1]"""
    mixed = phase_power(
        compute_share=x["compute_share"],
        memory_share=x["memory_share"],
        traffic_share=x["traffic_share"],
        compute_power=x["compute_level"],
        memory_power=x["memory_level"],
        traffic_power=x["traffic_level"],
        idle_power=x["idle_level"],
    )
    return (mixed - x["idle_level"]) / (x["compute_level"] - x["idle_level"])
