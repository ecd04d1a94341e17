"""The schedulers of a launch: what their files say, and what is refused before they see it."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml as reader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from place_cases import IMAGE, OPTIONS, SAID, TOLD, launches, meeting, written

from clusterwright.errors import InputError
from clusterwright.launch.places import PLACES, Placed, check_used, place_named
from clusterwright.launch.records import Ask, LaunchFile, Options, Part
from clusterwright.launch.running import files_of

MANY = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def placed(on: str, *parts: Part, name: str = "job", options: Options | None = None) -> Placed:
    return place_named(on)(name, parts, OPTIONS[on] if options is None else options)


def text(made: Placed, path: str) -> str:
    return next(file.text for file in made.files if file.path == path)


def manifests(made: Placed, path: str = "job.yaml") -> list[dict[str, Any]]:
    return list(reader.safe_load_all(text(made, path)))


@MANY
@given(parts=launches())
@pytest.mark.parametrize("on", PLACES)
def test_any_parts_are_laid_out(on: str, parts: tuple[Part, ...]) -> None:
    made = placed(on, *parts)
    assert made.submit
    paths = [file.path for file in made.files]
    assert len(set(paths)) == len(paths)
    for file in made.files:
        if file.path.endswith(".yaml"):
            assert list(reader.safe_load_all(file.text))
        if file.path.endswith(".py"):
            ast.parse(file.text)


SHELLCHECK = shutil.which(
    "shellcheck", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
)


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed")
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=launches())
def test_shellcheck_finds_nothing_in_any_script(
    tmp_path_factory: Any, parts: tuple[Part, ...]
) -> None:
    folder = tmp_path_factory.mktemp("launch")
    written(folder, "slurm", *parts)
    scripts = [*folder.rglob("run.sh"), *folder.glob("*.sbatch")]
    assert len(scripts) == 2 * len(parts)
    for script in scripts:  # each where it lies, so that what it sources is found
        run = subprocess.run(
            [SHELLCHECK, "-x", "-S", "style", script.name],
            cwd=script.parent, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout


def test_a_jobset_has_a_pod_for_each_host_that_knows_the_first() -> None:
    files, jobs = manifests(placed("kubernetes", meeting(3)))
    assert set(files["data"]) == {"meet.py", "arguments.sh", "run.sh"}
    spec = jobs["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert (jobs["kind"], spec["completionMode"]) == ("JobSet", "Indexed")
    assert spec["parallelism"] == spec["completions"] == 3
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    assert container["image"] == IMAGE
    assert container["resources"] == {"limits": {"nvidia.com/gpu": 2}}
    assert 'MASTER_ADDR="job-train-0-0.job"' in container["command"][2]
    claims = [
        one["persistentVolumeClaim"] for one in pod["volumes"] if "persistentVolumeClaim" in one
    ]
    assert claims == [{"claimName": "shared"}]


def test_what_must_be_said_is_a_map_that_pods_read() -> None:
    made = placed("kubernetes", meeting(2))
    (said,) = manifests(made, "settings.yaml")
    assert said["data"] == {"WORD": ""}
    assert "# Must be said: a word\n" in text(made, "settings.yaml")
    pod = manifests(made)[1]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["envFrom"] == [{"configMapRef": {"name": said["metadata"]["name"]}}]


def test_a_port_that_the_place_chose_is_nobody_elses_to_say() -> None:
    part = meeting(1, port=8000)
    asks = (*part.program.asks, Ask(variable="PORT", what="the port", default="8000"))
    part = msgspec.structs.replace(part, program=msgspec.structs.replace(part.program, asks=asks))
    for on in ("kubernetes", "ray"):
        assert "PORT" not in text(placed(on, part), "settings.yaml")
    script = next(file.text for file in files_of(part) if file.path == "run.sh")
    assert script.count("PORT=8000") == 1


def test_a_replica_on_one_host_is_a_pod_of_a_deployment() -> None:
    _, deployment, service = manifests(placed("kubernetes", meeting(1, replicas=5, port=8000)))
    assert (deployment["kind"], deployment["spec"]["replicas"]) == ("Deployment", 5)
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    assert pod["metadata"]["labels"] == service["spec"]["selector"]
    assert pod["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] == 8000


def test_a_replica_on_several_hosts_is_a_group_whose_leader_answers() -> None:
    _, group, service = manifests(placed("kubernetes", meeting(4, replicas=2, port=8000)))
    assert (group["kind"], group["spec"]["replicas"]) == ("LeaderWorkerSet", 2)
    template = group["spec"]["leaderWorkerTemplate"]
    assert template["size"] == 4
    leader, worker = template["leaderTemplate"], template["workerTemplate"]
    assert "readinessProbe" in leader["spec"]["containers"][0]
    assert "readinessProbe" not in worker["spec"]["containers"][0]
    chosen = service["spec"]["selector"].items()
    assert ("app.kubernetes.io/component", "leader") in chosen
    assert "app.kubernetes.io/component" not in worker["metadata"]["labels"]


@pytest.mark.parametrize(
    ("part", "variables"),
    [
        (meeting(2), {"JOB_COMPLETION_INDEX": "0"}),
        (meeting(1), {}),
        (meeting(2, port=8000), {"LWS_WORKER_INDEX": "0", "LWS_LEADER_ADDRESS": "127.0.0.1"}),
    ],
)
def test_the_command_of_a_pod_starts_its_share(
    part: Part, variables: dict[str, str], tmp_path: Path
) -> None:
    """With the map's files where a pod has them, but below a folder of the test."""
    files, work, *_ = manifests(placed("kubernetes", part))
    text = json.dumps(work)
    at = text.index('"command": ') + len('"command": ')
    bash, flag, script = json.JSONDecoder().raw_decode(text, at)[0]
    (tmp_path / "etc").mkdir()
    (tmp_path / "launch").mkdir()
    for key, content in files["data"].items():
        (tmp_path / "etc" / key).write_text(content)
    script = script.replace("/etc/launch/", f"{tmp_path}/etc/").replace(
        " /launch/", f" {tmp_path}/launch/"
    )
    (tmp_path / "etc" / "meet.py").write_text(
        "import os, sys\n"
        "print([os.environ.get(v) for v in ('HOST_RANK', 'MASTER_ADDR', 'WORD')], sys.argv[2:])"
    )
    environment = {"PATH": os.environ["PATH"], "WORD": SAID, **variables}
    run = subprocess.run(
        [bash, flag, script], env=environment, capture_output=True, text=True, check=True
    )
    first = {0: "job-train-0-0.job", 8000: "127.0.0.1"}[part.program.port]
    meets = ["0", first] if part.hosts > 1 else [None, None]
    told = [*TOLD[:2], SAID]
    assert run.stdout == f"{[*meets, SAID]} {told}\n"


