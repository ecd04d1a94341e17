"""The few ranks that are looked at in a search stand for all of them."""

from __future__ import annotations

import pytest
from training_cases import INTERVALS

from clusterwright import Strategy, ask_training
from clusterwright.planner import evaluator_of
from clusterwright.training.estimate import estimate_with

JOBS = {
    "dense, uneven": ("llama-3.1-405b", {"tp": 8, "pp": 16, "vpp": 8, "dp": 8}),
    "dense, plain": ("llama-3.1-405b", {"tp": 8, "pp": 14, "dp": 4, "recompute": "full"}),
    "some dense layers first": ("deepseek-v3", {"pp": 16, "dp": 64, "ep": 64, "zero": 1}),
    "two windows": ("gemma-3-27b", {"tp": 2, "pp": 4, "dp": 8, "recompute": "selective"}),
    "hybrid": ("jamba-1.5-large", {"tp": 4, "pp": 8, "dp": 8, "ep": 8}),
    "one rank": ("llama-3.1-8b", {"tp": 1, "dp": 8, "zero": 3}),
}


@pytest.mark.parametrize("job", JOBS)
def test_the_worst_of_the_few_is_the_worst_of_all(job):
    name, axes = JOBS[job]
    strategy = Strategy(**axes)
    question = ask_training(
        name,
        accelerator="h100",
        accelerators=strategy.accelerators,
        batch_sequences=str(strategy.dp * 32),
        sequence_length="4096",
    )
    evaluator = evaluator_of(question)
    few = estimate_with(evaluator, strategy, intervals=INTERVALS)
    every = estimate_with(evaluator, strategy, intervals=INTERVALS, every_rank=True)
    assert [stage.rank for stage in every.stages] == list(range(strategy.pp))
    assert every.memory_bytes == pytest.approx(few.memory_bytes, rel=1e-12)
    assert every.step_time == pytest.approx(few.step_time, rel=1e-12)
    assert max(stage.total for stage in every.stages) == pytest.approx(every.memory_bytes)
