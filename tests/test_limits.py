"""Backwards: sizes of a machine that keep a deadline, a budget or a power limit."""

from __future__ import annotations

import itertools
from functools import cache

import pytest

from clusterwright.asking import ask_training
from clusterwright.asking_account import with_account
from clusterwright.asking_prices import SiteOptions
from clusterwright.cli import main
from clusterwright.errors import InfeasibleError, InputError
from clusterwright.facts import shipped
from clusterwright.planner_limits import LimitedPlan, Limits, ask_limits, plan_within
from clusterwright.report.limits_text import limited_text
from clusterwright.training.plan import TrainingQuestion

FACTS = shipped()
DAY = 86_400.0


@cache
def question(*, tokens: str | None = "1T", accelerators: int = 16_384) -> TrainingQuestion:
    asked = ask_training(
        "llama-3.1-8b",
        accelerator="h100",
        accelerators=accelerators,
        tokens=tokens,
        catalogue=FACTS,
    )
    return with_account(asked, options=SiteOptions(region="usa"), catalogue=FACTS)


@cache
def within(
    *,
    budget: float | None = None,
    deadline: float | None = None,
    power: float | None = None,
    sure: bool = False,
) -> LimitedPlan:
    limits = Limits(budget=budget, deadline=deadline, power=power, sure=sure)
    return plan_within(question(), limits, catalogue_hash=FACTS.hash)


def size(found: LimitedPlan) -> int:
    return found.plan.question.cluster.count


def test_the_plan_keeps_the_limits():
    found = within(budget=1e6, deadline=5 * DAY, power=5e6)
    account = found.plan.account
    assert account is not None
    assert account.cost is not None
    assert account.wall.middle <= 5 * DAY
    assert account.cost.middle <= 1e6
    assert account.peak.middle <= 5e6


@pytest.mark.parametrize("days", [1.5, 3, 10, 40])
def test_a_deadline_takes_the_fewest_that_were_tried(days):
    found = within(deadline=days * DAY)
    smaller = [one for one in found.tried if one.accelerators < size(found)]
    assert all(one.breaks == "time" for one in smaller)


def test_a_tighter_deadline_never_takes_fewer():
    sizes = [size(within(deadline=days * DAY)) for days in (40, 20, 10, 5, 2, 1.5)]
    assert all(one <= two for one, two in itertools.pairwise(sizes))


@pytest.mark.parametrize("kind", ["budget", "power"])
def test_a_larger_limit_never_takes_longer(kind):
    steps = {"budget": (5e4, 6e4, 1e5, 1e6), "power": (5e4, 2e5, 1e6, 1e7)}[kind]
    walls = []
    for limit in steps:
        account = within(**{kind: limit}).plan.account
        assert account is not None
        walls.append(account.wall.middle)
    assert all(two <= 1.03 * one for one, two in itertools.pairwise(walls))


def test_no_more_are_taken_than_the_batch_feeds():
    found = within(power=1e9)
    account = found.plan.account
    assert account is not None
    assert size(found) < question().cluster.count
    most = within(deadline=account.wall.middle * 1.02)
    assert size(most) <= size(found)


def test_to_be_sure_takes_no_fewer():
    likely, sure = within(deadline=9 * DAY), within(deadline=9 * DAY, sure=True)
    assert size(likely) <= size(sure)
    account = sure.plan.account
    assert account is not None
    assert account.wall.high <= 9 * DAY


def test_a_power_limit_holds_at_the_peak():
    for limit in (1e5, 1e6, 4e6):
        account = within(power=limit).plan.account
        assert account is not None
        assert account.power.middle <= account.peak.middle <= limit


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(deadline=600.0), "at least, on .* accelerators, since its batch feeds no more"),
        (Limits(power=100.0), "more than 100 W"),
        (Limits(budget=10.0), "more than the budget of \\$10"),
        (Limits(deadline=DAY / 4, budget=1e9), "more than the deadline of 6.0 h"),
        (Limits(deadline=5 * DAY, budget=100.0), "or a later deadline"),
    ],
)
def test_limits_that_nothing_keeps_say_by_how_much(limits, said):
    with pytest.raises(InfeasibleError, match=said) as caught:
        plan_within(question(), limits, catalogue_hash=FACTS.hash)
    assert "\n" not in str(caught.value)


def test_too_few_accelerators_are_told_to_be_more():
    with pytest.raises(InfeasibleError, match="even all 64 accelerators take"):
        plan_within(question(accelerators=64), Limits(deadline=2 * DAY))


def test_a_run_needs_its_length():
    with pytest.raises(InputError, match="give --tokens"):
        plan_within(question(tokens=None), Limits(budget=1e6))


def test_limits_need_an_account():
    bare = ask_training(
        "llama-3.1-8b", accelerator="h100", accelerators=64, tokens="1T", catalogue=FACTS
    )
    with pytest.raises(InputError, match="what the machine draws and costs"):
        plan_within(bare, Limits(budget=1e6))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--budget", "1M"], "--budget: '1M'"),
        (["--budget=-$5"], "--budget"),
        (["--deadline", "10"], "--deadline: '10' has no unit"),
        (["--deadline", "0d"], "must be above zero"),
        (["--power", "150"], "--power: '150' has no unit"),
        (["--sure"], "--sure needs a limit"),
    ],
)
def test_limits_that_cannot_be_are_refused(words, said, capsys):
    base = ["plan", "train", "llama-3.1-8b", "--accelerator", "h100", "--tokens", "1T"]
    assert main([*base, *words]) == 2
    assert said in capsys.readouterr().err


def test_a_limit_that_nothing_keeps_has_its_own_exit_code(capsys):
    words = "plan train llama-3.1-8b --accelerator h100 --tokens 1T --power 1kW"
    assert main(words.split()) == InfeasibleError.exit_code
    assert "allow that much, or cap each of them" in capsys.readouterr().err


def test_the_page_shows_what_was_tried():
    found = within(budget=1e6, deadline=5 * DAY, power=5e6)
    text = limited_text(found)
    assert f"{size(found):,} accelerators" in text.splitlines()[0]
    assert "keeps the limits" in text
    assert max(map(len, text.splitlines())) <= 120


def test_limits_are_read_as_people_write_them():
    found = ask_limits(budget="$40M", deadline="60d", power="150MW", sure=True)
    assert (found.budget, found.deadline, found.power) == (40e6, 60 * DAY, 150e6)
    assert found.sure
