"""Every launch for vLLM is taken by vLLM itself, and says there what the plan says.

`run.sh` is run as it is, with a ``vllm`` that only notes its words; these go to vLLM's parser, and
the engine's whole configuration is made of them, with its checks of models, cuts and formats. The
platform is that of a processor, so what only a GPU's driver could refuse is not seen.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from against import vllm_reader
from serving_launch_cases import (
    checkpoint,
    config_folder,
    handed_over,
    launched,
    replica_for,
    wide,
)

from clusterwright.asking_model import find_config
from clusterwright.facts import shipped
from clusterwright.inference import Deployment
from clusterwright.launch import engine
from clusterwright.launch.api import launch_plan
from clusterwright.launch.records import Launch
from clusterwright.serving.plan import ServingPlan

pytestmark = [
    pytest.mark.against,
    pytest.mark.skipif(not vllm_reader.present(), reason=vllm_reader.WHY),
]
COUNT = 200


def read(plan: ServingPlan, made: Launch, folder: Path, part: int = 0, **variables: str):
    """Return what vLLM makes of a part of a launch."""
    drafter = config_folder(dict(find_config("llama-3.2-1b", shipped())), folder / "drafter")
    model = checkpoint(plan, folder / "model", part)
    words = handed_over(
        made, folder, "vllm", part=part, MODEL=str(model), DRAFTER=str(drafter), **variables
    )
    inner = made.parts[part].name if len(made.parts) > 1 else "."
    return vllm_reader.configured(words, folder / "launch" / inner)


def agrees(config, deployment: Deployment, told: engine.Told) -> None:
    cut, scheduler, cache = config.parallel_config, config.scheduler_config, config.cache_config
    assert cut.tensor_parallel_size == deployment.tp
    assert cut.pipeline_parallel_size == deployment.pp
    assert cut.data_parallel_size == deployment.dp
    assert cut.enable_expert_parallel == (deployment.ep > 1)
    assert cut.decode_context_parallel_size == deployment.cp
    assert scheduler.max_num_seqs == told.sequences
    assert scheduler.max_num_batched_tokens == told.tokens
    assert cache.gpu_memory_utilization == told.share
    assert cache.enable_prefix_caching == told.reuse
    half = "float16" if deployment.weights == "fp16" else "bfloat16"
    assert cache.cache_dtype == ("fp8" if deployment.cache == "fp8" else half)
    drafted = config.speculative_config.num_speculative_tokens if config.speculative_config else 0
    assert drafted == deployment.drafted
    assert (config.lora_config.max_loras if config.lora_config else 0) == deployment.adapters


def test_vllm_takes_two_hundred_plans_and_says_what_they_say(tmp_path):
    for index, (plan, made) in enumerate(launched("vllm", COUNT)):
        for part, pool in enumerate(plan.best.pools):
            replica = replica_for(plan, part)
            config = read(plan, made, tmp_path / f"{index}", part)
            agrees(config, pool.deployment, engine.told(replica))
            assert config.model_config.max_model_len == replica.longest
            role = config.kv_transfer_config.kv_role if config.kv_transfer_config else "both"
            wanted = {"both": "both", "prefill": "kv_producer", "decode": "kv_consumer"}
            assert role == wanted[pool.role]


@pytest.mark.parametrize("changes", [{}, {"tp": 16, "dp": 1}, {"tp": 8, "dp": 2}])
@pytest.mark.parametrize("host", [0, 1])
def test_each_of_two_hosts_knows_its_place(changes, host, tmp_path):
    plan = wide("vllm", **changes)
    config = read(plan, launch_plan(plan, to="vllm"), tmp_path, HOST_RANK=str(host))
    cut, deployment = config.parallel_config, plan.best.pools[0].deployment
    assert (cut.nnodes, cut.node_rank, cut.master_addr) == (2, host, "127.0.0.1")
    agrees(config, deployment, engine.told(replica_for(plan)))


def test_batches_in_two_halves_are_asked_for(tmp_path):
    """By its parser alone: the platform of a processor turns them off again."""
    made = launch_plan(wide("vllm", overlap=True), to="vllm")
    words = handed_over(made, tmp_path, "vllm", MODEL="m")
    asked = vllm_reader.parsed(words, tmp_path / "launch")
    assert asked.enable_dbo
    assert asked.all2all_backend == "deepep_low_latency"


def test_a_cache_that_is_cut_over_ranks_is_taken(tmp_path):
    plan = wide("vllm", tp=8, dp=2, cp=8)
    config = read(plan, launch_plan(plan, to="vllm"), tmp_path)
    assert config.parallel_config.decode_context_parallel_size == 8
