"""A plan as the configuration of SGLang's server.

Source of what each option means: ``sglang/srt/arg_groups`` of SGLang 0.5.23, whose own
`prepare_server_args` and `resolve_once` read the result in ``tests/against``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clusterwright.launch import engine
from clusterwright.launch.records import LaunchFile, Program
from clusterwright.launch.service import Replica
from clusterwright.launch.yaml import yaml

VERSION = "SGLang 0.5.23"
IMAGE = "lmsysorg/sglang:v0.5.23"
PORT = 30000
Table = dict[str, Any]

VENDORS = ("NVIDIA", "AMD", "Intel", "Huawei")
CACHES = {"bfloat16": "bfloat16", "float16": "auto"}
ONLINE = {"fp8": "fp8"}
"""Formats that a 16-bit checkpoint is narrowed to as it loads."""


def program(replica: Replica) -> Program:
    """What each host runs.

    Raises
    ------
    InputError
        The plan has something that SGLang has not; every such thing is named.
    """
    engine.refuse("SGLang", refusals(replica))
    about = f"For {VERSION}: python -m sglang.launch_server --model-path MODEL --config serve.yaml"
    words = ["--host", "${HOST}", "--port", "${PORT}"]
    if engine.needs_drafter(replica):
        words += ["--speculative-draft-model-path", "${DRAFTER}"]
    return Program(
        tool="sglang",
        version=VERSION,
        start="plain",
        command=(
            *("python3", "-m", "sglang.launch_server", "--model-path", "${MODEL}"),
            *("--config", "serve.yaml"),
        ),
        arguments=("ARGUMENTS",),
        files=(
            LaunchFile(path="serve.yaml", text=yaml(settings(replica), about=about)),
            LaunchFile(path="arguments.sh", text=engine.arguments_text(words, _lines(replica))),
        ),
        asks=engine.asks(replica, online=engine.online(replica, ONLINE) is not None, port=PORT),
        image=IMAGE,
        notes=tuple(notes(replica)),
        port=PORT,
    )


def refusals(replica: Replica) -> dict[str, bool]:
    """What of a plan SGLang cannot do, in words with the nearest that it can."""
    d = replica.deployment
    return {
        **engine.common_refusals(replica, vendors=VENDORS),
        f"it cuts the cache of a sequence for a few models only, not cp {d.cp} (take cp 1, or use "
        f"--to vllm)": d.cp > 1,
        "n-grams do not go with data-parallel attention there (take dp 1, or --drafter layer)": (
            d.dp > 1 and bool(d.drafted) and d.drafter not in ("layer", "model")
        ),
        "speculation has no pipeline there (take pp 1, or leave out --draft)": bool(d.drafted)
        and d.pp > 1,
    }


def settings(replica: Replica) -> Table:
    """``serve.yaml``, in the order in which a person reads it.

    Its tensor parallelism counts the data-parallel ranks of attention in, and what it lets in is
    for all of these together.
    """
    d, limits = replica.deployment, engine.told(replica)
    return engine.whole(
        {
            "served-model-name": replica.question.model.name,
            "dtype": engine.sixteen(replica),
            "quantization": engine.online(replica, ONLINE),
            "tp-size": d.tp * d.dp,
            "pp-size": d.pp,
            "attn-dp-size": d.dp if d.dp > 1 else None,
            "ep-size": d.ep,
            "context-length": replica.longest,
            "max-running-requests": limits.sequences * d.dp,
            "max-prefill-tokens": limits.tokens,
            "chunked-prefill-size": limits.tokens * d.dp if limits.chunked else -1,
            "enable-mixed-chunk": True if _mixes(replica) else None,
            "disable-radix-cache": None if limits.reuse else True,
            "mem-fraction-static": limits.share,
            "kv-cache-dtype": "fp8_e4m3" if d.cache == "fp8" else CACHES[engine.sixteen(replica)],
            **_overlap(replica),
            **_speculation(replica),
            **_adapters(replica),
            **_handover(replica),
        }
    )


def _mixes(replica: Replica) -> bool:
    """Whether prompts and decoding share a step, where it can do so."""
    d = replica.deployment
    return replica.question.engine.mixed and not d.drafted and replica.pool.role == "both"


def _overlap(replica: Replica) -> Table:
    if not replica.deployment.overlap:
        return {}
    return {"enable-two-batch-overlap": True, "moe-a2a-backend": "deepep"}


def _speculation(replica: Replica) -> Table:
    d = replica.deployment
    if not d.drafted:
        return {}
    if d.drafter not in ("layer", "model"):
        return {"speculative-algorithm": "NGRAM", "speculative-num-draft-tokens": d.drafted + 1}
    algorithm = "STANDALONE" if d.drafter == "model" else "EAGLE3"
    return {
        "speculative-algorithm": algorithm if engine.needs_drafter(replica) else "NEXTN",
        "speculative-num-steps": d.drafted,
        "speculative-eagle-topk": 1,
        "speculative-num-draft-tokens": d.drafted + 1,
    }


def _adapters(replica: Replica) -> Table:
    d = replica.deployment
    if not d.adapters:
        return {}
    return {
        "enable-lora": True,
        "max-loras-per-batch": d.adapters,
        "max-lora-rank": d.adapter_rank,
    }


def _handover(replica: Replica) -> Table:
    if replica.pool.role == "both":
        return {}
    return {"disaggregation-mode": replica.pool.role, "disaggregation-transfer-backend": "nixl"}


def _lines(replica: Replica) -> list[str]:
    lines = []
    if replica.hosts > 1:
        lines += [
            f'ARGUMENTS+=(--nnodes {replica.hosts} --node-rank "${{HOST_RANK}}")',
            'ARGUMENTS+=(--dist-init-addr "${MASTER_ADDR}:${MASTER_PORT}")',
        ]
    if replica.pool.role == "prefill":
        lines += [
            "# Where those that decode ask for caches.",
            f"ARGUMENTS+=(--disaggregation-bootstrap-port $((PORT + {engine.SIDE})))",
        ]
    if replica.deployment.adapters:
        lines += ["# Parts of the model that adapters may change; those named may change fewer."]
        lines += ["ARGUMENTS+=(--lora-target-modules all)"]
        lines += engine.adapter_lines("--lora-paths")
    return lines


def notes(replica: Replica) -> Iterator[str]:
    """What differs from the plan, and what a person should look at."""
    yield from engine.notes(replica, "SGLang", ("sglang",))
    yield from engine.narrowing_notes(replica, engine.online(replica, ONLINE))
    d = replica.deployment
    if replica.question.engine.mixed and d.drafted:
        yield "While it speculates, prompts and decoding do not share a step: prompts go first"
    if d.overlap:
        yield "Batches in two halves need DeepEP beside SGLang, whose traffic it hides"
