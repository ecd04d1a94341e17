"""Every rule has a page, and something that it turns away."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from training_cases import JOB, dense, evaluator, machine, sparse

from clusterwright.errors import InfeasibleError, UnknownNameError
from clusterwright.hardware import Cluster
from clusterwright.training import search as search_module
from clusterwright.training.evaluate import Evaluator
from clusterwright.training.rules import RULES, explain_rule
from clusterwright.training.search import search
from clusterwright.training.space import enumerate_cuts
from clusterwright.workload import TrainingWorkload

replace = msgspec.structs.replace


def rejected(bound: Evaluator, pins: dict[str, object]) -> dict[str, int]:
    """What each rule turned away: of cuts where no cut is left, else of strategies."""
    software, count = bound.machine.software, bound.machine.cluster.count
    domain = bound.machine.cluster.levels[0].size
    cuts, by_cut = enumerate_cuts(bound.model, bound.workload, software, count, pins, domain=domain)
    return by_cut if not len(cuts) else search(bound, pins).rejected


def job(**changes: object) -> TrainingWorkload:
    return replace(JOB, **changes)


def domains_of_six() -> Cluster:
    """24 accelerators in four scale-up domains."""
    cluster = machine(24)
    levels = (replace(cluster.levels[0], size=6), *cluster.levels[1:])
    return replace(cluster, levels=levels)


TRIGGERS = {
    "PAR001": (evaluator(cluster=machine(8)), {"tp": 3}),
    "PAR002": (evaluator(cluster=machine(8)), {"cp": 3}),
    "PAR003": (evaluator(dense(2), machine(8)), {"pp": 4}),
    "PAR004": (evaluator(cluster=machine(8)), {"micro_batch": 3}),
    "PAR005": (evaluator(sparse(), machine(8)), {"ep": 3}),
    "PAR006": (evaluator(cluster=machine(8)), {"tp": 16}),
    "PAR007": (evaluator(cluster=domains_of_six()), {"tp": 16}),
    "SCH001": (evaluator(cluster=machine(8), workload=job(global_batch=6)), {"pp": 4, "vpp": 2}),
    "SCH002": (evaluator(cluster=machine(8)), {"schedule": "dualpipe"}),
    "SCH003": (evaluator(cluster=machine(8)), {}),
    "SHD001": (evaluator(cluster=machine(8)), {}),
    "SHD002": (evaluator(cluster=machine(8)), {}),
    "TIM001": (evaluator(cluster=machine(64)), {}),
    "TIM002": (evaluator(cluster=machine(64)), {}),
    "MEM001": (evaluator(cluster=machine(8), workload=job(sequence_length=32768)), {}),
    "MEM002": (
        evaluator(cluster=replace(machine(8), host_memory_bytes=1e6, host_bandwidth=50e9)),
        {},
    ),
}


@pytest.mark.parametrize("rule_id", RULES)
def test_every_rule_has_a_page_in_words(rule_id):
    page = explain_rule(rule_id.lower())
    assert page.id == rule_id
    assert min(len(page.checks), len(page.why), len(page.fix)) > 4
    assert not page.checks.endswith(".")


def test_an_unknown_rule_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="PAR001"):
        explain_rule("PAR01")


@pytest.mark.parametrize("rule_id", RULES)
def test_every_rule_can_be_broken(rule_id, monkeypatch):
    monkeypatch.setattr(search_module, "BLOCK_STRATEGIES", 64)  # else a small space is one batch
    bound, pins = TRIGGERS[rule_id]
    assert rejected(bound, pins)[rule_id] > 0


def test_when_nothing_fits_the_message_says_what_stops_it_and_what_would_hold_it():
    chip = replace(machine(8).accelerator, memory_bytes=2.8e9)
    small = replace(machine(8), accelerator=chip)
    with pytest.raises(InfeasibleError) as caught:
        search(evaluator(cluster=small, software="megatron-core", workload=job(global_batch=8)))
    said = str(caught.value)
    assert "does not fit" in said
    assert "alone" in said
    assert "accelerators, or" in said
    assert "\n" not in said


def test_no_strategy_breaks_a_rule_of_schedules_or_sharding():
    found = search(evaluator(cluster=machine(8)))
    for index in np.flatnonzero(np.isfinite(found.step_time))[::97]:
        strategy = found.strategy(index)
        assert strategy.zero < 2 or strategy.pp == 1
        assert strategy.zero == 0 or strategy.dp * strategy.cp > 1
        assert strategy.schedule != "zero-bubble" or strategy.pp > 1
        if strategy.schedule == "dualpipe":
            assert strategy.pp % 2 == 0
            assert strategy.pp >= 4
            assert strategy.vpp == 1
        rounds = JOB.global_batch // strategy.dp // strategy.micro_batch
        assert strategy.vpp == 1 or rounds % strategy.pp == 0
