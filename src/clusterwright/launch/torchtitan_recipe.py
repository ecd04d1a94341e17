"""The recipe itself: how a plan's job is cut and run, in torchtitan's own configuration."""

from __future__ import annotations

from typing import Any

from clusterwright.launch.architecture import Architecture
from clusterwright.launch.customary import BETAS, CLIP, LAST, WEIGHT_DECAY
from clusterwright.launch.job import TrainingJob
from clusterwright.launch.python import Code, call, function
from clusterwright.launch.saving import KEPT
from clusterwright.launch.torchtitan_model import FAMILIES, builders, imports
from clusterwright.strategy import Strategy

LOW = {
    "fp8": ("Float8LinearConverter", "Float8GroupedExpertsConverter"),
    "mxfp8": ("MXFP8LinearConverter", "MXFP8GroupedExpertsConverter"),
    "nvfp4": ("NVFP4LinearConverter", ""),
}
"""Formats below 16 bits: what converts products, and the grouped products of experts."""

SCHEDULES = {
    "1f1b": "1F1B",
    "interleaved": "Interleaved1F1B",
    "gpipe": "GPipe",
    "zero-bubble": "InterleavedZeroBubble",
}
ADAPTED = {
    "input": ("wqkv", "wq", "wq_a", "wq_b", "wkv_a", "wkv_b"),
    "output": ("wo",),
    "feed-forward": ("w1", "w2", "w3"),
}
"""Layers that adapters stand beside, by torchtitan's names."""

IMPORTS = (
    "from torchtitan.components.checkpoint import CheckpointManager",
    "from torchtitan.components.loss import ChunkedLossWrapper, CrossEntropyLoss",
    "from torchtitan.components.metrics import MetricsProcessor",
    "from torchtitan.components.optimizer import LRSchedulersContainer",
    "from torchtitan.components.optimizer import OptimizersContainer, ParamGroupConfig",
    "from torchtitan.config import CompileConfig, ParallelismConfig, TrainingConfig",
    "from torchtitan.distributed.pipeline_parallel import pipeline_llm",
    "from torchtitan.hf_datasets.text_datasets import HuggingFaceTextDataLoader",
    "from torchtitan.protocols.model_spec import ModelSpec",
    "from torchtitan.tools.profiler import Profiler",
    "from torchtitan.trainer import Trainer",
)
CHECKPOINTING = {"selective": "SelectiveAC", "full": "FullAC"}


def sharded_over(s: Strategy) -> int:
    """Ranks that share a copy of the weights; one, where nothing is sharded."""
    return 1 if s.zero == 0 else s.shard_group or s.dp * s.cp


def recipe(job: TrainingJob, model: Architecture) -> str:
    """The module: builders of the network, and ``train``, which torchtitan calls."""
    name = job.plan.question.model.name
    about = f'"""{name} on torchtitan 0.3.0, as planned: see README.md."""'
    head = ["import os", "from functools import partial", "", "from torch import nn"]
    lines = sorted([*IMPORTS, *imports(model), *_chosen_imports(job, model)])
    text = "\n".join([about, "", *head, *lines])
    return "\n\n".join([text + "\n", builders(job, model), _spec(job, model), _train(job, model)])


def _chosen_imports(job: TrainingJob, model: Architecture) -> list[str]:
    """What only some recipes use."""
    lines = []
    if job.strategy.recompute != "none":
        name = CHECKPOINTING[job.strategy.recompute]
        lines += [f"from torchtitan.distributed.activation_checkpoint import {name}"]
    if names := [name for name, _ in _converters(job, model)]:
        places = {True: "lora", False: "quantization"}
        for lora in (True, False):
            some = [name for name in names if (name == "LoRAConverter") is lora]
            if some:
                lines += [f"from torchtitan.components.{places[lora]} import {', '.join(some)}"]
    if model.mixture is not None:
        lines += ["from torchtitan.components.optimizer import register_moe_load_balancing_hook"]
    return lines


def _converters(job: TrainingJob, model: Architecture) -> list[tuple[str, dict[str, Any]]]:
    """What changes the network's products, in torchtitan's order: formats, then adapters."""
    w = job.workload
    found: list[tuple[str, dict[str, Any]]] = []
    if w.precision in LOW:
        linear, grouped = LOW[w.precision]
        where = {"fp8": {"filter_fqns": ["lm_head", "router.gate"]}}.get(
            w.precision, {"fqns": ["attention", "feed_forward", "shared_experts"]}
        )
        found += [(linear, {"model_compile_enabled": True, **where})]
        if model.mixture is not None and grouped:
            pad = {"pad_multiple": 128} if w.precision == "mxfp8" else {}
            found += [(grouped, {"model_compile_enabled": True, **pad})]
    if w.method == "lora":
        targets = job.plan.question.software.lora_targets
        names = [name for target in targets for name in ADAPTED[target]]
        found += [
            (
                "LoRAConverter",
                {"rank": w.lora_rank, "alpha": 2.0 * w.lora_rank, "target_modules": names},
            )
        ]
    return found


def _spec(job: TrainingJob, model: Architecture) -> str:
    family = FAMILIES[model.family]
    balance = "register_moe_load_balancing_hook" if model.mixture is not None else "None"
    made = call(
        "ModelSpec",
        {
            "name": family.module,
            "flavor": job.plan.question.model.name,
            "model": Code("config"),
            "parallelize_fn": Code(family.parallelize),
            "pipelining_fn": Code("pipeline_llm"),
            "post_optimizer_build_fn": Code(balance),
            "state_dict_adapter": Code(family.adapter),
        },
    )
    lines = ["def spec() -> ModelSpec:", '    """The network and how it is cut."""']
    lines += ["    config = network()"]
    for name, fields in _converters(job, model):
        built = call(f"{name}.Config", fields).replace("\n", "\n    ")
        lines += [f"    config = {built}.build().convert(config)"]
    return "\n".join([*lines, "    return " + made.replace("\n", "\n    ")]) + "\n"


