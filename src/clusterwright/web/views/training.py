"""What is shown of a training plan, and of one estimate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from clusterwright.cli.answers import Answer
from clusterwright.report.text import gigabytes, question_lines, strategy_words
from clusterwright.training.estimate import TrainingEstimate
from clusterwright.training.plan import TrainingPlan, TrainingQuestion
from clusterwright.units import format_count, format_time
from clusterwright.web.view import Picture, Tile, View

Said = Mapping[str, str]


def plan(found: Answer, said: Said) -> View:
    """A plan: its best strategy, what it costs, and what else would do."""
    made = cast("TrainingPlan", found.value)
    tiles = (*_tiles(made.best), *_totals(made))
    return View(
        title=made.question.model.name,
        about=tuple(question_lines(made.question)),
        tiles=tiles,
        pictures=tuple(_pictures(made.best)),
    )


def estimate(found: Answer, said: Said) -> View:
    """One given strategy in depth."""
    made = cast("TrainingEstimate", found.value)
    question = cast("TrainingQuestion", found.seen["question"])
    return View(
        title=question.model.name,
        about=tuple(question_lines(question)),
        tiles=tuple(_tiles(made)),
        pictures=tuple(_pictures(made)),
    )


def _tiles(made: TrainingEstimate) -> Iterator[Tile]:
    low, high = made.step_time_interval
    yield Tile(label="strategy", text=strategy_words(made.strategy))
    between = f"80 % interval {format_time(low)} to {format_time(high)}"
    yield Tile(label="step time", text=format_time(made.step_time), note=between)
    rate = f"{format_count(made.tokens_per_second)} tokens/s"
    each = f"{made.tokens_per_second / made.accelerators:,.0f} per accelerator"
    yield Tile(label="throughput", text=rate, note=each)
    yield Tile(label="MFU", text=f"{made.mfu:.1%}", note=f"HFU {made.hfu:.1%}")
    yield Tile(
        label="memory",
        text="fits" if made.fits else "does not fit",
        note=f"{gigabytes(made.memory_bytes)} of {gigabytes(made.memory_limit)} GiB",
        bad=not made.fits,
    )


def _totals(made: TrainingPlan) -> Iterator[Tile]:
    if made.totals is None:
        return
    low, high = made.totals.duration_interval
    between = f"{format_time(low)} to {format_time(high)}, failures not counted"
    yield Tile(label="whole run", text=format_time(made.totals.duration), note=between)


def _pictures(made: TrainingEstimate) -> Iterator[Picture]:
    return iter(())
