"""Arithmetic of intervals of time: unions, how much of one lies in another."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


class Spans:
    """Intervals joined where they touch: sorted, disjoint.

    Parameters
    ----------
    start, end
        Of each interval, (intervals,), in any order, overlapping or not.
    """

    def __init__(self, start: Array, end: Array) -> None:
        order = np.argsort(start, kind="stable")
        start, end = np.asarray(start)[order], np.asarray(end)[order]
        good = end > start
        start, end = start[good], end[good]
        reach = np.maximum.accumulate(end) if len(end) else end
        new = np.ones(len(start), dtype=bool)
        new[1:] = start[1:] > reach[:-1]
        first = np.flatnonzero(new)
        self.start = start[first]
        self.end = reach[np.append(first[1:], len(start)) - 1] if len(start) else reach
        self._before = np.concatenate(([0.0], np.cumsum(self.end - self.start)))

    @property
    def total(self) -> float:
        """Length of the union."""
        return float(self._before[-1])

    def covered_until(self, moment: Array) -> Array:
        """Length of the union before each moment."""
        index = np.searchsorted(self.start, moment, side="right")
        before = self._before[index]
        if not len(self.start):
            return before
        last = np.maximum(index - 1, 0)
        over = np.where(index > 0, np.maximum(0.0, self.end[last] - moment), 0.0)
        return before - over

    def within(self, start: Array, end: Array) -> Array:
        """Length of the union inside each interval."""
        return self.covered_until(end) - self.covered_until(start)

    def shared(self, other: Spans) -> float:
        """Length that both cover."""
        return float(np.sum(other.within(self.start, self.end)))

    def gaps(self, start: float, end: float) -> Spans:
        """What is not covered of an interval."""
        edges_start = np.concatenate(([start], np.clip(self.end, start, end)))
        edges_end = np.concatenate((np.clip(self.start, start, end), [end]))
        return Spans(edges_start, edges_end)
