"""Every command on a small question: JSON that parses, exit codes, one line per mistake."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path

import pytest

from clusterwright.cli import main
from clusterwright.validation.runs import default_runs_path

PLACE = ["--accelerator", "h100", "--accelerators", "8"]
JOB = ["--seq-len", "4096", "--batch-sequences", "64"]
SMALL = ["llama-3.1-8b", *PLACE, *JOB]
STEP = ["simulate", "train", *SMALL, "--pp", "4"]


def ask(capsys, *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def as_json(capsys, *words: str) -> object:
    code, out, err = ask(capsys, *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def refusal(capsys, code: int, *words: str) -> str:
    found, out, err = ask(capsys, *words)
    assert found == code
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def test_plan_train(capsys):
    code, out, err = ask(capsys, "plan", "train", *SMALL, "--tokens", "1T")
    assert (code, err) == (0, "")
    assert "Best plan" in out
    assert "whole run" in out


def test_plan_train_as_json(capsys):
    found = as_json(capsys, "plan", "train", *SMALL, "--tokens", "1T", "--pin", "tp=2")
    assert found["best"]["strategy"]["tp"] == 2
    assert found["totals"]["tokens"] == 1e12
    assert found["evaluated"] > 100
    total = sum(term["time"] for term in found["best"]["waterfall"])
    assert total == pytest.approx(found["best"]["step_time"], rel=1e-9)


@pytest.mark.parametrize("objective", ["time", "cost", "memory"])
def test_plan_train_by_objective(capsys, objective):
    found = as_json(capsys, "plan", "train", *SMALL, "--objective", objective)
    assert found["question"]["objective"] == objective


def test_estimate_train(capsys):
    words = ["estimate", "train", *SMALL, "--tp", "4", "--recompute", "selective"]
    code, out, _ = ask(capsys, *words)
    assert code == 0
    assert "tp 4, dp 2, micro-batch 1, zero 1, recompute selective" in out
    found = as_json(capsys, *words)
    assert found["strategy"]["tp"] == 4
    assert found["strategy"]["dp"] == 2


def test_an_estimate_that_does_not_fit_is_shown_not_refused(capsys):
    code, out, _ = ask(capsys, "estimate", "train", "llama-3.1-405b", *PLACE, *JOB, "--tp", "8")
    assert code == 0
    assert "DOES NOT FIT" in out


def test_compare_train(capsys):
    words = ["compare", "train", "llama-3.1-8b", "8xnv-h100-sxm", "8xh200", "b200", *JOB]
    code, out, _ = ask(capsys, *words, "--accelerators", "8")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:4]] == [
        "machine",
        "b200",
        "8xh200",
        "8xnv-h100-sxm",
    ]
    found = as_json(capsys, *words, "--accelerators", "8")
    assert found["machines"] == ["b200", "8xh200", "8xnv-h100-sxm"]
    assert found["refused"] == []


def test_a_machine_that_cannot_is_named_beside_those_that_can(capsys):
    words = ["compare", "train", "llama-3.1-70b", "1xh100", "64xh100", *JOB]
    code, out, _ = ask(capsys, *words)
    assert code == 0
    assert "1xh100: llama-3.1-70b does not fit" in out
    [refused] = as_json(capsys, *words)["refused"]
    assert refused[0] == "1xh100"


@pytest.mark.parametrize("name", ["1F1B", "1f1b"])
def test_a_schedule_is_named_in_any_case(name, capsys):
    played = as_json(capsys, *STEP, "--schedule", name)
    assert (played["schedule"], played["own_schedule"]) == ("1F1B", True)


def test_save_and_replay(capsys, tmp_path):
    path = str(tmp_path / "plan.json")
    assert ask(capsys, "plan", "train", *SMALL, "--save", path)[0] == 0
    code, out, err = ask(capsys, "replay", path)
    assert (code, err) == (0, "")
    assert "same bytes as saved" in out
    saved = json.loads(Path(path).read_text(encoding="utf-8"))
    assert as_json(capsys, "replay", path) == saved
    Path(path).write_text(json.dumps({**saved, "version": "0.0.1"}), encoding="utf-8")
    code, out, _ = ask(capsys, "replay", path)
    assert code == 1
    assert "differs from version 0.0.1" in out


def test_catalogue(capsys):
    assert len(as_json(capsys, "catalogue", "list")) > 5
    assert len(as_json(capsys, "catalogue", "list", "accelerators")) > 50
    shown = as_json(capsys, "catalogue", "show", "h100")
    assert "nv-h100-sxm" in json.dumps(shown)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan", "train", "lama-3.1-8b", *PLACE], "did you mean llama-3.1-8b"),
        (["plan", "train", "llama-3.1-8b"], "name the machine"),
        (["plan", "train"], "model is missing"),
        (["plan", "train", *SMALL, "--cluster", "meta-24k"], "both name the machine"),
        (["plan", "train", *SMALL, "--tokens", "15.6X"], "unknown unit 'X'"),
        (["plan", "train", *SMALL, "--pin", "tp"], "should be name=value"),
        (["plan", "train", *SMALL, "--pin", "tp=0"], "at least 1"),
        (["plan", "train", *SMALL, "--precision", "bf15"], "bf16"),
        (["plan", "train", *SMALL, "--objective", "speed"], "time"),
        (["plan", "train", *SMALL, "--software", "megatorn"], "did you mean"),
        (["plan", "train", *SMALL, "--save", "nowhere/plan.json"], "nowhere/plan.json"),
        (["estimate", "train", *SMALL, "--tp", "3"], "does not divide the 8"),
        (["estimate", "train", *SMALL, "--tp", "0"], "tp is 0"),
        (["estimate", "train", *SMALL, "--tp", "two"], "--tp"),
        (["estimate", "train", *SMALL, "--tp", "1.5"], "--tp is '1.5', but must be a whole"),
        (["estimate", "train", *SMALL, "--vpp", "²"], "--vpp is '²'"),
        (["estimate", "train", *SMALL, "--shard-group", "3"], "does not divide dp * cp = 8"),
        (["estimate", "train", *SMALL, "--recompute-layers", "4"], "needs recompute full"),
        (["plan", "train", *SMALL, "extra"], "nothing takes the word 'extra' here"),
        (["plan", "train", *SMALL, "--lora-rank", "1.5"], "--lora-rank is '1.5'"),
        (["compare", "train", "llama-3.1-8b", "8xh100", "8xh1000"], "called 'h1000'"),
        (["compare", "train", "llama-3.1-8b", "8xh100", "0xh100"], "--accelerators is '0'"),
        (["catalogue", "check", "--folder", "nowhere"], "is no authored catalogue"),
        (["estimate", "train", *SMALL, "--micro-batch", "0"], "micro_batch is 0"),
        (["compare", "train", "llama-3.1-8b", "h100"], "name two machines"),
        (["compare", "train", "llama-3.1-8b", "h1000", "h2000"], "no accelerator called 'h1000'"),
        ([*STEP, "--straggler", "1:1.2", "--straggler", "1:2"], "names rank 1 twice"),
        ([*STEP, "--schedule", "zbv"], "no schedule is called 'zbv'; choose from 1f1b"),
        ([*STEP, "--trace", "a.html", "--timeline", "a.html"], "--timeline both name 'a.html'"),
        (["replay", "nowhere.json"], "there is no file 'nowhere.json'"),
        (["replay", str(Path(__file__).parent)], "is a folder: name a saved plan"),
        (["validate", "nowhere.csv"], "nowhere.csv"),
        (["catalogue", "list", "chips"], "no kind of facts called 'chips'"),
        (["catalogue", "show", "h1000"], "h1000"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words, said, capsys):
    assert said in refusal(capsys, 2, *words)


def test_when_nothing_fits_the_exit_code_is_3_and_the_mend_is_named(capsys):
    said = refusal(capsys, 3, "plan", "train", "llama-3.1-405b", *PLACE)
    assert "llama-3.1-405b does not fit" in said
    assert re.search(r"\(\w+ alone [\d.]+ GB\)", said)
    assert re.search(r"about \d+ accelerators", said)
    assert "times the memory" in said


def test_a_catalogue_file_that_is_not_there_is_exit_code_4(capsys):
    code, out, err = ask(capsys, "plan", "train", *SMALL, "--catalogue", "nowhere.toml")
    assert (code, out) == (4, "")
    assert err.startswith("error: ")
    assert "nowhere.toml: no such file" in err


def test_pins_that_nothing_obeys_are_exit_code_3(capsys):
    said = refusal(capsys, 3, "plan", "train", *SMALL, "--pin", "zero=3", "--pin", "pp=4")
    assert "SHD001" in said


def test_validate_a_table_of_one_run(capsys, tmp_path):
    code, out, err = ask(capsys, "validate", str(one_run(tmp_path)))
    assert (code, err) == (0, "")
    assert "median" in out.lower()


def test_a_page_is_written_with_the_files_of_one_s_own(capsys, tmp_path):
    runs, own = one_run(tmp_path), tmp_path / "own.toml"
    own.write_text('[[settings]]\nid = "intervals"\ngroups = [{ low = 1e-3, high = 2e-3 }]\n')
    usual = as_json(capsys, "validate", str(runs))
    words = ("validate", str(runs), "--catalogue", str(own))
    assert as_json(capsys, *words) != usual
    assert as_json(capsys, *words, "--page", str(tmp_path)) == as_json(capsys, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["intervals"], "runs with a complete configuration are too few"),
        (["stacks"], "fewer than 20 runs of any framework"),
        (["stacks", "--only", "megatron"], "no software called 'megatron': did you mean"),
        (["stacks", "--catalogue", "nowhere.toml"], "nowhere.toml: no such file"),
    ],
)
def test_a_few_runs_calibrate_nothing(words, said, capsys, tmp_path):
    verb, *options = words
    out = tmp_path / "own.toml"
    code, _, err = ask(
        capsys, "calibrate", verb, str(one_run(tmp_path)), *options, "--out", str(out)
    )
    assert code in (2, 4)
    assert said in err
    assert not out.exists()


def one_run(folder: Path) -> Path:
    """The first published run, on its own."""
    path = folder / "runs.csv"
    with gzip.open(default_runs_path(), "rt", encoding="utf-8", newline="") as source:
        rows = list(csv.reader(source))[:2]
    with path.open("w", encoding="utf-8", newline="") as target:
        csv.writer(target).writerows(rows)
    return path
