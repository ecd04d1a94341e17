"""A machine and an engine bound together: deployments of models become replicas to be played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import msgspec
import numpy as np

from clusterwright.catalogue.store import Catalogue
from clusterwright.device import HELD
from clusterwright.efficiency import EfficiencyProfile
from clusterwright.engines.requests.simulator import ReplicaKind
from clusterwright.engines.requests.things import BOTH, DECODE, PREFILL
from clusterwright.errors import InfeasibleError, InputError
from clusterwright.facts import from_entry, profile_of
from clusterwright.hardware import Cluster
from clusterwright.inference import Deployment, Format, InferenceEngine
from clusterwright.kernels.library import KernelLibrary
from clusterwright.links import links_of
from clusterwright.model.records import Model
from clusterwright.records import Record
from clusterwright.serving.attending import latent_of
from clusterwright.serving.capacity import Memory, memory_of
from clusterwright.serving.intervals import intervals_in
from clusterwright.serving.kernel_times import CACHE_BYTES, KernelTimes
from clusterwright.serving.layers import Served
from clusterwright.serving.steps import DeviceTimes, device_times, replica_of

Role = Literal["both", "prefill", "decode"]
AFTER_KERNELS: dict[str, Any] = {
    "step_time": 0.0,
    "sequence_time": 0.0,
    "launch_time": 0.0,
    "entry_time": 0.0,
    "corrections": (),
}
"""Facts of an engine that change none of its kernels: what is fitted moves while these stay."""
SPARE_BLOCKS = 2
"""Blocks that a request may begin without having filled."""
ROLES: dict[Role, int] = {"both": BOTH, "prefill": PREFILL, "decode": DECODE}

CONTEXT_SHARE = 0.75
"""Of its prompt and answer that a sequence holds on average. [1]"""


class Pool(Record, frozen=True, kw_only=True):
    """Replicas of one deployment: all there are, or those of a role."""

    role: Role = "both"
    count: int = 1
    deployment: Deployment

    @property
    def accelerators(self) -> int:
        """Of all replicas together."""
        return self.count * self.deployment.accelerators


class ServingFacts:
    """What the catalogue knows that serving needs: formats and measured kernels."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.formats: Mapping[str, Format] = {
            entry.id: from_entry(Format, entry) for entry in catalogue.entries("formats").values()
        }
        self.devices: dict[Any, DeviceTimes] = {}
        self.intervals = intervals_in(catalogue)

    @cached_property
    def library(self) -> KernelLibrary:
        """All measured kernels."""
        return KernelLibrary(entry.data for entry in self.catalogue.entries("kernels").values())

    def format_named(self, name: str) -> Format:
        """A format by id.

        Raises
        ------
        InputError
            There is none; the message lists them.
        """
        if name not in self.formats:
            raise InputError(f"no format called {name!r}: one of {', '.join(self.formats)}")
        return self.formats[name]


