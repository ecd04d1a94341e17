"""Pictures of runs, sites and builds: sums and ends are the records', intervals are drawn."""

from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np
import pytest
from pictured import check, rows_of
from run_cases import looked

from clusterwright.asking_build import DAY
from clusterwright.cli import ask
from clusterwright.engines.power_trace import Trace
from clusterwright.report.pictures import buildout, goodput, money, power, ramping
from clusterwright.report.pictures.account import account
from clusterwright.site.money import YEAR

BUILD = (
    "build colossus --path retrofit --bridge turbines,batteries --from construction "
    "--start 2024-05-01 --work 4e25FLOP --mfu 0.35"
)


@pytest.fixture(scope="module")
def outlook():
    return looked()


@pytest.fixture(scope="module")
def site():
    return ask(["site", "colossus", "--region", "memphis"]).value


@pytest.fixture(scope="module")
def build():
    return ask(BUILD.split()).value


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "plan.json"
    words = "plan train llama-3.1-70b --cluster meta-24k --accelerators 2048 --tokens 1T --save"
    return ask([*words.split(), str(path)]).value, path


@pytest.fixture(scope="module")
def followed(training):
    found = ask(["simulate", "power", str(training[1])])
    return found.value, found.seen["trace"]


# Runs


def test_dots_of_the_goodput_are_twentieths_of_the_runs(outlook):
    spec = goodput.spread(outlook)
    rows = spec["data"]["values"]
    assert [row["goodput"] for row in rows] == [100.0 * one for one in outlook.spread]
    width = (outlook.spread[-1] - outlook.spread[0]) / goodput.BINS
    assert all(abs(row["goodput"] - row["column"]) <= 51.0 * width for row in rows)
    places = {(row["column"], row["height"]) for row in rows}
    assert len(places) == len(rows)
    check(spec)


def test_what_is_lost_and_what_stands_add_up_to_the_time(outlook):
    spec = goodput.lost_time(outlook)
    lost = sum(row["share"] for row in spec["data"]["values"])
    assert lost + 100.0 * outlook.lost[0].share == pytest.approx(100.0, abs=0.1)
    check(spec)


def test_all_interruptions_are_among_the_causes(outlook):
    spec = goodput.causes(outlook)
    drawn = sum(row["count"] for row in spec["data"]["values"])
    assert drawn == pytest.approx(sum(cause.count for cause in outlook.causes))
    check(spec)


def test_tiers_have_their_intervals(outlook):
    spec = goodput.tiers(outlook)
    ends = {row["name"]: (row["low"], row["high"]) for row in spec["data"]["values"]}
    assert ends == {
        one.tier: (100.0 * one.goodput.low, 100.0 * one.goodput.high) for one in outlook.tiers
    }
    check(spec)


def test_a_run_that_goes_nowhere_is_drawn_too():
    check(goodput.spread(looked(1_048_576)))


# Power


def test_a_thinned_trace_keeps_its_extremes_and_its_mean(followed):
    report, trace = followed
    spec = power.trace(report, trace)
    rows = spec["data"]["values"]
    *stretches, _ = rows
    assert len(stretches) == power.STRETCHES < len(trace.power)
    assert 1e6 * min(row["least"] for row in rows) == pytest.approx(trace.power.min())
    assert 1e6 * max(row["most"] for row in rows) == pytest.approx(trace.power.max())
    assert 1e6 * np.mean([row["mean"] for row in stretches]) == pytest.approx(trace.mean)
    assert "600 stretches of 100 ms" in spec["description"]
    check(spec)


def test_a_short_trace_is_drawn_whole(followed):
    report, trace = followed
    few = Trace(step=1e-3, power=trace.power[:100])
    spec = power.trace(msgspec.structs.replace(report, rated=0.0), few)
    assert [1e6 * row["mean"] for row in spec["data"]["values"][:-1]] == pytest.approx(few.power)
    assert "stretches" not in spec["description"]
    assert "rated" not in spec["description"]
    check(spec)


def test_phases_fill_the_step(training, followed):
    spec = power.step(followed[0])
    rows = spec["data"]["values"]
    assert rows[-1]["end"] == pytest.approx(training[0].best.step_time)
    assert [row["power"] for row in rows] == [1e-6 * one for _, _, one in followed[0].phases]
    check(spec)


# Money, energy, carbon


def test_parts_of_the_cost_add_up_to_all_of_it(site):
    spec = money.costs(site)
    (whole,) = rows_of(spec, name="all")
    parts = [row for row in spec["data"]["values"] if row is not whole]
    assert sum(row["likely"] for row in parts) == pytest.approx(whole["likely"])
    assert 1e9 * whole["likely"] == pytest.approx(site.likely["cost"])
    ends = site.results["cost"]
    assert (1e9 * whole["low"], 1e9 * whole["high"]) == pytest.approx((ends.low, ends.high))
    check(spec)


