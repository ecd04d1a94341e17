"""What the catalogue says of failures, as inputs and causes of a run."""

from __future__ import annotations

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import CatalogueError, InputError
from clusterwright.facts import usual
from clusterwright.fleet.records import Cause
from clusterwright.formulas.pooling import further_reach, middle_rate
from clusterwright.uncertain import Input, from_interval, known

FEWEST = 2
"""Studies that a rate is pooled from at least."""
DEFAULTS = {
    "small_size": "run-small-size",
    "large_size": "run-large-size",
    "planned_rate": "run-planned",
    "planned_most": "run-planned-most",
    "detection": "run-detection",
    "restart": "run-restart",
    "exchange": "run-exchange",
    "node_bandwidth": "storage-node-link",
    "disk_bandwidth": "storage-disk",
    "storage_share": "checkpoint-duty",
    "silent_latency": "silent-latency",
    "regroup": "run-regroup",
    "save_pause": "run-save-pause",
    "step_time": "run-step",
}
"""Inputs that are defaults of the catalogue, by id."""


def pooled_rate(
    catalogue: Catalogue, regime: str, *, family: str = "gpu", without: tuple[str, ...] = ()
) -> Input:
    """Failures of eight accelerators as a further study would find them. [1/s]

    Parameters
    ----------
    catalogue
        The facts.
    regime
        ``large`` runs or ``small`` jobs.
    family
        ``gpu`` or ``tpu``; a family with one study takes its rate and the spread of all, one with
        none takes those of all.
    without
        Studies to leave out, by id: to predict one from the others.

    Raises
    ------
    InputError
        Fewer than two studies are left.
    """
    every = [
        entry
        for entry in catalogue.entries("failure_rates").values()
        if _is_of(entry, regime) and entry.id not in without
    ]
    own = [entry for entry in every if entry.text("family") == family]
    spread = own if len(own) >= FEWEST else every
    if len(spread) < FEWEST:
        raise InputError(f"too few studies of failures of {regime} jobs: give --rate")
    chosen = own or every
    middle = float(middle_rate(_rates(chosen)))
    factor = float(further_reach(_rates(spread)))
    names = ", ".join(entry.name for entry in chosen)
    found = from_interval(middle / factor, middle, middle * factor, "1/s")
    return Input(
        value=middle,
        low=max(found.low, middle / factor**3),
        high=found.high,
        dimension="1/s",
        why=f"{len(chosen)} studies: {names}" if len(chosen) > 1 else names,
    )


def _rates(studies: list[Entry]) -> list[float]:
    rates = [study.require("node_rate").value for study in studies]
    for study, rate in zip(studies, rates, strict=True):
        if not rate > 0.0:
            raise CatalogueError(
                f"failure rate {study.id!r} is {rate:g}/s, of which there is no mean: "
                f"give a node_rate above 0, or leave the study out"
            )
    return rates


def _is_of(entry: Entry, regime: str) -> bool:
    """Whether a study is of a regime; large runs fail as a fleet's hardware and systems do."""
    fleet = entry.text("regime") == "fleet" and entry.text("scope") == "infrastructure"
    return entry.text("regime") == regime or (fleet and regime == "large")


def failure_inputs(catalogue: Catalogue, *, family: str = "gpu") -> dict[str, Input]:
    """Rates and times of failures that nobody gave."""
    found = {name: usual(catalogue, default) for name, default in DEFAULTS.items()}
    found["stragglers"] = known(0.0, why="none but those that a plan counts")
    found["large_rate"] = pooled_rate(catalogue, "large", family=family)
    found["small_rate"] = pooled_rate(catalogue, "small", family=family)
    return found


def causes_of(catalogue: Catalogue, node_rate: float) -> tuple[Cause, ...]:
    """Causes of interruptions, their shares summing to 1.

    What takes several nodes and has a rate of its own takes the share that this has of
    ``node_rate``, the rate of eight accelerators of all causes. [1/s] What is shared but takes one
    node is among the others already.
    """
    shares: dict[str, float] = {}
    entries = catalogue.entries("failure_causes")
    for entry in entries.values():
        share, nodes = entry.value("share"), entry.require("nodes").value
        if entry.text("group") == "shared":
            share = (entry.value("rate") or 0.0) / nodes / node_rate if nodes > 1.0 else 0.0
        shares[entry.id] = share or 0.0
    total = sum(shares.values())
    return tuple(
        Cause(
            id=name,
            name=entries[name].name,
            group=entries[name].text("group"),
            share=share / total,
            hard=1.0 if entries[name].data.get("hard") else 0.0,
            repair=entries[name].value("repair") or 0.0,
            nodes=max(1, round(entries[name].require("nodes").value)),
            silent=bool(entries[name].data.get("silent")),
        )
        for name, share in shares.items()
        if share > 0.0
    )


def shares_of(causes: tuple[Cause, ...]) -> dict[str, Input]:
    """What the closed form needs of causes: shares that exchange nodes, several, or are silent."""
    hard = sum(cause.share * cause.hard for cause in causes)
    several = sum(cause.share * cause.hard for cause in causes if cause.nodes > 1)
    silent = sum(cause.share for cause in causes if cause.silent)
    return {
        "hard_share": known(hard),
        "correlated_share": known(several),
        "silent_share": known(silent),
    }


def storage_bandwidth(catalogue: Catalogue, accelerators: int) -> Input:
    """Shared storage of a cluster, as such clusters have it. [B/s]"""
    each, most = usual(catalogue, "storage-per-accelerator"), usual(catalogue, "storage-most")
    return Input(
        value=min(each.value * accelerators, most.value),
        low=min(each.low * accelerators, most.low),
        high=min(each.high * accelerators, most.high),
        dimension="B/s",
        why=each.why,
    )
