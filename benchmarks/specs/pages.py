"""How quickly pages answer, how soon the server is up, and what it holds."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.registry import Absent, BenchSpec, cpu_time, register

try:
    from clusterwright.web.answering import DONE, answer
    from clusterwright.web.wire import Task
except ModuleNotFoundError as error:
    MISSING: str | None = error.name
else:
    MISSING = None

TRAINED = (
    {"model": "llama-3.1-8b", "accelerator": "h100", "accelerators": "64"},
    {"model": "llama-3.1-70b", "accelerator": "h100", "accelerators": "1024", "tokens": "15T"},
    {"model": "llama-3.1-405b", "cluster": "meta-24k", "accelerators": "16384", "tokens": "15T"},
    {"model": "llama-3.1-405b", "accelerator": "h100", "accelerators": "100000", "tokens": "15T"},
    {"model": "mixtral-8x7b", "accelerator": "h100", "accelerators": "256"},
)
SERVED = (
    {"model": "llama-3.1-70b", "accelerator": "h100", "rate": "20/s", "tpot": "50ms"},
    {"model": "llama-3.1-8b", "accelerator": "l40s", "rate": "5/s", "tpot": "50ms"},
    {"model": "deepseek-v3", "accelerator": "h200", "rate": "100/s", "tpot": "50ms"},
)
LENGTHS = {"input": "1000", "output": "300", "ttft": "1s"}


def asking(path: str, questions: tuple[dict[str, str], ...]) -> Callable[[], float]:
    """Return a function that answers each question as a page does, and returns the median. [s]"""
    if MISSING is not None:
        raise Absent(f"{MISSING} is not installed")

    def one(query: dict[str, str]) -> float:
        task = Task(path=path, query=tuple(query.items()), form="fragment")
        seconds, reply = cpu_time(lambda: answer(task))
        if reply.status != DONE:
            raise RuntimeError(reply.body.decode())
        return seconds

    def work() -> float:
        return median(one(query) for query in questions)

    work()  # a worker is warm: numba's loops are loaded
    return work


@contextmanager
def server() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start the server as a person does; its address, and its process."""
    if MISSING is not None:
        raise Absent(f"{MISSING} is not installed")
    source = str(Path(__file__).parents[2] / "src")
    process = subprocess.Popen(
        [sys.executable, "-m", "clusterwright", "web", "--port", "0", "--no-browser"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    try:
        said = process.stderr.readline() if process.stderr else ""
        found = re.search(r"http://\S+", said)
        if not found:
            raise RuntimeError(said)
        yield found[0].rstrip("/"), process
    finally:
        process.terminate()
        process.communicate()


def first_byte() -> float:
    """Wall time from starting the process to the whole home page. [s]"""
    start = time.perf_counter()
    with server() as (address, _), urllib.request.urlopen(f"{address}/") as reply:
        reply.read()
        return time.perf_counter() - start


def memory() -> float:
    """Proportional memory of server and workers after a plan of each kind. [B]"""
    with server() as (address, process):
        for path, query in (("/plan/train", TRAINED[3]), ("/plan/serve", SERVED[0] | LENGTHS)):
            words = "&".join(f"{name}={value}" for name, value in query.items())
            with urllib.request.urlopen(f"{address}{path}?{words}") as reply:
                reply.read()
        return float(sum(map(_held, (process.pid, *_children(process.pid)))))


def _children(pid: int) -> list[int]:
    return [
        int(one)
        for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    ]


def _held(pid: int) -> int:
    try:
        said = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:  # a worker that has just ended
        return 0
    found = re.search(r"^Pss:\s+(\d+)", said, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def weight() -> float:
    """Bytes of a page with pictures and all that it loads, packed. [B]"""
    if MISSING is not None:
        raise Absent(f"{MISSING} is not installed")
    static = Path(__file__).parents[2] / "src/clusterwright/web/static"
    files = [path for path in static.rglob("*") if path.suffix in (".js", ".css", ".svg")]
    page = answer(Task(path="/plan/train", query=tuple(TRAINED[2].items()), form="page")).body
    return float(sum(len(gzip.compress(data)) for data in (page, *map(Path.read_bytes, files))))


def on_linux(work: Callable[[], float]) -> Callable[[], float]:
    """Refuse where the system does not tell what a process holds."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise Absent("only Linux tells what a process holds")
    return work


register(
    BenchSpec(
        name="pages.plan-train",
        build=lambda: asking("/plan/train", TRAINED),
        run=lambda work: work(),
        unit="s",
        goal=0.2,
        doc="CPU time of a changed training plan as a page: median of five, 64 to 100,000 H100.",
    )
)
register(
    BenchSpec(
        name="pages.plan-serve",
        build=lambda: asking("/plan/serve", tuple(one | LENGTHS for one in SERVED)),
        run=lambda work: work(),
        unit="s",
        goal=1.0,
        doc="CPU time of a changed serving plan as a page: the median of three.",
    )
)
register(
    BenchSpec(
        name="pages.first",
        build=lambda: first_byte,
        run=lambda work: work(),
        unit="s wall",
        goal=1.0,
        doc="From starting the server to the whole of its first page.",
    )
)
register(
    BenchSpec(
        name="pages.memory",
        build=lambda: on_linux(memory),
        run=lambda work: work(),
        unit="B",
        goal=250e6,
        doc="Memory of the server and its workers after a plan of each kind.",
    )
)
register(
    BenchSpec(
        name="pages.weight",
        build=lambda: weight,
        run=lambda work: work(),
        unit="B",
        goal=400e3,
        doc="A page with pictures and all files it may load, packed.",
    )
)
