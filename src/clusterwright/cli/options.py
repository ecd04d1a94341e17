"""Options that several commands share, and how their results are written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from cyclopts import Parameter

from clusterwright.errors import InputError
from clusterwright.strategy import Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token


def _whole(_kind: object, tokens: Sequence[Token]) -> int:
    """Read a whole number; left to itself the parser would cut 1.5 down to 1."""
    token = tokens[0]
    text = token.value
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise InputError(f"{token.keyword} is {text!r}, but must be a whole number, such as 8")
    return int(text)


Whole = Annotated[int, Parameter(converter=_whole)]


def _share(_kind: object, tokens: Sequence[Token]) -> float:
    """Read a share, as 0.9 or as 90%."""
    text = tokens[0].value
    try:
        return float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        said = f"{tokens[0].keyword} is {text!r}, but must be a share, such as 0.9 or 90%"
        raise InputError(said) from None


Share = Annotated[float, Parameter(converter=_share)]

Precision = Literal["fp32", "tf32", "fp16", "bf16", "fp8", "mxfp8", "nvfp4"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What to train.

    Parameters
    ----------
    tokens
        Tokens of the whole run, such as 15.6T.
    seq_len
        Tokens of one sequence [default: the model's longest, at most 8,192].
    batch_tokens
        Tokens of one step, such as 16M [default: grows with the model].
    batch_sequences
        The same as a number of sequences.
    precision
        Format of the large matrix products.
    optimizer
        Optimizer, for its states.
    optimizer_state
        Format of each optimizer moment [default: the framework's].
    method
        Train all weights, or low-rank adapters on frozen (4-bit: qlora) weights.
    lora_rank
        Rank of the adapters.
    """

    tokens: str | None = None
    seq_len: str | None = None
    batch_tokens: str | None = None
    batch_sequences: str | None = None
    precision: Precision = "bf16"
    optimizer: Literal["adam", "muon", "sgd"] = "adam"
    optimizer_state: Literal["fp32", "bf16", "8bit"] | None = None
    method: Literal["full", "lora", "qlora"] = "full"
    lora_rank: Whole = 16

    def workload(self) -> dict[str, Any]:
        """As the keyword arguments of ``ask_training``."""
        return {
            "tokens": self.tokens,
            "sequence_length": self.seq_len,
            "batch_tokens": self.batch_tokens,
            "batch_sequences": self.batch_sequences,
            "precision": self.precision,
            "optimizer": self.optimizer,
            "optimizer_state": self.optimizer_state,
            "method": self.method,
            "lora_rank": self.lora_rank,
        }


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class MachineOptions:
    """Where to train it.

    Parameters
    ----------
    cluster
        A cluster of the catalogue, such as meta-24k.
    accelerator
        Instead of a cluster: a kind of accelerator, joined as usual.
    accelerators
        How many of them [default: the whole cluster].
    software
        Framework whose features and defaults are assumed; "any" opens the whole space
        [default: the usual one for the accelerator's vendor].
    catalogue
        A catalogue file of one's own (may be repeated).
    """

    cluster: str | None = None
    accelerator: str | None = None
    accelerators: str | None = None
    software: str | None = None
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = ()

    def place(self) -> dict[str, Any]:
        """As the keyword arguments of ``ask_training``."""
        return {
            "cluster": self.cluster,
            "accelerator": self.accelerator,
            "accelerators": self.accelerators,
            "software": self.software,
        }


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CutOptions:
    """How to run it.

    Parameters
    ----------
    tp
        Tensor parallelism.
    cp
        Context parallelism.
    pp
        Pipeline stages.
    vpp
        Chunks of layers per pipeline rank (interleaving).
    dp
        Data parallelism [default: what the accelerators leave].
    ep
        Expert parallelism, over the ranks of dp x cp x tp.
    etp
        Tensor parallelism of the experts.
    micro_batch
        Sequences per data-parallel rank and micro-step.
    zero
        Sharding: 0 none, 1 optimizer states, 2 and gradients, 3 and weights (FSDP).
    shard_group
        Ranks that the sharding spans (0: all; fewer is HSDP).
    recompute
        Activations computed again in the backward pass.
    recompute_layers
        With full recompute: layers per pipeline rank (0: all).
    context_scheme
        How context-parallel ranks exchange keys and values.
    offload
        What is kept in host memory.
    sequence_parallel
        Cut norms and residuals over tp as well.
    """

    tp: Whole = 1
    cp: Whole = 1
    pp: Whole = 1
    vpp: Whole = 1
    dp: Whole | None = None
    ep: Whole = 1
    etp: Whole = 1
    micro_batch: Whole = 1
    zero: Literal[0, 1, 2, 3] = 1
    shard_group: Whole = 0
    recompute: Literal["none", "selective", "full"] = "none"
    recompute_layers: Whole = 0
    context_scheme: Literal["all-gather", "ring", "all-to-all"] = "ring"
    offload: Literal["none", "optimizer", "activations", "both"] = "none"
    sequence_parallel: bool = True


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StrategyOptions(CutOptions):
    """How to run it.

    Parameters
    ----------
    schedule
        Pipeline schedule.
    """

    schedule: Schedule = "1f1b"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PlayedOptions(CutOptions):
    """How to run it, and what makes it uneven.

    Parameters
    ----------
    schedule
        Pipeline schedule: 1f1b, interleaved, zero-bubble, dualpipe, gpipe, zb-h2; with vpp 2 also
        zb-v, v-half, v-min, dualpipe-v; or a PyTorch schedule table (.csv, one row per rank).
    jitter
        How much operations vary: standard deviation of the logarithm of their time, such as 0.05.
    straggler
        A slow pipeline rank and its factor, such as --straggler 3:1.2 (may be repeated).
    seed
        Seed of the jitter.
    """

    schedule: str = "1f1b"
    jitter: Share = 0.0
    straggler: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    seed: Whole = 0

    def choices(self) -> dict[str, Any]:
        """As the keyword arguments of ``simulate_training``."""
        found = {**vars(self), "stragglers": _slow_ranks(self.straggler)}
        del found["straggler"]
        table = self.schedule.lower().endswith(".csv")
        name = self.schedule if table else self.schedule.lower()
        if name in get_args(Schedule):
            return found | {"schedule": name}
        return found | {"schedule": "1f1b", "order": name}


def _slow_ranks(words: Sequence[str]) -> dict[int, float]:
    """Read each ``rank:factor``, a rank once."""
    found: dict[int, float] = {}
    for rank, factor in map(_slow_rank, words):
        if rank in found:
            raise InputError(f"--straggler names rank {rank} twice; give it one factor")
        found[rank] = factor
    return found


def _slow_rank(word: str) -> tuple[int, float]:
    """Read ``rank:factor``."""
    rank, _, factor = word.partition(":")
    try:
        return int(rank), float(factor)
    except ValueError:
        raise InputError(
            f"--straggler is {word!r}, but must be a rank and a factor, such as 3:1.2"
        ) from None
