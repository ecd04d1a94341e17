"""Tables of multi-head latent attention while decoding, alone or with its projections."""

from __future__ import annotations

from collections.abc import Mapping

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.errors import TableError
from clusterwright.formulas.decoding import decode_attention_time
from clusterwright.hardware import Accelerator, peak_rate
from clusterwright.kernels.columns import Array, Table
from clusterwright.kernels.decode import usual_arguments
from clusterwright.kernels.prefill import CACHE_BYTES, named

NUMBERS = ("batch_size", "step", "num_heads")
WORDS = ("op_name", "kv_cache_dtype")

LATENT, ROPE = 512.0, 64.0
"""Elements that DeepSeek-V2 and its heirs cache of a key: compressed, and turned by its place."""

OPERATORS = {"mla_generation": "", "mla_generation_module": "_module"}
"""What tables call an operator → what its precision's name ends with here; a module holds the
projections of queries and results too."""

SHARED = (
    "memory_efficiency",
    "peak_efficiency",
    "floor",
    "tile_time",
    "fill_tiles",
    "split_keys",
    "split_latency",
    "chunk_time",
    "key_time",
    "query_tile",
    "reread_speedup",
    "cache_speedup",
)


def precision(words: tuple[str, ...]) -> str:
    """Return the precision of the cache, and whether projections are timed with it.

    >>> precision(("mla_generation_module", "fp8"))
    'fp8_module'
    """
    if words[0] not in OPERATORS:
        raise TableError(f"op_name is {words[0]!r}, but must be one of {', '.join(OPERATORS)}")
    return named(WORDS[1], words[1]) + OPERATORS[words[0]]


def peak(accelerator: Accelerator, precision: str) -> float:
    """Return the dense peak rate at which scores are computed. [FLOP/s]"""
    return peak_rate(accelerator, precision.removesuffix("_module"))


def work(table: Table, precision: str) -> tuple[Array, Array]:
    """Return the least FLOPs and the least bytes of each row."""
    batch, step, heads = (table[name] for name in NUMBERS)
    element = CACHE_BYTES[precision.removesuffix("_module")]
    flops = 2.0 * (2.0 * LATENT + ROPE) * batch * heads * step
    return flops, batch * step * (LATENT + ROPE) * element


def features(table: Table) -> dict[str, Array]:
    """Return what an engine may choose its kernel by."""
    batch, step, heads = (table[name] for name in NUMBERS)
    return {"batch": batch, "heads": heads, "keys": step + 1.0, "rows": batch * heads}


def times(
    table: Table, accelerator: Accelerator, precision: str, values: Mapping[str, float]
) -> Array:
    """Return the time of each row by the formula; a module's projections take a time per head."""
    core = _core_time(table, accelerator, precision, {name: values[name] for name in SHARED})
    batch, _, heads = (table[name] for name in NUMBERS)
    return core + heads * (values["head_time"] + values["query_time"] * batch)


def usual_times(
    table: Table, accelerator: Accelerator, precision: str, profile: EfficiencyProfile
) -> Array:
    """Return the time of each row by a generation's profile, without projections. [s]"""
    return _core_time(table, accelerator, precision, usual_arguments(profile))


def _core_time(
    table: Table, accelerator: Accelerator, precision: str, arguments: Mapping[str, float]
) -> Array:
    assert accelerator.memory_bandwidth
    batch, step, heads = (table[name] for name in NUMBERS)
    return decode_attention_time(
        batch,
        heads,
        step + 1.0,
        num_kv_heads=1.0,
        qk_dim=LATENT + ROPE,
        value_dim=LATENT,
        key_width=LATENT + ROPE,
        peak_flops=peak(accelerator, precision),
        memory_bandwidth=accelerator.memory_bandwidth,
        element_bytes=CACHE_BYTES[precision.removesuffix("_module")],
        cache_bytes=accelerator.cache_bytes or 0.0,
        **arguments,
    )
