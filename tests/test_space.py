"""What the space holds: every cut obeys the rules, none is there twice, none is forgotten."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_cases import JOB, dense, machine, sparse

from clusterwright.facts import shipped
from clusterwright.training.api import software_named
from clusterwright.training.checks import check_strategy
from clusterwright.training.columns import strategy_of
from clusterwright.training.space import chunk_counts, divisors, enumerate_cuts, enumerate_runs

ANY, MEGATRON = (software_named(shipped(), name) for name in ("any", "megatron-core"))


@given(number=st.integers(1, 5000))
def test_divisors_are_all_of_them(number):
    assert divisors(number) == [d for d in range(1, number + 1) if number % d == 0]


@pytest.mark.parametrize(
    ("layers", "pp", "chunks"),
    [(32, 1, [1]), (32, 4, [1, 2, 4, 8]), (126, 16, [1, 2, 4, 8]), (61, 16, [1])],
)
def test_chunks_are_even_up_to_the_ends(layers, pp, chunks):
    found = chunk_counts(layers, pp)
    assert [v for v in found if v in chunks] == chunks
    assert all(pp * v <= layers + 2 for v in found)


@pytest.mark.parametrize("model", [dense(), sparse(), dense(18)], ids=["16", "experts", "18"])
@pytest.mark.parametrize("count", [1, 8, 24])
def test_every_strategy_of_the_space_multiplies_out(model, count):
    cuts, rejected = enumerate_cuts(model, JOB, ANY, count, {})
    runs = enumerate_runs(ANY, {}, can_offload=True)
    used = cuts.accelerators()
    assert len(cuts) > 0
    assert used.max() <= count
    assert used.min() > count / 4
    columns = [getattr(cuts, field.name).tolist() for field in fields(cuts)]
    rows = set(zip(*columns, strict=True))
    assert len(rows) == len(cuts)
    for cut in range(0, len(cuts), max(1, len(cuts) // 200)):
        strategy = strategy_of(cuts, runs, cut, 0, num_layers=model.num_layers)
        check_strategy(model, machine(count), JOB, strategy)
    assert all(number >= 0 for number in rejected.values())


def test_the_runs_are_a_grid_of_all_choices():
    runs = enumerate_runs(ANY, {}, can_offload=True)
    assert runs.shape == (4, 6, len(ANY.schedules), len(ANY.offloads))
    cuts, _ = enumerate_cuts(dense(), JOB, ANY, 1, {})
    found = {strategy_of(cuts, runs, 0, run, num_layers=16) for run in range(len(runs))}
    assert len(found) == len(runs) == int(np.prod(runs.shape))


def test_what_the_framework_lacks_is_not_offered():
    assert enumerate_runs(MEGATRON, {}, can_offload=True).schedule.size == len(MEGATRON.schedules)
    assert enumerate_runs(ANY, {}, can_offload=False).offload.size == 1
    cuts, _ = enumerate_cuts(dense(), JOB, software_named(shipped(), "fms-fsdp"), 8, {})
    assert cuts.pp.max() == 1
