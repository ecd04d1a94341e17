"""What a benchmark is, and the list of all of them.

A spec registers itself when its module in `benchmarks.specs` is imported. ``build`` makes what is
measured and is not counted; ``run`` does the work once and returns the figure. Everything is
judged by CPU time: the wall clock of a shared machine wanders by a factor of two.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

T = TypeVar("T")


class Absent(Exception):  # noqa: N818 - not an error: the reason why there is no figure
    """Raised by ``build`` when the part of clusterwright that it measures is not installed."""


@dataclass(frozen=True, kw_only=True)
class BenchSpec:
    """One figure that a user feels.

    Parameters
    ----------
    name
        Dotted: topic, then what.
    build
        Makes what ``run`` needs; not counted.
    run
        Does the work once and returns the figure, in ``unit``.
    unit
        ``"s"`` is CPU time and is also shown as a multiple of the calibration kernel.
    goal
        The figure that should be reached.
    better
        Whether a lower or a higher figure is better.
    doc
        What is measured, in one sentence.
    """

    name: str
    build: Callable[[], Any]
    run: Callable[[Any], float]
    unit: str
    goal: float
    doc: str
    better: Literal["lower", "higher"] = "lower"

    def met(self, figure: float) -> bool:
        """Tell whether a figure reaches the goal."""
        return figure <= self.goal if self.better == "lower" else figure >= self.goal

    def best(self, figures: list[float]) -> float:
        """Return the best of several figures: noise only ever makes them worse."""
        return min(figures) if self.better == "lower" else max(figures)


REGISTRY: dict[str, BenchSpec] = {}


def register(spec: BenchSpec) -> BenchSpec:
    """Add a spec to the registry; its name must be new."""
    if spec.name in REGISTRY:
        raise ValueError(f"benchmark {spec.name!r} is registered twice")
    REGISTRY[spec.name] = spec
    return spec


def cpu_time(work: Callable[[], T]) -> tuple[float, T]:
    """Do some work once; return its CPU time in this process, and its result. [s]"""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result
