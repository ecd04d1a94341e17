"""From what a person types to a plan for training over several sites."""

from __future__ import annotations

import math
from typing import Any, get_args

from clusterwright.asking_load import time_of
from clusterwright.asking_model import find_model
from clusterwright.asking_sites import ask_inner_steps, ask_method, ask_sites
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import shipped, span_of
from clusterwright.formulas.low_communication import (
    arrivals_needed,
    download_time,
    inner_steps_for,
    kept_work,
    traffic_reduction,
)
from clusterwright.model.parameters import count_parameters
from clusterwright.model.records import Model
from clusterwright.planner_replicas import (
    FIRST_PEER_BATCH,
    Asked,
    Sort,
    ask_all,
    largest_held,
    replicas_of,
    sort_of,
)
from clusterwright.swarm.model import SwarmModel
from clusterwright.swarm.peers import slice_of
from clusterwright.swarm.things import (
    Exchange,
    Outcome,
    OuterMethod,
    PublishedLoss,
    Replica,
    SitesPlan,
)
from clusterwright.training.flops import forward_flops_per_token
from clusterwright.uncertain import Input, Interval, intervals_of, likely
from clusterwright.units import format_count

GOAL = 0.9
"""Share of computing for which the plan says how seldom to exchange. [1]"""
DAY = 86_400.0


def plan_sites(
    model: str | Model,
    sites: str,
    *,
    outer: str | None = None,
    inner_steps: str | int | None = None,
    exchange: str | None = None,
    stay: str | float | None = None,
    catalogue: Catalogue | None = None,
    **choices: Any,  # noqa: ANN401 - software, pins, objective and those of make_workload
) -> SitesPlan:
    """Plan a training run over several sites, or over a swarm.

    Parameters
    ----------
    model
        A catalogue name, the path of a ``config.json``, or a `Model`.
    sites
        Such as ``14x8xh100@500Mb/s/100ms, 1000xrtx-4090@home-fibre``.
    outer
        How replicas exchange, by its name in the catalogue.
    inner_steps
        Steps between two exchanges; by default those of the method.
    exchange
        ``ring``, ``butterfly``, ``tree`` or ``server``; by default that of the method.
    stay
        Mean time for which a site takes part, such as ``2d``.
    choices
        ``software``, ``pins``, ``objective``, ``tokens``, ``batch_tokens`` … of `ask_training`; the
        batch is that of an inner step of all sites.

    Raises
    ------
    InputError
        Sites that cannot be read.
    InfeasibleError
        A site that cannot hold the model, and has not enough like it to share one.
    """
    facts = catalogue or shipped()
    if choices.get("method", "full") != "full":
        raise InputError(
            f"--method {choices['method']} over several sites is not modelled: adapters are small, "
            f"so train them on one site, or leave --method out"
        )
    found = find_model(model, facts) if isinstance(model, str) else model
    places, assumed = ask_sites(sites, facts)
    method = ask_method(outer, facts)
    steps = ask_inner_steps(inner_steps, method)
    way = _exchange(exchange, method)
    mean_stay = time_of(stay, "--stay")
    asked, batch, notes = ask_all(found, places, facts, choices)
    sorts = [sort_of(asked, places, number, batch) for number in range(len(places))]
    replicas = replicas_of(asked, places, sorts, batch)
    tokens_per_step = float(sum(one.count * one.batch for one in replicas) * asked.length)
    if tokens_per_step != batch * asked.length:
        notes += (f"batch of {format_count(tokens_per_step)} tokens, so that all sites have work",)
    parameters = float(count_parameters(found).total)
    swarm = SwarmModel(
        parameters,
        method,
        way,
        steps,
        sites=places,
        replicas=replicas,
        tokens_per_step=tokens_per_step,
    )
    return _answer(swarm, asked, mean_stay, batch=batch, sorts=sorts, assumed=(*notes, *assumed))


def _exchange(given: str | None, method: OuterMethod) -> Exchange:
    known = get_args(Exchange)
    if given is None:
        return method.exchange
    if given not in known:
        raise InputError(f"--exchange is {given!r}; choose from {', '.join(known)}")
    return given  # type: ignore[return-value]


