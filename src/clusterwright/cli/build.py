"""``clusterwright build``: how long a cluster takes to build, and what decides it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.asking_build import ask_build, ask_growing
from clusterwright.cli.answers import Answer
from clusterwright.cli.options import Share, Whole
from clusterwright.errors import InputError
from clusterwright.planner_build import plan_build
from clusterwright.report.build_text import build_text


def build(
    cluster: str,
    /,
    *,
    path: str = "greenfield",
    bridge: str = "",
    clock: Annotated[str, Parameter(name="--from")] = "planning",
    start: str = "",
    done: str = "",
    task: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    power: str | None = None,
    power_now: str | None = None,
    bridge_power: str | None = None,
    per_rack: str | None = None,
    racks_per_day: float | None = None,
    shifts: Whole = 1,
    then: str | None = None,
    price: str | None = None,
    train: str | None = None,
    tokens: str | None = None,
    work: str | None = None,
    mfu: Share | None = None,
    begin_with: str | None = None,
    grow_every: str | None = None,
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """How long a cluster takes to build: the longest path, and accelerators month by month.

    Parameters
    ----------
    cluster
        A cluster of the catalogue, or a number of accelerators: 100000xh100.
    path
        greenfield, retrofit (a building stands) or colocation (a leased hall).
    bridge
        Power until the grid comes: turbines, or turbines,batteries.
    clock
        Time counts from planning, or from the start of construction with permits, studies and
        orders done.
    start
        Day on which it starts, such as 2026-12-01.
    done
        Tasks that are finished before, such as grid-study,transformer-order.
    task
        A length of one's own: fit-out=90d or fit-out=60d..120d (may be repeated).
    power
        Of the facility with all accelerators, such as 150MW [default: published, or estimated].
    power_now
        Power that is there from the beginning.
    bridge_power
        What the bridge gives at most [default: all that is needed].
    per_rack
        Accelerators of a rack.
    racks_per_day
        Racks set up a day [default: as crews can].
    shifts
        In which the site works: 1 to 3.
    then
        Accelerators of an enlargement that follows, those before included, such as 200000.
    price
        Of an accelerator with all that belongs to it, such as $40k, for money over time.
    train
        A model to train while the cluster grows.
    tokens
        Its tokens, such as 15.6T.
    work
        Instead of a model: the run, such as 4e25 FLOP.
    mfu
        Share of the bf16 peak that the run makes use of, such as 40%.
    begin_with
        Accelerators with which the run begins [default: a tenth].
    grow_every
        It takes on new ones at checkpoints so far apart [default: 7d].
    catalogue
        A catalogue file of one's own, tasks in it (may be repeated).
    json
        Print the build as JSON.
    """
    facts = catalogue_with(catalogue)
    training = None
    if train is not None or work is not None:
        training = ask_growing(
            cluster,
            model=train,
            tokens=tokens,
            work=work,
            mfu=mfu,
            begin_with=begin_with,
            every=grow_every,
            catalogue=facts,
        )
    elif any(one is not None for one in (tokens, begin_with, mfu, grow_every)):
        raise InputError("say what is trained: --train llama-3.1-405b --tokens 15.6T, or --work")
    question = ask_build(
        cluster,
        path=path,
        bridge=bridge,
        clock=clock,
        start=start,
        done=[part.strip() for part in done.split(",") if part.strip()],
        task=task,
        power=power,
        power_now=power_now,
        bridge_power=bridge_power,
        per_rack=per_rack,
        racks_per_day=racks_per_day,
        shifts=shifts,
        price=price,
        training=training,
        catalogue=facts,
    )
    plan = plan_build(question, then=then)
    return Answer(plan, lambda: build_text(plan), json=json)
