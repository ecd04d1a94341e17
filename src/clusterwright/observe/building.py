"""Rows, marks and settings of a training log, gathered line by line into a `TrainingRun`."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from clusterwright.observe.opening import Line
from clusterwright.observe.records import Mark, MarkKind, RunSettings, TrainingRun
from clusterwright.observe.telling import clock_of, incident_of, no_loss, settings_in

COLUMNS = (
    "clock", "step_time", "loss", "device_rate", "flops_rate", "mfu", "samples", "sample_rate",
    "power", "memory", "skipped", "input_time",
)  # fmt: skip

Row = dict[str, float]
Timers = dict[str, tuple[float, float]]


class RunBuilder:
    """Gathers what the lines of one log say."""

    def __init__(self, tool: str, path: str) -> None:
        self.tool, self.path = tool, path
        self.iterations: list[int] = []
        self.rows: list[Row] = []
        self.timers: list[Timers] = []
        self.by_rank: list[dict[str, float]] = []
        self.settings: dict[str, Any] = {}
        self.shape: dict[str, int] = {}
        self.marks: list[Mark] = []
        self.notes: list[str] = []
        self.early_memory = math.nan
        self._fresh = True

    def look(self, line: Line) -> None:
        """Take settings and incidents from a line that is no row."""
        said = settings_in(line.text)
        for name, value in said.pop("shape", {}).items():
            self.shape.setdefault(name, value)
        for name, value in said.items():
            self.settings.setdefault(name, value)
        found = incident_of(line.text)
        if found:
            self.mark(line, found.kind, found.time, found.times, found.iteration)

    def mark(
        self, line: Line, kind: MarkKind, time: float = math.nan, count: float = 1.0, step: int = -1
    ) -> None:  # fmt: skip
        """Note that something happened before the next row."""
        last = self.marks[-1] if self.marks else None
        if last and last.kind == kind == "checkpoint" and last.row == len(self.rows):
            self.marks.pop()  # begun and done, or told by several lines: one checkpoint
            time = time if math.isfinite(time) else last.time
            step = step if step >= 0 else last.iteration
        if last and last.kind == kind and last.row == len(self.rows) and kind in ("start", "load"):
            self.marks.pop()
        self._fresh = self._fresh or kind in ("start", "load")
        said = line.text.strip()[:160]
        self.marks.append(
            Mark(kind=kind, row=len(self.rows), said=said, time=time, count=count, iteration=step)
        )

    def row(self, line: Line, iteration: int, **values: float) -> None:
        """Add a row, or another rank's words for the last one."""
        values.setdefault("clock", clock_of(line.text))
        again = bool(self.iterations) and iteration == self.iterations[-1] and not self._fresh
        who = "" if line.rank is None else str(line.rank)
        if again:
            self._same(values, who)
            return
        told = self.marks and self.marks[-1].kind == "nan" and self.marks[-1].row == len(self.rows)
        if no_loss(line.text) and not told:
            self.mark(line, "nan")
        self._fresh = False
        self.iterations.append(iteration)
        self.rows.append(dict(values))
        self.timers.append({})
        self.by_rank.append({who or "0": values.get("step_time", math.nan)})

    def _same(self, values: Row, who: str) -> None:
        """Several ranks report a step: keep the fullest memory and the slowest rate."""
        row = self.rows[-1]
        ranks = self.by_rank[-1]
        repeated = math.isfinite(row.get("step_time", math.nan)) and "step_time" in values
        if repeated:
            ranks[who or str(len(ranks))] = values["step_time"]
        for name, value in values.items():
            held = row.get(name, math.nan)
            fuller = name in ("memory", "step_time") and value > held
            slower = name in ("device_rate", "flops_rate", "mfu") and value < held
            if fuller or slower or not math.isfinite(held):
                row[name] = value

    def time(self, timers: Timers, row: int = -1) -> None:
        """Add timers to a row; what was measured is not overwritten by 0. [s]"""
        if self.rows:
            held = self.timers[row]
            held.update({n: pair for n, pair in timers.items() if pair[1] > 0.0 or n not in held})

    def finish(self) -> TrainingRun:
        """Everything that was gathered."""
        self._step_times()
        self._early_memory()
        columns = {name: tuple(row.get(name, math.nan) for row in self.rows) for name in COLUMNS}
        names = dict.fromkeys(name for timers in self.timers for name in timers)
        none = (math.nan, math.nan)
        ranks = dict.fromkeys(rank for row in self.by_rank for rank in row)
        settings = msgspec.convert({**self.settings, "shape": self.shape}, RunSettings)
        return TrainingRun(
            tool=self.tool,
            paths=(self.path,),
            iteration=tuple(self.iterations),
            steps=self._steps(),
            timers={name: tuple(row.get(name, none) for row in self.timers) for name in names},
            rank_times={
                rank: tuple(row.get(rank, math.nan) for row in self.by_rank)
                for rank in (ranks if len(ranks) > 1 else ())
            },
            settings=settings,
            marks=tuple(self.marks),
            notes=tuple(self.notes),
            **columns,
        )

    def _early_memory(self) -> None:
        """Memory that was reported before the first row belongs to it."""
        if self.rows and math.isfinite(self.early_memory):
            held = self.rows[0].get("memory", math.nan)
            self.rows[0]["memory"] = self.early_memory if not held > self.early_memory else held

    def _steps(self) -> tuple[int, ...]:
        """How many steps each row covers: since the row before, or as many as the next one."""
        counts = [b - a for a, b in zip(self.iterations, self.iterations[1:], strict=False)]
        usual = next((count for count in counts if count > 0), 1)
        first = max(1, min(usual, self.iterations[0])) if self.iterations else 1
        return tuple(
            [first, *[count if count > 0 else usual for count in counts]][: len(self.rows)]
        )

    def _step_times(self) -> None:
        """Where no line says how long a step took, the time of day and the rates do."""
        if any(math.isfinite(row.get("step_time", math.nan)) for row in self.rows):
            return
        steps = self._steps()
        cuts = {mark.row for mark in self.marks if mark.kind in ("start", "load")}
        for i in range(1, len(self.rows)):
            between = self.rows[i].get("clock", math.nan) - self.rows[i - 1].get("clock", math.nan)
            went_on = self.iterations[i] > self.iterations[i - 1] and i not in cuts
            if went_on and between > 0.0:
                self.rows[i]["step_time"] = between / steps[i]
        self._step_times_by_rate()

    def _step_times_by_rate(self) -> None:
        """Tokens or samples of a step over those a second, where both are known."""
        world, length = self.settings.get("world_size"), self.settings.get("sequence_length")
        batch = self.settings.get("global_batch")
        for row in self.rows:
            if math.isfinite(row.get("step_time", math.nan)):
                continue
            if world and length and batch and row.get("device_rate", 0.0) > 0.0:
                row["step_time"] = batch * length / (row["device_rate"] * world)
            elif batch and row.get("sample_rate", 0.0) > 0.0:
                row["step_time"] = batch / row["sample_rate"]
