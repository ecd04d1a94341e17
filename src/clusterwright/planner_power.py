"""From a plan and a place to the power of the job over time."""

from __future__ import annotations

from clusterwright.asking import quantity_of
from clusterwright.asking_prices import AS_USUAL, SiteOptions
from clusterwright.asking_run import failures_of
from clusterwright.asking_site import site_of
from clusterwright.catalogue.store import Catalogue
from clusterwright.engines.power_trace import Trace
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.fleet.goodput import checkpoints
from clusterwright.site.machine import machine_of
from clusterwright.site.outlook import look_at_site
from clusterwright.site.power import power_inputs
from clusterwright.site.run import best_tier
from clusterwright.site.trace import PowerQuestion, PowerReport, follow_power, watts_of
from clusterwright.training.plan import TrainingPlan
from clusterwright.uncertain import likely
from clusterwright.units import format_quantity

SECONDS = 60.0


def power_over_time(
    plan: TrainingPlan,
    *,
    seconds: float = SECONDS,
    jitter: str = "10ms",
    floor: float = 0.0,
    storage: str | None = None,
    ramp: str | None = None,
    seed: int = 0,
    options: SiteOptions = AS_USUAL,
    catalogue: Catalogue | None = None,
) -> tuple[PowerReport, Trace]:
    """Follow the power of a plan's job at its site.

    Parameters
    ----------
    plan
        What runs.
    seconds
        For how long. [s]
    jitter
        By how much nodes are early or late, such as ``10ms``.
    floor
        Power below which idle accelerators burn some, as a share of the mean.
    storage
        Energy of storage for each accelerator, such as ``65 J``.
    ramp
        Fastest change that the grid allows, such as ``1 MW`` a second.
    seed
        Of the jitter.
    options, catalogue
        Where it stands, and the facts.

    Raises
    ------
    InputError
        A number that cannot be.
    """
    if not 0.0 <= floor <= 1.0:
        raise InputError(f"--floor is {floor:g}, but is a share of the mean power: 0 to 1")
    if not 0.0 < seconds <= 3600.0:
        raise InputError(f"--seconds is {seconds:g}, but must be above 0 and at most 3600")
    if seed < 0:
        raise InputError(f"--seed is {seed}, but must be zero or more")
    facts = catalogue or shipped()
    best = plan.best
    late = quantity_of(jitter, "s", "--jitter")
    if late > best.step_time:
        raise InputError(
            f"--jitter is {jitter}, but nodes wait for each other in each step of "
            f"{format_quantity(best.step_time, 's')}: give less"
        )
    here = machine_of(plan.question.cluster, facts)
    asked = site_of(here, options=options, catalogue=facts)
    site = look_at_site(asked, depth=False).likely
    machine, x = asked.machine, likely(asked.inputs)
    size = machine.node_size
    given = likely(power_inputs(facts, plan.question.cluster.accelerator.id))
    share = best.accelerators / machine.count
    question = PowerQuestion(
        nodes=-(-best.accelerators // size),
        node_size=size,
        watts=watts_of(
            given,
            (x["idle_power"] * size, x["node_power"] * x["peak_share"] * size),
            (site["network_watts"] + site["storage_watts"]) * share,
        ),
        pue=site["pue"],
        duration=seconds,
        jitter=late,
        checkpoint=_checkpoints(plan, facts),
        floor=floor,
        storage=0.0 if storage is None else quantity_of(storage, "J", "--storage"),
        ramp=None if ramp is None else quantity_of(ramp.removesuffix("/s").strip(), "W", "--ramp"),
        rated=x["node_power"] * size,
        seed=seed,
    )
    return follow_power(best, question)


def _checkpoints(plan: TrainingPlan, facts: Catalogue) -> tuple[float, float]:
    """How often the best way to keep checkpoints stops all, and for how long. [s]"""
    failures = failures_of(plan.question.cluster, plan.question.model, catalogue=facts)
    centre = likely(failures.inputs)
    tier, (interval, _) = best_tier(failures, centre)
    return interval, float(checkpoints(failures, tier, centre).stall)
