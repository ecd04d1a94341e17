"""Tables of a mixture's experts: tokens, sizes, shards, and how the load is spread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.errors import TableError
from clusterwright.formulas.experts import experts_time
from clusterwright.hardware import Accelerator
from clusterwright.training.machine import peak_rate
from clusterwright.validation.kernel_cells import Cells
from clusterwright.validation.kernel_loads import loads_of
from clusterwright.validation.kernel_tables import ENGINE, Array, Table

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

CELL_PARAMETERS = (
    "peak_efficiency",
    "memory_efficiency",
    "half_tile",
    "fill_area",
    "activation_passes",
    "floor",
)
SHARED = ("foreign_cost", "cache_speedup")
READY = ("rows", "touched", "here", "ungated")
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
    pairs = np.column_stack([table["hidden_size"], table["inter_size"]])
    ungated = (pairs[:, None, :] == np.array(UNGATED, dtype=float)).all(axis=2).any(axis=1)
    return Table({**columns, **dict(zip(READY, (*load, ungated.astype(float)), strict=True))})


def work(table: Table, precision: str) -> tuple[Array, Array]:
    """Return the least FLOPs and the least bytes of each row."""
    ready = prepared(table)
    matrices = 3.0 - ready["ungated"]
    elements = matrices * ready["hidden_size"] * ready["inter_size"] / ready["moe_tp_size"]
    weights = ready["touched"] * elements * WEIGHT_BYTES[precision]
    return 2.0 * ready["rows"] * elements, weights + 4.0 * ready["here"] * ready["hidden_size"]


def cells(table: Table, _constants: Mapping[str, float]) -> Cells:
    """Return which path of the engine each row takes.

    Gated or not; in SGLang also few tokens or many, all experts or a rank's. Its settings change
    where tokens outnumber the rank's experts, and its rank of several works on a list of its own
    tokens; the other engines' tables show neither step.
    """
    ready = prepared(table)
    several = ready["moe_ep_size"] > 1
    few = _counted_tokens(ready) <= ready["num_experts"] / ready["moe_ep_size"]
    path = _is_sglang(ready) * (few + 2.0 * several)
    return Cells(ready["ungated"] * 4.0 + path, _name)


def distance(one: str, other: str) -> float:
    """Return how far two paths are apart; a gate weighs more than the load.

    >>> distance("gated_few", "gated"), distance("gated_few", "plain_few")
    (1.0, 4.0)
    """
    first, second = (set(name.split("_")) for name in (one, other))
    weights = {"gated": 2.0, "plain": 2.0, "rank": 1.0, "few": 1.0}
    return sum(weights[word] for word in first ^ second)


def _name(code: float) -> str:
    gate, path = divmod(int(code), 4)
    return ("gated", "plain")[gate] + "_few" * (path % 2) + "_rank" * (path // 2)


def _is_sglang(table: Table) -> Array:
    return np.char.lower(table[ENGINE].astype(str)) == "sglang"


def _counted_tokens(table: Table) -> Array:
    """Tokens that the engine is given: SGLang's tables time a rank's own, the others' all."""
    return np.where(_is_sglang(table), table["here"], table["num_tokens"])


def times(
    table: Table, accelerator: Accelerator, precision: str, values: Mapping[str, float]
) -> Array:
    """Return the time of each row by the formula. [s]"""
    assert accelerator.memory_bandwidth
    ready = prepared(table)
    own = cells(ready, values)
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
        **{name: values[name] for name in SHARED},
        **{name: own.spread(values, name, distance) for name in CELL_PARAMETERS},
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
