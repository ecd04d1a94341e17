"""What is shown of training: a plan, one estimate, a step played out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from clusterwright.cli.answers import Answer
from clusterwright.report.pictures.comparison import comparison
from clusterwright.report.pictures.links import training_link
from clusterwright.report.shown import training as shown
from clusterwright.report.shown.picture import Picture, drawn
from clusterwright.report.timeline_columns import timeline_words
from clusterwright.simulation.step import Played
from clusterwright.training.estimate import TrainingEstimate
from clusterwright.training.plan import TrainingPlan, TrainingQuestion
from clusterwright.web.view import Link, View, address, reports, view_of
from clusterwright.web.views.onward import asked_too, machine_asked

Said = Mapping[str, str]
DAY = 86_400.0


def plan(found: Answer, said: Said) -> View:
    """A plan: where its step goes, what it keeps, what else would do."""
    made = cast("TrainingPlan", found.value)
    return view_of(
        found,
        pictures=shown.of_plan(made, said),
        links=[
            Link(text="Save this plan", href=address("/plan/train.save", said)),
            *reports("/plan/train", said),
            Link(
                text="This strategy in depth",
                href=training_link(made.question, made.best.strategy, said),
            ),
            *_beyond(made, said),
        ],
    )


def compare(found: Answer, said: Said) -> View:
    """Machines side by side."""
    value = cast("dict[str, Any]", found.value)
    names, plans = value["machines"], value["plans"]
    return view_of(
        found,
        title=f"{said.get('model', '')} on several machines",
        pictures=[
            *drawn("A step", comparison(names, plans, "step")),
            *drawn("The whole run", comparison(names, plans, "time")),
            *drawn("Money of the run", comparison(names, plans, "cost")),
            *drawn("Energy of the run", comparison(names, plans, "energy")),
        ],
    )


def estimate(found: Answer, said: Said) -> View:
    """One given strategy in depth."""
    made = cast("TrainingEstimate", found.value)
    question = cast("TrainingQuestion", found.seen["question"])
    return view_of(
        found,
        pictures=shown.of_estimate(question, made),
        links=[
            Link(text="Played out, operation by operation", href=address("/simulate/train", said)),
            Link(
                text="The best strategy instead",
                href=address("/plan/train", asked_too("/plan/train", said)),
            ),
        ],
    )


def simulation(found: Answer, said: Said) -> View:
    """A step as its operations."""
    played = cast("Played", found.seen["played"])
    timeline = Picture(
        title="Every operation of the step, by pipeline rank",
        columns=address("/simulate/train.columns", said),
        note=timeline_words(played),
    )
    href = address("/estimate/train", asked_too("/estimate/train", said))
    link = Link(text="The estimate of this step", href=href)
    return view_of(found, pictures=[timeline], links=[link])


def _beyond(made: TrainingPlan, said: Said) -> Iterator[Link]:
    """What a plan leads to: failures over its whole length, and its site."""
    used = made.best.accelerators
    run = {**machine_asked("/fleet", said, used), "rate": said.get("failure-rate")}
    if made.totals is not None:
        run["work"] = f"{made.totals.duration / DAY:.4g}d"
    yield Link(text="What failures leave of a long run", href=address("/fleet", run))
    site = machine_asked("/site", said, used)
    yield Link(text="Its site: power, money, carbon", href=address("/site", site))
