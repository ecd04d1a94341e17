"""Tables of matrix products: (m, k) × (k, n) at a precision."""

from __future__ import annotations

from collections.abc import Mapping

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.errors import TableError
from clusterwright.formulas.roofline import matmul_time
from clusterwright.formulas.tiles import engine_matmul_time
from clusterwright.hardware import Accelerator, peak_rate
from clusterwright.kernels.columns import Array, Table

NUMBERS = ("m", "n", "k")
WORDS = ("gemm_dtype",)

NAMES = {
    "float32": "fp32",
    "bfloat16": "bf16",
    "float16": "fp16",
    "bf16": "bf16",
    "fp16": "fp16",
    "fp8": "fp8",
    "fp8_block": "fp8_block",
    "nvfp4": "nvfp4",
    "sq": "int8",
    "int8": "int8",
    "int8_wo": "int8_weights",
    "int4_wo": "int4_weights",
}
"""What tables call a precision → what the catalogue calls it. ``sq``: SmoothQuant, int8 both."""

PEAKS = {"fp8_block": "fp8", "nvfp4": "fp4", "int8_weights": "bf16", "int4_weights": "bf16"}
"""Precision → the peak that it runs at, where its name differs."""

WIDER = {"int8": "bf16"}
"""Precision → the peak that stands in for one the chip lacks, where training has no rule."""

WEIGHT_BYTES = {
    "fp32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "fp8_block": 1.0,
    "int8": 1.0,
    "nvfp4": 0.5625,
    "int8_weights": 1.0,
    "int4_weights": 0.5,
}
"""Bytes of a weight, block scales included (nvfp4: 4 bits and an 8-bit scale for 16 values)."""


OUTPUT_BYTES = 2.0
"""Of a result at 16 bits and below."""
ALIGNMENT = 16
"""Rows that the alignment of 16-byte loads asks for at 8 bits."""
USUAL_UNITS = 128
"""Units of a chip that nobody published them of."""


def precision(words: tuple[str, ...]) -> str:
    """Return the catalogue's name of a precision.

    >>> precision(("bfloat16",))
    'bf16'
    """
    if words[0] not in NAMES:
        raise TableError(f"gemm_dtype is {words[0]!r}, but must be one of {', '.join(NAMES)}")
    return NAMES[words[0]]


def peak(accelerator: Accelerator, precision: str) -> float:
    """Return the dense peak rate of a precision, or of the next wider one the chip has. [FLOP/s]"""
    name = PEAKS.get(precision, precision)
    return accelerator.peaks.get(name) or peak_rate(accelerator, WIDER.get(name, name))


def work(table: Table, precision: str) -> tuple[Array, Array]:
    """Return the least FLOPs and the least bytes of each product."""
    m, n, k = (table[name] for name in NUMBERS)
    inputs, weights = input_bytes(precision), WEIGHT_BYTES[precision]
    return 2.0 * m * n * k, inputs * m * k + weights * k * n + output_bytes(precision) * m * n


def input_bytes(precision: str) -> float:
    """Return the bytes of an input as the product reads it: 16 bits where only weights shrink."""
    return OUTPUT_BYTES if precision.endswith("_weights") else WEIGHT_BYTES[precision]


def output_bytes(precision: str) -> float:
    """Return the bytes of a result: 16 bits but for products in 32."""
    return max(OUTPUT_BYTES, WEIGHT_BYTES[precision])


def features(table: Table) -> dict[str, Array]:
    """Return what an engine may choose its kernel by."""
    m, n, k = (table[name] for name in NUMBERS)
    return {"rows": m, "columns": n, "depth": k, "ragged": (m % ALIGNMENT > 0).astype(float)}


def times(
    table: Table, accelerator: Accelerator, precision: str, values: Mapping[str, float]
) -> Array:
    """Return the time of each product by the formula. [s]"""
    assert accelerator.memory_bandwidth
    m, n, k = (table[name] for name in NUMBERS)
    return engine_matmul_time(
        m,
        n,
        k,
        peak_flops=peak(accelerator, precision),
        memory_bandwidth=accelerator.memory_bandwidth,
        cache_bytes=accelerator.cache_bytes or 0.0,
        num_units=float(accelerator.num_units or USUAL_UNITS),
        input_bytes=input_bytes(precision),
        weight_bytes=WEIGHT_BYTES[precision],
        output_bytes=output_bytes(precision),
        ragged=(m % ALIGNMENT > 0).astype(float),
        **values,
    )


def usual_times(
    table: Table, accelerator: Accelerator, precision: str, profile: EfficiencyProfile
) -> Array:
    """Return the time of each product by the generation's profile, for engines not measured. [s]"""
    assert accelerator.memory_bandwidth
    m, n, k = (table[name] for name in NUMBERS)
    return matmul_time(
        m,
        n,
        k,
        peak_flops=peak(accelerator, precision),
        memory_bandwidth=accelerator.memory_bandwidth,
        element_bytes=WEIGHT_BYTES[precision],
        output_bytes=output_bytes(precision),
        **profile.matmul_for(precision).arguments(),
    )
