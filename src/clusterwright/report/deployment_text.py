"""Deployments in words."""

from __future__ import annotations

from clusterwright.inference import Deployment
from clusterwright.serving.server import Pool


def pools_words(pools: tuple[Pool, ...]) -> str:
    """Replicas in words, by role."""
    words = []
    for pool in pools:
        role = {"both": "", "prefill": " for prompts", "decode": " for decoding"}[pool.role]
        words.append(f"{pool.count:,}{role} x {cut_words(pool.deployment)}")
    formats = dict.fromkeys(format_words(pool.deployment) for pool in pools)
    return f"{'; '.join(words)}; {' and '.join(formats)}"


def deployment_words(deployment: Deployment) -> str:
    """How one replica is cut, and its formats, in words."""
    return f"{cut_words(deployment)}; {format_words(deployment)}"


def cut_words(deployment: Deployment) -> str:
    """How one replica is cut, in words."""
    axes = [
        f"{axis} {getattr(deployment, axis)}"
        for axis in ("tp", "pp", "dp", "ep", "cp")
        if getattr(deployment, axis) > 1
    ]
    return ", ".join(axes) or "one accelerator"


def format_words(deployment: Deployment) -> str:
    """Formats of weights and cache, in words."""
    experts = deployment.expert_weights
    weights = deployment.weights
    if experts and experts != weights:
        weights += f" (experts {experts})"
    drafts = f", {deployment.drafted} drafted" if deployment.drafted else ""
    halves = ", batches in two halves" if deployment.overlap else ""
    return f"{weights}, cache {deployment.cache}{drafts}{halves}"
