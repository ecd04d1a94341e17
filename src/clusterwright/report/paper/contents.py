"""What a report says of a plan, before it has a form."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from shlex import quote

import msgspec

from clusterwright.records import Record
from clusterwright.report import serving_text, text
from clusterwright.report.labelled import Labelled, about
from clusterwright.report.shown import serving as serving_pictures
from clusterwright.report.shown import training as training_pictures
from clusterwright.report.shown.picture import Picture
from clusterwright.report.shown.summary import for_payers, summary_of
from clusterwright.report.shown.words import ASSUMED, figures_of, seen, seen_text
from clusterwright.serving.intervals import BORROWED, ServingInterval
from clusterwright.serving.plan import ServingPlan
from clusterwright.training.intervals import IntervalGroup
from clusterwright.training.plan import TrainingPlan

Plan = TrainingPlan | ServingPlan


class Basis(Record, frozen=True, kw_only=True):
    """One thing that a plan rests on, and what is said of it."""

    label: str
    said: tuple[str, ...]


class Paper(Record, frozen=True, kw_only=True):
    """All that a report says, in its order.

    ``kind``: what was planned. ``title``, ``asked``: the question. ``summary``: the answer in one
    sentence, for whoever pays; ``figures``: the decision, in the words of the command line.
    ``pictures``: the reasons. ``bases``: what it rests on. ``words``: everything, as the command
    line prints it. ``replay``: the command that computes it again.
    """

    kind: str
    title: str
    asked: tuple[str, ...]
    summary: str
    figures: tuple[Labelled, ...]
    pictures: tuple[Picture, ...]
    bases: tuple[Basis, ...]
    words: str
    replay: str


def paper_of(plan: Plan, *, file: Path | None = None) -> Paper:
    """Write down what is to be said of a plan.

    Parameters
    ----------
    plan
        For training or for serving.
    file
        It was saved in, for whoever computes it again; None: in none so far.
    """
    plan = seen(plan)
    found = _serving(plan) if isinstance(plan, ServingPlan) else _training(plan)
    name = seen_text(file.name) if file else "plan.json"
    bases = (*found.bases, *(_file(file, name) if file else ()))
    return msgspec.structs.replace(found, bases=bases, replay=f"clusterwright replay {quote(name)}")


def _file(file: Path, name: str) -> tuple[Basis, ...]:
    """The very bytes that were reported, so that nobody takes another plan for them."""
    digest = sha256(file.read_bytes()).hexdigest()
    return (Basis(label="saved plan", said=(f"{name}, SHA-256 {digest}",)),)


def _training(plan: TrainingPlan) -> Paper:
    title, *asked = about("\n".join(text.question_lines(plan.question)))
    question = plan.question
    return Paper(
        kind="Training plan",
        title=title,
        asked=tuple(one for one in asked if not one.startswith(ASSUMED)),
        summary=summary_of(plan),
        figures=for_payers(figures_of(text.decision_lines(plan))),
        pictures=tuple(training_pictures.of_plan(plan)),
        bases=(
            *_assumed(question.assumed + (question.site.assumed if question.site else ())),
            Basis(label="measured runs", said=(_alike("times of steps", plan.best.likeness),)),
            Basis(label="framework", said=(question.software.name,)),
            Basis(label="kernels", said=(question.profile.name,)),
            *_made(plan),
        ),
        words=text.plan_text(plan).rstrip("\n") + "\n",
        replay="",
    )


def _serving(plan: ServingPlan) -> Paper:
    title, *asked = about("\n".join(serving_text.question_lines(plan.question)))
    alike = tuple(_alike(one.sort, one) for one in plan.best.intervals)
    return Paper(
        kind="Serving plan",
        title=title,
        asked=tuple(one for one in asked if not one.startswith(ASSUMED)),
        summary=summary_of(plan),
        figures=for_payers(figures_of(serving_text.decision_lines(plan))),
        pictures=tuple(serving_pictures.of_plan(plan)),
        bases=(
            *_assumed(plan.question.assumed + (plan.site.assumed if plan.site else ())),
            *_site(plan),
            *((Basis(label="measured runs", said=alike),) if alike else ()),
            Basis(label="engine", said=(plan.question.engine.name,)),
            *_made(plan),
        ),
        words=serving_text.plan_text(plan),
        replay="",
    )


def _site(plan: ServingPlan) -> tuple[Basis, ...]:
    """Where a service's power, carbon and money are counted."""
    account, site = plan.account, plan.site
    if account is None or site is None:
        return ()
    said = [account.region]
    if site.cooling is not None:
        said.append(f"cooling: {site.cooling.name}")
    if account.cost is not None:
        said.append("owned: servers, network, building, energy and staff over their lives")
    if site.day:
        said.append(f"prices of {site.day}")
    return (Basis(label="site", said=("; ".join(said),)),)


def _assumed(assumed: tuple[str, ...]) -> tuple[Basis, ...]:
    return (Basis(label="assumed", said=("; ".join(assumed),)),) if assumed else ()


def _made(plan: Plan) -> tuple[Basis, ...]:
    return (
        Basis(label="version", said=(f"clusterwright {plan.version}",)),
        Basis(label="catalogue", said=(plan.catalogue,)),
    )


def _alike(what: str, group: IntervalGroup | ServingInterval) -> str:
    """How runs alike came out against what was predicted."""
    span = f"{group.low:.2f} to {group.high:.2f} times what was predicted"
    if isinstance(group, ServingInterval) and 0 < group.rows < BORROWED:
        return (
            f"{what}: too few runs alike ({_runs(group.rows, group.sources)}): {_lent(group, span)}"
        )
    said = f"{what}: measured were {span}"
    if not group.rows:
        return f"{said}, in 80 % of runs alike"
    which = f", {group.description}" if isinstance(group, IntervalGroup) else ""
    return f"{said}, in 80 % of runs alike ({_runs(group.rows, group.sources)}{which})"


def _lent(group: ServingInterval, span: str) -> str:
    """Which runs the range of too few is taken from, for the greater part."""
    if not group.lent_rows:
        return f"{span} is mostly what runs less alike took"
    runs = _runs(group.lent_rows, group.lent_sources)
    which = " with the same engine" if group.profile else ""
    return f"{span} is taken mostly from {runs}{which}"


def _runs(rows: int, sources: int) -> str:
    return f"{_counted(rows, 'run')} of {_counted(sources, 'source')}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
