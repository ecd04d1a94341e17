"""Answers of pages that ask more, or less, than one command."""

from __future__ import annotations

from typing import cast

from clusterwright.cli import ask
from clusterwright.cli.answers import Answer
from clusterwright.planner_serving import curve_of
from clusterwright.serving.plan import ServingEstimate, ServingQuestion
from clusterwright.validation import output
from clusterwright.validation.published import published, published_serving
from clusterwright.validation.scoring import score
from clusterwright.validation.serving.grouping import by_sort, grouped
from clusterwright.web.page import Asked

SHOWN = (
    *("id", "source", "metric", "status", "complete", "accelerator", "software"),
    *("measured_value", "predicted_value", "predicted_low", "predicted_high", "error", "inside"),
)
"""What of a run's result the data of the accuracy page have."""
SERVED = (
    *("id", "source", "metric", "status", "model", "accelerator", "engine", "sort", "seen"),
    *("measured_value", "predicted_value", "low", "high", "error", "inside"),
)
"""The same of serving."""


def curve(asked: Asked) -> Answer:
    """A deployment at loads from idle to near saturation."""
    found = ask(asked.words)
    assert found is not None, "the command answers"
    question = cast("ServingQuestion", found.seen["question"])
    made = curve_of(question, cast("ServingEstimate", found.value).pools)
    return Answer(made, lambda: "", seen={"question": question})


def accuracy(asked: Asked) -> Answer:  # noqa: ARG001 - as all sources are called
    """What `validate` says of the published runs, as it was when the package was made."""
    made = published()
    total = score(made.results)
    value = {
        "date": made.date,
        "version": made.version,
        "catalogue": made.catalogue,
        **output.as_json(total),
        "results": [{name: getattr(one, name) for name in SHOWN} for one in made.results],
    }
    return Answer(value, lambda: "", seen={"published": made, "score": total})


def accuracy_of_serving(asked: Asked) -> Answer:  # noqa: ARG001 - as all sources are called
    """What `validate` says of published services, as it was when the package was made."""
    made = published_serving()
    value = {
        "date": made.date,
        "version": made.version,
        "catalogue": made.catalogue,
        "sorts": by_sort(made.results),
        "sources": grouped(made.results, lambda one: one.source),
        "engines": grouped(made.results, lambda one: one.engine),
        "accelerators": grouped(made.results, lambda one: one.accelerator),
        "results": [{name: getattr(one, name) for name in SERVED} for one in made.results],
    }
    return Answer(value, lambda: "", seen={"published": made})
