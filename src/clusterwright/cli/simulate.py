"""``clusterwright simulate train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import ask_training, catalogue_with
from clusterwright.cli.answers import Answer
from clusterwright.cli.options import (
    JobOptions,
    MachineOptions,
    PlayedOptions,
)
from clusterwright.engines.torch_table import write_table
from clusterwright.errors import InputError
from clusterwright.planner import simulate_training
from clusterwright.report.simulation_text import simulation_text
from clusterwright.report.timeline import write_timeline
from clusterwright.report.trace import write_trace

JOB, MACHINE, STRATEGY = JobOptions(), MachineOptions(), PlayedOptions()


def train(
    model: str,
    /,
    *,
    strategy: PlayedOptions = STRATEGY,
    job: JobOptions = JOB,
    machine: MachineOptions = MACHINE,
    trace: Path | None = None,
    timeline: Path | None = None,
    schedule_csv: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Play one training step out, operation by operation.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
    trace
        Write the step as Chrome trace JSON, which Perfetto opens.
    timeline
        Draw the step into a .html or .svg file.
    schedule_csv
        Write the schedule as a table that PyTorch's pipeline runtime loads.
    json
        Print the result as JSON.
    """
    _check_files(trace=trace, timeline=timeline, schedule_csv=schedule_csv)
    facts = catalogue_with(machine.catalogue)
    question = ask_training(model, catalogue=facts, **machine.place(), **job.workload())
    played = simulate_training(question, **strategy.choices())
    if schedule_csv:
        write_table(played.timeline.schedule, schedule_csv)
    if trace:
        write_trace(played, trace)
    if timeline:
        write_timeline(question, played, timeline)
    return Answer(
        played.report,
        lambda: simulation_text(question, played),
        json=json,
        seen={"question": question, "played": played},
    )


def _check_files(**files: Path | None) -> None:
    """Refuse to write two things into one file."""
    named: dict[Path, str] = {}
    for name, path in files.items():
        if path is None:
            continue
        option = "--" + name.replace("_", "-")
        if path in named:
            raise InputError(f"{named[path]} and {option} both name '{path}'; choose another file")
        named[path] = option
