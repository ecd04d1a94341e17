"""Kernels of an engine on an accelerator as functions of shape, measured ones where there are."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.errors import InputError
from clusterwright.formulas import roofline
from clusterwright.formulas.attention import attention_time
from clusterwright.formulas.decoding import decode_attention_time
from clusterwright.formulas.experts import experts_time
from clusterwright.hardware import Accelerator
from clusterwright.inference import Format, InferenceEngine
from clusterwright.kernels.columns import ENGINE, Table
from clusterwright.kernels.decode import usual_arguments
from clusterwright.kernels.experts import own_rows, prepared
from clusterwright.kernels.gemm import PEAKS
from clusterwright.kernels.kinds import KINDS
from clusterwright.kernels.library import KernelFit, KernelLibrary

Array = Any

PEAKS_BELOW = {
    "fp8": ("int8",),
    "fp8_block": ("int8",),
    "int8": ("fp8",),
    "nvfp4": ("fp8",),
    "mxfp4_mxfp8": ("fp8",),
}
"""Precision → peaks that stand in for one that a chip lacks."""
PLAIN = ("bf16", "fp16", "fp32")
"""Peaks that anything can run at, the usual first."""

UNTILED = {"half_tile": 0.0, "half_depth": 0.0, "fill_area": 0.0, "split_depth": 1.0}
VECTOR_EFFICIENCY = 0.5
"""Of their peak that vector units reach on products, half of the instructions being loads. [1]"""
VECTOR_SHARE = 1.0 / 16.0
"""Their rate over that of the matrix units, where nobody published it. [1]"""
TABLES = "tables"
"""Vector units that look products up instead of multiplying."""
TABLE_BITS = 2.0
"""Bits of a weight at which looking up takes as long as multiplying 8-bit integers: an instruction
looks up 16 sums of four bits, another adds them, where one takes 16 products. [1]"""
NARROW_BITS = 4.0
"""Wider weights have no tables. [1]"""
EXPERT_KERNELS = 4.0
"""Kernels of a layer's experts: sort, multiply, multiply, add up. [1]"""

WIDENING = 24.0
"""Instructions that widen a cached 8-bit float on chips without one for it: 14 of cuda_fp8.hpp's
shifts, masks, comparisons and choices, 1 to take it out of its word, 1 to scale it, and to 32 bits
and back at a quarter of the rate. [1]"""
CACHE_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp32": 4.0}
CACHE_KERNELS = {"fp32": "fp32", "bf16": "bf16", "fp16": "bf16", "fp8": "fp8", "int8": "fp8"}
"""Precision of the measured kernels that read a cache in a format."""
BF16 = 2.0

ENVELOPE = ("gemm",)
"""Kinds of kernels that engines take from the same libraries: tables differ in how they were
called, and replayed from a graph the quickest holds for all."""


