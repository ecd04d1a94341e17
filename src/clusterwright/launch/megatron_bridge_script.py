"""The script itself: a plan's job in Megatron-Bridge's own records."""

from __future__ import annotations

from typing import Any

from clusterwright.launch.customary import BETAS, CLIP, WEIGHT_DECAY
from clusterwright.launch.job import TrainingJob
from clusterwright.launch.megatron import SCHEMES, SHARDING, STATES
from clusterwright.launch.python import Code, call, function, written
from clusterwright.launch.saving import KEPT

DTYPES = {"fp32": "torch.float32", "bf16": "torch.bfloat16", "fp8": "torch.uint8"}
ADAPTED = {
    "input": (
        *("linear_qkv", "linear_q_proj", "linear_q_down_proj", "linear_q_up_proj"),
        *("linear_kv_down_proj", "linear_kv_up_proj"),
    ),
    "output": ("linear_proj",),
    "feed-forward": ("linear_fc1", "linear_fc2"),
}
"""Layers that adapters stand beside, by Megatron's names."""

HEAD = '''"""{name} on Megatron-Bridge 0.3.1, as planned: see README.md."""

import os
from pathlib import Path

import torch
from megatron.bridge import AutoBridge
{imports}
from transformers import AutoConfig

HERE = Path(__file__).resolve().parent
'''
RECORDS = (
    *("CheckpointConfig", "ConfigContainer", "DistributedDataParallelConfig", "GPTDatasetConfig"),
    *("LoggerConfig", "OptimizerConfig", "ProfilingConfig", "SchedulerConfig", "TokenizerConfig"),
    "TrainingConfig",
)
IMPORTS = (
    "from megatron.bridge.training.comm_overlap import CommOverlapConfig",
    "from megatron.bridge.training.config import (\n    " + ",\n    ".join(RECORDS) + ",\n)",
    "from megatron.bridge.training.gpt_step import forward_step",
)
TAIL = """
if __name__ == "__main__":
    {start}(configuration(), forward_step)
"""


def script(job: TrainingJob, layout: str) -> str:
    """The module: ``model`` and ``configuration``, and what starts them."""
    start = "finetune" if job.workload.method == "lora" else "pretrain"
    lines = [*IMPORTS, f"from megatron.bridge.training.{start} import {start}"]
    if recipe(job):
        lines += ["from megatron.bridge.training.mixed_precision import get_mixed_precision_config"]
    if start == "finetune":
        lines += ["from megatron.bridge.peft.lora import LoRA"]
    head = HEAD.format(name=job.plan.question.model.name, imports="\n".join(sorted(lines)))
    parts = [head, _model(job, layout), _formats(job), _configuration(job)]
    return "\n\n".join(part for part in parts if part) + "\n" + TAIL.format(start=start)


def recipe(job: TrainingJob) -> str:
    """The name of its recipe for number formats; none for fp32."""
    block = job.plan.question.software.block_scaled
    return {
        "bf16": "bf16_mixed",
        "fp16": "fp16_mixed",
        "fp8": f"bf16_with_fp8_{'subchannel' if block else 'delayed'}_scaling_mixed",
        "mxfp8": "bf16_with_mxfp8_mixed",
        "nvfp4": "bf16_with_nvfp4_mixed",
    }.get(job.workload.precision, "")


def _model(job: TrainingJob, layout: str) -> str:
    """A function that sets what the plan says on the provider of the model."""
    lines = ["def model():", '    """The network of model/config.json, cut as planned."""']
    lines += ['    bridge = AutoBridge.from_hf_config(AutoConfig.from_pretrained(HERE / "model"))']
    lines += ["    made = bridge.to_megatron_provider(load_weights=False)"]
    for name, value in {**_cut(job, layout), **_run(job)}.items():
        lines.append(f"    made.{name} = {written(value)}")
    return "\n".join([*lines, "    return made"]) + "\n"