def test_slurm_gives_whole_hosts_or_a_share() -> None:
    whole = text(placed("slurm", meeting(2, replicas=3, port=8000)), "job.sbatch")
    assert "#SBATCH --exclusive\n#SBATCH --mem=0\n" in whole
    assert "#SBATCH --array=0-2\n" in whole
    assert "PORT=$((8000" not in whole
    made = placed("slurm", meeting(1, replicas=3, port=8000, whole=False))
    share = text(made, "job.sbatch")
    assert "exclusive" not in share
    assert "export PORT=$((8000 + ${SLURM_ARRAY_TASK_ID:-0}))" in share
    assert any("--cpus-per-gpu" in note for note in made.notes)


def test_pools_that_may_share_a_host_answer_at_ports_of_their_own() -> None:
    one = meeting(1, replicas=3, port=8000, whole=False)
    pools = tuple(msgspec.structs.replace(one, name=name) for name in ("prefill", "decode"))
    made = placed("slurm", *pools)
    assert "PORT=$((8000 + ${" in text(made, "prefill.sbatch")
    assert "PORT=$((8003 + ${" in text(made, "decode.sbatch")
    assert any("8000 (prefill) and 8003 (decode)" in note for note in made.notes)
    assert any("each pod by its own address" in note for note in placed("kubernetes", *pools).notes)
    layout = json.loads(text(placed("ray", *pools), "layout.json"))
    assert [part["port"] for part in layout] == [8000, 8003]