def test_parts_of_the_energy_add_up_to_all_of_it(site):
    spec = money.energy(site)
    (whole,) = rows_of(spec, name="all")
    parts = sum(row["likely"] for row in spec["data"]["values"]) - whole["likely"]
    assert parts == pytest.approx(whole["likely"])
    assert 3.6e15 * whole["likely"] == pytest.approx(site.likely["expected"] * YEAR)
    check(spec)


def test_carbon_has_the_intervals_of_the_site(site):
    spec = money.carbon(site)
    (row,) = rows_of(spec, name="electricity, by place")
    one = site.results["carbon"]
    assert (1e6 * row["low"], 1e6 * row["high"]) == pytest.approx((one.low, one.high))
    assert not rows_of(spec, name="electricity, by contract")
    check(spec)


def test_years_end_where_the_text_does(site):
    spec = money.years(site)
    *_, last = spec["layer"][1]["data"]["values"]
    assert 1e9 * last["worth"] == pytest.approx(sum(one.worth_now for one in site.years))
    flows = sum(row["money"] for row in spec["data"]["values"])
    assert 1e9 * flows == pytest.approx(
        sum(one.spent + one.running - one.sold for one in site.years)
    )
    check(spec)


def test_without_a_price_there_is_no_picture_of_money(site):
    unpriced = {key: value for key, value in site.likely.items() if key != "cost"}
    bare = msgspec.structs.replace(site, likely=unpriced, years=())
    assert money.costs(bare) is None
    assert money.years(bare) is None


def test_an_account_is_drawn_by_its_intervals_over_the_median(training):
    found = training[0].account
    spec = account(found)
    (row,) = rows_of(spec, name="energy")
    assert row["low"] == pytest.approx(100.0 * (found.energy.low / found.energy.middle - 1.0))
    assert row["high"] == pytest.approx(100.0 * (found.energy.high / found.energy.middle - 1.0))
    assert bool(rows_of(spec, name="money")) == (found.cost is not None)
    check(spec)


# Builds


def since(start: str, time: float) -> float:
    """A time from the start as rows have it. [ms]"""
    first = dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC)
    return 1e3 * (first.timestamp() + time)


def test_tasks_are_drawn_from_their_beginning_to_their_end(build):
    spec = buildout.tasks(build)
    rows = {row["id"]: row for row in spec["data"]["values"]}
    start = build.question.start
    assert set(rows) == {t.id for t in build.tasks if not t.done and t.end > t.begin}
    for task in build.tasks:
        if task.id in rows and task.ends.high < build.finish.high:
            row = rows[task.id]
            assert row["begin"] == pytest.approx(since(start, task.begin), abs=1e3)
            assert row["end"] == pytest.approx(since(start, task.end), abs=1e3)
            assert row["late"] == pytest.approx(since(start, task.ends.high), abs=1e3)
    path = {name for name, row in rows.items() if row["path"]}
    assert path == {task.id for task in build.tasks if task.spent > 0.0}
    check(spec)


def test_a_task_that_outlasts_the_build_is_drawn_to_its_end(build):
    rows = {row["id"]: row for row in buildout.tasks(build)["data"]["values"]}
    grid = next(task for task in build.tasks if task.id == "grid-connection")
    assert grid.ends.high > build.finish.high
    for field, time in (("end", grid.end), ("late", grid.ends.high)):
        assert rows["grid-connection"][field] == pytest.approx(since(build.question.start, time))


def test_a_build_without_a_date_is_drawn_in_days():
    plan = ask(["build", "stargate-abilene", "--power", "250MW"]).value
    spec = buildout.tasks(plan)
    longest = max(spec["data"]["values"], key=lambda row: row["late"])
    assert longest["late"] == pytest.approx(plan.finish.high / DAY)
    for picture in (spec, ramping.online(plan), ramping.power(plan)):
        check(picture)
    assert ramping.growing(plan) is None


def test_accelerators_are_up_when_the_build_says(build):
    spec = ramping.online(build)
    last = spec["data"]["values"][-1]
    assert 1e3 * last["count"] == build.question.accelerators
    start = build.question.start
    for end in ("low", "middle", "high"):
        assert last[end] == pytest.approx(since(start, getattr(build.all_up, end)), abs=1e3)
    check(spec)


def test_power_is_that_of_the_months(build):
    spec = ramping.power(build)
    drawn = [1e6 * row["power"] for row in rows_of(spec, kind="power on the site")]
    assert drawn == pytest.approx([month.power for month in build.months])
    check(spec)


def test_a_run_that_grows_ends_when_the_build_says(build):
    spec = ramping.growing(build)
    ends = [row["end"] for row in spec["data"]["values"]]
    found = build.training
    times = (found.end, found.waiting, found.small)
    assert ends == pytest.approx([since(build.question.start, one) for one in times], abs=1e3)
    check(spec)
