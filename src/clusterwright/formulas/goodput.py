r"""Share of a long run's time that is useful, when the job fails and starts again.

Failures come at a constant rate :math:`\lambda` of the whole job. After each the job starts again
from its last checkpoint, which takes :math:`R` (detection and exchange of nodes included).

References
----------
.. [1] A. Kokolis et al., "Revisiting reliability in large-scale machine learning research
   clusters," arXiv:2410.21680, section 3 (expected ETTR).
.. [2] J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps,"
   Future Generation Computer Systems 22(3), 2006 (renewal cycle with failures in restarts).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def first_order_goodput(
    interval: Floats, stall_time: Floats, restart_time: Floats, failure_rate: Floats
) -> Floats:
    r"""Expected share of useful time while failures are rare, Meta's expected ETTR [1]_. [1]

    .. math:: \frac{1 - \lambda\,(R + \tau / 2)}{1 + w / \tau}

    Parameters
    ----------
    interval
        :math:`\tau > 0`, work between two checkpoints. [s]
    stall_time
        :math:`w`, for which a checkpoint stops the work. [s]
    restart_time
        :math:`R`, from a failure until work goes on. [s]
    failure_rate
        :math:`\lambda`, of the whole job. [1/s]

    Leaves out: failures during a restart or twice in an interval; it turns negative where
    `renewal_goodput` nears 0.

    Examples
    --------
    BLOOM wrote for 40 s every 3 hours.

    >>> round(1 - first_order_goodput(10800.0, 40.0, 0.0, 0.0), 4)
    0.0037
    """
    return (1.0 - failure_rate * (restart_time + interval / 2.0)) / (1.0 + stall_time / interval)


def renewal_goodput(
    interval: Floats,
    stall_time: Floats,
    restart_time: Floats,
    failure_rate: Floats,
    lag_time: Floats,
) -> Floats:
    r"""Expected share of useful time, failures in restarts and checkpoints counted [2]_. [1]

    .. math:: g = \frac{\lambda \tau}{e^{\lambda (\tau + w)} - 1}\; e^{-\lambda (R + \ell)}

    Of the lives between failures, those that outlast the restart, :math:`n` intervals with their
    stalls and the lag are worth :math:`n \tau`; the mean life is :math:`1 / \lambda`. A checkpoint
    that is safe only some time after it is taken costs as much as a restart longer by that time.

    Parameters
    ----------
    interval
        :math:`\tau > 0`, work between two checkpoints. [s]
    stall_time
        :math:`w`, for which a checkpoint stops the work. [s]
    restart_time
        :math:`R`, from a failure until work goes on; a failure in it begins it anew. [s]
    failure_rate
        :math:`\lambda > 0`, of the whole job. [1/s]
    lag_time
        :math:`\ell`, from the end of a checkpoint's stall until it is safe. [s]

    Leaves out: restarts of unequal length (their mean is a little too kind), waits for spare nodes,
    and the end of the run.

    Examples
    --------
    Llama 3's rate with a checkpoint every 10 minutes; then a million accelerators.

    >>> rate = 419 / (54 * 86400)
    >>> round(float(renewal_goodput(600.0, 1.0, 318.0, rate, 10.0)), 3)
    0.943
    >>> round(float(renewal_goodput(60.0, 1.0, 318.0, 64 * rate, 10.0)), 3)
    0.125
    """
    spent = np.expm1(failure_rate * (interval + stall_time)) / failure_rate
    return interval / spent * np.exp(-failure_rate * (restart_time + lag_time))


def two_tier_goodput(
    *,
    interval: Floats,
    stall_time: Floats,
    slow_interval: Floats,
    slow_stall_time: Floats,
    fast_share: Floats,
    restart_time: Floats,
    failure_rate: Floats,
    lag_time: Floats,
) -> Floats:
    r"""Expected share of useful time with two tiers of checkpoints. [1]

    A share :math:`q` of failures recovers from the fast tier (memory, a local disk), the others
    lose it and go back to the slow one, written every :math:`m = \tau_2 / \tau` fast ones. With

    .. math::

       p = e^{-\lambda (\tau + w)},\quad r = e^{-\lambda (R + \ell)},\quad
       s = \frac{q\, r}{1 - (1 - r) q},\quad A = \frac{p}{1 - (1 - p) s},\quad
       C = \frac{(1 - p) / (\lambda r)}{1 - (1 - p) s}

    :math:`A` is the chance that a fast interval ends before the fast tier is lost and :math:`C` the
    time spent on it; the last of each :math:`m` has the slow stall too (:math:`A', C'`), and

    .. math::

       g = \frac{\tau_2}{T}, \qquad
       T = \frac{C\,(1 + A + \dots + A^{m - 2}) + A^{m-1} C'}{A^{m-1} A'}

    Parameters
    ----------
    interval
        :math:`\tau > 0`, work between two fast checkpoints. [s]
    stall_time
        :math:`w`, for which a fast checkpoint stops the work. [s]
    slow_interval
        :math:`\tau_2 \ge \tau`, work between two slow checkpoints. [s]
    slow_stall_time
        :math:`w_2`, for which a slow checkpoint stops the work besides. [s]
    fast_share
        :math:`q`, share of failures that leaves the fast tier whole. [1]
    restart_time
        :math:`R`, from a failure until work goes on; a failure in it begins it anew. [s]
    failure_rate
        :math:`\lambda > 0`, of the whole job. [1/s]
    lag_time
        :math:`\ell`, from the end of a fast checkpoint's stall until it is safe; it is counted as
        restart. [s]

    Leaves out: the slow tier's own lag, restarts of unequal length, and waits for spare nodes.

    Examples
    --------
    Never lost, the fast tier leaves the slow one no work; always lost, it is of no use.

    >>> def goodput(share):
    ...     return two_tier_goodput(
    ...         interval=60.0,
    ...         stall_time=0.1,
    ...         slow_interval=1800.0,
    ...         slow_stall_time=5.0,
    ...         fast_share=share,
    ...         restart_time=180.0,
    ...         failure_rate=1e-4,
    ...         lag_time=0.0,
    ...     )
    >>> [round(float(goodput(share)), 3) for share in (1, 0.9, 0)]
    [0.975, 0.966, 0.892]
    >>> round(float(renewal_goodput(1800.0, 5.0 + 3.0, 180.0, 1e-4, 0.0)), 3)
    0.892
    """
    restart = restart_time + lag_time
    survived = np.exp(-failure_rate * restart)
    stays = fast_share * survived / (1.0 - (1.0 - survived) * fast_share)

    def chance_and_time(length: Floats) -> tuple[Floats, Floats]:
        failed = -np.expm1(-failure_rate * length)
        ends = 1.0 - failed * stays
        return (1.0 - failed) / ends, failed / survived / failure_rate / ends

    A, C = chance_and_time(interval + stall_time)
    A_last, C_last = chance_and_time(interval + stall_time + slow_stall_time)
    before = slow_interval / interval - 1.0
    kept = A**before
    odds = np.where(A < 1.0, 1.0 - A, 1.0)
    tries = np.where(A < 1.0, (1.0 - kept) / odds, before)
    return slow_interval * kept * A_last / (C * tries + kept * C_last)


def clean_share(silent_rate: Floats, latency_time: Floats) -> Floats:
    r"""Share of work that stands when it is spoilt for a time before anybody notices. [1]

    .. math:: c = \max(0,\ 1 - \lambda_s\, L)

    Parameters
    ----------
    silent_rate
        :math:`\lambda_s`, silent corruptions of the whole job while it works. [1/s]
    latency_time
        :math:`L`, mean working time from the corruption until it is noticed. [s]

    Leaves out: the way back from there to a checkpoint, which any failure has.

    Examples
    --------
    Llama 3's six in 54 days, each noticed after half an hour.

    >>> round(float(clean_share(6 / (54 * 86400), 1800.0)), 4)
    0.9977
    """
    return np.maximum(1.0 - silent_rate * latency_time, 0.0)


def replica_share(failure_rate: Floats, absent_time: Floats, num_replicas: Floats) -> Floats:
    r"""Share of replicas that work, where a broken one starts again and the others go on. [1]

    .. math:: v = \frac{1}{1 + \lambda\, T / D}

    Each replica fails at :math:`\lambda / D` while it works and is away for :math:`T`; how many are
    away does not depend on the shape of that time.

    Parameters
    ----------
    failure_rate
        :math:`\lambda`, of the whole job. [1/s]
    absent_time
        :math:`T`, from a failure until the replica works again. [s]
    num_replicas
        :math:`D`, data-parallel replicas when all are up. [1]

    Leaves out: that a smaller batch may need other steps, and failures that take several replicas.

    Examples
    --------
    A failure every 18 minutes of 100,000 accelerators, 12 replicas, each away for 10 minutes.

    >>> round(replica_share(1 / 1080, 600.0, 12), 3)
    0.956
    """
    return 1.0 / (1.0 + failure_rate * absent_time / num_replicas)


def elastic_speed(num_missing: Floats, replica_nodes: Floats, num_replicas: Floats) -> Floats:
    r"""Speed of a job that goes on without its broken replicas, over its full speed. [1]

    .. math:: v = \max\left(0,\ 1 - \frac{\lceil d / n \rceil}{D}\right)

    Nodes of broken replicas stand in for each other, so that as few replicas as can be are out.

    Parameters
    ----------
    num_missing
        :math:`d`, nodes that the job lacks. [1]
    replica_nodes
        :math:`n`, nodes of one data-parallel replica. [1]
    num_replicas
        :math:`D`, data-parallel replicas when all are up. [1]

    Leaves out: the time to regroup, and that a smaller batch may need other steps.

    Examples
    --------
    >>> [float(elastic_speed(d, 16, 128)) for d in (0, 1, 16, 17)]
    [1.0, 0.9921875, 0.9921875, 0.984375]
    """
    out = np.ceil(num_missing / replica_nodes)
    return np.maximum(1.0 - out / num_replicas, 0.0)
