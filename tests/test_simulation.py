"""A strategy played out: the same costs as the closed form, and nearly its step time."""

from __future__ import annotations

import numpy as np
import pytest
from training_cases import ACCELERATORS, INTERVALS

from clusterwright import Strategy, ask_training
from clusterwright.engines.executor import execute
from clusterwright.engines.torch_table import read_table, write_table
from clusterwright.errors import InputError
from clusterwright.planner import evaluator_of, plan_training, simulate_training
from clusterwright.simulation.inputs import OTHER_ORDERS, costs_of, schedule_of, without_hops
from clusterwright.simulation.refining import (
    MOST_OPERATIONS,
    pipeline_time,
    refined,
)
from clusterwright.simulation.step import MOST_DRAWS, simulate
from clusterwright.training.estimate import estimate_with
from clusterwright.training.pieces import pieces_of

TOLERANCE = {"1f1b": 0.015, "interleaved": 0.03, "zero-bubble": 0.05, "gpipe": 0.03}
"""Closed form against engine, as shares of the step time. The closed form adds the fill's transfers
to the bubble, and neglects that uneven chunks and delayed weight gradients hide some of both;
chunks have unequal layers, whose waits it takes for even; and breadth-first chunks hide transfers
that it counts."""

JOBS = {
    "dense, uneven": ("llama-3.1-405b", {"tp": 8, "pp": 16, "vpp": 8, "dp": 8}),
    "dense, plain": ("llama-3.1-405b", {"tp": 8, "pp": 14, "dp": 4, "recompute": "full"}),
    "some layers again": (
        "llama-3.1-405b",
        {"tp": 8, "pp": 16, "dp": 4, "vpp": 2, "recompute": "full", "recompute_layers": 3},
    ),
    "some dense layers first": ("deepseek-v3", {"pp": 16, "dp": 64, "ep": 64}),
    "two windows": ("gemma-3-27b", {"tp": 2, "pp": 4, "dp": 8, "recompute": "selective"}),
    "hybrid": ("jamba-1.5-large", {"tp": 4, "pp": 8, "dp": 8, "ep": 8}),
    "offloaded": ("llama-3.1-70b", {"tp": 4, "pp": 8, "dp": 2, "offload": "activations"}),
}


def asked(name, strategy, *, rounds=32):
    question = ask_training(
        name,
        accelerator="h100",
        accelerators=strategy.accelerators,
        batch_sequences=str(strategy.dp * rounds),
        sequence_length="4096",
    )
    evaluator = evaluator_of(question)
    estimate = estimate_with(evaluator, strategy, intervals=INTERVALS, every_rank=True)
    return estimate, pieces_of(evaluator, strategy)


def terms(estimate):
    return {term.name: term.time for term in estimate.waterfall}


@pytest.mark.parametrize("job", JOBS)
def test_the_pieces_are_what_the_closed_form_sums_up(job):
    name, axes = JOBS[job]
    estimate, pieces = asked(name, Strategy(**axes))
    chunks = pieces.forward + pieces.input_gradient + pieces.weight_gradient
    strategy = estimate.strategy
    of_rank = chunks.reshape(strategy.vpp, strategy.pp).sum(axis=0)
    found = terms(estimate)
    pipeline = ("bubble", "pp", "stragglers", "dp", "optimizer", "offload")
    stage = estimate.step_time - sum(found[name] for name in pipeline)
    assert of_rank.max() * pieces.num_micro_batches == pytest.approx(stage, rel=1e-9)
    assert (pieces.weight_gradient >= 0).all()
    assert 0.1 < pieces.weight_gradient.sum() / chunks.sum() < 0.4
    waiting = found["stragglers"] / (stage + found["bubble"])
    assert pieces.straggler_share == pytest.approx(waiting, rel=1e-9)


