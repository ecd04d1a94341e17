"""From what a person types to a question about serving; what is left unsaid is listed."""

from __future__ import annotations

import math
from typing import Any, get_args

import msgspec

from clusterwright.asking import whole_number
from clusterwright.asking_load import make_load
from clusterwright.asking_model import find_config, find_model
from clusterwright.catalogue.store import Catalogue
from clusterwright.device import HELD, Device
from clusterwright.errors import InputError
from clusterwright.facts import device_named, engine_named, shipped, usual_engine
from clusterwright.hardware import Accelerator, Cluster
from clusterwright.inference import Deployment, InferenceEngine, Service
from clusterwright.model.records import Model
from clusterwright.serving.attending import latent_of
from clusterwright.serving.plan import Objective, ServingPlan, ServingQuestion, Split
from clusterwright.serving.server import Pool
from clusterwright.workload import ServingWorkload

OTHERS = 10.0
"""Requests a second of all who ask a cluster that a device sends its question to. [1/s]"""
USUAL_PACE = "50ms"
"""Time per token that such a cluster promises: quicker than anybody reads."""


def ask_serving(
    model: str | Model,
    *,
    cluster: str | None = None,
    accelerator: str | None = None,
    accelerators: str | int | None = None,
    device: str | None = None,
    engine: str | None = None,
    weights: str | None = None,
    cache: str | None = None,
    objective: Objective = "accelerators",
    split: Split = "auto",
    price: str | float | None = None,
    service: Service | None = None,
    base: Deployment | None = None,
    draft: str | Model | None = None,
    catalogue: Catalogue | None = None,
    **load: Any,  # noqa: ANN401 - the keyword arguments of make_load
) -> ServingQuestion:
    """Put a serving question together.

    Parameters
    ----------
    model
        A catalogue name, the path of a ``config.json``, or a `Model`.
    cluster, accelerator, accelerators
        A cluster by name, or a kind of accelerator, and how many may be used at most.
    device
        Instead of these: a phone, laptop or desktop by name; one user then, unless told otherwise.
    engine
        Inference engine by id; by default the usual one for the vendor.
    weights
        Format of the weights by id; by default what the model is published in and narrower ones
        that the chip multiplies by.
    cache
        ``bf16`` or ``fp8``; by default either.
    objective
        What is to be least: accelerators, cost or energy of a token; or most: throughput.
    split
        Whether prompts and decoding may have replicas of their own: auto, no, only.
    price
        Of an accelerator and hour, such as ``$2.10``.
    service
        How replicas are run, from `make_service`; by default all are up and requests go where the
        fewest are.
    base
        What all deployments have in common, from `make_base`: speculation, adapters, limits.
    draft
        The smaller model that proposes tokens, where ``base`` says that one does.
    load
        ``rate``, ``prompt``, ``output``, ``ttft``, ``tpot`` … of `make_load`.

    Raises
    ------
    InputError
        Something is missing, or makes no sense.

    Examples
    --------
    >>> question = ask_serving("llama-3.1-8b", accelerator="h100", rate=5, prompt=1000, output=200)
    >>> question.engine.id, question.workload.rate
    ('vllm', 5.0)
    """
    facts = catalogue or shipped()
    found = find_model(model, facts) if isinstance(model, str) else model
    assumed: list[str] = []
    held = None if device is None else device_named(facts, device)
    if held is None:
        machine = _machine(cluster, accelerator, accelerators, facts, assumed)
    elif cluster or accelerator:
        raise InputError("--device names the machine: leave out --cluster and --accelerator")
    else:
        machine = _in_hand(held, facts, assumed)
        load = {**load, **_usual_load(load, assumed)}
    runs = _engine(engine, machine.accelerator, facts, assumed)
    base = base or Deployment()
    formats = _formats(weights, machine.accelerator, found, facts, assumed)
    caches = (cache,) if cache else _caches(machine.accelerator, found, runs)
    job = make_load(**load)
    _check_words(cache=cache, objective=objective, split=split)
    _check_able(found, runs, job, base)
    if objective == "cost" and price is None:
        assumed.append("no price: the least cost is the fewest accelerators")
    return ServingQuestion(
        model=found,
        cluster=machine,
        engine=runs,
        workload=job,
        formats=formats,
        caches=caches,
        objective=objective,
        split=split,
        price=price_of(price),
        device=held,
        service=_service(service, facts, assumed),
        base=base,
        draft=find_model(draft, facts) if isinstance(draft, str) else draft,
        assumed=tuple(assumed),
        config=find_config(model, facts),
    )


