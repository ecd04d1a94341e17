"""What every trainer must be told, no plan knows, and most published runs say alike.

None of it changes a step's time or memory. Source: the training sections of GPT-3 (arXiv
2005.14165, appendix B) and Llama 2 (arXiv 2307.09288, section 2.2), which agree on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from clusterwright.launch.job import TrainingJob
from clusterwright.launch.records import Ask

BETAS = (0.9, 0.95)
"""Decay of Adam's two moments at each step."""
WEIGHT_DECAY = 0.1
CLIP = 1.0
"""Norm to which larger gradients are cut."""
LAST = 0.1
"""The last learning rate, as a share of the highest."""
LAST_RATE = "the last learning rate (a tenth of LR is customary)"
"""What tools are told that take no share of the highest."""

WARMUP, RISE = 200, 0.1
"""Steps in which the learning rate rises, as torchtitan has it, and their most of a short run."""


def ask_warmup(job: TrainingJob) -> Ask:
    """The variable that says how long the learning rate rises; no tool takes all of the run."""
    steps = min(WARMUP, int(RISE * job.length))
    return Ask(variable="WARMUP", what="steps to reach the highest", default=str(steps))


def customary_notes(job: TrainingJob) -> Iterator[str]:
    """Sentences on what was filled in, for those who want it otherwise."""
    optimizer = job.workload.optimizer
    betas = f"Adam's betas {BETAS[0]:g} and {BETAS[1]:g}, " if optimizer == "adam" else ""
    decay = "" if optimizer == "sgd" else f"weight decay {WEIGHT_DECAY:g}, "
    if job.steps is None:
        yield (
            f"The plan knows no number of tokens, so {job.length} steps are trained: plan with "
            "--tokens for a run"
        )
    yield (
        f"The plan says nothing of how the model learns: {betas}{decay}gradients cut to a norm of "
        f"{CLIP:g} are customary (GPT-3, Llama 2); change them as your recipe has it"
    )
