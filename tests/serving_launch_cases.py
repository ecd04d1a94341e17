"""Serving plans drawn at random, and what ``run.sh`` of a launch hands to its tool."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from clusterwright.asking_load import make_load
from clusterwright.asking_serving import ask_serving
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.inference import Deployment
from clusterwright.launch.api import launch_plan
from clusterwright.launch.folder import write_launch
from clusterwright.launch.records import Launch
from clusterwright.launch.service import Replica, replica_of
from clusterwright.planner_serving import estimate_serving, server_of
from clusterwright.serving.loads import longest
from clusterwright.serving.plan import ServingEstimate, ServingPlan, ServingQuestion
from clusterwright.serving.server import Pool, check_sizes, has_room

DENSE = ("llama-3.1-8b", "llama-3.1-70b", "qwen3-8b", "mistral-7b", "qwen2.5-72b")
MIXTURES = ("mixtral-8x7b", "qwen3-30b-a3b", "deepseek-v3", "gpt-oss-120b")
CHIPS = ("h100", "h200", "b200", "a100-80")
FORMATS = ("bf16", "fp16", "fp8", "fp8-block", "awq", "gptq", "nvfp4", "int8")
HANDHELD = ("q4-k-m", "q8-0", "q4-0", "q6-k", "bf16", "fp16")
ENGINES = {
    "vllm": "vllm",
    "sglang": "sglang",
    "tensorrt-llm": "trtllm-pytorch",
    "llama.cpp": "llama-cpp",
}


@cache
def estimate() -> ServingEstimate:
    """Return an estimate of one small deployment, whose pools are then replaced."""
    question = ask_serving("llama-3.1-8b", accelerator="h100", rate=1, prompt=200, output=20)
    return estimate_serving(question, Deployment(weights="fp8"))


def plan_of(question: ServingQuestion, *pools: Pool) -> ServingPlan:
    """Return a plan with those pools; its latencies are another plan's, which exporters ignore."""
    taken = sum(pool.accelerators for pool in pools)
    best = msgspec.structs.replace(estimate(), pools=pools, accelerators=taken)
    return ServingPlan(
        version="test",
        catalogue="test",
        question=question,
        best=best,
        alternatives=(),
        front=(),
        evaluated=1,
        refused=0,
        played=0,
    )


@cache
def _question(model: str, chip: str, engine: str, draft: str) -> ServingQuestion:
    return ask_serving(
        model,
        accelerator=chip,
        accelerators=64,
        engine=engine,
        weights="bf16",
        draft=draft or None,
        rate=1,
        prompt=100,
        output=10,
    )


def draw(dice: random.Random, tool: str) -> ServingPlan | None:
    """Draw a plan; None: it does not fit, or is none."""
    small = tool == "llama.cpp"
    model = dice.choice(DENSE if small or dice.random() < 0.5 else MIXTURES)
    chip = dice.choice(CHIPS)
    engine = ENGINES[tool]
    drafter = dice.choice(["", "", "", "layer", "model", "ngram"])
    draft = "llama-3.2-1b" if drafter == "model" and model.startswith("llama") else ""
    question = _question(model, chip, engine, draft)
    experts = model in MIXTURES
    wide = experts and not small and dice.random() < 0.5
    tp, dp = (1, dice.choice([2, 4, 8, 16])) if wide else (dice.choice([1, 2, 4, 8]), 1)
    pp = dice.choice([1, 1, 1, 2])
    speculates = drafter in ("layer", "ngram") or bool(draft)
    deployment = Deployment(
        tp=tp,
        pp=pp,
        dp=dp,
        ep=dice.choice([1, tp * dp]) if experts and not small else 1,
        weights=dice.choice(HANDHELD if small else FORMATS),
        cache=dice.choice(["bf16", "fp8"]),
        budget=dice.choice([0, 0, 2048, 4096, 8192]),
        most=dice.choice([0, 0, 16, 64, 256]),
        memory_share=dice.choice([0.0, 0.0, 0.8, 0.92]),
        drafted=dice.choice([1, 3]) if speculates else 0,
        accepted=0.7 if speculates else 0.0,
        drafter=drafter if speculates and drafter != "ngram" else "",
        adapters=dice.choice([0, 0, 0, 4]),
        adapter_rank=dice.choice([8, 16, 24, 64]),
    )
    load = make_load(
        rate=1,
        prompt=dice.choice([200, 1000, 6000]),
        output=dice.choice([50, 400]),
        spread=dice.choice([0.0, 0.5]),
        prefix=dice.choice([0, 100]),
    )
    asked = msgspec.structs.replace(question, workload=load)
    apart = not small and dice.random() < 0.3
    roles = ("prefill", "decode") if apart else ("both",)
    pools = tuple(
        Pool(role=role, count=dice.choice([1, 3]), deployment=deployment) for role in roles
    )
    return plan_of(asked, *pools) if _feasible(asked, deployment) else None


