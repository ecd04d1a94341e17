"""From what a person types to a question about a long run: of a plan or on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from clusterwright.asking import find_cluster, quantity_of, whole_number
from clusterwright.asking_model import find_model
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import shipped, usual
from clusterwright.fleet.facts import (
    causes_of,
    failure_inputs,
    shares_of,
    storage_bandwidth,
)
from clusterwright.fleet.records import Cause, RunQuestion, Tier
from clusterwright.hardware import Cluster
from clusterwright.model.parameters import count_parameters
from clusterwright.model.records import Model
from clusterwright.planner import load_plan
from clusterwright.site.machine import host_size
from clusterwright.training.plan import TrainingPlan
from clusterwright.uncertain import Input, from_interval, known, scaled
from clusterwright.units import format_count, parse

USUAL_PARAMETERS = 405e9
"""Of a model that nobody names: the largest that is published with all that failed on the way."""
FILLED = 0.5
"""Share of the memory that the state of such a model takes at most."""
"""Accelerators of one host at most; what the catalogue calls a node and is larger has several."""
WATCHED = "30d"
TIMES = {
    "detect": "detection",
    "restart": "restart",
    "exchange": "exchange",
    "regroup": "regroup",
    "pause": "save_pause",
}
"""Options that are times, and the inputs that they set."""
MOST_SLOWER = 10.0
"""A step that takes eleven times as long is a mistyped share."""
MOST_DRAWS = 100_000


def ask_run(
    target: str | None = None,
    *,
    accelerator: str | None = None,
    accelerators: str | int | None = None,
    model: str | None = None,
    parameters: str | float | None = None,
    days: str | None = None,
    work: str | None = None,
    rate: str | None = None,
    tier: str | None = None,
    interval: str | None = None,
    storage: str | None = None,
    spares: str | int | None = None,
    replica: str | int | None = None,
    elastic: bool = False,
    stragglers: float = 0.0,
    draws: str | int | None = None,
    seed: int = 0,
    catalogue: Catalogue | None = None,
    **times: str | None,
) -> RunQuestion:
    """Put a question about a long run together.

    Parameters
    ----------
    target
        The path of a saved training plan, or the name of a cluster.
    accelerator, accelerators
        Instead of a cluster: a kind of accelerator, and how many; or how many of the cluster's.
    model, parameters
        Whose state checkpoints keep.
    days, work
        How long to watch, such as ``54d``; or how long the run would take if nothing failed.
    rate
        Unexpected interruptions of eight accelerators, such as ``3.8e-3/d``.
    tier
        ``remote-sync``, ``remote``, ``local`` or ``memory``; by default the simplest of the best.
        ``replica``: a broken data-parallel replica starts again alone, and the others go on.
    interval
        Between checkpoints, such as ``10min``; by default the best.
    storage
        Bandwidth of shared storage, such as ``2 TB/s``.
    spares
        Nodes that stand by; by default as many as it takes.
    replica
        Accelerators of one data-parallel replica.
    elastic
        Go on with fewer replicas when no spare is left.
    stragglers
        How much longer a step takes for the slowest node, beyond what a plan counts.
    draws, seed
        How often it is played, and the seed.
    times
        ``detect``, ``restart``, ``exchange``, ``regroup``, ``pause`` (of a checkpoint): as
        `clusterwright.fleet.goodput` has them.

    Raises
    ------
    InputError
        Something is missing, or makes no sense.
    """
    facts = catalogue or shipped()
    plan = _saved(target, accelerator, accelerators)
    cluster = plan.question.cluster if plan else _machine(target, accelerator, accelerators, facts)
    count = plan.best.accelerators if plan else cluster.count
    assumed: list[str] = []
    if not 0.0 <= stragglers <= MOST_SLOWER:
        raise InputError(f"--stragglers is {stragglers:g}, but is a share such as 0.03 or 3%")
    size = _size(plan, cluster, (model, parameters), facts, assumed)
    inputs, causes = _inputs(cluster, size, rate, facts)
    if stragglers:
        inputs["stragglers"] = known(stragglers, why="as asked for")
    if storage is not None:
        inputs["storage_bandwidth"] = known(
            quantity_of(storage, "B/s", "--storage", above=True), "B/s"
        )
    if plan:
        low, high = plan.best.step_time_interval
        inputs["step_time"] = from_interval(low, plan.best.step_time, high, "s")
    for option, name in TIMES.items():
        if times.get(option) is not None:
            inputs[name] = known(quantity_of(str(times[option]), "s", f"--{option}"), "s")
    span, watched = _span(plan, days, work, assumed)
    node, kept = min(count, host_size(cluster, facts)), _tier(tier)
    whole = elastic or kept == "replica"
    if seed < 0:
        raise InputError(f"--seed is {seed}, but must be zero or more")
    return RunQuestion(
        machine=cluster.name,
        accelerators=count,
        node_size=node,
        replica=_replica(plan, replica, node, count, whole=whole),
        inputs=inputs,
        causes=causes,
        work=span,
        horizon=watched,
        tier=kept,
        interval=None if interval is None else quantity_of(interval, "s", "--interval", above=True),
        spares=None if spares is None else _count(spares, "--spares"),
        elastic=elastic,
        draws=None if draws is None else _draws(draws),
        seed=seed,
        assumed=tuple(assumed),
    )


def failures_of(
    cluster: Cluster, model: Model, *, catalogue: Catalogue, rate: str | None = None
) -> RunQuestion:
    """A run of a model on a cluster as far as failures go; how long it takes is left open.

    ``rate``: unexpected interruptions of eight accelerators, such as ``3.8e-3/d``, if asked for.
    """
    size = float(count_parameters(model).total)
    inputs, causes = _inputs(cluster, size, rate, catalogue, option="--failure-rate")
    node = min(cluster.count, host_size(cluster, catalogue))
    return RunQuestion(
        machine=cluster.name,
        accelerators=cluster.count,
        node_size=node,
        replica=node,
        inputs=inputs,
        causes=causes,
    )


def _inputs(
    cluster: Cluster,
    parameters: float,
    rate: str | None,
    facts: Catalogue,
    *,
    option: str = "--rate",
) -> tuple[dict[str, Input], tuple[Cause, ...]]:
    """Rates, times and bandwidths of a cluster's runs, and the causes of their failures."""
    chip = cluster.accelerator
    inputs = failure_inputs(facts, family="tpu" if chip.id.startswith("tpu") else "gpu")
    if rate is not None:
        asked = known(quantity_of(rate, "1/s", option, above=True), "1/s", "as asked for")
        inputs |= {"large_rate": asked, "small_rate": asked}
    causes = causes_of(facts, inputs["large_rate"].value)
    host = cluster.host_bandwidth or inputs["node_bandwidth"].value
    return {
        **inputs,
        **shares_of(causes),
        "checkpoint_bytes": scaled(usual(facts, "checkpoint-bytes"), parameters),
        "storage_bandwidth": storage_bandwidth(facts, cluster.count),
        "host_bandwidth": known(host, "B/s"),
        "network_bandwidth": known(cluster.levels[-1].bandwidth, "B/s"),
    }, causes


