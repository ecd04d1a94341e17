"""What is shown of serving: a plan, one deployment, machines side by side, a service of regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, cast

import msgspec

from clusterwright.cli.answers import Answer
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

Said = Mapping[str, str]


def plan(found: Answer, said: Said) -> View:
    """A plan: what its best promises, and what else would do."""
    made = cast("ServingPlan", found.value)
    return view_of(
        found,
        pictures=shown.of_plan(made, said),
        links=[
            Link(text="Save this plan", href=address("/plan/serve.save", said)),
            *reports("/plan/serve", said),
            *(
                Link(
                    text=f"This deployment in depth{_role(pool.role)}",
                    href=serving_link(pool.deployment, pool.count, said),
                )
                for pool in made.best.pools[:1]
            ),
            Link(text="The same on other machines", href=address("/compare/serve", _of_load(said))),
        ],
    )


def estimate(found: Answer, said: Said) -> View:
    """One given deployment in depth."""
    made = cast("ServingEstimate", found.value)
    question = cast("ServingQuestion", found.seen["question"])
    link = Link(text="The best deployment instead", href=address("/plan/serve", _of_load(said)))
    view = view_of(found, pictures=shown.of_estimate(question, made), links=[link])
    return msgspec.structs.replace(view, later=tuple(_curve(question, said)))


def _curve(question: ServingQuestion, said: Said) -> Iterator[Link]:
    """Where the same deployment is played at other loads, if it has a load to vary."""
    if question.workload.users or question.device is not None or said.get("requests"):
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
    spec = candidates.machines(value["plans"])
    title = f"{said.get('model', '')} on several accelerators"
    return view_of(found, title=title, pictures=drawn("What each takes for the same promise", spec))


def fleet(found: Answer, said: Said) -> View:  # noqa: ARG001 - as all views are called
    """A service over regions."""
    pictures: list[Picture] = []
    for made in cast("list[FleetPlan]", found.value):
        pictures += drawn("Replicas by region", regions.replicas(made))
        pictures += drawn("What each region serves", regions.rates(made))
    return view_of(found, pictures=pictures)


def _role(role: str) -> str:
    return "" if role == "both" else f", its part for {role}"


LOAD = (
    *("model", "rate", "users", "input", "output", "ttft", "tpot", "percentile", "spread"),
    *("prefix", "accelerator"),
)


def _of_load(said: Said) -> dict[str, str]:
    return {name: said[name] for name in LOAD if name in said}
