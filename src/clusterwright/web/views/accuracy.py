"""What is shown of predictions against measurements."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import cast

from clusterwright.aligned import percent
from clusterwright.cli.answers import Answer
from clusterwright.report.labelled import Labelled
from clusterwright.report.pictures.accuracy import accuracy as picture
from clusterwright.report.shown.picture import drawn
from clusterwright.validation.published import Published
from clusterwright.validation.scoring import Score, Summary, summarise
from clusterwright.web.view import Table, View

Said = Mapping[str, str]
NUMBERS = ("runs", "median error", "p90", "bias", "in 80 %", "one-line formula")


def published(found: Answer, said: Said) -> View:  # noqa: ARG001 - as all views are called
    """Predicted against measured, by run, source and framework."""
    made, total = cast("Published", found.seen["published"]), cast("Score", found.seen["score"])
    chosen = [one for one in made.results if one.complete]
    frameworks = summarise(chosen, lambda one: (one.software, "all"))
    return View(
        title=f"{total.ok:,} published runs, predicted from their configuration alone",
        about=(
            f"as of {made.date}: version {made.version}, catalogue {made.catalogue[:12]}",
            "how it is measured, what is not explained: docs/explanation/accuracy.md of the source",
        ),
        figures=_figures(total, [bool(one.inside) for one in chosen if one.inside is not None]),
        words="",
        pictures=tuple(drawn("Step time, predicted against measured", picture(made.results))),
        tables=(
            _table("By source, the worst first", "source", total.sources),
            _table("By framework, the worst first", "framework", frameworks),
        ),
        command="clusterwright validate",
    )


def _figures(total: Score, inside: list[bool]) -> tuple[Labelled, ...]:
    flat = statistics.fmean(one.flat_median_abs_error for one in total.sources)
    left = f"{total.unsupported} unsupported, {total.incomplete} incomplete"
    return (
        Labelled(label="runs", figure=f"{total.ok:,} of {total.rows:,}", note=left),
        Labelled(
            label="median error",
            figure=percent(total.mean_source_median_abs_error or 0.0),
            note="of the step time, the mean over sources",
        ),
        Labelled(label="one-line formula", figure=percent(flat), note="half of the peak"),
        Labelled(
            label="inside the 80 % interval",
            figure=percent(sum(inside) / max(1, len(inside))),
            note="of the runs",
        ),
        Labelled(
            label="said not to fit",
            figure=percent(total.false_oom or 0.0),
            note="of the runs, although they ran",
        ),
    )


def _table(title: str, first: str, groups: tuple[Summary, ...]) -> Table:
    metrics = len({one.metric for one in groups}) > 1
    head = (first, *(("metric",) if metrics else ()), *NUMBERS)
    rows = tuple(
        (one.source, *((one.metric.replace("_", " "),) if metrics else ()), *_numbers(one))
        for one in groups
    )
    return Table(title=title, head=head, rows=rows, right=2 if metrics else 1)


def _numbers(one: Summary) -> tuple[str, ...]:
    shares = (one.median_abs_error, one.p90_abs_error, one.bias, one.coverage80)
    return (f"{one.rows:,}", *map(percent, (*shares, one.flat_median_abs_error)))
