"""Studies on a Ray cluster: the answers of local processes, and a worker that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweep_cases import SITES, answers_in, rows_done, study_of

from clusterwright.sweep.sweeping import sweep

pytestmark = pytest.mark.against

pytest.importorskip("ray")

PATIENCE = 240.0
CHUNK = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    sweep(study_of(folder, SITES), folder / "study.sqlite", workers=1).close()
    return answers_in(folder / "study.sqlite")


def begin(study: Path, on: str) -> subprocess.Popen[str]:
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.Popen(
        [sys.executable, "-m", "clusterwright", "sweep", str(study), "--on", on, "--workers", "2",
         "--chunk", str(CHUNK)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip


def parent_of(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def workers_of(process: int) -> list[int]:
    """Ray's workers that a process started, through its raylet, and that are at work."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        above = int(folder.name)
        while command.startswith(b"ray::") and above > 1 and above != process:
            above = parent_of(above)
        if command.startswith(b"ray::_work") and above == process:
            found.append(int(folder.name))
    return found


def test_a_cluster_gives_the_same_answers_though_a_worker_is_killed(tmp_path, whole):
    study_of(tmp_path, SITES)
    answers = tmp_path / "study.sqlite"
    process = begin(tmp_path / "study.toml", "ray")
    end = time.monotonic() + PATIENCE
    killed = None
    while process.poll() is None and killed is None:
        assert time.monotonic() < end, "waited too long"
        if rows_done(answers) >= CHUNK and (at_work := workers_of(process.pid)):
            killed = at_work[0]
            os.kill(killed, signal.SIGKILL)
        time.sleep(0.01)
    out, _ = process.communicate(timeout=PATIENCE)
    assert killed is not None, out
    assert process.returncode == 0, out
    assert "120 questions, 120 answered" in out
    assert answers_in(answers) == whole


def test_a_cluster_that_is_not_there_is_said_in_one_sentence(tmp_path):
    study_of(tmp_path, SITES)
    process = begin(tmp_path / "study.toml", "ray://auto")
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "no Ray cluster answers at" in out
    assert "Traceback" not in out
