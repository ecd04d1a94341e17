"""``clusterwright fleet``: how a long run on a machine that breaks is likely to go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.asking_run import ask_run
from clusterwright.cli.answers import Answer
from clusterwright.cli.options import Share, Whole
from clusterwright.fleet.outlook import look_ahead
from clusterwright.report.run_text import outlook_text


def fleet(
    target: str | None = None,
    /,
    *,
    accelerator: str | None = None,
    accelerators: str | None = None,
    model: str | None = None,
    parameters: str | None = None,
    days: str | None = None,
    work: str | None = None,
    rate: str | None = None,
    tier: str = "auto",
    interval: str | None = None,
    pause: str | None = None,
    storage: str | None = None,
    detect: str | None = None,
    restart: str | None = None,
    exchange: str | None = None,
    regroup: str | None = None,
    spares: str | None = None,
    replica: str | None = None,
    elastic: Annotated[bool, Parameter(negative=())] = False,
    stragglers: Share = 0.0,
    draws: str | None = None,
    seed: Whole = 0,
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Say what failures leave of a long run's time: goodput, lost time, checkpoints, spares.

    Parameters
    ----------
    target
        A plan saved by ``plan train --save``, or a cluster of the catalogue.
    accelerator
        Instead of these: a kind of accelerator.
    accelerators
        How many of it, or of the cluster's.
    model
        Whose state checkpoints keep.
    parameters
        Or how many parameters it has, such as 405B.
    days
        How long to watch the run, such as 54d.
    work
        Or how long it would take if nothing failed.
    rate
        Unexpected interruptions of eight accelerators, such as 3.8e-3/d.
    tier
        Where checkpoints go: auto, remote-sync, remote, local, memory; or replica, where a broken
        data-parallel replica starts again alone.
    interval
        Between them, such as 10min [default: the best].
    pause
        Time for which all wait, besides copying, at one that is written behind them.
    storage
        Bandwidth of shared storage, such as "2 TB/s".
    detect
        Time until a failure is noticed.
    restart
        Time in which the job starts anew, its state not yet loaded.
    exchange
        Time in which spares take the place of broken nodes.
    regroup
        Time in which whole replicas go on without a broken one, with --tier replica.
    spares
        Nodes that stand by [default: as many as it takes].
    replica
        Accelerators of one data-parallel replica.
    elastic
        Go on with fewer replicas when no spare is left.
    stragglers
        How much longer a step takes for the slowest node, such as 3%, beyond what a plan counts.
    draws
        How often the run is played out.
    seed
        Of chance: the same seed gives the same answer.
    catalogue
        A TOML file of your own facts (may be repeated).
    json
        Print as JSON.
    """
    question = ask_run(
        target,
        accelerator=accelerator,
        accelerators=accelerators,
        model=model,
        parameters=parameters,
        days=days,
        work=work,
        rate=rate,
        tier=tier,
        interval=interval,
        pause=pause,
        storage=storage,
        detect=detect,
        restart=restart,
        exchange=exchange,
        regroup=regroup,
        spares=spares,
        replica=replica,
        elastic=elastic,
        stragglers=stragglers,
        draws=draws,
        seed=seed,
        catalogue=catalogue_with(catalogue),
    )
    outlook = look_ahead(question)
    return Answer(outlook, lambda: outlook_text(outlook), json=json)