class KernelTimes:
    """Times of kernels, (shapes,) in and out. [s]

    Parameters
    ----------
    accelerator, profile
        Where they run, and what its generation makes of its peaks where no kernel was measured.
    library
        Measured kernels.
    engine
        Whose kernels to take, and which it has at all.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        profile: EfficiencyProfile,
        library: KernelLibrary,
        engine: InferenceEngine,
    ) -> None:
        self.accelerator = accelerator
        self.profile = profile
        self._library = library
        self._engine = engine

    def matmul(self, rows: Array, columns: Array, depth: Array, form: Format) -> Array:
        """Product of (m, k) inputs with (k, n) weights."""
        direct = self._product(rows, columns, depth, form)
        if not self._engine.widened_from or form.weight_bytes >= BF16:
            return direct
        wide = msgspec.structs.replace(form, weight_bytes=BF16, dense="bf16")
        written = self.stream(columns * depth * (form.weight_bytes + BF16))
        widened = self._product(rows, columns, depth, wide) + written
        return np.where(np.asarray(rows) < self._engine.widened_from, direct, widened)

    def _product(self, rows: Array, columns: Array, depth: Array, form: Format) -> Array:
        """The same, with the weights as they are stored."""
        shapes = _columns(m=np.maximum(rows, 1.0), n=columns, k=depth)
        plain = not self._engine.vector
        measured = self._measured("gemm", form.dense, Table(shapes)) if plain else None
        if measured is not None:
            return measured
        chip: dict[str, Any] = {
            "memory_bandwidth": self.accelerator.memory_bandwidth,
            "element_bytes": form.weight_bytes,
            "output_bytes": max(BF16, form.weight_bytes),
        }
        profile: dict[str, Any] = self.profile.matmul_for(_class_of(form.dense)).arguments()
        m, n, k = (shapes["m"], shapes["n"], shapes["k"])
        tiled = roofline.matmul_time(
            m, n, k, peak_flops=self._product_peak(form.dense), **chip, **profile
        )
        # Few rows go row by row through the vector units, which have no tiles to fill.
        by_rows: dict[str, Any] = {**profile, **UNTILED, "peak_efficiency": VECTOR_EFFICIENCY}
        rows = roofline.matmul_time(m, n, k, peak_flops=self._row_peak(form), **chip, **by_rows)
        return rows if self._engine.vector else np.minimum(tiled, rows)

    def prefill(
        self,
        length: Array,
        *,
        heads: float,
        kv_heads: float,
        width: float,
        window: float,
        precision: str = "bf16",
    ) -> Array:
        """Causal attention of one prompt; ``width``: of a head, scores and values on average."""
        shapes = _columns(
            batch_size=1.0,
            isl=length,
            num_heads=heads,
            num_key_value_heads=kv_heads,
            head_dim=width,
            window_size=window,
        )
        measured = self._measured("attention_prefill", precision, Table(shapes))
        if measured is not None:
            return measured
        return attention_time(
            1.0,
            heads,
            shapes["isl"],
            shapes["isl"],
            num_kv_heads=kv_heads,
            qk_dim=width,
            value_dim=width,
            peak_flops=self.peak(precision),
            memory_bandwidth=self.accelerator.memory_bandwidth,
            element_bytes=CACHE_BYTES[precision],
            window=window,
            **self.profile.attention_for().forward.arguments(),
        )

    def decode(
        self,
        batch: Array,
        context: Array,
        *,
        heads: float,
        kv_heads: float,
        width: float,
        window: float,
        cache: str,
    ) -> Array:
        """One query of each sequence over its cached keys."""
        precision = CACHE_KERNELS[cache]
        shapes = _columns(
            batch_size=batch,
            step=np.maximum(context - 1.0, 0.0),
            num_heads=heads,
            num_key_value_heads=kv_heads,
            head_dim=width,
            window_size=window,
        )
        measured = self._measured("attention_decode", precision, Table(shapes))
        if measured is not None:
            return measured
        time = decode_attention_time(
            shapes["batch_size"],
            heads,
            shapes["step"] + 1.0,
            num_kv_heads=kv_heads,
            qk_dim=width,
            value_dim=width,
            key_width=2.0 * width,
            peak_flops=self.peak("fp32" if precision == "fp32" else "bf16"),
            memory_bandwidth=self.accelerator.memory_bandwidth,
            element_bytes=CACHE_BYTES[cache],
            key_time=self._key_time(2.0 * width * CACHE_BYTES[cache]),
            window=window,
            **usual_arguments(self.profile),
        )
        if cache == "fp8" and not self.accelerator.peaks.get("fp8"):
            seen = np.minimum(shapes["step"] + 1.0, window or np.inf)
            # Kernels that share keys take none that must be widened: each head widens its own.
            time = time + self._widen(shapes["batch_size"] * seen * heads * 2.0 * width)
        return time

    def _widen(self, elements: Array) -> Array:
        """Widen 8-bit floats by the vector units' integer instructions. [s]"""
        return elements * WIDENING / (VECTOR_EFFICIENCY * 0.5 * self.vector_peak)

    def _key_time(self, num_bytes: float) -> float:
        """Time that one unit takes for a key and its value where it has all of a head's. [s]

        A unit alone is given its share of the memory's rate.
        """
        units, rate = self.accelerator.num_units, self.accelerator.memory_bandwidth
        if self._engine.cuts_keys or not units or not rate:
            return 0.0
        return num_bytes * units / (rate * self.profile.memory.efficiency)

    def latent(
        self, batch: Array, context: Array, *, heads: float, rank: float, rope: float, cache: str
    ) -> Array:
        """One query of each sequence over its cached latents, in the absorbed form."""
        precision = "fp8" if CACHE_BYTES[cache] == 1.0 else "bf16"
        shapes = _columns(batch_size=batch, step=np.maximum(context - 1.0, 0.0), num_heads=heads)
        for name in (precision, f"{precision}_module"):
            measured = self._measured("latent_decode", name, Table(shapes))
            if measured is not None:
                return measured
        return decode_attention_time(
            shapes["batch_size"],
            heads,
            shapes["step"] + 1.0,
            num_kv_heads=1.0,
            qk_dim=rank + rope,
            value_dim=rank,
            key_width=rank + rope,
            peak_flops=self.peak("bf16"),
            memory_bandwidth=self.accelerator.memory_bandwidth,
            element_bytes=CACHE_BYTES[cache],
            **usual_arguments(self.profile),
        )

    def experts(
        self,
        tokens: Array,
        *,
        hidden: float,
        width: float,
        top_k: float,
        num_experts: float,
        gated: bool,
        tp: float,
        ep: float,
        form: Format,
        distribution: str,
        sorted_out: bool = False,
    ) -> Array:
        """All routed experts of a layer on its busiest accelerator; ``tokens``: of all ranks.

        ``sorted_out``: tokens were sent to the ranks of their experts, so that a rank is given its
        own alone; else all ranks are given all tokens and pick theirs.
        """
        shapes = _columns(
            num_tokens=np.maximum(np.round(tokens), 1.0),
            hidden_size=hidden,
            inter_size=width,
            topk=top_k,
            num_experts=num_experts,
            moe_tp_size=tp,
            moe_ep_size=ep,
        )
        size = len(shapes["topk"])
        shapes["distribution"] = np.full(size, distribution)
        named = next(
            (e for e in self._engine.kernels if self._fit_of("experts", form.experts, e)), ""
        )
        shapes[ENGINE] = np.full(size, named or "any")
        table = prepared(Table(shapes))
        if sorted_out:
            table = own_rows(table)
        measured = None if self._engine.vector else self._measured("experts", form.experts, table)
        if measured is not None:
            return measured
        return self._computed_experts(table, form, hidden, width / tp, gated=gated)

    def _computed_experts(
        self, table: Table, form: Format, hidden: float, inner: float, *, gated: bool
    ) -> Array:
        """Routed experts by the profile, each cut to a width ``inner``: by tiles or by rows. [s]"""
        single = self.profile.grouped_for(_class_of(form.experts))
        common: dict[str, Any] = {
            "num_groups": table["touched"],
            "tokens": table["here"],
            "num_matrices": 3.0 if gated else 2.0,
            "memory_bandwidth": self.accelerator.memory_bandwidth,
            "weight_bytes": form.weight_bytes,
            "element_bytes": BF16,
            "memory_efficiency": single.memory_efficiency,
            "activation_passes": 1.0,
            "floor": EXPERT_KERNELS * single.floor,
        }
        shape = table["rows"], hidden, inner
        by_rows = experts_time(
            *shape,
            peak_flops=self._row_peak(form),
            peak_efficiency=VECTOR_EFFICIENCY,
            half_tile=0.0,
            **common,
        )
        if self._engine.vector:
            return by_rows
        by_tiles = experts_time(
            *shape,
            peak_flops=self._product_peak(form.experts),
            peak_efficiency=single.peak_efficiency,
            half_tile=single.half_tile,
            fill_area=single.fill_area,
            **common,
        )
        return np.minimum(by_tiles, by_rows)

    @property
    def vector_peak(self) -> float:
        """Rate of the vector units, or what is usual beside the matrix units. [FLOP/s]"""
        precision = "fp32" if self._engine.vector in ("", TABLES) else self._engine.vector
        return self.accelerator.peaks.get(precision) or VECTOR_SHARE * self.peak("bf16")

    def _row_peak(self, form: Format) -> float:
        """Rate of products row by row; tables are looked up bit by bit of a weight. [FLOP/s]"""
        bits = max(1.0, float(np.floor(8.0 * form.weight_bytes)))
        if self._engine.vector == TABLES and bits <= NARROW_BITS:
            return self.peak("int8") * TABLE_BITS / bits
        return self.vector_peak

    def stream(self, num_bytes: Array, *, kernels: float = 1.0) -> Array:
        """Memory-bound kernels that move ``num_bytes`` in all."""
        arguments = self.profile.memory.arguments()
        floor = arguments.pop("floor")
        arguments["ramp_bytes"] = 0.0
        return kernels * roofline.memory_time(
            num_bytes / kernels,
            memory_bandwidth=self.accelerator.memory_bandwidth,
            floor=floor,
            **arguments,
        )

    def peak(self, precision: str) -> float:
        """Dense peak of a precision, or of the next one that the chip has. [FLOP/s]

        Raises
        ------
        InputError
            When nobody published any rate of the chip.
        """
        peaks = self.accelerator.peaks
        for name in (PEAKS.get(precision, precision), *PEAKS_BELOW.get(precision, ()), *PLAIN):
            if peaks.get(name):
                return peaks[name]
        raise InputError(
            f"nobody published a rate of {self.accelerator.id}; add it to a catalogue file of your "
            f"own to serve with this chip"
        )

    def _product_peak(self, precision: str) -> float:
        """Peak of products; with sums in 16 bits half of that of 8-bit integers. [FLOP/s]

        Desktop cards add up in 32 bits at half the rate, in 16 bits and of integers at the full.
        """
        peak = self.peak(precision)
        if self._engine.narrow_sums and _class_of(precision) in PLAIN:
            return max(peak, 0.5 * self.accelerator.peaks.get("int8", 0.0))
        return peak

    def _measured(self, kind: str, precision: str, table: Table) -> Array | None:
        """The quickest of the engines' kernels for each shape; ``None``: nobody measured any."""
        chip = self.accelerator
        asked = (kind, precision, chip.id, chip.name, *chip.peaks.values(), self._engine.kernels)
        return self._library.kept(asked, table, lambda: self._predicted(kind, precision, table))

    def _predicted(self, kind: str, precision: str, table: Table) -> Array | None:
        found = []
        for engine in self._engine.kernels:
            fit = self._fit_of(kind, precision, engine)
            if fit is not None:
                found.append(KINDS[kind].predict(table, self.accelerator, precision, fit.branches))
                if kind not in ENVELOPE:
                    break
        return np.minimum.reduce(found) if found else None

    def _fit_of(self, kind: str, precision: str, engine: str) -> KernelFit | None:
        return self._library.find(
            kind=kind, accelerator=self.accelerator, engine=engine, precision=precision
        )


def _class_of(precision: str) -> str:
    """The precision whose efficiency holds: that of 16 bits where only weights are narrower."""
    return "bf16" if precision.endswith("_weights") else precision


def _columns(**columns: Any) -> dict[str, Array]:  # noqa: ANN401 - numbers or arrays
    """Columns of one length."""
    arrays = np.broadcast_arrays(*(np.asarray(c, dtype=float) for c in columns.values()))
    return {name: array.ravel() for name, array in zip(columns, arrays, strict=True)}
