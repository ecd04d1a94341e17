"""`clusterwright sweep`: each answer is the command's own, and what a person gets to read."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys

import pytest
from sweep_cases import PRICES, study_of

from clusterwright.cli import main
from clusterwright.sweep.asking import Asker, columns_of


def ask(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def answer_of(study, row=0):
    """The numbers of a row, by name, and what was chosen."""
    found = Asker(study).answer(row)
    assert found.status == "answered", found.why
    return dict(zip(columns_of(study), found.numbers, strict=True)), found.how


def command_of(study, row=0):
    """The command that asks a row's question."""
    values = Asker(study).table.row(row)
    words = study.question.split()
    for name, value in values.items():
        if name in ("model", "target") and study.question != "fleet":
            words.append(str(value))
        elif name == "target":
            words.insert(1, str(value))
        elif value is True:
            words.append(f"--{name.replace('_', '-')}")
        else:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return [*words, "--json"]


def same_question(capsys, study, row=0):
    code, out, err = ask(capsys, *command_of(study, row))
    assert (code, err) == (0, "")
    return json.loads(out)


def interval(found, name):
    return {"low": found[f"{name}_low"], "middle": found[name], "high": found[f"{name}_high"]}


def test_a_training_plan_of_a_study_is_the_commands(capsys, tmp_path):
    study = study_of(tmp_path, PRICES.replace('["cost", "wall"]', "[]"))
    asker = Asker(study)
    asker.answer(0)  # what this row leaves behind is used for the next
    found = dict(zip(columns_of(study), asker.answer(3).numbers, strict=True))
    theirs = same_question(capsys, study, 3)
    assert found["step_time"] == theirs["best"]["step_time"]
    assert [found["step_time_low"], found["step_time_high"]] == theirs["best"]["step_time_interval"]
    assert found["mfu"] == theirs["best"]["mfu"]
    assert found["run_time"] == theirs["totals"]["duration"]
    assert found["accelerator_time"] == theirs["totals"]["accelerator_hours"] * 3600.0
    for ours, field in {
        "wall": "wall", "goodput": "goodput", "between_failures": "between", "energy": "energy",
        "mean_power": "power", "peak_power": "peak", "emitted": "carbon", "made": "made",
        "cost": "cost",
    }.items():  # fmt: skip
        assert interval(found, ours) == theirs["account"][field]


def test_a_plan_within_limits_is_the_commands(capsys, tmp_path):
    study = study_of(
        tmp_path,
        """question = "plan train"
[options]
model = "llama-3.1-8b"
accelerator = "h100"
accelerators = 64
tokens = "50G"
[axes]
deadline = ["20d", "40d"]
""",
    )
    for row in range(2):
        found, _ = answer_of(study, row)
        theirs = same_question(capsys, study, row)
        assert found["used"] == theirs["best"]["accelerators"]
        assert interval(found, "wall") == theirs["account"]["wall"]


def test_an_estimate_of_a_study_is_the_commands(capsys, tmp_path):
    study = study_of(
        tmp_path,
        """question = "estimate train"
[options]
model = "llama-3.1-8b"
accelerator = "h100"
accelerators = 16
recompute = "full"
zero = 3
[axes]
tp = [1, 2, 4]
""",
    )
    found, how = answer_of(study, 1)
    theirs = same_question(capsys, study, 1)
    assert found["step_time"] == theirs["step_time"]
    assert found["memory"] == theirs["memory_bytes"]
    assert "tp=2" in how
    assert "zero=3" in how


def test_a_serving_plan_of_a_study_is_the_commands(capsys, tmp_path):
    study = study_of(
        tmp_path,
        """question = "plan serve"
[options]
model = "llama-3.1-8b"
accelerator = "h100"
rate = "20/s"
input = 1000
output = 200
draft = 2
acceptance = "80%"
price = "$2.10"
[axes]
tpot = ["30ms", "50ms"]
tariff = ["$0.05/kWh", "$0.1/kWh"]
""",
    )
    found, how = answer_of(study, 3)
    theirs = same_question(capsys, study, 3)
    best = theirs["best"]
    assert found["used"] == best["accelerators"]
    assert found["ttft_p90"] == best["ttft"]["p90"]
    assert found["million_at_price"] == best["cost"]
    assert interval(found, "million_owned") == theirs["account"]["cost"]
    assert interval(found, "mean_power") == theirs["account"]["power"]
    assert interval(found, "token_energy") == theirs["account"]["energy"]
    assert how.startswith(f"{best['pools'][0]['count']} x ")


