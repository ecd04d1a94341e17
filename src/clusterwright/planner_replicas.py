"""Replicas at work: which sites hold one, which share one, and what each does with its batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from clusterwright.asking import ask_on
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InfeasibleError
from clusterwright.model.parameters import count_parameters
from clusterwright.model.records import Model
from clusterwright.planner import plan_training
from clusterwright.swarm.peers import peers_needed, relayed_step, slice_of
from clusterwright.swarm.sharing import deal
from clusterwright.swarm.things import Replica, Site
from clusterwright.training.plan import TrainingPlan, TrainingQuestion
from clusterwright.units import format_quantity

HANDHELD = ("phone", "soc")
"""Kinds of accelerators of which one is a whole device."""
PASSES = 3
"""How often the batch is dealt anew: a site is faster with a larger share."""
FIRST_PEER_BATCH = 8
"""Sequences with which the pace of a peer's chip is found."""


class Sort(NamedTuple):
    """How replicas of one sort of site work, before the batch is dealt: whole, or in slices."""

    site: int
    replicas: int
    peers: int
    layers: int
    rate: float
    idle: int


class Asked(NamedTuple):
    """What does not change from plan to plan."""

    model: Model
    facts: Catalogue
    choices: Mapping[str, Any]
    length: int
    replica_bytes: float

    @property
    def batch_given(self) -> bool:
        """Whether somebody asked for a batch."""
        return bool(self.choices.get("batch_tokens") or self.choices.get("batch_sequences"))

    def question(self, site: Site, batch: int, model: Model | None = None) -> TrainingQuestion:
        """One site's question, with its share of the batch; of a part of the model."""
        given = {**self.choices, "batch_sequences": batch, "batch_tokens": None}
        pins = given.pop("pins") or {}
        if model is not None:
            pins = {name: value for name, value in pins.items() if name not in ("pp", "vpp")}
        return ask_on(model or self.model, site.cluster, catalogue=self.facts, pins=pins, **given)

    def plan(self, site: Site, batch: int, model: Model | None = None) -> TrainingPlan:
        """Its plan."""
        return plan_training(self.question(site, batch, model), catalogue_hash="")


def ask_all(
    model: Model, sites: tuple[Site, ...], facts: Catalogue, choices: Mapping[str, Any]
) -> tuple[Asked, int, tuple[str, ...]]:
    """What all sites have in common, the batch of all of them, and what was assumed."""
    given = {"pins": None, **choices}
    most = max(sites, key=lambda site: site.count * site.cluster.count)
    question = ask_on(model, most.cluster, catalogue=facts, **given)
    job = question.workload
    theirs = {note for site in sites for note in site.cluster.assumed}
    shown = [note for site in sites for note in _of_machine(site)]
    own = [note for note in question.assumed if note not in theirs]
    notes = tuple(dict.fromkeys([*own, *shown]))
    length, bytes_each = job.sequence_length, facts.figure("defaults", "replica-bytes", "value")
    given["sequence_length"] = length
    return Asked(model, facts, given, length, bytes_each.value), job.global_batch, notes


def _of_machine(site: Site) -> list[str]:
    """What is assumed of a site's machine; of one accelerator alone, no network."""
    notes = site.cluster.assumed
    return [note for note in notes if site.cluster.count > 1 or note.startswith("host memory")]


def sort_of(asked: Asked, sites: tuple[Site, ...], number: int, batch: int) -> Sort:
    """Whether a site holds a replica, or how many peers share one; and their rate."""
    site = sites[number]
    accelerators = sum(one.count * one.cluster.count for one in sites)
    share = max(1, round(batch * site.cluster.count / accelerators))
    try:
        plan = asked.plan(site, share)
    except InfeasibleError as error:
        return _sliced(asked, site, number, str(error))
    rate = plan.best.tokens_per_second * site.speed
    return Sort(number, site.count, 1, asked.model.num_layers, rate, 0)


def _sliced(asked: Asked, site: Site, number: int, because: str) -> Sort:
    """Replicas of peers, each with as many layers as fit."""
    layers, rate = _most_layers(asked, site)
    memory = (site.cluster.accelerator.memory_bytes or 0.0) * site.cluster.count
    peers = peers_needed(asked.model, layers, memory, asked.replica_bytes) if layers else 0
    if not layers or peers > site.count:
        raise InfeasibleError(_too_small(asked, site, memory, peers, because))
    one = asked.length / rate
    time, _ = relayed_step(
        site, asked.model, peers=peers, batch=peers, length=asked.length, slice_time=one
    )
    count = site.count // peers
    return Sort(number, count, peers, layers, peers * asked.length / time, site.count % peers)


