"""Options of the commands that serve: what is asked, where, how cut, how set up, how run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from clusterwright.asking_load import make_base, make_service, rate_of
from clusterwright.cli.options import Share, Whole
from clusterwright.errors import InputError
from clusterwright.inference import Service
from clusterwright.planner_serving import load_of
from clusterwright.traces import Trace, read_trace


@Parameter(name="*")
@dataclass(kw_only=True)
class LoadOptions:
    """What is asked of the model.

    Parameters
    ----------
    rate
        Requests a second, such as 500/s, 30k/min or 2M/day.
    users
        Instead of --rate: so many, who each wait for their answer before they ask again.
    input
        Mean tokens of a prompt.
    output
        Mean tokens of an answer.
    trace
        Instead of these: a file of requests (Azure, BurstGPT, Mooncake, ShareGPT, or CSV of
        arrival_s,prompt_tokens,output_tokens); with --rate, squeezed or stretched to it.
    ttft
        Promised time to the first token, such as 1s.
    tpot
        Promised time per token after it, such as 50ms.
    percentile
        Of requests for which the promises are kept.
    spread
        Standard deviation of prompts' and answers' lengths over their means.
    prefix
        Tokens with which every prompt begins, such as instructions; --input counts them too.
    """

    rate: str | None = None
    users: str | None = None
    input: str | None = None
    output: str | None = None
    trace: Path | None = None
    ttft: str | None = None
    tpot: str | None = None
    percentile: float = 90.0
    spread: Share = 0.0
    prefix: str | None = None

    @cached_property
    def requests(self) -> Trace | None:
        """The trace's requests, at the rate asked for; none without a trace."""
        if self.trace is None:
            return None
        found = read_trace(self.trace)
        return found.rescaled(rate_of(self.rate)) if self.rate else found

    def load(self) -> dict[str, Any]:
        """As the keyword arguments of ``ask_serving``.

        Raises
        ------
        InputError
            A trace beside lengths.
        """
        promise = {name: getattr(self, name) for name in ("ttft", "tpot", "percentile")}
        trace = self.requests
        if trace is not None:
            if self.input or self.output or self.spread or self.users or self.prefix:
                raise InputError(
                    "--trace has lengths of its own: leave out --input, --output, --spread, "
                    "--prefix and --users"
                )
            return {**load_of(trace), **promise}
        lengths = {"prompt": self.input, "output": self.output, "spread": self.spread}
        lengths["prefix"] = self.prefix or 0
        return {"rate": self.rate, "users": self.users, **lengths, **promise}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """Where it is served.

    Parameters
    ----------
    cluster
        A cluster of the catalogue, such as meta-24k.
    accelerator
        Instead of a cluster: a kind of accelerator, joined as usual.
    accelerators
        How many of them may be used [default: as many as it takes].
    device
        Instead of these: a phone, laptop or desktop, such as macbook-air-m3; one user, unless told
        otherwise.
    engine
        Inference engine, such as vllm, sglang or trtllm-pytorch-2025
        [default: the usual one for the vendor].
    weights
        Format of the weights, such as bf16, fp8, nvfp4, awq or q4-k-m
        [default: the narrowest that the chip multiplies by].
    cache
        Format of the cache, bf16 or fp8.
    price
        Of an accelerator and hour, such as $2.10.
    catalogue
        A catalogue file of one's own (may be repeated).
    """

    cluster: str | None = None
    accelerator: str | None = None
    accelerators: str | None = None
    device: str | None = None
    engine: str | None = None
    weights: str | None = None
    cache: str | None = None
    price: str | None = None
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = ()

    def place(self) -> dict[str, Any]:
        """As the keyword arguments of ``ask_serving``."""
        return {name: value for name, value in vars(self).items() if name != "catalogue"}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CutOptions:
    """How one replica is cut.

    Parameters
    ----------
    tp
        Tensor parallelism.
    pp
        Pipeline stages.
    dp
        Data-parallel ranks of attention that share the experts.
    ep
        Ranks that the experts are spread over.
    cp
        Of the tp ranks, those that cut each sequence's cache between them while decoding.
    replicas
        How many replicas there are.
    """

    tp: Whole = 1
    pp: Whole = 1
    dp: Whole = 1
    ep: Whole = 1
    cp: Whole = 1
    replicas: Whole = 1


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """How the engine is set up.

    Parameters
    ----------
    draft
        Tokens proposed in each step of a sequence (speculative decoding, MTP).
    acceptance
        How often one of them agrees with the model, such as 0.85.
    drafter
        Who proposes them: layer (MTP, EAGLE), ngram, or the name of a smaller model.
    adapters
        Low-rank adapters loaded, one for each sequence.
    adapter_rank
        Their rank.
    budget
        Tokens of a step at most [default: the engine's].
    most
        Sequences at once at most [default: the engine's].
    memory_share
        Of an accelerator's memory that the engine takes [default: the engine's].
    cache_tokens
        Room in a rank's cache, where the engine has printed it [default: computed].
    overlap
        Whether batches are worked on in two halves, one's traffic to the experts behind the other's
        kernels (SGLang's two-batch overlap, vLLM's dual batch overlap).
    """

    draft: Whole = 0
    acceptance: Share | None = None
    drafter: str = "layer"
    adapters: Whole = 0
    adapter_rank: Whole = 16
    budget: Whole = 0
    most: Whole = 0
    memory_share: Share = 0.0
    cache_tokens: Whole = 0
    overlap: bool = False

    def setup(self) -> dict[str, Any]:
        """As the keyword arguments of ``ask_serving``."""
        named = {name: value for name, value in vars(self).items() if name != "draft"}
        model = None if self.drafter in ("layer", "ngram") else self.drafter
        return {"base": make_base(drafted=self.draft, **named), "draft": model}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How replicas are run together.

    Parameters
    ----------
    router
        round-robin, least-loaded or prefix-aware [default: the last where prompts are known to
        begin alike, else the second].
    reuse
        Whether what one prompt left in the cache serves others that begin alike.
    scale
        Requests for each replica at which a scaler aims [default: all replicas are always up].
    least
        Replicas that the scaler leaves up.
    load_time
        Until a replica that it starts serves, such as 2min [default: an engine's start, and
        the weights to load].
    outage
        A failure: at 60 s for five minutes is 60s+5min, of replica 3 60s+5min@3 (may be repeated).
    """

    router: str = ""
    reuse: bool = True
    scale: float | None = None
    least: Whole = 1
    load_time: str | None = None
    outage: Annotated[tuple[str, ...], Parameter(negative=())] = ()

    def service(self) -> Service:
        """As the record."""
        return make_service(
            router=self.router,
            reuse=self.reuse,
            scale=self.scale,
            least=self.least,
            load_time=self.load_time,
            outages=self.outage,
        )
