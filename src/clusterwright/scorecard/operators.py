"""The first layer: kernels and collectives on an accelerator, at peak and as achieved.

Achieved rates are those of short runs, by the efficiency profile of the chip's generation. Where
that profile is another generation's, the best rate measured on the chip itself sets its ceiling.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np

from clusterwright.catalogue.store import Catalogue
from clusterwright.device import HELD
from clusterwright.efficiency import EfficiencyProfile, Evidence
from clusterwright.errors import InputError
from clusterwright.facts import links_on, profile_of
from clusterwright.formulas.attention import attended_pairs, attention_time
from clusterwright.formulas.decoding import decode_attention_time
from clusterwright.formulas.roofline import matmul_time, memory_time
from clusterwright.hardware import Accelerator, Cluster, peak_rate
from clusterwright.kernels.decode import usual_arguments
from clusterwright.scorecard.records import Basis, Operator, OperatorResult

BYTES = {"fp4": 0.5625, "fp8": 1.0, "int8": 1.0}
"""Of an element of a matrix product, block scales included; others have two. [B]"""
WIDER = {"fp4": ("fp4", "fp8"), "fp8": ("fp8",), "int8": ("int8",), "bf16": ()}
"""What a product runs in, the first that the chip has; 16 bits where it has none of these."""
SIXTEEN = ("bf16", "fp16")
"""Formats that go through the same units at the same rate."""


class Bench(NamedTuple):
    """An accelerator with all that its operators are computed from."""

    chip: Accelerator
    profile: EfficiencyProfile
    catalogue: Catalogue

    @property
    def bandwidth(self) -> float:
        """Of the memory. [B/s]"""
        if not self.chip.memory_bandwidth:
            raise InputError(f"nobody published the memory bandwidth of {self.chip.id}")
        return self.chip.memory_bandwidth


class Found(NamedTuple):
    """A rate and its peak, in one unit; what ran, and what the rate rests on."""

    achieved: float
    peak: float
    unit: str
    ran: str
    evidence: Evidence
    anchored: bool = False


def bench_of(cluster: Cluster, catalogue: Catalogue) -> Bench:
    """An accelerator with its generation's profile."""
    return Bench(cluster.accelerator, profile_of(catalogue, cluster), catalogue)


def run_operator(operator: Operator, bench: Bench) -> OperatorResult:
    """An operator on an accelerator; what nobody published leaves it blank, and is named."""
    try:
        found = RUNS[operator.sort](operator, bench)
    except InputError as error:
        why = str(error).partition(";")[0]
        unit = "FLOP/s" if operator.sort in ("matmul", "prefill") else "B/s"
        return OperatorResult(id=operator.id, name=operator.name, unit=unit, why=why)
    return OperatorResult(
        id=operator.id,
        name=operator.name,
        unit=found.unit,
        achieved=float(found.achieved),
        peak=float(found.peak),
        ran=found.ran,
        basis=basis_of(found.evidence, anchored=found.anchored),
        rows=found.evidence.rows,
        source=found.evidence.borrowed_from or found.evidence.source,
        confidence=found.evidence.confidence,
    )


def basis_of(evidence: Evidence, *, anchored: bool) -> Basis:
    """What a rate rests on."""
    if evidence.rows:
        return "measured"
    return "anchored" if anchored else "borrowed"


def runs_in(chip: Accelerator, precision: str) -> tuple[str, float]:
    """The precision that a product runs in, asked for or wider, and its peak. [FLOP/s]

    Raises
    ------
    InputError
        Nobody published a rate of the chip at 16 bits or below.
    """
    for name in WIDER[precision]:
        if chip.peaks.get(name):
            return name, chip.peaks[name]
    wide = peak_rate(chip, "bf16")
    return ("bf16" if chip.peaks.get("bf16") else "fp16"), wide