def _train(job: TrainingJob, model: Architecture) -> str:
    s = job.strategy
    loss = call("CrossEntropyLoss.Config", {"global_vocab_size": model.vocab_size})
    saving: dict[str, Any] = {
        "enable": True,
        "interval": Code('int(os.environ["SAVE_INTERVAL"])'),
        "keep_latest_k": KEPT,
        "async_mode": "async",
    }
    fields: dict[str, Any] = {
        "model_spec": Code("spec()"),
        "hf_assets_path": Code('os.environ["TOKENIZER"]'),
        "dump_folder": Code('os.environ["OUTPUTS"]'),
        "loss": call("ChunkedLossWrapper.Config", {"loss_fn": loss}),
        "optimizer": _optimizer(job),
        "lr_scheduler": call(
            "LRSchedulersContainer.Config",
            {
                "warmup_steps": Code('int(os.environ["WARMUP"])'),
                "decay_type": "cosine",
                "min_lr_factor": LAST,
            },
        ),
        "training": call("TrainingConfig", _training(job)),
        "parallelism": call("ParallelismConfig", _parallelism(job)),
        "activation_checkpoint": Code(
            "None" if s.recompute == "none" else f"{CHECKPOINTING[s.recompute]}.Config()"
        ),
        "compile": call("CompileConfig", _compiling(job)),
        "dataloader": call(
            "HuggingFaceTextDataLoader.Config",
            {
                "dataset": Code('os.environ["DATASET"]'),
                "dataset_path": Code('os.environ.get("DATA_PATH")'),
            },
        ),
        "checkpoint": call("CheckpointManager.Config", saving),
        "metrics": call("MetricsProcessor.Config", {"log_freq": 1, "enable_tensorboard": True}),
        "profiler": call(
            "Profiler.Config",
            {
                "enable_profiling": True,
                "profile_freq": Code('int(os.environ["PROFILE_EVERY"])'),
            },
        ),
    }
    about = "What torchtitan asks for."
    return function("train", "Trainer.Config", about, call("Trainer.Config", fields))


def _optimizer(job: TrainingJob) -> Code:
    arguments = Code(
        f'{{"lr": float(os.environ["LR"]), "betas": {BETAS}, "weight_decay": {WEIGHT_DECAY}}}'
    )
    group = call(
        "ParamGroupConfig",
        {"pattern": ".*", "optimizer_name": "AdamW", "optimizer_kwargs": arguments},
    )
    narrow = job.workload.state_bytes == 2.0
    return call(
        "OptimizersContainer.Config",
        {
            "param_groups": Code(f"[{group}]"),
            "implementation": "fused_opt_states_bf16" if narrow else "fused",
        },
    )


def _training(job: TrainingJob) -> dict[str, Any]:
    s, w = job.strategy, job.workload
    graphs = job.plan.question.software.graphs and s.pp == 1 and s.ep == 1
    return {
        # A pipeline takes all of a step at once; otherwise micro-batches follow one another.
        "local_batch_size": w.global_batch // s.dp if s.pp > 1 else s.micro_batch,
        "global_batch_size": w.global_batch,
        "seq_len": w.sequence_length,
        "steps": job.length,
        "max_norm": CLIP,
        "mixed_precision_param": "float32" if w.precision == "fp32" else "bfloat16",
        "mixed_precision_reduce": "float32",
        "disable_cuda_graphs": not graphs,
    }


def _parallelism(job: TrainingJob) -> dict[str, Any]:
    s = job.strategy
    group = sharded_over(s)
    found: dict[str, Any] = {
        "data_parallel_replicate_degree": s.dp * s.cp // group if s.zero else s.dp,
        "data_parallel_shard_degree": group // s.cp if s.zero else 1,
        "fsdp_reshard_after_forward": "always" if s.zero == 3 else "never",
        "tensor_parallel_degree": s.tp,
        "enable_sequence_parallel": s.sequence_parallel,
        "context_parallel_degree": s.cp,
        "expert_parallel_degree": s.ep,
        "pipeline_parallel_degree": s.pp,
    }
    if s.pp > 1:
        interleaved = s.vpp > 1 and s.schedule == "1f1b"
        found |= {
            "pipeline_parallel_schedule": SCHEDULES["interleaved" if interleaved else s.schedule],
            "pipeline_parallel_microbatch_size": s.micro_batch,
            "module_fqns_per_model_part": _chunks(job),
        }
    return found


def _chunks(job: TrainingJob) -> list[list[str]]:
    """Names of the parts of every pipeline chunk."""
    found, first = [], 0
    for size in job.chunks:
        found.append([f"layers.{index}" for index in range(first, first + size)])
        first += size
    found[0].insert(0, "tok_embeddings")
    found[-1] += ["norm", "lm_head"]
    return found


def compiled(job: TrainingJob) -> bool:
    """Whether layers are compiled: as the plan has it, or as what it asks for needs it."""
    s = job.strategy
    needed = job.workload.precision in LOW or (s.overlap_tp and s.tp > 1)
    return needed or job.plan.question.software.fused


def _compiling(job: TrainingJob) -> dict[str, Any]:
    asynchronous = job.strategy.overlap_tp and job.strategy.tp > 1
    return {"enable": compiled(job), "enable_async_tensor_parallel": asynchronous}
