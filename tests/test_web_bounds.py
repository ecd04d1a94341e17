"""What the server does with questions that are long, many, alike or given up; what it takes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
from web_cases import QUICK, example_of, request_of, said_raw, served, status_of

from clusterwright.web.answers import KEPT, KEPT_BYTES, Answers
from clusterwright.web.pages import PAGES
from clusterwright.web.pool import BusyError, Limits, LostError, Pool
from clusterwright.web.wire import Reply, Task

T = TypeVar("T")
LONG = Task(path="/claims", query=(), form="json")
SHORT = Task(path="/catalogue/list", query=(), form="json")
NOWHERE = Task(path="/x", query=(), form="json")
MIDDLING = Task(path="/scorecard", query=(("names", "h100 b200"),), form="json")
MOST_AT_REST = 250e6
USERS = 50

pytestmark = pytest.mark.slow


def run(work: Coroutine[Any, Any, T], pool: Pool) -> T:
    async def whole() -> T:
        try:
            return await asyncio.wait_for(work, 60.0)
        finally:
            pool.stop()
            await asyncio.sleep(0.1)  # for the loop to see them end

    return asyncio.run(whole())


def workers(pool: Pool) -> list[int]:
    return [process.pid for process in pool._holds]


def answers(**limits: Any) -> Answers:
    return Answers(Limits(**{"workers": 1, **limits}))


def test_what_takes_too_long_is_stopped_and_its_worker_replaced():
    asked = answers(seconds=2.0)

    async def work() -> Reply:
        await asked.of(SHORT)
        [before] = workers(asked.pool)
        with pytest.raises(LostError, match=r"takes more than 2 s, and was stopped"):
            await asked.of(LONG)
        assert before not in workers(asked.pool)
        return await asked.of(NOWHERE)

    assert run(work(), asked.pool).status == 404


def test_a_page_has_a_limit_of_its_own():
    assert all(10.0 <= page.seconds <= Limits().seconds for page in PAGES)


@pytest.mark.parametrize("idle", [True, False])
def test_a_worker_that_is_killed_loses_its_question_alone(idle):
    asked = answers()

    async def work() -> Reply:
        await asked.of(SHORT)
        if not idle:
            lost = asyncio.ensure_future(asked.of(LONG))
            await asyncio.sleep(0.5)
        os.kill(workers(asked.pool)[0], signal.SIGKILL)
        if not idle:
            with pytest.raises(LostError, match=r"what answered this died"):
                await lost
        return await asked.of(NOWHERE)

    assert run(work(), asked.pool).status == 404


def test_the_same_question_of_several_is_worked_on_once(monkeypatch):
    asked = answers()
    done = []
    ask = asked.pool.ask

    async def counted(task: Task, **options: Any) -> Reply:
        done.append(task)
        return await ask(task, **options)

    monkeypatch.setattr(asked.pool, "ask", counted)

    async def work() -> list[Reply]:
        return await asyncio.gather(*(asked.of(SHORT) for _ in range(20)))

    replies = run(work(), asked.pool)
    assert len(done) == 1
    assert len({reply.body for reply in replies}) == 1


async def _given_up(asked: Answers, task: Task, after: float) -> list[int]:
    await asked.of(NOWHERE)
    left = asyncio.ensure_future(asked.of(task))
    await asyncio.sleep(after)
    before = workers(asked.pool)
    left.cancel()
    return before


def test_a_long_question_that_nobody_waits_for_is_stopped():
    asked = answers()

    async def work() -> None:
        before = await _given_up(asked, LONG, 1.5)
        await asyncio.sleep(0.2)
        assert not set(before) & set(workers(asked.pool))
        assert not asked.progress

    run(work(), asked.pool)


def test_a_question_just_begun_goes_on_for_a_second_and_its_answer_is_kept():
    asked = answers()

    async def work() -> None:
        before = await _given_up(asked, SHORT, 0.0)
        await asyncio.sleep(0.9)
        assert workers(asked.pool) == before
        assert SHORT in asked._kept
        before = await _given_up(asked, LONG, 0.2)
        await asyncio.sleep(1.5)
        assert not set(before) & set(workers(asked.pool))

    run(work(), asked.pool)


def test_who_leaves_does_not_take_the_answer_from_those_who_stay():
    asked = answers()

    async def work() -> Reply:
        staying = asyncio.ensure_future(asked.of(MIDDLING))
        await _given_up(asked, MIDDLING, 1.5)
        return await staying

    assert run(work(), asked.pool).status == 200


def test_more_questions_than_may_wait_are_refused_at_once():
    asked = answers(waiting=3)

    async def work() -> None:
        several = [Task(path=f"/x{i}", query=(), form="json") for i in range(10)]
        found = await asyncio.gather(*map(asked.of, several), return_exceptions=True)
        assert any(isinstance(one, BusyError) for one in found)
        assert any(isinstance(one, Reply) for one in found)

    run(work(), asked.pool)


def test_what_is_kept_is_bounded():
    asked = answers()
    for number in range(2 * KEPT):
        task = Task(path=f"/{number}", query=(), form="json")
        asked._keep(task, Reply(status=200, media="", body=bytes(number * 1000)))
    assert len(asked._kept) <= KEPT
    assert sum(len(one.body) for one in asked._kept.values()) <= KEPT_BYTES
    huge = Reply(status=200, media="", body=bytes(KEPT_BYTES + 1))
    asked._keep(SHORT, huge)
    assert SHORT not in asked._kept


def test_an_answer_of_a_file_is_read_anew_when_the_file_changes(tmp_path, monkeypatch):
    from clusterwright.cli.answers import as_json
    from clusterwright.facts import shipped

    monkeypatch.chdir(tmp_path)
    config = shipped().entry("models", "llama-3.1-8b").data["config_json"]
    query = (("model", "own.json"), ("accelerator", "h100"), ("accelerators", "8"))
    task = Task(path="/estimate/train", query=query, form="json")
    asked, write = answers(), (tmp_path / "own.json").write_bytes

    async def work() -> list[Reply]:
        found = []
        for layers in (32, 16):
            write(as_json({**config, "num_hidden_layers": layers}))
            found.append(await asked.of(task))
        return found

    before, after = run(work(), asked.pool)
    assert before.status == after.status == 200
    assert before.body != after.body


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("folder")) as address:
        yield address


def _memory_of(address: str) -> float:
    """Proportional share of memory of a server and all of its workers. [B]"""
    port = f"{int(address.rpartition(':')[2]):04X}"
    [inode] = [
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port}")
    ]
    processes = {int(one.name): one for one in Path("/proc").iterdir() if one.name.isdigit()}
    [first] = [pid for pid, one in processes.items() if _holds(one, f"socket:[{inode}]")]
    family = [first, *(pid for pid, one in processes.items() if _parent(one) == first)]
    return sum(_share(processes[pid]) for pid in family)


def _holds(process: Path, socket: str) -> bool:
    try:
        return any(str(one.readlink()) == socket for one in (process / "fd").iterdir())
    except OSError:
        return False


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _share(process: Path) -> float:
    with suppress(OSError):  # it may have ended meanwhile
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024.0 * float(line.split()[1])
    return 0.0


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is told by Linux")
def test_fifty_people_at_once_are_answered_and_the_memory_comes_back(server):
    targets = ["/", "/api", "/static/style.css", *map(example_of, QUICK)]
    asked = [targets[turn % len(targets)] for turn in range(200)]
    said_raw(server, request_of("/catalogue/list.json"))
    held = [_memory_of(server)]

    def one(target: str) -> tuple[int, float]:
        begun = time.monotonic()
        answer = said_raw(server, request_of(target), seconds=120.0)
        return status_of(answer), time.monotonic() - begun

    with ThreadPoolExecutor(USERS) as users:
        found = [users.submit(one, target) for target in asked]
        while not all(one.done() for one in found):
            held.append(_memory_of(server))
            time.sleep(0.1)
    assert {one.result()[0] for one in found} == {200}
    time.sleep(1.0)
    after = _memory_of(server)
    longest = max(one.result()[1] for one in found)
    said = " MB, ".join(f"{figure / 1e6:.0f}" for figure in (held[0], max(held), after))
    print(f"before, at most and after: {said} MB; {longest:.1f} s at most")
    assert after < MOST_AT_REST


def test_the_server_itself_loads_nothing_that_computes():
    words = "import sys, clusterwright.web.serving; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0
