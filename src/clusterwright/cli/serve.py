"""``clusterwright plan serve``, ``estimate serve``, ``simulate serve`` and ``compare serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.asking_load import make_service
from clusterwright.asking_service import with_service_account
from clusterwright.asking_serving import ask_serving, offered, played_plan
from clusterwright.cli.answers import Answer
from clusterwright.cli.location_options import LocationOptions
from clusterwright.cli.serving_options import (
    CutOptions,
    LoadOptions,
    PlaceOptions,
    RunOptions,
    TuneOptions,
)
from clusterwright.errors import InfeasibleError, InputError
from clusterwright.inference import Deployment
from clusterwright.planner_serving import (
    deployment_of,
    estimate_serving,
    load_serving_plan,
    plan_serving,
    with_offload,
)
from clusterwright.report.serving_text import By, comparison_text, estimate_text, least, plan_text
from clusterwright.saving import save_plan
from clusterwright.serving.server import Pool

LOAD, PLACE, CUT, TUNE, RUN, SITE = (
    LoadOptions(),
    PlaceOptions(),
    CutOptions(),
    TuneOptions(),
    RunOptions(),
    LocationOptions(),
)


def plan(
    model: str,
    /,
    *,
    load: LoadOptions = LOAD,
    place: PlaceOptions = PLACE,
    tune: TuneOptions = TUNE,
    site: LocationOptions = SITE,
    objective: Literal["cost", "energy", "accelerators", "throughput"] = "accelerators",
    split: Literal["auto", "no", "only"] = "auto",
    router: str = "",
    reuse: bool = True,
    save: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Find replicas, cuts and formats that keep a promise under a load for the least.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
    objective
        What is to be least: accelerators, cost or energy of a token; or most: throughput.
    split
        Whether prompts and decoding may have replicas of their own.
    router
        round-robin, least-loaded or prefix-aware [default: what suits the prompts].
    reuse
        Whether what one prompt left in the cache serves others that begin alike.
    save
        Write the plan here; replay computes it again, simulate serve --plan plays it.
    json
        Print the plan as JSON.
    """
    facts = catalogue_with(place.catalogue)
    question = ask_serving(
        model,
        objective=objective,
        split=split,
        service=make_service(router=router, reuse=reuse),
        catalogue=facts,
        **place.place(),
        **tune.setup(),
        **load.load(),
    )
    found = with_service_account(
        plan_serving(question, catalogue=facts), options=site.site(), catalogue=facts
    )
    if save:
        save_plan(found, save)
    return Answer(found, lambda: plan_text(found), json=json)


def estimate(
    model: str = "",
    /,
    *,
    load: LoadOptions = LOAD,
    place: PlaceOptions = PLACE,
    tune: TuneOptions = TUNE,
    cut: CutOptions = CUT,
    run: RunOptions = RUN,
    plan: Path | None = None,
    offload: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Play requests through one given deployment: latencies, rates, the parts of a step.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
    plan
        Instead: a plan that was saved; its best deployment is played, under its own load or
        another, with failures or a scaler.
    offload
        What sending the same questions to a cluster would take instead of a --device: a model and
        an accelerator, such as llama-3.1-70b@h100; --price is of that accelerator and hour.
    json
        Print the estimate as JSON.
    """
    facts = catalogue_with(place.catalogue)
    pools: tuple[Pool, ...] | Deployment
    if plan is not None:
        if model or place != PLACE or cut != CUT or tune != TUNE:
            raise InputError(
                "--plan has its model, machine and cut: say nothing else but the load and how "
                "replicas are run"
            )
        saved = load_serving_plan(plan)
        question, pools = played_plan(saved, load=load.load() if load != LOAD else None,
                                      service=run.service())  # fmt: skip
    elif not model:
        raise InputError("name a model, or give a saved plan with --plan")
    else:
        question = ask_serving(
            model,
            service=run.service(),
            catalogue=facts,
            **place.place(),
            **tune.setup(),
            **load.load(),
        )
        pools = deployment_of(question, tp=cut.tp, pp=cut.pp, dp=cut.dp, ep=cut.ep, cp=cut.cp)
    found = estimate_serving(
        question, pools, replicas=cut.replicas, trace=load.requests, catalogue=facts
    )
    if offload is not None:
        found = with_offload(
            question, found, offered(offload, question, price=place.price, catalogue=facts),
            catalogue=facts,
        )  # fmt: skip
    return Answer(
        found, lambda: estimate_text(question, found), json=json, seen={"question": question}
    )


def compare(
    model: str,
    /,
    *machines: str,
    load: LoadOptions = LOAD,
    place: PlaceOptions = PLACE,
    tune: TuneOptions = TUNE,
    site: LocationOptions = SITE,
    by: By = "accelerators",
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Plan the same load on several kinds of accelerators and put the best plans side by side.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
    machines
        Accelerators, such as h100 b200 mi355x.
    by
        What is to be least in the first line: accelerators, or cost, energy or carbon of a token.
    json
        Print the plans as JSON.
    """
    if len(machines) < 2:
        raise InputError("name two accelerators or more: compare serve llama-3.1-8b h100 mi300x …")
    facts = catalogue_with(place.catalogue)
    if place.cluster or place.accelerator or place.device:
        raise InputError("name the machines after the model: compare serve llama-3.1-8b h100 b200")
    plans, refused = [], []
    for machine in machines:
        chosen = {**place.place(), "accelerator": machine}
        question = ask_serving(model, catalogue=facts, **chosen, **tune.setup(), **load.load())
        try:
            found = plan_serving(question, catalogue=facts)
            plans.append(with_service_account(found, options=site.site(), catalogue=facts))
        except InfeasibleError as error:
            refused.append((machine, str(error)))
    if not plans:
        raise InfeasibleError("; ".join(f"{name}: {why}" for name, why in refused))
    plans.sort(key=lambda plan: least(plan, by))
    return Answer(
        {"plans": plans, "refused": refused}, lambda: comparison_text(plans, refused, by), json=json
    )
