"""``clusterwright plan train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from clusterwright.asking import ask_training, catalogue_with
from clusterwright.asking_account import with_account
from clusterwright.cli.answers import Answer
from clusterwright.cli.location_options import LocationOptions
from clusterwright.cli.options import JobOptions, MachineOptions
from clusterwright.cli.sites_options import SitesOptions
from clusterwright.errors import InputError
from clusterwright.planner import plan_training
from clusterwright.planner_limits import ask_limits, plan_within
from clusterwright.report.limits_text import limited_text
from clusterwright.report.text import plan_text
from clusterwright.saving import save_plan
from clusterwright.training.pins import parse_pins

JOB, MACHINE, SITES, PLACE = JobOptions(), MachineOptions(), SitesOptions(), LocationOptions()
MOST = "131072"
"""Accelerators that limits may take of a kind, unless told otherwise."""


def train(
    model: str,
    /,
    *,
    job: JobOptions = JOB,
    machine: MachineOptions = MACHINE,
    sites: SitesOptions = SITES,
    place: LocationOptions = PLACE,
    budget: str | None = None,
    deadline: str | None = None,
    power: str | None = None,
    sure: Annotated[bool, Parameter(negative=())] = False,
    failure_rate: str | None = None,
    objective: Literal["time", "cost", "memory"] = "time",
    pin: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    save: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Find the best strategy that fits for a training run.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
    budget
        What the run may cost, such as $40M: as many accelerators as that allows.
    deadline
        By when it must be done, failures counted, such as 60d: as few as that takes.
    power
        What the site may draw at most, such as 150MW.
    sure
        Limits are kept by nine runs in ten, and not by the likely one alone.
    failure_rate
        Unexpected interruptions of eight accelerators, such as 3.8e-3/d [default: as published].
    objective
        What is to be least: time of a step, cost (accelerator-hours), or memory.
    pin
        Fix a choice, such as --pin tp=8 --pin recompute=full (may be repeated).
    save
        Write the plan to this file, for ``replay``.
    json
        Print the plan as JSON.
    """
    facts = catalogue_with(machine.catalogue)
    if sites.asked:
        if save:
            raise InputError("a plan over several sites cannot be saved for replay; use --json")
        limited = {"budget": budget, "deadline": deadline, "power": power, "sure": sure or None}
        limited["failure_rate"] = failure_rate
        _refuse_beside_sites(place, limited)
        choices = {"objective": objective, "pins": parse_pins(pin), **job.workload()}
        return _train_over_sites(model, machine, sites, choices, json=json)
    limits = ask_limits(budget=budget, deadline=deadline, power=power, sure=sure)
    where = machine.place()
    if limits.any and machine.accelerator and machine.accelerators is None:
        where["accelerators"] = MOST
    question = ask_training(
        model,
        objective=objective,
        pins=parse_pins(pin),
        catalogue=facts,
        **where,
        **job.workload(),
    )
    question = with_account(
        question, options=place.site(), failure_rate=failure_rate, catalogue=facts
    )
    if limits.any:
        found = plan_within(question, limits, catalogue_hash=facts.hash)
        plan, text = found.plan, limited_text(found)
    else:
        plan = plan_training(question, catalogue_hash=facts.hash)
        text = plan_text(plan)
    if save:
        save_plan(plan, save)
    return Answer(plan, lambda: text, json=json)


def _refuse_beside_sites(place: LocationOptions, limited: dict[str, Any]) -> None:
    """What is not counted over several sites is refused, not left unread."""
    given = [name for name, value in limited.items() if value is not None]
    given += [name for name, value in vars(place).items() if value != getattr(PLACE, name)]
    if given:
        raise InputError(
            f"--{given[0].replace('_', '-')} is about one site: leave it out, or name a machine "
            f"instead of --sites"
        )


def _train_over_sites(
    model: str,
    machine: MachineOptions,
    sites: SitesOptions,
    choices: dict[str, Any],
    *,
    json: bool,
) -> Answer:
    """The same over several sites."""
    from clusterwright.planner_sites import plan_sites
    from clusterwright.report.sites_text import sites_text

    for option in ("cluster", "accelerator", "accelerators"):
        if getattr(machine, option) is not None:
            raise InputError(f"--{option} and --sites both name the machine; give one of them")
    plan = plan_sites(
        model,
        sites.sites or "",
        catalogue=catalogue_with(machine.catalogue),
        software=machine.software,
        **sites.given(),
        **choices,
    )
    return Answer(plan, lambda: sites_text(plan), json=json)
