"""Pictures of training: of a plan, and of one strategy."""

from __future__ import annotations

from collections.abc import Iterator

from clusterwright.report.cluster_map import cluster_map, map_words
from clusterwright.report.pictures.account import account
from clusterwright.report.pictures.front import front
from clusterwright.report.pictures.links import Asked
from clusterwright.report.pictures.memory import memory
from clusterwright.report.pictures.theme import PHONE
from clusterwright.report.pictures.waterfall import waterfall
from clusterwright.report.shown.picture import Picture, drawn
from clusterwright.training.estimate import TrainingEstimate
from clusterwright.training.plan import TrainingPlan, TrainingQuestion


def of_plan(made: TrainingPlan, asked: Asked | None = None) -> Iterator[Picture]:
    """Where the step of a plan goes, what it keeps and takes, what else would do, where it runs."""
    yield from _of_step(made.best)
    if made.account is not None:
        yield from drawn("What the run takes, and how sure that is", account(made.account))
    yield from drawn(
        "Other strategies: a point is a strategy, and leads to its estimate"
        if asked is not None
        else "Other strategies, each a point",
        front(made, asked=asked),
    )
    yield _of_machine(made.question, made.best)


def of_estimate(question: TrainingQuestion, made: TrainingEstimate) -> Iterator[Picture]:
    """Where the step of a strategy goes, what it keeps, and where it runs."""
    yield from _of_step(made)
    yield _of_machine(question, made)


def _of_step(made: TrainingEstimate) -> Iterator[Picture]:
    yield from drawn("Where the step goes, from peak to achieved", waterfall(made))
    whose = "each pipeline stage" if made.strategy.pp > 1 else "an accelerator"
    yield from drawn(f"Memory of {whose} against its limit", memory(made))


def _of_machine(question: TrainingQuestion, made: TrainingEstimate) -> Picture:
    return Picture(
        title="The machine, and which accelerators work together",
        said=" ".join(map_words(question.cluster, made.strategy)),
        svg=cluster_map(question.cluster, made.strategy),
        narrow=cluster_map(question.cluster, made.strategy, width=PHONE),
    )
