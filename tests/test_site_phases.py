"""Power of a node by the phases of a step: limits, order, and what was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.asking import ask_training
from clusterwright.asking_account import with_account
from clusterwright.facts import shipped
from clusterwright.planner import plan_training
from clusterwright.site.phases import PARTS, level_inputs, load_of, shares_of
from clusterwright.training.estimate import MEANINGS
from clusterwright.uncertain import likely

LEVELS = likely(level_inputs(shipped()))


def test_every_term_of_a_step_is_known_or_idle():
    named = {name for names in PARTS.values() for name in names}
    assert named <= set(MEANINGS)
    assert set(MEANINGS) - named == {"host", "bubble", "stragglers"}


@given(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3))
def test_the_load_lies_between_idle_and_the_most(times):
    compute, traffic, idle = times
    shares = shares_of({"ideal": compute, "tp": traffic, "bubble": idle + 1e-3})
    assert -1e-12 <= load_of({**shares, **LEVELS}) <= 1.0 + 1e-12


def test_computing_alone_is_the_most_and_waiting_alone_is_idle():
    assert load_of({**shares_of({"ideal": 1.0}), **LEVELS}) == pytest.approx(1.0)
    assert load_of({**shares_of({"bubble": 1.0}), **LEVELS}) == pytest.approx(0.0)


def test_a_longer_bubble_draws_less():
    short, long = (
        load_of({**shares_of({"kernels": 1.0, "bubble": bubble}), **LEVELS})
        for bubble in (0.1, 0.5)
    )
    assert long < short


def test_a_planned_run_draws_what_nodes_were_measured_to_draw():
    """65 to 82 % of the rated power while training (arXiv 2506.14551, 2412.08602, 2408.14158)."""
    question = ask_training("llama-3.1-405b", cluster="meta-24k", accelerators=8192, tokens="1T")
    plan = plan_training(with_account(question))
    inputs = plan.question.site.inputs
    beside, pue = inputs["other_power"].value, inputs["pue"].value
    node = plan.account.power.middle / plan.best.accelerators / pue - beside
    assert 0.65 <= node / inputs["node_power"].value <= 0.82
