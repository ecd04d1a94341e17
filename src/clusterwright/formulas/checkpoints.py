r"""How often to write a checkpoint, how long it takes, and what its absence costs.

References
----------
.. [1] J. W. Young, "A first order approximation to the optimum checkpoint interval," CACM 17(9),
   1974.
.. [2] J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps,"
   Future Generation Computer Systems 22(3), 2006.
.. [3] SemiAnalysis, "100,000 H100 clusters," June 2024 (a checkpoint every 100 iterations of 2 s).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""

NEWTON_STEPS = 8
"""From Young's interval five steps reach the last bit for any stall and rate."""


def checkpoint_write_time(
    checkpoint_bytes: Floats, storage_bandwidth: Floats, node_bandwidth: Floats, num_nodes: Floats
) -> Floats:
    r"""Time to write a checkpoint. [s]

    .. math:: t = \frac{B}{\min(\beta_s,\ N \beta_n)}

    Parameters
    ----------
    checkpoint_bytes
        :math:`B`, of the whole job. [B]
    storage_bandwidth
        :math:`\beta_s`, what the storage takes from all. [B/s]
    node_bandwidth
        :math:`\beta_n`, what one node can send to it. [B/s]
    num_nodes
        :math:`N`, nodes that write. [1]

    Leaves out: metadata, other jobs on the same storage, and nodes that write uneven shares.

    Examples
    --------
    BLOOM's 2.3 TB in 40 s on 48 nodes.

    >>> float(checkpoint_write_time(2.3e12, 57.5e9, 12.5e9, 48))
    40.0
    """
    return checkpoint_bytes / np.minimum(storage_bandwidth, num_nodes * node_bandwidth)


def lost_accelerator_time(num_steps: Floats, step_time: Floats, num_accelerators: Floats) -> Floats:
    r"""Time of all accelerators that goes when steps since the last checkpoint are lost [3]_. [s]

    .. math:: L = n\, t\, N

    Parameters
    ----------
    num_steps
        :math:`n`, steps done and lost. [1]
    step_time
        :math:`t`, of one step. [s]
    num_accelerators
        :math:`N`, accelerators of the job. [1]

    Leaves out: the restart.

    Examples
    --------
    All but one of 100 steps of 2 s on 100,000 accelerators, in accelerator-days.

    >>> round(lost_accelerator_time(99, 2.0, 100_000) / 86400)
    229
    """
    return num_steps * step_time * num_accelerators


def young_interval(stall_time: Floats, failure_rate: Floats) -> Floats:
    r"""Work between two checkpoints with which least is lost, to first order [1]_. [s]

    .. math:: \tau = \sqrt{2 w / \lambda}

    Parameters
    ----------
    stall_time
        :math:`w`, for which a checkpoint stops the work. [s]
    failure_rate
        :math:`\lambda > 0`, of the whole job. [1/s]

    Leaves out: failures during a checkpoint or a second one in an interval; good where
    :math:`\lambda w \ll 1`.

    Examples
    --------
    >>> round(young_interval(60.0, 1 / 7200.0))
    930
    """
    return np.sqrt(2.0 * stall_time / failure_rate)


def daly_interval(stall_time: Floats, failure_rate: Floats) -> Floats:
    r"""The same less the stall itself, 0 at least [2]_. [s]

    .. math:: \tau = \sqrt{2 w / \lambda} - w

    Parameters
    ----------
    stall_time
        :math:`w`, for which a checkpoint stops the work. [s]
    failure_rate
        :math:`\lambda > 0`, of the whole job. [1/s]

    Leaves out: terms of higher order in :math:`\lambda w`, which Daly gives too; see
    `best_interval` for the exact optimum.

    Examples
    --------
    >>> round(daly_interval(60.0, 1 / 7200.0))
    870
    """
    return np.maximum(young_interval(stall_time, failure_rate) - stall_time, 0.0 * stall_time)


def best_interval(stall_time: Floats, failure_rate: Floats) -> Floats:
    r"""Work between two checkpoints with which most is done, for failures at a constant rate. [s]

    The maximum over :math:`\tau` of :math:`\tau / (e^{\lambda (\tau + w)} - 1)`, the only part of
    `goodput.renewal_goodput` in which it stands:

    .. math::

       \lambda \tau = 1 - e^{-\lambda (\tau + w)}
       \quad\Longleftrightarrow\quad
       \tau = \frac{1 + W_0\!\left(-e^{-1 - \lambda w}\right)}{\lambda}

    with Lambert's :math:`W_0`, found by Newton's method from Young's interval, which lies above it.

    Parameters
    ----------
    stall_time
        :math:`w > 0`, for which a checkpoint stops the work. [s]
    failure_rate
        :math:`\lambda > 0`, of the whole job. [1/s]

    Leaves out: a second tier of checkpoints, and that steps are whole.

    Examples
    --------
    A stall of a minute: Daly is right while failures are rare, and not where they come every 3 min.

    >>> [round(float(best_interval(60.0, 1 / m))) for m in (7200.0, 180.0)]
    [890, 110]
    >>> [round(float(daly_interval(60.0, 1 / m))) for m in (7200.0, 180.0)]
    [870, 87]
    """
    a = failure_rate * stall_time
    x = np.minimum(np.sqrt(2.0 * a), 1.0)
    for _ in range(NEWTON_STEPS):
        decay = -np.expm1(-(x + a))
        x = x - (x - decay) / decay
    return x / failure_rate
