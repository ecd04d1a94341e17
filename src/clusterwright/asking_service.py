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
from clusterwright.site.outlook import SiteQuestion, look_at_site
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
        site = site_of_service(plan.question, plan.best, options=options, catalogue=catalogue)
    except InputError:
        if options != AS_USUAL:
            raise
        return plan
    return plan if site is None else replace(plan, site=site, account=_account(site, plan.best))


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
    site = site_of_service(question, best, options=options, catalogue=catalogue)
    return None if site is None else _account(site, best)


def _account(site: SiteQuestion, best: ServingEstimate) -> ServiceAccount:
    return service_account(look_at_site(site, depth=False), best.output_rate)


def site_of_service(
    question: ServingQuestion,
    best: ServingEstimate,
    *,
    options: SiteOptions = AS_USUAL,
    catalogue: Catalogue | None = None,
) -> SiteQuestion | None:
    """What the account of a deployment rests on; None for a device in somebody's hands.

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
    return replace(asked, inputs=inputs)
