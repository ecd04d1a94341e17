"""A plan as DeepSpeed's ``ds_config.json`` and a training script on transformers.

Source of what each key means: ``deepspeed/runtime/config.py``, ``runtime/zero/config.py`` and
``runtime/engine.py`` of 0.19.8, whose own `DeepSpeedConfig` reads the result in ``tests/against``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from clusterwright.errors import InputError
from clusterwright.launch.customary import (
    BETAS,
    CLIP,
    LAST,
    WEIGHT_DECAY,
    ask_warmup,
    customary_notes,
)
from clusterwright.launch.deepspeed_script import SCRIPT
from clusterwright.launch.job import TrainingJob
from clusterwright.launch.records import Ask, LaunchFile, Program
from clusterwright.launch.saving import KEPT, ask_interval

VERSION = "DeepSpeed 0.19.8 and transformers 5.23.0"
OWN_CODE = (
    *("aquila", "baichuan", "chatglm", "clusterwright-decoder", "deci", "exaone", "internlm2"),
    *("kimi_k2", "minicpm", "t5"),
)
"""Families of the catalogue that transformers has no decoder of: they bring code of their own."""

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "adam": ("AdamW", {"betas": list(BETAS), "weight_decay": WEIGHT_DECAY}),
    "muon": ("Muon", {"weight_decay": WEIGHT_DECAY}),
    "sgd": ("SGD", {}),
}
"""Names that DeepSpeed knows, or looks up in ``torch.optim``."""

FORMATS = {4.0: "fp32", 2.0: "half"}
ATTENTION = {"fa1": "flash_attention_2", "fa2": "flash_attention_2", "fa3": "flash_attention_3"}


def program(job: TrainingJob) -> Program:
    """What each rank runs.

    Raises
    ------
    InputError
        The plan has something that DeepSpeed, or transformers on it, has not; each is named.
    """
    if not job.plan.question.config:
        raise InputError(
            "the plan does not hold the model's configuration (it was made from a Model, or by an "
            "older version): plan it again from a catalogue name or a config.json"
        )
    if reasons := [*refusals(job), *sharding_refusals(job)]:
        raise InputError(f"DeepSpeed cannot run this plan: {'; '.join(reasons)}")
    files = {
        "ds_config.json": settings(job),
        "job.json": about(job),
        "model/config.json": job.plan.question.config,
    }
    return Program(
        tool="deepspeed",
        version=VERSION,
        start="torchrun",
        command=("train.py",),
        files=(
            LaunchFile(path="train.py", text=SCRIPT),
            *(LaunchFile(path=path, text=_json(data)) for path, data in files.items()),
        ),
        asks=tuple(_asks(job)),
        notes=(*notes(job), *customary_notes(job)),
    )


def _asks(job: TrainingJob) -> Iterator[Ask]:
    yield Ask(variable="DATASET", what="a Hugging Face data set with text: a folder or a name")
    yield Ask(variable="TEXT", what="the column that holds the text", default="text")
    yield Ask(variable="TOKENIZER", what="the tokenizer's Hugging Face name or folder")
    if job.workload.method == "lora":
        yield Ask(variable="WEIGHTS", what="the trained model's Hugging Face name or folder")
    yield Ask(variable="CHECKPOINTS", what="a folder for checkpoints", default="checkpoints")
    yield ask_interval(job, behind=False)
    yield Ask(variable="LR", what="the highest learning rate")
    yield ask_warmup(job)


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2) + "\n"


def refusals(job: TrainingJob) -> Iterator[str]:
    """What of a plan neither DeepSpeed nor transformers on it can do, with the nearest."""
    s, w = job.strategy, job.workload
    question = job.plan.question
    family = str(question.config.get("model_type", ""))
    experts = any(block.experts for block in question.model.blocks)
    found = {
        f"transformers has no {family or 'family without model_type'} (choose a model of a family "
        "that it has)": family in ("", *OWN_CODE),
        "a model of transformers is no list of layers to cut into stages (pin pp=1)": s.pp > 1,
        "experts are not cut over ranks (pin ep=1, etp=1)": s.ep * s.etp > 1,
        "its AutoTP cuts no experts (pin tp=1)": experts and s.tp > 1,
        "its AutoTP has no sequence parallelism (pin sequence_parallel=false)": (
            s.tp > 1 and s.sequence_parallel
        ),
        "tp must divide the key-value heads (pin a smaller tp)": (
            s.tp > 1 and _key_heads(job) % s.tp > 0
        ),
        "its context parallelism exchanges heads (pin context_scheme=all-to-all)": (
            s.cp > 1 and s.context_scheme != "all-to-all"
        ),
        "cp must divide the heads of queries, and the key-value heads or be their multiple": (
            s.cp > 1 and not _heads_exchange(job)
        ),
        "sequence parallelism and AutoTP do not go together (pin tp=1 or cp=1)": (
            s.cp > 1 and s.tp > 1
        ),
        f"it has no {w.precision} products (plan with --precision bf16)": w.precision
        in ("fp8", "mxfp8", "nvfp4"),
        "it has no qlora here (plan with --method lora)": w.method == "qlora",
        "its checkpoints of activations hold whole layers (pin recompute=full or none)": (
            s.recompute == "selective"
        ),
        "it recomputes all layers or none (pin recompute_layers=0)": s.recompute_layers > 0,
        "activations are not offloaded by a key (pin offload=optimizer or none)": s.offload
        in ("activations", "both"),
        "multi-token prediction is not in transformers' loss (plan with --software deepspeed)": (
            question.software.mtp and question.model.mtp_layers > 0
        ),
    }
    yield from (reason for reason, holds in found.items() if holds)


def sharding_refusals(job: TrainingJob) -> Iterator[str]:
    """What of sharding and of the optimizer's formats it cannot do."""
    s, w = job.strategy, job.workload
    plain = w.state_bytes == 4.0 and w.master_weights
    narrow = w.state_bytes == 2.0 and not w.master_weights and w.precision == "bf16" and s.zero > 0
    wide = w.precision in ("fp32", "tf32")
    found = {
        "only weights are shared by groups, with zero 3 (pin shard_group=0 or zero=3)": (
            0 < s.shard_group < s.dp * s.cp and s.zero in (1, 2)
        ),
        "moments are fp32 beside fp32 weights, or bf16 without them (plan with --optimizer-state "
        "fp32)": not plain and not narrow,
        "the optimizer is offloaded from shards alone (pin zero=1 or more)": (
            s.offload == "optimizer" and s.zero == 0
        ),
        f"{w.optimizer} is not offloaded (plan with --optimizer adam)": (
            s.offload == "optimizer" and w.optimizer != "adam"
        ),
        "16-bit weights sum gradients in fp32 or in their own format, not in others": (
            not wide and w.gradient_bytes not in FORMATS
        ),
        "muon is there for zero 1 to 3 in 16 bits (pin zero=1)": (
            w.optimizer == "muon" and (s.zero == 0 or wide)
        ),
        "fp16 gradients are summed in fp16 without zero (pin zero=1)": (
            w.precision == "fp16" and s.zero == 0 and w.gradient_bytes == 4.0
        ),
        "bf16 weights without zero have no fp32 copy (pin zero=1)": (
            w.precision == "bf16" and s.zero == 0
        ),
    }
    yield from (reason for reason, holds in found.items() if holds)


