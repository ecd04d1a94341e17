"""Pictures of training: their numbers are the records' own, and points lead to estimates."""

from __future__ import annotations

from functools import cache
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from pictured import check, rows_of

from clusterwright.cli import ask
from clusterwright.inference import Deployment
from clusterwright.report.pictures.comparison import comparison
from clusterwright.report.pictures.front import BEST, front
from clusterwright.report.pictures.links import serving_link, training_link
from clusterwright.report.pictures.memory import memory
from clusterwright.report.pictures.waterfall import STEP, waterfall
from clusterwright.strategy import Strategy

SMALL = "llama-3.1-8b --accelerator h100 --accelerators 16"
DEEP = "llama-3.1-405b --cluster meta-24k --accelerators 16384 --tp 8 --pp 64"


@cache
def answer(words):
    return ask(words.split()).value


def words_of(link):
    """The command that a link stands for."""
    parts = urlsplit(link)
    options = parse_qsl(parts.query)
    command = parts.path.strip("/").split("/")
    model = [value for name, value in options if name == "model"]
    return command + model + [f"--{name}={value}" for name, value in options if name != "model"]


@pytest.fixture(scope="module")
def plan():
    return answer(f"plan train {SMALL} --tokens 1T")


@pytest.fixture(scope="module")
def deep():
    return answer(f"estimate train {DEEP}")


def test_a_waterfall_ends_at_the_time_of_the_step(plan):
    spec = waterfall(plan.best)
    *terms, whole = spec["data"]["values"]
    ends = {row["name"]: row["end"] - row["start"] for row in terms}
    times = {term.name: term.time for term in plan.best.waterfall}
    assert ends == pytest.approx({name: times[name] for name in ends})
    left_out = sum(times.values()) - sum(ends.values())
    assert abs(left_out) < 0.005 * plan.best.step_time
    assert whole["name"] == STEP
    assert whole["end"] == pytest.approx(plan.best.step_time)
    assert (whole["low"], whole["high"]) == pytest.approx(plan.best.step_time_interval)
    check(spec)


def test_each_term_of_a_waterfall_has_a_kind(deep):
    assert {row["kind"] for row in waterfall(deep)["data"]["values"][:-1]} <= {
        "at peak", "computing", "traffic", "waiting",
    }  # fmt: skip


@pytest.mark.parametrize("options", [f"{SMALL} --zero 3", DEEP, f"{SMALL} --pp 2"])
def test_the_parts_of_each_stage_add_up_to_its_memory(options):
    estimate = answer(f"estimate train {options}")
    spec = memory(estimate)
    for stage in estimate.stages:
        drawn = sum(row["size"] for row in rows_of(spec, stage=stage.rank))
        # Parts under a mebibyte on every stage are left out.
        assert drawn * 2**30 == pytest.approx(stage.total, abs=2**23)
    check(spec)


def test_the_limit_is_drawn_where_it_is(deep):
    places = [layer["encoding"]["y"].get("datum") for layer in memory(deep)["layer"]]
    assert deep.memory_limit / 2**30 in places


def test_each_point_of_a_front_leads_to_the_estimate_of_its_strategy(plan):
    for point in plan.front:
        found = ask(words_of(training_link(plan.question, point.strategy))).value
        assert found.strategy == point.strategy
        # The search ranks by closed form, and keeps its columns in single precision.
        closed = found.closed_form_time or found.step_time
        assert closed == pytest.approx(point.step_time, rel=1e-5)
        assert found.memory_bytes == pytest.approx(point.memory_bytes, rel=1e-5)


@pytest.mark.parametrize("against", ["memory", "work"])
def test_a_front_marks_its_best_once_and_draws_its_interval(plan, against):
    spec = front(plan, against=against)
    [best] = rows_of(spec, kind=BEST)
    assert best["x"] == pytest.approx(plan.best.step_time)
    assert (best["low"], best["high"]) == pytest.approx(plan.best.step_time_interval)
    links = [row["href"] for row in spec["data"]["values"]]
    assert len(set(links)) == len(links)
    check(spec)


def test_a_link_keeps_what_was_asked_and_drops_what_an_estimate_is_not_asked():
    asked = {"model": "my/config.json", "catalogue": ["a.toml", "b.toml"], "accelerators": "64",
             "batch-tokens": "4M", "save": "plan.json", "objective": "cost"}  # fmt: skip
    question = answer(f"plan train {SMALL} --tokens 1T").question
    found = parse_qsl(urlsplit(training_link(question, Strategy(tp=8, dp=8), asked)).query)
    assert [value for name, value in found if name == "catalogue"] == ["a.toml", "b.toml"]
    names = {name for name, _ in found}
    assert {"model", "accelerators", "batch-tokens", "tp", "dp"} <= names
    assert not names & {"save", "objective", "batch-sequences", "cluster", "accelerator"}


def test_every_choice_of_a_strategy_comes_back_from_its_link():
    estimate = f"estimate train {SMALL}"
    question = ask(estimate.split()).seen["question"]
    strategy = Strategy(
        tp=2, cp=2, pp=2, dp=2, micro_batch=2, zero=3, shard_group=2, recompute="full",
        recompute_layers=3, sequence_parallel=False, context_scheme="ring", offload="optimizer",
    )  # fmt: skip
    own = answer(estimate).strategy
    overlaps = {
        name: getattr(own, name) for name in Strategy.__struct_fields__ if "overlap" in name
    }
    wanted = msgspec.structs.replace(strategy, **overlaps)
    assert ask(words_of(training_link(question, wanted))).value.strategy == wanted


def test_a_replica_of_a_serving_plan_leads_to_its_estimate():
    load = {"model": "llama-3.1-8b", "accelerator": "h100", "rate": "5/s", "input": "500",
            "output": "100", "objective": "cost"}  # fmt: skip
    deployment = Deployment(tp=2, weights="fp8", cache="fp8")
    [pool] = ask(words_of(serving_link(deployment, 3, load))).value.pools
    assert (pool.count, pool.deployment.tp, pool.deployment.weights) == (3, 2, "fp8")


@pytest.mark.parametrize("by", ["step", "time", "cost", "energy", "carbon"])
def test_machines_side_by_side_have_the_intervals_of_their_plans(by):
    found = answer("compare train llama-3.1-8b 64xh100 64xb200 --tokens 1T")
    spec = comparison(found["machines"], found["plans"], by)
    assert [row["name"] for row in spec["data"]["values"]] == found["machines"]
    assert sum(row["least"] for row in spec["data"]["values"]) == 1
    for row, plan in zip(spec["data"]["values"], found["plans"], strict=True):
        account = {"time": plan.account.wall, "cost": plan.account.cost,
                   "energy": plan.account.energy, "carbon": plan.account.carbon}  # fmt: skip
        low, high = plan.best.step_time_interval
        value = account.get(by)
        ends = (value.low, value.middle, value.high) if value else (low, plan.best.step_time, high)
        drawn = (row["low"], row["middle"], row["high"])
        assert [one / drawn[1] for one in drawn] == pytest.approx([one / ends[1] for one in ends])
    check(spec)


def test_money_of_runs_without_an_account_is_no_picture():
    found = answer("compare train llama-3.1-8b 64xh100 64xb200")
    assert comparison(found["machines"], found["plans"], "cost") is None
    check(comparison(found["machines"], found["plans"], "step"))
