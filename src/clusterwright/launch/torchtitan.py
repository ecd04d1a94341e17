"""A plan as a recipe for torchtitan: a Python module that returns its configuration.

Source of what each field means: ``torchtitan/config/configs.py`` and ``torchtitan/trainer.py`` of
0.3.0, whose own `ConfigManager` reads the result in ``tests/against``. Its command line is frozen
and its TOML files are gone: a recipe is how it is configured.
"""

from __future__ import annotations

from collections.abc import Iterator

from clusterwright.errors import InputError
from clusterwright.launch.architecture import Architecture, architecture_of
from clusterwright.launch.customary import ask_warmup, customary_notes
from clusterwright.launch.job import TrainingJob
from clusterwright.launch.records import Ask, LaunchFile, Program
from clusterwright.launch.saving import ask_interval
from clusterwright.launch.torchtitan_model import FAMILIES
from clusterwright.launch.torchtitan_recipe import LOW, compiled, recipe, sharded_over

VERSION = "torchtitan 0.3.0"
MODULE = "clusterwright_plan"
"""Of the recipe: the folder is on Python's path, where a plainer name could hide a package."""


def program(job: TrainingJob) -> Program:
    """What each rank runs.

    Raises
    ------
    InputError
        The plan has something that torchtitan has not; every such thing is named.
    """
    model = architecture_of(job.plan.question.config)
    if reasons := [*network_refusals(job, model), *refusals(job)]:
        raise InputError(f"torchtitan cannot run this plan: {'; '.join(reasons)}")
    return Program(
        tool="torchtitan",
        version=VERSION,
        start="torchrun",
        command=("-m", "torchtitan.train", "--module", MODULE, "--config", "train"),
        files=(LaunchFile(path=f"{MODULE}.py", text=recipe(job, model)),),
        asks=(
            Ask(variable="TOKENIZER", what="a folder with the tokenizer's Hugging Face files"),
            Ask(
                variable="DATASET",
                what="a name in torchtitan's DATASETS (DATA_PATH: where a copy of it lies)",
                default="c4",
            ),
            Ask(variable="OUTPUTS", what="a folder for checkpoints and logs", default="outputs"),
            ask_interval(job, behind=True),
            Ask(variable="LR", what="the highest learning rate"),
            ask_warmup(job),
            Ask(variable="PROFILE_EVERY", what="steps between profiles", default="1000"),
        ),
        notes=(*notes(job, model), *customary_notes(job)),
    )


def network_refusals(job: TrainingJob, model: Architecture) -> Iterator[str]:
    """What of the network torchtitan's own models do not have."""
    s, mixture = job.strategy, model.mixture
    if model.family not in FAMILIES:
        yield f"it has no {model.family} (of yours it has {', '.join(FAMILIES)})"
        return
    rotation = model.rope_scaling.get("rope_type") or model.rope_scaling.get("type")
    found = {
        "its layers have no biases": model.qkv_bias or model.linear_bias,
        f"its model has no {rotation} rotary scaling": rotation
        not in (None, "default", FAMILIES[model.family].scaling),
        "tied embeddings have no pipeline there (pin pp=1)": model.tied and s.pp > 1,
        f"tp must divide the {model.num_kv_heads} key-value heads (pin a smaller tp)": (
            model.latent is None and model.num_kv_heads % s.tp > 0
        ),
        "its latent attention comes with shared experts": (
            model.latent is not None and mixture is not None and not mixture.shared_width
        ),
        "its latent attention has no layers without experts in between": (
            model.latent is not None and mixture is not None and mixture.every > 1
        ),
        "multi-token prediction is not in the recipe (plan with --software torchtitan)": (
            job.plan.question.software.mtp and model.mtp_layers > 0
        ),
        "adapters beside latent attention have no tensor parallelism (pin tp=1)": (
            model.latent is not None and s.tp > 1 and job.workload.method == "lora"
        ),
        "nvfp4 is there for dense networks alone (plan with --precision mxfp8)": (
            mixture is not None and job.workload.precision == "nvfp4"
        ),
    }
    yield from (reason for reason, holds in found.items() if holds)