def _key_heads(job: TrainingJob) -> int:
    cores = [core for block in job.plan.question.model.blocks for core in block.cores]
    return min((core.num_kv_heads for core in cores), default=1)


def _heads_exchange(job: TrainingJob) -> bool:
    cores = [core for block in job.plan.question.model.blocks for core in block.cores]
    cp = job.strategy.cp
    return all(
        core.num_heads % cp == 0 and (core.num_kv_heads % cp == 0 or cp % core.num_kv_heads == 0)
        for core in cores
    )


def settings(job: TrainingJob) -> dict[str, Any]:
    """``ds_config.json``; the learning rate and its steps are filled in by the script."""
    s, w = job.strategy, job.workload
    name, parameters = OPTIMIZERS[w.optimizer]
    found: dict[str, Any] = {
        "train_batch_size": w.global_batch,
        "train_micro_batch_size_per_gpu": s.micro_batch,
        "gradient_accumulation_steps": w.global_batch // (s.micro_batch * s.dp),
        "zero_optimization": sharding(job),
        "optimizer": {"type": name, "params": parameters},
        "scheduler": {
            "type": "WarmupCosineLR",
            "params": {"total_num_steps": job.length, "cos_min_ratio": LAST},
        },
        "gradient_clipping": CLIP,
        "steps_per_print": 1,
        "wall_clock_breakdown": True,
        "flops_profiler": {"enabled": True, "profile_step": 10, "detailed": False},
        "tensorboard": {"enabled": True, "output_path": "logs", "job_name": "train"},
        **formats(job),
    }
    if w.optimizer == "sgd" and s.zero:
        found["zero_allow_untested_optimizer"] = True
    if s.tp > 1:
        found["tensor_parallel"] = {"autotp_size": s.tp, "tp_overlap_comm": s.overlap_tp}
    return found