class Server:
    """A model on a machine with an engine.

    Parameters
    ----------
    model, cluster, engine
        What runs, where, by what.
    facts
        Formats and kernels of the catalogue.
    draft
        A smaller model that proposes tokens, for deployments that speculate with one.
    """

    def __init__(
        self,
        model: Model,
        cluster: Cluster,
        engine: InferenceEngine,
        facts: ServingFacts,
        draft: Model | None = None,
    ) -> None:
        self.draft = draft
        self.model = model
        self.cluster = cluster
        self.engine = engine
        self.facts = facts
        self.profile: EfficiencyProfile = profile_of(facts.catalogue, cluster)
        chip = cluster.accelerator
        if not chip.memory_bytes or not chip.memory_bandwidth:
            missing = "memory size" if chip.memory_bandwidth else "memory bandwidth"
            raise InputError(
                f"nobody published the {missing} of {chip.id}; add it to a catalogue file of your "
                f"own to serve with this chip"
            )
        self.memory_bytes: float = chip.memory_bytes

    def drafter(self, deployment: Deployment) -> Served | None:
        """What proposes tokens in a deployment, in the same cut and formats; None: nothing does."""
        alone = msgspec.structs.replace(
            deployment, drafted=0, accepted=0.0, drafter="", cp=1, adapters=0
        )
        if deployment.drafter == "model" and self.draft is not None:
            return self.served(alone, self.draft)
        if deployment.drafter == "layer":
            block = self.model.blocks[self.model.layout[-1]]
            last = msgspec.structs.replace(self.model, blocks=(block,), layout=(0,))
            return self.served(alone, last)
        return None

    def served(self, deployment: Deployment, model: Model | None = None) -> Served:
        """The model, or another one, in a deployment, as formulas want it."""
        weights = self.facts.format_named(deployment.weights)
        usual = "" if weights.id in self.engine.narrow_heads else weights.head
        return Served(
            model=model or self.model,
            deployment=deployment,
            engine=self.engine,
            kernels=KernelTimes(
                self.cluster.accelerator, self.profile, self.facts.library, self.engine
            ),
            links=links_of(self.cluster, self.profile),
            weights=weights,
            expert_weights=self.facts.format_named(deployment.expert_weights or weights.id),
            head=self.facts.format_named(usual or weights.id),
        )

    def memory(self, deployment: Deployment, tokens: float) -> Memory:
        """What fits beside the weights, for sequences of so many tokens at their end."""
        context = max(1.0, CONTEXT_SHARE * tokens)
        served, drafter = self.served(deployment), self.drafter(deployment)
        return memory_of(served, self.memory_bytes, context=context, drafter=drafter)

    def device(self, deployment: Deployment) -> DeviceTimes:
        """What a deployment's steps take on the device; evaluated once for each shape."""
        shape = msgspec.structs.replace(deployment, memory_share=0.0, most=0)
        if not self.engine.wide_windows:
            shape = msgspec.structs.replace(shape, budget=0)
        key = (
            self.model.name,
            self.draft.name if self.draft else "",
            self.cluster.accelerator.name,
            self.cluster.levels,
            msgspec.structs.replace(self.engine, **AFTER_KERNELS),
            shape,
        )
        if key not in self.facts.devices:
            self.facts.devices[key] = device_times(
                self.served(deployment), self.drafter(deployment)
            )
        return self.facts.devices[key]

    def replica(self, pool: Pool, tokens: float) -> ReplicaKind:
        """A pool's replicas for the request engine.

        Parameters
        ----------
        pool
            Deployment, role and count.
        tokens
            Of the longest request, its answer included.

        Raises
        ------
        InfeasibleError
            The weights, or the cache of one request, do not fit.
        """
        deployment = pool.deployment
        memory = self.memory(deployment, tokens)
        check_fits(self, deployment, memory, tokens)
        kind = replica_of(
            self.served(deployment), self.device(deployment), memory, count=pool.count
        )
        kind = replace(kind, role=ROLES[pool.role])
        if not kind.chunked:  # then each lane must be able to take the longest prompt in a step
            kind = replace(kind, budget=max(kind.budget, round(tokens)))
        if pool.role == "prefill":
            start, per_token = self._handover(deployment, memory, tokens)
            kind = replace(kind, tail=start, tail_token=per_token)
        return kind

    def _handover(
        self, deployment: Deployment, memory: Memory, tokens: float
    ) -> tuple[float, float]:
        """Time to hand a cache to another replica: to begin [s], and for each token [s]."""
        lines = links_of(self.cluster, self.profile).point_to_point(float(deployment.accelerators))
        start = float(np.asarray(lines.time(1.0)))
        slope = float(np.asarray(lines.time(1e9))) / 1e9
        per_token = memory.sequence_bytes / max(1.0, CONTEXT_SHARE * tokens)
        return start, per_token * deployment.tp / deployment.accelerators * slope


def has_room(server: Server, deployment: Deployment, memory: Memory, tokens: float) -> bool:
    """Whether a rank of a deployment holds a request of so many tokens, to whole blocks."""
    block = server.engine.block
    return memory.blocks // deployment.dp * block >= tokens + SPARE_BLOCKS * block


def check_sizes(server: Server, deployment: Deployment) -> None:
    """Refuse a cut that no deployment of the model can have.

    Raises
    ------
    InputError
        Names the size and what it may be.
    """
    for name in ("tp", "pp", "dp", "ep", "cp"):
        if getattr(deployment, name) < 1:
            raise InputError(f"{name} is {getattr(deployment, name)}, but must be 1 or more")
    ranks = deployment.tp * deployment.dp
    if ranks % deployment.ep:
        raise InputError(
            f"ep {deployment.ep} does not divide the tp({deployment.tp}) * dp({deployment.dp}) "
            f"ranks that share the experts; {ranks} does"
        )
    _check_shares(server.model, deployment)
    _check_features(server, deployment)
    count = server.cluster.count
    if deployment.accelerators > count:
        raise InputError(
            f"one replica takes {deployment.accelerators:,} accelerators, but there are {count:,}"
        )


