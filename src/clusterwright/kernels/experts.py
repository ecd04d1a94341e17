"""Tables of a mixture's experts: tokens, sizes, shards, and how the load is spread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.errors import TableError
from clusterwright.formulas.experts import experts_time
from clusterwright.hardware import Accelerator, peak_rate
from clusterwright.kernels.columns import ENGINE, VERSION, Array, Table
from clusterwright.kernels.loads import loads_of

NUMBERS = (
    "num_tokens",
    "hidden_size",
    "inter_size",
    "topk",
    "num_experts",
    "moe_tp_size",
    "moe_ep_size",
)
WORDS = ("moe_dtype",)
LABELS = ("distribution",)

NAMES = {
    "bfloat16": "bf16",
    "fp8": "fp8",
    "fp8_block": "fp8_block",
    "nvfp4": "nvfp4",
    "w4a8_mxfp4_mxfp8": "mxfp4_mxfp8",
    "w4a16_mxfp4": "mxfp4_weights",
    "int4_wo": "int4_weights",
}
"""What tables call a precision → what the catalogue calls it."""

WEIGHT_BYTES = {
    "bf16": 2.0,
    "fp8": 1.0,
    "fp8_block": 1.0,
    "nvfp4": 0.5625,
    "mxfp4_mxfp8": 0.53125,
    "mxfp4_weights": 0.53125,
    "int4_weights": 0.515625,
}
"""Bytes of a weight, block scales included (16, 32 and 128 values share one)."""

PEAKS = {"fp8_block": "fp8", "nvfp4": "nvfp4", "mxfp4_mxfp8": "fp8"}
"""Precision → the peak that it runs at, where its name differs and it is not that of 16 bits."""

UNGATED = ((2688, 1856), (1024, 2688), (2048, 5120), (8192, 5120), (4096, 2688))
"""Hidden and intermediate sizes of models whose experts have no gate (Nemotron 3): their tables do
not say it."""

GENERIC = (
    (2816, 704),
    (3072, 1536),
    (4096, 2048),
    (4096, 14336),
    (5120, 8192),
    (6144, 3072),
    (6144, 16384),
    (7168, 3072),
)
"""Sizes of models (Gemma 4, MiniMax-M2, MiMo-V2, Mixtral, Llama 4, DeepSeek-V4 ...) that SGLang on
Blackwell runs 1.3 to 2 times slower than others of their kind, whatever the load. Its defaults
(``server_args.py``) leave these architectures to its generic kernel, and hand those of Qwen 3 and
DeepSeek-V3 to TensorRT-LLM's; that this is the cause is inferred. The list comes from the times of
all rows, held-out ones among them."""
RANK_LOCAL = (("sglang", "0.5.10"),)
"""Engines and versions whose tables time a rank's own tokens alone, each of their slots worked on
by some expert; the others' time all tokens, as an engine is given them."""
ALIGNMENT = 128
"""Rows of a weight that kernels of narrow operands load at once."""
READY = ("rows", "touched", "here", "ungated", "generic")
"""Columns that ``prepared`` adds."""


def precision(words: tuple[str, ...]) -> str:
    """Return the catalogue's name of a precision.

    >>> precision(("int4_wo",))
    'int4_weights'
    """
    if words[0] not in NAMES:
        raise TableError(f"moe_dtype is {words[0]!r}, but must be one of {', '.join(NAMES)}")
    return NAMES[words[0]]


def peak(accelerator: Accelerator, precision: str) -> float:
    """Return the dense peak rate of a precision, or of the next wider one the chip has. [FLOP/s]"""
    name = PEAKS.get(precision, "bf16" if precision.endswith("_weights") else precision)
    return peak_rate(accelerator, name)


def prepared(table: Table) -> Table:
    """Return the table with what each row's rank has to do."""
    if READY[0] in table.names:
        return table
    columns = {name: table[name] for name in table.names}
    load = loads_of(
        table["num_tokens"],
        table["topk"],
        table["num_experts"],
        ep=table["moe_ep_size"],
        distribution=table["distribution"],
    )
    sizes = [_among(table, known) for known in (UNGATED, GENERIC)]
    return Table({**columns, **dict(zip(READY, (*load, *sizes), strict=True))})


