"""A saved plan that cannot be read says why: who wrote it, what it is, what to do."""

from __future__ import annotations

import json

import pytest

from clusterwright.asking import ask_training
from clusterwright.cli import main
from clusterwright.planner import plan_training
from clusterwright.saving import save_plan, saved_kind


@pytest.fixture
def plan(tmp_path):
    """A saved plan of this version."""
    path = tmp_path / "plan.json"
    save_plan(plan_training(ask_training("llama-3.1-8b", accelerator="h100", accelerators=8)), path)
    return path


def of_version(path, version):
    """Make a plan one of another version, which called a field otherwise."""
    text = path.read_text()
    ours = json.loads(text)["version"]
    path.write_text(
        text.replace(f'"version":"{ours}"', f'"version":"{version}"').replace(
            '"mfu":', '"mfu_old":'
        )
    )
    return ours


@pytest.mark.parametrize("command", [["replay"], ["diagnose", "any.log", "--plan"]])
def test_a_plan_of_an_older_version_is_refused_with_the_version_and_the_command(
    command, plan, capsys
):
    ours = of_version(plan, "0.0.7")
    assert main([*command, str(plan)]) == 2
    said = capsys.readouterr().err
    assert f"was written by version 0.0.7, and version {ours} keeps plans otherwise" in said
    assert "ask it anew with clusterwright plan train and --save plan.json" in said
    assert said.count("\n") == 1


def test_an_edited_plan_of_this_version_is_called_none(plan, capsys):
    plan.write_text(plan.read_text().replace('"mfu":', '"mfo":'))
    assert main(["replay", str(plan)]) == 2
    said = capsys.readouterr().err
    assert "is not a saved plan for training: Object contains unknown field" in said


def test_an_older_version_that_kept_plans_alike_is_read(plan):
    text = plan.read_text()
    plan.write_text(text.replace(json.loads(text)["version"], "0.0.7", 1))
    assert saved_kind(plan) == "training"
    assert main(["replay", str(plan)]) == 1


def test_what_is_no_plan_is_called_so(tmp_path, capsys):
    path = tmp_path / "plan.json"
    path.write_text('{"milk": 1}')
    assert main(["replay", str(path)]) == 2
    assert "is not a saved plan" in capsys.readouterr().err
