"""How soon a question becomes a plan, and how many strategies a second are looked at."""

from __future__ import annotations

import contextlib
import io
import math
import tracemalloc
from collections.abc import Callable

from benchmarks.registry import Absent, BenchSpec, cpu_time, register
from benchmarks.specs.start import child_cpu_time
from clusterwright.asking import ask_training
from clusterwright.cli import main
from clusterwright.planner import evaluator_of
from clusterwright.training.search import search

QUESTIONS = {
    "405b-16k": (
        (
            "plan train llama-3.1-405b --cluster meta-24k --accelerators 16384 --tokens 15.6T"
            " --software any"
        ),
        2.0,
        "Llama 3.1 405B on 16,384 accelerators",
    ),
    "1.8t-100k": (
        (
            "plan train gpt-4-class-1.8t --cluster colossus1-b --accelerators 100000 --tokens 13T"
            " --software any"
        ),
        2.0,
        "a 1.8 T mixture of experts on 100,000 accelerators",
    ),
    "1.8t-1m": (
        (
            "plan train gpt-4-class-1.8t --accelerator gb300 --accelerators 1000000 --tokens 100T"
            " --batch-tokens 128M --software any"
        ),
        2.0,
        "a 1.8 T mixture of experts on a million accelerators",
    ),
}
"""Name → the command after ``clusterwright``, the goal for its CPU time [s], what it is."""

ESTIMATE = (
    "estimate train llama-3.1-405b --cluster meta-24k --accelerators 16384 --tp 8 --pp 16"
    " --micro-batch 1"
)


def asked(command: str) -> Callable[[], list[str]]:
    """Return a ``build`` that runs a command once, so that everything lazy is loaded."""

    def build() -> list[str]:
        words = command.split()
        run_quietly(words)
        return words

    return build


def run_quietly(words: list[str]) -> None:
    """Run a command in this process and drop what it prints; no figure when it is refused."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        code = main(words)
    if code != 0:
        raise Absent(said.getvalue().strip().removeprefix("error: "))


def warm_time(words: list[str]) -> float:
    """CPU time of a command in a process that has run it before. [s]"""
    return cpu_time(lambda: run_quietly(words))[0]


def whole_table() -> Callable[[], int]:
    """Return a function that estimates every strategy of one question; it returns how many."""
    question = ask_training(
        "llama-3.1-405b", cluster="meta-24k", accelerators=16384, software="any"
    )
    evaluator = evaluator_of(question)

    def work() -> int:
        return search(evaluator, reach=math.inf).num_strategies

    work()
    return work


def strategies_per_second(work: Callable[[], int]) -> float:
    """Strategies estimated in a second of CPU time. [1/s]"""
    elapsed, count = cpu_time(work)
    return count / elapsed


def bytes_per_strategy(work: Callable[[], int]) -> float:
    """Peak of what Python and NumPy allocate, per strategy. [B]"""
    tracemalloc.start()
    try:
        count = work()
        return tracemalloc.get_traced_memory()[1] / count
    finally:
        tracemalloc.stop()


for _name, (_command, _goal, _what) in QUESTIONS.items():
    register(
        BenchSpec(
            name=f"plan.{_name}",
            build=asked(_command),
            run=warm_time,
            unit="s",
            goal=_goal,
            doc=f"`clusterwright plan train`, warm: {_what}.",
        )
    )

register(
    BenchSpec(
        name="plan.405b-16k-process",
        build=asked(QUESTIONS["405b-16k"][0]),
        run=lambda words: child_cpu_time("-m", "clusterwright", *words),
        unit="s",
        goal=2.0,
        doc="`make demo`'s command, whole process from start to end.",
    )
)
register(
    BenchSpec(
        name="estimate.405b-16k",
        build=asked(ESTIMATE),
        run=warm_time,
        unit="s",
        goal=1.0,
        doc="`clusterwright estimate train` of one strategy, warm.",
    )
)
register(
    BenchSpec(
        name="search.rate",
        build=whole_table,
        run=strategies_per_second,
        unit="1/s",
        goal=2e6,
        better="higher",
        doc="Strategies estimated in full, for one question.",
    )
)
register(
    BenchSpec(
        name="search.memory",
        build=whole_table,
        run=bytes_per_strategy,
        unit="B",
        goal=300,
        doc="Peak memory of the same search per strategy.",
    )
)
