"""What every trainer must be told, no plan knows, and most published runs say alike.

None of it changes a step's time or memory. Source: the training sections of GPT-3 (arXiv
2005.14165, appendix B) and Llama 2 (arXiv 2307.09288, section 2.2), which agree on all of them.
"""

from __future__ import annotations

from clusterwright.workload import Optimizer

BETAS = (0.9, 0.95)
"""Decay of Adam's two moments at each step."""
WEIGHT_DECAY = 0.1
CLIP = 1.0
"""Norm to which larger gradients are cut."""
LAST = 0.1
"""The last learning rate, as a share of the highest."""


def customary_note(optimizer: Optimizer) -> str:
    """A sentence on what was filled in, for those who want it otherwise."""
    betas = f"Adam's betas {BETAS[0]:g} and {BETAS[1]:g}, " if optimizer == "adam" else ""
    decay = "" if optimizer == "sgd" else f"weight decay {WEIGHT_DECAY:g}, "
    return (
        f"The plan says nothing of how the model learns: {betas}{decay}gradients cut to a norm of "
        f"{CLIP:g} are customary (GPT-3, Llama 2); change them as your recipe has it"
    )