def work(table: Table, precision: str) -> tuple[Array, Array]:
    """Return the least FLOPs and the least bytes of each row."""
    ready = prepared(table)
    matrices = 3.0 - ready["ungated"]
    elements = matrices * ready["hidden_size"] * ready["inter_size"] / ready["moe_tp_size"]
    weights = ready["touched"] * elements * WEIGHT_BYTES[precision]
    return 2.0 * ready["rows"] * elements, weights + 4.0 * ready["here"] * ready["hidden_size"]


def features(table: Table) -> dict[str, Array]:
    """Return what an engine may choose its kernel by; the experts' sizes are those of a shard."""
    ready = prepared(table)
    shard = ready["inter_size"] / ready["moe_tp_size"]
    tokens = _counted_tokens(ready)
    return {
        "rows_per_expert": ready["rows"] / ready["touched"],
        "tokens": tokens,
        "tokens_per_expert": tokens * ready["moe_ep_size"] / ready["num_experts"],
        "experts": ready["touched"],
        "intermediate": shard,
        "ranks": ready["moe_ep_size"],
        "ungated": ready["ungated"],
        "ragged": (shard % ALIGNMENT > 0).astype(float),
        "generic": ready["generic"] * (_lower(ready, ENGINE) == "sglang"),
    }


def times(
    table: Table, accelerator: Accelerator, precision: str, values: Mapping[str, float]
) -> Array:
    """Return the time of each row by the formula. [s]"""
    assert accelerator.memory_bandwidth
    ready = prepared(table)
    tokens = _counted_tokens(ready)
    return experts_time(
        ready["rows"],
        ready["hidden_size"],
        ready["inter_size"] / ready["moe_tp_size"],
        num_groups=ready["touched"],
        tokens=tokens,
        num_matrices=3.0 - ready["ungated"],
        peak_flops=peak(accelerator, precision),
        memory_bandwidth=accelerator.memory_bandwidth,
        weight_bytes=WEIGHT_BYTES[precision],
        element_bytes=2.0,
        foreign_rows=np.maximum(0.0, tokens * ready["topk"] - ready["rows"]),
        cache_bytes=accelerator.cache_bytes or 0.0,
        **values,
    )


def usual_times(
    table: Table, accelerator: Accelerator, precision: str, profile: EfficiencyProfile
) -> Array:
    """Return the time of each row by a generation's profile: nobody's kernel in particular. [s]"""
    assert accelerator.memory_bandwidth
    ready = prepared(table)
    single = profile.grouped_for(precision)
    return experts_time(
        ready["rows"],
        ready["hidden_size"],
        ready["inter_size"] / ready["moe_tp_size"],
        num_groups=ready["touched"],
        tokens=ready["here"],
        num_matrices=3.0 - ready["ungated"],
        peak_flops=peak(accelerator, precision),
        memory_bandwidth=accelerator.memory_bandwidth,
        weight_bytes=WEIGHT_BYTES[precision],
        element_bytes=2.0,
        peak_efficiency=single.peak_efficiency,
        memory_efficiency=single.memory_efficiency,
        half_tile=single.half_tile,
        fill_area=single.fill_area,
        activation_passes=1.0,
        floor=single.floor,
    )


def _counted_tokens(table: Table) -> Array:
    """Tokens that an engine is given: all, or a rank's own where its tables time those."""
    if VERSION not in table.names:
        return table["num_tokens"]
    engine, version = _lower(table, ENGINE), table[VERSION].astype(str)
    local = [(engine == name) & (version == number) for name, number in RANK_LOCAL]
    return np.where(np.logical_or.reduce(local), table["here"], table["num_tokens"])


def _lower(table: Table, name: str) -> Array:
    return np.char.lower(table[name].astype(str))


def _among(table: Table, sizes: tuple[tuple[int, int], ...]) -> Array:
    """Return 1 for the rows with one of some hidden and intermediate sizes, and 0 for others."""
    pairs = np.column_stack([table["hidden_size"], table["inter_size"]])
    return (pairs[:, None, :] == np.array(sizes, dtype=float)).all(axis=2).any(axis=1).astype(float)


def own_rows(table: Table) -> Table:
    """Return a table of experts as their ranks see it that are given no other rank's tokens."""
    columns = {name: table[name] for name in table.names}
    columns["num_tokens"] = np.maximum(1.0, columns["rows"] / columns["topk"])
    columns["num_experts"] = np.maximum(1.0, columns["num_experts"] / columns["moe_ep_size"])
    columns["moe_ep_size"] = np.ones_like(columns["moe_ep_size"])
    return Table(columns)
