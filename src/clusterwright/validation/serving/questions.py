"""From a published serving run to what the model is asked: a deployment, its machine, its load."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import msgspec

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import engine_named
from clusterwright.hardware import Accelerator, Cluster
from clusterwright.inference import Deployment, InferenceEngine
from clusterwright.model.records import Model
from clusterwright.records import Record
from clusterwright.serving.server import Pool, ServingFacts
from clusterwright.validation.lookup import Lookup
from clusterwright.validation.machines import split
from clusterwright.validation.serving.recipes import Recipe, flags_of, read_recipes
from clusterwright.validation.serving.rows import ServeRun

ENGINE_FLAGS = (
    "free_share", "poll_steps", "wait_steps", "wait_share", "graph_rows", "shared_keys", "rows",
    "expert_rows",
)  # fmt: skip
"""Flags that change an engine; the others change a deployment."""

SPLIT = re.compile(
    r"P/D split: (\d+) prefill worker\(s\) x (\d+) GPU \(([^)]*)\) \+ "
    r"(\d+) decode worker\(s\) x (\d+) GPU \(([^)]*)\)"
)
THREADS = re.compile(r"\((\d+) threads?\)")
CUT = re.compile(r"Tensor \((\d+)\) and Pipeline \((\d+)\)")
"""Tensor and pipeline parallelism as notes print them."""
AXES = re.compile(r"(DP-attn|TP|EP|DP)(\d+)")


class ServeQuestion(Record, frozen=True, kw_only=True):
    """What a run asks: a model on a machine, its pools and its load.

    ``spread``: of random lengths, as a share of the longest, ``prompt``: tokens of prompts (0:
    unknown), where the row does not say them. ``eager``: whether graphs were turned off.
    ``requests``: that were sent in all, where the row does not say it (0: unknown). ``settled``:
    whether what users find at the start, and what they leave at the end, was not measured.
    """

    model: Model
    cluster: Cluster
    engine: InferenceEngine
    pools: tuple[Pool, ...]
    spread: float = 0.0
    prompt: float = 0.0
    filled: tuple[str, ...] = ()
    eager: bool = False
    requests: int = 0
    settled: bool = False


class ServeLookup:
    """The catalogue as serving runs need it."""

    def __init__(self, facts: Catalogue) -> None:
        self.facts = facts
        self.lookup = Lookup(facts)
        self.engines = tuple(engine_named(facts, name) for name in facts.entries("inference"))
        self.serving = ServingFacts(facts)
        self.formats = self.serving.formats
        self.intervals = self.serving.intervals

    @cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        """Flags that publications set."""
        return read_recipes(entry.data for entry in self.facts.entries("recipes").values())

    def engine_of(self, run: ServeRun, vendor: str, profile: str = "") -> InferenceEngine:
        """The engine of a run: the longest fragment of its name, of its era and on such chips."""
        text = f"{run.engine} {run.engine_version}".lower()
        ranked = [
            (max((len(part) for part in engine.match if part in text), default=-1),
             bool(engine.profiles), bool(engine.vendors), bool(engine.since), -index)
            for index, engine in enumerate(self.engines)
            if (not engine.vendors or vendor in engine.vendors)
            and (not engine.profiles or profile in engine.profiles)
            and (not engine.since or run.date[:7] >= engine.since)
            and (not engine.until or run.date[:7] <= engine.until)
        ]  # fmt: skip
        best = max(ranked)
        return self.engines[-best[4]]

    def formats_of(self, run: ServeRun, model: Model, beside: str = "") -> tuple[str, str]:
        """Formats of dense and of experts' weights; ``beside``: as the engine has it."""
        text = run.weight_precision.lower().split("(dequantised from")[0]
        beside = beside or "bf16"
        name = self._format(text)
        has_experts = any(block.experts for block in model.blocks)
        latent = any(p.name == "kv_b" for block in model.blocks for p in block.projections)
        if "experts)" in text and "requant" not in text:
            return beside, name
        if "attention fp8" in text:
            return "fp8", name
        if name == "fp8" and has_experts:
            return "fp8-block", "fp8-block"
        if name == "mxfp4" and model.name.startswith("gpt-oss"):
            return beside, name
        if name in ("nvfp4", "int4", "mxfp4") and latent:
            return "bf16", name
        return name, name

    def _format(self, text: str) -> str:
        found = [
            (len(part), one.id)
            for one in self.formats.values()
            for part in one.match
            if part in text
        ]
        if not found:
            raise InputError(f"no format called {text!r} is known")
        return max(found)[1]


def question_of(run: ServeRun, known: ServeLookup) -> ServeQuestion:
    """Put together what a run asks.

    Raises
    ------
    ClusterwrightError
        What about the run cannot be represented.
    """
    model = known.lookup.model_of(run.model_name)
    if model is None:
        raise InputError(f"the catalogue has no model {run.model_name!r}")
    device = known.lookup.device_of(run.accelerator)
    if device is None or device.unsupported:
        why = device.unsupported if device else "no such accelerator in the catalogue"
        raise InputError(f"{run.accelerator}: {why}")
    chip = known.facts.accelerator(device.accelerator)
    flags = flags_of(run, known.recipes)
    engine = _engine(run, known, chip, flags)
    filled: list[str] = []
    said = flags.get("weights", "")
    formats = (said, said) if said else known.formats_of(run, model, engine.beside)
    pools, ranks = _pools(run, model, formats, flags, filled)
    cluster = known.facts.any_cluster(device.accelerator, run.n_accel)
    cluster = _ranked(cluster, run.n_accel, ranks, device.devices)
    pools = tuple(
        msgspec.structs.replace(pool, deployment=_flagged(run, pool, engine, flags))
        for pool in pools
    )
    return ServeQuestion(
        model=model,
        cluster=_threaded(cluster, run),
        engine=engine,
        pools=pools,
        spread=flags.get("spread", 0.0),
        prompt=flags.get("prompt", 0.0),
        filled=tuple(filled),
        eager=flags.get("graph_rows") == 0,
        requests=flags.get("requests", 0),
        settled=flags.get("settled", False),
    )