def _answer(
    swarm: SwarmModel,
    asked: Asked,
    mean_stay: float | None,
    *,
    batch: int,
    sorts: list[Sort],
    assumed: tuple[str, ...],
) -> SitesPlan:
    """Put the exchanges to the paces, and beside them one site alone and every step exchanged."""
    facts, tokens = asked.facts, asked.choices.get("tokens")
    job = asked.question(swarm.sites[0], 1).workload if tokens else None
    whole = job.tokens if job else None
    share = _input(facts, "wan-share")
    inputs = swarm.inputs(share)
    centre = swarm(likely(inputs))
    period, step = float(centre["period"]), float(centre["step_time"])
    joining = swarm.parameters * facts.figure("defaults", "swarm-join", "value").value
    link = min(swarm.sites[one.site].bandwidth * share.value for one in swarm.replicas)
    trip = max(site.round_trip for site in swarm.sites)
    join_time = float(download_time(joining, link, trip))
    kept = float(kept_work(mean_stay, join_time, period)) if mean_stay else None
    parallel = SwarmModel(
        swarm.parameters,
        ask_method("data-parallel", facts),
        swarm.exchange,
        1,
        sites=swarm.sites,
        replicas=swarm.replicas,
        tokens_per_step=swarm.tokens_per_step,
    )
    moved = swarm.moved()
    sliced = [one for one in swarm.replicas if one.peers > 1]
    return SitesPlan(
        model=asked.model.name,
        parameters=swarm.parameters,
        method=swarm.method,
        exchange=swarm.exchange,
        sites=tuple(swarm.sites),
        replicas=tuple(swarm.replicas),
        inner_steps=swarm.inner_steps,
        tokens=whole,
        tokens_per_step=swarm.tokens_per_step,
        sequence_length=asked.length,
        step_time=step,
        sync_time=float(centre["sync_time"]),
        hidden_time=float(centre["hidden_time"]),
        period=period,
        moved=moved,
        daily=moved * DAY / period,
        reduction=float(
            traffic_reduction(swarm.inner_steps, parallel.method.exchanged, swarm.method.exchanged)
        ),
        needed_steps=int(inner_steps_for(GOAL, step, centre["sync_time"], centre["hidden_time"])),
        needed_bandwidth=_needed_bandwidth(swarm, share.value, step),
        chosen=_outcome("chosen", swarm, share, whole, kept or 1.0),
        alone=_alone(asked, swarm, sorts, batch, whole),
        parallel=_outcome(parallel.method.id, parallel, share, whole, kept or 1.0),
        loss=_nearest_loss(facts, swarm),
        join_time=join_time,
        mean_stay=mean_stay,
        newcomers=float(arrivals_needed(_members(swarm), mean_stay)) if mean_stay else None,
        kept=kept,
        if_held=_if_held(asked, swarm, sorts, share, whole) if sliced else None,
        smaller=_smaller(asked, swarm) if sliced else "",
        assumed=(*assumed, f"an exchange reaches {share.low:.0%} to {share.high:.0%} of a link"),
    )


def _needed_bandwidth(swarm: SwarmModel, share: float, step_time: float) -> float | None:
    """Of the slowest link, for so much computing as is aimed at. [B/s]"""
    needed = swarm.needed_share(GOAL, step_time)
    slowest = swarm.sites[swarm.slowest.site].bandwidth
    return None if needed is None else slowest * needed / share


def _members(swarm: SwarmModel) -> float:
    return float(sum(one.count * one.peers for one in swarm.replicas))


def _input(facts: Catalogue, name: str) -> Input:
    """A default, as an uncertain input."""
    figure = facts.figure("defaults", name, "value")
    span = span_of(figure)
    return Input(value=figure.value, low=span.low, high=span.high, why=figure.source)


