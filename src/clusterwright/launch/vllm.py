"""A plan as the configuration of ``vllm serve``.

Source of what each option means: ``vllm/engine/arg_utils.py`` and ``vllm/config`` of vLLM 0.33.0,
whose own parser and `create_engine_config` read the result in ``tests/against``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from clusterwright.launch import engine
from clusterwright.launch.records import LaunchFile, Program
from clusterwright.launch.service import Replica
from clusterwright.launch.yaml import yaml

VERSION = "vLLM 0.33.0"
IMAGE = "vllm/vllm-openai:v0.33.0"
PORT = 8000
Table = dict[str, Any]

VENDORS = ("NVIDIA", "AMD", "Intel", "Google", "AWS", "Huawei")
PLUGINS = {"Google": "vllm-tpu", "AWS": "vllm-neuron", "Huawei": "vllm-ascend"}
"""Vendors whose accelerators need a plugin, which is a package of its own."""

ONLINE = {"fp8": "fp8", "int8": "int8_per_channel_weight_only"}
"""Formats that a 16-bit checkpoint is narrowed to as it loads."""

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks of adapters that it has kernels for."""

ROLES = {"prefill": "kv_producer", "decode": "kv_consumer"}
SIDE = "VLLM_NIXL_SIDE_CHANNEL"
"""Variables that tell the other pool where a server's caches are: with _HOST and _PORT."""


def program(replica: Replica) -> Program:
    """What each host runs.

    Raises
    ------
    InputError
        The plan has something that vLLM has not; every such thing is named.
    """
    engine.refuse("vLLM", refusals(replica))
    text = yaml(settings(replica), about=f"For {VERSION}: vllm serve MODEL --config serve.yaml")
    words = ["--host", "${HOST}", "--port", "${PORT}", *_speculation(replica)]
    return Program(
        tool="vllm",
        version=VERSION,
        start="plain",
        command=("vllm", "serve", "${MODEL}", "--config", "serve.yaml"),
        arguments=("ARGUMENTS",),
        files=(
            LaunchFile(path="serve.yaml", text=text),
            LaunchFile(path="arguments.sh", text=engine.arguments_text(words, _lines(replica))),
        ),
        asks=engine.asks(replica, online=engine.online(replica, ONLINE) is not None, port=PORT),
        image=IMAGE,
        notes=tuple(notes(replica)),
        port=PORT,
    )


