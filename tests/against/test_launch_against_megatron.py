"""Arguments that we write, read by Megatron's own parser and its configuration of the network."""

from __future__ import annotations

import pytest
from against.fetch_megatron import FOLDER, REQUIREMENT
from launch_cases import launched, words_of

from clusterwright.launch.job import TrainingJob
from clusterwright.launch.megatron import SCHEMES, SHARDING, layout, program

pytestmark = [
    pytest.mark.against,
    pytest.mark.slow,
    pytest.mark.skipif(
        not FOLDER.exists(),
        reason=f"{REQUIREMENT} is not here: run tests/against/fetch_megatron.py",
    ),
]

SAID = {
    "DATA_PATH": "corpus",
    "TOKENIZER": "tokenizer",
    "CHECKPOINTS": "checkpoints",
    "SAVE_INTERVAL": "1000",
    "LR": "3e-4",
    "MIN_LR": "3e-5",
    "WARMUP": "20",
}
FORMATS = {"bf16": "bf16", "fp16": "fp16", "fp32": "", "tf32": "", "fp8": "bf16", "mxfp8": "bf16"}


@pytest.mark.parametrize(("software", "seed"), [("megatron-core", 1), ("any", 2)])
def test_megatron_takes_a_hundred_plans_and_reads_back_what_they_say(software, seed):
    from against.megatron_reader import read

    for job, made in launched(seed, 100, software, program, method=("full",)):
        args = read(words_of(made, **SAID), job.strategy.accelerators, **made.environment)
        told = {name: getattr(args, name) for name in expected(job)}
        assert told == expected(job), job.strategy


def expected(job: TrainingJob) -> dict[str, object]:
    """What Megatron must have understood of a job."""
    s, w = job.strategy, job.workload
    has_experts = any(block.experts for block in job.plan.question.model.blocks)
    return {
        "world_size": s.accelerators,
        "global_batch_size": w.global_batch,
        "micro_batch_size": s.micro_batch,
        "seq_length": w.sequence_length,
        "train_iters": job.length,
        "lr_decay_iters": job.length,
        "lr_decay_style": "cosine",
        "lr_warmup_iters": 20,
        "save_retain_interval": 10_000,
        "tensor_model_parallel_size": s.tp,
        "pipeline_model_parallel_size": s.pp,
        "virtual_pipeline_model_parallel_size": s.vpp if s.vpp > 1 else None,
        "context_parallel_size": s.cp,
        "data_parallel_size": s.dp,
        "expert_model_parallel_size": s.ep,
        "expert_tensor_parallel_size": s.etp if has_experts else s.tp,
        "sequence_parallel": s.sequence_parallel and s.tp > 1,
        "cp_comm_type": [SCHEMES[s.context_scheme]] if s.cp > 1 else ["p2p"],
        "use_distributed_optimizer": s.zero > 0 and w.optimizer != "muon",
        "use_layer_wise_distributed_optimizer": s.zero > 0 and w.optimizer == "muon",
        "use_megatron_fsdp": s.zero > 1,
        "num_distributed_optimizer_instances": s.dp * s.cp // s.shard_group if s.shard_group else 1,
        "optimizer_cpu_offload": s.offload == "optimizer",
        "optimizer": w.optimizer,
        "bf16": FORMATS[w.precision] == "bf16",
        "fp16": FORMATS[w.precision] == "fp16",
        "fp8": {"fp8": "hybrid", "mxfp8": "e4m3"}.get(w.precision),
        "recompute_granularity": None if s.recompute == "none" else s.recompute,
        "recompute_num_layers": (s.recompute_layers or 1) if s.recompute == "full" else None,
        "pipeline_model_parallel_layout": layout(job) if s.pp > 1 else None,
        **({"data_parallel_sharding_strategy": SHARDING[s.zero]} if s.zero > 1 else {}),
    }
