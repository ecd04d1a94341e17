"""Estimate one strategy from records alone; the catalogue supplies the efficiency profile."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from clusterwright.catalogue.store import Catalogue
from clusterwright.facts import from_entry, profile_of, shipped
from clusterwright.hardware import Cluster
from clusterwright.model.records import Model
from clusterwright.software import Software, Stack
from clusterwright.strategy import Strategy
from clusterwright.training.estimate import TrainingEstimate, estimate_with, make_evaluator
from clusterwright.training.intervals import Intervals
from clusterwright.training.settings import Settings
from clusterwright.workload import TrainingWorkload


@lru_cache(maxsize=8)
def settings_of(catalogue: Catalogue) -> Settings:
    """The cost model's own assumptions."""
    return from_entry(Settings, catalogue.entry("settings", "training"))


@lru_cache(maxsize=8)
def intervals_of(catalogue: Catalogue) -> Intervals:
    """How published runs came out against their predictions, by what makes them differ."""
    return from_entry(Intervals, catalogue.entry("settings", "intervals"))


def software_named(catalogue: Catalogue, name: str) -> Software:
    """A framework by id, with what was fitted of it."""
    return with_stack(catalogue, from_entry(Software, catalogue.entry("software", name)))


def with_stack(catalogue: Catalogue, software: Software) -> Software:
    """Add the factors that were fitted of a framework, where there are some."""
    entry = catalogue.entries("stacks").get(software.id)
    if entry is None:
        return software
    return msgspec.structs.replace(software, stack=from_entry(Stack, entry))


def estimate_training(
    model: Model,
    cluster: Cluster,
    workload: TrainingWorkload,
    strategy: Strategy,
    *,
    software: Software,
    catalogue: Catalogue | None = None,
) -> TrainingEstimate:
    """Time, memory and waterfall of one strategy.

    Memory that does not fit is reported (``fits``), not refused.

    Raises
    ------
    InputError
        When sizes do not multiply out, or the chip lacks a figure that is needed.
    """
    facts = catalogue or shipped()
    settings = settings_of(facts)
    evaluator = make_evaluator(
        model,
        cluster,
        workload,
        software=software,
        profile=profile_of(facts, cluster),
        settings=settings,
    )
    return estimate_with(evaluator, strategy, intervals=intervals_of(facts))
