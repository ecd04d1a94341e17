r"""Spare replicas, so that enough are up nearly always.

References
----------
.. [1] R. E. Barlow, F. Proschan, "Mathematical theory of reliability," Wiley 1965 (systems of which
   k of n must work; availability of a part that fails and is repaired).
"""

from __future__ import annotations

import math


def down_share(mean_time_to_failure: float, mean_time_to_repair: float) -> float:
    r"""Share of its time for which a part is down. [1]

    .. math:: u = \frac{\text{MTTR}}{\text{MTTF} + \text{MTTR}}

    Parameters
    ----------
    mean_time_to_failure, mean_time_to_repair
        In the same unit, the former above 0. [s]

    Leaves out: repairs that wait for parts or hands, and wear.

    Examples
    --------
    >>> down_share(99.0, 1.0)
    0.01
    """
    return mean_time_to_repair / (mean_time_to_failure + mean_time_to_repair)


def spares(needed: int, down: float, shortfall: float) -> int:
    r"""Fewest spare parts with which enough are up for all but a share of the time. [1]

    .. math:: \min \Big\{ k : \Pr\big[ \text{Binomial}(n + k, u) > k \big] \le \epsilon \Big\}

    Parameters
    ----------
    needed
        :math:`n \ge 1`, parts that must be up. [1]
    down
        :math:`0 \le u < 1/2`, share of the time for which one is down. [1]
    shortfall
        :math:`0 < \epsilon < 1`, share of the time for which fewer than ``needed`` may be up. [1]

    Leaves out: what takes many parts with it, such as a switch, a rack or a site.

    Examples
    --------
    >>> spares(8, 0.01, 0.001), spares(1000, 0.01, 0.001), spares(5, 0.0, 0.001)
    (2, 21, 0)
    """
    if down <= 0.0:
        return 0
    expected = needed * down / (1.0 - down)
    k = max(0, math.floor(expected - 4.0 * math.sqrt(expected) - 1.0))
    while _more_than(k, needed + k, down) > shortfall:
        k += 1
    return k


def _more_than(limit: int, parts: int, down: float) -> float:
    """Probability that more than ``limit`` of ``parts`` are down."""
    total, place = 0.0, limit + 1
    start = math.lgamma(parts + 1) + parts * math.log1p(-down)
    odds = math.log(down) - math.log1p(-down)
    while place <= parts:
        log = start - math.lgamma(place + 1) - math.lgamma(parts - place + 1) + place * odds
        term = math.exp(log)
        total += term
        if place > parts * down and term <= 1e-12 * total:
            break
        place += 1
    return total
