"""What is shown of serving: a plan, one deployment, machines side by side, a service of regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, cast

import msgspec

from clusterwright.cli.answers import Answer
from clusterwright.facts import shipped
from clusterwright.report.deployment_text import pools_words
from clusterwright.report.pictures import candidates, regions
from clusterwright.report.pictures.links import serving_link
from clusterwright.report.pictures.load_curve import load_curve
from clusterwright.report.shown import serving as shown
from clusterwright.report.shown.picture import Picture, drawn
from clusterwright.serving.fleet import FleetPlan
from clusterwright.serving.load_curve import LoadCurve
from clusterwright.serving.plan import ServingEstimate, ServingPlan, ServingQuestion
from clusterwright.units import format_time
from clusterwright.web.view import Link, Table, View, address, reports, view_of
from clusterwright.web.views.onward import asked_too

Said = Mapping[str, str]
BESIDE = ("h100", "h200", "b200", "mi300x")
"""Accelerators that another is put beside."""
SIDE_BY_SIDE = 2
"""Of them."""
MOST_PLAYED = 1_000
"""Replicas that a link has played one by one; of more, a part tells as much."""


def plan(found: Answer, said: Said) -> View:
    """A plan: what its best promises, and what else would do."""
    made = cast("ServingPlan", found.value)
    return view_of(
        found,
        pictures=shown.of_plan(made, said),
        links=[
            Link(text="Save this plan", href=address("/plan/serve.save", said)),
            *reports("/plan/serve", said),
            *_deeper(made, said),
            *_elsewhere(made, said),
        ],
    )


def _deeper(made: ServingPlan, said: Said) -> Iterator[Link]:
    """The plan's best in depth; replicas of two kinds can only be played from a saved plan."""
    if len(made.best.pools) > 1:
        return
    pool = made.best.pools[0]
    if pool.count <= MOST_PLAYED:
        href = serving_link(pool.deployment, pool.count, said)
        yield Link(text="This deployment in depth", href=href)
        return
    rate = made.question.workload.rate * MOST_PLAYED / pool.count
    href = serving_link(pool.deployment, MOST_PLAYED, said, rate=rate)
    text = f"{MOST_PLAYED:,} of its {pool.count:,} replicas in depth, with their part of the load"
    yield Link(text=text, href=href)


def _elsewhere(made: ServingPlan, said: Said) -> Iterator[Link]:
    """The same promise on other accelerators beside the plan's."""
    if said.get("device"):
        return
    own = made.question.cluster.accelerator.id
    others = [one for one in BESIDE if shipped().entry("accelerators", one).id != own]
    asked = asked_too("/compare/serve", said, but=("accelerator", "cluster"))
    machines = " ".join([said.get("accelerator") or own, *others[:SIDE_BY_SIDE]])
    href = address("/compare/serve", {**asked, "machines": machines})
    yield Link(text="The same on other machines", href=href)


def estimate(found: Answer, said: Said) -> View:
    """One given deployment in depth."""
    made = cast("ServingEstimate", found.value)
    question = cast("ServingQuestion", found.seen["question"])
    links = []
    if said.get("rate") and not said.get("plan"):  # what a plan is asked for
        href = address("/plan/serve", asked_too("/plan/serve", said))
        links.append(Link(text="The best deployment instead", href=href))
    elif said.get("plan"):
        links.append(Link(text="The plan", href=address("/saved/plan", {"plan": said["plan"]})))
    view = view_of(found, pictures=shown.of_estimate(question, made), links=links)
    return msgspec.structs.replace(view, later=tuple(_curve(question, said)))


def _curve(question: ServingQuestion, said: Said) -> Iterator[Link]:
    """Where the same deployment is played at other loads, if it has a load to vary."""
    if question.workload.users or question.device is not None or said.get("plan"):
        return
    href = address("/estimate/serve/curve", said)
    yield Link(text="The same deployment from idle to saturation", href=href)


def curve(found: Answer, said: Said) -> View:
    """A deployment at its loads."""
    made = cast("LoadCurve", found.value)
    question = cast("ServingQuestion", found.seen["question"])
    chip = question.cluster.accelerator.name
    return View(
        title=f"{question.model.name} on {made.accelerators:,} x {chip}",
        about=(
            pools_words(made.pools),
            f"queues grow without end from {_rate(made.saturation)} on",
        ),
        figures=(),
        words="",
        pictures=tuple(
            chain(
                drawn("Time to the first token at each load", load_curve(made, "ttft")),
                drawn("Time per token at each load", load_curve(made, "tpot")),
            )
        ),
        tables=(_loads(made),),
        links=(Link(text="This load in depth", href=address("/estimate/serve", said)),),
    )


def _loads(made: LoadCurve) -> Table:
    head = ("load", "TTFT p50", "p90", "p99", "TPOT p50", "p90", "p99", "at once", "busy", "kept")
    rows = tuple(
        (
            _rate(one.rate) + (" (asked)" if one.asked else ""),
            *(format_time(time) for time in (one.ttft.p50, one.ttft.p90, one.ttft.p99)),
            *(format_time(time) for time in (one.tpot.p50, one.tpot.p90, one.tpot.p99)),
            f"{one.concurrency:,.0f}",
            f"{one.busy:.0%}",
            "yes" if one.meets else "no",
        )
        for one in made.points
    )
    asked = next((place for place, one in enumerate(made.points) if one.asked), None)
    return Table(title="Loads that were played", head=head, rows=rows, marked=asked, right=1)


def _rate(rate: float) -> str:
    return f"{rate:,.3g}/s"


def compare(found: Answer, said: Said) -> View:
    """Machines side by side."""
    value = cast("dict[str, Any]", found.value)
    plans = value["plans"]
    return view_of(
        found,
        title=f"{said.get('model', '')} on several accelerators",
        pictures=[
            *drawn("A million tokens for the same promise", candidates.machines(plans)),
            *drawn("Energy of a token, with its site", candidates.machines(plans, "energy")),
        ],
    )


def fleet(found: Answer, said: Said) -> View:  # noqa: ARG001 - as all views are called
    """A service over regions."""
    pictures: list[Picture] = []
    for made in cast("list[FleetPlan]", found.value):
        pictures += drawn("Replicas by region", regions.replicas(made))
        pictures += drawn("What each region serves", regions.rates(made))
    return view_of(found, pictures=pictures)
