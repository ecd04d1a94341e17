"""What is shown of serving: a plan, one deployment, machines side by side, a service of regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from clusterwright.cli.answers import Answer
from clusterwright.report.pictures import candidates, regions
from clusterwright.report.pictures.links import serving_link
from clusterwright.report.shown import serving as shown
from clusterwright.report.shown.picture import Picture, drawn
from clusterwright.serving.fleet import FleetPlan
from clusterwright.serving.plan import ServingEstimate, ServingPlan, ServingQuestion
from clusterwright.web.view import Link, View, address, view_of

Said = Mapping[str, str]


def plan(found: Answer, said: Said) -> View:
    """A plan: what its best promises, and what else would do."""
    made = cast("ServingPlan", found.value)
    return view_of(
        found,
        pictures=shown.of_plan(made, said),
        links=[
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
    return view_of(found, pictures=shown.of_estimate(question, made), links=[link])


def compare(found: Answer, said: Said) -> View:  # noqa: ARG001 - as all views are called
    """Machines side by side."""
    value = cast("dict[str, Any]", found.value)
    spec = candidates.machines(value["plans"])
    return view_of(found, pictures=drawn("What each takes for the same promise", spec))


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
