"""One strategy in depth: time, memory of each stage, and the walk from peak to achieved."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.hardware import Cluster
from clusterwright.model.records import Model
from clusterwright.records import Record, Shown
from clusterwright.software import Software
from clusterwright.strategy import Strategy
from clusterwright.training.checks import check_strategy
from clusterwright.training.columns import columns_of
from clusterwright.training.costs import PARTS
from clusterwright.training.evaluate import Estimates, Evaluator
from clusterwright.training.flops import forward_flops_per_token
from clusterwright.training.intervals import (
    Circumstances,
    IntervalGroup,
    Intervals,
    circumstances_of,
)
from clusterwright.training.machine import Machine
from clusterwright.training.prepared import Prepared
from clusterwright.training.rules import rules_broken
from clusterwright.training.settings import Settings
from clusterwright.workload import TrainingWorkload

Array = Any


class Term(Record, frozen=True, kw_only=True):
    """One step of the waterfall: what it is, and its seconds of a training step."""

    name: str
    time: float
    meaning: str


class StageMemory(Record, frozen=True, kw_only=True):
    """Peak memory of one pipeline rank by part. [B]"""

    rank: int
    parts: dict[str, float]

    @property
    def total(self) -> float:
        """Sum of the parts. [B]"""
        return sum(self.parts.values())


class TrainingEstimate(Shown, frozen=True, kw_only=True):
    """What one strategy does with one job on one machine.

    ``step_time`` [s] is the sum of ``waterfall``; ``step_time_interval`` its 80 % interval.
    ``mfu``: model FLOPs (no recompute, attention counted causally) over peak; ``mfu_full``: with
    attention counted in full, as PaLM and most papers print it; ``hfu``: recompute counted.
    ``likeness``: the measured runs that the interval was set from.
    ``breaks``: rules for which the planner would not choose it (a framework may still run it).
    ``closed_form_time``: the step time [s] by closed form, where ``step_time`` comes from playing
    the pipeline out; none: it is the closed form itself.
    """

    strategy: Strategy
    accelerators: int
    step_time: float
    step_time_interval: tuple[float, float]
    likeness: IntervalGroup
    tokens_per_step: float
    tokens_per_second: float
    mfu: float
    mfu_full: float
    hfu: float
    memory_bytes: float
    memory_limit: float
    host_bytes: float
    host_limit: float | None
    stages: tuple[StageMemory, ...]
    waterfall: tuple[Term, ...]
    num_micro_batches: float
    model_flops: float
    breaks: tuple[str, ...] = ()
    closed_form_time: float | None = None

    @property
    def fits(self) -> bool:
        """Whether the fullest stage stays inside the accelerator's memory, and the host's."""
        held = self.host_limit is None or self.host_bytes <= self.host_limit
        return held and self.memory_bytes <= self.memory_limit

    @property
    def allocated_bytes(self) -> float:
        """Peak of what the framework allocates: without driver, runtime and communicators. [B]"""
        return max(stage.total - stage.parts.get("reserve", 0.0) for stage in self.stages)

    @property
    def headroom(self) -> float:
        """Memory left on the fullest stage. [B]"""
        return self.memory_limit - self.memory_bytes


MEANINGS = {
    "ideal": "model FLOPs at the accelerator's peak",
    "kernels": "matrix and attention kernels below peak",
    "extra work": "slowest stage over the mean, attention's recompute, 16-bit parts",
    "memory-bound": "norms, activations, casts: bound by memory bandwidth",
    "host": "the device waits for kernel launches",
    "recompute": "activations computed again",
    "tp": "tensor-parallel traffic not hidden",
    "cp": "context-parallel traffic not hidden",
    "ep": "expert all-to-all not hidden",
    "bubble": "pipeline fill and drain",
    "pp": "transfers between pipeline stages",
    "stragglers": "all wait for the slowest node",
    "dp": "gradient and weight traffic not hidden",
    "optimizer": "optimizer step",
    "offload": "host transfers not hidden",
}


ACTIVATIONS = ("attention", "feed-forward", "experts", "layer inputs")
"""Parts of a rank's memory that come with a forward and go with its backward."""
RESIDENT = (
    *("weights", "gradients", "optimizer", "adapters", *ACTIVATIONS, "recompute"),
    *("communication", "logits", "gathered", "reserve"),
)
"""Parts of a rank's memory in the order in which they are told; a saved plan has them by name."""