def _cut(job: TrainingJob, layout: str) -> dict[str, Any]:
    s, question = job.strategy, job.plan.question
    found: dict[str, Any] = {
        "seq_length": job.workload.sequence_length,
        "tensor_model_parallel_size": s.tp,
        "pipeline_model_parallel_size": s.pp,
        "context_parallel_size": s.cp,
        "sequence_parallel": s.sequence_parallel and s.tp > 1,
    }
    if s.pp > 1:
        wide = job.workload.precision in ("fp32", "tf32")
        half = "torch.float16" if job.workload.precision == "fp16" else "torch.bfloat16"
        found["pipeline_dtype"] = Code("torch.float32" if wide else half)
        found["pipeline_model_parallel_layout"] = layout
        found["virtual_pipeline_model_parallel_size"] = s.vpp if s.vpp > 1 else None
    if s.cp > 1:
        found["cp_comm_type"] = SCHEMES[s.context_scheme]
    if any(block.experts for block in question.model.blocks):
        deepep = question.software.dispatch == "deepep" and s.ep > 1
        found |= {"expert_model_parallel_size": s.ep, "expert_tensor_parallel_size": s.etp}
        found["moe_token_dispatcher_type"] = "flex" if deepep else "alltoall"
        found |= {"moe_flex_dispatcher_backend": "deepep"} if deepep else {}
        found["moe_shared_expert_overlap"] = False
    if question.model.mtp_layers and not question.software.mtp:
        found["mtp_num_layers"] = None
    return found


def _run(job: TrainingJob) -> dict[str, Any]:
    s, w = job.strategy, job.workload
    found: dict[str, Any] = {"recompute_granularity": None}
    if s.recompute == "selective":
        found["recompute_granularity"] = "selective"
        mlp = job.plan.question.software.selective == "mlp"
        found["recompute_modules"] = ["core_attn", "layernorm", "mlp"] if mlp else ["core_attn"]
    if s.recompute == "full":
        found["recompute_granularity"] = "full"
        found["recompute_method"] = "block" if s.recompute_layers else "uniform"
        found["recompute_num_layers"] = s.recompute_layers or 1
    if not w.dropout:
        found |= {"attention_dropout": 0.0, "hidden_dropout": 0.0}
    if s.zero >= 2:
        found |= {"gradient_accumulation_fusion": False, "init_model_with_meta_device": True}
    return found


def _formats(job: TrainingJob) -> str:
    """A function that returns number formats; nothing for fp32."""
    name = recipe(job)
    if not name:
        return ""
    wide = job.workload.gradient_bytes == 4.0
    return (
        f'def formats():\n    """Number formats of products and of gradients."""\n'
        f'    found = get_mixed_precision_config("{name}")\n'
        f"    found.grad_reduce_in_fp32 = {wide}\n    return found\n"
    )


def _configuration(job: TrainingJob) -> str:
    s, w = job.strategy, job.workload
    steps = job.length
    fields: dict[str, Any] = {
        "model": Code("model()"),
        "train": call(
            "TrainingConfig",
            {
                "train_iters": steps,
                "global_batch_size": w.global_batch,
                "micro_batch_size": s.micro_batch,
                "eval_iters": 0,
            },
        ),
        "optimizer": _optimizer(job),
        "scheduler": call(
            "SchedulerConfig",
            {
                "lr_decay_style": "cosine",
                "lr_decay_iters": steps,
                "lr_warmup_iters": Code('int(os.environ["WARMUP"])'),
            },
        ),
        "ddp": _data_parallel(job),
        "dataset": call(
            "GPTDatasetConfig",
            {
                "random_seed": 1234,
                "seq_length": w.sequence_length,
                "blend": Code('([os.environ["DATA_PATH"]], None)'),
                "split": "99,1,0",
                "reset_position_ids": False,
                "reset_attention_mask": False,
                "eod_mask_loss": False,
            },
        ),
        "logger": call(
            "LoggerConfig",
            {
                "log_interval": 1,
                "tensorboard_dir": "logs",
                "log_throughput": True,
                "timing_log_level": 1,
            },
        ),
        "tokenizer": call(
            "TokenizerConfig",
            {
                "tokenizer_type": "HuggingFaceTokenizer",
                "tokenizer_model": Code('os.environ["TOKENIZER"]'),
            },
        ),
        "checkpoint": _checkpoint(job),
        "profiling": call("ProfilingConfig", {"use_pytorch_profiler": True, **_profiled(steps)}),
        "comm_overlap": _overlap(job),
    }
    if recipe(job):
        fields["mixed_precision"] = Code("formats()")
    if w.method == "lora":
        targets = job.plan.question.software.lora_targets
        names = [name for target in targets for name in ADAPTED[target]]
        adapters = {"target_modules": names, "dim": w.lora_rank, "alpha": 2 * w.lora_rank}
        fields["peft"] = call("LoRA", adapters)
    about = "What Megatron-Bridge asks for."
    made = function("configuration", "ConfigContainer", about, call("ConfigContainer", fields))
    if s.zero < 2:
        return made
    return made.replace("    return ConfigContainer(", "    made = ConfigContainer(").rstrip() + (
        "\n    made.dist.use_megatron_fsdp = True\n    return made\n"
    )


