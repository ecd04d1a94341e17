"""The driver of a launch runs on a real Ray cluster: two nodes on this machine, four GPUs each."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from place_cases import SAID, meeting, printed, written

from clusterwright.launch.records import LaunchFile, Part

pytestmark = [pytest.mark.against, pytest.mark.slow]


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where a cluster answers: as variables of the environment."""
    pytest.importorskip("ray")
    pytest.importorskip("aiohttp", reason="ray[default] is not installed: no jobs can be submitted")
    from ray.cluster_utils import Cluster

    # A job's python3 is the one that its node finds.
    patch = pytest.MonkeyPatch()
    patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    usual = {"num_cpus": 4, "num_gpus": 4, "include_log_monitor": True}
    made = Cluster(initialize_head=True, head_node_args={**usual, "include_dashboard": True})
    try:
        # Nodes unpack a job's files below their folder: one machine's two would trip each other.
        made.add_node(**usual, temp_dir=str(tmp_path_factory.mktemp("r")))
        made.wait_for_nodes()
        yield {
            **{key: value for key, value in os.environ.items() if not key.startswith("RAY_")},
            "RAY_ADDRESS": made.address,
            "RAY_API_SERVER_ADDRESS": f"http://{made.webui_url}",
        }
    finally:
        made.shutdown()
        patch.undo()


def submit(ray: dict[str, str], folder: Path, part: Part, name: str, *words: str) -> Any:
    """Submit as the launch says, with its settings filled in."""
    made = written(folder, "ray", part)
    settings = folder / "settings.yaml"
    settings.write_text(yaml.safe_dump({"env_vars": {"WORD": SAID}}))
    command = made.submit.replace("--submission-id job", f"--submission-id {name}").split()
    command = [word for word in command if word != "--no-wait" or "--no-wait" in words]
    return called(ray, folder, *command)


def called(ray: dict[str, str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    tool = str(Path(sys.executable).with_name(words[0]))
    path = f"{Path(sys.executable).parent}:{ray['PATH']}"
    return subprocess.run(
        [tool, *words[1:]], cwd=folder, env=ray | {"PATH": path}, capture_output=True, text=True,
        check=False, timeout=180,
    )  # fmt: skip


def test_hosts_of_a_job_meet_and_are_told_every_word(ray: Any, tmp_path: Path) -> None:
    run = submit(ray, tmp_path, meeting(2), "meets")
    assert run.returncode == 0, run.stdout + run.stderr
    assert printed(2) in run.stdout, run.stdout


def test_replicas_that_share_a_host_answer_at_ports_of_their_own(ray: Any, tmp_path: Path) -> None:
    run = submit(ray, tmp_path, meeting(1, replicas=4, port=8000, whole=False), "replicas")
    assert run.returncode == 0, run.stdout + run.stderr
    for port in range(8000, 8004):
        assert printed(1, port) in run.stdout


def test_hosts_see_the_accelerators_that_ray_gave_them(ray: Any, tmp_path: Path) -> None:
    part = changed(meeting(1), "import os; print('sees', os.environ['CUDA_VISIBLE_DEVICES'])")
    run = submit(ray, tmp_path, part, "sees")
    assert len(run.stdout.split("sees ")[1].split()[0].split(",")) == 2


def test_a_host_that_fails_ends_the_job_and_the_others(ray: Any, tmp_path: Path) -> None:
    rank = (
        "import os, sys, time; sys.exit(3) if os.environ['HOST_RANK'] == '1' else time.sleep(999)"
    )
    start = time.monotonic()
    run = submit(ray, tmp_path, changed(meeting(2), rank), "fails")
    assert run.returncode != 0
    assert "train: ended with 3" in run.stdout
    assert time.monotonic() - start < 60
    assert not left("time.sleep(999)")


def test_a_stopped_job_leaves_no_process(ray: Any, tmp_path: Path) -> None:
    part = changed(meeting(2), "import time; print('begun', flush=True); time.sleep(888)")
    run = submit(ray, tmp_path, part, "stopped", "--no-wait")
    assert run.returncode == 0, run.stdout + run.stderr
    for _ in range(120):
        if len(left("time.sleep(888)")) == 2:
            break
        time.sleep(0.5)
    else:
        pytest.fail(called(ray, tmp_path, "ray", "job", "logs", "stopped").stdout)
    assert called(ray, tmp_path, "ray", "job", "stop", "stopped").returncode == 0
    time.sleep(3)
    assert not left("time.sleep(888)")


def changed(part: Part, code: str) -> Part:
    """The same part with another program, which is seen in the list of processes."""
    program = msgspec.structs.replace(
        part.program,
        command=("python3", "-c", code),
        files=(LaunchFile(path="arguments.sh", text="ARGUMENTS=()\n"),),
    )
    return msgspec.structs.replace(part, program=program)


def left(words: str) -> list[str]:
    """Programs that still run, by what is in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if command[0] == b"python3" and any(words.encode() in word for word in command):
            found.append(path.parent.name)
    return found
