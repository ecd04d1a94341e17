"""Tables of attention over whole prompts: queries and keys of one length, causal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.errors import TableError
from clusterwright.formulas.attention import attended_pairs, attention_time
from clusterwright.hardware import Accelerator, peak_rate
from clusterwright.kernels.cells import Cells, head_cells, head_distance
from clusterwright.kernels.columns import Array, Table

NUMBERS = ("batch_size", "isl", "num_heads", "num_key_value_heads", "head_dim", "window_size")
WORDS = ("attn_dtype", "kv_cache_dtype")

NAMES = {"float32": "fp32", "bfloat16": "bf16", "float16": "bf16", "fp8": "fp8"}
"""What tables call the precision of operands and of the cache → what the catalogue calls it."""

CACHE_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp8": 1.0}
SHARED = ("fill_rows", "start_time", "query_passes", "key_passes", "cache_speedup")
CELL_PARAMETERS = ("peak_efficiency", "half_length", "window_waste")


def named(column: str, word: str) -> str:
    """Return the catalogue's name of a precision.

    Raises
    ------
    TableError
        No such precision is known.
    """
    if word not in NAMES:
        raise TableError(f"{column} is {word!r}, but must be one of {', '.join(NAMES)}")
    return NAMES[word]


def precision(words: tuple[str, ...]) -> str:
    """Return one name for the precisions of the operands and of the cache.

    >>> precision(("bfloat16", "bfloat16")), precision(("bfloat16", "fp8"))
    ('bf16', 'bf16_fp8')
    """
    operands, cache = (named(*pair) for pair in zip(WORDS, words, strict=True))
    return operands if operands == cache else f"{operands}_{cache}"


def peak(accelerator: Accelerator, precision: str) -> float:
    """Return the dense peak rate of the narrower precision; some engines compute in it. [FLOP/s]"""
    wide = "fp32" if precision == "fp32" else "bf16"
    return peak_rate(accelerator, "fp8" if "fp8" in precision else wide)


def work(table: Table, precision: str) -> tuple[Array, Array]:
    """Return the least FLOPs and the least bytes of each row."""
    batch, length, heads, kv_heads, dim, window = (table[name] for name in NUMBERS)
    flops = 4.0 * dim * batch * heads * attended_pairs(length, length, window=window)
    kept = CACHE_BYTES[precision.rpartition("_")[2]] * kv_heads
    return flops, batch * length * dim * (2.0 * heads + 2.0 * kept + 4.0 * kv_heads)


def cells(table: Table, _constants: Mapping[str, float]) -> Cells:
    """Return which kernel of the engine runs each row."""
    return head_cells(table["head_dim"], table["window_size"])


def features(table: Table) -> dict[str, Array]:
    """Return what an engine may choose its kernel by, besides what makes a cell."""
    batch, length, heads, kv_heads = (table[name] for name in NUMBERS[:4])
    return {
        "group": heads / kv_heads,
        "length": length,
        "batch": batch,
        "tokens": batch * length,
    }


def times(
    table: Table, accelerator: Accelerator, precision: str, values: Mapping[str, float]
) -> Array:
    """Return the time of each row by the formula. [s]"""
    assert accelerator.memory_bandwidth
    batch, length, heads, kv_heads, dim, window = (table[name] for name in NUMBERS)
    own = cells(table, values)
    of_cells = {name: own.spread(values, name, head_distance) for name in CELL_PARAMETERS}
    shared = {key: values[key] for key in SHARED}
    return attention_time(
        batch,
        heads,
        length,
        length,
        num_kv_heads=kv_heads,
        qk_dim=dim,
        value_dim=dim,
        peak_flops=peak(accelerator, precision),
        memory_bandwidth=accelerator.memory_bandwidth,
        element_bytes=2.0,
        memory_efficiency=1.0,
        half_head_dim=0.0,
        floor=values["floor"],
        window=np.asarray(window),
        query_tile=values["query_tile"],
        least_tile=values["least_tile"],
        packed=values["packed"],
        cache_bytes=accelerator.cache_bytes or 0.0,
        **shared,
        **of_cells,
    )


def usual_times(
    table: Table, accelerator: Accelerator, precision: str, profile: EfficiencyProfile
) -> Array:
    """Return the time of each row by a generation's profile: nobody's kernel in particular. [s]"""
    assert accelerator.memory_bandwidth
    batch, length, heads, kv_heads, dim, window = (table[name] for name in NUMBERS)
    return attention_time(
        batch,
        heads,
        length,
        length,
        num_kv_heads=kv_heads,
        qk_dim=dim,
        value_dim=dim,
        peak_flops=peak_rate(accelerator, precision.partition("_")[0]),
        memory_bandwidth=accelerator.memory_bandwidth,
        element_bytes=2.0,
        window=np.asarray(window),
        **profile.attention_for().forward.arguments(),
    )
