"""What a service takes with its site: power, energy, carbon, money."""

from __future__ import annotations

import json

import pytest
from serving_cases import asked

from clusterwright.asking_service import account_of_service, with_service_account
from clusterwright.asking_serving import ask_serving
from clusterwright.asking_site import SiteOptions
from clusterwright.cli import main
from clusterwright.errors import InputError
from clusterwright.planner_serving import plan_serving, replay_serving
from clusterwright.report.serving_text import plan_text
from clusterwright.saving import encode_plan


@pytest.fixture(scope="module")
def plan():
    return plan_serving(asked("llama-3.1-8b", "h100", accelerators=64, rate=50, tpot="50ms"))


def test_energy_of_a_token_is_power_over_tokens(plan):
    found = account_of_service(plan.question, plan.best)
    power = found.energy.middle * plan.best.output_rate
    assert power == pytest.approx(found.power.middle, rel=0.02)


def test_it_is_dearer_and_hungrier_than_the_bare_boards(plan):
    found = account_of_service(plan.question, plan.best)
    idle = 0.1 * 700.0 * plan.best.accelerators
    assert idle < found.power.middle < 3.0 * 700.0 * plan.best.accelerators
    assert found.power.low < found.power.middle < found.power.high


def test_cleaner_electricity_emits_less_and_costs_the_same_order(plan):
    swede = account_of_service(plan.question, plan.best, options=SiteOptions(region="sweden"))
    chinese = account_of_service(plan.question, plan.best, options=SiteOptions(region="shanghai"))
    assert swede.carbon.middle < 0.2 * chinese.carbon.middle
    assert swede.region == "Sweden"


def test_the_plan_says_so_and_replays_without_it(plan):
    whole = with_service_account(plan)
    assert "a million tokens out" in plan_text(whole)
    assert replay_serving(whole)[1]
    assert encode_plan(whole) != encode_plan(plan)


def test_a_device_in_somebodys_hands_has_none():
    question = ask_serving("llama-3.2-1b", device="metavertu", prompt=100, output=100)
    assert account_of_service(question, None) is None


def test_what_was_asked_wrongly_is_told_and_what_nobody_published_is_left_out(plan):
    with pytest.raises(InputError, match="no region called 'atlantis'"):
        with_service_account(plan, options=SiteOptions(region="atlantis"))


def test_the_command(capsys):
    words = "plan serve llama-3.1-8b --accelerator h100 --accelerators 64 --rate 20/s"
    assert main([*words.split(), "--input", "500", "--output", "100", "--json"]) == 0
    account = json.loads(capsys.readouterr().out)["account"]
    assert account["cost"]["low"] < account["cost"]["high"]
