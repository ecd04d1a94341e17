"""How long a cluster takes to build: the longest path, its parts, growth, and real projects."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright.asking_build import ask_build, ask_growing, later
from clusterwright.buildout.flow import LEVELS, PARTS, Flow, share_by
from clusterwright.buildout.growing import train_across
from clusterwright.buildout.model import build_model, flow_of, inputs_of
from clusterwright.buildout.plan import Training
from clusterwright.buildout.tasks import Task, in_order
from clusterwright.cli import main
from clusterwright.errors import CatalogueError, ClusterwrightError, InputError
from clusterwright.facts import shipped
from clusterwright.formulas.growth import best_wait, doubling_time, grown, ramp_time, ramp_work
from clusterwright.planner_build import plan_build
from clusterwright.uncertain import draw, influences, known

DAY = 86_400.0
YEAR = 365.25 * DAY
RETROFIT = {"path": "retrofit", "bridge": "turbines,batteries", "clock": "construction"}


# Growth.


def test_a_million_times_in_ten_years_is_a_doubling_in_six_months():
    assert doubling_time(1e6, 10 * YEAR) / (YEAR / 12) == pytest.approx(6.0, abs=0.03)
    assert grown(YEAR, doubling_time(1e6, 10 * YEAR)) == pytest.approx(4.0, rel=0.01)
    # Epoch: leading systems double in nine months.
    assert grown(10 * YEAR, 0.75 * YEAR) == pytest.approx(10_300, rel=0.01)


@given(st.floats(0.0, 1e6), st.floats(0.1, 1e5), st.floats(1e-3, 1e4))
def test_time_undoes_work(start, rate, span):
    work = ramp_work(start, rate, 1e15, span)
    assert ramp_time(work, start, rate, 1e15) == pytest.approx(span, rel=1e-9)


@given(st.floats(0.1, 100.0), st.floats(0.5, 5.0))
def test_no_other_wait_ends_earlier(run, doubling):
    def end(wait):
        return wait + run / grown(wait, doubling)

    best = best_wait(run, doubling)
    for other in np.linspace(0.0, 10.0 * doubling, 101):
        assert end(best) <= end(other) + 1e-9


# The longest path.


def once(name: str, days: float, *after: str, kind: str = "once", **more) -> Task:
    length = known(days * DAY, "s")
    return Task(id=name, name=name, kind=kind, duration=length, after=after, **more)


def played(*tasks: Task, durations=None) -> Flow:
    ordered = in_order(tasks)
    lengths = {task.id: np.array([[task.duration.value]]) for task in ordered}
    return Flow(ordered, lengths | (durations or {}), {})


def test_the_longer_of_two_ways_counts():
    flow = played(once("a", 2), once("b", 5), once("c", 1, "a", "b"))
    assert flow.times["c"][-1, 0] == 6 * DAY
    assert {name: float(time[0]) / DAY for name, time in flow.chain("c").items()} == {
        "c": 1,
        "b": 5,
    }


def test_a_stream_behind_another_follows_part_by_part():
    # 10 days of halls from day 4, 5 days of racks: the last rack comes with the last hall, plus its
    # own share of the work.
    flow = played(
        once("start", 4),
        once("halls", 10, "start", kind="racks"),
        once("racks", 5, "halls", kind="racks"),
        once("burn", 3, "racks", kind="each"),
    )
    assert flow.times["racks"][-1, 0] / DAY == pytest.approx(14)
    assert flow.times["burn"][PARTS // 2, 0] / DAY == pytest.approx(4 + 5 + 3)
    slow = played(
        once("start", 4),
        once("halls", 10, "start", kind="racks"),
        once("racks", 20, "halls", kind="racks"),
    )
    assert slow.times["racks"][-1, 0] / DAY == pytest.approx(24)
    assert float(slow.chain("racks")["halls"].sum()) == 0.0


def test_power_is_whichever_comes_first():
    plans = {
        power: plan_build(ask_build("colossus", **RETROFIT, bridge_power=power))
        for power in (None, "60MW")
    }
    grid = next(task for task in plans["60MW"].tasks if task.id == "grid-connection")
    # 60 MW of turbines are a third of what is needed; the rest waits for the grid.
    assert plans["60MW"].finish.middle > plans[None].finish.middle + 60 * DAY
    assert plans["60MW"].likely > grid.end
    assert plans["60MW"].first.middle == pytest.approx(plans[None].first.middle, rel=0.02)


def test_tasks_that_wait_for_each_other_are_named():
    with pytest.raises(CatalogueError, match=r"wait for each other: a after c after b after a"):
        in_order([once("a", 1, "c"), once("b", 1, "a"), once("c", 1, "b"), once("d", 1)])


def test_a_circle_in_own_tasks_is_refused_by_name(tmp_path, capsys):
    own = tmp_path / "own.toml"
    own.write_text(
        '[[task]]\nid = "fit-out"\nname = "Fit-out"\nkind = "once"\nduration = "90 d"\n'
        'after = ["commissioning"]\n',
        encoding="utf-8",
    )
    assert main(["build", "colossus", "--path", "retrofit", "--catalogue", str(own)]) == 4
    said = capsys.readouterr().err
    assert "wait for each other" in said
    assert "fit-out after commissioning" in said


def test_an_own_task_after_nothing_known_is_refused(tmp_path, capsys):
    own = tmp_path / "own.toml"
    own.write_text(
        '[[task]]\nid = "fence"\nname = "Fence"\nkind = "once"\nduration = "9 d"\n'
        'after = ["shel"]\n',
        encoding="utf-8",
    )
    assert main(["build", "colossus", "--catalogue", str(own)]) == 4
    assert "did you mean 'shell'?" in capsys.readouterr().err


def test_an_own_task_that_nothing_waits_for_is_told(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        '[[task]]\nid = "fence"\nname = "Fence"\nkind = "once"\nduration = "9 d"\n'
        'after = ["shell"]\n',
        encoding="utf-8",
    )
    found = ask_build("colossus", catalogue=shipped().with_files([own]))
    assert "nothing waits for task fence: it delays nothing" in found.assumed
    assert ask_build("colossus").assumed == found.assumed[1:]


# What holds for every build.

PLACES = [
    {"machine": "colossus", **RETROFIT},
    {"machine": "colossus", **RETROFIT, "power_now": "8MW", "bridge_power": "100MW"},
    {"machine": "370000xgb200", "path": "greenfield", "power": "1GW"},
    {"machine": "1024xh100", "path": "colocation"},
]


def asked(place, **more):
    return ask_build(**{**place, **more})


@pytest.mark.parametrize("place", PLACES)
def test_the_parts_of_the_longest_path_sum_to_the_whole(place):
    question = asked(place)
    plan = plan_build(question)
    assert sum(task.spent for task in plan.tasks) == pytest.approx(plan.likely, rel=1e-12)
    drawn = draw(inputs_of(question), 64)
    flow = flow_of(question, drawn)
    for level in (0, 1, PARTS // 3, PARTS):
        total = sum(flow.chain("burn-in", level).values())
        assert total == pytest.approx(flow.times["burn-in"][level], rel=1e-9)


@pytest.mark.parametrize("place", PLACES)
def test_what_takes_longer_never_ends_earlier(place):
    question = asked(place)
    inputs = inputs_of(question)
    usual = {name: one.value for name, one in inputs.items()}
    before = build_model(question, usual)
    for name, one in inputs.items():
        if name.startswith("task:"):
            after = build_model(question, {**usual, name: one.value * 1.5 + DAY})
            assert all(after[key] >= before[key] - 1e-6 for key in before), name


@settings(max_examples=20)
@given(st.floats(0.5, 500.0), st.floats(1.0, 10.0), st.sampled_from(PLACES))
def test_more_racks_a_day_are_never_later(rate, more, place):
    slow = flow_of(
        q := asked(place, racks_per_day=rate), {n: i.value for n, i in inputs_of(q).items()}
    )
    fast = flow_of(
        q := asked(place, racks_per_day=rate * more), {n: i.value for n, i in inputs_of(q).items()}
    )
    assert np.all(fast.times["burn-in"] <= slow.times["burn-in"] + 1e-6)


@pytest.mark.parametrize("place", PLACES)
def test_parts_come_in_order_and_online_grows(place):
    plan = plan_build(asked(place))
    online = [month.online for month in plan.months]
    assert online == sorted(online)
    assert online[-1] == pytest.approx(plan.question.accelerators, rel=0.02)
    assert all(month.low <= month.high for month in plan.months)
    assert plan.fastest <= plan.finish.low <= plan.finish.middle <= plan.finish.high
    assert plan.first.middle <= plan.all_up.middle <= plan.finish.middle
    flow = flow_of(plan.question, {n: i.value for n, i in inputs_of(plan.question).items()})
    assert all(np.all(times[1:] >= times[:-1] - 1e-6) for times in flow.times.values())


def test_the_inputs_that_move_the_end_are_known():
    question = asked(PLACES[2])
    shares = influences(lambda values: build_model(question, values), inputs_of(question), "finish",
                        count=256)  # fmt: skip
    named = {one.name for one in shares[:4]}
    assert {"task:transformer-order", "task:grid-connection"} <= named
    assert next(one.total for one in shares if one.name == "task:acceptance") < 0.05


def test_more_shifts_and_done_tasks_are_never_later():
    plain = plan_build(asked(PLACES[0]))
    assert plan_build(asked(PLACES[0], shifts=3)).finish.middle < plain.finish.middle
    assert plan_build(asked(PLACES[0], done=["turbines", "batteries"])).likely <= plain.likely
    # The whole way is longer than from the first spade.
    assert plan_build(asked(PLACES[0], clock="planning")).likely > plain.likely


def test_shares_between_parts_are_straight_lines():
    times = 10.0 + LEVELS[:, 0] * 8.0
    assert share_by(times, np.array([9.0, 10.0, 12.0, 30.0])).tolist() == [0.0, 0.0, 0.25, 1.0]
    at_once = np.full(PARTS + 1, 3.0)
    assert share_by(at_once, np.array([2.9, 3.0])).tolist() == [0.0, 1.0]


# Training across growth.


def test_a_run_that_grows_evenly_is_the_formula():
    run = Training(work=1e22, rate=1e14, first=1000, every=60.0)

    def online(at):
        return np.clip(at, 0.0, 1e6) * 0.01

    found = train_across(run, online, 1e6, 1e6)
    assert found.begin == pytest.approx(1e5)
    span = ramp_time(run.work, 1000.0, 0.01, run.rate)
    assert found.end - found.begin == pytest.approx(span, rel=2e-3)
    assert found.waiting == pytest.approx(1e6 + 1e22 / (1e4 * 1e14))
    assert found.end < min(found.waiting, found.small)


def test_rarer_checkpoints_never_win():
    def end(every):
        run = ask_growing("colossus", work="5e25FLOP", every=every)
        return plan_build(asked(PLACES[0], training=run)).training.end

    assert end("1d") <= end("10d") + DAY
    small = ask_growing("colossus", work="5e25FLOP", begin_with=100_000)
    plan = plan_build(asked(PLACES[0], training=small)).training
    assert plan.end == pytest.approx(plan.small)


# Enlargement, dates, money.


def test_an_enlargement_follows_the_first_build():
    plan = plan_build(
        ask_build("colossus", **RETROFIT, start="2024-05-03", price="$47k"), then="200k"
    )
    assert plan.then.question.accelerators == 100_000
    assert plan.then.question.start == later("2024-05-03", plan.likely)
    assert plan.months[-1].spent == pytest.approx(4.7e9)
    assert all(task.done for task in plan.then.tasks if task.id in ("grid-study", "design"))


def test_phones_and_a_million_are_built_too():
    assert plan_build(ask_build("8xh100", path="colocation")).question.power.value < 2e4
    million = plan_build(ask_build("1000000xgb200", path="greenfield"))
    assert million.question.power.low > 1e9
    assert math.isfinite(million.finish.high)


def test_it_is_told_and_comes_back_as_json(capsys):
    command = ["build", "colossus", "--path", "retrofit", "--bridge", "turbines,batteries",
               "--from", "construction", "--start", "2026-12-01", "--then", "200000",
               "--train", "llama-3.1-405b", "--tokens", "15.6T"]  # fmt: skip
    assert main(command) == 0
    text = capsys.readouterr().out
    for words in ("Longest path:", "####", "2027-", "Growing wins", "Then, when that is accepted"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 120
    assert main([*command, "--json"]) == 0
    found = msgspec.json.decode(capsys.readouterr().out)
    assert found["then"]["question"]["accelerators"] == 100_000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path": "brownfield"}, "--path is 'brownfield'"),
        ({"path": "retrofits"}, "did you mean retrofit"),
        ({"bridge": "batteries"}, "store power and make none"),
        ({"path": "colocation", "bridge": "turbines"}, "a leased hall has its power"),
        ({"path": "colocation", "power_now": "1MW"}, "a leased hall has its power"),
        ({"bridge_power": "10MW"}, "--bridge turbines"),
        ({"clock": "yesterday"}, "--from"),
        ({"start": "1.12.2026"}, "such as 2026-12-01"),
        ({"done": ["grid-stdy"]}, "did you mean grid-study"),
        ({"task": ["fit-out"]}, "needs a length: fit-out=90d"),
        ({"task": ["fit-out=90"]}, "has no unit"),
        ({"task": ["fit-out=90d..60d"]}, "ends before it begins"),
        ({"task": ["fitout=90d"]}, "did you mean fit-out"),
        ({"power": "10MW"}, "at board power alone"),
        ({"power": "150"}, "has no unit"),
        ({"power_now": "-8MW"}, "negative"),
        ({"per_rack": 0}, "--per-rack"),
        ({"racks_per_day": 0.0}, "--racks-per-day"),
        ({"shifts": 4}, "1 to 3"),
        ({"price": "40000"}, "has no unit"),
        ({"machine": "colosus"}, "colossus"),
        ({"machine": "h100"}, "how many h100"),
        ({"machine": "100x"}, "names no accelerator"),
        ({"machine": ""}, "name what is built"),
    ],
)
def test_builds_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(ClusterwrightError, match=words):
        ask_build(**{"machine": "colossus", **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"work": "4e25FLOP", "model": "llama-3.1-8b"}, "give one of them"),
        ({"model": "llama-3.1-8b"}, "needs --tokens"),
        ({"work": "4e25"}, "has no unit"),
        ({"work": "4e25FLOP", "mfu": 1.5}, "--mfu"),
        ({"work": "4e25FLOP", "begin_with": 200_000}, "there will be 100,000"),
        ({"work": "4e25FLOP", "every": "0d"}, "--grow-every"),
    ],
)
def test_runs_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        ask_growing("colossus", **changes)


def test_a_slip_of_the_keyboard_is_told(capsys):
    assert main(["build", "colossus", "--task", "racks=1000y", "--start", "2026-12-01"]) == 2
    assert "years: is a length or a rate mistyped?" in capsys.readouterr().err


def test_a_build_beyond_the_calendar_is_told(capsys):
    assert main(["build", "colossus", "--start", "9999-12-31"]) == 2
    assert "ends after the year 9999: start earlier" in capsys.readouterr().err


def test_a_bridge_too_small_for_all_ends_with_its_last_part(capsys):
    bridge = {"bridge": "turbines", "power_now": "8MW", "bridge_power": "130MW"}
    plan = plan_build(ask_build("colossus1-b", **bridge))
    assert all(0.0 <= task.begin <= task.end < math.inf for task in plan.tasks)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in bridge.items()]
    assert main(["build", "colossus1-b", *options]) == 0
    assert "Further mobile turbines" in capsys.readouterr().out


def test_an_enlargement_must_be_one(capsys):
    assert main(["build", "colossus", "--then", "50000"]) == 2
    assert "there are 100,000 already" in capsys.readouterr().err
    for lost in (["--tokens", "1T"], ["--grow-every", "3d"]):
        assert main(["build", "colossus", *lost]) == 2
        assert "say what is trained" in capsys.readouterr().err


def test_ends_of_tasks_spread_around_the_likely_ones_and_the_last_is_the_finish():
    plan = plan_build(ask_build("colossus", path="retrofit", bridge="turbines,batteries"))
    for task in plan.tasks:
        assert task.ends.low <= task.ends.middle <= task.ends.high
        assert task.done or task.ends.low < task.end < task.ends.high
    (last,) = (task for task in plan.tasks if task.id == "acceptance")
    assert last.ends == plan.finish


def test_the_ramp_passes_the_tenth_and_all():
    plan = plan_build(ask_build("colossus", path="retrofit", bridge="turbines,batteries"))
    counts = [level.accelerators for level in plan.ramp]
    assert counts == sorted(counts)
    assert counts[-1] == plan.question.accelerators
    (tenth,) = (one for one in plan.ramp if abs(one.accelerators / counts[-1] - 0.1) < 0.01)
    assert tenth.when == plan.first
    assert plan.ramp[-1].when == plan.all_up
    middles = [level.when.middle for level in plan.ramp]
    assert middles == sorted(middles)