def test_a_batch_script_that_is_submitted_from_elsewhere_says_so(tmp_path: Path) -> None:
    script = text(placed("slurm", meeting(2)), "job.sbatch")
    shim = tmp_path / "scontrol"
    shim.write_text("#!/usr/bin/env bash\necho first\n")
    shim.chmod(0o755)
    said = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "first"}
    run = subprocess.run(
        ["bash", "-c", script],
        env=said | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("error: run sbatch in the folder of the launch")


@pytest.mark.parametrize("on", PLACES)
def test_who_starts_a_training_run_is_told_where_its_checkpoints_last(on: str) -> None:
    notes = " ".join(placed(on, meeting(2)).notes)
    words = {
        "torchrun": "must lie where every host sees them",
        "slurm": "goes on from its newest checkpoint",
        "kubernetes": "checkpoints below /shared",
        "ray": "name folders by whole paths",
    }
    assert words[on] in notes


def test_slurm_starts_a_container_only_when_told() -> None:
    told = text(placed("slurm", meeting(2)), "job.sbatch")
    assert "'--container-image=registry.example:5000#team/tool:1.0'" in told
    assert '"--container-mounts=${SLURM_SUBMIT_DIR}:${SLURM_SUBMIT_DIR},/data:/data"' in told
    assert "container" not in text(placed("slurm", meeting(2), options=Options()), "job.sbatch")


def test_ray_is_told_every_replica_and_its_share_of_a_host() -> None:
    made = placed("ray", meeting(2, replicas=3, port=8000))
    (part,) = json.loads(text(made, "layout.json"))
    assert (part["replicas"], part["hosts"], part["per_host"]) == (3, 2, 2)
    assert (part["resource"], part["port"]) == ("GPU", 8000)
    assert reader.safe_load(text(made, "settings.yaml")) == {"env_vars": {"WORD": ""}}


@pytest.mark.parametrize("on", PLACES)
def test_every_place_says_how_to_watch_and_stop(on: str) -> None:
    made = placed(on, meeting(2))
    assert made.say
    assert made.watch
    assert made.stop


BAD = [
    ("slurm", {"partition": "a b"}, "--partition is 'a b'"),
    ("slurm", {"partition": "a\n#SBATCH --wrap=x"}, "must be one word"),
    ("slurm", {"account": "-a"}, "--account is '-a'"),
    ("slurm", {"account": "a#b"}, "must be one word"),
    ("slurm", {"time": "tomorrow"}, "days-hours:minutes"),
    ("slurm", {"image": "no image"}, "must be a container image"),
    ("slurm", {"image": "-x"}, "must be a container image"),
    ("slurm", {"mounts": ("/data:/data",)}, "give --image, too"),
    ("slurm", {"image": "a", "mounts": ("/data",)}, "WHAT:/where"),
    ("kubernetes", {"image": "a\nb"}, "must be a container image"),
    ("kubernetes", {"image": "Team/Tool"}, "must be a container image"),
    ("kubernetes", {}, "a pod needs an image with fake in it: give --image"),
    ("kubernetes", {"image": "a", "namespace": "Team"}, "--namespace is 'Team'"),
    ("kubernetes", {"image": "a", "namespace": "a\nb"}, "lower-case letters"),
    ("kubernetes", {"image": "a", "mounts": ("a:/x", "b:/x")}, "two things at /x"),
    ("kubernetes", {"image": "a", "mounts": ("Claim:/x",)}, "--mount is 'Claim'"),
    ("kubernetes", {"image": "a", "mounts": ("claim:/launch/",)}, "taken: say another place"),
]


@pytest.mark.parametrize(("on", "given_options", "says"), BAD)
def test_what_a_scheduler_would_refuse_is_refused_in_words(
    on: str, given_options: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        placed(on, meeting(2), options=Options(**given_options))


@pytest.mark.parametrize("name", ["Job", "1job", "a_b", "a.b", "a-", "x" * 60])
def test_names_that_are_no_hosts_are_refused_on_kubernetes(name: str) -> None:
    with pytest.raises(InputError, match="--name"):
        placed("kubernetes", meeting(2), name=name)


@given(name=st.from_regex(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True))
def test_names_that_pods_get_are_short_enough(name: str) -> None:
    part = msgspec.structs.replace(meeting(2), hosts=100_000)
    assert len(f"{name}-train-0-99999-abcde") <= 63
    assert placed("kubernetes", part, name=name)


def test_more_hosts_than_an_indexed_job_takes_are_refused() -> None:
    part = msgspec.structs.replace(meeting(2), hosts=100_001)
    with pytest.raises(InputError, match=r"100,001 hosts.*at most 100,000 pods"):
        placed("kubernetes", part)


@pytest.mark.parametrize(("on", "says"), [("kubernetes", "device plugin"), ("ray", "Ray counts")])
def test_accelerators_without_a_name_there_are_refused(on: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        placed(on, msgspec.structs.replace(meeting(2), device="gpu"))


def test_files_that_no_map_holds_are_refused() -> None:
    part = meeting(2)
    large = LaunchFile(path="large.json", text="x" * 2**20)
    program = msgspec.structs.replace(part.program, files=(*part.program.files, large))
    with pytest.raises(InputError, match=r"1\.0 MiB \(large\.json most\)"):
        placed("kubernetes", msgspec.structs.replace(part, program=program))


@pytest.mark.parametrize(
    ("on", "option"),
    [
        ("kubernetes", {"partition": "a"}),
        ("torchrun", {"image": "a"}),
        ("ray", {"mounts": ("a:/b",)}),
    ],
)
def test_an_option_of_another_place_is_refused(on: str, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"says nothing to {on}.* --on "):
        check_used(on, Options(**option))
