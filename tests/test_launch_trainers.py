"""Training plans for torchtitan, DeepSpeed and Megatron-Bridge: what is written, what is refused.

Whether the tools take what is written is asked of the tools themselves, in ``tests/against``.
"""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
from functools import cache
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from launch_cases import all_families, launched, random_jobs

from clusterwright.asking import ask_training
from clusterwright.asking_account import with_account
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.fleet.goodput import checkpoints, failure_rate
from clusterwright.launch import deepspeed, megatron, megatron_bridge, torchtitan
from clusterwright.launch.api import TRAINERS, launch_plan
from clusterwright.launch.folder import write_launch
from clusterwright.launch.job import TrainingJob, training_job
from clusterwright.launch.records import Program
from clusterwright.launch.saving import UNKNOWN, save_interval
from clusterwright.launch.torchtitan_recipe import sharded_over
from clusterwright.planner import plan_training
from clusterwright.training.plan import RunTotals
from clusterwright.uncertain import likely

EXPORTERS = {
    "megatron": megatron.program,
    "megatron-bridge": megatron_bridge.program,
    "torchtitan": torchtitan.program,
    "deepspeed": deepspeed.program,
}
PLAIN: dict = {
    "model": ("llama-3.1-8b",),
    "accelerators": (64,),
    "accelerator": ("nv-b200",),
    "precision": ("bf16",),
    "method": ("full",),
    "optimizer": ("adam",),
    "optimizer_state": (None,),
    "tp": (1,),
    "cp": (1,),
    "pp": (1,),
    "micro_batch": (1,),
    "sequence_length": (4096,),
    "zero": (3,),
    "recompute": ("full",),
    "schedule": ("1f1b",),
    "offload": ("none",),
    "sequence_parallel": (False,),
}
"""A job that every tool has."""


def text(made: Program, path: str) -> str:
    return next(file.text for file in made.files if file.path == path)


def plain(**choices) -> TrainingJob:
    """The first plain job, but for some choices; what chance adds to it is taken away."""
    for job in random_jobs(0, "any", **PLAIN | {key: (value,) for key, value in choices.items()}):
        s = job.strategy
        if not s.recompute_layers and (not s.shard_group or "shard_group" in choices):
            return job
    raise AssertionError


@cache
def anything() -> list[TrainingJob]:
    """Jobs of any family, cut and run in any way that fits."""
    return list(islice(random_jobs(7, "any", families=all_families()), 120))


@pytest.mark.parametrize("tool", EXPORTERS)
def test_a_plain_job_is_taken_by_every_tool(tool):
    made = EXPORTERS[tool](plain())
    assert made.tool == tool
    assert made.start == "torchrun"
    assert made.version


@pytest.mark.parametrize("tool", EXPORTERS)
def test_whatever_the_plan_a_tool_writes_files_or_refuses_in_words(tool):
    written = 0
    for job in (plain(), *anything()):
        try:
            made = EXPORTERS[tool](job)
        except InputError as refusal:
            said = str(refusal)
            assert "cannot" in said
            assert len(said.split()) > 6
            continue
        written += 1
        for file in made.files:
            if file.path.endswith(".py"):
                ast.parse(file.text)
            if file.path.endswith(".json"):
                assert json.loads(file.text)
        assert len({ask.variable for ask in made.asks}) == len(made.asks)
    assert written