def _saved(
    target: str | None, accelerator: str | None, accelerators: str | int | None
) -> TrainingPlan | None:
    """The plan, if it is a file that was named."""
    if target is not None and not target.strip():
        raise InputError("the machine has no name: give one, such as meta-24k, or a saved plan")
    if target is None or not (Path(target).exists() or target.endswith(".json")):
        return None
    if (accelerator, accelerators) != (None, None):
        raise InputError("a plan has its machine: leave out --accelerator and --accelerators")
    return load_plan(Path(target))


def _machine(
    target: str | None,
    accelerator: str | None,
    accelerators: str | int | None,
    catalogue: Catalogue,
) -> Cluster:
    if target is None and accelerator is None:
        raise InputError(
            "name a saved plan or a cluster, or give --accelerator h100 --accelerators 16384"
        )
    count = None if accelerators is None else whole_number(accelerators, "--accelerators")
    return find_cluster(target, accelerator, count, catalogue)


def _size(
    plan: TrainingPlan | None,
    cluster: Cluster,
    asked: tuple[str | None, str | float | None],
    catalogue: Catalogue,
    assumed: list[str],
) -> float:
    """Parameters whose state checkpoints keep."""
    model, parameters = asked
    if model is not None and parameters is not None:
        raise InputError("--model and --parameters both say how large checkpoints are; give one")
    if model is not None:
        return float(count_parameters(find_model(model, catalogue)).total)
    if parameters is not None:
        return float(whole_number(parameters, "--parameters"))
    if plan is not None:
        return float(count_parameters(plan.question.model).total)
    memory = cluster.accelerator.memory_bytes
    if memory is None:
        raise InputError(
            f"how large is the model? nobody says how much memory {cluster.accelerator.id} has: "
            "give --parameters or --model"
        )
    most = FILLED * memory * cluster.count / usual(catalogue, "checkpoint-bytes").value
    fits = min(USUAL_PARAMETERS, most)
    assumed.append(f"a model of {format_count(fits)} parameters")
    return fits


