"""The whole space of strategies as two small tables, and a count of what no rule lets in.

`enumerate_cuts` lists every way to cut a job that the rules allow; `enumerate_runs` every way to
run a cut. Their product is the space. What a rule turns away is counted under the rule's id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from clusterwright.model.records import Model
from clusterwright.software import Software
from clusterwright.training.columns import SCHEMES, Cuts, Runs, run_grid
from clusterwright.workload import TrainingWorkload

Array = Any
Pins = Mapping[str, Any]

MOST_MICRO_BATCH = 32
MOST_CHUNKS = 24
FEWEST_TOKENS = 1024
"""A context-parallel rank with fewer tokens than this only communicates."""


def divisors(number: int) -> list[int]:
    """All divisors, rising.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


def _query_heads(model: Model) -> int:
    heads = [core.num_heads for block in model.blocks for core in block.cores]
    return int(np.gcd.reduce(heads)) if heads else model.hidden_size


def _num_experts(model: Model) -> int:
    counts = [block.experts.num_experts for block in model.blocks if block.experts]
    return int(np.gcd.reduce(counts)) if counts else 1


def _pinned(candidates: list[int], pins: Pins, name: str) -> list[int]:
    return [int(pins[name])] if name in pins else candidates


def _pipeline_sizes(layers: int, accelerators: int) -> list[int]:
    """Stages worth trying: what divides the layers (or two more) or the accelerators."""
    sizes = {d for base in (layers, layers + 2, accelerators) for d in divisors(base)}
    return sorted(size for size in sizes if size <= min(layers, accelerators))


def chunk_counts(layers: int, pp: int) -> list[int]:
    """Virtual stages worth trying: equal chunks, or the first and the last short by one layer.

    >>> chunk_counts(126, 16)
    [1, 2, 4, 8]
    """
    if pp == 1:
        return [1]
    return [v for v in range(1, MOST_CHUNKS + 1) if v == 1 or _even(layers, pp * v)]


def _even(layers: int, chunks: int) -> bool:
    return chunks <= layers + 2 and -layers % chunks <= 2


