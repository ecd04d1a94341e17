"""A real Slurm controller takes our batch scripts, refuses wrong ones, and runs them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from place_cases import SAID, launches, meeting, printed, written

from clusterwright.launch.records import Options, Part

pytestmark = pytest.mark.against

Environment = dict[str, str]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    from against.slurm_cluster import cluster, why_not

    if why_not():
        pytest.skip(why_not())
    with cluster(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


def sbatch(environment: Environment, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sbatch", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    parts=launches(most_hosts=256, most_per_host=8), time=st.sampled_from(["", "30", "7-00:00:00"])
)
def test_no_script_of_any_parts_is_refused(
    slurm: Environment, tmp_path_factory: pytest.TempPathFactory, parts: tuple[Part, ...], time: str
) -> None:
    folder = tmp_path_factory.mktemp("launch")
    for file in written(folder, "slurm", *parts, options=Options(time=time)).files:
        run = sbatch(slurm, "--test-only", str(folder / file.path))
        assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (msgspec.structs.replace(meeting(2), per_host=9), "node configuration is not available"),
        (meeting(257), "node configuration is not available"),
        (msgspec.structs.replace(meeting(2), replicas=10**7), "array"),
    ],
)
def test_a_script_for_more_than_there_is_is_refused(
    slurm: Environment, tmp_path: Path, part: Part, says: str
) -> None:
    written(tmp_path, "slurm", part, options=Options())
    run = sbatch(slurm, "--test-only", str(tmp_path / "job.sbatch"))
    assert run.returncode != 0
    assert says in run.stderr


def test_a_misspelt_directive_is_refused(slurm: Environment, tmp_path: Path) -> None:
    written(tmp_path, "slurm", meeting(2), options=Options())
    script = tmp_path / "job.sbatch"
    script.write_text(script.read_text().replace("--exclusive", "--exclusivee"))
    run = sbatch(slurm, "--test-only", str(script))
    assert run.returncode != 0
    assert "exclusivee" in run.stderr


def ran(environment: Environment, folder: Path, part: Part) -> str:
    """A job to its end; what it printed."""
    written(folder, "slurm", part, options=Options(partition="here", time="2"))
    run = subprocess.run(
        ["sbatch", "--wait", "job.sbatch"],
        cwd=folder, env=environment | {"WORD": SAID}, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    logs = [path.read_text() for path in sorted(folder.glob("*.log"))]
    assert run.returncode == 0, (run.stderr, logs)
    return "".join(logs)


@pytest.mark.slow
def test_hosts_of_a_job_meet_and_are_told_every_word(slurm: Environment, tmp_path: Path) -> None:
    assert f"{printed(2)}\n" in ran(slurm, tmp_path, meeting(2))


@pytest.mark.slow
def test_replicas_that_share_a_host_answer_at_ports_of_their_own(
    slurm: Environment, tmp_path: Path
) -> None:
    part = meeting(1, replicas=2, port=8000, whole=False)
    said = ran(slurm, tmp_path, part)
    assert f"{printed(1, 8000)}\n" in said
    assert f"{printed(1, 8001)}\n" in said


@pytest.mark.slow
def test_a_job_whose_settings_were_not_said_fails_with_their_name(
    slurm: Environment, tmp_path: Path
) -> None:
    written(tmp_path, "slurm", meeting(2), options=Options(partition="here", time="2"))
    run = subprocess.run(
        ["sbatch", "--wait", "job.sbatch"], cwd=tmp_path, env=slurm, check=False, timeout=120
    )
    assert run.returncode != 0
    assert "error: set WORD to a word" in next(tmp_path.glob("*.log")).read_text()
