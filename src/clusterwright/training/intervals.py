"""How far a measured step time may lie from the predicted one: intervals by what makes them differ.

A group says how runs like it came out against their predictions (`calibrate intervals` makes the
table, `validate` reports its coverage). Groups are ordered from the particular to the general; the
first that applies is taken, so that what was never measured gets the wide interval of its like.
"""

from __future__ import annotations

from typing import Literal

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.errors import CatalogueError
from clusterwright.model.records import Model
from clusterwright.records import Record
from clusterwright.workload import TrainingWorkload

Kind = Literal["dense", "sparse", "adapters"]
"""Kind of job: plain decoder, mixture of experts or recurrent layers, low-rank adapters."""

Chip = Literal["measured", "borrowed"]
"""Whether kernels of the chip's generation were measured, or a neighbour's stand in."""

Scale = Literal["node", "nodes"]
"""Whether a job stays inside one node."""


class Circumstances(Record, frozen=True, kw_only=True):
    """What intervals depend on."""

    software: str
    chip: Chip
    kind: Kind
    scale: Scale


class IntervalGroup(Record, frozen=True, kw_only=True):
    """Runs alike, and the 10 % and 90 % quantiles of measured over predicted time among them.

    An empty field applies to all. ``rows``, ``sources``: what the quantiles were taken from.
    """

    low: float
    high: float
    software: str = ""
    chip: Chip | Literal[""] = ""
    kind: Kind | Literal[""] = ""
    scale: Scale | Literal[""] = ""
    rows: int = 0
    sources: int = 0

    def __post_init__(self) -> None:
        """Refuse bounds that are no interval."""
        if not 0.0 < self.low <= self.high:
            raise CatalogueError(
                f"settings 'intervals': low {self.low:g} and high {self.high:g} are no interval: "
                f"give 0 < low <= high"
            )

    @property
    def description(self) -> str:
        """Which runs the group holds, in words."""
        kernels = f"{self.chip} kernels" if self.chip else ""
        scale = {"node": "one node", "nodes": "several nodes", "": ""}[self.scale]
        words = (self.software, self.kind, kernels, scale)
        return ", ".join(word for word in words if word) or "all"

    def applies_to(self, circumstances: Circumstances) -> bool:
        """Whether every field that is given agrees."""
        names = Circumstances.__struct_fields__
        return all(getattr(self, n) in ("", getattr(circumstances, n)) for n in names)


class Intervals(Record, frozen=True, kw_only=True):
    """Groups, the most particular first; the last applies to all."""

    groups: tuple[IntervalGroup, ...]

    def of_software(self, identifier: str) -> Intervals:
        """Return the groups that can apply to one framework."""
        return Intervals(groups=tuple(g for g in self.groups if g.software in ("", identifier)))

    def group_for(self, circumstances: Circumstances) -> IntervalGroup:
        """Return the first group that applies.

        Raises
        ------
        CatalogueError
            When none does: the last must apply to all.
        """
        for group in self.groups:
            if group.applies_to(circumstances):
                return group
        raise CatalogueError(
            "settings 'intervals': no group applies to this job: "
            "add a last one that has no software, chip, kind or scale"
        )


def circumstances_of(
    model: Model,
    workload: TrainingWorkload,
    profile: EfficiencyProfile,
    *,
    software: str,
    num_nodes: float,
) -> Circumstances:
    """Return what an estimate's interval depends on.

    Parameters
    ----------
    software
        Id of the framework.
    num_nodes
        Scale-up domains that the job uses. [1]
    """
    return Circumstances(
        software=software,
        chip="measured" if profile.is_measured else "borrowed",
        kind=kind_of(model, workload),
        scale="node" if num_nodes <= 1.0 else "nodes",
    )


def kind_of(model: Model, workload: TrainingWorkload) -> Kind:
    """Return the kind of job."""
    if workload.method != "full":
        return "adapters"
    recurrent = any(core.kind == "linear" for block in model.blocks for core in block.cores)
    experts = any(block.experts for block in model.blocks)
    return "sparse" if recurrent or experts else "dense"
