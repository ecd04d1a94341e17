"""Scripts that we write, read by Megatron-Bridge: see `bridge_reader`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from against.fetch_megatron_bridge import FOLDER, REQUIREMENTS
from launch_cases import launched

from clusterwright.launch.job import TrainingJob
from clusterwright.launch.megatron import SCHEMES, SHARDING
from clusterwright.launch.megatron_bridge import BRIDGES, program

pytestmark = [
    pytest.mark.against,
    pytest.mark.slow,
    pytest.mark.skipif(
        not FOLDER.exists(),
        reason=f"{REQUIREMENTS[0]} is not here: run tests/against/fetch_megatron_bridge.py",
    ),
]

READER = Path(__file__).with_name("bridge_reader.py")
LIKELY: dict = {
    "families": (*BRIDGES.values(), "kimi_k2"),
    "method": ("full", "full", "full", "lora"),
    "schedule": ("1f1b",),
}


def test_megatron_bridge_takes_two_hundred_plans_and_reads_back_what_they_say(tmp_path):
    halves = []
    for software, seed in (("megatron-bridge", 1), ("any", 2)):
        cases = launched(seed, 100, software, program, **LIKELY)
        words = []
        for index, (job, made) in enumerate(cases):
            for file in made.files:
                path = tmp_path / software / str(index) / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(file.text)
            words += [tmp_path / software / str(index) / "train.py", str(job.strategy.accelerators)]
        reading = subprocess.Popen(
            [sys.executable, "-W", "ignore", READER, FOLDER, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        halves.append((cases, reading))
    for cases, reading in halves:
        lines = reading.communicate()[0].splitlines()
        assert len(lines) == len(cases)
        for (job, _), line in zip(cases, lines, strict=True):
            told = json.loads(line)
            assert "refused" not in told, told["refused"]
            assert {name: told[name] for name in expected(job)} == expected(job), job.strategy


def expected(job: TrainingJob) -> dict[str, object]:
    """What Megatron-Bridge must have understood of a job."""
    s, w, model = job.strategy, job.workload, job.plan.question.model
    muon, half = w.optimizer == "muon", w.precision not in ("fp32", "tf32")
    experts = any(block.experts for block in model.blocks)
    block = job.plan.question.software.block_scaled
    return {
        "dp": s.dp,
        "model.seq_length": w.sequence_length,
        "model.tensor_model_parallel_size": s.tp,
        "model.pipeline_model_parallel_size": s.pp,
        "model.virtual_pipeline_model_parallel_size": s.vpp if s.vpp > 1 else None,
        "model.context_parallel_size": s.cp,
        "model.sequence_parallel": s.sequence_parallel and s.tp > 1,
        "model.num_layers": model.num_layers,
        "model.hidden_size": model.hidden_size,
        "model.recompute_granularity": None if s.recompute == "none" else s.recompute,
        "model.recompute_num_layers": (s.recompute_layers or 1) if s.recompute == "full" else None,
        "model.bf16": half and w.precision != "fp16",
        "model.fp16": w.precision == "fp16",
        "model.fp8": {"fp8": "e4m3" if block else "hybrid", "mxfp8": "e4m3"}.get(w.precision),
        "model.fp4": "e2m1" if w.precision == "nvfp4" else None,
        "train.global_batch_size": w.global_batch,
        "train.micro_batch_size": s.micro_batch,
        "train.train_iters": job.steps or 100,
        "optimizer.optimizer": ("dist_muon" if s.zero else "muon") if muon else w.optimizer,
        "optimizer.use_distributed_optimizer": s.zero > 0 and not muon,
        "optimizer.optimizer_cpu_offload": s.offload == "optimizer",
        "ddp.use_megatron_fsdp": s.zero > 1,
        "ddp.grad_reduce_in_fp32": w.gradient_bytes == 4.0,
        "ddp.num_distributed_optimizer_instances": (
            s.dp * s.cp // s.shard_group if s.shard_group else 1
        ),
        "lora": w.lora_rank if w.method == "lora" else 0,
        **({"model.cp_comm_type": SCHEMES[s.context_scheme]} if s.cp > 1 else {}),
        **({"ddp.data_parallel_sharding_strategy": SHARDING[s.zero]} if s.zero > 1 else {}),
        **(
            {
                "model.expert_model_parallel_size": s.ep,
                "model.expert_tensor_parallel_size": s.etp,
            }
            if experts
            else {}
        ),
    }