def memory_limit(machine: Machine) -> float:
    """Bytes that a plan may fill; the reserve is counted among its parts. [B]"""
    total = machine.cluster.accelerator.memory_bytes or 0.0
    return total * (1.0 - machine.settings.reserve_share)


def estimate_with(
    evaluator: Evaluator,
    strategy: Strategy,
    *,
    intervals: Intervals,
    every_rank: bool = False,
    prepared: Prepared | None = None,
) -> TrainingEstimate:
    """Estimate one strategy with an evaluator already bound to model, machine and workload.

    ``intervals``: how runs alike came out against their predictions.
    ``every_rank``: give the memory of every pipeline rank, not only of those that can be the worst.
    ``prepared``: its cut, if it was worked out before.
    """
    model, workload, machine = evaluator.model, evaluator.workload, evaluator.machine
    check_strategy(model, machine.cluster, workload, strategy)
    cuts, runs = columns_of(strategy)
    prepared = prepared or evaluator.prepare(cuts, every_rank=every_rank)
    found = evaluator.evaluate(prepared, runs)
    step_time = float(found.step_time.flat[0])
    tokens = float(workload.global_batch * workload.sequence_length)
    passes = 3.0 if workload.method == "full" else 2.0
    length = workload.sequence_length
    causal = passes * tokens * forward_flops_per_token(model, length)
    full = passes * tokens * forward_flops_per_token(model, length, causal_half=False)
    rate = step_time * strategy.accelerators * machine.matmul_peak
    again = _recomputed_flops(strategy, model, length) * tokens
    likeness = intervals.group_for(_circumstances(evaluator, strategy))
    return TrainingEstimate(
        strategy=strategy,
        accelerators=strategy.accelerators,
        step_time=step_time,
        step_time_interval=(step_time * likeness.low, step_time * likeness.high),
        likeness=likeness,
        tokens_per_step=tokens,
        tokens_per_second=tokens / step_time,
        mfu=causal / rate,
        mfu_full=full / rate,
        hfu=(causal + again) / rate,
        memory_bytes=float(found.memory_bytes.flat[0]),
        memory_limit=memory_limit(machine),
        host_bytes=float(found.host_bytes.flat[0]),
        host_limit=machine.cluster.host_memory_bytes,
        stages=_stages(prepared, found, strategy),
        waterfall=waterfall(prepared, found, ideal=causal / rate * step_time),
        num_micro_batches=float(found.num_micro_batches.flat[0]),
        model_flops=causal,
        breaks=rules_broken(cuts, runs, found.num_micro_batches),
    )


def _circumstances(evaluator: Evaluator, strategy: Strategy) -> Circumstances:
    """What the interval of a strategy depends on."""
    machine = evaluator.machine
    return circumstances_of(
        evaluator.model,
        evaluator.workload,
        machine.profile,
        software=machine.software.id,
        num_nodes=strategy.accelerators / machine.links.sizes[0],
    )


def _recomputed_flops(strategy: Strategy, model: Model, length: int) -> float:
    """FLOPs per token that recompute adds."""
    if strategy.recompute != "full":
        return 0.0
    share = 1.0
    if strategy.recompute_layers:
        share = min(1.0, strategy.recompute_layers * strategy.pp / model.num_layers)
    head = 2.0 * model.vocab_size * model.hidden_size
    return share * (forward_flops_per_token(model, length) - head)


def _stages(prepared: Prepared, found: Estimates, strategy: Strategy) -> tuple[StageMemory, ...]:
    """Memory of each rank that was looked at, activations by what they are kept for."""
    stages: dict[int, StageMemory] = {}
    stage, shape = found.stage_index[0], found.shape_index[0]
    for slot, parts in enumerate(found.slot_memory):
        rank = int(found.slots.rank[slot][stage])
        counts = found.slots.counts[slot][:, stage]
        values: dict[str, float] = {}
        for name, value in parts.items():
            amount = float(np.ravel(value)[0])
            if name == "activations":
                shares = _activation_shares(prepared, strategy, counts, shape)
                values.update({kind: amount * share for kind, share in shares.items()})
            else:
                values[name] = amount
        stages.setdefault(rank, StageMemory(rank=rank, parts=values))
    return tuple(stages[rank] for rank in sorted(stages) if rank < strategy.pp)


