"""What every inference engine is told of a replica, whatever it calls it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from clusterwright.device import HELD
from clusterwright.errors import InputError
from clusterwright.launch.records import Ask
from clusterwright.launch.service import Replica
from clusterwright.launch.shell import array
from clusterwright.records import Record
from clusterwright.serving.capacity import LARGEST_STEP

SIXTEEN = ("bf16", "fp16")
"""Formats that are not quantised."""

GGUF = {
    "bf16": "BF16",
    "fp16": "F16",
    "mxfp4-weights": "MXFP4_MOE",
    "mxfp4": "MXFP4_MOE",
    "q4-0": "Q4_0",
    "q4-1": "Q4_1",
    "q4-k-m": "Q4_K_M",
    "q6-k": "Q6_K",
    "q8-0": "Q8_0",
}
"""What ``llama-quantize`` calls formats that it writes."""

PUBLISHED = {
    "awq": "AWQ",
    "bf16": "bf16",
    "fp16": "fp16",
    "fp8": "FP8",
    "fp8-block": "FP8 in blocks of 128",
    "gptq": "GPTQ, 4 bits",
    "int4": "4 bits (AWQ, GPTQ or compressed-tensors)",
    "int8": "8-bit weights (compressed-tensors or GPTQ)",
    "int8-both": "8-bit weights and activations (compressed-tensors W8A8)",
    "mxfp4": "MXFP4",
    "mxfp4-weights": "MXFP4",
    "nvfp4": "NVFP4",
}
"""Formats of checkpoints for accelerators, as their publishers write them."""

BLOCK = 128
"""Rows and columns of weights that share a scale in ``fp8-block``."""

SIDE = 1000
"""What is added to a server's port for the port at which pools hand over caches."""

REAL = 4
"""Digits of a share of memory that tools are told."""


class Told(Record, frozen=True, kw_only=True):
    """What a plan means in an engine's own terms.

    ``tokens``: of a step of one data-parallel rank, ``sequences``: at once in it. ``share``: of an
    accelerator's memory that weights, activations, runtime and cache take; ``free``: of what is
    left beside all but the cache, the cache's. [1] ``chunked``: whether a prompt may be cut,
    ``reuse``: whether beginnings that are alike are kept.
    """

    tokens: int
    sequences: int
    share: float
    free: float
    chunked: bool
    reuse: bool


def told(replica: Replica) -> Told:
    """Read the limits of a replica: the plan's own, or its engine's."""
    engine, deployment = replica.question.engine, replica.deployment
    tokens = deployment.budget or min(engine.budget, LARGEST_STEP)
    if not engine.chunked:  # a prompt must fit one step
        tokens = max(tokens, replica.longest)
    memory, size = replica.memory, replica.question.cluster.accelerator.memory_bytes or math.inf
    beside = memory.weights + memory.activations + memory.reserve
    return Told(
        tokens=tokens,
        sequences=deployment.most or engine.most,
        share=_down((beside + memory.cache) / size),
        free=_down(memory.cache / max(1.0, size - beside)),
        chunked=engine.chunked,
        reuse=engine.reuse and replica.question.service.reuse,
    )


def _down(share: float) -> float:
    """To `REAL` digits, so that no more is taken than was planned.

    >>> _down(0.9), _down(0.8766666)
    (0.9, 0.8766)
    """
    scale = 10.0**REAL
    return math.floor(share * scale + 1e-6) / scale


def refuse(tool: str, found: Mapping[str, bool]) -> None:
    """Refuse a plan for every reason that holds.

    Raises
    ------
    InputError
        There is one.
    """
    if reasons := [reason for reason, holds in found.items() if holds]:
        raise InputError(f"{tool} cannot run this plan: {'; '.join(reasons)}")


def common_refusals(replica: Replica, *, vendors: tuple[str, ...]) -> dict[str, bool]:
    """What no engine for accelerators can do, or not on this chip."""
    chip, d, model = replica.question.cluster.accelerator, replica.deployment, replica.question
    small = chip.kind in HELD and chip.vendor != "NVIDIA"
    heads, keys = _heads(replica)
    return {
        "the plan does not hold the model's configuration (plan it again from a catalogue name or "
        "a config.json)": not model.config,
        f"it does not run on {chip.name} (use --to llama.cpp)": chip.kind == "phone" or small,
        f"it does not run on accelerators of {chip.vendor} (it does on {', '.join(vendors)})": (
            not small and chip.vendor not in vendors
        ),
        f"{_formats(d.weights, d.expert_weights)} is not a format it reads (plan with --weights "
        f"awq, or use --to llama.cpp)": not _known(replica),
        f"{heads} heads are not cut evenly over tp {d.tp} (take a tp that divides them)": bool(
            heads and heads % d.tp
        ),
        f"{keys} heads of keys and tp {d.tp} do not divide one another": bool(
            keys and keys % d.tp and d.tp % keys
        ),
        **_block_refusals(replica),
    }


def _heads(replica: Replica) -> tuple[int, int]:
    """Query heads, and heads of keys where they are cut, by the configuration."""
    config = replica.question.config
    heads = int(config.get("num_attention_heads") or 0)
    if config.get("kv_lora_rank"):
        return heads, 0  # every rank has the whole latent
    return heads, int(config.get("num_key_value_heads") or 0)