@pytest.mark.parametrize("schedule", sorted(TOLERANCE))
@pytest.mark.parametrize("job", JOBS)
def test_both_fidelities_agree(job, schedule):
    name, axes = JOBS[job]
    estimate, pieces = asked(name, Strategy(**axes, schedule=schedule))
    report = simulate(estimate, pieces).report
    assert report.estimate.step_time == pytest.approx(estimate.step_time, rel=TOLERANCE[schedule])
    assert sum(terms(report.estimate).values()) == report.estimate.step_time
    assert report.estimate.closed_form_time == report.closed_form.step_time == estimate.step_time
    assert terms(report.estimate)["bubble"] >= 0.0
    assert terms(report.estimate)["pp"] >= 0.0
    worst = max(one.memory_bytes for one in report.ranks)
    assert worst == pytest.approx(estimate.memory_bytes, rel=0.02)


def test_dualpipe_evens_its_ranks_out():
    plain, _ = asked("llama-3.1-70b", Strategy(tp=4, pp=8, dp=2))
    estimate, pieces = asked("llama-3.1-70b", Strategy(tp=4, pp=8, dp=2, schedule="dualpipe"))
    report = simulate(estimate, pieces).report
    # Its published bubble is exact for equal F, I and W alone.
    assert report.estimate.step_time == pytest.approx(estimate.step_time, rel=0.05)
    assert terms(report.estimate)["extra work"] == pytest.approx(terms(estimate)["extra work"])
    assert terms(estimate)["extra work"] < terms(plain)["extra work"]
    assert terms(estimate)["recompute"] == pytest.approx(0.0, abs=1e-9)
    assert len({round(one.busy_time, 6) for one in report.ranks}) < 4


@pytest.mark.parametrize("schedule", ["1f1b", "zero-bubble", "gpipe", "dualpipe"])
@pytest.mark.parametrize("rounds", [32, 48, 61, 200])
@pytest.mark.parametrize("hops", [True, False])
def test_the_planner_s_short_play_is_that_of_all_rounds(schedule, rounds, hops):
    rounds += rounds % 2 if schedule == "dualpipe" else 0  # it takes even numbers
    strategy = Strategy(pp=8, dp=2, tp=4, schedule=schedule)
    _, pieces = asked("llama-3.1-70b", strategy, rounds=rounds)
    order = schedule_of(strategy, rounds)
    costs = costs_of(pieces, order)
    if not hops:
        costs = without_hops(costs)
    whole = execute(order, costs, blocking=not pieces.hops_overlap).makespan
    assert pipeline_time(pieces, strategy, hops=hops) == pytest.approx(whole, rel=1e-9)


def test_the_planner_s_short_play_of_chunks():
    strategy = Strategy(pp=8, dp=2, tp=4, vpp=5, schedule="interleaved")
    _, pieces = asked("llama-3.1-70b", strategy, rounds=160)
    order = schedule_of(strategy, 160)
    whole = execute(order, costs_of(pieces, order)).makespan
    assert pieces.hops_overlap
    assert pipeline_time(pieces, strategy) == pytest.approx(whole, rel=1e-9)


def test_what_is_too_long_to_play_keeps_its_closed_form():
    strategy = Strategy(tp=1, pp=64, vpp=2, dp=1)
    estimate, pieces = asked("llama-3.1-405b", strategy.__class__(pp=126, dp=1), rounds=512)
    assert MOST_OPERATIONS < 3 * 126 * 126 * 2
    assert refined(estimate, pieces) is estimate


def test_without_a_pipeline_nothing_changes():
    estimate, pieces = asked("llama-3.1-8b", Strategy(dp=8, zero=3))
    assert refined(estimate, pieces) is estimate
    report = simulate(estimate, pieces).report
    assert report.estimate.step_time == pytest.approx(estimate.step_time, rel=1e-9)
    assert report.bubble == pytest.approx(0.0, abs=1e-12)


@pytest.fixture(scope="module")
def question():
    return ask_training(
        "llama-3.1-8b",
        accelerator="h100",
        accelerators=ACCELERATORS,
        batch_sequences="128",
        sequence_length="4096",
    )


