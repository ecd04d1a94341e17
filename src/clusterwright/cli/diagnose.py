"""``clusterwright diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.cli.answers import Answer
from clusterwright.errors import InputError
from clusterwright.observe.adding import add_run
from clusterwright.observe.api import diagnose as run_diagnosis
from clusterwright.report.diagnosis_text import diagnosis_text
from clusterwright.saved_plans import load_any_plan


def diagnose(
    *logs: Path,
    plan: Path | None = None,
    model: str | None = None,
    accelerator: str | None = None,
    add_to: Path | None = None,
    name: str | None = None,
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Read a run's logs and say what differs from its plan, why, and what to try next.

    Parameters
    ----------
    logs
        Logs of Megatron-LM, torchtitan, DeepSpeed or NeMo, TensorBoard event files, PyTorch
        profiler traces, results of vllm bench serve, SGLang or genai-perf, Prometheus text:
        several are ranks, restarts or parts of one run.
    plan
        What was planned: a file that ``plan train --save`` or ``plan serve --save`` wrote.
    model
        Without a plan: the model, for the MFU, where the log does not tell it.
    accelerator
        Without a plan: the accelerator, likewise.
    add_to
        Add the run to this table of one's own measurements, which ``validate`` and
        ``calibrate stacks`` read (made if it is not there).
    name
        What the run is called in that table [default: after its first file].
    catalogue
        A catalogue file of one's own (may be repeated).
    json
        Print everything as JSON, what was read included.
    """
    facts = catalogue_with(catalogue)
    if name and not add_to:
        raise InputError("--name is what the run is called in a table: give --add-to FILE as well")
    given = "model" if model else "accelerator" if accelerator else ""
    if plan and given:
        raise InputError(f"--{given} is for a run without a plan: the plan names it, leave it out")
    planned = load_any_plan(plan) if plan else None
    found = run_diagnosis(logs, plan=planned, model=model, accelerator=accelerator, catalogue=facts)
    added = add_run(found, planned, add_to, name=name) if add_to else ""
    return Answer(found, lambda: diagnosis_text(found) + (added and "\n" + added), json=json)
