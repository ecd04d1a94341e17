"""Sweeps that are stopped, killed and gone on with: nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sweep_cases import PRICES, SITES, answers_in, rows_done, study_of

from clusterwright.errors import InputError
from clusterwright.sweep import running
from clusterwright.sweep.asking import Answer, Chunk, columns_of
from clusterwright.sweep.designs import Table
from clusterwright.sweep.running import AHEAD, Local
from clusterwright.sweep.store import Store
from clusterwright.sweep.sweeping import sweep

WORKERS, CHUNK = 2, 4
PATIENCE = 120.0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The answers of a sweep that nobody disturbed, in this process."""
    folder = tmp_path_factory.mktemp("whole")
    sweep(study_of(folder, SITES), folder / "study.sqlite", workers=1).close()
    found = answers_in(folder / "study.sqlite")
    assert len(found) == 120
    assert {row[1] for row in found} == {"answered"}
    return found


def begin(study: Path, *words: str) -> subprocess.Popen[str]:
    """Start a sweep as a person would."""
    source = str(Path(__file__).parents[1] / "src")
    return subprocess.Popen(
        [sys.executable, "-m", "clusterwright", "sweep", str(study), "--workers", str(WORKERS),
         "--chunk", str(CHUNK), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip


def until(holds, process=None):
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "waited too long"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.01)


def children(process: int) -> list[int]:
    """Workers of a sweep."""
    found = Path(f"/proc/{process}/task/{process}/children")
    if not found.exists():
        pytest.skip("this system does not say whose children processes are")
    every = [int(word) for word in found.read_text().split()]
    return [one for one in every if "spawn_main" in command_of(one)]


def command_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def finish(process) -> str:
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    return out


def test_a_sweep_that_is_killed_loses_the_chunks_in_flight_alone(tmp_path, whole):
    study_of(tmp_path, SITES)
    answers = tmp_path / "study.sqlite"
    process = begin(tmp_path / "study.toml")
    until(lambda: rows_done(answers) >= 3 * CHUNK, process)
    workers = children(process.pid)
    seen = rows_done(answers)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = answers_in(answers)
    assert len(kept) >= seen  # what was written is there
    assert len(kept) % CHUNK == 0  # and nothing is there in part
    assert len(kept) < len(whole)
    assert set(kept) <= set(whole)
    until(lambda: not any("spawn_main" in command_of(one) for one in workers))
    out = finish(begin(tmp_path / "study.toml"))
    assert "120 questions, 120 answered" in out
    assert answers_in(answers) == whole


def test_a_worker_that_is_killed_costs_its_chunks_again_and_nothing_else(tmp_path, whole):
    study_of(tmp_path, SITES)
    answers = tmp_path / "study.sqlite"
    process = begin(tmp_path / "study.toml")
    until(lambda: rows_done(answers) >= CHUNK, process)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    out = finish(process)
    assert "120 questions, 120 answered" in out
    assert answers_in(answers) == whole


def test_ctrl_c_says_that_the_same_command_goes_on(tmp_path, whole):
    study_of(tmp_path, SITES)
    answers = tmp_path / "study.sqlite"
    process = begin(tmp_path / "study.toml")
    until(lambda: rows_done(answers) >= CHUNK, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err.strip() == f"stopped; the same command goes on from {answers}"
    assert 0 < rows_done(answers) < 120
    finish(begin(tmp_path / "study.toml"))
    assert answers_in(answers) == whole


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(1, 8))
def test_however_it_is_cut_a_sweep_has_the_same_answers(tmp_path_factory, limits, size):
    folder = tmp_path_factory.mktemp("cut")
    study = study_of(folder, PRICES)
    sweep(study, folder / "whole.sqlite", workers=1).close()
    for limit in limits:
        sweep(study, folder / "cut.sqlite", workers=1, chunk=size, limit=limit).close()
    before = rows_done(folder / "cut.sqlite")
    assert before >= min(8, sum(limits))
    sweep(study, folder / "cut.sqlite", workers=1, chunk=3).close()
    assert answers_in(folder / "cut.sqlite") == answers_in(folder / "whole.sqlite")


def test_a_sweep_that_is_done_asks_nothing_again(tmp_path, monkeypatch):
    study = study_of(tmp_path, PRICES)
    sweep(study, tmp_path / "a.sqlite", workers=1).close()
    monkeypatch.setattr(running, "Asker", None)
    sweep(study, tmp_path / "a.sqlite", workers=1).close()


class Pool:
    """A pool of processes whose worker dies of certain rows."""

    begun: list[int] = []

    def __init__(self, study, deadly):
        self.columns, self.deadly, self.broken = columns_of(study), deadly, False

    def submit(self, _, chunk):
        if self.broken:
            raise BrokenProcessPool
        Pool.begun.append(chunk.first)
        future = Future()
        if self.deadly in range(chunk.first, chunk.first + chunk.rows):
            self.broken = True
            future.set_exception(BrokenProcessPool())
        else:
            rows = range(chunk.first, chunk.first + chunk.rows)
            none = (None,) * len(self.columns)
            future.set_result([Answer(row, "refused", none, why="no") for row in rows])
        return future

    def shutdown(self, **_):
        pass


def test_a_chunk_that_kills_its_workers_is_given_up_with_the_reason_and_no_other_is(
    tmp_path, monkeypatch
):
    study = study_of(tmp_path, PRICES)
    monkeypatch.setattr(running, "_pool", lambda study, _: Pool(study, deadly=3))
    Pool.begun = []
    store = sweep(study, tmp_path / "a.sqlite", workers=2, chunk=2)
    with store:
        [(chunk, why)] = store.failed()
        assert chunk == Chunk(2, 2)
        assert why == "its worker died 3 times, killed or out of memory"
        assert store.gaps() == [(2, 4)]
        assert Pool.begun.count(2) == running.TRIES
        assert sum(store.counts().values()) == 6
    # The next time it may do: what failed is tried again, and is then no longer told.
    monkeypatch.setattr(running, "_pool", lambda study, _: Pool(study, deadly=99))
    monkeypatch.setattr(running, "Here", lambda: Local(2))
    with sweep(study, tmp_path / "a.sqlite", workers=2, chunk=2) as store:
        assert (store.failed(), store.gaps()) == ([], [])


def test_no_more_chunks_are_in_flight_than_workers_can_begin_soon(tmp_path, monkeypatch):
    study = study_of(tmp_path, PRICES)
    begun: list[Chunk] = []

    class Slow(Pool):
        def submit(self, work, chunk):
            begun.append(chunk)
            return super().submit(work, chunk)

    monkeypatch.setattr(running, "_pool", lambda study, _: Slow(study, deadly=99))
    chunks = [Chunk(row, 1) for row in range(8)]
    for done, _ in enumerate(Local(1).run(study, chunks)):
        assert len(begun) - done <= AHEAD + 1


def test_a_row_that_breaks_is_told_and_stops_nothing(tmp_path, monkeypatch):
    from clusterwright.sweep import asking

    def wrong(self, case):
        if case["tariff"] == "$0.1/kWh":
            raise ZeroDivisionError("of a test")
        return dict(case)

    study = study_of(tmp_path, PRICES)
    monkeypatch.setattr(asking.Asker, "_values", wrong)
    with sweep(study, tmp_path / "a.sqlite", workers=1) as store:
        assert store.counts() == {"answered": 4, "broke": 4}
        assert store.refusals("broke") == [("ZeroDivisionError: of a test", 4)]


def test_two_sweeps_do_not_write_to_one_file(tmp_path):
    study = study_of(tmp_path, PRICES)
    with (
        Store(tmp_path / "a.sqlite", study, Table(study)),
        pytest.raises(InputError, match=r"another sweep is writing to .*a.sqlite': wait for it"),
    ):
        sweep(study, tmp_path / "a.sqlite", workers=1)
    sweep(study, tmp_path / "a.sqlite", workers=1, limit=1).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.sqlite", "study.toml"]


def test_a_file_of_another_study_is_not_gone_on_with(tmp_path):
    sweep(study_of(tmp_path, PRICES), tmp_path / "a.sqlite", workers=1, limit=1).close()
    before = answers_in(tmp_path / "a.sqlite")
    changed = study_of(tmp_path, PRICES.replace("0.05", "0.06"))
    with pytest.raises(InputError, match="another study, or this one before it was changed"):
        sweep(changed, tmp_path / "a.sqlite", workers=1)
    assert answers_in(tmp_path / "a.sqlite") == before


@pytest.mark.parametrize(
    ("key", "said"), [("version", "begun by version 0.0.1"), ("catalogue", "with other facts")]
)
def test_a_file_of_another_version_or_other_facts_is_not_gone_on_with(tmp_path, key, said):
    study = study_of(tmp_path, PRICES)
    sweep(study, tmp_path / "a.sqlite", workers=1, limit=1).close()
    base = sqlite3.connect(tmp_path / "a.sqlite")
    with base:
        base.execute("UPDATE study SET value = '0.0.1' WHERE key = ?", (key,))
    base.close()
    with pytest.raises(InputError, match=f"{said}.*give another file with --out"):
        sweep(study, tmp_path / "a.sqlite", workers=1)


def other_database(path):
    base = sqlite3.connect(path)
    with base:
        base.execute("CREATE TABLE theirs (x)")
    base.close()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_text("long enough to be one " * 99), "file is not a database"),
        (other_database, "a database of something else: give another file"),
        (lambda path: path.mkdir(), "is a folder: name a file with --out"),
    ],
)  # fmt: skip
def test_what_is_not_ours_is_refused_and_left_as_it_is(tmp_path, make, said):
    study = study_of(tmp_path, PRICES)
    path = tmp_path / "theirs.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(InputError, match=said):
        sweep(study, path, workers=1)
    assert (path.read_bytes() if path.is_file() else None) == before
    assert not (tmp_path / "theirs.sqlite.lock").exists()


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    study = study_of(tmp_path, PRICES)
    path = tmp_path / "a.sqlite"
    sweep(study, path, workers=1).close()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"a\.sqlite'.*(broken|malformed)"):
        sweep(study, path, workers=1)


def test_a_place_where_nothing_can_be_written_is_refused(tmp_path):
    study = study_of(tmp_path, PRICES)
    with pytest.raises(InputError, match="there is no folder"):
        sweep(study, tmp_path / "none" / "a.sqlite", workers=1)
    if os.geteuid() == 0:
        locked = Path("/proc/a.sqlite")  # where even the administrator makes no file
    else:
        locked = tmp_path / "locked" / "a.sqlite"
        locked.parent.mkdir(mode=0o500)
    if locked.parent.is_dir():
        with pytest.raises(InputError, match=r"cannot write .*give another place with --out"):
            sweep(study, locked, workers=1)


@pytest.mark.parametrize("name", ["workers", "chunk", "limit"])
def test_numbers_below_one_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=f"--{name} is 0, but must be 1 or more"):
        sweep(study_of(tmp_path, PRICES), tmp_path / "a.sqlite", **{name: 0})


def test_elsewhere_is_local_or_ray(tmp_path):
    with pytest.raises(InputError, match="--on is 'slurm', but must be local, ray, or ray://"):
        sweep(study_of(tmp_path, PRICES), tmp_path / "a.sqlite", on="slurm")
