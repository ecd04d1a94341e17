"""How near to its peaks an accelerator's kernels come: the catalogue's efficiency profiles.

A profile belongs to a generation of chips, not to one chip: rates come from the accelerator's own
figures, shares of them from here. Fields are the arguments of ``formulas.roofline``, so that
``matmul_time(m, n, k, **profile.matmul_for("bf16").arguments(), …)`` reads as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from clusterwright.communication import CommunicationLibrary, OwnAllReduce
from clusterwright.errors import CatalogueError
from clusterwright.records import Record

FALLBACK: dict[str, tuple[str, ...]] = {
    "fp16": ("bf16",),
    "bf16": ("fp16",),
    "tf32": ("bf16", "fp16"),
    "fp32": ("bf16", "fp16"),
    "fp8": ("fp8_block", "int8", "bf16"),
    "fp8_block": ("fp8", "bf16"),
    "mxfp8": ("fp8_block", "fp8", "bf16"),
    "int8": ("fp8", "bf16"),
    "nvfp4": ("fp4", "fp8", "bf16"),
    "mxfp4": ("nvfp4", "fp4", "fp8", "bf16"),
    "fp4": ("nvfp4", "fp8", "bf16"),
}
"""Precision → whose efficiencies stand in for it, nearest first; the peak stays its own."""

PROVENANCE = {"aliases", "source", "seen_via", "read_level", "confidence", "checked", "notes"}
"""Keys of every catalogue entry that say where it comes from; each part has its own evidence."""

T = TypeVar("T", bound=Record)


def record_of_entry(entry: Mapping[str, Any], record: type[T], what: str) -> T:
    """Build a record from a catalogue entry without its provenance.

    Parameters
    ----------
    what
        What such an entry is called in an error.

    Raises
    ------
    CatalogueError
        When a key is missing, unknown or of the wrong type; the message names it.
    """
    fields = {key: value for key, value in entry.items() if key not in PROVENANCE}
    try:
        return msgspec.convert(fields, record)
    except msgspec.ValidationError as error:
        name = entry.get("id", "without an id")
        raise CatalogueError(f"{what} {name!r}: {error}") from None


class Evidence(Record, frozen=True, kw_only=True):
    """Where a set of parameters comes from, and how well it fits.

    ``rows``: measured rows fitted on (0: none). ``residual``, ``residual_p90``: median and 90th
    percentile of the absolute relative error on shapes held out. [1]
    """

    source: str
    confidence: str
    rows: int = 0
    residual: float | None = None
    residual_p90: float | None = None
    borrowed_from: str = ""
    note: str = ""


class MatmulEfficiency(Record, frozen=True, kw_only=True):
    """Parameters of ``formulas.roofline.matmul_time`` at one precision; see there."""

    peak_efficiency: float
    half_tile: float
    half_depth: float
    fill_area: float
    split_depth: float
    memory_efficiency: float
    floor: float
    evidence: Evidence

    def arguments(self) -> dict[str, float]:
        """Return the keyword arguments that ``matmul_time`` takes from a profile."""
        return _numbers(self)

    def anchored(self, *, measured: float | None, peak: float | None) -> MatmulEfficiency:
        """Return these parameters with the ceiling that was measured on one accelerator.

        A profile without kernel measurements of its own borrows a neighbour's shape dependence;
        the best rate measured on the accelerator itself then says more about its ceiling.

        Parameters
        ----------
        measured
            Best rate of a matrix product measured on it; ``None`` changes nothing. [FLOP/s]
        peak
            Dense peak rate at the same precision. [FLOP/s]
        """
        if self.evidence.rows or not measured or not peak:
            return self
        return msgspec.structs.replace(self, peak_efficiency=min(1.0, measured / peak))


class GroupedEfficiency(Record, frozen=True, kw_only=True):
    """What products of many small groups (experts) lose against one product of all their rows.

    ``share``: of the single product's peak efficiency. ``half_tile``: rows and columns lost at the
    edges of each group's product; a kernel for many groups cannot fit its tile to each. [1]
    """

    share: float
    half_tile: float
    evidence: Evidence


class AttentionEfficiency(Record, frozen=True, kw_only=True):
    """Parameters of ``formulas.roofline.attention_time`` in one direction; see there."""

    peak_efficiency: float
    half_length: float
    half_head_dim: float
    fill_rows: float
    memory_efficiency: float
    floor: float
    evidence: Evidence
    flop_factor: float = 1.0
    traffic_factor: float = 1.0

    def arguments(self) -> dict[str, float]:
        """Return the keyword arguments that ``attention_time`` takes from a profile."""
        return _numbers(self)


class AttentionKernel(Record, frozen=True, kw_only=True):
    """A fused attention kernel, both directions."""

    forward: AttentionEfficiency
    backward: AttentionEfficiency


class MemoryEfficiency(Record, frozen=True, kw_only=True):
    """Parameters of ``formulas.roofline.memory_time``; ``floor`` is also a kernel's shortest.

    ``cache_bytes``: traffic of a kernel up to which caches serve it, ``cache_speedup``: their rate
    over the memory's (1: not told apart). [B, 1]
    """

    efficiency: float
    ramp_bytes: float
    floor: float
    evidence: Evidence
    cache_bytes: float = 0.0
    cache_speedup: float = 1.0

    def arguments(self) -> dict[str, float]:
        """Return the keyword arguments that ``memory_time`` takes from a profile."""
        return _numbers(self)


class LinkEfficiency(Record, frozen=True, kw_only=True):
    """Share of a link's line rate that large collectives reach (bus bandwidth). [1]

    ``scaleup``: ring inside the scale-up domain. ``scaleout``: ring over the network.
    Used where no communication library of the catalogue serves the chips. ``own``: all-reduces of
    inference engines.
    """

    scaleup: float
    scaleout: float
    evidence: Evidence
    own: dict[str, OwnAllReduce] = {}


class EfficiencyProfile(Record, frozen=True, kw_only=True):
    """What a generation of chips makes of its peaks.

    ``matmul``: by precision. ``grouped``: how experts' products differ from single ones.
    ``attention_kernels``: named kernels where several were measured; the two ``attention_…``
    fields are what a framework uses unless told otherwise. ``sustained``: rate that arithmetic
    keeps up for hours over what short benchmarks reach (clocks fall under power and heat); 1 where
    nothing is published. ``sustained_low``: the same of products below 16 bits, where it differs.
    ``barrier``: for which each of a processor's threads keeps the others waiting after a kernel, in
    place of fixed floors (0: there are no threads that meet). [s]
    ``communication``: the library that carries its collectives, where one is known; ``links``
    otherwise.
    """

    id: str
    name: str
    matmul: dict[str, MatmulEfficiency]
    attention_forward: AttentionEfficiency
    attention_backward: AttentionEfficiency
    memory: MemoryEfficiency
    links: LinkEfficiency
    grouped: GroupedEfficiency | None = None
    attention_kernels: dict[str, AttentionKernel] = {}
    sustained: float = 1.0
    sustained_low: float | None = None
    sustained_source: str = ""
    barrier: float = 0.0
    communication: CommunicationLibrary | None = None

    def __post_init__(self) -> None:
        """Refuse shares outside (0, 1] and a profile without any matrix product."""
        if not self.matmul:
            raise CatalogueError(
                f"efficiency profile {self.id!r}: give at least [profile.matmul.bf16]"
            )
        shares = {
            "memory.efficiency": self.memory.efficiency,
            "sustained": self.sustained,
            "links.scaleup": self.links.scaleup,
            "links.scaleout": self.links.scaleout,
            "attention_forward.peak_efficiency": self.attention_forward.peak_efficiency,
            "attention_backward.peak_efficiency": self.attention_backward.peak_efficiency,
        }
        for precision, matmul in self.matmul.items():
            shares[f"matmul.{precision}.peak_efficiency"] = matmul.peak_efficiency
            shares[f"matmul.{precision}.memory_efficiency"] = matmul.memory_efficiency
        for key, share in shares.items():
            if not 0 < share <= 1:
                raise CatalogueError(
                    f"efficiency profile {self.id!r}: {key} is {share:g}, not in (0, 1]"
                )

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> EfficiencyProfile:
        """Build a profile from a catalogue entry; floors are in seconds, shares plain numbers.

        Raises
        ------
        CatalogueError
            When a key is missing, unknown or of the wrong type; the message names it.
        """
        return record_of_entry(entry, cls, "efficiency profile")

    @property
    def is_measured(self) -> bool:
        """Whether matrix products of these chips were measured, or are a neighbour's."""
        return any(matmul.evidence.rows for matmul in self.matmul.values())

    def stand_in(self, precision: str) -> str:
        """Return the precision whose efficiencies are used for this one.

        Itself where the profile has it, then the nearest by ``FALLBACK``, then any.
        """
        for candidate in (precision, *FALLBACK.get(precision, ())):
            if candidate in self.matmul:
                return candidate
        return min(self.matmul)

    def met_by(self, threads: int | None) -> EfficiencyProfile:
        """Return this profile with the floors that so many threads make, where they meet."""
        if not self.barrier or not threads:
            return self
        floor, replace = self.barrier * threads, msgspec.structs.replace
        return replace(
            self,
            matmul={key: replace(one, floor=floor) for key, one in self.matmul.items()},
            attention_forward=replace(self.attention_forward, floor=floor),
            attention_backward=replace(self.attention_backward, floor=floor),
            memory=replace(self.memory, floor=floor),
        )

    def attention_for(self, kernel: str = "") -> AttentionKernel:
        """Return a named attention kernel, or the usual one where it was not measured here."""
        usual = AttentionKernel(forward=self.attention_forward, backward=self.attention_backward)
        return self.attention_kernels.get(kernel, usual)

    def matmul_for(self, precision: str) -> MatmulEfficiency:
        """Return the matrix-product parameters for a precision, or its nearest stand-in's."""
        return self.matmul[self.stand_in(precision)]

    def grouped_for(self, precision: str) -> MatmulEfficiency:
        """Return the parameters for the grouped products of experts at a precision."""
        single = self.matmul_for(precision)
        if self.grouped is None:
            return single
        return msgspec.structs.replace(
            single,
            peak_efficiency=single.peak_efficiency * self.grouped.share,
            half_tile=max(single.half_tile, self.grouped.half_tile),
        )


def _numbers(record: Record) -> dict[str, float]:
    """Return a record's numeric fields by name."""
    fields = msgspec.structs.asdict(record)
    return {name: value for name, value in fields.items() if isinstance(value, float)}