def usable(accelerators: int, tp: int, domain: int) -> int:
    """Accelerators that groups of ``tp`` can use without straddling a scale-up domain.

    >>> usable(64, 6, 8), usable(64, 8, 8), usable(64, 12, 8), usable(64, 16, 8)
    (48, 64, 0, 64)
    """
    if tp > domain:
        return accelerators if tp % domain == 0 else 0
    whole, rest = divmod(accelerators, domain)
    return whole * (domain // tp * tp) + rest // tp * tp


def _meshes(
    model: Model,
    workload: TrainingWorkload,
    accelerators: int,
    pins: Pins,
    rejected: Counter[str],
    *,
    pipeline: bool,
    domain: int,
) -> list[tuple[int, int, int, int]]:
    """(tp, cp, pp, dp) that use at least half of the accelerators, or all that the batch feeds."""
    heads, length = _query_heads(model), workload.sequence_length
    tps = _pinned([d for d in divisors(heads) if d <= accelerators], pins, "tp")
    cps = _pinned([d for d in divisors(length) if d <= max(1, length // FEWEST_TOKENS)], pins, "cp")
    sizes = _pipeline_sizes(model.num_layers, accelerators) if pipeline else [1]
    pps = _pinned(sizes, pins, "pp")
    batches = divisors(workload.global_batch)
    found = []
    for tp, cp, pp in product(tps, cps, pps):
        if heads % tp:
            rejected["PAR001"] += 1
        elif length % cp:
            rejected["PAR002"] += 1
        elif pp > model.num_layers:
            rejected["PAR003"] += 1
        elif tp * cp * pp > usable(accelerators, tp, domain):
            rejected["PAR007" if tp * cp * pp <= accelerators else "PAR006"] += 1
        else:
            most = usable(accelerators, tp, domain) // (tp * cp * pp)
            # A batch too small for half of them still has a best: the most ranks that it feeds.
            largest = max(d for d in batches if d <= most)
            fitting = [d for d in batches if most // 2 < d <= most] or [largest]
            for dp in _pinned(fitting, pins, "dp"):
                if dp > most:
                    rejected["PAR006"] += 1
                elif dp not in batches:
                    rejected["PAR004"] += 1
                else:
                    found.append((tp, cp, pp, dp))
    return found


def _expert_cuts(
    model: Model, mesh: tuple[int, int, int, int], pins: Pins
) -> list[tuple[int, int]]:
    """(ep, etp) that cut the experts evenly over dp × cp × tp."""
    experts = _num_experts(model)
    tp, cp, _, dp = mesh
    if experts == 1:
        return [(1, 1)]
    etps = _pinned(sorted({1, tp}), pins, "etp")
    eps = _pinned(divisors(experts), pins, "ep")
    ranks = dp * cp * tp
    return [
        (ep, etp) for ep, etp in product(eps, etps) if experts % ep == 0 and ranks % (ep * etp) == 0
    ]


def enumerate_cuts(
    model: Model,
    workload: TrainingWorkload,
    software: Software,
    accelerators: int,
    pins: Pins,
    *,
    domain: int = 1,
) -> tuple[Cuts, Counter[str]]:
    """Every cut of the job over at most ``accelerators``, and counts of rejections by rule.

    ``domain``: accelerators of a scale-up domain, which tensor-parallel groups do not straddle.
    """
    rejected: Counter[str] = Counter()
    rows = []
    names = [pins["context_scheme"]] if "context_scheme" in pins else software.context_schemes
    schemes = [SCHEMES.index(name) for name in names]
    heads = _query_heads(model)
    meshes = _meshes(
        model, workload, accelerators, pins, rejected, pipeline=software.pipeline, domain=domain
    )
    for mesh in meshes:
        tp, cp, pp, dp = mesh
        per_rank = workload.global_batch // dp
        sizes = [d for d in divisors(per_rank) if d <= MOST_MICRO_BATCH]
        chunks = _pinned(chunk_counts(model.num_layers, pp), pins, "vpp")
        expert_cuts = _expert_cuts(model, mesh, pins)
        if not expert_cuts:
            rejected["PAR005"] += 1
        exchanges = [s for s in schemes if cp > 1 or s == schemes[0]]
        exchanges = [s for s in exchanges if s != 2 or heads % (tp * cp) == 0 or cp == 1]
        each = len(expert_cuts) * len(exchanges)
        unsharded = "shard_group" in pins and (dp * cp) % max(1, int(pins["shard_group"]))
        pairs = []
        for micro, vpp in product(_pinned(sizes, pins, "micro_batch"), chunks) if each else ():
            if per_rank % micro:
                rejected["PAR004"] += each
            elif unsharded:
                rejected["SHD002"] += each
            elif vpp > 1 and (pp == 1 or (per_rank // micro) % pp):
                rejected["SCH001"] += each
            else:
                pairs.append((micro, vpp))
        rows += [
            (tp, cp, pp, vpp, dp, ep, etp, micro, scheme)
            for ep, etp in expert_cuts
            for micro, vpp in pairs
            for scheme in exchanges
        ]
    table = np.array(rows, dtype=float).reshape(-1, 9).T
    ones = np.ones(table.shape[1])
    sequence_parallel = pins.get("sequence_parallel", software.sequence_parallel)
    return Cuts(
        tp=table[0],
        cp=table[1],
        pp=table[2],
        vpp=table[3],
        dp=table[4],
        ep=table[5],
        etp=table[6],
        micro_batch=table[7],
        scheme=table[8],
        sequence_parallel=ones * float(sequence_parallel),
        overlap_tp=ones * float(pins.get("overlap_tp", software.overlap_tp)),
        overlap_ep=ones * float(pins.get("overlap_ep", software.overlap_ep)),
        overlap_dp=ones * float(pins.get("overlap_dp", software.overlap_dp)),
        overlap_pp=ones * float(pins.get("overlap_pp", software.overlap_pp)),
        shard_group=ones * float(pins.get("shard_group", 0)),
    ), rejected


def enumerate_runs(software: Software, pins: Pins, *, can_offload: bool) -> Runs:
    """Every way to run a cut: sharding, recompute, schedule, offload."""
    recomputes = [("none", 1.0, 0), ("selective", 1.0, 0)]
    recomputes += [("full", share, 0) for share in (1.0, 0.75, 0.5, 0.25)]
    if pins.get("recompute_layers"):
        recomputes = [("full", 1.0, int(pins["recompute_layers"]))]
    elif "recompute" in pins:
        recomputes = [row for row in recomputes if row[0] == pins["recompute"]]
    if pins.get("recompute_layers") == 0:
        recomputes = [row for row in recomputes if row[1] == 1.0]  # 0 says: all of them
    return run_grid(
        zeros=[int(pins["zero"])] if "zero" in pins else [0, 1, 2, 3],
        recomputes=recomputes,
        schedules=[pins["schedule"]] if "schedule" in pins else list(software.schedules),
        offloads=[pins["offload"]] if "offload" in pins else _offloads(software, can_offload),
    )


def _offloads(software: Software, can_offload: bool) -> list[str]:
    return list(software.offloads) if can_offload else ["none"]
