"""What the engine is given for a strategy: the order on every rank, and the chunks' costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from clusterwright.engines import bidirectional, controllable, orders
from clusterwright.engines.costs import StageCosts
from clusterwright.engines.schedule import Schedule
from clusterwright.engines.torch_table import read_table
from clusterwright.errors import InputError
from clusterwright.strategy import Schedule as ScheduleName
from clusterwright.strategy import Strategy
from clusterwright.training.pieces import Pieces

Array = Any


def schedule_of(strategy: Strategy, num_micro_batches: int) -> Schedule:
    """The order in which a strategy's pipeline works.

    Raises
    ------
    InputError
        For sizes that the schedule does not allow.
    """
    pp, vpp, name = strategy.pp, strategy.vpp, strategy.schedule
    if name == "dualpipe":
        if vpp > 1:
            raise InputError(f"DualPipe has one chunk per rank and direction, not vpp({vpp})")
        return bidirectional.dualpipe(pp, num_micro_batches)
    if name == "zero-bubble":
        return orders.interleaved_zero_bubble(pp, num_micro_batches, vpp)
    if name == "gpipe":
        return orders.looped_breadth_first(pp, num_micro_batches, vpp)
    if vpp > 1:
        return orders.interleaved(pp, num_micro_batches, vpp)
    return orders.one_forward_one_backward(pp, num_micro_batches)


OTHER_ORDERS: dict[str, Callable[[int, int], Schedule]] = {
    "zb-h2": orders.zero_bubble_h2,
    "zb-v": bidirectional.zero_bubble_v,
    "v-half": controllable.v_half,
    "v-min": controllable.v_min,
    "dualpipe-v": bidirectional.dualpipe_v,
}
"""Published schedules without a closed form here: by name, from ranks and micro-batches."""


def order_named(name: str, num_ranks: int, num_micro_batches: int) -> Schedule:
    """A schedule by the path of its table, or one of `OTHER_ORDERS` by name.

    Raises
    ------
    InputError
        For an unknown name, an unusable table, or sizes that the schedule does not allow.
    """
    if name.lower().endswith(".csv"):
        return read_table(Path(name))
    if name not in OTHER_ORDERS:
        known = ", ".join((*get_args(ScheduleName), *OTHER_ORDERS))
        raise InputError(f"no schedule is called {name!r}; choose from {known}, or a .csv file")
    return OTHER_ORDERS[name](num_ranks, num_micro_batches)


def costs_of(pieces: Pieces, schedule: Schedule) -> StageCosts:
    """The chunks' costs as the engine takes them; DualPipe has every chunk twice.

    Raises
    ------
    InputError
        When the schedule has other stages than the strategy has chunks.
    """
    chunks, stages = len(pieces.forward), schedule.placement.num_stages
    chains = int((schedule.placement.following < 0).sum())
    if stages != chunks * chains:
        raise InputError(
            f"the schedule {schedule.name} has {stages} stages but the strategy cuts the model "
            f"into {chunks} chunks; choose pp * vpp = {stages}"
        )

    def each(values: Array) -> Array:
        return np.tile(values, chains)

    hop = np.full(stages, pieces.hop_time)
    return StageCosts(
        forward=each(pieces.forward),
        input_gradient=each(pieces.input_gradient),
        weight_gradient=each(pieces.weight_gradient),
        forward_hop=hop,
        backward_hop=hop,
        kept_bytes=each(pieces.kept_bytes),
        weight_share=np.ones(stages),
    )


def without_hops(costs: StageCosts) -> StageCosts:
    """The same with transfers that take no time."""
    return replace(costs, forward_hop=0.0 * costs.forward_hop, backward_hop=0.0 * costs.forward_hop)
