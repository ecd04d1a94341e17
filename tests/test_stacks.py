"""Stack factors: what the hardware cannot explain, fitted on many runs or not at all."""

from __future__ import annotations

import tomllib

import msgspec
import pytest
from training_cases import INTERVALS, JOB, dense, machine

from clusterwright.calibrate import stacks
from clusterwright.calibrate.recording import stacks_as_text, stacks_as_toml
from clusterwright.calibrate.stacks import Row, StackFit, fit_stack, held_out_error
from clusterwright.errors import CatalogueError, InputError, UnknownNameError
from clusterwright.facts import profile_of, shipped
from clusterwright.software import Stack
from clusterwright.strategy import Strategy
from clusterwright.training.api import estimate_training, settings_of, software_named
from clusterwright.training.estimate import estimate_with, make_evaluator
from clusterwright.validation.questions import Question

STRATEGIES = [
    Strategy(tp=tp, dp=64 // tp // pp, pp=pp, micro_batch=1, zero=1)
    for tp in (1, 2, 4, 8)
    for pp in (1, 2)
]


def step_time(stack: Stack, strategy: Strategy, name: str = "megatron-deepspeed") -> float:
    software = msgspec.structs.replace(software_named(shipped(), name), stack=stack)
    bound = make_evaluator(
        dense(),
        machine(),
        JOB,
        software=software,
        profile=profile_of(shipped(), machine()),
        settings=settings_of(shipped()),
    )
    return estimate_with(bound, strategy, intervals=INTERVALS).step_time


@pytest.mark.parametrize(
    "factor", ["product_share", "attention_share", "memory_share", "network_share"]
)
def test_a_larger_share_never_slows(factor):
    strategy = Strategy(tp=2, pp=2, dp=16, micro_batch=2)
    slow = step_time(Stack(**{factor: 0.7}), strategy)
    fast = step_time(Stack(**{factor: 1.0}), strategy)
    assert fast < slow


def test_host_time_counts_where_kernels_are_short():
    thin = Strategy(tp=8, dp=8, micro_batch=1)
    assert step_time(Stack(launch_time=1e-3), thin) > 2.0 * step_time(Stack(launch_time=0.0), thin)


def test_tensor_ranks_wait_only_between_distant_stages():
    held = Stack(tensor_sync_time=0.05)
    near, far = Strategy(tp=4, pp=2, dp=1), Strategy(tp=4, pp=2, dp=8)
    assert step_time(held, near) == step_time(Stack(), near)
    assert step_time(held, far) > 2.0 * step_time(Stack(), far)
    alone = Strategy(tp=1, pp=2, dp=32)
    assert step_time(held, alone) == step_time(Stack(), alone)


def test_hops_of_tensor_parallelism_count_between_nodes_alone():
    slow = Stack(tensor_hop_time=1e-3)
    inside, across = Strategy(tp=8, dp=8), Strategy(tp=16, dp=4)
    assert step_time(slow, inside) == step_time(Stack(), inside)
    assert step_time(slow, across) > 1.5 * step_time(Stack(), across)


def test_late_buffers_are_held_without_pipeline_transfers_alone():
    def held(stack: Stack, strategy: Strategy) -> float:
        software = msgspec.structs.replace(software_named(shipped(), "nanotron"), stack=stack)
        found = estimate_training(
            dense(), machine(), JOB, strategy, software=software, catalogue=shipped()
        )
        return found.memory_bytes

    late = Stack(gather_buffers=50.0)
    for strategy, more in (
        (Strategy(tp=4, dp=16, zero=1), True),
        (Strategy(tp=1, dp=64, zero=1), False),
        (Strategy(tp=4, pp=2, dp=8, zero=1), False),
    ):
        assert (held(late, strategy) > held(Stack(), strategy)) is more


def rows(truth: Stack) -> list[Row]:
    software = software_named(shipped(), "megatron-deepspeed")
    slowed = msgspec.structs.replace(software, stack=truth)
    found = []
    for index, strategy in enumerate(STRATEGIES):
        question = Question(
            model=dense(), cluster=machine(), workload=JOB, strategy=strategy, software=software
        )
        measured = estimate_training(
            dense(), machine(), JOB, strategy, software=slowed, catalogue=shipped()
        ).step_time
        found.append(Row(question=question, measured=measured, source=f"source {index % 2}"))
    return found


def test_a_slower_framework_is_found_out():
    truth = Stack(product_share=0.8, attention_share=0.8)
    fit = fit_stack("megatron-deepspeed", rows(truth), shipped())
    assert fit.after < 0.04 < fit.before
    assert fit.stack.product_share == pytest.approx(0.8, abs=0.06)
    assert (fit.stack.rows, fit.stack.sources) == (len(STRATEGIES), 2)


def test_a_factor_that_earns_nothing_stays_at_its_default():
    plain = Stack(launch_time=settings_of(shipped()).launch_time)
    fit = fit_stack("megatron-deepspeed", rows(plain), shipped())
    assert fit.stack.product_share == fit.stack.memory_share == 1.0
    assert fit.before == pytest.approx(fit.after)


def test_own_runs_start_from_what_the_catalogue_knows_where_that_fits():
    usual = settings_of(shipped()).launch_time
    cases = rows(Stack(launch_time=usual))
    wrong = Stack(product_share=0.7, launch_time=usual)
    fit = fit_stack("megatron-deepspeed", cases, shipped(), start=wrong)
    assert fit.after < 1e-9
    assert fit.before > 0.03
    slow = Stack(tensor_sync_time=0.05, launch_time=usual)
    kept = fit_stack("megatron-deepspeed", rows(slow), shipped(), start=slow)
    assert kept.before < 1e-9
    assert kept.stack.tensor_sync_time == 0.05


def test_few_runs_are_not_fitted(monkeypatch):
    monkeypatch.setattr(stacks, "rows_of", lambda *_: {})
    assert stacks.LEAST_ROWS >= 10
    with pytest.raises(InputError, match="runs of any framework have a complete"):
        stacks.fit_stacks([], shipped())
    with pytest.raises(InputError, match="fewer than 20 runs of nemo have"):
        stacks.fit_stacks([], shipped(), only=["nemo"])
    with pytest.raises(UnknownNameError, match="no software called 'megatron': did you mean"):
        stacks.fit_stacks([], shipped(), only=["megatron"])


def test_factors_that_sources_share_carry_over_to_one_left_out():
    cases = rows(Stack(product_share=0.8, attention_share=0.8))
    shared = held_out_error("megatron-deepspeed", cases, shipped())
    assert shared is not None
    assert shared < 0.06
    alone = [msgspec.structs.replace(case, source="one") for case in cases]
    assert held_out_error("megatron-deepspeed", alone, shipped()) is None
    # One source is a third slower, the other a third faster: what fits one is wrong for the other.
    torn = [
        msgspec.structs.replace(case, measured=case.measured * (1.5 if index % 2 else 0.67))
        for index, case in enumerate(cases)
    ]
    found = held_out_error("megatron-deepspeed", torn, shipped())
    assert found is not None
    assert found > 0.25


def test_factors_are_written_as_a_catalogue_file():
    stack = Stack(product_share=0.9, rows=40, sources=3, residual=0.05, held_out=0.07)
    fit = StackFit(software="nemo", stack=stack, before=0.1, after=0.05)
    entry = tomllib.loads(stacks_as_toml([fit], source='a "b"', checked="2026-11-22"))["stacks"][0]
    assert entry["source"] == 'a "b"'
    assert entry["id"] == "nemo"
    assert entry["product_share"] == 0.9
    assert "memory_share" not in entry
    assert entry["held_out"] == 0.07
    told = stacks_as_text([fit])
    assert "product_share 0.9" in told
    assert "7.0 %" in told


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('id = "megatron"', "names 'megatron', which does not exist: did you mean megatron"),
        ('id = "nemo"\nproducts_share = 0.9', "'nemo': .*did you mean 'product_share'"),
        ('id = "nemo"\nproduct_share = "half"', "'nemo': Expected `float`, got `str`"),
        ('id = "nemo"\nproduct_share = -0.5', r"product_share is -0\.5, but must be above 0"),
        ('id = "nemo"\nmemory_share = nan', "memory_share is nan, but must be above 0"),
        ('id = "nemo"\ngather_buffers = 0.5', "gather_buffers is 0.5, but must be 1 or more"),
        ('id = "nemo"\ntensor_sync_time = -1.0', "tensor_sync_time is -1 s, but must be 0"),
    ],
)
def test_a_file_of_factors_that_breaks_is_refused_with_the_mend(written, said, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(f"[[stacks]]\n{written}\n")
    with pytest.raises(CatalogueError, match=said):
        software_named(shipped().with_files([own]), "nemo")
