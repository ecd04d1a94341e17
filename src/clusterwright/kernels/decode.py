"""Tables of attention while decoding: a query per sequence over ``step`` keys and its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.formulas.decoding import decode_attention_time
from clusterwright.hardware import Accelerator, peak_rate
from clusterwright.kernels.cells import Cells, head_cells, head_distance
from clusterwright.kernels.columns import Array, Table
from clusterwright.kernels.prefill import CACHE_BYTES, named

NUMBERS = ("batch_size", "step", "num_heads", "num_key_value_heads", "head_dim", "window_size")
WORDS = ("kv_cache_dtype",)

CELL_PARAMETERS = ("memory_efficiency", "tile_time", "key_time", "floor", "window_waste")
SHARED = (
    "peak_efficiency",
    "fill_tiles",
    "split_keys",
    "split_latency",
    "chunk_time",
    "query_tile",
    "reread_speedup",
    "cache_speedup",
)


def precision(words: tuple[str, ...]) -> str:
    """Return the precision of the cache.

    >>> precision(("fp8",))
    'fp8'
    """
    return named(WORDS[0], words[0])


def peak(accelerator: Accelerator, precision: str) -> float:
    """Return the dense peak rate at which scores are computed. [FLOP/s]"""
    return peak_rate(accelerator, precision)


def work(table: Table, precision: str) -> tuple[Array, Array]:
    """Return the least FLOPs and the least bytes of each row."""
    batch, step, heads, kv_heads, dim, window = (table[name] for name in NUMBERS)
    keys = np.where(window > 0, np.minimum(window, step + 1.0), step + 1.0)
    num_bytes = batch * kv_heads * keys * 2.0 * dim * CACHE_BYTES[precision]
    return 4.0 * dim * batch * heads * keys, num_bytes


def alone(table: Table, constants: Mapping[str, float]) -> Array:
    """Return 1 where each query head works alone: it shares no keys, or too many share them.

    ``group_limit``: heads that may share keys in this engine's kernel; 0 is any number.
    ``window_limit``: the same below a window.
    """
    windowed = table["window_size"] > 0
    limit = np.where(windowed, constants["window_limit"], constants["group_limit"])
    group = table["num_heads"] / table["num_key_value_heads"]
    return ((limit > 0) & ((group == 1) | (group > limit))).astype(float)


def cells(table: Table, constants: Mapping[str, float]) -> Cells:
    """Return which kernel of the engine runs each row."""
    return head_cells(table["head_dim"], table["window_size"], alone(table, constants))


def features(table: Table) -> dict[str, Array]:
    """Return what an engine may choose its kernel by, besides what makes a cell."""
    batch, step, heads, kv_heads, _, window = (table[name] for name in NUMBERS)
    keys = np.where(window > 0, np.minimum(window, step + 1.0), step + 1.0)
    return {
        "group": heads / kv_heads,
        "keys": keys,
        "batch": batch,
        "tiles": batch * kv_heads,
    }


def times(
    table: Table, accelerator: Accelerator, precision: str, values: Mapping[str, float]
) -> Array:
    """Return the time of each row by the formula. [s]"""
    own = cells(table, values)
    of_cells = {name: own.spread(values, name, head_distance) for name in CELL_PARAMETERS}
    shared = {name: values[name] for name in SHARED}
    arguments = {**shared, **of_cells, "alone": alone(table, values)}
    return _time(table, accelerator, precision, arguments)


def usual_arguments(profile: EfficiencyProfile) -> dict[str, float]:
    """Return what a generation's profile says of any kernel that reads a cache.

    Its streams, its floor and its attention's ceiling; tiles and parts cost nothing.
    """
    free = dict.fromkeys(("tile_time", "split_latency", "chunk_time"), 0.0)
    return {
        **free,
        "memory_efficiency": profile.memory.efficiency,
        "peak_efficiency": profile.attention_for().forward.peak_efficiency,
        "floor": profile.memory.floor,
        "fill_tiles": 1.0,
        "split_keys": 1.0,
    }


def usual_times(
    table: Table, accelerator: Accelerator, precision: str, profile: EfficiencyProfile
) -> Array:
    """Return the time of each row by a generation's profile: nobody's kernel in particular. [s]"""
    return _time(table, accelerator, precision, usual_arguments(profile))


def _time(
    table: Table, accelerator: Accelerator, precision: str, arguments: Mapping[str, Any]
) -> Array:
    assert accelerator.memory_bandwidth
    batch, step, heads, kv_heads, dim, window = (table[name] for name in NUMBERS)
    return decode_attention_time(
        batch,
        heads,
        step + 1.0,
        num_kv_heads=kv_heads,
        qk_dim=dim,
        value_dim=dim,
        key_width=2.0 * dim,
        peak_flops=peak(accelerator, precision),
        memory_bandwidth=accelerator.memory_bandwidth,
        element_bytes=CACHE_BYTES[precision],
        window=np.asarray(window),
        cache_bytes=accelerator.cache_bytes or 0.0,
        **arguments,
    )
