"""A plan for training as exporters need it: hosts, chunks of layers, sizes that multiply out."""

from __future__ import annotations

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.records import Record
from clusterwright.site.machine import host_size
from clusterwright.strategy import Strategy
from clusterwright.training.plan import TrainingPlan
from clusterwright.training.stages import dealing_of
from clusterwright.workload import TrainingWorkload

TRIAL = 100
"""Steps of a run whose tokens nobody said."""

DEVICES = {"NVIDIA": "nvidia.com/gpu", "AMD": "amd.com/gpu", "Intel": "habana.ai/gaudi"}
"""What Kubernetes calls a vendor's accelerators, by its device plugin."""


class TrainingJob(Record, frozen=True, kw_only=True):
    """One training run on its hosts.

    ``hosts`` of ``per_host`` accelerators are all that the strategy uses, ``whole``: and nobody
    else has a part of a host. ``chunks``: layers of each pipeline chunk in the model's order;
    ``head_chunk``: which one holds the loss head.
    """

    plan: TrainingPlan
    hosts: int
    per_host: int
    whole: bool
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
    def length(self) -> int:
        """Optimizer steps that are launched: all of the run, or enough to see how fast it is."""
        return self.steps or TRIAL

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
    host = per_host or host_size(question.cluster, catalogue)
    size = per_host or min(count, host)
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
        whole=size == host,
        chunks=tuple(int(size) for size in sizes),
        head_chunk=int(head),
    )
