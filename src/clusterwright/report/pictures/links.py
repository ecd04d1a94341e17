"""Links from a point of a picture to the page that estimates it: options of a command as a query.

Names are those of the command line without their dashes in front: ``--seq-len 8192`` is
``seq-len=8192``. What was asked of the page with the picture is kept, so that a model read from a
file or a catalogue of one's own stays what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

from clusterwright.inference import Deployment
from clusterwright.strategy import Strategy
from clusterwright.training.plan import TrainingQuestion

Asked = Mapping[str, str | Sequence[str]]
"""A query: options by name, as a person typed them; some may be repeated."""

TRAIN: Final = "/estimate/train"
SERVE: Final = "/estimate/serve"
TRAINING_OPTIONS: Final = (
    "model", "cluster", "accelerator", "accelerators", "software", "catalogue", "tokens", "seq-len",
    "batch-tokens", "batch-sequences", "precision", "optimizer", "optimizer-state", "method",
    "lora-rank",
)  # fmt: skip
"""What a plan and an estimate of training are both asked."""
SERVING_OPTIONS: Final = (
    "model", "cluster", "accelerator", "device", "engine", "price", "catalogue", "rate", "users",
    "input", "output", "trace", "ttft", "tpot", "percentile", "spread", "prefix", "draft",
    "acceptance", "drafter", "adapters", "adapter-rank", "budget", "most", "memory-share",
    "cache-tokens", "overlap", "router", "reuse",
)  # fmt: skip
"""What a plan and an estimate of serving are both asked; formats are the deployment's own."""
STATES: Final = {2.0: "bf16", 1.0: "8bit"}
"""Formats of an optimizer moment by their size [B]; at four bytes the framework's is left."""


def training_link(
    question: TrainingQuestion, strategy: Strategy, asked: Asked | None = None
) -> str:
    """Return the page that estimates a strategy for a question.

    Parameters
    ----------
    question
        What was planned for.
    strategy
        What to estimate.
    asked
        The query of the page; None makes one of the question's records, for which model and machine
        must be the catalogue's.
    """
    base = _question_words(question) if asked is None else _kept(asked, TRAINING_OPTIONS)
    job = question.workload
    # Said outright: left to itself, a batch would follow the number of accelerators.
    if not {"batch-tokens", "batch-sequences"} & base.keys():
        base = {**base, "batch-sequences": str(job.global_batch)}
    return _joined(TRAIN, {**base, **strategy_options(strategy)})


def strategy_options(strategy: Strategy) -> dict[str, str]:
    """Return a strategy as the options of ``estimate train``; axes of 1 are left out.

    >>> strategy_options(Strategy(tp=8, dp=4, micro_batch=2))
    {'tp': '8', 'dp': '4', 'micro-batch': '2', 'zero': '1', 'context-scheme': 'all-gather'}
    """
    axes = ("tp", "cp", "pp", "vpp", "ep", "etp")
    words = {axis: str(size) for axis in axes if (size := getattr(strategy, axis)) > 1}
    words |= {"dp": str(strategy.dp), "micro-batch": str(strategy.micro_batch)}
    words["zero"] = str(strategy.zero)
    if strategy.shard_group:
        words["shard-group"] = str(strategy.shard_group)
    if strategy.recompute != "none":
        words["recompute"] = strategy.recompute
    if strategy.recompute_layers:
        words["recompute-layers"] = str(strategy.recompute_layers)
    if strategy.schedule != "1f1b":
        words["schedule"] = strategy.schedule
    if strategy.context_scheme != "ring":
        words["context-scheme"] = strategy.context_scheme
    if strategy.offload != "none":
        words["offload"] = strategy.offload
    if not strategy.sequence_parallel:
        words["sequence-parallel"] = "false"
    return words


def serving_link(
    deployment: Deployment, replicas: int, asked: Asked, *, rate: float | None = None
) -> str:
    """Return the page that estimates so many replicas of a deployment.

    Parameters
    ----------
    deployment, replicas
        What to estimate.
    asked
        The query of the page.
    rate
        Requests a second of all replicas [1/s]; None: the load that the page was asked about.
    """
    axes = ("tp", "pp", "dp", "ep", "cp")
    cut = {axis: str(size) for axis in axes if (size := getattr(deployment, axis)) > 1}
    formats = {"weights": deployment.weights, "cache": deployment.cache}
    kept = _kept(asked, SERVING_OPTIONS)
    if rate is not None:
        kept.pop("users", None)
        kept["rate"] = f"{Decimal(f'{rate:.4g}'):f}/s"
    return _joined(SERVE, {**kept, **formats, **cut, "replicas": str(replicas)})


def _question_words(question: TrainingQuestion) -> dict[str, str | Sequence[str]]:
    """A question as the options of a command, from its records."""
    cluster, job = question.cluster, question.workload
    chip = cluster.accelerator.id
    usual = cluster.id == f"{cluster.count}x{chip}"
    words = {
        "model": question.model.name,
        **({"accelerator": chip} if usual else {"cluster": cluster.id}),
        "accelerators": str(cluster.count),
        "software": question.software.id,
        "seq-len": str(job.sequence_length),
        "batch-sequences": str(job.global_batch),
        "precision": job.precision,
        "optimizer": job.optimizer,
        "method": job.method,
    }
    if job.tokens:
        words["tokens"] = f"{job.tokens:.0f}"
    if job.state_bytes in STATES:
        words["optimizer-state"] = STATES[job.state_bytes]
    if job.method != "full":
        words["lora-rank"] = str(job.lora_rank)
    return dict(words)


def _kept(asked: Asked, options: Sequence[str]) -> dict[str, str | Sequence[str]]:
    """What of a query another command is asked as well."""
    return {name: asked[name] for name in options if asked.get(name)}


def _joined(path: str, words: Asked) -> str:
    return f"{path}?{urlencode(words, doseq=True)}"
