r"""Training that seldom synchronises: replicas far apart, with inner and outer steps.

Each of :math:`R` replicas takes :math:`H` inner steps on data of its own; then all average what
they changed, over links that are slow and long, and take an outer step. What a replica waits for is
the exchange, less what runs beside inner steps.

References
----------
.. [1] A. Douillard et al., "DiLoCo: distributed low-communication training of language models,"
   arXiv:2311.08105.
.. [2] A. Douillard et al., "Streaming DiLoCo with overlapping communication," arXiv:2501.18512.
.. [3] R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of collective communication operations in
   MPICH," IJHPCA 19 (2005) 49.
.. [4] M. Ryabinin et al., "SWARM parallelism: training large models can be surprisingly
   communication-efficient," arXiv:2301.11913.
.. [5] D. R. Cox, *Renewal Theory*, 1962, chapter 3 (whole periods inside an exponential stay).
.. [6] J. D. C. Little, "A proof for the queuing formula L = λW," Operations Research 9 (1961) 383.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""

LIGHT_SPEED = 299_792_458.0
"""Speed of light in vacuum, by definition. [m/s]"""


def fibre_round_trip(
    distance: Floats, refractive_index: Floats, light_speed: Floats = LIGHT_SPEED
) -> Floats:
    r"""Time of light there and back through fibre. [s]

    .. math:: t = 2 n d / c

    Parameters
    ----------
    distance
        Length of the fibre, :math:`d`. [m]
    refractive_index
        :math:`n`, about 1.44 in silica. [1]
    light_speed
        :math:`c`, in vacuum. [m/s]

    Leaves out: equipment on the way, and that fibre seldom runs straight.

    >>> round(fibre_round_trip(4_497e3, 1.44), 4)
    0.0432
    """
    return 2.0 * refractive_index * distance / light_speed


def ring_sync_time(
    payload_bytes: Floats, replicas: Floats, bandwidth: Floats, round_trip: Floats
) -> Floats:
    r"""Time in which a ring averages a payload over all replicas. [s]

    .. math:: t = \frac{2(R-1)}{R} \frac{n}{\beta} + (R-1)\, t_\mathrm{rtt}

    Parameters
    ----------
    payload_bytes
        What a replica has to average, :math:`n`. [B]
    replicas
        :math:`R \ge 1`. [1]
    bandwidth
        Of the slowest link of the ring, one direction, :math:`\beta`. [B/s]
    round_trip
        Of the longest hop, :math:`t_\mathrm{rtt}`; each of the :math:`2(R-1)` turns takes half. [s]

    Leaves out: lost packets, the time to compress and to add, and members that drop out meanwhile.

    References
    ----------
    Patarasuk and Yuan, J. Parallel Distrib. Comput. 69 (2009) 117.

    >>> ring_sync_time(10e9, 2, 1e9, 0.1), ring_sync_time(10e9, 1, 1e9, 0.1)
    (10.1, 0.0)
    """
    return (
        2.0 * (replicas - 1.0) / replicas * payload_bytes / bandwidth
        + (replicas - 1.0) * round_trip
    )


def butterfly_sync_time(
    payload_bytes: Floats, replicas: Floats, bandwidth: Floats, round_trip: Floats
) -> Floats:
    r"""Time in which every replica averages one part for all the others. [s]

    .. math:: t = \frac{2(R-1)}{R} \frac{n}{\beta} + t_\mathrm{rtt}\,[R > 1]

    Parameters
    ----------
    payload_bytes, replicas, bandwidth, round_trip
        See `ring_sync_time`; every replica talks with every other at once.

    Leaves out: as `ring_sync_time`, and that :math:`R - 1` connections share a link unevenly.

    >>> [float(butterfly_sync_time(10e9, count, 1e9, 0.1)) for count in (2, 1)]
    [10.1, 0.0]
    """
    moved = 2.0 * (replicas - 1.0) / replicas * payload_bytes / bandwidth
    return moved + np.where(np.asarray(replicas) > 1.0, 1.0, 0.0) * round_trip


def tree_sync_time(
    payload_bytes: Floats, replicas: Floats, bandwidth: Floats, round_trip: Floats
) -> Floats:
    r"""Time in which a tree adds a payload up and hands the sum down, piece by piece. [s]

    .. math:: t = \Big(\frac{2n}{\beta} + \lceil\log_2 R\rceil\, t_\mathrm{rtt}\Big)\,[R > 1]

    two trees whose inner nodes are the other's leaves: each link is filled once each way. [3]

    Parameters
    ----------
    payload_bytes, replicas, bandwidth, round_trip
        See `ring_sync_time`.

    Leaves out: as `ring_sync_time`.

    >>> round(float(tree_sync_time(10e9, 8, 1e9, 0.1)), 9)
    20.3
    """
    levels = np.ceil(np.log2(replicas))
    several = np.where(np.asarray(replicas) > 1.0, 1.0, 0.0)
    return several * (2.0 * payload_bytes / bandwidth) + levels * round_trip


def server_sync_time(
    payload_bytes: Floats,
    replicas: Floats,
    bandwidth: Floats,
    round_trip: Floats,
    server_bandwidth: Floats,
) -> Floats:
    r"""Time in which a server takes a payload from each replica and gives the mean back. [s]

    .. math:: t = 2 \max\Big(\frac{n}{\beta}, \frac{R n}{\beta_s}\Big) + t_\mathrm{rtt}

    Parameters
    ----------
    payload_bytes, replicas, bandwidth, round_trip
        See `ring_sync_time`; ``bandwidth`` is that of a replica's link.
    server_bandwidth
        Of the server's link, one direction, :math:`\beta_s`. [B/s]

    Leaves out: as `ring_sync_time`, and several servers (give the sum of their links).

    >>> float(server_sync_time(10e9, 10, 1e9, 0.1, 5e9))
    40.1
    """
    own = payload_bytes / bandwidth
    theirs = replicas * payload_bytes / server_bandwidth
    return 2.0 * np.maximum(own, theirs) + round_trip


def compute_utilization(
    inner_steps: Floats, step_time: Floats, sync_time: Floats, hidden_time: Floats
) -> Floats:
    r"""Share of its time for which a replica computes. [1]

    .. math:: U = \frac{H t}{H t + \max(0,\, t_s - t_h)}

    Parameters
    ----------
    inner_steps
        :math:`H`, between two exchanges. [1]
    step_time
        Time of one training step, :math:`t`. [s]
    sync_time
        All exchanges that :math:`H` steps bring, :math:`t_s`. [s]
    hidden_time
        Time for which they may run beside inner steps, :math:`t_h`. [s]

    Leaves out: exchanges that slow the inner steps they run beside, and replicas that come late.

    >>> round(float(compute_utilization(100, 22.8, 103.0, 0.0)), 3)
    0.957
    """
    busy = inner_steps * step_time
    return busy / (busy + np.maximum(0.0 * sync_time, sync_time - hidden_time))


def inner_steps_for(
    utilization: Floats, step_time: Floats, sync_time: Floats, hidden_time: Floats
) -> Floats:
    r"""Inner steps that a share of computing takes, whole ones. [1]

    .. math:: H = \Big\lceil \frac{U}{1-U} \frac{\max(0,\, t_s - t_h)}{t} \Big\rceil, \quad H \ge 1

    Parameters
    ----------
    utilization
        :math:`0 < U < 1`, share of its time for which a replica computes. [1]
    step_time, sync_time, hidden_time
        See `compute_utilization`.

    Leaves out: what longer cadence does to the loss.

    >>> float(inner_steps_for(0.9, 22.8, 469.0, 0.0))
    186.0
    """
    open_time = np.maximum(0.0 * sync_time, sync_time - hidden_time)
    odds = utilization / (1.0 - utilization)
    return np.maximum(1.0, np.ceil(odds * open_time / step_time))


def traffic_reduction(
    inner_steps: Floats, gradient_bytes: Floats, exchanged_bytes: Floats
) -> Floats:
    r"""Traffic of plain data parallelism over that of seldom exchanges. [1]

    .. math:: r = H\, b_g / b_x

    Parameters
    ----------
    inner_steps
        :math:`H`, between two exchanges. [1]
    gradient_bytes
        Exchanged per parameter in every step of data parallelism, :math:`b_g`. [B]
    exchanged_bytes
        Exchanged per parameter after :math:`H` steps, :math:`b_x`. [B]

    Leaves out: scales of quantised blocks, headers, and checkpoints for those who join.

    >>> traffic_reduction(100, 4.0, 1.0), traffic_reduction(100, 2.0, 0.5)
    (400.0, 400.0)
    """
    return inner_steps * gradient_bytes / exchanged_bytes


def download_time(num_bytes: Floats, bandwidth: Floats, round_trip: Floats) -> Floats:
    r"""Time to fetch what a newcomer needs. [s]

    .. math:: t = n/\beta + t_\mathrm{rtt}

    Parameters
    ----------
    num_bytes
        :math:`n`, the checkpoint. [B]
    bandwidth, round_trip
        See `ring_sync_time`; of the link it comes through.

    Leaves out: verifying and loading it.

    >>> download_time(400e12, 5e15 / 8, 0.0)
    0.64
    """
    return num_bytes / bandwidth + round_trip


def kept_work(mean_stay: Floats, join_time: Floats, period: Floats) -> Floats:
    r"""Share of a member's time that ends up in the model, if members come and go. [1]

    .. math:: k = e^{-(t_j + T)/S}

    A stay is exponential of mean :math:`S`. Of it, :math:`t_j` goes into joining, then the member
    waits for the next of the exchanges, which are :math:`T` apart, then each whole period counts,
    and the last one, which it does not finish, is lost: the mean time of whole periods over
    :math:`S` is the product of :math:`e^{-t_j/S}`, :math:`(1-e^{-T/S})\,S/T` for the wait, and
    :math:`(T/S)/(e^{T/S}-1)`. [5]

    Parameters
    ----------
    mean_stay
        :math:`S`, of a member. [s]
    join_time
        :math:`t_j`, until a newcomer could begin. [s]
    period
        :math:`T`, from one exchange to the next. [s]

    Leaves out: exchanges that fail with a leaver, and stays that are longer the longer they last.

    >>> round(float(kept_work(86_400.0, 600.0, 2_700.0)), 3)
    0.963
    """
    return np.exp(-(join_time + period) / mean_stay)


def arrivals_needed(active: Floats, mean_stay: Floats) -> Floats:
    r"""Rate of newcomers that keeps so many members at work. [1/s]

    .. math:: \lambda = L / S

    Little's law. [6]

    Parameters
    ----------
    active
        :math:`L`, members at work on average. [1]
    mean_stay
        :math:`S`, of a member. [s]

    Leaves out: days and nights.

    >>> arrivals_needed(14, 7 * 86_400.0) * 86_400.0
    2.0
    """
    return active / mean_stay


def relay_time(
    tokens: Floats, hidden_size: Floats, element_bytes: Floats, bandwidth: Floats
) -> Floats:
    r"""Time for which tokens keep the link of a peer busy that holds a slice of the layers. [s]

    .. math:: t = 2\, T h e / \beta

    An activation goes on to the next peer and a gradient back to the one before. [4]

    Parameters
    ----------
    tokens
        :math:`T`, that pass the slice. [1]
    hidden_size
        :math:`h`, width of the residual stream. [1]
    element_bytes
        :math:`e`, of an element as it is sent. [B]
    bandwidth
        Upwards, of the peer's link, :math:`\beta`. [B/s]

    Leaves out: latency, which enough tokens in flight hide, and peers that are lost.

    >>> relay_time(8192, 4096, 1.0, 2.5e6)
    26.8435456
    """
    return 2.0 * tokens * hidden_size * element_bytes / bandwidth
