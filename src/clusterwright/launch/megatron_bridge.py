"""A plan as a script for Megatron-Bridge: its provider of the model, and its configuration.

Source of what each field means: ``megatron/bridge/training/config.py`` of 0.3.1, whose own
`runtime_config_update` reads the result in ``tests/against``; the recipes beside it show the form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from clusterwright.errors import InputError
from clusterwright.launch.customary import LAST_RATE, ask_warmup, customary_notes
from clusterwright.launch.job import TrainingJob
from clusterwright.launch.megatron import environment, layout
from clusterwright.launch.megatron_bridge_script import script
from clusterwright.launch.records import Ask, LaunchFile, Program
from clusterwright.launch.saving import ask_interval

VERSION = "Megatron-Bridge 0.3.1 with megatron-core 0.16.1"
BRIDGES = {
    "DeepseekV2ForCausalLM": "deepseek_v2",
    "DeepseekV3ForCausalLM": "deepseek_v3",
    "Gemma2ForCausalLM": "gemma2",
    "GemmaForCausalLM": "gemma",
    "Glm4MoeForCausalLM": "glm4_moe",
    "GptOssForCausalLM": "gpt_oss",
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "NemotronForCausalLM": "nemotron",
    "OlmoeForCausalLM": "olmoe",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3MoeForCausalLM": "qwen3_moe",
}
"""Decoders that it has a bridge for, and the ``model_type`` that transformers reads them by.

Its bridge for Gemma 3 wants the model's own folder, not a configuration alone.
"""

SAID_BY_FAMILY = {"deepseek_v3": {"scoring_func": "sigmoid"}}
"""Keys that a family's own code takes for granted, and that its bridge looks for."""


def program(job: TrainingJob) -> Program:
    """What each rank runs.

    Raises
    ------
    InputError
        The plan has something that Megatron-Bridge has not; every such thing is named.
    """
    if not job.plan.question.config:
        raise InputError(
            "the plan does not hold the model's configuration (it was made from a Model, or by an "
            "older version): plan it again from a catalogue name or a config.json"
        )
    if reasons := list(refusals(job)):
        raise InputError(f"Megatron-Bridge cannot run this plan: {'; '.join(reasons)}")
    return Program(
        tool="megatron-bridge",
        version=VERSION,
        start="torchrun",
        command=("train.py",),
        files=(
            LaunchFile(path="train.py", text=script(job, layout(job))),
            LaunchFile(
                path="model/config.json", text=json.dumps(model_config(job), indent=2) + "\n"
            ),
        ),
        environment=environment(job),
        asks=tuple(_asks(job)),
        notes=(*notes(job), *customary_notes(job)),
    )


def _asks(job: TrainingJob) -> Iterator[Ask]:
    yield Ask(variable="DATA_PATH", what="the prefix of the preprocessed data (no .bin, .idx)")
    yield Ask(variable="TOKENIZER", what="the tokenizer's Hugging Face name or folder")
    if job.workload.method == "lora":
        yield Ask(variable="PRETRAINED", what="a Megatron checkpoint of the trained model")
    yield Ask(variable="CHECKPOINTS", what="a folder for checkpoints", default="checkpoints")
    yield ask_interval(job, behind=job.strategy.zero < 2)
    yield Ask(variable="LR", what="the highest learning rate")
    yield Ask(variable="MIN_LR", what=LAST_RATE, default="0.0")
    yield ask_warmup(job)


def model_config(job: TrainingJob) -> dict[str, Any]:
    """``config.json`` as transformers reads it, without code of the model's own."""
    config = dict(job.plan.question.config)
    kind = BRIDGES[_architecture(config)]
    known = {key: value for key, value in config.items() if key != "auto_map"}
    return SAID_BY_FAMILY.get(kind, {}) | known | {"model_type": kind}


def _architecture(config: dict[str, Any]) -> str:
    return str((config.get("architectures") or [""])[0])


def refusals(job: TrainingJob) -> Iterator[str]:
    """What of a plan Megatron-Bridge cannot do, in words with the nearest that it can."""
    s, w, question = job.strategy, job.workload, job.plan.question
    name = _architecture(question.config)
    experts = any(block.experts for block in question.model.blocks)
    found = {
        f"it has no bridge for {name or 'a config.json without architectures'} (it has "
        f"{', '.join(BRIDGES)})": name not in BRIDGES,
        "it has no qlora (plan with --method lora)": w.method == "qlora",
        f"it has no {s.schedule} schedule (pin schedule=1f1b)": s.schedule != "1f1b",
        "its FSDP has no pipeline here (pin zero=1 or pp=1)": s.zero >= 2 and s.pp > 1,
        "its FSDP has no adapters here (pin zero=1)": s.zero >= 2 and w.method == "lora",
        "its FSDP has no muon (pin zero=1)": s.zero >= 2 and w.optimizer == "muon",
        "moments without the distributed optimizer are fp32 (pin zero=1)": s.zero == 0
        and w.state_bytes != 4.0,
        f"states of {w.optimizer} are fp32 (plan with --optimizer-state fp32)": (
            w.optimizer != "adam" and w.state_bytes != 4.0
        ),
        "the optimizer is offloaded from its shards (pin zero=1)": s.offload == "optimizer"
        and s.zero == 0,
        f"{w.optimizer} is not offloaded (plan with --optimizer adam)": s.offload == "optimizer"
        and w.optimizer != "adam",
        "activations are not offloaded whole (pin offload=optimizer or none)": s.offload
        in ("activations", "both"),
        "8-bit and 4-bit blocks need the distributed optimizer (pin zero=1)": s.zero == 0
        and w.precision in ("mxfp8", "nvfp4"),
        "a network of experts and tensor parallelism need sequence parallelism there": (
            experts and s.tp > 1 and not s.sequence_parallel
        ),
        "partial recompute of more layers than a chunk has": bool(s.recompute_layers)
        and s.recompute_layers > min(job.chunks),
        "a sequence must divide into 2 x cp parts": s.cp > 1 and w.sequence_length % (2 * s.cp) > 0,
    }
    yield from (reason for reason, holds in found.items() if holds)


def notes(job: TrainingJob) -> Iterator[str]:
    """What differs from the plan, and what a person should look at."""
    if job.workload.method == "lora":
        yield (
            "PRETRAINED is made from a Hugging Face model by AutoBridge.import_ckpt; the adapters "
            "train on the same packed tokens as the plan"
        )
    if "kimi" in str(job.plan.question.config.get("model_type", "")):
        yield "model/config.json calls the model deepseek_v3, whose keys it has"
    if job.workload.flash_attention is False:
        yield "Attention is fused there; the plan's is not"