@pytest.mark.parametrize(
    ("tool", "choices", "said"),
    [
        ("megatron", {"method": "lora"}, "use --to megatron-bridge"),
        ("megatron", {"optimizer": "muon"}, "FSDP has no muon"),
        ("torchtitan", {"model": "qwen2-7b"}, "it has no qwen2"),
        ("torchtitan", {"precision": "fp16"}, "it has no fp16"),
        ("torchtitan", {"optimizer": "muon"}, "plan with --optimizer adam"),
        ("torchtitan", {"method": "qlora"}, "plan with --method lora"),
        ("torchtitan", {"cp": 2, "context_scheme": "ring"}, "pin context_scheme=all-gather"),
        ("torchtitan", {"cp": 2, "zero": 0, "context_scheme": "all-gather"}, "pin zero=1"),
        ("torchtitan", {"offload": "optimizer"}, "pin offload=none"),
        (
            "torchtitan",
            {"pp": 4, "zero": 1, "num_micro_batches": 2},
            "as many micro-batches as stages",
        ),
        (
            "torchtitan",
            {"pp": 4, "zero": 1, "schedule": "zero-bubble", "precision": "fp8"},
            "takes no compiled layers",
        ),
        ("torchtitan", {"model": "llama-3.2-1b", "pp": 2, "zero": 1}, "pin pp=1"),
        ("torchtitan", {"model": "qwen3-30b-a3b", "tp": 8, "accelerators": 64}, "key-value heads"),
        ("deepspeed", {"pp": 2, "zero": 1}, "pin pp=1"),
        ("deepspeed", {"model": "qwen3-30b-a3b", "ep": 8}, "pin ep=1"),
        ("deepspeed", {"recompute": "selective"}, "pin recompute=full or none"),
        ("deepspeed", {"tp": 2, "sequence_parallel": True}, "pin sequence_parallel=false"),
        ("deepspeed", {"precision": "fp8"}, "it has no fp8"),
        ("deepspeed", {"cp": 2, "context_scheme": "ring"}, "pin context_scheme=all-to-all"),
        ("deepspeed", {"zero": 0, "accelerators": 8}, "pin zero=1"),
        ("deepspeed", {"model": "baichuan2-7b"}, "transformers has no baichuan"),
        ("megatron-bridge", {"model": "gpt-3-13b"}, "it has no bridge for GPT2LMHeadModel"),
        ("megatron-bridge", {"schedule": "zero-bubble", "pp": 2, "zero": 1}, "schedule=1f1b"),
        ("megatron-bridge", {"method": "qlora"}, "plan with --method lora"),
        ("megatron-bridge", {"method": "lora"}, "FSDP has no adapters"),
    ],
)
def test_what_a_tool_has_not_is_refused_with_the_nearest_that_it_has(tool, choices, said):
    with pytest.raises(InputError, match=said):
        EXPORTERS[tool](plain(**choices))


@pytest.mark.parametrize("tool", [tool for tool in EXPORTERS if tool != "megatron"])
def test_a_plan_without_a_configuration_is_refused_with_the_mend(tool):
    job = plain()
    question = msgspec.structs.replace(job.plan.question, config={})
    bare = msgspec.structs.replace(job, plan=msgspec.structs.replace(job.plan, question=question))
    with pytest.raises(InputError, match="plan it again"):
        EXPORTERS[tool](bare)


def test_torchtitans_shards_times_copies_are_the_ranks_of_data_and_context():
    choices = {"families": ("llama", "qwen3", "qwen3_moe"), "precision": ("bf16",)}
    likely = {"method": ("full",), "optimizer": ("adam",), "context_scheme": ("all-gather",)}
    for job, made in launched(3, 60, "torchtitan", torchtitan.program, **choices, **likely):
        said = keywords(text(made, f"{torchtitan.MODULE}.py"), "ParallelismConfig")
        s = job.strategy
        copies, shards = (said[f"data_parallel_{kind}_degree"] for kind in ("replicate", "shard"))
        assert copies * shards == s.dp
        assert shards * s.cp == sharded_over(s) or not s.zero
        assert said["pipeline_parallel_degree"] * said["tensor_parallel_degree"] == s.pp * s.tp


def test_every_layer_lies_on_one_of_torchtitans_pipeline_parts():
    job = plain(pp=4, zero=1, vpp=2, num_micro_batches=8)
    recipe = text(torchtitan.program(job), f"{torchtitan.MODULE}.py")
    parts = keywords(recipe, "ParallelismConfig")["module_fqns_per_model_part"]
    names = [name for part in parts for name in part]
    layers = job.plan.question.model.num_layers
    assert names == ["tok_embeddings", *(f"layers.{i}" for i in range(layers)), "norm", "lm_head"]
    assert len(parts) == 8