def _profiled(steps: int) -> dict[str, int]:
    """Two steps after the first ten, if there are so many."""
    return {"profile_step_start": min(10, steps - 1), "profile_step_end": min(12, steps)}


def _checkpoint(job: TrainingJob) -> Code:
    sharded = job.strategy.zero >= 2
    fields: dict[str, Any] = {
        "save": Code('os.environ["CHECKPOINTS"]'),
        "load": Code('os.environ["CHECKPOINTS"]'),
        "save_interval": Code('int(os.environ["SAVE_INTERVAL"])'),
        "ckpt_format": "fsdp_dtensor" if sharded else "torch_dist",
        "async_save": not sharded,
        "most_recent_k": KEPT,
    }
    if job.workload.method == "lora":
        fields["pretrained_checkpoint"] = Code('os.environ["PRETRAINED"]')
    return call("CheckpointConfig", fields)


def _optimizer(job: TrainingJob) -> Code:
    s, w = job.strategy, job.workload
    muon = w.optimizer == "muon"
    fields: dict[str, Any] = {
        "optimizer": ("dist_muon" if s.zero else "muon") if muon else w.optimizer,
        "lr": Code('float(os.environ["LR"])'),
        "min_lr": Code('float(os.environ["MIN_LR"])'),
        "clip_grad": CLIP,
        "use_distributed_optimizer": s.zero > 0 and not muon,
    }
    if w.optimizer == "adam":
        fields |= {"adam_beta1": BETAS[0], "adam_beta2": BETAS[1]}
    if w.optimizer != "sgd":
        fields["weight_decay"] = WEIGHT_DECAY
    if w.state_bytes != 4.0 or s.offload == "optimizer":
        states = Code(DTYPES[STATES[w.state_bytes]])
        fields |= {"use_precision_aware_optimizer": True}
        fields |= {"exp_avg_dtype": states, "exp_avg_sq_dtype": states}
    if s.offload == "optimizer":
        fields |= {"optimizer_cpu_offload": True, "optimizer_offload_fraction": 1.0}
    return call("OptimizerConfig", fields)


def _data_parallel(job: TrainingJob) -> Code:
    s, w = job.strategy, job.workload
    ranks = s.dp * s.cp
    fields: dict[str, Any] = {
        "use_distributed_optimizer": s.zero > 0 and w.optimizer != "muon",
        "grad_reduce_in_fp32": w.gradient_bytes == 4.0,
        "overlap_grad_reduce": s.overlap_dp and ranks > 1,
        "overlap_param_gather": s.overlap_dp and ranks > 1 and s.zero > 0,
    }
    if 0 < s.shard_group < ranks:
        fields["num_distributed_optimizer_instances"] = ranks // s.shard_group
    if s.zero >= 2:
        fields["use_megatron_fsdp"] = True
        fields["data_parallel_sharding_strategy"] = SHARDING[s.zero]
    return call("DistributedDataParallelConfig", fields)


def _overlap(job: TrainingJob) -> Code:
    s = job.strategy
    hides = s.overlap_dp and s.dp * s.cp > 1
    fields: dict[str, Any] = {
        "tp_comm_overlap": s.overlap_tp and s.tp > 1 and s.sequence_parallel,
        "overlap_grad_reduce": hides,
        "overlap_param_gather": hides and s.zero > 0,
    }
    if s.pp > 1:
        hidden = s.overlap_pp and s.vpp > 1
        fields |= {"overlap_p2p_comm": hidden, "batch_p2p_comm": not hidden}
    return call("CommOverlapConfig", fields)
