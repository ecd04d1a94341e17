"""How long an operator takes: warmed up, repeated until its lower quartile settles."""

from __future__ import annotations

import math
from collections.abc import Callable

from clusterwright.records import Record

LEAST_SAMPLE = 3e-3
"""Runs are put together to samples of at least this length, which clocks resolve well. [s]"""
FEWEST, MOST = 7, 41
"""Samples of one operator."""
LONGEST = 0.5
"""After so long an operator that does not settle is taken as it is. [s]"""
BUSY = 0.25
"""Share of disturbed samples that leaves the lower quartile to those that were not. [1]"""
SETTLED = 0.01
"""Change of the lower quartile, over half of the samples more, below which it has settled. [1]"""


class Timing(Record, frozen=True, kw_only=True):
    """Seconds of one run, over samples of ``runs`` runs each.

    ``lower``, ``median``, ``upper``: quartiles; ``least``: the quickest sample. What is not this
    machine's work (other programs, interrupts) only adds time, so that the lower quartile is what
    the machine takes; a sample of several runs keeps what belongs to it, such as waking up a thread
    now and then. [s] ``disturbed``: samples during which other programs took the core.
    """

    lower: float
    median: float
    upper: float
    least: float
    samples: int
    runs: int
    disturbed: int = 0

    @property
    def busy(self) -> bool:
        """Whether so many samples were disturbed that it should be measured again."""
        return self.disturbed > BUSY * self.samples


def settle(
    sample: Callable[[int], float], *, longest: float = LONGEST, shortest: float = LEAST_SAMPLE
) -> Timing:
    """Time an operator.

    Parameters
    ----------
    sample
        Seconds that so many runs in a row take; where several processes run at once, the slowest's.
    longest
        Seconds after which no further sample is taken.
    shortest
        Seconds that a sample lasts at least.

    >>> settle(lambda runs: 1e-3 * runs).lower
    0.001
    """
    sample(1)
    once = sample(1)
    runs = max(1, math.ceil(shortest / max(once, 1e-9)))
    if runs > 1:  # the first run was cold: ask again what a warm one takes
        once = sample(runs) / runs
        runs = max(1, math.ceil(shortest / max(once, 1e-9)))
    times: list[float] = []
    spent, checked = 0.0, 0.0
    while len(times) < MOST:
        taken = sample(runs)
        spent += taken
        times.append(taken / runs)
        if len(times) < FEWEST:
            continue
        if len(times) % 4 == 3:
            now = quartile(times, 0.25)
            if abs(now - checked) <= SETTLED * now:
                break
            checked = now
        if spent > longest:
            break
    return Timing(
        lower=quartile(times, 0.25),
        median=quartile(times, 0.5),
        upper=quartile(times, 0.75),
        least=min(times),
        samples=len(times),
        runs=runs,
    )


def quartile(times: list[float], share: float) -> float:
    """Return a quantile by linear interpolation.

    >>> quartile([4.0, 1.0, 3.0, 2.0], 0.25), quartile([1.0, 2.0, 4.0], 0.5)
    (1.75, 2.0)
    """
    ordered = sorted(times)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