def test_a_fleet_of_a_study_is_the_commands(capsys, tmp_path):
    study = study_of(
        tmp_path,
        """question = "fleet"
[options]
target = "meta-24k"
accelerators = 1024
model = "llama-3.1-8b"
draws = 64
days = "10d"
[axes]
rate = ["2e-3/d", "8e-3/d"]
""",
    )
    found, how = answer_of(study, 1)
    theirs = same_question(capsys, study, 1)
    assert interval(found, "goodput") == theirs["goodput"]
    assert interval(found, "failures") == theirs["failure_rate"]
    assert found["standby"] == theirs["spares"]
    assert how == f"tier={theirs['chosen']['tier']}"


def test_a_site_of_a_study_is_the_commands(capsys, tmp_path):
    study = study_of(
        tmp_path,
        """question = "site"
[options]
target = "8000xh100"
region = "sweden"
oversubscription = 2
[axes]
server-price = ["$25,000", "$40,000"]
""",
    )
    found, how = answer_of(study, 1)
    theirs = same_question(capsys, study, 1)
    assert found["hour"] == theirs["likely"]["hour"]
    assert found["pue_found"] == theirs["likely"]["pue"]
    assert found["emitted_high"] == theirs["results"]["carbon"]["high"]
    assert how == f"cooling={theirs['question']['cooling']['id']}"


def test_a_question_that_is_refused_is_an_answer_in_the_commands_words(capsys, tmp_path):
    study = study_of(
        tmp_path, PRICES.replace("llama-3.1-8b", "llama-3.1-405b").replace("[8, 16]", "[8, 512]")
    )
    found = Asker(study).answer(0)
    assert found.status == "refused"
    assert set(found.numbers) == {None}
    code, _, err = ask(capsys, *command_of(study, 0))
    assert code == 3
    assert err == f"error: {found.why}\n"
    code, out, err = ask(capsys, "sweep", tmp_path / "study.toml", "--workers", 1)
    assert (code, err) == (0, "")
    assert "8 questions, 4 answered, 4 refused" in out
    assert "\n        4  " in out
    assert "rows without an answer: no shares of the variance" in out