def _outcome(
    name: str, swarm: SwarmModel, share: Input, tokens: float | None, kept: float
) -> Outcome:
    inputs = swarm.inputs(share)
    centre, spans = swarm(likely(inputs)), intervals_of(swarm, inputs)
    rate = float(centre["rate"]) * kept
    rates = spans["rate"]
    return Outcome(
        name=name,
        rate=rate,
        rates=Interval(low=rates.low * kept, middle=rates.middle * kept, high=rates.high * kept),
        utilization=float(centre["utilization"]),
        utilizations=spans["utilization"],
        duration=tokens / rate if tokens else None,
    )


def _alone(
    asked: Asked, swarm: SwarmModel, sorts: list[Sort], batch: int, tokens: float | None
) -> Outcome | None:
    """The fastest single site with the whole batch; None where no site holds the model."""
    whole = [one for one in sorts if one.peers == 1]
    if not whole:
        return None
    site = swarm.sites[max(whole, key=lambda one: one.rate).site]
    best = asked.plan(site, batch).best
    rate = best.tokens_per_second * site.speed
    low, high = best.step_time_interval
    slow, fast = (rate * best.step_time / time for time in (high, low))
    full = Interval(low=1.0, middle=1.0, high=1.0)
    return Outcome(
        name=site.text,
        rate=rate,
        rates=Interval(low=slow, middle=rate, high=fast),
        utilization=1.0,
        utilizations=full,
        duration=tokens / rate if tokens else None,
    )


def _if_held(
    asked: Asked, swarm: SwarmModel, sorts: list[Sort], share: Input, tokens: float | None
) -> Outcome:
    """All sites as replicas of their own, as if memory were no matter."""
    replicas = []
    for sort, replica in zip(sorts, swarm.replicas, strict=True):
        if sort.peers == 1:
            replicas.append(replica)
            continue
        site = swarm.sites[sort.site]
        part = slice_of(asked.model, sort.layers)
        rate = asked.plan(site, FIRST_PEER_BATCH, part).best.tokens_per_second * site.speed
        flops = [forward_flops_per_token(one, asked.length) for one in (part, asked.model)]
        time = asked.length / rate * flops[1] / flops[0]
        replicas.append(
            Replica(
                site=sort.site,
                count=site.count,
                peers=1,
                batch=1,
                step_time=time,
                spread=replica.spread,
                memory_bytes=replica.memory_bytes,
                accelerators=site.cluster.count,
            )
        )
    held = SwarmModel(
        swarm.parameters,
        swarm.method,
        swarm.exchange,
        swarm.inner_steps,
        sites=swarm.sites,
        replicas=replicas,
        tokens_per_step=float(sum(one.count * one.batch for one in replicas) * asked.length),
    )
    return _outcome("if held", held, share, tokens, 1.0)


def _smaller(asked: Asked, swarm: SwarmModel) -> str:
    """What a site that shares a replica could hold alone; empty where activations are too many."""
    sliced = [swarm.sites[one.site] for one in swarm.replicas if one.peers > 1]
    memory = min(
        (one.cluster.accelerator.memory_bytes or 0.0) * one.cluster.count for one in sliced
    )
    if asked.replica_bytes * swarm.parameters <= memory:
        return ""
    return largest_held(asked.facts, memory, asked.replica_bytes)


def _nearest_loss(facts: Catalogue, swarm: SwarmModel) -> PublishedLoss | None:
    """The published run nearest in size and replicas, of the same method where there is one."""
    if swarm.method.every_step or swarm.count < 2:
        return None
    entries = list(facts.entries("outer_losses").values())
    own = [entry for entry in entries if entry.text("method") == swarm.method.id]

    def distance(entry: Any) -> float:  # noqa: ANN401 - an Entry
        size = entry.require("parameters").value
        return abs(math.log(size / swarm.parameters)) + abs(
            math.log(entry.data["replicas"] / swarm.count)
        )

    best = min(own or entries, key=distance)
    return PublishedLoss(
        method=best.text("method"),
        parameters=best.require("parameters").value,
        replicas=int(best.data["replicas"]),
        inner_steps=int(best.data["inner_steps"]),
        excess=float(best.data["loss"]) / float(best.data["baseline"]) - 1.0,
        source=best.text("source"),
    )
