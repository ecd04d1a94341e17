"""The pictures of the accuracy page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from clusterwright.report.scatter import ErrorRow, Pair, Panel, error_chart, scatter, sheet
from clusterwright.validation.scoring import Result, Score, Summary, summarise

LEAST_ROWS = 5
"""Sources and chips of fewer rows share one chart."""
SHORT = {
    "step_time_s": "time",
    "tokens_per_s_per_accel": "tokens/s",
    "tflops_per_accel": "TFLOP/s",
    "mfu": "MFU",
}
"""Metrics as a word."""


def pictures(results: Sequence[Result], score: Score) -> dict[str, str]:
    """Return the pictures by the name of their file."""
    everything = summarise(results, lambda _: ("all", "all"))
    rows = [
        ErrorRow(
            label=label(summary, score.sources),
            median=summary.median_abs_error,
            p90=summary.p90_abs_error,
            flat=summary.flat_median_abs_error,
        )
        for summary in score.sources
    ]
    return {
        "all.svg": scatter(
            Panel(
                title="All runs whose configuration is complete",
                subtitle=facts(everything[0]) if everything else "no runs",
                pairs=pairs(results),
            )
        ),
        "errors.svg": error_chart("Error of the step time by source, worst first", rows),
        "by-source.svg": sheet(
            "By source, worst median error first", panels(results, lambda r: r.source)
        ),
        "by-chip.svg": sheet(
            "By accelerator, worst median error first", panels(results, lambda r: r.accelerator)
        ),
    }


def label(summary: Summary, others: Iterable[Summary]) -> str:
    """Return the source's name, with the metric where it has several."""
    same = sum(other.source == summary.source for other in others)
    metric = SHORT.get(summary.metric, summary.metric)
    return f"{summary.source} ({metric})" if same > 1 else summary.source


def panels(results: Sequence[Result], key: Callable[[Result], str]) -> list[Panel]:
    """Return a chart for each group, worst first; those of few rows share the last one."""
    made: list[Panel] = []
    few: list[Result] = []
    few_groups = 0
    for summary in summarise(results, lambda r: (key(r), "all")):
        rows = [r for r in results if r.status == "ok" and key(r) == summary.source]
        if summary.rows < LEAST_ROWS:
            few += rows
            few_groups += 1
            continue
        made.append(Panel(title=summary.source, subtitle=facts(summary), pairs=pairs(rows)))
    if few:
        total = summarise(few, lambda _: ("few", "all"))[0]
        title = f"{few_groups} others of fewer than {LEAST_ROWS} runs"
        made.append(Panel(title=title, subtitle=facts(total), pairs=pairs(few)))
    return made


def facts(summary: Summary) -> str:
    """Return a line on a group of runs."""
    runs = f"{summary.rows:,} run{'s' * (summary.rows != 1)}"
    return f"{runs}, median {summary.median_abs_error:.1%}, bias {signed(summary.bias)}".replace(
        "%", " %"
    )


def signed(share: float, digits: int = 1) -> str:
    """Return a share with its sign, the minus as printed.

    >>> signed(-0.104), signed(0.0), signed(0.5)
    ('−10.4%', '0.0%', '+50.0%')
    """
    shown = f"{share:+.{digits}%}"
    if not any(digit in shown for digit in "123456789"):
        return shown.lstrip("+-")
    return shown.replace("-", "−")


def pairs(results: Iterable[Result]) -> tuple[Pair, ...]:
    """Return measured and predicted step times of what was predicted."""
    return tuple(
        Pair(r.measured_time, r.predicted_time)
        for r in results
        if r.measured_time is not None and r.predicted_time is not None
    )
