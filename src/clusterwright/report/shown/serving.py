"""Pictures of serving: of a plan, and of one deployment."""

from __future__ import annotations

from collections.abc import Iterator

from clusterwright.report.pictures.account import account
from clusterwright.report.pictures.candidates import candidates
from clusterwright.report.pictures.front import serving_front
from clusterwright.report.pictures.latencies import latencies, step_parts
from clusterwright.report.pictures.links import Asked
from clusterwright.report.shown.picture import Picture, drawn
from clusterwright.serving.plan import ServingEstimate, ServingPlan, ServingQuestion


def of_plan(made: ServingPlan, asked: Asked | None = None) -> Iterator[Picture]:
    """What the best of a plan promises, what else would do, and what it takes."""
    yield from of_estimate(made.question, made.best)
    yield from drawn(
        "What one user sees against what an accelerator gives", serving_front(made, asked=asked)
    )
    yield from drawn("Others that keep the promise", candidates(made))
    if made.account is not None:
        yield from drawn("What it draws, emits and costs", account(made.account))


def of_estimate(question: ServingQuestion, made: ServingEstimate) -> Iterator[Picture]:
    """What users of a deployment wait for, and where a step goes."""
    yield from drawn("What users wait for, against the promise", latencies(made, question.workload))
    yield from drawn("Where a step of decoding goes", step_parts(made))
