"""What a search knows so far, and which cuts cannot change its answer any more.

An answer is the best strategies of different kinds, the best step time for each value of each axis,
and the front of step time, memory and accelerators. A cut whose least time and least memory (no way
of running it undercuts either) leave it out of all three need not be worked out.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from clusterwright.training.columns import Cuts

Array = Any

SWEPT_AXES: Final = ("tp", "cp", "pp", "ep", "micro_batch")
"""Axes of which the best step time is told for each value."""
SLOT: Final = 0.002
"""Logarithm of the ratio of two times that the front tells apart here. [1]"""
SLOTS: Final = 2048
"""Up to 60 times the least of all bounds; slower strategies are not remembered for the front."""
ROUNDING: Final = 1e-6
"""Share by which a single-precision result may lie below its bound. [1]"""


class Known:
    """The best that was found so far.

    Parameters
    ----------
    cuts
        All that may be asked about.
    least
        The least of their bounds. [s]
    kinds
        So many strategies of different kinds are to be the best.
    """

    def __init__(self, cuts: Cuts, least: float, kinds: int) -> None:
        self._least = least
        self._num_kinds = kinds
        self._kinds: dict[tuple[float, ...], float] = {}
        self._by_axis = {
            axis: np.full(int(getattr(cuts, axis).max(initial=0)) + 1, np.inf)
            for axis in SWEPT_AXES
        }
        self._numbers: Array = np.unique(cuts.accelerators())
        self._memory = np.full((len(self._numbers), SLOTS), np.inf)

    @property
    def enough(self) -> float:
        """A time that so many strategies of different kinds keep; infinite: there are fewer. [s]"""
        times = sorted(self._kinds.values())
        return times[self._num_kinds - 1] if len(times) >= self._num_kinds else np.inf

    def learn(self, cuts: Cuts, step_time: Array, memory: Array) -> None:
        """Take in what was found.

        Parameters
        ----------
        cuts
            Cuts.
        step_time, memory
            Of every way of running each, (cuts, runs), the time infinite where it cannot be.
            [s], [B]
        """
        quickest = step_time.min(axis=1, initial=np.inf)
        for axis, best in self._by_axis.items():
            np.minimum.at(best, getattr(cuts, axis).astype(int), quickest)
        for cut in np.flatnonzero(quickest < self.enough):
            self._learn_kind(cuts, int(cut), float(quickest[cut]))
        rows, runs = np.nonzero(np.isfinite(step_time))
        slot = self._slot(step_time[rows, runs]) + 1  # its end, by which it is surely done
        number = self._number(cuts)[rows]
        early = slot < SLOTS
        np.minimum.at(self._memory, (number[early], slot[early]), memory[rows, runs][early])
        self._memory = np.minimum.accumulate(np.minimum.accumulate(self._memory, axis=1), axis=0)

    def _learn_kind(self, cuts: Cuts, cut: int, time: float) -> None:
        """Coarser than the kinds that the search tells apart, so that there are no more of them."""
        kind = (cuts.tp[cut], float(cuts.cp[cut] > 1), cuts.pp[cut], cuts.ep[cut])
        self._kinds[kind] = min(time, self._kinds.get(kind, np.inf))

    def beats(self, cuts: Cuts, time: Array, memory: Array, reach: float) -> Array:
        """Whether what is known leaves each cut no place in the answer. (cuts,)

        Parameters
        ----------
        cuts
            Cuts that were not worked out.
        time, memory
            That no way of running them undercuts. (cuts,) [s], [B]
        reach
            How many times slower than the best an answer may be; infinite: what is asked for is
            another objective, for which all are looked at.
        """
        if not np.isfinite(reach):
            return np.zeros(len(cuts), dtype=bool)
        time, memory = time * (1.0 - ROUNDING), memory * (1.0 - ROUNDING)
        beaten = time > self.enough
        for axis, best in self._by_axis.items():
            beaten &= time >= best[getattr(cuts, axis).astype(int)]
        number = self._number(cuts)
        slot = np.clip(self._slot(time), 0, SLOTS - 1)
        return beaten & (memory >= self._memory[number, slot])

    def _number(self, cuts: Cuts) -> Array:
        """Place of each cut's number of accelerators among all of them."""
        return np.searchsorted(self._numbers, cuts.accelerators())

    def _slot(self, time: Array) -> Array:
        return np.floor(np.log(time / self._least) / SLOT).astype(int)
