"""A played-out step as text: the step time, the bubble, what each rank does."""

from __future__ import annotations

import numpy as np

from clusterwright.aligned import aligned
from clusterwright.report.text import gigabytes, question_lines, strategy_words, waterfall_lines
from clusterwright.simulation.step import Played
from clusterwright.training.plan import TrainingQuestion
from clusterwright.units import format_time

MOST_RANKS = 16
"""Ranks that are listed one by one; of more, the first, the last and every so manyth."""


def simulation_text(question: TrainingQuestion, played: Played) -> str:
    """One strategy, played out."""
    report = played.report
    header, *rows = rank_rows(played)
    every = -(-len(rows) // MOST_RANKS)
    shown = [row for rank, row in enumerate(rows) if rank % every == 0 or rank == len(rows) - 1]
    blocks = [
        question_lines(question),
        [f"  strategy     {strategy_words(report.estimate.strategy)}", *summary_lines(played)],
        waterfall_lines(report.estimate),
        aligned(header, shown, indent="  "),
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def summary_lines(played: Played) -> list[str]:
    """What was played out, and what came of it."""
    report = played.report
    closed, time = report.closed_form.step_time, report.estimate.step_time
    uneven = f"without unevenness {format_time(time)}, " if report.uneven_time else ""
    of = "" if report.own_schedule else " of 1F1B on the same chunks"
    lines = [
        (
            f"  schedule     {report.schedule}, {report.closed_form.num_micro_batches:,.0f} "
            f"micro-batches, {report.operations:,} operations played out"
        ),
        (
            f"  step time    {format_time(report.step_time)}; {uneven}by closed form{of} "
            f"{format_time(closed)} ({time / closed - 1:+.1%})"
        ),
    ]
    if report.jitter or report.stragglers:
        lines.append(f"  unevenness   {format_time(report.uneven_time)} more: {_uneven(played)}")
    if report.draws:
        middle, high = np.quantile(report.draws, (0.5, 0.9))
        lines.append(
            f"               over {len(report.draws)} draws half take {format_time(float(middle))} "
            f"or less, nine of ten {format_time(float(high))}"
        )
    free = report.bubble_without_barrier
    apart = "" if report.bubble - free < 5e-4 else f"; {free:.1%} if none waited for the last"
    fullest = max(one.memory_bytes for one in report.ranks)
    limit = report.estimate.memory_limit
    lines.append(
        f"  memory       {'fits' if fullest <= limit else 'DOES NOT FIT'}: {gigabytes(fullest)} of "
        f"{gigabytes(limit)} GiB on the fullest rank"
    )
    lines.append(
        f"  bubble       {report.bubble:.1%} of the busiest rank's work, transfers included{apart}"
    )
    return lines


def _uneven(played: Played) -> str:
    report = played.report
    words = [
        f"rank {rank} takes {factor:g} x" for rank, factor in sorted(report.stragglers.items())
    ]
    if report.jitter:
        words.append(f"operations vary by {report.jitter:g} (seed {report.seed})")
    return "; ".join(words)


def rank_rows(played: Played) -> list[list[str]]:
    """A header, and a row for each rank."""
    limit = played.report.estimate.memory_limit
    header = ["rank", "busy", "idle", "idle %", "activations GiB", "memory GiB", "of limit"]
    rows = [
        [
            str(one.rank),
            format_time(one.busy_time),
            format_time(one.idle_time),
            f"{one.idle_time / (one.busy_time + one.idle_time):.1%}",
            gigabytes(one.activation_bytes),
            gigabytes(one.memory_bytes),
            f"{one.memory_bytes / limit:.0%}",
        ]
        for one in played.report.ranks
    ]
    return [header, *rows]