def refusals(replica: Replica) -> dict[str, bool]:
    """What of a plan vLLM cannot do, in words with the nearest that it can."""
    d, config, limits = replica.deployment, replica.question.config, engine.told(replica)
    ranks = d.tp * d.dp
    heads = int(config.get("num_attention_heads") or 1)
    keys = int(config.get("num_key_value_heads") or heads)
    latent = bool(config.get("kv_lora_rank"))
    apart = replica.pool.role != "both"
    return {
        **engine.common_refusals(replica, vendors=VENDORS),
        f"it spreads experts over all {ranks} ranks or none, not over {d.ep} (take ep 1 or "
        f"{ranks})": d.ep not in (1, ranks),
        f"{limits.tokens:,} tokens in a step are fewer than {limits.sequences:,} sequences that "
        f"may be in it (give --budget {limits.sequences} or more, or --most {limits.tokens})": (
            limits.tokens < limits.sequences
        ),
        f"{heads // keys} query heads to a head of keys are not cut evenly over cp {d.cp} (take "
        f"cp 1)": d.cp > 1 and not latent and bool((heads // keys) % d.cp),
        f"pools of their own hand over caches that are whole or cut over all ranks of latent "
        f"attention, not cp {d.cp} (take cp 1, or --split no)": (
            apart and d.cp > 1 and not (latent and d.cp == d.tp)
        ),
        f"adapters have rank {RANKS[-1]} at most": d.adapters > 0 and d.adapter_rank > RANKS[-1],
        "a smaller model that proposes tokens has no pipeline there (take pp 1, or --drafter "
        "ngram)": engine.needs_drafter(replica) and d.pp > 1,
    }


def settings(replica: Replica) -> Table:
    """``serve.yaml``, in the order in which a person reads it."""
    d, limits = replica.deployment, engine.told(replica)
    return engine.whole(
        {
            "served-model-name": replica.question.model.name,
            "dtype": engine.sixteen(replica),
            "quantization": engine.online(replica, ONLINE),
            "tensor-parallel-size": d.tp,
            "pipeline-parallel-size": d.pp,
            "data-parallel-size": d.dp if d.dp > 1 else None,
            "enable-expert-parallel": True if d.ep > 1 else None,
            "decode-context-parallel-size": d.cp if d.cp > 1 else None,
            "max-model-len": replica.longest,
            "max-num-seqs": limits.sequences,
            "max-num-batched-tokens": limits.tokens,
            "enable-chunked-prefill": limits.chunked,
            "enable-prefix-caching": limits.reuse,
            "gpu-memory-utilization": limits.share,
            "kv-cache-dtype": "fp8" if d.cache == "fp8" else engine.sixteen(replica),
            **_overlap(replica),
            **_adapters(replica),
            **_handover(replica),
        }
    )


def _overlap(replica: Replica) -> Table:
    if not replica.deployment.overlap:
        return {}
    backend = "deepep_high_throughput" if replica.pool.role == "prefill" else "deepep_low_latency"
    return {"enable-dbo": True, "all2all-backend": backend}


def _adapters(replica: Replica) -> Table:
    d = replica.deployment
    if not d.adapters:
        return {}
    rank = next(rank for rank in RANKS if rank >= d.adapter_rank)
    return {"enable-lora": True, "max-loras": d.adapters, "max-lora-rank": rank}


def _handover(replica: Replica) -> Table:
    role = ROLES.get(replica.pool.role)
    if role is None:
        return {}
    return {"kv-transfer-config": {"kv_connector": "NixlConnector", "kv_role": role}}


def _speculation(replica: Replica) -> list[str]:
    """On the command line, where a drafter can be named by a variable."""
    d = replica.deployment
    if not d.drafted:
        return []
    table: Table = {"num_speculative_tokens": d.drafted}
    if d.drafter == "model":
        table |= {"method": "draft_model", "model": "${DRAFTER}"}
    elif d.drafter == "layer" and engine.has_mtp(replica):
        table |= {"method": "mtp"}
    elif d.drafter == "layer":
        table |= {"method": "eagle3", "model": "${DRAFTER}"}
    else:
        table |= {"method": "ngram", "prompt_lookup_max": NGRAM}
    return ["--speculative-config", json.dumps(table)]


NGRAM = 4
"""Tokens that must have been there before for what followed them to be proposed."""


def _lines(replica: Replica) -> list[str]:
    lines = []
    if replica.hosts > 1:
        lines += [
            f'ARGUMENTS+=(--nnodes {replica.hosts} --node-rank "${{HOST_RANK}}")',
            'ARGUMENTS+=(--master-addr "${MASTER_ADDR}" --master-port "${MASTER_PORT}")',
            "# The first host answers; the others only work.",
            'if [[ "${HOST_RANK}" != 0 ]]; then ARGUMENTS+=(--headless); fi',
        ]
    if replica.deployment.adapters:
        lines += engine.adapter_lines("--lora-modules")
    if replica.pool.role != "both":
        lines += [
            "# Where the other pool finds the caches of this server.",
            f': "${{{SIDE}_HOST:=$(hostname -i)}}" "${{{SIDE}_PORT:=$((PORT + {engine.SIDE}))}}"',
            f"export {SIDE}_HOST {SIDE}_PORT",
        ]
    return lines


def notes(replica: Replica) -> Iterator[str]:
    """What differs from the plan, and what a person should look at."""
    yield from engine.notes(replica, "vLLM", ("vllm",))
    yield from engine.narrowing_notes(
        replica, engine.online(replica, ONLINE), block="fp8_per_block"
    )
    vendor = replica.question.cluster.accelerator.vendor
    if vendor in PLUGINS:
        yield f"Accelerators of {vendor} need its plugin {PLUGINS[vendor]} beside vLLM"
    if replica.deployment.overlap:
        yield "Batches in two halves need DeepEP beside vLLM, whose traffic it hides"
