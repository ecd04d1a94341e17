"""The one place where a question about serving becomes a plan, an estimate or a played run."""

from __future__ import annotations

from clusterwright import __version__
from clusterwright.catalogue.store import Catalogue
from clusterwright.facts import shipped
from clusterwright.inference import Deployment
from clusterwright.serving.plan import ServingEstimate, ServingPlan, ServingQuestion
from clusterwright.serving.playing import estimate
from clusterwright.serving.search import search
from clusterwright.serving.server import Pool, Server, ServingFacts


def server_of(question: ServingQuestion, catalogue: Catalogue | None = None) -> Server:
    """Bind a question's model, machine and engine."""
    facts = ServingFacts(catalogue or shipped())
    return Server(question.model, question.cluster, question.engine, facts)


def plan_serving(question: ServingQuestion, *, catalogue: Catalogue | None = None) -> ServingPlan:
    """Search deployments for a load and settle the best by the request engine.

    Raises
    ------
    InfeasibleError
        Nothing fits or keeps what is promised; the message says what is reachable.
    """
    facts = catalogue or shipped()
    found = search(question, server_of(question, facts))
    best, *others = found.estimates
    return ServingPlan(
        version=__version__,
        catalogue=facts.hash,
        question=question,
        best=best,
        alternatives=tuple(others),
        front=found.front,
        evaluated=found.evaluated,
        refused=found.refused,
        played=found.played,
    )


def estimate_serving(
    question: ServingQuestion,
    pools: tuple[Pool, ...] | Deployment,
    *,
    replicas: int = 1,
    catalogue: Catalogue | None = None,
) -> ServingEstimate:
    """What a given deployment does under the question's load.

    Parameters
    ----------
    question
        Model, machine, engine and load.
    pools
        Replicas by role; or one deployment, of which there are ``replicas``.
    replicas
        How many, for a deployment.

    Raises
    ------
    InfeasibleError
        It does not fit.
    """
    if isinstance(pools, Deployment):
        pools = (Pool(role="both", count=replicas, deployment=pools),)
    return estimate(question, server_of(question, catalogue), pools)
