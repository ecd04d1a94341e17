"""When each part of a cluster passes each task, and which chain of tasks it waited for.

A cluster is cut into parts of equal share, the first to come first. A task that handles parts one
by one passes part x at

    T(x) = max over y <= x of [ready(y) + work(x) - work(y)],

the fluid limit of a queue: it starts when there is something to do, and never waits while there
is. A task that happens once passes all parts when it is finished; that is the critical-path method
[1]_, and the rest is the line-of-balance method [2]_.

All times are arrays, parts down and draws across.

References
----------
.. [1] J. E. Kelley, M. R. Walker, "Critical-path planning and scheduling," Proc. Eastern Joint
   Computer Conference, 1959.
.. [2] A. D. Russell, W. C. M. Wong, "New generation of planning structures," J. Constr. Eng.
   Manage. 119 (1993) 196.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clusterwright.buildout.tasks import Task

Floats = Any
Times = dict[str, Floats]

PARTS = 64
LEVELS = np.linspace(0.0, 1.0, PARTS + 1)[:, None]
"""Shares of the cluster, at whose ends times are kept. [1]"""


class Flow:
    """Tasks in order, and how long they take.

    Parameters
    ----------
    tasks
        In order.
    durations
        Of each task by its id; for *racks* and *power* that of all parts. [s]
    heads
        Share of the cluster that each *power* task brings at once. [1]
    now
        Share for which there is power from the beginning. [1]
    most
        Share that bridge power reaches at most. [1]
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        durations: Mapping[str, Floats],
        heads: Mapping[str, Floats],
        *,
        now: Floats = 0.0,
        most: Mapping[str, Floats] | None = None,
    ) -> None:
        self.tasks = tasks
        self._by_id = {task.id: task for task in tasks}
        self._durations = durations
        self._heads = heads
        self._now = now
        self._most = most or {}
        self.times: Times = {}
        for task in tasks:
            self.times[task.id] = self._pass(task)

    def ready(self, task: Task) -> Floats:
        """When each part may enter a task. [s]"""
        before = [self.times[one] for one in task.after]
        if not before:
            return np.zeros_like(LEVELS)
        if task.kind == "any":
            supplied = np.minimum.reduce(np.broadcast_arrays(*before))
            there = (np.asarray(self._now) > 0.0) & (self._now >= LEVELS)
            return np.where(there, 0.0, supplied)
        latest = np.maximum.reduce(np.broadcast_arrays(*before))
        if task.first:
            # The first part that is handed over has some size, however small.
            return np.broadcast_to(latest[1:2], latest.shape)
        if task.kind == "once":
            return np.broadcast_to(latest[-1:], latest.shape)
        return latest

    def work(self, task: Task) -> Floats:
        """Time that a task is busy until it has passed each part, if it never waits. [s]"""
        if task.kind == "racks":
            return LEVELS * self._durations[task.id]
        start = self._now if task.id in self._most else 0.0
        beyond = np.maximum(0.0, LEVELS - start - self._heads[task.id])
        return beyond * self._durations[task.id]

    def _pass(self, task: Task) -> Floats:
        ready = self.ready(task)
        if task.done or task.kind == "any":
            return ready
        if task.kind in ("once", "each"):
            return ready + self._durations[task.id]
        work = self.work(task)
        times = work + np.maximum.accumulate(ready - work, axis=0)
        most = self._most.get(task.id)
        return times if most is None else np.where(most + 1e-9 < LEVELS, np.inf, times)

    def chain(self, task: str, level: int = PARTS) -> dict[str, Floats]:
        """Time of each task on the chain that a part waited for; they add up to when it passed.

        Parameters
        ----------
        task
            The last task of the chain.
        level
            Which part, of `PARTS`.
        """
        draws = max(times.shape[1] for times in self.times.values())
        at = {task: np.ones(draws, bool)}
        part = np.full(draws, level)
        spent: dict[str, Floats] = {}
        for one in reversed(self.tasks):
            here = at.get(one.id)
            if here is None or not here.any() or one.done:
                continue
            spent[one.id], part = self._step_back(one, here, part, at)
        return spent

    def _step_back(
        self, task: Task, here: Floats, part: Floats, at: dict[str, Floats]
    ) -> tuple[Floats, Floats]:
        """Leave one task: its time in each draw, and the parts that came before."""
        draws = np.arange(len(part))
        ready = np.broadcast_to(self.ready(task), (PARTS + 1, len(part)))
        times = np.broadcast_to(self.times[task.id], ready.shape)
        moved = part.copy()
        if task.first:
            moved[here] = 1
        elif task.kind == "once":
            moved[here] = PARTS
        elif task.kind in ("racks", "power"):
            moved[here] = self._waited(task, ready, part)[here]
        spent = np.where(here, times[part, draws] - ready[moved, draws], 0.0)
        left = here & (ready[moved, draws] > 0.0)
        for before in task.after:
            theirs = np.broadcast_to(self.times[before], ready.shape)[moved, draws]
            chosen = left & (theirs == ready[moved, draws])
            at[before] = at.get(before, np.zeros_like(here)) | chosen
            left &= ~chosen
        return spent, moved

    def _waited(self, task: Task, ready: Floats, part: Floats) -> Floats:
        """The last part at which a task had to wait for work, up to each part."""
        slack = np.broadcast_to(ready - self.work(task), ready.shape)
        upto = np.arange(PARTS + 1)[:, None] <= part[None, :]
        backwards = np.where(upto, slack, -np.inf)[::-1]
        return PARTS - np.argmax(backwards, axis=0)


def share_by(times: Floats, at: Floats) -> Floats:
    """Share of the parts that have passed at each of some times. [1]

    Parameters
    ----------
    times
        When each part passes, rising, of one draw. [s]
    at
        The times asked for, rising. [s]

    >>> share_by(LEVELS[:, 0] * 10.0, np.array([-1.0, 5.0, 20.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    passed = np.searchsorted(times, at, side="right") - 1
    low = np.clip(passed, 0, PARTS - 1)
    gap = times[low + 1] - times[low]
    inside = np.clip((at - times[low]) / np.where(gap > 0.0, gap, 1.0), 0.0, 1.0)
    share = np.where(passed >= PARTS, 1.0, (low + inside * (gap > 0.0)) / PARTS)
    return np.where(passed < 0, 0.0, share)
