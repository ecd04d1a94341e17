"""Every launch for SGLang is taken by SGLang itself, and says there what the plan says.

`run.sh` is run as it is, with a ``python3`` that only notes its words; these go to SGLang's parser
and through its resolution of arguments, with its checks of models, cuts and formats. It is told
that there is an H100; stand-ins take the place of its compiled kernels.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from against import sglang_reader
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
    pytest.mark.skipif(not sglang_reader.present(), reason=sglang_reader.WHY),
]
COUNT = 200


def read(plan: ServingPlan, made: Launch, folder: Path, part: int = 0, **variables: str):
    """Return what SGLang makes of a part of a launch."""
    drafter = config_folder(dict(find_config("llama-3.2-1b", shipped())), folder / "drafter")
    model = checkpoint(plan, folder / "model", part)
    words = handed_over(
        made, folder, "python3", part=part, MODEL=str(model), DRAFTER=str(drafter), **variables
    )
    inner = made.parts[part].name if len(made.parts) > 1 else "."
    return sglang_reader.resolved_apart(words, folder / "launch" / inner)


def agrees(settings, deployment: Deployment, told: engine.Told) -> None:
    """Compare; its tensor parallelism and what it lets in count data-parallel ranks in."""
    assert settings.tp_size == deployment.tp * deployment.dp
    assert settings.pp_size == deployment.pp
    assert settings.attn_dp_size == deployment.dp
    assert settings.ep_size == deployment.ep
    assert settings.max_running_requests == told.sequences * deployment.dp
    assert settings.max_prefill_tokens == told.tokens
    assert settings.chunked_prefill_size == told.tokens
    assert settings.mem_fraction_static == told.share
    assert settings.kv_cache_dtype.startswith("fp8") == (deployment.cache == "fp8")
    assert bool(settings.speculative_algorithm) == bool(deployment.drafted)
    assert bool(settings.enable_lora) == bool(deployment.adapters)


def test_sglang_takes_two_hundred_plans_and_says_what_they_say(tmp_path):
    for index, (plan, made) in enumerate(launched("sglang", COUNT)):
        for part, pool in enumerate(plan.best.pools):
            replica = replica_for(plan, part)
            settings = read(plan, made, tmp_path / f"{index}", part)
            agrees(settings, pool.deployment, engine.told(replica))
            assert settings.context_length == replica.longest
            role = {"both": "null"}.get(pool.role, pool.role)
            assert settings.disaggregation_mode == role


@pytest.mark.parametrize("changes", [{}, {"tp": 16, "dp": 1}, {"tp": 8, "dp": 2}])
@pytest.mark.parametrize("host", [0, 1])
def test_each_of_two_hosts_knows_its_place(changes, host, tmp_path):
    plan = wide("sglang", **changes)
    settings = read(plan, launch_plan(plan, to="sglang"), tmp_path, HOST_RANK=str(host))
    assert (settings.nnodes, settings.node_rank) == (2, host)
    assert settings.dist_init_addr == "127.0.0.1:29500"
    agrees(settings, plan.best.pools[0].deployment, engine.told(replica_for(plan)))


def test_batches_in_two_halves_are_taken(tmp_path):
    plan = wide("sglang", overlap=True)
    settings = read(plan, launch_plan(plan, to="sglang"), tmp_path)
    assert settings.enable_two_batch_overlap
    assert settings.moe_a2a_backend == "deepep"