CHOICES = {"tp": 2, "pp": 4, "vpp": 2}


def test_the_same_seed_gives_the_same_step(question):
    first, again, other = (
        simulate_training(question, jitter=0.1, seed=seed, **CHOICES) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.timeline.end, again.timeline.end)
    assert first.report == again.report
    assert first.report.step_time != other.report.step_time
    assert first.report.draws[0] == pytest.approx(first.report.step_time, rel=1e-12)
    assert len(set(first.report.draws)) == len(first.report.draws) == MOST_DRAWS
    assert simulate_training(question, **CHOICES).report.draws == ()


def test_a_slow_rank_costs_what_it_adds(question):
    even = simulate_training(question, **CHOICES).report
    slow = simulate_training(question, stragglers={2: 1.5}, **CHOICES).report
    assert even.uneven_time == 0.0
    assert slow.uneven_time > 0.2 * even.ranks[2].busy_time
    assert slow.step_time == slow.estimate.step_time + slow.uneven_time
    assert slow.ranks[2].busy_time == pytest.approx(1.5 * even.ranks[2].busy_time)
    assert slow.estimate == even.estimate


def test_a_table_is_followed(question, tmp_path):
    own = simulate_training(question, **CHOICES)
    path = tmp_path / "own.csv"
    write_table(own.timeline.schedule, path)
    followed = simulate_training(question, order=str(path), **CHOICES)
    assert followed.report.step_time == own.report.step_time
    assert followed.report.schedule == "own"
    np.testing.assert_array_equal(read_table(path).ops, own.timeline.schedule.ops)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pp": 8, "vpp": 1}, "choose pp = 4"),
        ({"vpp": 1}, r"choose pp \* vpp = 8"),
        ({"micro_batch": 2}, "change the batch"),
    ],
)
def test_a_table_for_other_sizes_is_refused(question, tmp_path, changes, message):
    path = tmp_path / "own.csv"
    write_table(simulate_training(question, **CHOICES).timeline.schedule, path)
    with pytest.raises(InputError, match=message):
        simulate_training(question, order=str(path), **{**CHOICES, **changes})


@pytest.mark.parametrize("order", sorted(OTHER_ORDERS))
def test_other_published_orders_are_played_by_name(question, order):
    chunks = 1 if order == "zb-h2" else 2
    choices = {"tp": 2, "pp": 4, "vpp": chunks}
    plain = simulate_training(question, **choices).report
    report = simulate_training(question, order=order, **choices).report
    assert report.schedule.lower().replace("-", "") == order.replace("-", "")
    assert not report.own_schedule
    assert sum(terms(report.estimate).values()) == report.estimate.step_time
    fullest = max(one.activation_bytes for one in report.ranks)
    before = max(one.activation_bytes for one in plain.ranks)
    assert (fullest < before) == (order in {"v-half", "v-min", "zb-v", "dualpipe-v"})


def test_an_unknown_order_is_refused(question):
    with pytest.raises(InputError, match="no schedule is called 'zb-x'; choose from 1f1b"):
        simulate_training(question, order="zb-x", **CHOICES)


def test_dualpipe_with_chunks_is_refused(question):
    with pytest.raises(InputError, match="not vpp"):
        simulate_training(question, schedule="dualpipe", **CHOICES)


def test_a_plan_is_played_out_and_ranked_by_it():
    question = ask_training("llama-3.1-405b", cluster="meta-24k", accelerators=16384)
    plan = plan_training(question)
    found = [plan.best, *(one.estimate for one in plan.alternatives)]
    times = [one.step_time for one in found]
    assert times == sorted(times)
    piped = [one for one in found if one.strategy.pp > 1]
    assert piped
    for one in piped:
        assert one.closed_form_time is not None
        assert sum(terms(one).values()) == one.step_time
        assert one.step_time == pytest.approx(one.closed_form_time, rel=0.15)
    assert len(plan.best.stages) == plan.best.strategy.pp
