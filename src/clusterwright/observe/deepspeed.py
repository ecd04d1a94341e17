"""Logs of DeepSpeed's engine, where no trainer around it prints its own lines of steps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from clusterwright.observe.building import RunBuilder, Timers
from clusterwright.observe.opening import Line
from clusterwright.observe.records import TrainingRun
from clusterwright.observe.telling import clock_of, number
from clusterwright.observe.timing import timers_on_line

STEP = re.compile(r"\[Rank \d+\] step=(?P<step>\d+), skipped=(?P<skipped>\d+)")
SPEED = re.compile(
    r"(?:global_step=(?P<step>\d+)|\d+/(?P<old>\d+)),.*?(?P<rates>\w*SamplesPerSec=.*)"
)
_CURRENT = re.compile(r"CurrSamplesPerSec=(?P<rate>[\d.]+)")
_MEAN = re.compile(r"SamplesPerSec=(?P<rate>[\d.]+)")
_MOST = re.compile(r"MaxMemAllocated=(?P<size>[\d.]+)GB")


def read(lines: Iterable[Line], path: str) -> TrainingRun:
    """Read a log."""
    run = RunBuilder("DeepSpeed", path)
    lone = _Lone(run)
    for line in lines:
        if found := STEP.search(line.text):
            run.row(line, int(found["step"]), skipped=float(found["skipped"]))
        elif found := SPEED.search(line.text):
            _speed(run, line, found)
        elif "time (ms) |" in line.text:
            lone.take(line, timers_on_line(line.text))
        else:
            run.look(line)
    lone.settle(None)
    _skips_since(run)
    return run.finish()


class _Lone:
    """Timers of a log that prints no steps: each block of them is a row.

    Every step prints one line of micro-steps for each of them, and then one that sums them up.
    """

    def __init__(self, run: RunBuilder) -> None:
        self.run = run
        self.sums: Timers = {}
        self.steps = 0
        self.seen: Line | None = None

    def take(self, line: Line, told: Timers) -> None:
        """One line of timers."""
        self.seen = line
        summed = {name: pair for name, pair in told.items() if not name.endswith("-microstep")}
        self.sums.update(summed)
        if "step" in summed:
            self.settle(line)

    def settle(self, line: Line | None) -> None:
        """Give what was gathered to the step's row, or make one of it."""
        if not self.sums:
            return
        run, seen = self.run, line or self.seen
        if seen is None or (line is None and "step" not in self.sums and "bwd" not in self.sums):
            return  # the log ends within a step
        spent = [self.sums[n][1] for n in ("forward", "backward", "step", "fwd", "bwd")
                 if n in self.sums]  # fmt: skip
        if not run.rows or self.steps >= len(run.rows):
            following = run.iterations[-1] + 1 if run.iterations else 1
            run.row(seen, following, clock=clock_of(seen.text))
            run.rows[-1]["own_time"] = 1.0
        run.time(self.sums)
        if not math.isfinite(run.rows[-1].get("step_time", math.nan)) and spent:
            run.rows[-1]["timer_time"] = sum(spent)
        self.sums, self.steps = {}, len(run.rows)


def _speed(run: RunBuilder, line: Line, found: re.Match[str]) -> None:
    """Samples a second and memory, printed beside the step."""
    current = _CURRENT.search(line.text) or _MEAN.search(found["rates"])
    most = _MOST.search(line.text)
    run.row(
        line,
        int(found["step"] or found["old"]),
        sample_rate=number(current["rate"]) if current else math.nan,
        memory=float(most["size"]) * 2**30 if most else math.nan,
    )


def _skips_since(run: RunBuilder) -> None:
    """DeepSpeed counts skipped steps from the start; columns hold those of each row."""
    before = 0.0
    for index, row in enumerate(run.rows):
        total = row.get("skipped", math.nan)
        if math.isfinite(total):
            row["skipped"] = max(0.0, total - before) if index else 0.0
            before = total
    timed = [row for row in run.rows if "timer_time" in row]
    if timed and len(timed) == len(run.rows) and any("own_time" in row for row in run.rows):
        for row in timed:  # timers are all that there is: their sum is the step
            row.setdefault("step_time", row["timer_time"])
        run.notes.append("no line says how long a step takes: forward + backward + step, by timers")
