"""Saved plans that were edited by hand, or by an older version, get one sentence that says what."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
from report_cases import serving, training

import clusterwright as cw
from clusterwright.asking_service import with_service_account
from clusterwright.cli import main
from clusterwright.errors import InputError
from clusterwright.fleet.goodput import INPUTS
from clusterwright.planner_serving import replay_serving
from clusterwright.report.serving_text import plan_text
from clusterwright.saved_plans import load_any_plan
from clusterwright.saving import encode_plan, save_plan
from clusterwright.site.run import NEVER, SITE_INPUTS
from clusterwright.sweep.kept import with_interval
from clusterwright.uncertain import Interval
from clusterwright.web.answering import answer
from clusterwright.web.wire import Task


def accounted():
    return with_service_account(serving())


PLANS = {"training": training, "serving": accounted}


def edited(kind, tmp_path, *changes):
    """A saved plan with a field of its file set to another value."""
    data = json.loads(encode_plan(PLANS[kind]()))
    for where, value in changes:
        *above, last = where.split("/")
        inside = data
        for name in above:
            inside = inside[int(name) if name.isdigit() else name]
        key = int(last) if last.isdigit() else last
        assert isinstance(key, int) or key in inside
        inside[key] = value(inside[key]) if callable(value) else value
    path = tmp_path / "plan.json"
    path.write_bytes(msgspec.json.encode(data))
    return path


EDITS = [
    ("training", "best/waterfall", [], "best.waterfall is empty"),
    ("training", "best/stages", [], "best.stages is empty"),
    ("training", "best/stages/0/parts", {}, "best.stages[0] has not the parts"),
    ("training", "front", [], "front is empty"),
    ("training", "question/cluster/count", 0, "question.cluster.count is 0, but must be above"),
    ("training", "question/cluster/levels", [], "question.cluster.levels is empty"),
    ("training", "best/accelerators", 0, "best.accelerators is 0, but must be above zero"),
    ("training", "best/accelerators", 8, "best.accelerators is 8, but the axes of its strategy"),
    ("training", "best/step_time", 1.0, "best.step_time is 1, but the parts of its waterfall give"),
    ("training", "best/step_time", 1e300, "best.step_time is 1e+300, which is more than can be"),
    ("training", "best/step_time_interval/0", 0.5, "an end of best.step_time_interval is 0.5"),
    ("training", "best/waterfall/0/time", 1e300, "best.waterfall[0].time is 1e+300"),
    ("training", "best/tokens_per_second", 1.0, "best.tokens_per_second is 1, but its tokens"),
    ("training", "best/memory_bytes", 1.0, "best.memory_bytes is 1, but the parts of its stages"),
    ("training", "best/strategy/tp", 0, "best.strategy.tp is 0, but must be above zero"),
    ("training", "totals/duration", 1.0, "totals.duration is 1, but its steps give"),
    ("training", "account/cost/middle", -1.0, "account.cost is -1, outside of its interval"),
    ("training", "account/cost/low", -1.0, "account.cost.low is -1, which cannot be below zero"),
    ("training", "account/wall/middle", 1e-9, "account.wall is 1e-09, outside of its interval"),
    ("training", "account/wall", {"low": 1e-9, "middle": 1e-9, "high": 1e-9}, "without failures"),
    ("training", "account/energy", {"low": 1.0, "middle": 2.0, "high": 3.0}, "power and time"),
    ("training", "sweeps/0/values", [1], "times of 1 values"),
    ("training", "rejected", {"ABC": 1}, "'ABC' is no rule"),
    ("serving", "best/accelerators", 0, "best.accelerators is 0, but must be above zero"),
    ("serving", "best/pools", [], "best.pools is empty"),
    ("serving", "best/parts", [], "best.parts is empty"),
    ("serving", "front", [], "front is empty"),
    ("serving", "question/cluster/count", 0, "question.cluster.count is 0, but must be above"),
    ("serving", "question/cluster/levels", [], "question.cluster.levels is empty"),
    ("serving", "best/ttft/p50", 1e3, "best.ttft has percentiles out of their order"),
    ("serving", "best/saturation", 0.0, "best.saturation is 0, but must be above zero"),
    ("serving", "account/cost/middle", -1.0, "account.cost is -1, outside of its interval"),
    ("serving", "account/year/high", 1e300, "account.year.high is 1e+300, which is more than"),
]


@pytest.mark.parametrize(("kind", "where", "value", "said"), EDITS)
def test_what_cannot_be_is_told_where_a_plan_is_loaded(kind, where, value, said, tmp_path):
    path = edited(kind, tmp_path, (where, value))
    with pytest.raises(InputError) as caught:
        load_any_plan(path)
    told = str(caught.value)
    assert told.startswith(f"{str(path)!r} was edited: ")
    assert said in told
    assert told.endswith("; save it anew with --save")
    assert "\n" not in told


@pytest.mark.parametrize("kind", PLANS)
def test_a_plan_that_nobody_edited_is_loaded_and_replays(kind, tmp_path, capsys):
    path = edited(kind, tmp_path)
    assert load_any_plan(path) == PLANS[kind]()
    assert main(["replay", str(path)]) == 0
    assert "same bytes as saved" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["replay"], ["report"], ["launch"]])
@pytest.mark.parametrize(
    ("content", "said"),
    [("{}", "is not a saved plan, for training or serving"), (None, "is a folder: name a saved")],
)
def test_what_is_no_plan_of_either_kind_is_called_so(command, content, said, tmp_path, capsys):
    path = tmp_path / "a.json"
    path.mkdir() if content is None else path.write_text(content)
    more = [str(tmp_path / "new"), "--to", "vllm"] if command == ["launch"] else []
    assert main([*command, str(path), *more]) == 2
    assert said in capsys.readouterr().err


def test_a_report_of_the_folder_one_is_in_is_refused_in_words(capsys):
    assert main(["report", "."]) == 2
    assert "'.' is a folder: name a saved plan" in capsys.readouterr().err


# Money of a service.


def cheaper(interval):
    return {end: value / 10.0 for end, value in interval.items()}


def test_money_that_was_edited_evenly_is_found_by_replaying(tmp_path, capsys):
    path = edited("serving", tmp_path, ("account/cost", cheaper), ("account/year", cheaper))
    assert main(["replay", str(path)]) == 1
    out = capsys.readouterr().out
    assert "differs from version" in out
    assert plan_text(accounted()).strip() in out


def test_a_service_saved_without_its_site_says_so(tmp_path):
    plan = load_any_plan(edited("serving", tmp_path, ("site", None)))
    with pytest.raises(InputError, match="says nothing of 'site', which this version counts on"):
        replay_serving(plan)


def test_a_service_whose_site_lacks_an_input_says_so(tmp_path):
    def without(inputs):
        return {name: one for name, one in inputs.items() if name != "life"}

    plan = load_any_plan(edited("serving", tmp_path, ("site/inputs", without)))
    with pytest.raises(InputError, match="says nothing of 'life'"):
        replay_serving(plan)


# Plans of an older version.


def test_what_runs_count_on_is_all_that_they_are_given():
    site = training().question.site
    assert set(site.failures.inputs) == INPUTS
    assert set(site.inputs) - {"hour_price"} == SITE_INPUTS


@pytest.fixture
def older(tmp_path):
    """A plan as it was saved before the pause of a checkpoint was counted."""
    inputs = "question/site/failures/inputs"
    rest = {k: v for k, v in training().question.site.failures.inputs.items() if k != "save_pause"}
    return edited("training", tmp_path, (inputs, msgspec.to_builtins(rest)))


@pytest.mark.parametrize("command", ["replay", "launch"])
def test_a_plan_that_lacks_what_is_counted_now_says_so(command, older, tmp_path, capsys):
    more = [str(tmp_path / "run"), "--to", "megatron"] if command == "launch" else []
    assert main([command, str(older), *more]) == 2
    said = capsys.readouterr().err
    assert "the saved plan says nothing of 'save_pause', which this version counts on" in said
    assert "plan it anew with --save" in said
    assert said.count("\n") == 1


def test_such_a_plan_is_reported_all_the_same(older):
    assert main(["report", str(older), "--to", "md"]) == 0


# Paths as text.


def test_paths_may_be_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cw.save_plan(training(), "plan.json")
    plan = cw.load_any_plan("plan.json")
    assert cw.load_plan("plan.json") == plan
    assert cw.write_report(plan, "plan.md", file="plan.json") == (
        tmp_path / "plan.md"
    ).stat().st_size  # fmt: skip


def test_a_report_of_what_is_no_plan_is_refused():
    with pytest.raises(InputError, match="a report is of a plan, and 'x' is none"):
        cw.report_plan("x", "md")


def test_saved_plans_are_json_that_others_read(tmp_path):
    save_plan(accounted(), tmp_path / "plan.json")
    found = json.loads((tmp_path / "plan.json").read_text())
    assert found["site"]["assumed"]


def test_a_waterfall_of_other_terms_is_no_plan(tmp_path):
    path = edited("training", tmp_path, ("best/waterfall/0/name", "x"))
    with pytest.raises(InputError, match="has not the terms that every waterfall has"):
        load_any_plan(path)


def test_a_machine_beyond_any_is_refused_before_it_is_drawn(tmp_path):
    path = edited("training", tmp_path, ("question/cluster/levels/1/size", 10**15))
    with pytest.raises(InputError, match="has more than 100,000,000 accelerators"):
        load_any_plan(path)


@pytest.mark.parametrize(
    ("kind", "where"), [("training", "best/waterfall"), ("serving", "best/pools")]
)
def test_a_page_of_an_edited_plan_refuses_it_in_the_same_sentence(
    kind, where, tmp_path, monkeypatch
):
    edited(kind, tmp_path, (where, []))
    monkeypatch.chdir(tmp_path)
    reply = answer(Task(path="/saved/plan", query=(("plan", "plan.json"),), form="json"))
    assert reply.status == 422
    said = f"'plan.json' was edited: {where.replace('/', '.')} is empty; save it anew with --save"
    assert json.loads(reply.body)["error"] == said


def test_a_run_that_is_never_done_can_be_saved_and_replayed(tmp_path, capsys):
    path = tmp_path / "plan.json"
    words = "plan train llama-3.1-8b --accelerator h100 --accelerators 64 --tokens 1T"
    assert main([*words.split(), "--failure-rate", "1000/d", "--save", str(path)]) == 0
    assert main(["replay", str(path)]) == 0
    assert "never done" in capsys.readouterr().out


def test_a_study_leaves_out_what_never_ends():
    assert with_interval("wall", Interval(low=1.0, middle=NEVER, high=NEVER)) == {
        "wall": math.inf, "wall_low": 1.0, "wall_high": math.inf,
    }  # fmt: skip
