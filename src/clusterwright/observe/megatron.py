"""Logs of Megatron-LM and what descends from it: Megatron-DeepSpeed, GPT-NeoX, Primus."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from clusterwright.observe.building import RunBuilder, Timers
from clusterwright.observe.opening import Line
from clusterwright.observe.records import MarkKind, TrainingRun
from clusterwright.observe.telling import number
from clusterwright.observe.timing import TimerBlock, merged, timers_on_line

ROW = re.compile(r"\biteration[\s=]+(?P<iteration>\d+)\s*/\s*\d+\s*\|")
_MEMORY = re.compile(r"after (?P<step>\d+) iterations\) memory \(MB\).*?max (?:allocated|reserved)")
_RESERVED = re.compile(r"max reserved: (?P<value>[\d.]+)")
_ALLOCATED = re.compile(r"max allocated: (?P<value>[\d.]+)")
_MOST = re.compile(r"MaxMemAllocated=(?P<size>[\d.]+)GB")
_APART: dict[str, MarkKind] = {
    "save-checkpoint": "checkpoint",
    "evaluate": "evaluation",
    "load-checkpoint": "load",
}
_PASSED_OVER = ("setup", "model-and-optimizer", "interval-time")


def read(lines: Iterable[Line], path: str) -> TrainingRun:
    """Read a log."""
    run = RunBuilder("Megatron-LM", path)
    block = TimerBlock()
    early: Timers = {}
    most = math.nan
    for line in lines:
        if ROW.search(line.text):
            _row(run, line)
            run.time(early)
            run.rows[-1].setdefault("memory", most)
            early = {}
            continue
        if said := _MOST.search(line.text):
            most = float(said["size"]) * 2**30
        found = block.take(line.text)
        if found is not None:
            _timers(run, line, found)
        elif "time (ms) |" in line.text:
            told = timers_on_line(line.text)
            if "log_dist" in line.text or any("microstep" in name for name in told):
                early.update(told)  # DeepSpeed's come before the row that they belong to
            else:
                run.time(told)
        elif _MEMORY.search(line.text):
            _memory(run, line)
        else:
            run.look(line)
    return run.finish()


def _row(run: RunBuilder, line: Line) -> None:
    """One line of steps: ``name: value`` or ``name=value`` between bars."""
    found = ROW.search(line.text)
    assert found is not None
    said = dict(_pieces(line.text))
    values: dict[str, float] = {
        "step_time": 1e-3 * _first(said, "elapsed time per iteration"),
        "samples": _first(said, "global batch size"),
        "flops_rate": 1e12 * _first(said, "throughput per gpu", "approx flops per gpu", "tflops"),
        "device_rate": _first(said, "tokens per gpu per second"),
        "loss": _first(said, "lm loss", "loss"),
        "power": _first(said, "power per gpu"),
        "sample_rate": _first(said, "samples per second", "samples/sec"),
        "skipped": _first(said, "number of skipped iterations"),
    }
    length = _first(said, "actual seqlen")
    if length > 0.0:
        run.settings.setdefault("sequence_length", int(length))
    if not run.settings.get("global_batch") and values["samples"] > 0.0:
        run.settings["global_batch"] = int(values["samples"])
    if _first(said, "number of nan iterations") > 0.0:
        run.mark(line, "nan", count=_first(said, "number of nan iterations"))
    run.row(line, int(found["iteration"]), **values)


def _pieces(text: str) -> Iterable[tuple[str, str]]:
    """Names and values of a line, names in lower case with spaces."""
    for piece in text.split("|")[:-1]:  # what no bar ends is cut off
        name, colon, value = piece.rpartition(":" if ":" in piece else "=")
        if colon:
            yield re.sub(r"[\s_-]+", " ", name.lower()).strip(" []"), value


def _first(said: dict[str, str], *names: str) -> float:
    """The value of the first name that a line has; nan: none of them."""
    for name in names:
        for held, value in said.items():
            if held.startswith(name) or (len(name) < 7 and held.endswith(name)):
                return number(value)
    return math.nan


def _timers(run: RunBuilder, line: Line, found: Timers) -> None:
    """Timers of the row before; those of checkpoints and evaluations are marks."""
    for name, pair in found.items():
        if name in _APART:
            run.mark(line, _APART[name], pair[1])
        elif not name.startswith(_PASSED_OVER) and not name.endswith("-setup") and run.rows:
            run.time(merged({n: run.timers[-1][n] for n in (name,) if n in run.timers[-1]}, found))


def _memory(run: RunBuilder, line: Line) -> None:
    """A report of memory: of the row before, or of the first row to come."""
    found = _RESERVED.search(line.text) or _ALLOCATED.search(line.text)
    if found and run.rows:
        value = float(found["value"]) * 2**20
        held = run.rows[-1].get("memory", math.nan)
        run.rows[-1]["memory"] = value if not held >= value else held
    elif found:
        run.early_memory = float(found["value"]) * 2**20
