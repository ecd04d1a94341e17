"""The whole space of strategies as two small tables, and a count of what no rule lets in.

`enumerate_cuts` lists every way to cut a job that the rules allow; `enumerate_runs` every way to
run a cut. Their product is the space. What a rule turns away is counted under the rule's id.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np

from clusterwright.model.records import Model
from clusterwright.software import Software
from clusterwright.training.columns import SCHEMES, Cuts, Runs, constant, run_grid
from clusterwright.workload import TrainingWorkload

Array = Any
Pins = Mapping[str, Any]
Mesh = tuple[int, int, int, int]
"""tp, cp, pp, dp."""

ALL_TO_ALL = SCHEMES.index("all-to-all")
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
) -> list[Mesh]:
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
            fed = bisect_right(batches, most)
            # A batch too small for half of them still has a best: the most ranks that it feeds.
            fitting = batches[min(bisect_right(batches, most // 2), fed - 1) : fed]
            for dp in _pinned(fitting, pins, "dp"):
                if dp > most:
                    rejected["PAR006"] += 1
                elif dp not in batches:
                    rejected["PAR004"] += 1
                else:
                    found.append((tp, cp, pp, dp))
    return found


class _Ways:
    """Micro-batches, chunks, expert cuts and context schemes of meshes; what many share, once."""

    def __init__(
        self, model: Model, workload: TrainingWorkload, software: Software, pins: Pins
    ) -> None:
        self.pins = pins
        self.global_batch = workload.global_batch
        self.heads = _query_heads(model)
        self.experts = _num_experts(model)
        names = [pins["context_scheme"]] if "context_scheme" in pins else software.context_schemes
        self.schemes = [SCHEMES.index(name) for name in names]
        self.chunks = cache(partial(chunk_counts, model.num_layers))
        self.pairs = cache(self._pairs)
        self.table = cache(_table)

    def of(self, mesh: Mesh, rejected: Counter[str]) -> Array:
        """(ep, etp, micro-batch, vpp, scheme) of one mesh; what breaks a rule is counted."""
        tp, cp, pp, dp = mesh
        expert_cuts = self._expert_cuts(mesh)
        if not expert_cuts:
            rejected["PAR005"] += 1
        schemes = self._schemes(tp, cp)
        unsharded = "shard_group" in self.pins and dp * cp % max(1, int(self.pins["shard_group"]))
        pairs, broken = self.pairs(self.global_batch // dp, pp, sharded=not unsharded)
        each = len(expert_cuts) * len(schemes)
        if each:
            for rule, count in broken:
                rejected[rule] += count * each
        return self.table(expert_cuts, pairs, schemes)

    def _pairs(
        self, per_rank: int, pp: int, *, sharded: bool
    ) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[str, int], ...]]:
        """(micro-batch, vpp) that the rules allow, and how many each rule turns away."""
        sizes = [d for d in divisors(per_rank) if d <= MOST_MICRO_BATCH]
        chunks = _pinned(self.chunks(pp), self.pins, "vpp")
        broken: Counter[str] = Counter()
        pairs: list[tuple[int, int]] = []
        for micro in _pinned(sizes, self.pins, "micro_batch"):
            if per_rank % micro:
                broken["PAR004"] += len(chunks)
                continue
            if not sharded:
                broken["SHD002"] += len(chunks)
                continue
            rounds = pp > 1 and (per_rank // micro) % pp == 0
            able = chunks if rounds else [vpp for vpp in chunks if vpp == 1]
            broken["SCH001"] += len(chunks) - len(able)
            pairs += [(micro, vpp) for vpp in able]
        return tuple(pairs), tuple((rule, count) for rule, count in broken.items() if count)

    def _expert_cuts(self, mesh: Mesh) -> tuple[tuple[int, int], ...]:
        """(ep, etp) that cut the experts evenly over dp × cp × tp."""
        tp, cp, _, dp = mesh
        if self.experts == 1:
            return ((1, 1),)
        etps = _pinned(sorted({1, tp}), self.pins, "etp")
        eps = _pinned(divisors(self.experts), self.pins, "ep")
        return tuple(
            (ep, etp)
            for ep, etp in product(eps, etps)
            if self.experts % ep == 0 and dp * cp * tp % (ep * etp) == 0
        )

    def _schemes(self, tp: int, cp: int) -> tuple[int, ...]:
        """Ways to exchange context; all-to-all deals heads out, so they must divide."""
        if cp == 1:
            return tuple(self.schemes[:1])
        whole = self.heads % (tp * cp) == 0
        return tuple(scheme for scheme in self.schemes if whole or scheme != ALL_TO_ALL)


def _table(
    expert_cuts: tuple[tuple[int, int], ...],
    pairs: tuple[tuple[int, int], ...],
    schemes: tuple[int, ...],
) -> Array:
    rows = np.empty((len(expert_cuts), len(pairs), len(schemes), 5))
    if rows.size:
        rows[..., :2] = np.array(expert_cuts)[:, None, None]
        rows[..., 2:4] = np.array(pairs)[None, :, None]
        rows[..., 4] = schemes
    return rows.reshape(-1, 5)


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
    meshes = _meshes(
        model, workload, accelerators, pins, rejected, pipeline=software.pipeline, domain=domain
    )
    ways = _Ways(model, workload, software, pins)
    found = [ways.of(mesh, rejected) for mesh in meshes]
    cut = np.array(meshes, dtype=float).reshape(-1, 4)
    cut = np.repeat(cut, [len(rows) for rows in found], axis=0)
    table = np.vstack([cut.T, np.concatenate([np.empty((0, 5)), *found]).T])
    everywhere = partial(constant, count=table.shape[1])
    sequence_parallel = pins.get("sequence_parallel", software.sequence_parallel)
    return Cuts(
        tp=table[0],
        cp=table[1],
        pp=table[2],
        dp=table[3],
        ep=table[4],
        etp=table[5],
        micro_batch=table[6],
        vpp=table[7],
        scheme=table[8],
        sequence_parallel=everywhere(float(sequence_parallel)),
        overlap_tp=everywhere(float(pins.get("overlap_tp", software.overlap_tp))),
        overlap_ep=everywhere(float(pins.get("overlap_ep", software.overlap_ep))),
        overlap_dp=everywhere(float(pins.get("overlap_dp", software.overlap_dp))),
        overlap_pp=everywhere(float(pins.get("overlap_pp", software.overlap_pp))),
        shard_group=everywhere(float(pins.get("shard_group", 0))),
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