def keywords(source: str, name: str) -> dict:
    """Literal arguments of the only call of a name in a module."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    (found,) = [call for call in calls if ast.unparse(call.func) == name]
    return {word.arg: ast.literal_eval(word.value) for word in found.keywords}


def test_deepspeeds_batch_is_its_parts_multiplied():
    choices = PLAIN | {"zero": (1, 2, 3), "tp": (1, 2, 4), "micro_batch": (1, 2, 4)}
    for job, made in launched(5, 40, "any", deepspeed.program, **choices):
        said = json.loads(text(made, "ds_config.json"))
        parts = said["train_micro_batch_size_per_gpu"] * said["gradient_accumulation_steps"]
        assert said["train_batch_size"] == parts * job.strategy.dp == job.workload.global_batch


def test_groups_of_weights_are_said_and_what_they_do_not_share_is_noted():
    jobs = random_jobs(0, "any", **PLAIN)
    job = next(job for job in jobs if 1 < job.strategy.shard_group < job.strategy.dp)
    made = deepspeed.program(job)
    zero = json.loads(text(made, "ds_config.json"))["zero_optimization"]
    assert zero["zero_hpz_partition_size"] == job.strategy.shard_group
    assert any("hpz" in note for note in made.notes)


def test_adapters_ask_for_the_weights_that_they_stand_beside():
    job = plain(method="lora", zero=1)
    for tool, variable in (("deepspeed", "WEIGHTS"), ("megatron-bridge", "PRETRAINED")):
        assert variable in {ask.variable for ask in EXPORTERS[tool](job).asks}


def test_a_bridge_reads_kimis_model_as_the_one_that_it_is():
    job = plain(model="kimi-k2", accelerators=1024, zero=1, ep=64, recompute="full")
    config = json.loads(text(megatron_bridge.program(job), "model/config.json"))
    assert config["model_type"] == "deepseek_v3"
    assert config["scoring_func"] == "sigmoid"


def test_checkpoints_are_as_far_apart_as_a_trainer_that_stops_for_them_wants():
    question = ask_training(
        "llama-3.1-8b", accelerator="h100", accelerators=64, tokens="1T", pins={"tp": 2, "pp": 2}
    )
    question = with_account(question)
    job = training_job(plan_training(question), shipped())
    account, site, step = job.plan.account, question.site, job.plan.best.step_time
    assert account is not None
    assert site is not None
    x = likely({**site.failures.inputs, **site.inputs})
    stall = checkpoints(site.failures, "remote", x).stall
    assert stall > x["save_pause"]
    first_order = math.sqrt(2.0 * stall / failure_rate(site.failures, x))
    assert save_interval(job, behind=True) * step == pytest.approx(first_order, rel=0.02)
    assert save_interval(job, behind=False) > save_interval(job, behind=True)
    # The plan's account counts on what its launch does.
    assert save_interval(job, behind=True) * step == pytest.approx(account.interval, rel=0.02)


def test_where_nothing_is_known_of_failures_checkpoints_are_a_thousand_steps_apart():
    assert plain().plan.question.site is None
    assert save_interval(plain(), behind=True) == UNKNOWN


@pytest.mark.parametrize("tool", TRAINERS)
def test_a_rate_rises_over_part_of_a_run_and_a_trial_is_told_for_one(tool):
    unknown = plain().plan
    totals = RunTotals(
        tokens=1e9,
        steps=5000.0,
        duration=1.0,
        duration_interval=(1.0, 1.0),
        accelerator_hours=1.0,
        training_flops=1.0,
    )
    for plan, steps in ((unknown, "10"), (msgspec.structs.replace(unknown, totals=totals), "200")):
        made = launch_plan(plan, to=tool, catalogue=shipped())
        asked = {ask.variable: ask.default for ask in made.parts[0].program.asks}
        assert asked["WARMUP"] == steps
        assert any("--tokens" in note for note in made.notes) == (plan.totals is None)


@pytest.mark.parametrize("tool", TRAINERS)
def test_the_script_starts_the_tool_with_what_was_said(tool, tmp_path: Path):
    made = launch_plan(plain().plan, to=tool, catalogue=shipped())
    folder = tmp_path / "run"
    write_launch(made, folder)
    shim = tmp_path / "torchrun"
    shim.write_text('#!/usr/bin/env bash\necho "$LR $SAVE_INTERVAL"\nprintf "%s\\n" "$@"\n')
    shim.chmod(0o755)
    asks = {ask.variable for ask in made.parts[0].program.asks if not ask.default}
    said = dict.fromkeys(asks, "said") | {"MASTER_ADDR": "first", "HOST_RANK": "1", "LR": "3e-4"}
    paths = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    run = subprocess.run(
        ["bash", folder / "run.sh"], env=said | paths, capture_output=True, text=True, check=True
    )
    lines = run.stdout.splitlines()
    assert lines[0] == "3e-4 1000"
    command = made.parts[0].program.command
    assert command[-1].rsplit("/", 1)[-1] in [line.rsplit("/", 1)[-1] for line in lines]
