"""The one place where a question about serving becomes a plan, an estimate or a played run."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np

from clusterwright import __version__
from clusterwright.catalogue.store import Catalogue
from clusterwright.edited import check_unedited
from clusterwright.engines.requests.simulator import Traffic
from clusterwright.errors import InputError
from clusterwright.facts import shipped, span_of, stand_in
from clusterwright.inference import Deployment
from clusterwright.saving import encode_plan, load_record
from clusterwright.serving.estimating import estimate
from clusterwright.serving.load_curve import LoadCurve, alike, load_curve
from clusterwright.serving.offload import offload
from clusterwright.serving.plan import FrontPoint, ServingEstimate, ServingPlan, ServingQuestion
from clusterwright.serving.saved import amiss
from clusterwright.serving.search import front, search
from clusterwright.serving.server import Pool, Server, ServingFacts, check_sizes
from clusterwright.site.outlook import look_at_site
from clusterwright.site.run import lacks
from clusterwright.site.service import service_account
from clusterwright.traces import Trace


def server_of(question: ServingQuestion, catalogue: Catalogue | None = None) -> Server:
    """Bind a question's model, machine and engine."""
    facts = ServingFacts(catalogue or shipped())
    return Server(question.model, question.cluster, question.engine, facts, question.draft)


def plan_serving(question: ServingQuestion, *, catalogue: Catalogue | None = None) -> ServingPlan:
    """Search deployments for a load and settle the best by the request engine.

    Raises
    ------
    InputError
        The load has no rate.
    InfeasibleError
        Nothing fits or keeps what is promised; the message says what is reachable.
    """
    facts = catalogue or shipped()
    if question.workload.users:
        raise InputError(
            "a plan needs requests a second, such as --rate 500/s; users who wait for answers "
            "are for estimate and simulate"
        )
    if question.service.target or question.service.outages:
        raise InputError(
            "a plan is for a load that stays and replicas that are up: leave out --scale and "
            "--outage here, and ask simulate what they do to the plan"
        )
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


def front_of(
    question: ServingQuestion, *, catalogue: Catalogue | None = None
) -> tuple[FrontPoint, ...]:
    """What users and accelerators get, by closed form and without playing anything.

    Raises
    ------
    InfeasibleError
        Nothing fits.
    """
    return front(question, server_of(question, catalogue))


def load_serving_plan(path: str | Path) -> ServingPlan:
    """Read a saved plan.

    Raises
    ------
    InputError
        No such file, not a plan for serving, or one that cannot be as it is.
    """
    path = Path(path)
    plan = load_record(path, ServingPlan, "plan for serving")
    check_unedited(path, amiss(plan))
    return plan


def replay_serving(
    saved: ServingPlan, *, catalogue: Catalogue | None = None
) -> tuple[ServingPlan, bool]:
    """Plan a saved question again; tell whether the bytes are the same.

    Raises
    ------
    InputError
        The question was edited into one that cannot be answered, or an older version saved less
        than its account rests on.
    """
    if saved.account is not None and saved.site is None:
        raise lacks("site")
    fresh = _accounted(plan_serving(saved.question, catalogue=catalogue), saved)
    return fresh, encode_plan(fresh) == encode_plan(saved)


def _accounted(fresh: ServingPlan, saved: ServingPlan) -> ServingPlan:
    """A plan with what it takes at the site of a saved one."""
    if saved.site is None:
        return fresh
    try:
        outlook = look_at_site(saved.site, depth=False)
    except KeyError as missing:  # an input that its version did not know, or that was taken out
        raise lacks(str(missing.args[0])) from None
    found = service_account(outlook, fresh.best.output_rate)
    return msgspec.structs.replace(fresh, site=saved.site, account=found)


