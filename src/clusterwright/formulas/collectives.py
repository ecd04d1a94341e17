r"""Times of collectives over a hierarchy of network levels.

A group is described by how many ranks it has (``group_size``, :math:`g`) and how far apart
consecutive members are numbered (``stride``, :math:`s`): the product of the axes inside it. A level
of the network joins ``level_size`` consecutive accelerators, each of which can send
``level_bandwidth`` through it while all others do the same. Inside level :math:`\ell` a group has

.. math:: r_\ell = \min(g, \max(1, \lfloor \mathrm{size}_\ell / s \rfloor))

members; the last level joins all. All groups of an axis communicate at once, so one accelerator's
share of a node's NICs is what the level says, and a group with :math:`r` members in a node drives
:math:`r` shares.

Every time has the form *bytes × inverse bandwidth + latency*; the two halves are separate functions
so that they can be evaluated once for each distinct group and gathered into a table of strategies.

References
----------
.. [1] R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of collective communication operations
   in MPICH," IJHPCA 19(1), 2005.
.. [2] NVIDIA, NCCL source, ``src/graph/tuning.cc`` (latency and bandwidth of ring and tree).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def members_inside(group_size: Floats, stride: Floats, *, level_size: Floats) -> Floats:
    r"""Members of a group inside one domain of a level, :math:`r_\ell`. [1]

    .. math:: r_\ell = \min(g, \max(1, \lfloor \mathrm{size}_\ell / s \rfloor))

    Parameters
    ----------
    group_size
        Ranks of the group, :math:`g`. [1]
    stride
        Distance between consecutive members, :math:`s`. [1]
    level_size
        Accelerators joined by the level. [1]

    Leaves out: groups that straddle domains which they do not divide; ranks are taken to be placed
    so that none does (64 of the 72 accelerators of a rack).

    References
    ----------
    .. [1] D. Narayanan et al., SC21, section 5.7: tensor parallelism within a server.

    >>> float(members_inside(16, 8, level_size=8)), float(members_inside(16, 2, level_size=8))
    (1.0, 4.0)
    """
    return np.minimum(group_size, np.maximum(1.0, np.floor(level_size / stride)))


def _inside(group_size: Floats, stride: Floats, level_size: float, *, last: bool) -> Floats:
    """Members inside a level; the last level joins the whole group, wherever it lies."""
    if last:
        return group_size * 1.0
    return members_inside(group_size, stride, level_size=level_size)


def ring_inverse_bandwidth(
    group_size: Floats,
    stride: Floats,
    *,
    level_sizes: Sequence[float],
    level_bandwidths: Sequence[Floats],
    max_rails: float = np.inf,
    staging: float = 0.0,
    rounds: float = 1.0,
) -> Floats:
    r"""Time per gathered byte of a ring all-gather or reduce-scatter. [s/B]

    .. math:: \frac{t}{n} = \frac{p(g-1) + \kappa}{g} \cdot
       \max_{\ell\ \mathrm{crossed}} \frac{1}{\min(r_{\ell-1}, R)\,\beta_\ell}

    with :math:`n` the bytes of the whole (gathered) buffer. A ring leaves a domain of level
    :math:`\ell-1` over as many links as the group has members there, and runs at the pace of its
    slowest crossing. :math:`R` limits the way out of the innermost domain alone. An all-reduce
    goes round twice, as a reduce-scatter and an all-gather.

    Parameters
    ----------
    group_size, stride
        See the module. [1]
    level_sizes
        Accelerators joined by each level, rising. [1]
    level_bandwidths
        Bandwidth of one accelerator through each level, one direction, :math:`\beta_\ell`. [B/s]
    max_rails
        Links that a group drives at once out of an innermost domain, at most, :math:`R`. [1]
    staging
        What copying one's own share costs, in sendings of a share, :math:`\kappa`. [1]
    rounds
        Times that the data go round, :math:`p`. [1]

    Leaves out: NVLS and SHARP (`protocols.switch_inverse_bandwidth`), congestion by hashing.

    References
    ----------
    .. [1] Thakur et al. 2005, section 4.3.

    >>> inverse = ring_inverse_bandwidth(
    ...     16.0, 1.0, level_sizes=(8, 1024), level_bandwidths=(400e9, 50e9)
    ... )
    >>> round(float(inverse) * 400e9, 4)
    0.9375
    """
    slowest: Floats = 0.0
    inner: Floats = np.ones_like(group_size * 1.0)
    for size, bandwidth in zip(level_sizes, level_bandwidths, strict=True):
        inside = np.maximum(inner, _inside(group_size, stride, size, last=size == level_sizes[-1]))
        leaves_first = size == level_sizes[min(1, len(level_sizes) - 1)]
        rails = np.minimum(inner, max_rails) if leaves_first else inner
        crossing = np.where(inside > inner, 1.0 / (rails * bandwidth), 0.0 / bandwidth)
        slowest = np.maximum(slowest, crossing) if size != level_sizes[0] else crossing
        inner = inside
    copied = staging * (group_size > 1.0)
    return slowest * (rounds * (group_size - 1.0) + copied) / group_size


def ring_latency(
    group_size: Floats,
    stride: Floats,
    *,
    level_sizes: Sequence[float],
    level_latencies: Sequence[Floats],
) -> Floats:
    r"""Latency of a ring all-gather or reduce-scatter. [s]

    .. math:: t_0 = \sum_\ell \left(\frac{g}{r_{\ell-1}} - \frac{g}{r_\ell}\right) \alpha_\ell

    the ring's :math:`g-1` steps, each charged at the highest level which it crosses.

    Parameters
    ----------
    group_size, stride
        See the module. [1]
    level_sizes
        Accelerators joined by each level, rising. [1]
    level_latencies
        One hop through each level, :math:`\alpha_\ell`. [s]

    Leaves out: the start of the kernel (`communication.Protocol.base`).

    References
    ----------
    .. [1] NCCL ``tuning.cc``: ring latency = intra steps × intra + inter steps × network.

    >>> latency = ring_latency(16.0, 1.0, level_sizes=(8, 1024), level_latencies=(3e-6, 14e-6))
    >>> round(float(latency) * 1e6, 3)
    56.0
    """
    total: Floats = 0.0 * level_latencies[0]
    inner: Floats = np.ones_like(group_size * 1.0)
    for size, latency in zip(level_sizes, level_latencies, strict=True):
        inside = np.maximum(inner, _inside(group_size, stride, size, last=size == level_sizes[-1]))
        total = total + (group_size / inner - group_size / inside) * latency
        inner = inside
    return total


def tree_latency(
    group_size: Floats,
    stride: Floats,
    *,
    level_sizes: Sequence[float],
    level_latencies: Sequence[Floats],
) -> Floats:
    r"""Latency of one pass (up or down) of a tree over the group. [s]

    .. math:: t_0 = (r_0 - 1)\,\alpha_0 + \sum_{\ell>0} \log_2(r_\ell / r_{\ell-1})\,\alpha_\ell

    NCCL chains the ranks of a node and joins nodes by a double binary tree; recursive doubling
    (PAT) has the same logarithm.

    Parameters
    ----------
    group_size, stride
        See the module. [1]
    level_sizes
        Accelerators joined by each level, rising. [1]
    level_latencies
        One hop through each level, :math:`\alpha_\ell`. [s]

    Leaves out: contention of the two trees.

    References
    ----------
    .. [1] S. Jeaugey, "Massively scale your deep learning training with NCCL 2.4," NVIDIA, 2019.

    >>> latency = tree_latency(64.0, 1.0, level_sizes=(8, 1024), level_latencies=(1e-6, 10e-6))
    >>> round(float(latency) * 1e6, 3)
    37.0
    """
    alone = len(level_sizes) == 1
    inner: Floats = _inside(group_size, stride, level_sizes[0], last=alone)
    total: Floats = (inner - 1.0) * level_latencies[0]
    for size, latency in zip(level_sizes[1:], level_latencies[1:], strict=True):
        inside = np.maximum(inner, _inside(group_size, stride, size, last=size == level_sizes[-1]))
        total = total + np.log2(inside / inner) * latency
        inner = inside
    return total


def all_to_all_inverse_bandwidth(
    group_size: Floats,
    stride: Floats,
    *,
    level_sizes: Sequence[float],
    level_bandwidths: Sequence[Floats],
) -> Floats:
    r"""Time per sent byte of an all-to-all. [s/B]

    .. math:: \frac{t}{n} = \max_\ell \frac{1 - r_{\ell-1}/g}{\beta_\ell}

    with :math:`n` what one rank sends in all, its own share included. Bytes for ranks outside a
    domain pass the level above it; the levels work side by side, the slowest decides.

    Parameters
    ----------
    group_size, stride
        See the module. [1]
    level_sizes
        Accelerators joined by each level, rising. [1]
    level_bandwidths
        Bandwidth of one accelerator through each level, one direction, :math:`\beta_\ell`. [B/s]

    Leaves out: tokens sent once per node (`protocols.dispatch_time_per_token`), incast.

    References
    ----------
    .. [1] D. Zhao et al., "DeepEP," 2025: RDMA-bound dispatch and combine.

    >>> inverse = all_to_all_inverse_bandwidth(
    ...     16.0, 1.0, level_sizes=(8, 1024), level_bandwidths=(400e9, 50e9)
    ... )
    >>> round(float(inverse) * 50e9, 3)
    0.5
    """
    slowest: Floats = 0.0 / level_bandwidths[0]
    inner: Floats = np.ones_like(group_size * 1.0)
    for size, bandwidth in zip(level_sizes, level_bandwidths, strict=True):
        inside = np.maximum(inner, _inside(group_size, stride, size, last=size == level_sizes[-1]))
        leaving = np.where(inside > inner, 1.0 - inner / group_size, 0.0)
        slowest = np.maximum(slowest, leaving / bandwidth)
        inner = inside
    return slowest


def point_to_point_inverse_bandwidth(
    stride: Floats, *, level_sizes: Sequence[float], level_bandwidths: Sequence[Floats]
) -> Floats:
    r"""Time per byte between neighbours ``stride`` apart. [s/B]

    They use the lowest level that joins them:

    .. math:: \frac{t}{n} = \frac{1}{\beta_\ell},\quad
       \ell = \min\{\ell : \mathrm{size}_\ell \ge 2s\}

    Parameters
    ----------
    stride
        Distance between the two ranks, :math:`s`. [1]
    level_sizes
        Accelerators joined by each level, rising. [1]
    level_bandwidths
        Bandwidth of one accelerator through each level, one direction, :math:`\beta_\ell`. [B/s]

    Leaves out: that some neighbours sit in the same domain and are faster; the slowest pair paces a
    pipeline.

    References
    ----------
    .. [1] D. Narayanan et al., "Efficient large-scale language model training on GPU clusters using
       Megatron-LM," SC21, section 4.1.

    >>> inverse = point_to_point_inverse_bandwidth(
    ...     8.0, level_sizes=(8, 1024), level_bandwidths=(400e9, 50e9)
    ... )
    >>> round(1e-9 / float(inverse))
    50
    """
    inverse: Floats = 1.0 / level_bandwidths[-1] + 0.0 * stride
    for size, bandwidth in zip(level_sizes[-2::-1], level_bandwidths[-2::-1], strict=True):
        inverse = np.where(stride * 2.0 <= size, 1.0 / bandwidth, inverse)
    return inverse


def point_to_point_latency(
    stride: Floats, *, level_sizes: Sequence[float], level_latencies: Sequence[Floats]
) -> Floats:
    r"""Latency between neighbours ``stride`` apart. [s]

    .. math:: t_0 = \alpha_\ell,\quad \ell = \min\{\ell : \mathrm{size}_\ell \ge 2s\}

    Parameters
    ----------
    stride
        Distance between the two ranks, :math:`s`. [1]
    level_sizes
        Accelerators joined by each level, rising. [1]
    level_latencies
        One hop through each level, :math:`\alpha_\ell`. [s]

    Leaves out: queueing.

    References
    ----------
    .. [1] NCCL ``tuning.cc``, network latency of the Simple protocol.

    >>> t = point_to_point_latency(1.0, level_sizes=(8, 1024), level_latencies=(3e-6, 14e-6))
    >>> round(float(t) * 1e6, 3)
    3.0
    """
    latency: Floats = level_latencies[-1] + 0.0 * stride
    for size, level_latency in zip(level_sizes[-2::-1], level_latencies[-2::-1], strict=True):
        latency = np.where(stride * 2.0 <= size, level_latency, latency)
    return latency