def _block_refusals(replica: Replica) -> dict[str, bool]:
    """Widths that blocks of scales do not divide, once they are cut."""
    d = replica.deployment
    if "fp8-block" not in (d.weights, d.expert_weights):
        return {}
    slices = d.tp * d.dp // d.ep
    widths = {b.experts.width for b in replica.question.model.blocks if b.experts is not None}
    odd = [w for w in widths if w % slices or w // slices % BLOCK]
    words = f"experts of width {odd[0] if odd else 0:,} cut {slices} ways are not whole blocks of "
    return {words + f"{BLOCK} (take ep {d.tp * d.dp}, or --weights fp8)": bool(odd)}


def _known(replica: Replica) -> bool:
    d = replica.deployment
    return d.weights in PUBLISHED and (d.expert_weights or d.weights) in PUBLISHED


def _formats(weights: str, experts: str) -> str:
    return weights if experts in ("", weights) else f"{weights} with experts in {experts}"


def mixed(replica: Replica) -> bool:
    """Whether experts are in another format than the rest."""
    d = replica.deployment
    return d.expert_weights not in ("", d.weights)


def quantised_already(replica: Replica) -> bool:
    """Whether the checkpoint that was planned from says how it is quantised."""
    return bool(replica.question.config.get("quantization_config"))


def online(replica: Replica, narrowed: Mapping[str, str]) -> str | None:
    """How a 16-bit checkpoint is narrowed as it loads; None: it is taken as it is.

    ``narrowed``: formats that the tool makes by itself, and what it calls them.
    """
    if mixed(replica) or quantised_already(replica):
        return None
    return narrowed.get(replica.deployment.weights)


def model_ask(replica: Replica, *, online: bool) -> Ask:
    """The checkpoint: in the plan's format, or in 16 bits where the tool narrows it by itself."""
    d, name = replica.deployment, replica.question.model.name
    what = f"the Hugging Face name or folder of {name}"
    if mixed(replica):
        what += f", with experts in {PUBLISHED[d.expert_weights]} and the rest in "
        what += PUBLISHED[d.weights]
    elif not online and d.weights not in SIXTEEN:
        what += f" in {PUBLISHED[d.weights]}"
    elif online and d.weights not in SIXTEEN:
        what += f" in bf16 (it is narrowed to {PUBLISHED[d.weights]} as it loads)"
    return Ask(variable="MODEL", what=what)


def drafter_ask(replica: Replica) -> Ask:
    """Who proposes tokens."""
    draft = replica.question.draft
    if replica.deployment.drafter == "model" and draft is not None:
        what = f"the Hugging Face name or folder of {draft.name}, which proposes tokens"
    else:
        what = f"an EAGLE-3 head for {replica.question.model.name}, which proposes tokens"
    return Ask(variable="DRAFTER", what=what)


def sixteen(replica: Replica) -> str:
    """The format of what is not quantised, which caches in 16 bits must share."""
    return "float16" if replica.deployment.weights == "fp16" else "bfloat16"


def has_mtp(replica: Replica) -> bool:
    """Whether the model brings layers of its own that propose tokens."""
    return int(replica.question.config.get("num_nextn_predict_layers") or 0) > 0


def needs_drafter(replica: Replica) -> bool:
    """Whether a checkpoint of its own proposes tokens."""
    d = replica.deployment
    return bool(d.drafted) and (
        d.drafter == "model" or (d.drafter == "layer" and not has_mtp(replica))
    )


def asks(replica: Replica, *, online: bool, port: int) -> tuple[Ask, ...]:
    """What a person must say: the checkpoint, a drafter, adapters, where to listen."""
    found = [model_ask(replica, online=online)]
    if needs_drafter(replica):
        found.append(drafter_ask(replica))
    if replica.deployment.adapters:
        what = "adapters as name=folder, with spaces between (none: load them later)"
        found.append(Ask(variable="ADAPTERS", what=what, default=" "))
    found += [
        Ask(variable="HOST", what="the address to listen on", default="0.0.0.0"),  # noqa: S104
        Ask(variable="PORT", what="the port to listen on", default=str(port)),
    ]
    return tuple(found)


def notes(replica: Replica, tool: str, engines: tuple[str, ...]) -> Iterator[str]:
    """What is true of all engines."""
    engine = replica.question.engine
    if not engine.id.startswith(engines):
        yield (
            f"The plan is for {engine.name}, and {tool} is another engine: it gets the same cut "
            f"and limits, but how fast it is was not predicted (plan with --engine {engines[0]})"
        )
    if replica.deployment.cache == "fp8":
        yield "The cache is in fp8, with scales of 1 unless the checkpoint brings its own"


def narrowing_notes(replica: Replica, online: str | None, *, block: str = "") -> Iterator[str]:
    """What to change where the checkpoint at hand is in another format than the one asked for."""
    if online:
        yield (
            f"MODEL is narrowed as it loads; where it is in "
            f"{PUBLISHED[replica.deployment.weights]} already, take `quantization` out of "
            f"serve.yaml"
        )
    elif block and replica.deployment.weights == "fp8-block" and not mixed(replica):
        yield (
            f"MODEL in 16 bits needs the line `quantization: {block}` in serve.yaml, and is then "
            f"narrowed as it loads"
        )


def adapter_lines(option: str) -> list[str]:
    """Lines of ``arguments.sh`` that add adapters, if any were named."""
    return [
        'read -ra NAMED <<< "${ADAPTERS}"',
        f'if ((${{#NAMED[@]}})); then ARGUMENTS+=({option} "${{NAMED[@]}}"); fi',
    ]


def arguments_text(words: list[str], lines: list[str]) -> str:
    """``arguments.sh``: an array, and lines that add to it."""
    start = array("ARGUMENTS", words) if words else "ARGUMENTS=()"
    return "\n".join([start, *lines]) + "\n"


def whole(table: dict[str, Any]) -> dict[str, Any]:
    """A table without what is not said."""
    return {key: value for key, value in table.items() if value is not None}
