"""What a framework documents changes time and memory the way it should."""

from __future__ import annotations

import msgspec
import pytest
from training_cases import INTERVALS, JOB, dense, machine

from clusterwright import Strategy, ask_training
from clusterwright.facts import profile_of, shipped
from clusterwright.model.records import Model
from clusterwright.software import Stack
from clusterwright.training.api import settings_of, software_named
from clusterwright.training.estimate import TrainingEstimate, estimate_with, make_evaluator
from clusterwright.training.settings import Settings
from clusterwright.workload import TrainingWorkload

STRATEGY = Strategy(tp=2, dp=32, micro_batch=1, zero=1)


def ran(
    strategy: Strategy = STRATEGY,
    *,
    software: str = "megatron-core",
    workload: TrainingWorkload = JOB,
    model: Model | None = None,
    settings: Settings | None = None,
    **traits: object,
) -> TrainingEstimate:
    changed = msgspec.structs.replace(software_named(shipped(), software), **traits)
    bound = make_evaluator(
        model or dense(),
        machine(),
        workload,
        software=changed,
        profile=profile_of(shipped(), machine()),
        settings=settings or settings_of(shipped()),
    )
    return estimate_with(bound, strategy, intervals=INTERVALS)


def make_settings(**changed: float) -> Settings:
    return msgspec.structs.replace(settings_of(shipped()), **changed)


def test_recompute_by_operators_runs_more_again_and_keeps_less():
    selective = msgspec.structs.replace(STRATEGY, recompute="selective")
    core, operators = ran(selective, selective="core"), ran(selective, selective="operators")
    full = ran(msgspec.structs.replace(STRATEGY, recompute="full"))
    assert core.step_time < operators.step_time < full.step_time
    assert full.memory_bytes < operators.memory_bytes < core.memory_bytes


def test_fewer_adapters_cost_less():
    lora = msgspec.structs.replace(JOB, method="lora")
    few, all_of_them = (
        ran(workload=lora, lora_targets=targets)
        for targets in (("input",), ("input", "output", "feed-forward"))
    )
    assert few.step_time < all_of_them.step_time
    assert ran(lora_targets=("input",)).step_time == ran().step_time


def test_units_set_aside_do_not_compute():
    assert ran(units_share=0.85).step_time > ran().step_time


@pytest.mark.parametrize(("precision", "matters"), [("fp8", True), ("bf16", False)])
def test_weights_are_gathered_in_8_bits_when_products_run_in_8(precision, matters):
    work = msgspec.structs.replace(JOB, precision=precision)
    plain = ran(workload=work, overlap_dp=False)
    low = ran(workload=work, overlap_dp=False, gathers_fp8=True)
    assert (low.step_time < plain.step_time) is matters


def test_block_scales_use_their_own_kernels():
    work = msgspec.structs.replace(JOB, precision="fp8")
    plain, blocks = (
        ran(workload=work, graphs=True, block_scaled=scaled) for scaled in (False, True)
    )
    kernels = [term.time for found in (plain, blocks) for term in found.waterfall[:3]]
    assert sum(kernels[3:]) > sum(kernels[:3])


def test_a_copy_of_the_gradients_takes_two_bytes_a_parameter():
    more = ran(gradient_copy_bytes=2.0).memory_bytes - ran().memory_bytes
    weights = ran().stages[0].parts["weights"]
    assert more == pytest.approx(weights, rel=1e-9)


def test_experts_outside_the_graph_are_launched_by_the_host():
    question = ask_training(
        "qwen3-30b-a3b", accelerator="h100", accelerators=16, batch_sequences="64"
    )
    strategy = Strategy(dp=16, ep=8, zero=1)
    times = []
    for inside in (True, False):
        bound = make_evaluator(
            question.model,
            question.cluster,
            question.workload,
            software=msgspec.structs.replace(question.software, graphs=True, graphs_experts=inside),
            profile=question.profile,
            settings=question.settings,
        )
        times.append(estimate_with(bound, strategy, intervals=INTERVALS).step_time)
    assert times[0] <= times[1]


def host_time(strategy: Strategy, **traits: object) -> float:
    return next(term.time for term in ran(strategy, **traits).waterfall if term.name == "host")


