"""Small jobs and machines that several tests share, and random strategies for them."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st

from clusterwright.facts import profile_of, shipped
from clusterwright.hardware import Cluster
from clusterwright.model.config import load_config
from clusterwright.model.records import Model
from clusterwright.strategy import Strategy
from clusterwright.training.api import settings_of, software_named
from clusterwright.training.estimate import TrainingEstimate, estimate_with, make_evaluator
from clusterwright.training.evaluate import Evaluator
from clusterwright.training.intervals import IntervalGroup, Intervals
from clusterwright.workload import TrainingWorkload

LAYERS, SEQUENCE, BATCH, ACCELERATORS = 16, 4096, 64, 64

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "num_hidden_layers": LAYERS,
    "vocab_size": 32768,
    "max_position_embeddings": SEQUENCE,
    "tie_word_embeddings": False,
}
MIXTRAL: dict[str, Any] = {
    **LLAMA,
    "model_type": "mixtral",
    "intermediate_size": 4096,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}
JOB = TrainingWorkload(sequence_length=SEQUENCE, global_batch=BATCH)


@cache
def dense(layers: int = LAYERS) -> Model:
    """A Llama of about one billion parameters."""
    return load_config({**LLAMA, "num_hidden_layers": layers}, name="small")


@cache
def sparse() -> Model:
    """A mixture of eight experts, two per token."""
    return load_config(MIXTRAL, name="small-experts")


@cache
def machine(count: int = ACCELERATORS) -> Cluster:
    """Eight accelerators to a node."""
    return shipped().any_cluster("nv-h100-sxm", count)


INTERVALS = Intervals(groups=(IntervalGroup(low=0.8, high=1.25),))
"""One interval for everything."""


def evaluator(
    model: Model | None = None,
    cluster: Cluster | None = None,
    workload: TrainingWorkload = JOB,
    software: str = "any",
) -> Evaluator:
    """Bind a job to a machine; a small dense model on 64 accelerators unless told otherwise."""
    cluster = cluster or machine()
    return make_evaluator(
        model or dense(),
        cluster,
        workload,
        software=software_named(shipped(), software),
        profile=profile_of(shipped(), cluster),
        settings=settings_of(shipped()),
    )


def estimate(bound: Evaluator, strategy: Strategy) -> TrainingEstimate:
    """Estimate one strategy."""
    return estimate_with(bound, strategy, intervals=INTERVALS)


def with_accelerator(cluster: Cluster, **changes: Any) -> Cluster:
    """The same cluster of a changed accelerator."""
    changed = msgspec.structs.replace(cluster.accelerator, **changes)
    return msgspec.structs.replace(cluster, accelerator=changed)


def with_level(cluster: Cluster, index: int, factor: float) -> Cluster:
    """The same cluster with one level of its network faster."""
    levels = [
        msgspec.structs.replace(level, bandwidth=level.bandwidth * (factor if i == index else 1.0))
        for i, level in enumerate(cluster.levels)
    ]
    return msgspec.structs.replace(cluster, levels=tuple(levels))


@st.composite
def strategies(draw: st.DrawFn, *, experts: bool = False) -> Strategy:
    """Strategies that obey the rules on 64 accelerators, for `dense` or `sparse`."""
    tp = draw(st.sampled_from([1, 2, 4, 8]))
    cp = draw(st.sampled_from([1, 1, 2]))
    pp = draw(st.sampled_from([n for n in (1, 1, 2, 4, 8) if tp * cp * n <= ACCELERATORS]))
    most = ACCELERATORS // (tp * cp * pp)
    dp = draw(st.sampled_from([n for n in (1, 2, 4, 8, 16, 32, 64) if n <= most]))
    micro = draw(st.sampled_from([n for n in (1, 2, 4) if BATCH % (dp * n) == 0]))
    rounds = BATCH // dp // micro
    vpp = draw(st.sampled_from([1, 2])) if pp > 1 and rounds % pp == 0 else 1
    schedules = ["1f1b"] if pp == 1 or vpp > 1 else ["1f1b", "zero-bubble", "gpipe"]
    if pp >= 4 and vpp == 1 and rounds >= 2 * pp:
        schedules.append("dualpipe")
    ranks = dp * cp * tp
    eps = [n for n in (1, 2, 4, 8) if ranks % n == 0] if experts else [1]
    recompute = draw(st.sampled_from(["none", "selective", "full"]))
    return Strategy(
        tp=tp,
        cp=cp,
        pp=pp,
        vpp=vpp,
        dp=dp,
        ep=draw(st.sampled_from(eps)),
        micro_batch=micro,
        zero=draw(st.sampled_from([0, 1, 2, 3] if pp == 1 else [0, 1])),
        sequence_parallel=draw(st.booleans()),
        recompute=recompute,
        recompute_layers=draw(st.sampled_from([0, 1])) if recompute == "full" else 0,
        schedule=draw(st.sampled_from(schedules)),
        context_scheme=draw(st.sampled_from(["all-gather", "ring"])),
        offload=draw(st.sampled_from(["none", "none", "optimizer", "activations"])),
        overlap_tp=draw(st.booleans()),
        overlap_dp=draw(st.booleans()),
        overlap_ep=draw(st.booleans()),
        overlap_pp=draw(st.booleans()),
    )