def _matmul(operator: Operator, bench: Bench) -> Found:
    chip = bench.chip
    name, peak = runs_in(chip, operator.precision)
    usual = bench.profile.matmul_for(name)
    fitted = usual.anchored(measured=chip.matmul.get(name), peak=chip.peaks.get(name))
    shape = (float(operator.rows), float(operator.columns), float(operator.depth))
    time = matmul_time(
        *shape,
        peak_flops=peak,
        memory_bandwidth=bench.bandwidth,
        element_bytes=BYTES.get(name, 2.0),
        output_bytes=2.0,
        **fitted.arguments(),
    )
    flops = 2.0 * shape[0] * shape[1] * shape[2]
    evidence = usual.evidence
    stand_in = bench.profile.stand_in(name)
    if stand_in != name and name not in SIXTEEN:
        words = f"{stand_in} of {bench.profile.id}"
        evidence = msgspec.structs.replace(evidence, rows=0, borrowed_from=words)
    return Found(flops / time, peak, "FLOP/s", name, evidence, fitted is not usual)


def _heads(operator: Operator) -> dict[str, float]:
    size = float(operator.head_size)
    return {"num_kv_heads": float(operator.kv_heads), "qk_dim": size, "value_dim": size}


def _prefill(operator: Operator, bench: Bench) -> Found:
    name, peak = runs_in(bench.chip, "bf16")
    forward = bench.profile.attention_for().forward
    batch, heads, length = map(float, (operator.batch, operator.heads, operator.length))
    time = attention_time(
        batch,
        heads,
        length,
        length,
        **_heads(operator),
        peak_flops=peak,
        memory_bandwidth=bench.bandwidth,
        element_bytes=2.0,
        **forward.arguments(),
    )
    pairs = batch * heads * float(attended_pairs(length, length))
    flops = 4.0 * operator.head_size * pairs
    return Found(flops / float(time), peak, "FLOP/s", name, forward.evidence)


def _decode(operator: Operator, bench: Bench) -> Found:
    _, peak = runs_in(bench.chip, "bf16")
    batch, heads, length = map(float, (operator.batch, operator.heads, operator.length))
    width = 2.0 * operator.head_size
    time = decode_attention_time(
        batch,
        heads,
        length,
        **_heads(operator),
        key_width=width,
        peak_flops=peak,
        memory_bandwidth=bench.bandwidth,
        element_bytes=2.0,
        **usual_arguments(bench.profile),
    )
    read = 2.0 * width * batch * operator.kv_heads * length
    memory = bench.profile.memory.evidence
    return Found(read / float(time), bench.bandwidth, "B/s", "", memory)


def _stream(operator: Operator, bench: Bench) -> Found:
    memory = bench.profile.memory
    time = memory_time(operator.size, memory_bandwidth=bench.bandwidth, **memory.arguments())
    return Found(operator.size / time, bench.bandwidth, "B/s", "", memory.evidence)


def _all_reduce(operator: Operator, bench: Bench) -> Found:
    if bench.chip.kind in HELD:
        raise InputError(f"{bench.chip.id} is alone in its device")
    domain = domain_of(bench)
    wanted = operator.accelerators
    # Whole domains: a group that ends inside one is nobody's.
    ranks = wanted if domain >= wanted else max(1, wanted // domain) * domain
    cluster = bench.catalogue.any_cluster(bench.chip.id, ranks)
    links = links_on(cluster, catalogue=bench.catalogue)
    time = float(np.asarray(links.all_reduce(float(ranks), 1.0).time(operator.size)))
    inner = cluster.levels[0]
    # All of a domain's lines to the network carry one buffer, but no faster than it goes inside.
    line = min([inner.bandwidth, *(one.bandwidth * inner.size for one in cluster.levels[1:])])
    library = bench.profile.communication
    rested: dict[str, Any] = {"source": bench.profile.links.evidence.source, "confidence": "D"}
    if library is not None:
        rested = {"source": library.source, "confidence": "B", "rows": library.rows}
    words = f"{ranks:,}" if domain >= ranks else f"{ranks:,} by {domain:,}"
    return Found(operator.size / time, line, "B/s", words, Evidence(**rested))


def domain_of(bench: Bench) -> int:
    """Accelerators that the fast local link joins."""
    return bench.catalogue.any_cluster(bench.chip.id, 2**20).levels[0].size


RUNS = {
    "matmul": _matmul,
    "prefill": _prefill,
    "decode": _decode,
    "stream": _stream,
    "all-reduce": _all_reduce,
}