def test_answers_come_as_a_database_a_table_and_a_summary(capsys, tmp_path):
    path = tmp_path / "study.toml"
    study_of(tmp_path, PRICES)
    code, out, err = ask(capsys, "sweep", path, "--workers", 1, "--csv", tmp_path / "all.csv")
    assert (code, err) == (0, "")
    assert "Least cost first" in out
    assert f"Answers: {tmp_path / 'study.sqlite'}" in out
    base = sqlite3.connect(tmp_path / "study.sqlite")
    query = "SELECT tariff, min(cost) FROM asked JOIN answers USING (row) GROUP BY tariff"
    cheapest = dict(base.execute(query).fetchall())
    units = dict(base.execute("SELECT name, unit FROM results").fetchall())
    base.close()
    assert list(cheapest) == ["$0.05/kWh", "$0.1/kWh"]
    assert units == {"cost": "USD", "wall": "s"}
    with (tmp_path / "all.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 8
    assert min(float(row["cost [USD]"]) for row in table) == min(cheapest.values())
    assert {row["status"] for row in table} == {"answered"}
    code, out, _ = ask(capsys, "sweep", path, "--json")
    summary = json.loads(out)
    assert summary["best"][0]["results"]["cost"] == min(cheapest.values())
    moved = {one["name"] for one in summary["moved"][0]["influences"]}
    assert moved == {"accelerators", "tariff", "failure_rate"}


def test_a_monte_carlo_study_says_how_far_results_spread_and_what_moves_them(capsys, tmp_path):
    text = PRICES.replace('tariff = ["$0.05/kWh", "$0.1/kWh"]\n', "").replace(
        'failure-rate = ["1e-3/d", "1e-2/d"]\n',
        '[uncertain]\ntariff = ["$0.05/kWh", "$0.08/kWh", "$0.12/kWh"]\n'
        'failure-rate = {between = ["1e-3/d", "1e-2/d"], log = true}\n',
    )
    study_of(tmp_path, "samples = 6\n" + text)
    code, out, err = ask(capsys, "sweep", tmp_path / "study.toml", "--workers", 1)
    assert (code, err) == (0, "")
    assert "22 questions, 22 answered" in out
    assert "medians over the samples, and 80 % intervals" in out
    assert "each alone at its 10th and 90th percentile" in out
    assert "shares of the variance" not in out
    study_of(tmp_path, 'samples = 4\ndesign = "sobol"\n' + text, "sobol.toml")
    code, out, err = ask(capsys, "sweep", tmp_path / "sobol.toml", "--workers", 1)
    assert (code, err) == (0, "")
    assert "42 questions, 42 answered" in out
    assert "shares of the variance" in out


def test_a_dry_run_says_what_would_be_asked_and_writes_nothing(capsys, tmp_path):
    study_of(tmp_path, PRICES)
    code, out, err = ask(capsys, "sweep", tmp_path / "study.toml", "--dry-run")
    assert (code, err) == (0, "")
    assert out.startswith("plan train: 8 questions\n")
    assert "0: model llama-3.1-8b;" in out
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_a_dry_run_says_what_is_drawn_in_the_units_of_people(capsys, tmp_path):
    drawn = '[uncertain]\ntariff = ["$0.05/kWh", "$0.08/kWh", "$0.12/kWh"]\n'
    kept = PRICES.replace('tariff = ["$0.05/kWh", "$0.1/kWh"]\n', "")
    study_of(tmp_path, "samples = 6\n" + kept + drawn)
    _, out, _ = ask(capsys, "sweep", tmp_path / "study.toml", "--dry-run")
    assert "drawn: $0.05/kWh, $0.08/kWh, $0.12/kWh" in out
    assert "$/J" not in out


def test_a_limit_stops_early_and_says_how_to_go_on(capsys, tmp_path):
    study_of(tmp_path, PRICES)
    words = ("sweep", tmp_path / "study.toml", "--workers", 1, "--chunk", 2)
    code, out, _ = ask(capsys, *words, "--limit", 3)
    assert code == 0
    assert "8 questions, 4 answered" in out
    assert "; 4 to go: the same command goes on" in out
    code, out, _ = ask(capsys, *words)
    assert "8 questions, 8 answered" in out
    assert "to go" not in out


def test_progress_is_shown_on_a_terminal_alone(capsys, tmp_path, monkeypatch):
    study_of(tmp_path, PRICES)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _, _, err = ask(capsys, "sweep", tmp_path / "study.toml", "--workers", 1, "--chunk", 4)
    assert "4 of 8 questions" in err
    assert "8 of 8 questions" in err
    assert err.endswith("\r\033[K")


def test_rows_that_break_are_a_fault_of_ours_and_the_exit_code_says_so(
    capsys, tmp_path, monkeypatch
):
    from clusterwright.sweep import asking

    def wrong(*_):
        raise ZeroDivisionError("of a test")

    study_of(tmp_path, PRICES)
    monkeypatch.setattr(asking.Asker, "_values", wrong)
    code, out, _ = ask(capsys, "sweep", tmp_path / "study.toml", "--workers", 1)
    assert code == 1
    assert "A fault of clusterwright; please report it" in out
    assert "8  ZeroDivisionError: of a test" in out


def test_a_chunk_that_could_not_be_done_is_told_and_the_exit_code_says_so(
    capsys, tmp_path, monkeypatch
):
    from clusterwright.sweep import running

    class Dying:
        def run(self, _, chunks):
            return iter([(chunk, "its worker died") for chunk in chunks])

    study_of(tmp_path, PRICES)
    monkeypatch.setattr(running, "Here", Dying)
    code, out, _ = ask(capsys, "sweep", tmp_path / "study.toml", "--workers", 1, "--chunk", 8)
    assert code == 1
    assert "rows 0 to 7: its worker died" in out


def test_a_study_on_ray_without_ray_says_what_to_install(capsys, tmp_path, monkeypatch):
    study_of(tmp_path, PRICES)
    monkeypatch.setitem(sys.modules, "ray", None)
    code, out, err = ask(capsys, "sweep", tmp_path / "study.toml", "--on", "ray")
    assert (code, out) == (1, "")
    assert err == (
        "error: --on ray needs Ray, which is not installed: pip install 'clusterwright[ray]'\n"
    )


@pytest.mark.parametrize("words", [["--workers", "0"], ["--workers", "2.5"], ["--on", "moon"]])
def test_options_that_cannot_be_are_refused_in_one_line(capsys, tmp_path, words):
    study_of(tmp_path, PRICES)
    code, out, err = ask(capsys, "sweep", tmp_path / "study.toml", *words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_table_that_cannot_be_written_is_refused_before_anything_is_asked(capsys, tmp_path):
    study_of(tmp_path, PRICES)
    words = ("sweep", tmp_path / "study.toml", "--workers", 1, "--csv", tmp_path / "no" / "a.csv")
    code, _, err = ask(capsys, *words)
    assert code == 2
    assert "there is no folder" in err
    assert not (tmp_path / "study.sqlite").exists()
