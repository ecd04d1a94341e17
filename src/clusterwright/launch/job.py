"""A plan for training as exporters need it: hosts, chunks of layers, sizes that multiply out."""

from __future__ import annotations

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.hardware import Cluster
from clusterwright.records import Record
from clusterwright.strategy import Strategy
from clusterwright.training.plan import TrainingPlan
from clusterwright.training.stages import dealing_of
from clusterwright.workload import TrainingWorkload

USUAL_HOST = 8
"""Accelerators of a host where nobody says more."""

DEVICES = {"NVIDIA": "nvidia.com/gpu", "AMD": "amd.com/gpu", "Intel": "habana.ai/gaudi"}
"""What Kubernetes calls a vendor's accelerators, by its device plugin."""


class TrainingJob(Record, frozen=True, kw_only=True):
    """One training run on its hosts.

    ``hosts`` of ``per_host`` accelerators are all that the strategy uses. ``chunks``: layers of
    each pipeline chunk in the model's order; ``head_chunk``: which one holds the loss head.
    """

    plan: TrainingPlan
    hosts: int
    per_host: int
    chunks: tuple[int, ...]
    head_chunk: int

    @property
    def strategy(self) -> Strategy:
        """How the job is cut and run."""
        return self.plan.best.strategy

    @property
    def workload(self) -> TrainingWorkload:
        """What is trained."""
        return self.plan.question.workload

    @property
    def steps(self) -> int | None:
        """Optimizer steps of the whole run, where its tokens are known."""
        return None if self.plan.totals is None else int(self.plan.totals.steps)

    @property
    def samples(self) -> int | None:
        """Sequences of the whole run, where its tokens are known."""
        return None if self.steps is None else self.steps * self.workload.global_batch

    @property
    def device(self) -> str:
        """What a scheduler calls its accelerators."""
        return DEVICES.get(self.plan.question.cluster.accelerator.vendor, "gpu")


def training_job(plan: TrainingPlan, catalogue: Catalogue, *, per_host: int = 0) -> TrainingJob:
    """Lay a plan's best strategy over hosts.

    Parameters
    ----------
    per_host
        Accelerators of one host; 0: as the catalogue knows the machine.

    Raises
    ------
    InputError
        When hosts of that size cannot be filled evenly.
    """
    question, strategy = plan.question, plan.best.strategy
    count = strategy.accelerators
    size = per_host or min(count, host_size(question.cluster, catalogue))
    if size < 1 or count % size:
        raise InputError(
            f"{count:,} accelerators do not fill hosts of {size}: give --per-host a divisor of "
            f"{count:,}"
        )
    dealing = dealing_of(
        question.model,
        question.workload.sequence_length,
        by_weight=question.software.stages_by_weight,
    )
    sizes, head = dealing.chunks(question.model.num_layers, strategy.pp * strategy.vpp)
    return TrainingJob(
        plan=plan,
        hosts=count // size,
        per_host=size,
        chunks=tuple(int(size) for size in sizes),
        head_chunk=int(head),
    )


def host_size(cluster: Cluster, catalogue: Catalogue) -> int:
    """Accelerators that share one operating system.

    The node of the catalogue's cluster, or the usual one of its accelerator, by its number of
    hosts; else the scale-up domain, at most `USUAL_HOST`.
    """
    for kind, name in (("clusters", cluster.id), ("accelerators", cluster.accelerator.id)):
        entry = catalogue.entries(kind).get(name)
        if entry is not None and entry.text("node"):
            node = catalogue.entry("nodes", entry.text("node")).data
            return max(1, int(node["accelerators"]) // int(node.get("hosts") or 1))
    return max(1, min(USUAL_HOST, cluster.levels[0].size))
