"""What is to be done: tokens, sequence, batch, number formats, optimizer. Not how it is cut."""

from __future__ import annotations

import math
from typing import Literal

from clusterwright.records import Record

Precision = Literal["fp32", "tf32", "fp16", "bf16", "fp8", "mxfp8", "nvfp4"]
Optimizer = Literal["adam", "muon", "sgd"]
Method = Literal["full", "lora", "qlora"]


class TrainingWorkload(Record, frozen=True, kw_only=True):
    """One training job, independent of the machine and of the strategy.

    ``global_batch`` is in sequences of ``sequence_length`` tokens; ``precision`` is the format of
    the large matrix products. ``state_bytes``: bytes per parameter of each optimizer moment
    (4: fp32, 2: bf16, 1: 8-bit). ``gradient_bytes``: the format gradients are accumulated and
    reduced in. ``lora_rank`` matters for ``method`` ``lora`` and ``qlora`` alone.
    ``expert_imbalance``: tokens of the busiest rank over the mean (1: balanced, or dropped at
    capacity).
    ``flash_attention=False`` is the unfused attention of the first Megatron papers,
    which also trained with ``dropout``.
    """

    sequence_length: int
    global_batch: int
    tokens: float | None = None
    precision: Precision = "bf16"
    optimizer: Optimizer = "adam"
    state_bytes: float = 4.0
    gradient_bytes: float = 4.0
    master_weights: bool = True
    method: Method = "full"
    lora_rank: int = 16
    expert_imbalance: float = 1.0
    flash_attention: bool = True
    dropout: bool = False


class ServingWorkload(Record, frozen=True, kw_only=True):
    """Traffic to be served, and what its users are promised; independent of the machine.

    ``rate``: requests a second [1/s], or ``users`` who each wait for their answer before they ask
    again (one of both is 0). ``prompt``, ``output``: mean tokens of a request;
    ``prompt_spread``, ``output_spread``: standard deviation over mean (0: all the same). [1]
    ``prefix``: tokens with which every prompt begins, such as instructions.
    ``ttft``, ``tpot``: promised time to the first token, and per token after it (None: nothing is
    promised) [s], each to ``percentile`` of requests.
    """

    rate: float = 0.0
    users: int = 0
    prompt: float
    output: float
    prompt_spread: float = 0.0
    output_spread: float = 0.0
    prefix: float = 0.0
    ttft: float | None = None
    tpot: float | None = None
    percentile: float = 90.0

    @property
    def latest(self) -> float:
        """The longest time to the first token that keeps the promise. [s]"""
        return math.inf if self.ttft is None else self.ttft

    @property
    def slowest(self) -> float:
        """The longest time per token after it that keeps the promise. [s]"""
        return math.inf if self.tpot is None else self.tpot
