"""Power over time as text: phases of an iteration, swing, windows, a small picture."""

from __future__ import annotations

import numpy as np

from clusterwright.aligned import aligned
from clusterwright.engines.power_trace import Trace
from clusterwright.site.trace import PowerReport
from clusterwright.training.plan import TrainingPlan
from clusterwright.units import format_quantity, format_time

BARS = " .:-=+*#%@"
COLUMNS = 100


def job_words(plan: TrainingPlan) -> str:
    """Whose power it is: the model and its accelerators."""
    question, count = plan.question, plan.best.accelerators
    return f"{question.model.name} on {count:,} x {question.cluster.accelerator.name}"


def power_text(report: PowerReport, trace: Trace) -> str:
    """What the grid sees of a job."""
    rows = [
        [f"  {name}", format_time(time), format_quantity(power, "W")]
        for name, time, power in report.phases
    ]
    windows = ", ".join(
        f"{format_quantity(power, 'W')} over {format_time(window)}"
        for window, power in report.windows
    )
    swings = format_quantity(report.swing, "W")
    lines = [
        *aligned(("  phase of a step", "for", "the site draws"), rows, align="lrr"),
        "",
        f"  mean         {format_quantity(report.mean, 'W')}",
        f"  swing        {swings}, most at {report.frequency:.3g} Hz",
        f"  ramp         {format_quantity(report.largest_ramp, 'W')} a second at most",
        f"  peaks        {windows}, each exceeded 0.1 % of the time",
        f"  storage      {format_quantity(report.smooth, 'J')} would smooth a step",
        "",
        *_picture(trace),
    ]
    return "\n".join(lines) + "\n"


def _picture(trace: Trace) -> list[str]:
    """The trace as one line of characters, from the least power to the most."""
    columns = np.array_split(trace.power, min(COLUMNS, len(trace.power)))
    means = np.array([column.mean() for column in columns])
    low, high = float(means.min()), float(means.max())
    if high - low <= 1e-6 * high:
        return []
    places = np.round((means - low) / (high - low) * (len(BARS) - 1)).astype(int)
    ends = (
        f"{format_quantity(low, 'W')} ({BARS[0]!r}) to {format_quantity(high, 'W')} ({BARS[-1]!r})"
    )
    seconds = len(trace.power) * trace.step
    return ["  " + "".join(BARS[place] for place in places), f"  {format_time(seconds)}, {ends}"]