def _check_words(*, cache: str | None, objective: str, split: str) -> None:
    """Refuse words that are none of those known."""
    if cache and cache not in ("bf16", "fp8"):
        raise InputError(f"--cache is {cache!r}, but must be bf16 or fp8")
    for name, given, known in (
        ("objective", objective, get_args(Objective)),
        ("split", split, get_args(Split)),
    ):
        if given not in known:
            raise InputError(f"{name} is {given!r}, but must be one of {', '.join(known)}")


def _check_able(
    model: Model, engine: InferenceEngine, job: ServingWorkload, base: Deployment
) -> None:
    """Refuse what the model or the engine cannot do."""
    if base.overlap and not engine.overlaps:
        raise InputError(
            f"{engine.name} does not work on batches in two halves: leave out --overlap"
        )
    if model.max_positions and job.prompt + job.output > model.max_positions:
        raise InputError(
            f"{model.name} takes {model.max_positions:,} tokens, but a prompt and its answer have "
            f"{job.prompt + job.output:,.0f}: ask for fewer"
        )


def _service(given: Service | None, facts: Catalogue, assumed: list[str]) -> Service:
    """As given, with the usual time to start a replica where a scaler has none."""
    if given is None or not given.target or given.load_time:
        return given or Service()
    start, rate = (
        facts.entry("defaults", name).require("value").value
        for name in ("engine-start", "weights-load-rate")
    )
    assumed.append(f"a replica starts in {start:g} s and loads weights at {rate / 1e9:g} GB/s")
    return msgspec.structs.replace(given, load_time=start, load_rate=rate)


def played_plan(
    plan: ServingPlan,
    *,
    load: dict[str, Any] | None = None,
    service: Service | None = None,
    catalogue: Catalogue | None = None,
) -> tuple[ServingQuestion, tuple[Pool, ...]]:
    """A saved plan's question and best pools, to be played under another load, or run otherwise.

    Parameters
    ----------
    plan
        The plan.
    load
        Keyword arguments of `make_load`; None: the plan's own load.
    service
        How replicas are run; None: as in the plan.
    """
    assumed = list(plan.question.assumed)
    changes: dict[str, Any] = {}
    if load is not None:
        changes["workload"] = make_load(**load)
    if service is not None:
        changes["service"] = _service(service, catalogue or shipped(), assumed)
    question = msgspec.structs.replace(plan.question, assumed=tuple(assumed), **changes)
    return question, plan.best.pools


def offered(
    text: str,
    device: ServingQuestion,
    *,
    price: str | float | None = None,
    catalogue: Catalogue | None = None,
) -> ServingQuestion:
    """A device's questions, asked of a model in a cluster by many: such as ``llama-3.1-70b@h100``.

    Raises
    ------
    InputError
        No model and accelerator.
    """
    model, _, chip = text.partition("@")
    if not model.strip() or not chip.strip():
        raise InputError(
            f"--offload is {text!r}, but needs a model and an accelerator: llama-3.1-70b@h100"
        )
    job = device.workload
    return ask_serving(
        model.strip(),
        accelerator=chip.strip(),
        price=price,
        catalogue=catalogue,
        rate=OTHERS,
        prompt=job.prompt,
        output=job.output,
        tpot=USUAL_PACE,
    )


def price_of(given: str | float | None) -> float | None:
    """Dollars of an accelerator and hour, from what a person types; None: nothing was. [USD]"""
    if given is None:
        return None
    text = str(given).strip().removeprefix("$").removesuffix("/h").strip()
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"--price is {given!r}, but must be dollars an hour: $2.10") from None
    if not 0.0 < value < math.inf:
        raise InputError(f"--price is {given!r}, but must be above 0")
    return value


