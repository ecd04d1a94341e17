"""A study's file: what it means, and one clear sentence for each way to get it wrong."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass

import pytest
from sweep_cases import PRICES, study_of

from clusterwright.cli import estimate, fleet, plan, serve, site
from clusterwright.errors import InputError
from clusterwright.sweep.designs import Table
from clusterwright.sweep.questions import QUESTIONS, ends_of
from clusterwright.sweep.study import read_study

COMMANDS = {
    "plan train": plan.train,
    "estimate train": estimate.train,
    "plan serve": serve.plan,
    "fleet": fleet.fleet,
    "site": site.site,
}
NOT_ASKED = {"json", "save", "catalogue", "sites"}
"""Parameters of commands that say what becomes of an answer, or that a study has elsewhere."""


def options_of(command):
    """The options of a command, those of shared groups among them."""
    found = set()
    for name, parameter in inspect.signature(command).parameters.items():
        if name == "sites":
            continue
        group = parameter.default
        found |= {one.name for one in fields(group)} if is_dataclass(group) else {name}
    return found - NOT_ASKED


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_can_be_typed_can_be_studied(question):
    assert set(QUESTIONS[question].options) == options_of(COMMANDS[question])


@pytest.mark.parametrize("question", QUESTIONS)
def test_results_and_the_ends_of_their_intervals_have_names_of_their_own(question):
    asks = QUESTIONS[question]
    names = [name for result in asks.results for name in ends_of(asks, result)]
    assert len(set(names)) == len(names)
    assert set(asks.points) <= set(asks.results)


def test_a_study_says_the_same_wherever_it_lies_and_however_it_is_commented(tmp_path):
    (tmp_path / "other").mkdir()
    one = study_of(tmp_path, PRICES)
    two = study_of(
        tmp_path / "other", "# as before\n" + PRICES.replace("failure-rate", "failure_rate")
    )
    assert one.hash == two.hash
    assert one.hash != study_of(tmp_path, PRICES.replace("0.05", "0.06")).hash
    # How answers are ranked in the end changes none of them.
    assert one.hash == study_of(tmp_path, PRICES.replace('least = "cost"', 'most = "wall"')).hash


def test_an_axis_of_tables_sets_several_options_at_once(tmp_path):
    text = PRICES.replace('accelerator = "h100"\n', "").replace(
        "accelerators = [8, 16]\n",
        'machine = [{accelerator = "h100", accelerators = 8}, '
        '{accelerator = "b200", accelerators = 16, rent = "$3/h"}]\n',
    )
    table = Table(study_of(tmp_path, text))
    assert table.count == 8
    assert (table.row(0)["accelerator"], table.row(0)["accelerators"]) == ("h100", 8)
    assert "rent" not in table.row(0)
    assert table.row(7)["rent"] == "$3/h"


def test_a_file_that_is_named_lies_beside_the_study_and_is_part_of_it(tmp_path):
    from clusterwright.facts import shipped

    config = tmp_path / "mine.json"
    import msgspec

    data = shipped().entry("models", "llama-3.1-8b").data["config_json"]
    config.write_bytes(data if isinstance(data, bytes) else msgspec.json.encode(data))
    text = PRICES.replace("llama-3.1-8b", "mine.json")
    before = study_of(tmp_path, text)
    assert list(before.files) == ["mine.json"]
    config.write_text(config.read_text() + "\n")
    assert study_of(tmp_path, text).hash != before.hash


WRONG = {
    "not TOML": ("question = ", "is not a TOML file"),
    "no question": ("[axes]\n", "does not say what is asked"),
    "unknown question": ('question = "plan trian"', "did you mean 'plan train'?"),
    "unknown key": (PRICES.replace("least =", "leest ="), "no 'leest': did you mean least?"),
    "unknown option": (
        PRICES.replace("tariff =", "tarif ="),
        "`plan train` has no option 'tarif': did you mean tariff?",
    ),
    "option of another question": (
        PRICES.replace("tokens =", "ttft ="),
        "`plan train` has no option 'ttft'",
    ),
    "unknown accelerator": (PRICES.replace('"h100"', '"h1000"'), "no accelerator called 'h1000'"),
    "unknown model": (PRICES.replace("llama-3.1-8b", "lama-3.1-8b"), "llama-3.1-8b"),
    "wrong unit": (PRICES.replace('"1e-3/d"', '"1e-3 kg"'), "failure_rate: '1e-3 kg' is a mass"),
    "no unit": (PRICES.replace('"$0.05/kWh", "$0.1/kWh"', "5, 6"), "tariff: '5' has no unit"),
    "mixed list": (
        PRICES.replace("[8, 16]", '[8, "16"]'),
        r"\[axes\] accelerators mixes numbers and texts",
    ),
    "empty list": (PRICES.replace("[8, 16]", "[]"), "accelerators is empty"),
    "no list": (PRICES.replace("[8, 16]", "8"), "must be a list of values"),
    "a list for an option": (PRICES.replace('"1T"', '["1T", "2T"]'), r"belongs into \[axes\]"),
    "twice the same": (PRICES.replace("[8, 16]", "[8, 8]"), "has a value twice"),
    "twice by spelling": (
        PRICES.replace("[axes]", "[axes]\nfailure_rate = ['1/d']"),
        r"failure_rate is in \[axes\] failure_rate and in \[axes\] failure_rate",
    ),
    "option and axis": (
        PRICES.replace("[axes]", '[axes]\ntokens = ["1T"]'),
        r"tokens is in \[options\] and in \[axes\] tokens: set it in one of them",
    ),
    "axis and uncertain": (
        PRICES + '[uncertain]\ntariff = ["$0.05/kWh", "$0.06/kWh", "$0.1/kWh"]',
        r"tariff is in \[axes\] tariff and in \[uncertain\]",
    ),
    "nothing to draw": (
        'design = "sobol"\n' + PRICES,
        r"a sobol design needs options to draw: add an \[uncertain\] table",
    ),
    "a grid that draws": (
        'design = "grid"\n' + PRICES + "[uncertain]\npue = [1.1, 1.2, 1.3]",
        "a grid draws nothing",
    ),
    "unknown design": ('design = "lhs"\n' + PRICES, "choose from grid, sobol, monte-carlo"),
    "samples of a grid": ("samples = 8\n" + PRICES, "a grid has no samples"),
    "no samples": (
        "samples = 0\n" + PRICES + "[uncertain]\npue = [1.1, 1.2, 1.3]",
        "samples is 0, but must be a whole number of 2 to 1,000,000",
    ),
    "a range that falls": (
        PRICES + "[uncertain]\npue = [1.3, 1.2, 1.1]",
        "pue does not rise from low to high: 1.3, 1.2, 1.1",
    ),
    "half a range": (PRICES + "[uncertain]\npue = [1.3, 1.4]", "write .* for low, likely and high"),
    "odd form": (PRICES + "[uncertain]\npue = {mean = 1.2}", "pue has mean: write"),
    "a range of words": (
        PRICES + '[uncertain]\nprecision = ["bf16", "fp8", "fp8"]',
        "precision is no quantity that has a range",
    ),
    "below zero": (
        PRICES + '[uncertain]\nrent = {p10 = "$1/h", p50 = "$1.5/h", p90 = "$9/h"}',
        None,
    ),
    "a word that is none": (
        'question = "estimate train"\n[axes]\nzero = [1, 5]',
        "zero is 5; choose from 0, 1, 2, 3",
    ),
    "no such result": (PRICES.replace('["cost",', '["costs",'), "did you mean cost"),
    "ranked by what is not kept": (
        PRICES.replace('least = "cost"', 'least = "mfu"'),
        "add it there",
    ),
    "least and most": ('most = "wall"\n' + PRICES, "give one of them"),
    "no flag": (PRICES.replace('tokens = "1T"', 'tokens = "1T"\ncolocated = 1'), "true or false"),
    "a flag": (PRICES.replace('tokens = "1T"', "tokens = true"), "tokens is true, but must be no"),
    "results that are no list": ('question = "site"\nresults = "hour"', "must be a list of names"),
    "an option for a table": ('question = "site"\noptions = 3', "must be a table"),
    "tables under an option's name": (
        PRICES.replace("[8, 16]", "[{accelerators = 8}]"),
        "is the name of an option itself",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, case):
    text, said = WRONG[case]
    if said is None:  # a range that is wide, and sound
        study_of(tmp_path, text)
        return
    with pytest.raises(InputError, match=said) as found:
        study_of(tmp_path, text)
    assert "\n" not in str(found.value)
    assert str(found.value).count("study.toml") == 1


def test_a_range_that_reaches_below_zero_is_refused(tmp_path):
    text = PRICES + '[uncertain]\nrent = {p10 = "$1/h", p50 = "$8/h", p90 = "$9/h"}'
    with pytest.raises(InputError, match="reaches below zero"):
        study_of(tmp_path, text)


def test_a_study_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the study .*: No such file"):
        read_study(tmp_path / "none.toml")
    with pytest.raises(InputError, match=r"cannot read the study .*: Is a directory"):
        read_study(tmp_path)


def test_more_questions_than_anybody_waits_for_are_refused(tmp_path):
    prices = ", ".join(f"{price}" for price in range(1, 5001))
    text = PRICES.replace("accelerators = [8, 16]", f"accelerators = [{prices}]").replace(
        'failure-rate = ["1e-3/d", "1e-2/d"]',
        f"failure-rate = [{', '.join(repr(f'{one}e-5/d') for one in range(1, 1201))}]",
    )
    with pytest.raises(InputError, match="12,000,000 questions, and 10,000,000 are the most"):
        Table(study_of(tmp_path, text))
