"""Logs of NeMo: its own lines of steps, or Lightning's progress bar."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from clusterwright.observe.building import RunBuilder
from clusterwright.observe.opening import Line
from clusterwright.observe.records import TrainingRun
from clusterwright.observe.telling import number

ROW = re.compile(r"Training epoch \d+, iteration (?P<iteration>\d+)/\d+ \|(?P<rest>.*)")
BAR = re.compile(
    r"Epoch \d+:.*?\b(?P<done>\d+)/(?P<all>\d+|\?) \[[^\]]*?(?P<pace>[\d.]+)(?P<unit>s/it|it/s),"
    r"(?P<rest>[^\]]*reduced_train_loss[^\]]*)\]"
)
_WORLD = re.compile(r"Starting with (?P<world>\d+) processes")


def read(lines: Iterable[Line], path: str) -> TrainingRun:
    """Read a log."""
    run = RunBuilder("NeMo", path)
    for line in lines:
        if found := ROW.search(line.text):
            _row(run, line, int(found["iteration"]), found["rest"].split("|"), ":")
        elif found := BAR.search(line.text):
            pace = float(found["pace"])
            mean = (1.0 / pace if pace else math.nan) if found["unit"] == "it/s" else pace
            _row(run, line, int(found["done"]), found["rest"].split(","), "=", mean)
        else:
            if found := _WORLD.search(line.text):
                run.settings.setdefault("world_size", int(found["world"]))
            run.look(line)
    return run.finish()


def _row(  # noqa: PLR0917 - as a line has them
    run: RunBuilder, line: Line, step: int, pieces: list[str], sign: str, mean: float = math.nan
) -> None:
    """One step: ``name: value`` between bars, or ``name=value`` between commas."""
    said: dict[str, float] = {}
    for piece in pieces:
        name, found, value = piece.partition(sign)
        if found:
            said[name.strip()] = number(value)
    samples = said.get("global_batch_size", math.nan)
    if samples > 0.0:
        run.settings.setdefault("global_batch", int(samples))
    memory = (said.get(name, math.nan) for name in ("max_memory_reserved", "peak_memory_usage"))
    told = said.get("train_step_timing in s", math.nan)
    run.row(
        line,
        step,
        step_time=told if math.isfinite(told) else mean,
        loss=said.get("reduced_train_loss", math.nan),
        samples=samples,
        flops_rate=1e12 * said.get("TFLOPS_per_GPU", math.nan),
        device_rate=said.get("tokens_per_sec_per_gpu", math.nan),
        memory=next((value for value in memory if math.isfinite(value)), math.nan),
    )
    if math.isfinite(mean) and not math.isfinite(told) and not run.notes:
        run.notes.append("step times are the progress bar's, which are means since the start")