def refusals(job: TrainingJob) -> Iterator[str]:
    """What of the strategy and the workload torchtitan cannot do, with the nearest that it can."""
    s, w = job.strategy, job.workload
    experts = any(block.experts for block in job.plan.question.model.blocks)
    group = sharded_over(s)
    micro_batches = w.global_batch // (s.dp * s.micro_batch)
    parts = s.tp * (1 if s.cp == 1 else 2 * s.cp)
    found = {
        f"it has no {w.precision} (plan with --precision bf16)": w.precision in ("fp16", "tf32"),
        f"it has no {w.optimizer} without layouts written by hand (plan with --optimizer adam)": (
            w.optimizer != "adam"
        ),
        "it has no qlora (plan with --method lora)": w.method == "qlora",
        "it has no 8-bit moments (plan with --optimizer-state bf16)": w.state_bytes < 2.0,
        "its weights are kept in fp32 (choose software with a copy in fp32)": (
            not w.master_weights
        ),
        "it has no dropout (choose software without)": w.dropout,
        "its attention is fused (choose software with flash attention)": not w.flash_attention,
        f"it has no {s.schedule} (its dualpipe-v keeps one copy of the weights; pin "
        "schedule=1f1b)": s.schedule == "dualpipe",
        "its zero-bubble schedule takes no compiled layers (pin schedule=1f1b)": (
            s.schedule == "zero-bubble" and compiled(job)
        ),
        f"its zero-bubble schedule works in equal rounds of {s.pp} micro-batches or more (pin "
        "another micro_batch)": (
            s.schedule == "zero-bubble" and micro_batches % max(1, micro_batches // s.pp) > 0
        ),
        f"its pipeline needs as many micro-batches as stages: {s.pp} or more, not "
        f"{micro_batches} (pin a smaller pp or micro_batch)": (
            s.vpp == 1 and s.schedule in ("1f1b", "gpipe") and micro_batches < s.pp
        ),
        "it cannot offload the optimizer alone or activations (pin offload=none)": (
            s.offload != "none"
        ),
        "it recomputes all layers or none (pin recompute_layers=0)": s.recompute_layers > 0,
        "its context parallelism gathers keys and values (pin context_scheme=all-gather)": (
            s.cp > 1 and s.context_scheme != "all-gather"
        ),
        f"the sequence must be a multiple of {parts} (of tp, and of 2 x cp)": (
            w.sequence_length % parts > 0
        ),
        "it always shards weights over context-parallel ranks (pin zero=1 or more)": (
            s.cp > 1 and s.zero == 0
        ),
        "shards span whole context-parallel groups (pin a shard_group that cp divides)": (
            group % s.cp > 0
        ),
        "experts are cut by tp without ep and not with it (pin etp=tp for ep=1, else etp=1)": (
            experts and s.etp != (s.tp if s.ep == 1 else 1)
        ),
        "ep must divide the ranks of a shard group times tp (pin zero=2, shard_group=0)": (
            group * s.tp % s.ep > 0
        ),
        "a pipeline chunk without layers has no equal (pin a smaller pp or vpp)": (
            0 in job.chunks[1:-1] or (0 in job.chunks and s.pp == 1)
        ),
    }
    yield from (reason for reason, holds in found.items() if holds)


def notes(job: TrainingJob, model: Architecture) -> Iterator[str]:
    """What differs from the plan, and what a person should look at."""
    s, w, software = job.strategy, job.workload, job.plan.question.software
    if model.assumed:
        yield (
            f"The configuration does not say {', '.join(model.assumed)}: that is the family's "
            f"default; plan from the model's own config.json to carry its values"
        )
    if s.zero == 1 and s.pp == 1 and s.dp * s.cp > 1:
        yield "torchtitan shards gradients with the optimizer's states: less memory than planned"
    if s.zero and s.zero < 3 and s.dp * s.cp > 1:
        yield (
            "Weights are gathered once a step in the plan, and for each micro-batch of a job "
            "without a pipeline by torchtitan"
        )
    if w.gradient_bytes != 4.0:
        yield "torchtitan reduces gradients in fp32; the plan took 16 bits"
    if s.recompute == "selective" and software.selective != "operators":
        yield "Its selective recompute drops every second product; the plan's drops less"
    if w.precision in LOW and not software.fused:
        yield "Compiled, as 8-bit and 4-bit products are slow there otherwise; the plan is eager"
    if s.overlap_tp and s.tp > 1 and not software.fused:
        yield "Compiled, as its asynchronous tensor parallelism needs; the plan is eager"
    if w.method == "lora":
        yield "Adapters stand on weights that OUTPUTS/checkpoint must hold: convert them first"
