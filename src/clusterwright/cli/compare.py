"""``clusterwright compare train``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from cyclopts import Parameter

from clusterwright.asking import ask_training, catalogue_with, whole_number
from clusterwright.asking_account import with_account
from clusterwright.catalogue.store import Catalogue
from clusterwright.cli.answers import Answer
from clusterwright.cli.location_options import LocationOptions
from clusterwright.cli.options import JobOptions
from clusterwright.errors import ClusterwrightError, InputError, UnknownNameError
from clusterwright.planner import plan_training
from clusterwright.report.comparing import By, comparison_text, ranked
from clusterwright.training.plan import TrainingPlan

JOB, SITE = JobOptions(), LocationOptions()


def train(
    model: str,
    /,
    *machines: str,
    job: JobOptions = JOB,
    site: LocationOptions = SITE,
    accelerators: str | None = None,
    software: str | None = None,
    objective: Literal["time", "cost", "memory"] = "time",
    by: By = "time",
    catalogue: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Plan the same training run on several machines and put the best plans side by side.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
    machines
        Clusters or accelerators: meta-24k, h100, or 1024xh200 for a number of them.
    accelerators
        How many accelerators of each machine that does not say.
    software
        Framework whose features and defaults are assumed.
    objective
        What each plan makes least.
    by
        What of the whole run is to be least in the first line: time, cost, energy or carbon.
    catalogue
        A catalogue file of one's own (may be repeated).
    json
        Print the plans as JSON.
    """
    if len(machines) < 2:
        raise InputError("name two machines or more, such as: compare train llama-3.1-8b h100 b200")
    facts = catalogue_with(catalogue)
    names: list[str] = []
    plans: list[TrainingPlan] = []
    refused: list[tuple[str, str]] = []
    worst: ClusterwrightError | None = None
    for machine in machines:
        count, _, kind = machine.partition("x")
        if not count.replace(",", "").isdigit():
            count, kind = "", machine
        number = count or accelerators
        if number is not None:
            whole_number(number, "--accelerators")
        place = _place(kind, facts)
        try:
            question = ask_training(
                model,
                **place,
                accelerators=number,
                software=software,
                objective=objective,
                catalogue=facts,
                **job.workload(),
            )
            question = with_account(question, options=site.site(), catalogue=facts)
            plans.append(plan_training(question, catalogue_hash=facts.hash))
            names.append(machine)
        except ClusterwrightError as error:
            refused.append((machine, str(error)))
            worst = error
    if worst and not plans:
        raise worst
    order = ranked(plans, by)
    names, plans = [names[i] for i in order], [plans[i] for i in order]
    value = {"machines": names, "plans": plans, "refused": refused}
    left = "".join(f"  {name}: {why}\n" for name, why in refused)
    return Answer(value, lambda: comparison_text(names, plans, by) + left, json=json)


def _place(name: str, facts: Catalogue) -> dict[str, Any]:
    """A cluster if there is one of that name, else an accelerator; a misspelt one is refused."""
    try:
        facts.entry("clusters", name)
    except UnknownNameError:
        facts.entry("accelerators", name)
        return {"accelerator": name}
    return {"cluster": name}
