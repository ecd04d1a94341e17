"""From what a person types to a question about serving; what is left unsaid is listed."""

from __future__ import annotations

import math
from typing import Any, get_args

import msgspec

from clusterwright.asking import find_model, whole_number
from clusterwright.catalogue.store import Catalogue
from clusterwright.device import Device
from clusterwright.errors import InputError, UnitError
from clusterwright.facts import device_named, engine_named, shipped
from clusterwright.hardware import Accelerator, Cluster
from clusterwright.inference import InferenceEngine
from clusterwright.model.records import Model
from clusterwright.serving.plan import Objective, ServingQuestion, Split
from clusterwright.serving.server import HELD
from clusterwright.units import parse
from clusterwright.workload import ServingWorkload

USUAL_ENGINE = {"NVIDIA": "vllm", "AMD": "vllm", "Google": "vllm-tpu", "Intel": "vllm"}
"""Vendor → the engine assumed; others get the generic one, small chips llama.cpp."""
SMALL_ENGINE = {"Apple": "llama-cpp-metal", "Qualcomm": "llama-cpp-opencl"}
"""Vendor of a small chip → the backend of llama.cpp that runs on it; processors have their own."""


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
        Instead of these: a phone or laptop by name; one user then, unless something else is said.
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
    formats = _formats(weights, machine.accelerator, found, facts, assumed)
    caches = (cache,) if cache else _caches(machine.accelerator)
    if cache and cache not in ("bf16", "fp8"):
        raise InputError(f"--cache is {cache!r}, but must be bf16 or fp8")
    job = make_load(**load)
    if found.max_positions and job.prompt + job.output > found.max_positions:
        raise InputError(
            f"{found.name} takes {found.max_positions:,} tokens, but a prompt and its answer have "
            f"{job.prompt + job.output:,.0f}: ask for fewer"
        )
    for name, given, known in (
        ("objective", objective, get_args(Objective)),
        ("split", split, get_args(Split)),
    ):
        if given not in known:
            raise InputError(f"{name} is {given!r}, but must be one of {', '.join(known)}")
    return ServingQuestion(
        model=found,
        cluster=machine,
        engine=runs,
        workload=job,
        formats=formats,
        caches=caches,
        objective=objective,
        split=split,
        price=_price(price),
        device=held,
        assumed=tuple(assumed),
    )


def make_load(
    *,
    rate: str | float | None = None,
    users: str | int | None = None,
    prompt: str | float | None = None,
    output: str | float | None = None,
    ttft: str | float | None = None,
    tpot: str | float | None = None,
    percentile: float = 90.0,
    spread: float = 0.0,
) -> ServingWorkload:
    """A load of requests, from what a person types.

    Parameters
    ----------
    rate
        Requests a second, such as ``500/s`` or ``30k/min``.
    users
        Instead: so many, who each wait for their answer before they ask again.
    prompt, output
        Mean tokens.
    ttft, tpot
        Promised times, such as ``1s`` and ``50ms``; none is promised by default.
    percentile
        Of requests that find it kept.
    spread
        Standard deviation of both lengths over their means. [1]

    Raises
    ------
    InputError
        A number that cannot be.
    """
    if not 0.0 < percentile < 100.0:
        raise InputError(f"--percentile is {percentile:g}, but must lie between 0 and 100")
    if not 0.0 <= spread <= 5.0:
        raise InputError(f"--spread is {spread:g}, but must be 0 or more, and 5 at most")
    if rate is not None and users is not None:
        raise InputError("--rate and --users both say how much is asked; give one of them")
    if prompt is None or output is None or (rate is None and users is None):
        given = {"--rate": rate or users, "--input": prompt, "--output": output}
        missing = next(name for name, value in given.items() if value is None)
        raise InputError(
            f"say what is asked of the model: {missing} is missing (--rate 5/s or --users 1, with "
            f"--input 1000 --output 200; or --trace FILE)"
        )
    return ServingWorkload(
        rate=0.0 if rate is None else rate_of(rate),
        users=0 if users is None else whole_number(users, "--users"),
        prompt=float(whole_number(prompt, "--input")),
        output=float(whole_number(output, "--output")),
        prompt_spread=spread,
        output_spread=spread,
        ttft=_time(ttft, "--ttft"),
        tpot=_time(tpot, "--tpot"),
        percentile=percentile,
    )


def rate_of(given: str | float) -> float:
    """Requests a second, from what a person types. [1/s]

    >>> rate_of("30k/min"), rate_of(2)
    (500.0, 2.0)
    """
    text = str(given).strip()
    per = {"/s": 1.0, "/sec": 1.0, "/min": 60.0, "/h": 3600.0, "/day": 86400.0}
    for ending in sorted(per, key=len, reverse=True):
        if text.endswith(ending):
            return _positive(text.removesuffix(ending), "--rate") / per[ending]
    return _positive(text, "--rate")


def _positive(text: str, option: str) -> float:
    try:
        value = parse(text.strip(), "1")
    except UnitError as error:
        raise UnitError(f"{option}: {error}") from None
    if not 0.0 < value < 1e12:
        raise InputError(f"{option} is {text!r}, but must be above 0, such as 500/s")
    return value


def _time(given: str | float | None, option: str) -> float | None:
    if given is None:
        return None
    if isinstance(given, int | float):
        value = float(given)
    else:
        try:
            value = parse(given, "s")
        except UnitError as error:
            raise UnitError(f"{option}: {error}") from None
    if not 0.0 < value < math.inf:
        raise InputError(f"{option} is {given!r}, but must be above 0, such as 50ms")
    return value


def _price(given: str | float | None) -> float | None:
    """Dollars of an accelerator and hour."""
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
    usual = USUAL_ENGINE.get(chip.vendor, "generic")
    if chip.kind in HELD:
        usual = SMALL_ENGINE.get(chip.vendor, "llama-cpp")
        usual = "llama-cpp-processor" if chip.profile.startswith("processor") else usual
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


def _caches(chip: Accelerator) -> tuple[str, ...]:
    return ("fp8",) if chip.peaks.get("fp8") else ("bf16",)