def _span(
    plan: TrainingPlan | None, days: str | None, work: str | None, assumed: list[str]
) -> tuple[float | None, float | None]:
    """Work to do, or a time to watch. [s]"""
    if days is not None and work is not None:
        raise InputError("--days watches a run for a time and --work until it is done; give one")
    if work is not None:
        return quantity_of(work, "s", "--work", above=True), None
    if days is not None:
        return None, quantity_of(days, "s", "--days", above=True)
    if plan is not None and plan.totals is not None:
        return plan.totals.duration, None
    assumed.append(f"watched for {WATCHED.removesuffix('d')} days")
    return None, parse(WATCHED, "s")


def _replica(
    plan: TrainingPlan | None,
    asked: str | int | None,
    node_size: int,
    count: int,
    *,
    whole: bool,
) -> int:
    """Accelerators of one replica; ``whole``: the run goes on by whole replicas, two or more."""
    size = node_size
    if asked is not None:
        size = whole_number(asked, "--replica")
        if size > count or size % node_size:
            raise InputError(
                f"--replica is {size:,}, but must be whole nodes of {node_size}, {count:,} at most"
            )
    elif plan is not None:
        cut = plan.best.strategy
        size = -(-cut.tp * cut.cp * cut.pp // node_size) * node_size
    elif whole:
        raise InputError(
            "to go on without broken replicas their size is needed: give --replica, the "
            "accelerators of one data-parallel replica, or a saved plan"
        )
    if whole and (count % size or size == count):
        raise InputError(_no_replicas(size, node_size, count))
    return size


def _no_replicas(size: int, node_size: int, count: int) -> str:
    """What is wrong with a size of replicas, and the nearest that divides the machine."""
    nodes = count // node_size
    divisors = [one for one in range(1, nodes // 2 + 1) if nodes % one == 0]
    wrong = f"{count:,} accelerators are not two or more whole replicas of {size:,}"
    if count % node_size or not divisors:
        return f"{wrong}: take a number of accelerators that such replicas fill"
    nearest = min(divisors, key=lambda one: abs(one * node_size - size))
    return f"{wrong}: give --replica {nearest * node_size}"


def _tier(asked: str | None) -> Tier | None:
    known_tiers: tuple[Tier, ...] = get_args(Tier)
    if asked is None or asked == "auto":
        return None
    for one in known_tiers:
        if one == asked:
            return one
    raise InputError(f"--tier is {asked!r}; choose from auto, {', '.join(known_tiers)}")


def _draws(asked: str | int) -> int:
    found = whole_number(asked, "--draws")
    if found > MOST_DRAWS:
        raise InputError(f"--draws is {found:,}, but can be {MOST_DRAWS:,} at most")
    return found


def _count(asked: str | int, option: str) -> int:
    return 0 if asked in (0, "0") else whole_number(asked, option)