def test_an_all_reduce_is_one_launch_and_its_two_halves_are_two():
    slow = Stack(launch_time=5e-4)
    thin = Strategy(tp=8, dp=8, micro_batch=1)
    once, twice = (
        host_time(msgspec.structs.replace(thin, sequence_parallel=split), stack=slow)
        for split in (False, True)
    )
    alone = host_time(Strategy(tp=1, dp=64, micro_batch=1), stack=slow)
    assert alone < once < twice


def test_a_loss_in_steps_moves_more_than_a_fused_one():
    assert ran(fused_loss=False).step_time > ran(fused_loss=True).step_time
    assert ran(fused_loss=None, fused=True).step_time == ran(fused_loss=True).step_time


def test_ends_wait_for_the_host_only_where_layers_do():
    waiting = make_settings(batch_launches=200.0)
    slow, usual = Stack(launch_time=5e-4), Stack(launch_time=0.0)
    assert ran(settings=waiting, stack=slow).step_time > ran(stack=slow).step_time
    assert ran(settings=waiting, stack=usual).step_time == ran(stack=usual).step_time


def test_allocated_memory_leaves_the_runtime_out():
    found = ran()
    assert found.allocated_bytes == pytest.approx(
        found.memory_bytes - found.stages[0].parts["reserve"]
    )


def dp_time(strategy: Strategy, **traits: object) -> float:
    return next(term.time for term in ran(strategy, **traits).waterfall if term.name == "dp")


def test_small_buckets_pay_a_latency_each_and_large_ones_do_not_hide():
    shown = msgspec.structs.replace(STRATEGY, overlap_dp=False)
    assert dp_time(shown, bucket_elements=1e6) == dp_time(shown, bucket_elements=1e9)
    hidden = msgspec.structs.replace(STRATEGY, overlap_dp=True)
    tiny, usual, whole = (
        dp_time(hidden, bucket_elements=n, bucket_elements_per_rank=0.0) for n in (1e4, 4e7, 1e12)
    )
    assert tiny > usual
    assert whole == pytest.approx(dp_time(shown, bucket_elements=1e12))
    assert whole > usual
    assert dp_time(hidden, bucket_elements=4e7, bucket_elements_per_rank=1e12) == whole


def test_lists_of_slices_cost_a_copy_a_rank():
    layers, slice_time = dense().num_layers, settings_of(shipped()).slice_time
    for strategy in (Strategy(tp=8, dp=8, zero=1), Strategy(dp=64, zero=1)):
        added = dp_time(strategy, listed_tensors=4.0) - dp_time(strategy)
        assert added == pytest.approx(2.0 * 4.0 * layers * strategy.dp * slice_time)
    for unsharded in (Strategy(dp=64, zero=0), Strategy(tp=8, pp=8, dp=1, zero=1)):
        assert dp_time(unsharded, listed_tensors=4.0) == dp_time(unsharded)


def test_a_third_gather_is_paid_for_full_recompute_alone():
    light = Strategy(dp=64, zero=3)
    heavy = msgspec.structs.replace(light, recompute="full")
    assert ran(light, regathers=True).step_time == ran(light).step_time
    assert ran(heavy, regathers=True).step_time > ran(heavy).step_time


def test_an_update_in_fp32_holds_a_sharded_copy_of_narrow_gradients():
    narrow = msgspec.structs.replace(JOB, gradient_bytes=2.0)
    added = [
        ran(strategy, workload=narrow).memory_bytes
        - ran(strategy, workload=narrow, update_gradient_bytes=0.0).memory_bytes
        for strategy in (Strategy(dp=64, zero=1), Strategy(dp=64, zero=0))
    ]
    assert added[1] == pytest.approx(64.0 * added[0], rel=1e-6)
    assert added[0] > 0.0
    assert ran(update_gradient_bytes=0.0).memory_bytes == ran().memory_bytes


def test_stages_by_weight_give_the_first_more_layers():
    strategy = Strategy(pp=4, dp=16, micro_batch=1)
    even, weighed = ran(strategy), ran(strategy, stages_by_weight=True)
    assert weighed.stages[0].parts["weights"] > even.stages[0].parts["weights"]
