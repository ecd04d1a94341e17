"""What the account of a service rests on: its accelerators, how busy they are, their site."""

from __future__ import annotations

from msgspec.structs import replace

from clusterwright.asking_prices import AS_USUAL, SiteOptions
from clusterwright.asking_site import site_of
from clusterwright.catalogue.building import cut_levels
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import shipped, usual
from clusterwright.serving.plan import ServingEstimate, ServingPlan, ServingQuestion
from clusterwright.site.machine import machine_of
from clusterwright.site.outlook import look_at_site
from clusterwright.site.service import ServiceAccount, service_account
from clusterwright.uncertain import known


def with_service_account(
    plan: ServingPlan, *, options: SiteOptions = AS_USUAL, catalogue: Catalogue | None = None
) -> ServingPlan:
    """The plan with what its service takes, where that can be known.

    Raises
    ------
    InputError
        What was asked for cannot be: a place, a price, a way of cooling.
    """
    try:
        found = account_of_service(plan.question, plan.best, options=options, catalogue=catalogue)
    except InputError:
        if options != AS_USUAL:
            raise
        return plan
    return replace(plan, account=found)


def account_of_service(
    question: ServingQuestion,
    best: ServingEstimate,
    *,
    options: SiteOptions = AS_USUAL,
    catalogue: Catalogue | None = None,
) -> ServiceAccount | None:
    """What a deployment takes under its load; None for a device in somebody's hands.

    Raises
    ------
    InputError
        Nobody published what its nodes draw, or its place emits, or what it costs.
    """
    if question.device is not None:
        return None
    facts = catalogue or shipped()
    cluster, count = question.cluster, best.accelerators
    if count < cluster.count:
        part = cut_levels(cluster.levels, count)
        cluster = replace(cluster, count=count, levels=part)
    asked = site_of(machine_of(cluster, facts), options=options, catalogue=facts)
    busy = min(1.0, max(best.busy, 0.01))
    inputs = {
        **asked.inputs,
        "drawn_share": usual(facts, "expected-power-share-serving"),
        "duty": asked.inputs["duty"] if options.duty else known(busy, why="as busy as planned"),
    }
    outlook = look_at_site(replace(asked, inputs=inputs), depth=False)
    return service_account(outlook, best.output_rate)
