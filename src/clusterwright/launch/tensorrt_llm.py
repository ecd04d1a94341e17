"""A plan as the configuration of ``trtllm-serve``.

Source of what each option means: ``tensorrt_llm/llmapi/llm_args.py`` of TensorRT-LLM 1.2, whose
package needs CUDA to be installed: what is written here is checked against a recorded list of its
options in ``tests/data``, not by its own code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clusterwright.launch import engine
from clusterwright.launch.records import LaunchFile, Program
from clusterwright.launch.service import Replica
from clusterwright.launch.yaml import yaml

VERSION = "TensorRT-LLM 1.2.1"
IMAGE = "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"
PORT = 8000
Table = dict[str, Any]

READS = ("bf16", "fp16", "fp8", "fp8-block", "awq", "int4", "mxfp4", "mxfp4-weights", "nvfp4")
"""Formats of checkpoints that its PyTorch backend reads."""

CACHES = {"bf16": "auto", "fp8": "fp8"}
NGRAM = 4
"""Tokens that must have been there before for what followed them to be proposed."""

FILL = [
    "# The drafter's place goes into a copy, as YAML has no variables.",
    'CONFIG="$(mktemp -d)/serve.yaml"',
    'TEXT="$(< serve.yaml)"',
    'printf \'%s\\n\' "${TEXT//@DRAFTER@/"${DRAFTER}"}" > "${CONFIG}"',
    'ARGUMENTS+=(--extra_llm_api_options "${CONFIG}")',
]


def program(replica: Replica) -> Program:
    """What each host runs, or each rank where there are several hosts.

    Raises
    ------
    InputError
        The plan has something that TensorRT-LLM has not; every such thing is named.
    """
    engine.refuse("TensorRT-LLM", refusals(replica))
    about = f"For {VERSION}: trtllm-serve MODEL --extra_llm_api_options serve.yaml"
    words = ["--backend", "pytorch", "--host", "${HOST}", "--port", "${PORT}"]
    drafter = engine.needs_drafter(replica)
    if not drafter:
        words += ["--extra_llm_api_options", "serve.yaml"]
    ranks = ("trtllm-llmapi-launch",) if replica.hosts > 1 else ()
    return Program(
        tool="tensorrt-llm",
        version=VERSION,
        start="mpi" if replica.hosts > 1 else "plain",
        command=(*ranks, "trtllm-serve", "${MODEL}"),
        arguments=("ARGUMENTS",),
        files=(
            LaunchFile(path="serve.yaml", text=yaml(settings(replica), about=about)),
            LaunchFile(
                path="arguments.sh", text=engine.arguments_text(words, FILL if drafter else [])
            ),
        ),
        asks=tuple(
            ask
            for ask in engine.asks(replica, online=False, port=PORT)
            if ask.variable != "ADAPTERS"
        ),
        image=IMAGE,
        notes=tuple(notes(replica)),
        port=PORT,
    )


def refusals(replica: Replica) -> dict[str, bool]:
    """What of a plan TensorRT-LLM cannot do, in words with the nearest that it can."""
    d = replica.deployment
    formats = {d.weights, d.expert_weights or d.weights}
    return {
        **engine.common_refusals(replica, vendors=("NVIDIA",)),
        f"{' and '.join(sorted(formats - set(READS)))} is not a format its PyTorch backend reads "
        f"(plan with --weights awq or fp8)": not formats <= set(READS)
        and formats <= set(engine.PUBLISHED),
        f"its attention is cut over all ranks or over none of them, not tp {d.tp} in each of dp "
        f"{d.dp} (take tp 1 or dp 1)": d.dp > 1 and d.tp > 1,
        f"it does not cut a sequence's cache over ranks while decoding (take cp 1, not {d.cp}, or "
        f"use --to vllm)": d.cp > 1,
        "it has no batches in two halves (leave out --overlap)": d.overlap,
        "speculation has no pipeline there (take pp 1, or leave out --draft)": bool(d.drafted)
        and d.pp > 1,
    }


def settings(replica: Replica) -> Table:
    """``serve.yaml``, in the order in which a person reads it.

    Its tensor parallelism counts the data-parallel ranks of attention in; what it lets in is for
    each of these.
    """
    d, limits = replica.deployment, engine.told(replica)
    ranks = d.tp * d.dp
    experts = any(block.experts is not None for block in replica.question.model.blocks)
    return engine.whole(
        {
            "dtype": engine.sixteen(replica),
            "tensor_parallel_size": ranks,
            "pipeline_parallel_size": d.pp,
            "gpus_per_node": replica.per_host,
            "enable_attention_dp": True if d.dp > 1 else None,
            "moe_expert_parallel_size": d.ep if experts else None,
            "moe_tensor_parallel_size": ranks // d.ep if experts else None,
            "max_seq_len": replica.longest,
            "max_batch_size": limits.sequences,
            "max_num_tokens": limits.tokens,
            "enable_chunked_prefill": limits.chunked,
            "kv_cache_config": {
                "dtype": CACHES[d.cache],
                "free_gpu_memory_fraction": limits.free,
                "enable_block_reuse": limits.reuse,
            },
            "cuda_graph_config": _graphs(replica),
            "speculative_config": _speculation(replica),
            **_adapters(replica),
            **_handover(replica),
        }
    )


def _graphs(replica: Replica) -> Table | None:
    """Decoding is replayed from graphs as far as the plan takes it to be: its own limit is 128."""
    rows = replica.question.engine.graph_rows
    if not rows:
        return None
    return {"enable_padding": True, "max_batch_size": min(rows, engine.told(replica).sequences)}


def _speculation(replica: Replica) -> Table | None:
    d = replica.deployment
    if not d.drafted:
        return None
    if d.drafter == "model":
        return {
            "decoding_type": "DraftTarget",
            "max_draft_len": d.drafted,
            "speculative_model_dir": "@DRAFTER@",
        }
    if d.drafter == "layer" and engine.has_mtp(replica):
        return {"decoding_type": "MTP", "num_nextn_predict_layers": d.drafted}
    if d.drafter == "layer":
        return {
            "decoding_type": "Eagle",
            "max_draft_len": d.drafted,
            "speculative_model_dir": "@DRAFTER@",
        }
    return {
        "decoding_type": "NGram",
        "max_draft_len": d.drafted,
        "max_matching_ngram_size": NGRAM,
    }


def _adapters(replica: Replica) -> Table:
    d = replica.deployment
    if not d.adapters:
        return {}
    config = {"max_lora_rank": d.adapter_rank, "max_loras": d.adapters, "max_cpu_loras": d.adapters}
    return {"enable_lora": True, "lora_config": config}


def _handover(replica: Replica) -> Table:
    """How caches go from one pool to the other; prompts' steps cannot run ahead of that."""
    if replica.pool.role == "both":
        return {}
    largest = max(replica.longest, engine.told(replica).tokens)
    transceiver = {"backend": "DEFAULT", "max_tokens_in_buffer": largest}
    alone = {"disable_overlap_scheduler": True} if replica.pool.role == "prefill" else {}
    return {**alone, "cache_transceiver_config": transceiver}


def notes(replica: Replica) -> Iterator[str]:
    """What differs from the plan, and what a person should look at."""
    yield from engine.notes(replica, "TensorRT-LLM", ("trtllm",))
    if replica.deployment.adapters:
        yield "Adapters are named by each request (lora_request), not when it starts"
    if replica.deployment.cache == "bf16":
        yield (
            "The cache is in the checkpoint's own format: one that was quantised with an FP8 cache "
            "keeps it, and has room for twice the tokens planned"
        )
    if replica.hosts > 1:
        yield "Several hosts are one MPI job: run.sh is started once for each accelerator"