def _feasible(question: ServingQuestion, deployment: Deployment) -> bool:
    server = server_of(question, shipped())
    try:
        check_sizes(server, deployment)
    except InputError:
        return False
    tokens = longest(question.workload)
    if question.model.max_positions and tokens > question.model.max_positions:
        return False
    memory = server.memory(deployment, tokens)
    return memory.fits and has_room(server, deployment, memory, tokens)


def launched(tool: str, count: int, seed: int = 6) -> Iterator[tuple[ServingPlan, Launch]]:
    """Draw plans until so many are taken by us; what is refused must be refused in words."""
    dice, taken, refused = random.Random(seed), 0, 0
    while taken < count:
        plan = draw(dice, tool)
        if plan is None:
            continue
        try:
            made = launch_plan(plan, to=tool)
        except InputError as error:
            if "cannot run this plan" not in str(error):
                raise
            refused += 1
            continue
        taken += 1
        yield plan, made
    assert refused < 2 * count, "most plans are refused"


def handed_over(
    made: Launch, folder: Path, name: str, *, part: int = 0, **variables: str
) -> list[str]:
    """Run a part's ``run.sh`` with a tool that only notes its arguments, and return these."""
    write_launch(made, folder / "launch", overwrite=True)
    stub = folder / "bin" / name
    stub.parent.mkdir(exist_ok=True)
    noted = folder / "noted"
    stub.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" > {noted}\n", encoding="utf-8")
    stub.chmod(0o755)
    inner = made.parts[part].name if len(made.parts) > 1 else "."
    environment = {
        "PATH": f"{stub.parent}:{os.environ['PATH']}",
        "MASTER_ADDR": "127.0.0.1",
        "HOST_RANK": "0",
        **variables,
    }
    script = folder / "launch" / inner / "run.sh"
    subprocess.run(["bash", str(script)], env=environment, check=True, capture_output=True)
    return noted.read_text(encoding="utf-8").split("\0")[:-1]


CHECKPOINTS: dict[str, dict[str, Any]] = {
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True},
    "fp8-block": {
        "quant_method": "fp8",
        "activation_scheme": "dynamic",
        "weight_block_size": [128, 128],
    },
    "nvfp4": {
        "quant_method": "modelopt",
        "quant_algo": "NVFP4",
        "producer": {"name": "modelopt", "version": "0.29.0"},
        "config_groups": {
            "group_0": {
                "weights": {"num_bits": 4, "type": "float", "group_size": 16},
                "input_activations": {"num_bits": 4, "type": "float", "group_size": 16},
                "targets": ["Linear"],
            }
        },
        "ignore": ["lm_head"],
    },
}
"""``quantization_config`` of a checkpoint in a format, as its publishers write it."""


def checkpoint(plan: ServingPlan, folder: Path, pool: int = 0) -> Path:
    """Write the ``config.json`` of the checkpoint that a plan asks for."""
    config = dict(plan.question.config)
    form = plan.best.pools[pool].deployment.weights
    if form in CHECKPOINTS:
        config["quantization_config"] = CHECKPOINTS[form]
    return config_folder(config, folder)


def config_folder(config: dict[str, Any], folder: Path) -> Path:
    """Write a model's folder, as far as tools read it before they load weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def replica_for(plan: ServingPlan, pool: int = 0) -> Replica:
    """Return what an exporter is given of a pool."""
    server = server_of(plan.question, shipped())
    chosen = plan.best.pools[pool]
    size = min(8, chosen.deployment.accelerators)
    return replica_of(plan, chosen, server, per_host=size)


def wide(tool: str, **changes: Any) -> ServingPlan:
    """Return a plan whose replica takes two hosts of eight."""
    question = _question("deepseek-v3", "h200", ENGINES[tool], "")
    given = {"tp": 1, "dp": 16, "ep": 16, "weights": "fp8-block", "cache": "bf16", **changes}
    return plan_of(question, Pool(role="both", deployment=Deployment(**given)))
