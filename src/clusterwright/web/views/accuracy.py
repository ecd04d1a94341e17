"""What is shown of predictions against measurements."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from clusterwright.aligned import percent
from clusterwright.cli.answers import Answer
from clusterwright.report.labelled import Labelled
from clusterwright.report.pictures.accuracy import accuracy as picture
from clusterwright.report.pictures.accuracy import accuracy_of_serving
from clusterwright.report.shown.picture import drawn
from clusterwright.serving.intervals import Sort
from clusterwright.validation.published import Published
from clusterwright.validation.scoring import Score, Summary, summarise
from clusterwright.validation.serving.grouping import Grouped, Sorted, by_sort, grouped
from clusterwright.validation.serving.scoring import ServeResult
from clusterwright.web.view import Link, Table, View

Said = Mapping[str, str]
SORTS: Final[dict[Sort, str]] = {
    "TPOT dense": "Time per token, dense models",
    "TPOT sparse": "Time per token, mixtures of experts",
    "TTFT": "Time to the first token",
    "throughput": "Throughput",
    "prefill": "Prompts alone",
    "latency": "Whole answers",
}
"""Sorts of metric of serving, as headings."""
NUMBERS = ("runs", "median error", "p90", "bias", "in 80 %", "one-line formula")


def published(found: Answer, said: Said) -> View:  # noqa: ARG001 - as all views are called
    """Predicted against measured, by run, source and framework."""
    made, total = _made(found), cast("Score", found.seen["score"])
    chosen = [one for one in made.results if one.complete]
    frameworks = summarise(chosen, lambda one: (one.software, "all"))
    return View(
        title=f"{total.ok:,} published runs, predicted from their configuration alone",
        about=_about(made, "accuracy"),
        figures=_figures(total, [bool(one.inside) for one in chosen if one.inside is not None]),
        words="",
        pictures=tuple(drawn("Step time, predicted against measured", picture(made.results))),
        tables=(
            _table("By source, the worst first", "source", total.sources),
            _table("By framework, the worst first", "framework", frameworks),
        ),
        command="clusterwright validate",
        links=(Link(text="Accuracy of serving", href="/accuracy/serving"),),
    )


def serving(found: Answer, said: Said) -> View:  # noqa: ARG001 - as all views are called
    """Predicted against measured services, by sort of metric, source, engine and accelerator."""
    made = _made(found)
    results: Sequence[ServeResult] = made.results
    sorts = by_sort(results)
    pictures = (drawn(title, accuracy_of_serving(results, sort)) for sort, title in SORTS.items())
    groups = {
        "source": grouped(results, lambda one: one.source),
        "engine": grouped(results, lambda one: one.engine),
        "accelerator": grouped(results, lambda one: one.accelerator),
    }
    predicted = sum(one.rows for one in sorts)
    return View(
        title=f"{predicted:,} published figures of services, predicted from their configuration",
        about=_about(made, "accuracy-serving"),
        figures=tuple(map(_figure, sorts)),
        words="",
        pictures=tuple(one for every in pictures for one in every),
        beside=True,
        tables=(
            _sorts(sorts),
            *(
                _groups(f"By {name}, the worst first", name, every)
                for name, every in groups.items()
            ),
        ),
        command="clusterwright validate --of serving",
        links=(Link(text="Accuracy of training", href="/accuracy"),),
    )


def _made(found: Answer) -> Published[Any]:
    return cast("Published[Any]", found.seen["published"])


def _about(made: Published[Any], page: str) -> tuple[str, str]:
    return (
        f"as of {made.date}: version {made.version}, catalogue {made.catalogue[:12]}",
        f"how it is measured, what is not explained: docs/explanation/{page}.md of the source",
    )


def _figure(one: Sorted) -> Labelled:
    inside = "" if one.coverage is None else f"; {percent(one.coverage)} inside the 80 % interval"
    note = f"median error, the mean over {one.sources} sources of {one.rows:,} rows{inside}"
    return Labelled(label=one.sort, figure=percent(one.error), note=note)


def _sorts(sorts: Sequence[Sorted]) -> Table:
    """Sorts of metric, with what runs say that neither factors nor intervals rest on."""
    return Table(
        title="By sort of metric; unseen: runs that no factor and no interval rests on",
        head=("metric", "rows", "sources", "median error", "of unseen", "bias", "in 80 %",
              "of unseen"),
        rows=tuple(
            (
                *(SORTS[one.sort], f"{one.rows:,}", f"{one.sources:,}", percent(one.error)),
                *(_share(one.judged), percent(one.bias)),
                *(_share(one.coverage), _share(one.judged_coverage)),
            )
            for one in sorts
        ),
        right=1,
    )  # fmt: skip


def _groups(title: str, first: str, groups: Sequence[Grouped]) -> Table:
    return Table(
        title=title,
        head=(first, "metric", "rows", "median error", "p90", "bias", "in 80 %"),
        rows=tuple(
            (
                *(one.name, one.sort, f"{one.rows:,}", percent(one.median_abs_error)),
                *(percent(one.p90_abs_error), percent(one.bias), _share(one.coverage)),
            )
            for one in groups
        ),
        right=2,
    )


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


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
