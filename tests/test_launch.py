"""From a saved plan to files: what is written, what is refused, whose files stay."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.asking import ask_training
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.launch.api import launch_plan
from clusterwright.launch.architecture import architecture_of
from clusterwright.launch.folder import MARK, write_launch
from clusterwright.launch.job import training_job
from clusterwright.launch.megatron import layout
from clusterwright.launch.records import Ask, Launch, Options
from clusterwright.launch.shell import NEEDED, VARIABLE, array, asked, exports, quoted
from clusterwright.planner import load_plan, plan_training
from clusterwright.saving import save_plan
from clusterwright.site.machine import host_size
from clusterwright.training.plan import TrainingPlan


@pytest.fixture(scope="module")
def plan() -> TrainingPlan:
    question = ask_training(
        "llama-3.1-8b", accelerator="h100", accelerators=64, tokens="1T", pins={"tp": 2, "pp": 2}
    )
    return plan_training(question)


@pytest.fixture(scope="module")
def made(plan: TrainingPlan) -> Launch:
    return launch_plan(plan, to="megatron", on="slurm")


def file(made: Launch, path: str) -> str:
    return next(file.text for file in made.files if file.path == path)


def arguments(made: Launch, **variables: str) -> list[str]:
    """The words that bash makes of ``arguments.sh``."""
    said = {ask.variable: ask.default or "said" for ask in made.parts[0].program.asks} | variables
    script = file(made, "arguments.sh") + 'printf "%s\\0" "${ARGUMENTS[@]}"'
    run = subprocess.run(
        ["bash", "-euc", script], env=said, capture_output=True, text=True, check=True
    )
    return run.stdout.split("\0")[:-1]


def value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_sizes_in_the_arguments_are_those_of_the_plan(plan: TrainingPlan, made: Launch) -> None:
    words, strategy = arguments(made), plan.best.strategy
    assert int(value(words, "--tensor-model-parallel-size")) == strategy.tp == 2
    assert int(value(words, "--pipeline-model-parallel-size")) == strategy.pp == 2
    assert int(value(words, "--micro-batch-size")) == strategy.micro_batch
    assert int(value(words, "--global-batch-size")) == plan.question.workload.global_batch
    part = made.parts[0]
    assert part.accelerators == strategy.accelerators
    script = file(made, "job.sbatch")
    assert f"--nodes={part.hosts}" in script
    assert f"--gpus-per-node={part.per_host}" in script


def test_every_layer_lies_on_one_chunk(plan: TrainingPlan) -> None:
    job = training_job(plan, shipped())
    stages = layout(job).split("|")
    assert len(stages) == plan.best.strategy.pp * plan.best.strategy.vpp
    assert stages[0].startswith("E")
    assert stages[-1].endswith("L")
    assert sum(job.chunks) == plan.question.model.num_layers


def test_the_folder_holds_the_plan_that_it_was_made_from(
    plan: TrainingPlan, made: Launch, tmp_path: Path
) -> None:
    write_launch(made, tmp_path / "new" / "folder")
    assert load_plan(tmp_path / "new" / "folder" / "plan.json") == plan


def test_scripts_are_executable_and_bash_reads_them(made: Launch, tmp_path: Path) -> None:
    for path in write_launch(made, tmp_path):
        if path.suffix in (".sh", ".sbatch"):
            subprocess.run(["bash", "-n", str(path)], check=True)
    assert (tmp_path / "run.sh").stat().st_mode & 0o111


def test_a_run_without_what_must_be_said_stops_with_its_name(made: Launch, tmp_path: Path) -> None:
    write_launch(made, tmp_path)
    run = subprocess.run(
        ["bash", str(tmp_path / "run.sh")], capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert run.stderr == "error: set MEGATRON to the folder of a Megatron-LM checkout\n"


def test_the_readme_says_what_to_expect_and_when_to_worry(made: Launch) -> None:
    text = file(made, "README.md")
    for words in (
        "sbatch job.sbatch",
        "squeue ",
        "scancel ",
        "step time",
        "GiB",
        "Worry",
        "DATA_PATH",
        "whole run, 476,838 steps, without failures",
        "goes on from its newest checkpoint",
    ):
        assert words in text


def test_files_of_somebody_else_are_never_replaced(made: Launch, tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"holds 'run\.sh', which no launch wrote"):
            write_launch(made, tmp_path, overwrite=overwrite)
    assert (tmp_path / "run.sh").read_text() == "mine"
    assert not (tmp_path / MARK).exists()


def test_an_earlier_launch_is_replaced_only_when_told(made: Launch, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write_launch(made, tmp_path)
    with pytest.raises(InputError, match="--overwrite"):
        write_launch(made, tmp_path)
    write_launch(made, tmp_path, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_that_is_a_file_is_refused(made: Launch, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file: name a folder"):
        write_launch(made, tmp_path / "taken")


@pytest.mark.parametrize(
    ("to", "on", "says"),
    [
        ("megatronn", "slurm", "did you mean megatron"),
        ("vllm", "slurm", "plan for training, which vllm does not do"),
        ("", "slurm", "name the tool that runs it with --to: megatron, "),
        ("megatron", "slurrm", "did you mean slurm"),
    ],
)
def test_tools_that_cannot_be_are_refused_in_words(
    plan: TrainingPlan, to: str, on: str, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        launch_plan(plan, to=to, on=on)


def test_hosts_that_cannot_be_filled_are_refused(plan: TrainingPlan) -> None:
    with pytest.raises(InputError, match="do not fill hosts of 7"):
        launch_plan(plan, to="megatron", options=Options(per_host=7))


def test_a_plan_without_a_configuration_is_refused_with_the_mend(plan: TrainingPlan) -> None:
    question = msgspec.structs.replace(plan.question, config={})
    with pytest.raises(InputError, match="plan it again from a catalogue name"):
        launch_plan(msgspec.structs.replace(plan, question=question), to="megatron")


def test_all_that_a_tool_cannot_do_is_said_at_once(plan: TrainingPlan) -> None:
    strategy = msgspec.structs.replace(
        plan.best.strategy, schedule="zero-bubble", offload="activations"
    )
    best = msgspec.structs.replace(plan.best, strategy=strategy)
    with pytest.raises(InputError, match=r"zero-bubble.*offload"):
        launch_plan(msgspec.structs.replace(plan, best=best), to="megatron")


@pytest.mark.parametrize(
    ("accelerator", "size"), [("h100", 8), ("gb200", 4), ("gb300", 4), ("a100", 8), ("tpu-v5p", 4)]
)
def test_a_rack_is_as_many_hosts_as_it_has_systems(accelerator: str, size: int) -> None:
    assert host_size(shipped().any_cluster(accelerator, 144), shipped()) == size


@given(word=st.text(st.characters(blacklist_characters="\0", codec="utf-8")))
def test_any_word_arrives_in_bash_as_it_was_written(word: str) -> None:
    said = subprocess.run(
        ["bash", "-c", f'printf "%s" {quoted(word)}'],
        env={},
        capture_output=True,
        check=True,
    )
    assert said.stdout.decode() == VARIABLE.sub("", word)


def test_variables_are_filled_in_when_it_runs() -> None:
    script = array("WORDS", ["--data", "${HERE}/a b$(false)`x`", "--flag"])
    out = subprocess.run(
        ["bash", "-euc", script + '\nprintf "%s|" "${WORDS[@]}"'],
        env={"HERE": "/x y"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert out.stdout == "--data|/x y/a b$(false)`x`|--flag|"


def test_defaults_and_what_must_be_said_are_lines_of_bash() -> None:
    asks = [Ask(variable="A", what='the "a"', default="it's"), Ask(variable="B", what="b's $(c)")]
    script = "\n".join([NEEDED, *asked(asks), *exports({"C": "2"}), 'env; echo "$A $B $C"'])
    words = ["bash", "-euc", script]
    run = subprocess.run(words, env={"B": "b"}, capture_output=True, text=True, check=True)
    assert run.stdout.endswith("it's b 2\n")
    without = subprocess.run(words, env={}, capture_output=True, text=True, check=False)
    assert (without.returncode, without.stderr) == (2, "error: set B to b's $(c)\n")


def _config(name: str) -> dict[str, Any]:
    return dict(shipped().entry("models", name).data["config_json"])


def test_a_mixture_with_latent_attention_is_read_part_by_part() -> None:
    model = architecture_of(_config("deepseek-v3"))
    assert model.latent is not None
    assert (model.latent.query_rank, model.latent.key_rank) == (1536, 512)
    assert model.mixture is not None
    assert (model.mixture.num_experts, model.mixture.top_k, model.mixture.dense_first) == (
        256,
        8,
        3,
    )
    assert (model.mixture.score, model.mixture.shared_width, model.mtp_layers) == (
        "sigmoid",
        2048,
        1,
    )


def test_what_a_configuration_leaves_out_is_named() -> None:
    assert "rms_norm_eps 1e-05" in architecture_of(_config("llama-3.1-8b")).assumed
    assert architecture_of(_config("llama-3.1-8b") | {"rms_norm_eps": 1e-6}).norm_eps == 1e-6


def test_a_family_that_no_trainer_is_told_of_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"a gemma3_text cannot be told.*--to deepspeed"):
        architecture_of({"model_type": "gemma3_text"})


def test_the_command_writes_and_says_what_to_do(
    plan: TrainingPlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from clusterwright.cli import main

    save_plan(plan, tmp_path / "plan.json")
    words = ["launch", str(tmp_path / "plan.json"), str(tmp_path / "out"), "--to", "megatron"]
    assert main([*words, "--on", "slurm"]) == 0
    printed = capsys.readouterr().out
    assert "sbatch job.sbatch" in printed
    assert "DATA_PATH" in printed
    assert main(words) == 2
    assert "--overwrite" in capsys.readouterr().err
