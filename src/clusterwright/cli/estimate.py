"""``clusterwright estimate train``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from clusterwright.asking import ask_training, catalogue_with
from clusterwright.cli.options import JobOptions, MachineOptions, Whole, write, write_json
from clusterwright.planner import estimate_question
from clusterwright.report.text import estimate_text

JOB, MACHINE = JobOptions(), MachineOptions()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StrategyOptions:
    """How to run it.

    Parameters
    ----------
    tp
        Tensor parallelism.
    cp
        Context parallelism.
    pp
        Pipeline stages.
    vpp
        Chunks of layers per pipeline rank (interleaving).
    dp
        Data parallelism [default: what the accelerators leave].
    ep
        Expert parallelism, over the ranks of dp x cp x tp.
    etp
        Tensor parallelism of the experts.
    micro_batch
        Sequences per data-parallel rank and micro-step.
    zero
        Sharding: 0 none, 1 optimizer states, 2 and gradients, 3 and weights (FSDP).
    shard_group
        Ranks that the sharding spans (0: all; fewer is HSDP).
    recompute
        Activations computed again in the backward pass.
    recompute_layers
        With full recompute: layers per pipeline rank (0: all).
    schedule
        Pipeline schedule.
    context_scheme
        How context-parallel ranks exchange keys and values.
    offload
        What is kept in host memory.
    sequence_parallel
        Cut norms and residuals over tp as well.
    """

    tp: Whole = 1
    cp: Whole = 1
    pp: Whole = 1
    vpp: Whole = 1
    dp: Whole | None = None
    ep: Whole = 1
    etp: Whole = 1
    micro_batch: Whole = 1
    zero: Literal[0, 1, 2, 3] = 1
    shard_group: Whole = 0
    recompute: Literal["none", "selective", "full"] = "none"
    recompute_layers: Whole = 0
    schedule: Literal["1f1b", "interleaved", "zero-bubble", "dualpipe", "gpipe"] = "1f1b"
    context_scheme: Literal["all-gather", "ring", "all-to-all"] = "ring"
    offload: Literal["none", "optimizer", "activations", "both"] = "none"
    sequence_parallel: bool = True


STRATEGY = StrategyOptions()


def train(
    model: str,
    /,
    *,
    strategy: StrategyOptions = STRATEGY,
    job: JobOptions = JOB,
    machine: MachineOptions = MACHINE,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Time, memory and losses of one given training strategy.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
    json
        Print the estimate as JSON.
    """
    facts = catalogue_with(machine.catalogue)
    question = ask_training(model, catalogue=facts, **machine.place(), **job.workload())
    estimate = estimate_question(question, **vars(strategy))
    if json:
        write_json(estimate)
    else:
        write(estimate_text(question, estimate))
