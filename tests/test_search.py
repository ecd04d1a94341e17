"""The search against a loop over single estimates: same figures, same best, all accounted for."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from training_cases import JOB, dense, estimate, evaluator, machine, sparse

from clusterwright.errors import InfeasibleError, InputError
from clusterwright.planner import objective_column
from clusterwright.strategy import Strategy
from clusterwright.training import search as search_module
from clusterwright.training.beaten import SWEPT_AXES, Known
from clusterwright.training.columns import Runs, columns_of, strategy_of
from clusterwright.training.estimate import memory_limit
from clusterwright.training.evaluate import Evaluator
from clusterwright.training.found import Found
from clusterwright.training.rules import RULES, allowed_runs
from clusterwright.training.search import KINDS, best_of_each_kind, pareto_front, search
from clusterwright.training.space import enumerate_cuts, enumerate_runs

EVALUATORS = {
    "dense": evaluator(cluster=machine(16), software="any"),
    "experts": evaluator(sparse(), machine(8), software="megatron-core"),
    "uneven": evaluator(dense(18), machine(12), software="megatron-core"),
}
RUN_RULES = {"SCH002", "SCH003", "SHD001", "SHD002", "MEM001", "TIM001", "TIM002"}
"""Rules that turn away single strategies; the others turn away cuts before they meet the runs."""


@cache
def everything(name: str) -> Found:
    return search(EVALUATORS[name], reach=np.inf)


def space(bound: Evaluator, pins: dict[str, object]) -> tuple[object, Runs]:
    software = bound.machine.software
    count = bound.machine.cluster.count
    cuts, _ = enumerate_cuts(bound.model, bound.workload, software, count, pins)
    return cuts, enumerate_runs(software, pins, can_offload=True)


@pytest.mark.parametrize("name", EVALUATORS)
def test_a_strategy_in_a_table_is_the_same_strategy_alone(name):
    bound = EVALUATORS[name]
    cuts, runs = space(bound, {})
    index = np.random.default_rng(7).permutation(len(cuts))[:40]
    some = cuts.take(index)
    table = bound.evaluate(bound.prepare(some), runs)
    legal, _ = allowed_runs(some, runs, slice(None), table.num_micro_batches)
    shape = (len(some), *runs.shape)
    fits = np.broadcast_to(legal, shape) & (table.memory_bytes < 10 * memory_limit(bound.machine))
    crossings = np.argwhere(fits.reshape(len(some), -1))
    assert len(crossings) > 60
    for cut, run in np.random.default_rng(8).permutation(crossings)[:60]:
        strategy = strategy_of(some, runs, cut, run, num_layers=bound.model.num_layers)
        alone = estimate(bound, strategy)
        where = (cut, *np.unravel_index(run, runs.shape))
        assert alone.step_time == pytest.approx(table.step_time[where], rel=1e-9)
        assert alone.memory_bytes == pytest.approx(table.memory_bytes[where], rel=1e-9)


@pytest.mark.parametrize("name", EVALUATORS)
def test_what_the_search_calls_feasible_is_feasible(name):
    found, bound = everything(name), EVALUATORS[name]
    usable = np.flatnonzero(np.isfinite(found.step_time))
    for index in np.random.default_rng(1).permutation(usable)[:60]:
        alone = estimate(bound, found.strategy(index))
        assert alone.fits
        # The table keeps single precision.
        assert alone.step_time == pytest.approx(found.step_time[index], rel=1e-6)
        assert alone.memory_bytes == pytest.approx(found.memory[index], rel=1e-6)


@pytest.mark.parametrize("model", [dense(), sparse()], ids=["dense", "experts"])
def test_the_best_is_the_best_of_a_loop_over_all(model):
    pins = {"cp": 1, "micro_batch": 1, "etp": 1, "offload": "none", "schedule": "1f1b"}
    bound = evaluator(model, machine(8), software="megatron-core")
    found = search(bound, pins, reach=np.inf)
    values = {"time": [], "cost": [], "memory": []}
    for strategy in by_hand(bound, pins):
        try:
            alone = estimate(bound, strategy)
        except InputError:
            continue
        if alone.fits:
            values["time"].append(alone.step_time)
            values["cost"].append(alone.step_time * alone.accelerators)
            values["memory"].append(alone.memory_bytes)
    assert len(values["time"]) > 100
    for objective, all_values in values.items():
        column = objective_column(found, objective)
        [best] = best_of_each_kind(found, column, 1)
        assert column[best] == pytest.approx(min(all_values), rel=1e-6), objective


def by_hand(bound: Evaluator, pins: dict[str, object]) -> list[Strategy]:
    """Every strategy on at most 8 accelerators, without the tables of the space."""
    found = []
    overlap = {
        axis: getattr(bound.machine.software, axis)
        for axis in ("overlap_tp", "overlap_dp", "overlap_ep", "overlap_pp")
    }
    recomputes = [("none", 0), ("selective", 0), *(("full", n) for n in (0, 1, 2, 3, 4, 6, 12))]
    for tp, pp, dp in itertools.product((1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 4, 8)):
        if not 4 < tp * pp * dp <= 8:
            continue
        rounds = JOB.global_batch // dp
        vpps = [v for v in range(1, 17) if v == 1 or (pp > 1 and 16 % (pp * v) == 0)]
        vpps = [v for v in vpps if v == 1 or rounds % pp == 0]
        eps = (1, 2, 4, 8) if bound.model.blocks[0].experts else (1,)
        zeros = (0, 1, 2, 3) if pp == 1 else (0, 1)
        zeros = zeros if dp > 1 else (0,)
        for vpp, ep, zero, (recompute, layers) in itertools.product(vpps, eps, zeros, recomputes):
            share = layers * pp / 16
            if layers and share not in {0.25, 0.75}:
                continue
            found.append(
                Strategy(
                    tp=tp,
                    pp=pp,
                    vpp=vpp,
                    dp=dp,
                    ep=ep,
                    zero=zero,
                    recompute=recompute,
                    recompute_layers=layers,
                    micro_batch=pins["micro_batch"],
                    schedule=pins["schedule"],
                    sequence_parallel=bound.machine.software.sequence_parallel,
                    **overlap,
                )
            )
    return found


@pytest.mark.parametrize("name", EVALUATORS)
@pytest.mark.parametrize("reach", [1.0, 1.5, np.inf])
def test_looking_no_further_than_reach_changes_no_best_and_loses_no_count(name, reach, monkeypatch):
    monkeypatch.setattr(search_module, "BLOCK_STRATEGIES", 256)  # else it is all one batch
    bound, whole = EVALUATORS[name], everything(name)
    found = search(bound, reach=reach)
    assert found.step_time.min() == whole.step_time.min()
    cuts, runs = space(bound, {})
    turned_away = sum(number for rule, number in found.rejected.items() if rule in RUN_RULES)
    feasible = int(np.isfinite(found.step_time).sum())
    assert feasible + turned_away == len(cuts) * len(runs)
    assert (found.rejected["TIM001"] > 0) == (reach < np.inf)
    assert set(found.rejected) <= set(RULES)
    assert min(found.rejected.values()) >= 0
    assert found.num_strategies == len(found.step_time) == len(found.memory)


@pytest.mark.parametrize("name", EVALUATORS)
def test_what_is_left_out_by_its_bounds_changes_no_answer(name, monkeypatch):
    monkeypatch.setattr(search_module, "BLOCK_STRATEGIES", 256)
    found = search(EVALUATORS[name])
    monkeypatch.setattr(Known, "beats", lambda _self, cuts, *_: np.zeros(len(cuts), dtype=bool))
    monkeypatch.setattr(Evaluator, "least_memory", lambda _self, cuts, _: np.zeros(len(cuts.cuts)))
    whole = search(EVALUATORS[name])
    assert found.num_strategies < whole.num_strategies
    assert found.rejected["TIM002"] > 0 == whole.rejected["TIM002"]
    for of in (lambda one: best_of_each_kind(one, one.step_time, KINDS), front_of):
        assert [found.strategy(i) for i in of(found)] == [whole.strategy(i) for i in of(whole)]
    for axis in SWEPT_AXES:
        assert found.best_by(axis) == whole.best_by(axis)


def front_of(found: Found) -> list[int]:
    """The whole front."""
    return pareto_front(found, most=10**9)


@pytest.mark.parametrize("name", EVALUATORS)
def test_the_bounds_are_bounds(name):
    bound = EVALUATORS[name]
    cuts, runs = space(bound, {})
    prepared = bound.prepare(cuts.take(np.arange(0, len(cuts), 7)))
    time, memory = bound.least_time(prepared, runs), bound.least_memory(prepared, runs)
    for places, grid in runs.by_pipeline(prepared.cuts):
        found = bound.evaluate(prepared.take(places), grid)
        least = [column.reshape(len(places), -1).min(axis=1) * (1 + 1e-12)
                 for column in (found.step_time, found.memory_bytes)]  # fmt: skip
        assert np.all(time[places] <= least[0])
        assert np.all(memory[places] <= least[1])


@pytest.mark.parametrize("name", EVALUATORS)
def test_no_point_of_the_front_is_dominated(name):
    found = everything(name)
    points = np.array([found.step_time, found.memory, found.accelerators], dtype=float).T
    points = points[points[:, 0] <= search_module.REACH * found.step_time.min()]
    whole = pareto_front(found, most=10**9)
    for index in whole[:: max(1, len(whole) // 40)]:
        mine = np.array([found.step_time[index], found.memory[index], found.accelerators[index]])
        no_worse = np.all(points <= mine, axis=1)
        better = np.any(points < mine, axis=1)
        assert not np.any(no_worse & better)
    # And nothing that is not dominated is missing, up to equals.
    on_front = {tuple(float(v[i]) for v in (found.step_time, found.memory)) for i in whole}
    for point in points[np.random.default_rng(3).permutation(len(points))[:50]]:
        dominated = np.all(points <= point, axis=1) & np.any(points < point, axis=1)
        assert dominated.any() or (point[0], point[1]) in on_front
    few = pareto_front(found, most=5)
    assert set(few) <= set(whole)
    assert (few[0], few[-1]) == (whole[0], whole[-1])


@pytest.mark.parametrize("name", EVALUATORS)
def test_the_best_of_each_kind_is_on_top_and_its_ties_need_least_memory(name):
    found = everything(name)
    chosen = best_of_each_kind(found, found.step_time, 6)
    times = found.step_time[chosen]
    assert times[0] == found.step_time.min()
    assert np.all(np.diff(times) >= 0)
    equals = found.memory[found.step_time == times[0]]
    assert found.memory[chosen[0]] == equals.min()
    assert chosen[0] == pareto_front(found)[0] or found.accelerators[chosen[0]] > 1


PINS = [
    {"tp": 2},
    {"pp": 4, "vpp": 2},
    {"cp": 2, "context_scheme": "ring"},
    {"dp": 4, "micro_batch": 2},
    {"zero": 3, "recompute": "full"},
    {"recompute_layers": 3},
    {"schedule": "zero-bubble", "pp": 2},
    {"offload": "optimizer", "overlap_dp": False},
    {"sequence_parallel": False, "tp": 4},
    {"shard_group": 4, "zero": 2, "pp": 1},
]


@pytest.mark.parametrize("pins", PINS, ids=str)
def test_pins_are_respected(pins):
    found = search(EVALUATORS["dense"], pins, reach=np.inf)
    usable = np.flatnonzero(np.isfinite(found.step_time))
    for index in [*usable[:: max(1, len(usable) // 50)], int(np.argmin(found.step_time))]:
        strategy = found.strategy(index)
        assert {name: getattr(strategy, name) for name in pins} == pins
    free = everything("dense").step_time.min()
    if not any(name.startswith("overlap") for name in pins) and "shard_group" not in pins:
        assert found.step_time.min() >= free * (1 - 1e-6)


def test_expert_pins_are_respected():
    found = search(EVALUATORS["experts"], {"ep": 4, "etp": 1})
    strategy = found.strategy(int(np.argmin(found.step_time)))
    assert (strategy.ep, strategy.etp) == (4, 1)


def test_cheapest_costs_no_more_than_fastest():
    found = everything("uneven")
    cost = objective_column(found, "cost")
    fastest = int(np.argmin(found.step_time))
    assert cost.min() <= cost[fastest]
    assert np.isinf(cost[np.isinf(found.step_time)]).all()
    assert np.isinf(objective_column(found, "memory")[np.isinf(found.step_time)]).all()


@pytest.mark.parametrize("name", EVALUATORS)
def test_the_best_for_each_value_of_an_axis_covers_the_best(name):
    found = everything(name)
    for axis in ("tp", "pp", "ep", "micro_batch"):
        best = found.best_by(axis)
        assert list(best) == sorted(best)
        assert min(best.values()) == found.step_time.min()


@pytest.mark.parametrize(
    ("pins", "said"),
    [
        ({"zero": 3, "pp": 4}, "SHD001"),
        ({"schedule": "zero-bubble", "pp": 1}, "SCH003"),
        ({"schedule": "dualpipe", "pp": 2}, "SCH002"),
        ({"dp": 3}, "no way to cut .*PAR004.* such as to a batch of 6"),
        ({"tp": 5}, "PAR001"),
    ],
)
def test_pins_that_nothing_can_obey_are_refused_in_one_sentence(pins, said):
    with pytest.raises(InfeasibleError, match=said) as caught:
        search(EVALUATORS["dense"], pins)
    assert "\n" not in str(caught.value)


def test_an_index_past_the_end_is_refused():
    found = everything("dense")
    with pytest.raises(IndexError):
        found.strategy(found.num_strategies)


def test_one_strategy_is_one_cut_and_one_run():
    strategy = Strategy(tp=2, pp=4, vpp=2, dp=2, recompute="full", recompute_layers=1, zero=1)
    cuts, runs = columns_of(strategy)
    assert (len(cuts), len(runs)) == (1, 1)
    assert strategy_of(cuts, runs, 0, 0, num_layers=16) == strategy
    assert cuts.accelerators() == strategy.accelerators
