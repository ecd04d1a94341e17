"""How many questions of a study a worker answers in a second."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.registry import BenchSpec, cpu_time, register
from clusterwright.sweep.asking import Asker
from clusterwright.sweep.study import Axis, Case, Study

ROWS = 400
PRICES: tuple[Case, ...] = tuple(
    {"tariff": f"${0.04 + 0.004 * step:.3f}/kWh"} for step in range(20)
)
RATES: tuple[Case, ...] = tuple({"failure_rate": f"{step}e-4/d"} for step in range(10, 50))
STUDY = Study(
    question="plan train",
    options={
        "model": "llama-3.1-70b",
        "accelerator": "h100",
        "accelerators": 1024,
        "tokens": "2T",
    },
    axes=(
        Axis(name="tariff", cases=PRICES, labels=tuple(map(str, PRICES))),
        Axis(name="failure_rate", cases=RATES, labels=tuple(map(str, RATES))),
    ),
)
"""One plan, under prices and rates of failures."""


def answering() -> Callable[[], int]:
    """Return a function that answers the study's first rows; it returns how many."""
    Asker(STUDY).answer(0)

    def work() -> int:
        asker = Asker(STUDY)
        return sum(asker.answer(row).status == "answered" for row in range(ROWS))

    return work


def questions_per_second(work: Callable[[], int]) -> float:
    """Questions answered in a second of CPU time. [1/s]"""
    elapsed, count = cpu_time(work)
    return count / elapsed


register(
    BenchSpec(
        name="sweep.rate",
        build=answering,
        run=questions_per_second,
        unit="1/s",
        goal=500,
        better="higher",
        doc="Plan questions of a study that differ in prices and failures, one process.",
    )
)