def _engine(
    run: ServeRun, known: ServeLookup, chip: Accelerator, flags: dict[str, Any]
) -> InferenceEngine:
    """The run's engine with the flags that were set on it."""
    if "runs" in flags:
        [engine] = (one for one in known.engines if one.id == flags["runs"])
    else:
        engine = known.engine_of(run, chip.vendor, chip.profile)
    own = {name: flags[name] for name in ENGINE_FLAGS if name in flags}
    return msgspec.structs.replace(engine, **own)


def _threaded(cluster: Cluster, run: ServeRun) -> Cluster:
    """The cluster with processors that have no more cores than the run has threads.

    The memory stays as it is: what few cores can draw from it is not modelled.
    """
    chip, said = cluster.accelerator, THREADS.search(run.accelerator)
    if said is None or not chip.num_units or int(said[1]) >= chip.num_units:
        return cluster
    share = int(said[1]) / chip.num_units
    fewer = msgspec.structs.replace(
        chip,
        name=f"{chip.name}, {said[1]} cores",
        num_units=int(said[1]),
        peaks={precision: share * rate for precision, rate in chip.peaks.items()},
    )
    return msgspec.structs.replace(cluster, accelerator=fewer)


def _pools(
    run: ServeRun,
    model: Model,
    named: tuple[str, str],
    flags: dict[str, Any],
    filled: list[str],
) -> tuple[tuple[Pool, ...], int]:
    formats = Deployment(weights=named[0], expert_weights=named[1])
    found = SPLIT.search(run.notes)
    if run.disaggregated and found:
        sizes = found.groups()
        prefill = _deployment(sizes[2], int(sizes[1]), formats)
        decode = _deployment(sizes[5], int(sizes[4]), formats)
        return (
            Pool(role="prefill", count=int(sizes[0]), deployment=prefill),
            Pool(role="decode", count=int(sizes[3]), deployment=decode),
        ), run.n_accel
    tp, pp, dp = run.tp or 1, run.pp or 1, run.dp or 1
    if printed := CUT.search(run.notes):
        tp, pp = int(printed[1]), int(printed[2])
    if flags.get("rows"):
        tp, pp = tp * pp, 1
    instances = flags.get("instances", 1)
    parts = flags.get("parts", 1)
    if run.tp is None and pp * dp == 1 and run.n_accel * parts > instances:
        tp = run.n_accel * parts // instances
        filled.append(f"tp={tp}, as one engine runs on all its accelerators")
    has_experts = any(block.experts for block in model.blocks)
    if dp > 1 and not has_experts:
        deployment = msgspec.structs.replace(formats, tp=tp, pp=pp)
        return (Pool(role="both", count=dp, deployment=deployment),), tp * pp * dp
    if flags.get("own_attention"):
        tp, dp = 1, tp * dp
    ep = min(run.ep or 1, tp * dp)
    deployment = msgspec.structs.replace(formats, tp=tp, pp=pp, dp=dp, ep=ep)
    ranks = tp * pp * dp
    count = max(1, run.n_accel // ranks) if run.n_accel % ranks == 0 else 1
    if count > 1:
        filled.append(f"{count} replicas, as {ranks} ranks do not fill {run.n_accel} accelerators")
    return (Pool(role="both", count=count, deployment=deployment),), ranks * count


def _deployment(text: str, size: int, formats: Deployment) -> Deployment:
    axes = {name: int(number) for name, number in AXES.findall(text)}
    dp = axes.get("DP-attn") or axes.get("DP") or 1
    tp = axes.get("TP") or max(1, size // dp)
    if tp * dp != size:
        tp = max(1, size // dp)
    return msgspec.structs.replace(formats, tp=tp, dp=dp, ep=min(axes.get("EP", 1), tp * dp))


def _flagged(
    run: ServeRun, pool: Pool, engine: InferenceEngine, flags: dict[str, Any]
) -> Deployment:
    """A pool's deployment with the format of its cache and the flags that were set."""
    deployment = pool.deployment
    changes: dict[str, Any] = {"cache": _cache(run, deployment, engine, flags.get("cache", ""))}
    changes["overlap"] = flags.get("overlap", False)
    if "budget" in flags and pool.role != "decode":
        changes["budget"] = flags["budget"]
    if pool.role != "prefill":
        if "most" in flags:
            changes["most"] = max(1, -(-flags["most"] // deployment.dp))
        if "memory_share" in flags:
            changes["memory_share"] = flags["memory_share"]
    return msgspec.structs.replace(deployment, **changes)


def _cache(run: ServeRun, deployment: Deployment, engine: InferenceEngine, flag: str) -> str:
    """Format of the cache: as printed, as set, or as the engine chooses by the weights."""
    # Attention in 8 bits reads its cache in 8 bits.
    said = run.kv_precision or flag or ("fp8" if "fp8 attention" in run.weight_precision else "")
    if said:
        return "int8" if "int8" in said else "fp8" if "8" in said else "bf16"
    narrow = deployment.expert_weights in ("fp8", "fp8-block", "nvfp4", "w4a16-npu")
    return "fp8" if narrow and engine.narrow_cache else "bf16"


def _ranked(cluster: Cluster, chips: int, ranks: int, devices: int) -> Cluster:
    """The cluster in devices, so that it has at least as many as there are ranks."""
    parts = devices
    while chips * parts < ranks:
        parts += 1
    return split(cluster, parts)