def estimate_serving(
    question: ServingQuestion,
    pools: tuple[Pool, ...] | Deployment,
    *,
    replicas: int = 1,
    trace: Trace | None = None,
    catalogue: Catalogue | None = None,
) -> ServingEstimate:
    """What a given deployment does under the question's load, or under a trace's requests.

    Parameters
    ----------
    question
        Model, machine, engine and load.
    pools
        Replicas by role; or one deployment, of which there are ``replicas``.
    replicas
        How many, for a deployment.
    trace
        Requests to play instead of those that the question's means and spread would draw.

    Raises
    ------
    InputError
        A size that no deployment has.
    InfeasibleError
        It does not fit.
    """
    if isinstance(pools, Deployment):
        pools = (Pool(role="both", count=replicas, deployment=pools),)
    server = server_of(question, catalogue)
    for pool in pools:
        if pool.count < 1:
            raise InputError(f"replicas is {pool.count}, but must be 1 or more")
        check_sizes(server, pool.deployment)
    if len({pool.deployment.cache for pool in pools}) > 1:
        raise InputError(
            "caches are handed over as they are: give all pools one format of the cache"
        )
    taken = sum(pool.accelerators for pool in pools)
    if taken > question.cluster.count:
        raise InputError(
            f"the replicas take {taken:,} accelerators, but there are {question.cluster.count:,}: "
            f"ask for fewer replicas, or cut each over fewer"
        )
    traffic = None
    if trace is not None:
        traffic = Traffic(
            arrival=trace.arrival,
            prompt=trace.prompt,
            output=trace.output,
            priority=trace.priority,
            entry=question.engine.entry_time,
            hash_start=trace.hash_start,
            hash_ids=trace.hash_ids,
            hash_tokens=trace.hash_tokens,
        )
    return estimate(question, server, pools, traffic=traffic)


def curve_of(
    question: ServingQuestion,
    pools: tuple[Pool, ...],
    *,
    together: bool = True,
    catalogue: Catalogue | None = None,
) -> LoadCurve:
    """Play a deployment at loads from idle to near saturation.

    Parameters
    ----------
    question
        Model, machine, engine and load; requests are drawn from its means.
    pools
        Replicas by role, as a plan or an estimate has them.
    together
        Play all replicas, as an estimate does; else the smallest pools of which they are a
        multiple, as a plan does.

    Raises
    ------
    InputError
        Users who wait for their answers instead of requests a second.
    """
    played, scale = (pools, 1) if together else alike(pools)
    return load_curve(question, server_of(question, catalogue), played, scale=scale)


def with_offload(
    question: ServingQuestion, found: ServingEstimate, cluster: ServingQuestion,
    *, catalogue: Catalogue | None = None,
) -> ServingEstimate:  # fmt: skip
    """A device's estimate, beside it what a cluster would take that answers the same questions.

    Parameters
    ----------
    question, found
        The device's.
    cluster
        The same questions, as many as there are, to a model in a cluster.

    Raises
    ------
    InputError
        There is no device.
    """
    if question.device is None:
        raise InputError("--offload is for a device that could send its questions: give --device")
    facts = catalogue or shipped()
    trip, radio = (facts.entry("defaults", name) for name in ("mobile-round-trip", "radio-power"))
    other = offload(
        question.device,
        found,
        plan_serving(cluster, catalogue=facts),
        round_trip=trip.require("value").value,
        radio=span_of(radio.require("value")),
        assumed=(stand_in(trip), stand_in(radio)),
    )
    return msgspec.structs.replace(found, offload=other)


def deployment_of(
    question: ServingQuestion, *, tp: int = 1, pp: int = 1, dp: int = 1, ep: int = 1, cp: int = 1
) -> Deployment:
    """A cut, in the first of the formats that the question allows, with all it has in common."""
    weights, experts = question.formats[0]
    return msgspec.structs.replace(
        question.base, tp=tp, pp=pp, dp=dp, ep=ep, cp=cp,
        weights=weights, expert_weights=experts, cache=question.caches[0],
    )  # fmt: skip


def load_of(trace: Trace) -> dict[str, float]:
    """A trace's mean load, as the keyword arguments of ``ask_serving``.

    Raises
    ------
    InputError
        All its requests come at once, so that it has no rate.
    """
    if not math.isfinite(trace.mean_rate):
        raise InputError(
            f"all {len(trace):,} requests of {trace.name} come at once: give --rate, and they are "
            f"spread evenly"
        )
    spread = float(np.std(trace.output) / np.mean(trace.output))
    share = trace.repeated_share or 0.0
    return {
        "rate": trace.mean_rate,
        "prompt": max(1.0, round(trace.mean_prompt)),
        "output": max(1.0, round(trace.mean_output)),
        "spread": min(5.0, spread),
        "prefix": math.floor(share * trace.mean_prompt),
    }