def _check_shares(model: Model, deployment: Deployment) -> None:
    """Refuse more ranks than there are heads, layers or experts to share."""
    heads = most_heads(model)
    if deployment.tp > heads:
        raise InputError(f"tp is {deployment.tp:,}, but {model.name} has {heads} heads to share")
    layers = sum(model.count_of)
    if deployment.pp > layers:
        raise InputError(f"pp is {deployment.pp}, but {model.name} has {layers} layers")
    experts = max((block.experts.num_experts for block in model.blocks if block.experts), default=0)
    if deployment.ep > 1 and not experts:
        raise InputError(f"{model.name} has no experts to spread: leave out --ep")
    if deployment.dp > 1 and not experts:
        raise InputError(
            f"{model.name} has no experts for data-parallel ranks to share: leave out --dp, and "
            f"give --replicas {deployment.dp}"
        )
    if deployment.ep > max(1, experts):
        raise InputError(f"ep is {deployment.ep}, but {model.name} has {experts} experts")


def _check_features(server: Server, deployment: Deployment) -> None:
    """Refuse what the engine, or this cut, cannot do."""
    most = most_copies(server.model, deployment.tp)
    if deployment.cp > 1 and (deployment.tp % deployment.cp or deployment.cp > most):
        raise InputError(
            f"cp {deployment.cp} must divide tp {deployment.tp}, and be {most} at most: so many of "
            f"its ranks would have the same keys"
        )
    if deployment.cp > 1 and not server.engine.splits_cache:
        raise InputError(f"{server.engine.name} cannot cut a sequence over ranks: leave out --cp")
    if deployment.overlap and deployment.dp == 1:
        raise InputError(
            "--overlap hides traffic between the data-parallel ranks that share experts, of which "
            "there is one: leave it out, or give --dp and --ep"
        )
    if deployment.cache not in CACHE_BYTES:
        known = " or ".join(CACHE_BYTES)
        raise InputError(f"the cache is {deployment.cache!r}, but must be {known}")


def most_heads(model: Model) -> int:
    """Heads of a model's widest attention, over which tensor parallelism cuts it at most."""
    return max((core.num_heads for block in model.blocks for core in block.cores), default=1)


def most_copies(model: Model, tp: int) -> int:
    """Ranks that have the same keys of a sequence when all heads are cut over ``tp``."""
    heads = [
        1 if latent_of(block) else core.num_kv_heads
        for block in model.blocks
        for core in block.cores
        if core.kind != "linear" and core.value_dim
    ]
    return max(1, tp // max(heads, default=1))


def check_fits(server: Server, deployment: Deployment, memory: Memory, tokens: float) -> None:
    """Refuse a deployment without room for its weights and for one request.

    Raises
    ------
    InfeasibleError
        Says what is missing, and what would help.
    """
    chip = server.cluster.accelerator
    where = f"{deployment.accelerators} x {chip.id}"
    room = has_room(server, deployment, memory, tokens)
    if deployment.cache_tokens and not room:
        raise InfeasibleError(
            f"one request of {tokens:,.0f} tokens, and {SPARE_BLOCKS} blocks to spare, do not fit "
            f"the {deployment.cache_tokens:,.0f} of --cache-tokens: give more, or leave it out"
        )
    if not memory.fits:
        raise InfeasibleError(
            f"{_what(server, deployment)} in {deployment.weights} does not fit {where}: weights "
            f"{memory.weights / 1e9:.1f} GB and {(memory.activations + memory.reserve) / 1e9:.1f} "
            f"GB beside them, of {memory.taken / 1e9:.1f} GB; {_more(server, deployment)}narrower "
            f"weights"
        )
    if not room:
        raise InfeasibleError(
            f"one request of {tokens:,.0f} tokens does not fit beside "
            f"{_what(server, deployment)} on {where}: there is room for "
            f"{memory.cache_tokens / deployment.dp:,.0f}; {_more(server, deployment)}narrower "
            f"weights or a narrower cache"
        )


def _what(server: Server, deployment: Deployment) -> str:
    """What takes the memory: the model, and what is asked for beside it."""
    beside = []
    if deployment.drafter == "model" and server.draft is not None:
        beside.append(f"the drafter {server.draft.name}")
    if deployment.adapters:
        beside.append(f"{deployment.adapters:,} adapters")
    return " with ".join([server.model.name, *([" and ".join(beside)] if beside else [])])


def _more(server: Server, deployment: Deployment) -> str:
    """What would help first: accelerators, where there may be more, else a smaller model."""
    held = server.cluster.accelerator.kind in HELD
    first = "take a smaller model or " if held else "take more accelerators or "
    if 0.0 < deployment.memory_share < server.engine.memory_share:
        return f"give a larger --memory-share than {deployment.memory_share:g}, {first}"
    return first