def _activation_shares(
    prepared: Prepared, strategy: Strategy, counts: Array, shape: int
) -> dict[str, float]:
    """What the activations of a rank consist of; shares that sum to 1."""
    layers = max(1.0, float(counts.sum()))
    again = strategy.recompute_layers / layers if strategy.recompute_layers else 1.0
    full = min(1.0, again) if strategy.recompute == "full" else 0.0
    kept = dict.fromkeys(ACTIVATIONS, 0.0)
    for number, cost in zip(counts, prepared.costs, strict=True):
        mode = cost.kept.selective if strategy.recompute == "selective" else cost.kept.none
        for kind, array in mode.items():
            kept[kind] += float(number * (1.0 - full) * array[shape])
        kept["layer inputs"] += float(number * full * cost.kept.full[shape])
    total = sum(kept.values()) or 1.0
    return {kind: value / total for kind, value in kept.items()}


def waterfall(prepared: Prepared, found: Estimates, *, ideal: float) -> tuple[Term, ...]:
    """Seconds of a step by cause; they add up to the step time."""
    parts = _busiest_parts(prepared, found)
    micro = float(np.ravel(found.num_micro_batches)[0])
    by_part = {name: micro * float(parts[i]) for i, name in enumerate(PARTS)}
    stage = float(np.ravel(found.terms["stage"])[0])
    work = by_part["matmul_ideal"] + by_part["attention_ideal"]
    seconds: dict[str, float] = {
        "ideal": ideal,
        "extra work": work - ideal,
        "kernels": by_part["matmul_loss"] + by_part["attention_loss"],
        "memory-bound": by_part["elementwise"],
        "host": by_part["host"],
        "recompute": stage - sum(by_part.values()),
        "tp": by_part["tp"],
        "cp": by_part["cp"],
        "ep": by_part["ep"],
    }
    for name in ("bubble", "pp", "stragglers", "dp", "optimizer", "offload"):
        seconds[name] = float(np.ravel(found.terms[name])[0])
    return tuple(
        Term(name=name, time=time, meaning=MEANINGS[name]) for name, time in seconds.items()
    )


def _busiest_parts(prepared: Prepared, found: Estimates) -> Array:
    """Parts of a micro-batch on the slowest rank, or on DualPipe's two ends evened out."""
    times = [float(np.ravel(time)[0]) for time in found.slot_times]
    slot = int(np.argmax(times))
    micro = float(np.ravel(found.num_micro_batches)[0])
    if float(np.ravel(found.terms["stage"])[0]) == micro * times[slot]:
        return _slot_parts(prepared, found, slot)
    if max(times[2:]) > 0.5 * (times[0] + times[1]):
        return _slot_parts(prepared, found, 2 + int(np.argmax(times[2:])))
    return 0.5 * (_slot_parts(prepared, found, 0) + _slot_parts(prepared, found, 1))


def _slot_parts(prepared: Prepared, found: Estimates, slot: int) -> Array:
    """Forward and backward seconds by part of one micro-batch on one slot, recompute apart."""
    stage, shape = prepared.stage_index[0], prepared.shape_index[0]
    counts = prepared.stages.counts[slot][:, stage]
    first = prepared.stages.first[slot][stage]
    last = prepared.stages.last[slot][stage]
    ends = prepared.ends
    parts = first * (ends.embedding_forward + ends.embedding_backward)[:, shape]
    parts = parts + last * (ends.head_forward + ends.head_backward)[:, shape]
    for number, cost in zip(counts, prepared.costs, strict=True):
        parts = parts + number * (cost.forward + cost.backward)[:, shape]
    parts[PARTS.index("host")] += float(np.ravel(found.slot_waits[slot])[0])
    return parts


def make_evaluator(
    model: Model,
    cluster: Cluster,
    workload: TrainingWorkload,
    *,
    software: Software,
    profile: EfficiencyProfile,
    settings: Settings,
) -> Evaluator:
    """Bind a model, a machine and a workload."""
    machine = Machine(cluster, profile, software, settings, precision=workload.precision)
    return Evaluator(model, machine, workload)
