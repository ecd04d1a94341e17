"""A plan as the command line of llama.cpp's ``llama-server``: phones, laptops, desktops.

Source of what each option means: ``common/arg.cpp`` of ggml-org/llama.cpp at commit 0c1e57098 (as
packed with llama-cpp-python 0.3.36); its options are recorded in ``tests/data``, against which
what is written here is checked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from clusterwright.device import HELD
from clusterwright.errors import InputError
from clusterwright.launch import engine
from clusterwright.launch.records import Ask, LaunchFile, Program
from clusterwright.launch.service import Replica

VERSION = "llama.cpp 0c1e57098"
IMAGE = "ghcr.io/ggml-org/llama.cpp:server-cuda"
PORT = 8080

CACHES = {"bf16": "f16", "fp8": "q8_0"}
"""Types of the cache of about as many bytes: 16 bits, and 8 bits with a scale for 32."""

MOST = 256
"""Sequences at once at most: LLAMA_MAX_SEQ."""


def program(replica: Replica) -> Program:
    """What the machine runs.

    Raises
    ------
    InputError
        The plan has something that llama.cpp has not; every such thing is named.
    """
    if reasons := [reason for reason, holds in refusals(replica).items() if holds]:
        raise InputError(f"llama.cpp cannot run this plan: {'; '.join(reasons)}")
    words = engine.arguments_text(arguments(replica), _lines(replica))
    return Program(
        tool="llama.cpp",
        version=VERSION,
        start="plain",
        command=("llama-server", "--model", "${MODEL}"),
        arguments=("ARGUMENTS",),
        files=(LaunchFile(path="arguments.sh", text=words),),
        asks=_asks(replica),
        image=IMAGE,
        notes=tuple(notes(replica)),
        port=PORT,
    )


def refusals(replica: Replica) -> dict[str, bool]:
    """What of a plan llama.cpp cannot do, in words with the nearest that it can."""
    d = replica.deployment
    return {
        f"{gguf(replica) or d.weights} is not a type of GGUF (plan with --weights q4-k-m, q8-0 or "
        f"bf16)": gguf(replica) is None,
        "prompts and decoding have no pools of their own (plan with --split no)": (
            replica.pool.role != "both"
        ),
        f"it has no data-parallel attention (take dp 1, not {d.dp})": d.dp > 1,
        f"experts are not spread over accelerators (take ep 1, not {d.ep}; --split-mode layer "
        f"deals out whole layers)": d.ep > 1,
        f"a sequence's cache is not cut over accelerators (take cp 1, not {d.cp})": d.cp > 1,
        f"layers are dealt out or cut, not both: tp {d.tp} and pp {d.pp} (take tp 1 or pp 1)": (
            d.tp > 1 and d.pp > 1
        ),
        f"a replica is on one host, not {replica.hosts} (take fewer accelerators, or --to vllm)": (
            replica.hosts > 1
        ),
        "it has no batches in two halves (leave out --overlap)": d.overlap,
    }


def gguf(replica: Replica) -> str | None:
    """The type of the GGUF file; None: there is none of that format."""
    d = replica.deployment
    weights, experts = d.weights, d.expert_weights or d.weights
    if weights == experts:
        return engine.GGUF.get(weights)
    return "MXFP4_MOE" if experts.startswith("mxfp4") and weights == "q8-0" else None


def slots(replica: Replica) -> int:
    """Sequences at once: one on a device of somebody's own, else what the plan lets in."""
    if replica.question.device is not None or _held(replica):
        return max(1, replica.question.workload.users)
    room = max(1, math.floor(replica.memory.cache_tokens / _mean(replica)))
    return min(engine.told(replica).sequences, room, MOST)


def _held(replica: Replica) -> bool:
    return replica.question.cluster.accelerator.kind in HELD


def _mean(replica: Replica) -> float:
    """Tokens of a request on average."""
    load = replica.question.workload
    return max(1.0, load.prompt + load.output)


def pool(replica: Replica) -> int:
    """Tokens of the cache that all sequences share."""
    room = max(replica.longest, math.floor(replica.memory.cache_tokens))
    return min(room, slots(replica) * replica.longest)


