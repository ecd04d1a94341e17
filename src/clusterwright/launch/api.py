"""The door to launching: a plan, a tool and a scheduler in; the files of a folder out."""

from __future__ import annotations

import re
from importlib import import_module

import msgspec

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError, nearest_names
from clusterwright.facts import shipped
from clusterwright.launch.job import training_job
from clusterwright.launch.naming import check_name
from clusterwright.launch.places import PLACES, check_starts, check_used, folder_of, place_named
from clusterwright.launch.readme import readme
from clusterwright.launch.records import Launch, LaunchFile, Options, Part
from clusterwright.launch.router import how, router
from clusterwright.launch.running import files_of
from clusterwright.launch.service import serving_parts
from clusterwright.saving import encode_plan
from clusterwright.serving.plan import ServingPlan
from clusterwright.training.plan import TrainingPlan

TRAINERS = {
    "megatron": "clusterwright.launch.megatron",
    "megatron-bridge": "clusterwright.launch.megatron_bridge",
    "torchtitan": "clusterwright.launch.torchtitan",
    "deepspeed": "clusterwright.launch.deepspeed",
}
"""Name → module, which has ``program(job: TrainingJob) -> Program``."""

SERVERS = {
    "vllm": "clusterwright.launch.vllm",
    "sglang": "clusterwright.launch.sglang",
    "tensorrt-llm": "clusterwright.launch.tensorrt_llm",
    "llama.cpp": "clusterwright.launch.llama_cpp",
}
"""Name → module, which has ``program(replica: Replica) -> Program``."""


def launch_plan(
    plan: TrainingPlan | ServingPlan,
    *,
    to: str,
    on: str = "torchrun",
    options: Options | None = None,
    catalogue: Catalogue | None = None,
) -> Launch:
    """Write down how a plan is started on a tool, under a scheduler.

    Parameters
    ----------
    plan
        What `plan_training` or `plan_serving` found.
    to
        The tool: one of `TRAINERS` for training, of `SERVERS` for serving.
    on
        What starts it: one of `PLACES`.
    options
        Names, host sizes and queues that the plan does not know.
    catalogue
        Facts on hosts; the shipped ones by default.

    Raises
    ------
    InputError
        No such tool, or one that cannot run this plan; the message names everything that it
        cannot do.
    """
    options = options or Options()
    facts = catalogue or shipped()
    _check(plan, to, on)
    check_used(on, options)
    check_name(options.name)
    route = None
    if isinstance(plan, TrainingPlan):
        parts = _training_parts(plan, to, options, facts)
    else:
        parts = serving_parts(plan, SERVERS[to], options, facts)
        route = router(plan, to, parts)
    name = options.name or _name(plan.question.model.name)
    check_starts(on, parts)
    placed = place_named(on)(name, parts, options)
    notes = [note for part in parts for note in part.program.notes]
    made = Launch(
        tool=to,
        on=on,
        parts=parts,
        files=(
            LaunchFile(path="plan.json", text=encode_plan(plan).decode()),
            *(file for part in parts for file in _files(part, parts)),
            *([route] if route else []),
            *placed.files,
        ),
        say=placed.say,
        submit="\n".join([placed.submit, *([how(parts)] if route else [])]),
        watch=placed.watch,
        stop=placed.stop,
        notes=(*dict.fromkeys(notes), *placed.notes),
    )
    about = LaunchFile(path="README.md", text=readme(plan, made, name))
    return msgspec.structs.replace(made, files=(about, *made.files))


def _files(part: Part, parts: tuple[Part, ...]) -> list[LaunchFile]:
    """A part's own files and its ``run.sh``, where they lie."""
    folder = folder_of(part, parts)
    return [msgspec.structs.replace(file, path=folder + file.path) for file in files_of(part)]


def _training_parts(
    plan: TrainingPlan, to: str, options: Options, catalogue: Catalogue
) -> tuple[Part, ...]:
    job = training_job(plan, catalogue, per_host=options.per_host)
    program = import_module(TRAINERS[to]).program(job)
    return (
        Part(
            name="train",
            program=program,
            hosts=job.hosts,
            per_host=job.per_host,
            device=job.device,
            whole=job.whole,
        ),
    )


def _check(plan: TrainingPlan | ServingPlan, to: str, on: str) -> None:
    """Refuse tools and schedulers that there are not, and tools for the other kind of plan."""
    training = isinstance(plan, TrainingPlan)
    ours, others = (TRAINERS, SERVERS) if training else (SERVERS, TRAINERS)
    kind = "training" if training else "serving"
    if not to:
        raise InputError(f"name the tool that runs it with --to: {', '.join(ours)}")
    if to in others:
        raise InputError(f"this is a plan for {kind}, which {to} does not do: {_one_of(ours)}")
    for option, given, known in (("--to", to, ours), ("--on", on, PLACES)):
        if given not in known:
            near = nearest_names(given, list(known), count=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(f"{option} is {given!r}: {hint}{_one_of(known)}")


def _one_of(known: dict[str, str]) -> str:
    return f"there are {', '.join(known)}"


def _name(model: str) -> str:
    """A name that every scheduler takes: a letter, then lower-case letters, digits and dashes.

    >>> _name("Llama_3.1-405B"), _name("405B")
    ('llama-3-1-405b', 'job-405b')
    """
    plain = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    return (plain if plain[:1].isalpha() else f"job-{plain}")[:32].strip("-")
