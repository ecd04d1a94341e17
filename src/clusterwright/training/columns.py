"""Strategies as columns: what shapes operators (`Cuts`) and how they are then run (`Runs`).

A search crosses every cut with every run. A run is a point of a grid with four axes (sharding,
recompute, schedule, offload), and each column of `Runs` extends along its own axis alone: a term
that depends on two of them is computed for those two, and NumPy's broadcasting does the rest. One
strategy is a grid of one point: the same code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self, get_args

import numpy as np

from clusterwright.strategy import ContextScheme, Offload, Recompute, Schedule, Strategy

Array = Any

RECOMPUTES: tuple[str, ...] = get_args(Recompute)
SCHEDULES: tuple[str, ...] = get_args(Schedule)
OFFLOADS: tuple[str, ...] = get_args(Offload)
SCHEMES: tuple[str, ...] = get_args(ContextScheme)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """How the job is cut, one float per cut, shape (n,)."""

    tp: Array
    cp: Array
    pp: Array
    vpp: Array
    dp: Array
    ep: Array
    etp: Array
    micro_batch: Array
    shard_group: Array
    scheme: Array
    sequence_parallel: Array
    overlap_tp: Array
    overlap_ep: Array
    overlap_dp: Array
    overlap_pp: Array

    def __len__(self) -> int:
        return len(self.tp)

    def accelerators(self) -> Array:
        """Accelerators that each cut uses."""
        return self.tp * self.cp * self.pp * self.dp

    def take(self, index: Array) -> Self:
        """The cuts at ``index``."""
        return type(self)(**{f.name: _taken(getattr(self, f.name), index) for f in fields(self)})


def constant(value: float, count: int) -> Array:
    """A column that has one value everywhere, and takes the room of one."""
    return np.broadcast_to(np.float64(value), (count,))


def _taken(column: Array, index: Array) -> Array:
    if column.strides == (0,) and len(column) and isinstance(index, np.ndarray):
        return constant(column[0], len(index))
    return column[index]


def join_cuts(parts: Sequence[Cuts]) -> Cuts:
    """Cuts one behind the other."""
    names = [f.name for f in fields(Cuts)]
    return Cuts(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


GRID_AXES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """How a cut job is run: a grid, each column along its own axis.

    ``zero`` (z, 1, 1, 1); ``recompute``, ``recompute_share`` and ``recompute_layers``
    (1, c, 1, 1); ``schedule`` (1, 1, s, 1); ``offload`` (1, 1, 1, o). ``recompute_share``: share of
    a rank's layers recomputed (only with full recompute); ``recompute_layers``: the same as a
    count, 0: use the share.
    """

    zero: Array
    recompute: Array
    recompute_share: Array
    recompute_layers: Array
    schedule: Array
    offload: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return (self.zero.size, self.recompute.size, self.schedule.size, self.offload.size)

    def __len__(self) -> int:
        return int(np.prod(self.shape))

    def by_pipeline(self, cuts: Cuts) -> Iterator[tuple[Array, Self]]:
        """Places of the cuts without and of those with a pipeline, and the runs they may have."""
        piped = cuts.pp > 1
        for places, runs in (
            (np.flatnonzero(~piped), self.without_pipeline()),
            (np.flatnonzero(piped), self.with_pipeline()),
        ):
            if len(places):
                yield places, runs

    def with_pipeline(self) -> Self:
        """The runs that rules allow with pp > 1: no sharded gradients or weights (SHD001)."""
        return replace(self, zero=self.zero[self.zero.ravel() < 2])

    def without_pipeline(self) -> Self:
        """The runs that rules allow with pp = 1: one schedule (SCH003)."""
        plain = self.schedule.ravel() == SCHEDULES.index("1f1b")
        chosen = plain if plain.any() else np.arange(plain.size) == 0
        return replace(self, schedule=self.schedule[:, :, chosen])


def run_grid(
    *,
    zeros: list[int],
    recomputes: list[tuple[str, float, int]],
    schedules: list[str],
    offloads: list[str],
) -> Runs:
    """The grid of all combinations; a recompute is (mode, share of layers, number of layers)."""

    def along(values: list[float], axis: int) -> Array:
        shape = [1] * GRID_AXES
        shape[axis] = len(values)
        return np.array(values, dtype=float).reshape(shape)

    return Runs(
        zero=along([float(zero) for zero in zeros], 0),
        recompute=along([float(RECOMPUTES.index(mode)) for mode, _, _ in recomputes], 1),
        recompute_share=along([share for _, share, _ in recomputes], 1),
        recompute_layers=along([float(layers) for _, _, layers in recomputes], 1),
        schedule=along([float(SCHEDULES.index(name)) for name in schedules], 2),
        offload=along([float(OFFLOADS.index(name)) for name in offloads], 3),
    )


def columns_of(strategy: Strategy) -> tuple[Cuts, Runs]:
    """One strategy as one cut and one run."""

    def one(value: float) -> Array:
        return np.array([float(value)])

    cuts = Cuts(
        tp=one(strategy.tp),
        cp=one(strategy.cp),
        pp=one(strategy.pp),
        vpp=one(strategy.vpp),
        dp=one(strategy.dp),
        ep=one(strategy.ep),
        etp=one(strategy.etp),
        micro_batch=one(strategy.micro_batch),
        scheme=one(SCHEMES.index(strategy.context_scheme)),
        sequence_parallel=one(strategy.sequence_parallel),
        overlap_tp=one(strategy.overlap_tp),
        overlap_ep=one(strategy.overlap_ep),
        overlap_dp=one(strategy.overlap_dp),
        overlap_pp=one(strategy.overlap_pp),
        shard_group=one(strategy.shard_group),
    )
    runs = run_grid(
        zeros=[strategy.zero],
        recomputes=[(strategy.recompute, 1.0, strategy.recompute_layers)],
        schedules=[strategy.schedule],
        offloads=[strategy.offload],
    )
    return cuts, runs


def strategy_of(cuts: Cuts, runs: Runs, cut: int, run: int, *, num_layers: int) -> Strategy:
    """The strategy at one crossing of a cut and a run."""
    pp = int(cuts.pp[cut])
    z, r, s, o = np.unravel_index(run, runs.shape)
    share = float(runs.recompute_share.flat[r])
    layers = int(runs.recompute_layers.flat[r])
    recompute = RECOMPUTES[int(runs.recompute.flat[r])]
    if recompute == "full" and share < 1.0 and not layers:
        layers = int(np.ceil(share * num_layers / pp))
    return Strategy(
        tp=int(cuts.tp[cut]),
        cp=int(cuts.cp[cut]),
        pp=pp,
        vpp=int(cuts.vpp[cut]),
        dp=int(cuts.dp[cut]),
        ep=int(cuts.ep[cut]),
        etp=int(cuts.etp[cut]),
        micro_batch=int(cuts.micro_batch[cut]),
        zero=int(runs.zero.flat[z]),
        shard_group=int(cuts.shard_group[cut]),
        sequence_parallel=bool(cuts.sequence_parallel[cut]),
        recompute=recompute,  # type: ignore[arg-type]
        recompute_layers=layers if recompute == "full" else 0,
        schedule=SCHEDULES[int(runs.schedule.flat[s])],  # type: ignore[arg-type]
        context_scheme=SCHEMES[int(cuts.scheme[cut])],  # type: ignore[arg-type]
        offload=OFFLOADS[int(runs.offload.flat[o])],  # type: ignore[arg-type]
        overlap_tp=bool(cuts.overlap_tp[cut]),
        overlap_dp=bool(cuts.overlap_dp[cut]),
        overlap_ep=bool(cuts.overlap_ep[cut]),
        overlap_pp=bool(cuts.overlap_pp[cut]),
    )
