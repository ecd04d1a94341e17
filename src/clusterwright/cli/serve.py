"""``clusterwright plan serve``, ``estimate serve``, ``simulate serve`` and ``compare serve``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.asking_serving import ask_serving, rate_of
from clusterwright.cli.options import Whole, write, write_json
from clusterwright.errors import InfeasibleError, InputError
from clusterwright.planner_serving import deployment_of, estimate_serving, load_of, plan_serving
from clusterwright.report.serving_text import comparison_text, estimate_text, plan_text
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
    """

    rate: str | None = None
    users: str | None = None
    input: str | None = None
    output: str | None = None
    trace: Path | None = None
    ttft: str | None = None
    tpot: str | None = None
    percentile: float = 90.0
    spread: float = 0.0

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
            if self.input or self.output or self.spread or self.users:
                raise InputError(
                    "--trace has lengths of its own: leave out --input, --output and --users"
                )
            return {**load_of(trace), **promise}
        lengths = {"prompt": self.input, "output": self.output, "spread": self.spread}
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
        Instead of these: a phone or laptop, such as metavertu; one user, unless told otherwise.
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
    replicas
        How many replicas there are.
    """

    tp: Whole = 1
    pp: Whole = 1
    dp: Whole = 1
    ep: Whole = 1
    replicas: Whole = 1


LOAD, PLACE, CUT = LoadOptions(), PlaceOptions(), CutOptions()


def plan(
    model: str,
    /,
    *,
    load: LoadOptions = LOAD,
    place: PlaceOptions = PLACE,
    objective: Literal["cost", "energy", "accelerators", "throughput"] = "accelerators",
    split: Literal["auto", "no", "only"] = "auto",
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Find replicas, cuts and formats that keep a promise under a load for the least.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
    objective
        What is to be least: accelerators, cost or energy of a token; or most: throughput.
    split
        Whether prompts and decoding may have replicas of their own.
    json
        Print the plan as JSON.
    """
    facts = catalogue_with(place.catalogue)
    question = ask_serving(
        model, objective=objective, split=split, catalogue=facts, **place.place(), **load.load()
    )
    found = plan_serving(question, catalogue=facts)
    if json:
        write_json(found)
    else:
        write(plan_text(found))


def estimate(
    model: str,
    /,
    *,
    load: LoadOptions = LOAD,
    place: PlaceOptions = PLACE,
    cut: CutOptions = CUT,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Play requests through one given deployment: latencies, rates, the parts of a step.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
    json
        Print the estimate as JSON.
    """
    facts = catalogue_with(place.catalogue)
    question = ask_serving(model, catalogue=facts, **place.place(), **load.load())
    deployment = deployment_of(question, tp=cut.tp, pp=cut.pp, dp=cut.dp, ep=cut.ep)
    found = estimate_serving(
        question, deployment, replicas=cut.replicas, trace=load.requests, catalogue=facts
    )
    if json:
        write_json(found)
    else:
        write(estimate_text(question, found))


def compare(
    model: str,
    /,
    *machines: str,
    load: LoadOptions = LOAD,
    place: PlaceOptions = PLACE,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Plan the same load on several kinds of accelerators and put the best plans side by side.

    Parameters
    ----------
    model
        A model of the catalogue, or the path of a Hugging Face config.json.
    machines
        Accelerators, such as h100 b200 mi355x.
    json
        Print the plans as JSON.
    """
    if len(machines) < 2:
        raise InputError("name two accelerators or more: compare serve llama-3.1-8b h100 mi300x …")
    facts = catalogue_with(place.catalogue)
    if place.cluster or place.accelerator or place.device:
        raise InputError("name the machines after the model: compare serve llama-3.1-8b h100 b200")
    plans, refused = [], []
    for machine in machines:
        chosen = {**place.place(), "accelerator": machine}
        question = ask_serving(model, catalogue=facts, **chosen, **load.load())
        try:
            plans.append(plan_serving(question, catalogue=facts))
        except InfeasibleError as error:
            refused.append((machine, str(error)))
    if not plans:
        raise InfeasibleError("; ".join(f"{name}: {why}" for name, why in refused))
    if json:
        write_json({"plans": plans, "refused": refused})
    else:
        write(comparison_text(plans, refused))
