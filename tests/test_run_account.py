"""What a run takes with failures: wall clock, energy, carbon, money; and what was published."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from clusterwright.asking import ask_training
from clusterwright.asking_account import run_site, with_account
from clusterwright.asking_model import find_model
from clusterwright.asking_prices import SiteOptions
from clusterwright.cli import main
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.planner import load_plan, plan_training
from clusterwright.saving import save_plan
from clusterwright.site.run import RunAccount, RunSite, account, run_model
from clusterwright.training.plan import TrainingPlan
from clusterwright.uncertain import draw, known, likely

FACTS = shipped()
DAY, KWH = 86_400.0, 3.6e6


def site_of(
    cluster: str = "meta-24k", model: str = "llama-3.1-405b", **options: str | float
) -> RunSite:
    machine = FACTS.cluster(cluster)
    found = find_model(model, FACTS)
    return run_site(machine, found, options=SiteOptions(**options), catalogue=FACTS)


@cache
def plan_of(**options: str) -> TrainingPlan:
    question = ask_training(
        "llama-3.1-8b",
        cluster="meta-24k",
        accelerators=128,
        tokens="1T",
        catalogue=FACTS,
    )
    return plan_training(
        with_account(question, options=SiteOptions(**options), catalogue=FACTS),
        catalogue_hash=FACTS.hash,
    )


def account_of(plan: TrainingPlan) -> RunAccount:
    assert plan.account is not None
    return plan.account


# What always holds.


@settings(max_examples=15, deadline=None)
@given(days=st.floats(0.1, 200.0), count=st.integers(8, 24_576))
def test_failures_only_lengthen_a_run(days, count):
    found = account(site_of(), known(days * DAY, "s"), count)
    assert days * DAY < found.wall.low <= found.wall.middle <= found.wall.high
    assert 0.0 < found.goodput.low <= found.goodput.high < 1.0
    assert found.power.middle <= found.peak.high


def test_energy_is_power_times_wall_and_money_is_hours_times_price_in_every_draw():
    site = site_of(rent="$2/h")
    question = replace(site.failures, accelerators=16_384)
    x = draw({**question.inputs, **site.inputs, "run_time": known(50 * DAY, "s")}, 256)
    found = run_model(question, "memory", (60.0, 600.0), x)
    assert found["energy"] == pytest.approx(found["power"] * found["wall"])
    assert found["cost"] == pytest.approx(16_384 * found["wall"] * 2.0 / 3600.0)
    assert (found["power"] <= found["peak"] * (1 + 1e-9)).all()
    assert found["carbon"] == pytest.approx(found["energy"] * x["grid_carbon"])


def test_a_longer_run_takes_more_of_everything():
    short, long = (account(site_of(), known(days * DAY, "s"), 4096) for days in (10, 20))
    for name in ("wall", "energy", "carbon", "made", "cost"):
        one, two = getattr(short, name), getattr(long, name)
        assert two.middle == pytest.approx(2 * one.middle, rel=1e-6)


def test_a_cap_takes_power_and_time():
    free, capped = (account_of(plan_of(**options)) for options in ({}, {"cap": "500 W"}))
    assert free.speed == 1.0
    assert 0.7 < capped.speed < 1.0
    assert capped.wall.middle == pytest.approx(free.wall.middle / capped.speed, rel=0.01)
    assert capped.power.middle < free.power.middle
    assert capped.energy.middle < free.energy.middle


def test_where_it_runs_changes_its_carbon_alone():
    here, there = (account_of(plan_of(region=place)) for place in ("virginia", "sweden"))
    assert there.carbon.middle < 0.3 * here.carbon.middle
    assert there.wall == here.wall
    assert there.energy.middle == pytest.approx(here.energy.middle, rel=0.1)


def test_rent_is_paid_for_the_wall_clock():
    found = account_of(plan_of(rent="$2/h"))
    assert found.cost is not None
    assert found.cost.middle == pytest.approx(128 * found.wall.middle * 2.0 / 3600.0, rel=1e-6)
    assert found.priced == "rented at $2.00/h"


def test_an_unpriced_chip_has_energy_but_no_money():
    chips = FACTS.any_cluster("enflame-t10", 64)
    site = run_site(chips, find_model("llama-3.1-8b", FACTS), catalogue=FACTS)
    found = account(site, known(DAY, "s"), 64)
    assert found.cost is None
    assert found.energy.low > 0.0


def test_a_saved_plan_with_an_account_replays_to_the_same_bytes(tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    save_plan(plan_of(), first)
    question = load_plan(first).question
    save_plan(plan_training(question, catalogue_hash=FACTS.hash), second)
    assert first.read_bytes() == second.read_bytes()


def test_the_page_says_where_and_what_was_assumed(capsys):
    words = "plan train llama-3.1-8b --cluster meta-24k --accelerators 64 --tokens 100B"
    assert (
        main([*words.split(), "--region", "sweden", "--rent", "$2/h", "--power-cap", "500W"]) == 0
    )
    text = capsys.readouterr().out
    assert "in Sweden" in text
    assert "rented at $2.00/h" in text
    assert "500 W an accelerator leaves" in text
    assert "weather as in" in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_run_that_is_interrupted_more_often_takes_longer():
    question = ask_training("llama-3.1-8b", cluster="meta-24k", accelerators=1024, tokens="1T")
    walls = []
    for rate in ("1e-3/d", "1e-2/d", "1e-1/d"):
        found = with_account(question, failure_rate=rate).site
        assert found is not None
        days = known(30 * DAY, "s")
        walls.append(account(found, days, 1024).wall.middle)
        assert found.failures.inputs["large_rate"].why == "as asked for"
    assert walls == sorted(set(walls))


def test_a_failure_rate_without_tokens_or_of_another_unit_is_refused(capsys):
    question = ask_training("llama-3.1-8b", accelerator="h100", accelerators=64)
    with pytest.raises(InputError, match="says nothing without its length: give --tokens"):
        with_account(question, failure_rate="1e-3/d")
    words = ["plan", "train", "llama-3.1-8b", "--accelerator", "h100", "--accelerators", "64"]
    assert main([*words, "--tokens", "1T", "--failure-rate", "5"]) == 2
    assert capsys.readouterr().err.startswith("error: --failure-rate: '5' has no unit")


def test_what_was_asked_for_and_cannot_be_is_refused():
    question = ask_training("llama-3.1-8b", accelerator="h100", accelerators=8, catalogue=FACTS)
    with pytest.raises(InputError, match="did you mean"):
        with_account(question, options=SiteOptions(region="atlantis"), catalogue=FACTS)
    with pytest.raises(InputError, match="give --tokens"):
        with_account(question, options=SiteOptions(cap="500 W"), catalogue=FACTS)


# What was published: hours, watts, PUE and factor as their authors give them.

RUNS = {
    # Model: cluster, accelerators, hours of them, W of each, PUE, kg/kWh; MWh and t of CO2.
    "gpt-3": ("ms-gpt3", 10_000, 10_000 * 14.8 * 24, 330.0, 1.1, 0.429, 1287.0, 552.1),
    "llama-3.1-405b": ("meta-24k", 16_384, 30.84e6, 700.0, 1.0, 0.4137, 21_588.0, 8_930.0),
    "bloom": ("jean-zay-bloom", 384, 1_082_990, 400.0, 1.0, 0.057, 433.2, 24.7),
    "opt-175b": ("opt175b", 992, 809_472, 400.0, 1.1, 0.385, 356.0, 137.0),
}


@pytest.mark.parametrize("name", RUNS)
def test_energy_and_carbon_of_published_runs(name):
    cluster, count, hours, watts, pue, factor, energy, carbon = RUNS[name]
    options = {"pue": f"{pue}", "carbon": f"{factor} kg/kWh"}
    site = site_of(cluster, "gpt-3-175b", **options)
    inputs = {
        **site.inputs,
        # All that they count is the accelerators, at one power from first to last.
        "node_power": known(watts, "W"),
        "drawn_share": known(1.0),
        "idle_power": known(watts, "W"),
        "other_power": known(0.0, "W"),
    }
    question = replace(site.failures, accelerators=count)
    x = {**likely(question.inputs), **likely(inputs)}
    # Their hours are of wall clock, failures and all.
    good = run_model(question, "remote", (1800.0, 1800.0), {**x, "run_time": DAY})["goodput"]
    x["run_time"] = hours / count * 3600.0 * good
    found = run_model(question, "remote", (1800.0, 1800.0), x)
    assert found["wall"] == pytest.approx(hours / count * 3600.0)
    assert found["energy"] / KWH / 1e3 == pytest.approx(energy, rel=0.02)
    assert found["carbon"] / 1e3 == pytest.approx(carbon, rel=0.02)


def test_what_nodes_draw_lies_over_what_accelerators_do():
    # The same for the whole machine: GPT-3's 1,287 MWh count the accelerators and a PUE of 1.1.
    site = site_of("ms-gpt3", "gpt-3-175b", pue="1.1")
    found = account(site, known(14.8 * DAY, "s"), 10_000)
    assert found.energy.low / KWH / 1e3 > 1287.0
    assert found.energy.high / KWH / 1e3 < 2.0 * 1287.0


def test_a_run_that_failures_stop_for_good_is_said_to_be_never_done(capsys):
    machine = ["--accelerators", "16777216", "--tokens", "15T"]
    assert main(["plan", "train", "llama-3.1-70b", "--accelerator", "h100", *machine]) == 0
    words = capsys.readouterr().out
    assert "wall clock   never done" in words
    assert "nan" not in words
    assert main(["compare", "train", "llama-3.1-70b", "h100", "h200", *machine]) == 0
    words = capsys.readouterr().out
    assert words.count("never") == 2
    assert "nan" not in words
