"""``clusterwright plan train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from clusterwright.asking import ask_training, catalogue_with
from clusterwright.cli.options import JobOptions, MachineOptions, write, write_json
from clusterwright.cli.site_options import SiteOptions
from clusterwright.errors import InputError
from clusterwright.planner import plan_training
from clusterwright.report.text import plan_text
from clusterwright.saving import save_plan
from clusterwright.training.pins import parse_pins

JOB, MACHINE, PLACES = JobOptions(), MachineOptions(), SiteOptions()


def train(
    model: str,
    /,
    *,
    job: JobOptions = JOB,
    machine: MachineOptions = MACHINE,
    places: SiteOptions = PLACES,
    objective: Literal["time", "cost", "memory"] = "time",
    pin: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    save: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Find the best strategy that fits for a training run.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
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
    if places.asked:
        if save:
            raise InputError("a plan over several sites cannot be saved for replay; use --json")
        choices = {"objective": objective, "pins": parse_pins(pin), **job.workload()}
        _train_over_sites(model, machine, places, choices, json=json)
        return
    question = ask_training(
        model,
        objective=objective,
        pins=parse_pins(pin),
        catalogue=facts,
        **machine.place(),
        **job.workload(),
    )
    plan = plan_training(question, catalogue_hash=facts.hash)
    if save:
        save_plan(plan, save)
    if json:
        write_json(plan)
    else:
        write(plan_text(plan))


def _train_over_sites(
    model: str, machine: MachineOptions, places: SiteOptions, choices: dict[str, Any], *, json: bool
) -> None:
    """The same over several sites."""
    from clusterwright.planner_sites import plan_sites
    from clusterwright.report.sites_text import sites_text

    for option in ("cluster", "accelerator", "accelerators"):
        if getattr(machine, option) is not None:
            raise InputError(f"--{option} and --sites both name the machine; give one of them")
    plan = plan_sites(
        model,
        places.sites or "",
        catalogue=catalogue_with(machine.catalogue),
        software=machine.software,
        **places.given(),
        **choices,
    )
    if json:
        write_json(plan)
    else:
        write(sites_text(plan))