def _machine(
    cluster: str | None,
    accelerator: str | None,
    accelerators: str | int | None,
    facts: Catalogue,
    assumed: list[str],
) -> Cluster:
    count = None if accelerators is None else whole_number(accelerators, "--accelerators")
    if cluster and accelerator:
        raise InputError("--cluster and --accelerator both name the machine; give one of them")
    if cluster:
        return facts.cluster(cluster, count)
    if not accelerator:
        raise InputError("name the machine: --accelerator h200, or --cluster meta-24k")
    if count is None:
        count = 10**6
        chip = facts.accelerator(accelerator)
        if chip.kind in HELD:
            count = 1
        else:
            assumed.append("as many accelerators as it takes")
    found = facts.any_cluster(accelerator, count)
    assumed.extend(found.assumed)
    return found


def _in_hand(device: Device, facts: Catalogue, assumed: list[str]) -> Cluster:
    """The one accelerator of a device, with as much memory as an app may take at most."""
    found = facts.any_cluster(device.accelerator, 1)
    assumed.extend(device.assumed)
    chip = msgspec.structs.replace(found.accelerator, memory_bytes=device.app_memory.high)
    return msgspec.structs.replace(found, accelerator=chip)


def _usual_load(load: dict[str, Any], assumed: list[str]) -> dict[str, Any]:
    """What one person asks of a device, as far as nothing else is said."""
    filled: dict[str, Any] = {}
    if load.get("rate") is None and load.get("users") is None:
        filled["users"] = 1
    for name, words, usual in (("prompt", "in", 512), ("output", "out", 128)):
        if load.get(name) is None:
            filled[name] = usual
            assumed.append(f"{usual} tokens {words}")
    return filled


def _engine(
    name: str | None, chip: Accelerator, facts: Catalogue, assumed: list[str]
) -> InferenceEngine:
    usual = usual_engine(facts, chip, small=chip.kind in HELD)
    if name is None:
        assumed.append(f"engine: {usual}")
    found = engine_named(facts, name or usual)
    if found.vendors and chip.vendor not in found.vendors:
        raise InputError(
            f"{found.name} runs on {', '.join(found.vendors)}, not on {chip.name}; leave out "
            f"--engine for {usual}"
        )
    if found.profiles and chip.profile not in found.profiles:
        raise InputError(
            f"{found.name} does not run on {chip.name}; leave out --engine for {usual}"
        )
    return found


def _formats(
    name: str | None, chip: Accelerator, model: Model, facts: Catalogue, assumed: list[str]
) -> tuple[tuple[str, str], ...]:
    """Formats of dense weights and of experts': the one asked for, or those that pay on a chip."""
    if name is not None:
        facts.entry("formats", name)
        return ((name, name),)
    if chip.kind in HELD:
        assumed.append("weights: q4-k-m")
        return (("q4-k-m", "q4-k-m"),)
    has_experts = any(block.experts for block in model.blocks)
    eight = "fp8-block" if has_experts else "fp8"
    found = [(eight, eight)] if chip.peaks.get("fp8") else [("bf16", "bf16")]
    if chip.peaks.get("fp4"):
        found.append(("nvfp4", "nvfp4"))
    assumed.append("weights: " + " or ".join(form for form, _ in found))
    return tuple(found)


def _caches(chip: Accelerator, model: Model, engine: InferenceEngine) -> tuple[str, ...]:
    """Formats of the cache to choose from; what runs on devices keeps it in 16 bits.

    Latents of 8 bits are half as long to read, but on some chips engines have no quick kernel for
    them: both are tried, the engine's own choice first.
    """
    if not chip.peaks.get("fp8") or chip.kind in HELD:
        return ("bf16",)
    if not any(latent_of(block) for block in model.blocks):
        return ("fp8",)
    return ("fp8", "bf16") if engine.narrow_cache else ("bf16", "fp8")