def arguments(replica: Replica) -> list[str]:
    """All arguments but the model's file, in the order in which a person reads them."""
    limits = engine.told(replica)
    words = ["--alias", replica.question.model.name]
    words += ["--ctx-size", str(pool(replica)), "--parallel", str(slots(replica)), "--kv-unified"]
    words += ["--kv-unified-per-slot", str(replica.longest)]
    words += ["--batch-size", str(limits.tokens), "--ubatch-size", str(limits.tokens)]
    kind = CACHES[replica.deployment.cache]
    words += ["--cache-type-k", kind, "--cache-type-v", kind]
    words += ["--flash-attn", "on" if kind != "f16" else "auto"]
    words += _placing(replica)
    words += [] if limits.reuse else ["--no-cache-prompt"]
    words += _speculation(replica)
    return [*words, "--host", "${HOST}", "--port", "${PORT}"]


def _placing(replica: Replica) -> list[str]:
    """Which layers lie where."""
    d = replica.deployment
    if replica.question.cluster.accelerator.profile.startswith("processor"):
        return ["--gpu-layers", "0"]
    words = ["--gpu-layers", "all"]
    if d.accelerators == 1:
        return [*words, "--split-mode", "none"]
    mode = "tensor" if d.tp > 1 else "layer"
    return [*words, "--split-mode", mode, "--tensor-split", ",".join("1" * d.accelerators)]


def _speculation(replica: Replica) -> list[str]:
    d = replica.deployment
    if not d.drafted:
        return []
    if d.drafter not in ("layer", "model"):
        return ["--spec-type", "ngram-simple", "--spec-ngram-simple-size-m", str(d.drafted)]
    kind = "draft-simple" if d.drafter == "model" else "draft-eagle3"
    if not engine.needs_drafter(replica):
        return ["--spec-type", "draft-mtp", "--spec-draft-n-max", str(d.drafted)]
    words = ["--spec-type", kind, "--spec-draft-model", "${DRAFTER}"]
    return [*words, "--spec-draft-n-max", str(d.drafted)]


def _lines(replica: Replica) -> list[str]:
    if not replica.deployment.adapters:
        return []
    return ['if [[ -n "${ADAPTERS// /}" ]]; then ARGUMENTS+=(--lora "${ADAPTERS}"); fi']


def _asks(replica: Replica) -> tuple[Ask, ...]:
    name, draft = replica.question.model.name, replica.question.draft
    found = [Ask(variable="MODEL", what=f"the file of {name} in GGUF, type {gguf(replica)}")]
    if engine.needs_drafter(replica):
        who = draft.name if draft is not None else f"an EAGLE-3 head for {name}"
        found.append(Ask(variable="DRAFTER", what=f"the file of {who} in GGUF, which proposes"))
    if replica.deployment.adapters:
        what = "files of adapters in GGUF, with commas between (none: it runs without)"
        found.append(Ask(variable="ADAPTERS", what=what, default=" "))
    found.append(Ask(variable="HOST", what="the address to listen on", default="127.0.0.1"))
    found.append(Ask(variable="PORT", what="the port to listen on", default=str(PORT)))
    return tuple(found)


def notes(replica: Replica) -> Iterator[str]:
    """What differs from the plan, and what a person should look at."""
    d = replica.deployment
    yield from engine.notes(replica, "llama.cpp", ("llama-cpp",))
    if d.cache == "fp8":
        yield "It has no fp8 cache: q8_0 takes 6 % more, 34 bytes for 32 values"
    if slots(replica) < engine.told(replica).sequences:
        here = slots(replica)
        yield (
            f"The plan lets in {engine.told(replica).sequences:,} sequences at most; there "
            f"{'is one slot' if here == 1 else f'are {here:,} slots'} here, which is what one user "
            f"or the cache has use for"
        )
    if d.tp > 1:
        yield "--split-mode tensor is called experimental there"
    if replica.question.cluster.accelerator.kind == "phone" or replica.question.device is not None:
        yield (
            "Build it for the device first (docs/build.md and docs/android.md of llama.cpp), or "
            "give the same settings to an app that has it inside"
        )
