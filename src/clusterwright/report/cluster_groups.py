"""Where the groups of a strategy lie on a cluster's levels, as ranks and as words.

Ranks are numbered as Megatron numbers them by default, and as the traffic of a plan is counted:
tensor-parallel ranks side by side, then context-, then data-parallel ones, pipeline stages
farthest apart; experts are cut over what lies inside a stage. Rank r runs on accelerator r.

References
----------
.. [1] D. Narayanan et al., "Efficient large-scale language model training on GPU clusters," SC21.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.errors import InputError
from clusterwright.hardware import Cluster
from clusterwright.records import Record
from clusterwright.strategy import Strategy
from clusterwright.units import format_quantity

Array = Any

PLACES = ("node", "rack", "cabinet", "group", "pod", "superpod", "zone", "island", "cluster")
"""Names of levels that say what is there; others name the links between."""

WRITTEN = {"nvlink": "NVLink", "pcie": "PCIe", "gcu-lare": "GCU-LARE"}
"""How links are written that the catalogue names by their kind."""


class Group(Record, frozen=True, kw_only=True):
    """The group of one axis that the first rank is in.

    ``size``: its members; ``stride``: from one to the next. [1] ``words``: where they lie.
    """

    axis: str
    size: int
    stride: int
    words: str = ""

    @property
    def ranks(self) -> Array:
        """The members. (size,)"""
        return self.stride * np.arange(self.size)


def groups_of(strategy: Strategy, cluster: Cluster) -> tuple[Group, ...]:
    """Return the first rank's group of every axis that is cut, from inside out.

    Raises
    ------
    InputError
        The strategy needs more accelerators than there are.
    """
    if strategy.accelerators > cluster.count:
        raise InputError(
            f"the strategy needs {strategy.accelerators:,} accelerators but {cluster.name} has "
            f"{cluster.count:,}; choose a smaller dp"
        )
    inside = strategy.tp * strategy.cp
    axes = (
        ("tp", strategy.tp, 1),
        ("cp", strategy.cp, strategy.tp),
        ("etp", strategy.etp, 1),
        ("ep", strategy.ep, strategy.etp),
        ("dp", strategy.dp, inside),
        ("pp", strategy.pp, inside * strategy.dp),
    )
    found = (Group(axis=axis, size=size, stride=stride) for axis, size, stride in axes if size > 1)
    return tuple(
        Group(axis=one.axis, size=one.size, stride=one.stride, words=_where(one, cluster))
        for one in found
    )


def level_name(cluster: Cluster, level: int) -> str:
    """Return a level's name as people write it."""
    name = cluster.levels[level].name
    return WRITTEN.get(name, name)


def unit_name(cluster: Cluster, level: int, number: int = 1) -> str:
    """Return what one domain of a level is called; level -1 is an accelerator.

    >>> from clusterwright.hardware import Accelerator, Level
    >>> chip = Accelerator(id="a", name="A", vendor="v", kind="gpu", peaks={})
    >>> levels = [
    ...     Level(name=n, size=s, bandwidth=1.0, latency=0.0)
    ...     for n, s in (("NVLink", 8), ("pod", 64))
    ... ]
    >>> one = Cluster(id="c", name="C", accelerator=chip, count=64, levels=tuple(levels))
    >>> unit_name(one, -1, 8), unit_name(one, 0, 2), unit_name(one, 1)
    ('accelerators', 'NVLink domains', 'pod')
    """
    if level < 0:
        name = "accelerator"
    else:
        name = level_name(cluster, level)
        name = name if name in PLACES else f"{name} domain"
    return name if number == 1 else f"{name}s"


def units_touched(ranks: Array, unit_size: int) -> Array:
    """Return the numbers of the units that hold some of the ranks, rising."""
    return np.unique(ranks // unit_size)


def _where(group: Group, cluster: Cluster) -> str:
    """Say in which domain a group lies, over how many of the next smaller, at what rate."""
    sizes = [level.size for level in cluster.levels]
    holds = next(k for k, size in enumerate(sizes) if units_touched(group.ranks, size).size == 1)
    rate = format_quantity(cluster.levels[holds].bandwidth, "B/s")
    apart = f"{group.stride:,} accelerators apart, " if group.stride > 1 else ""
    if holds == 0:
        return f"{apart}inside one {unit_name(cluster, 0)}, at {rate} per accelerator"
    parts = int(units_touched(group.ranks, sizes[holds - 1]).size)
    of = "" if holds == len(sizes) - 1 else f" of one {unit_name(cluster, holds)}"
    over = f"over {parts:,} {unit_name(cluster, holds - 1, parts)}{of}"
    return f"{apart}{over}, at {rate} per accelerator"