def sharding(job: TrainingJob) -> dict[str, Any]:
    """The block ``zero_optimization``."""
    s = job.strategy
    found: dict[str, Any] = {"stage": s.zero, "overlap_comm": s.overlap_dp}
    if s.zero == 3:
        found["stage3_gather_16bit_weights_on_model_save"] = True
        if 0 < s.shard_group < s.dp * s.cp:
            found["zero_hpz_partition_size"] = s.shard_group
    if s.offload == "optimizer":
        found["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    return found


def formats(job: TrainingJob) -> dict[str, Any]:
    """Number formats of weights, of gradients and of what the optimizer keeps."""
    w = job.workload
    if w.precision in ("fp32", "tf32"):
        return {}
    found: dict[str, Any] = {w.precision: {"enabled": True}}
    if not w.master_weights:
        found[w.precision] |= {"bf16_master_weights_and_grads": True, "bf16_optimizer_states": True}
    form = FORMATS[w.gradient_bytes]
    found["data_types"] = {"grad_accum_dtype": w.precision if form == "half" else form}
    return found


def about(job: TrainingJob) -> dict[str, Any]:
    """``job.json``: what the script needs beside DeepSpeed's settings."""
    s, w, software = job.strategy, job.workload, job.plan.question.software
    kernel = ATTENTION.get(software.attention_kernel, "sdpa")
    return {
        "sequence_length": w.sequence_length,
        "steps": job.length,
        "checkpoints_kept": KEPT,
        "tensor_parallel": s.tp,
        "sequence_parallel": s.cp,
        "micro_batch": s.micro_batch,
        "precision": w.precision,
        "checkpoint_activations": s.recompute == "full",
        "attention": kernel if w.flash_attention else "eager",
        "compile": software.fused,
        "lora_rank": w.lora_rank if w.method == "lora" else 0,
    }


def notes(job: TrainingJob) -> Iterator[str]:
    """What differs from the plan, and what a person should look at."""
    s, w = job.strategy, job.workload
    if 0 < s.shard_group < s.dp * s.cp and s.zero == 3:
        yield (
            f"Each group of {s.shard_group} keeps a copy of the weights (hpz); gradients and the "
            "optimizer's states stay sharded over all ranks, which holds less than planned"
        )
    if w.dropout:
        yield "Dropout is what config.json says, not what the plan took"
    if w.method == "lora":
        yield "Adapters stand beside every linear layer; WEIGHTS are loaded by every host"
    if any(block.experts for block in job.plan.question.model.blocks):
        yield "Experts are computed as transformers does it, which the plan takes to be one kernel"
