"""``clusterwright estimate train``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import ask_training, catalogue_with
from clusterwright.cli.answers import Answer
from clusterwright.cli.options import (
    JobOptions,
    MachineOptions,
    StrategyOptions,
)
from clusterwright.planner import estimate_question
from clusterwright.report.text import estimate_text

JOB, MACHINE = JobOptions(), MachineOptions()


STRATEGY = StrategyOptions()


def train(
    model: str,
    /,
    *,
    strategy: StrategyOptions = STRATEGY,
    job: JobOptions = JOB,
    machine: MachineOptions = MACHINE,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Time, memory and losses of one given training strategy.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
    json
        Print the estimate as JSON.
    """
    facts = catalogue_with(machine.catalogue)
    question = ask_training(model, catalogue=facts, **machine.place(), **job.workload())
    estimate = estimate_question(question, **vars(strategy))
    return Answer(
        estimate, lambda: estimate_text(question, estimate), json=json, seen={"question": question}
    )