def _most_layers(asked: Asked, site: Site) -> tuple[int, float]:
    """The most layers that fit on a peer, and the tokens a second that it passes them through."""
    low, high, best = 0, asked.model.num_layers, 0.0
    while low < high:
        middle = (low + high + 1) // 2
        try:
            plan = asked.plan(site, FIRST_PEER_BATCH, slice_of(asked.model, middle))
        except InfeasibleError:
            high = middle - 1
        else:
            low, best = middle, plan.best.tokens_per_second * site.speed
    return low, best


def _too_small(asked: Asked, site: Site, memory: float, peers: int, because: str) -> str:
    """Why a site cannot take part, and what would help."""
    need = asked.replica_bytes * count_parameters(asked.model).total
    chip = site.cluster.accelerator
    each = chip.memory_bytes or math.inf
    words = (
        f"site {site.text!r} cannot hold {asked.model.name}: training it takes about "
        f"{format_quantity(need, 'B')} ({asked.replica_bytes:g} B a parameter, activations apart), "
        f"and it has {format_quantity(memory, 'B')}"
    )
    if peers:
        hosted = chip.kind not in HANDHELD
        join = f"join {math.ceil(need / each):,} {chip.id} in one site, " if hosted else ""
        less = (
            f"train {largest_held(asked.facts, memory, asked.replica_bytes)} or less"
            if need > memory
            else "shorten --seq-len, for it is activations that do not fit"
        )
        return (
            f"{words}; sliced over peers it takes {peers:,} of these sites, and there are "
            f"{site.count:,}: name more, {join}or {less}"
        )
    return f"{words}, too little for one of its layers even: {because}"


def largest_held(facts: Catalogue, memory: float, replica_bytes: float) -> str:
    """The largest model of the catalogue of which a replica keeps no more than a memory."""
    sizes = {
        name: float(entry.data.get("parameters_counted", 0))
        for name, entry in facts.entries("models").items()
    }
    held = [(size, name) for name, size in sizes.items() if 0 < size * replica_bytes <= memory]
    return max(held)[1] if held else "a smaller model of your own"


def replicas_of(
    asked: Asked, sites: tuple[Site, ...], sorts: list[Sort], batch: int
) -> tuple[Replica, ...]:
    """Deal the batch, and plan each sort of replica with its share.

    A batch that nobody asked for grows until the slowest has enough to do, and the others as long.
    """
    # A pipeline of peers with fewer sequences than peers would be idle for most of the time.
    least = [1 if asked.batch_given else one.peers for one in sorts]
    rates = [one.rate for one in sorts]
    found: tuple[Replica, ...] = ()
    for _ in range(PASSES):
        whole = batch
        if not asked.batch_given:
            longest = max(fewest / rate for fewest, rate in zip(least, rates, strict=True))
            every = sum(rate * one.replicas for rate, one in zip(rates, sorts, strict=True))
            whole = max(batch, math.ceil(longest * every))
        shares = deal(
            whole,
            rates,
            [one.replicas for one in sorts],
            sizes=[sites[one.site].cluster.count if one.peers == 1 else 1 for one in sorts],
            least=least,
        )
        found = tuple(
            _replica(asked, sites[sort.site], sort, share)
            for sort, share in zip(sorts, shares, strict=True)
        )
        rates = [one.batch * asked.length / one.step_time for one in found]
        if len(sorts) == 1:
            break
    return found


def _replica(asked: Asked, site: Site, sort: Sort, batch: int) -> Replica:
    part = None if sort.peers == 1 else slice_of(asked.model, sort.layers)
    best = asked.plan(site, batch if part is None else FIRST_PEER_BATCH, part).best
    # A hot phone is slower, and nobody knows how much.
    low, high = best.step_time_interval
    times = [best.step_time / site.speed, low / site.fastest, high / site.slowest]
    relayed, strategy = False, None if part else best.strategy
    if part is not None:
        steps = [
            relayed_step(
                site,
                asked.model,
                peers=sort.peers,
                batch=batch,
                length=asked.length,
                slice_time=time / FIRST_PEER_BATCH,
            )
            for time in times
        ]
        times, relayed = [time for time, _ in steps], steps[0][1]
    return Replica(
        site=sort.site,
        count=sort.replicas,
        peers=sort.peers,
        batch=batch,
        step_time=times[0],
        spread=(times[1] / times[0], times[2] / times[0]),
        memory_bytes=best.memory_bytes,
        accelerators=strategy.accelerators if strategy else sort.peers * site.cluster.count,
        strategy=strategy,
        relayed=relayed,
        idle=sort.idle,
    )
