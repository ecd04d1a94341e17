r"""What a communication library chooses from: algorithms and protocols, each a line.

A library such as NCCL knows several ways to carry out one collective. Each costs *latency + bytes ×
inverse bandwidth*, with constants of its own: the protocol LL sends a flag with every 4 bytes and
needs no fence (little latency, half the bandwidth), LL128 with every 120, Simple fences each chunk;
a ring is best for bandwidth, a tree for latency, and switches that can add halve the traffic. The
library takes the quickest for the size at hand, so that the time of a collective is the minimum of
a few lines: concave in the bytes, and never above any one line.

References
----------
.. [1] NVIDIA, NCCL source, ``src/graph/tuning.cc``: the lines and their constants.
.. [2] Z. Hu et al., "Demystifying NCCL," arXiv:2507.04786, 2025: protocols and algorithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clusterwright.formulas.collectives import members_inside

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def quickest_time(
    buffer_bytes: Floats, *, latencies: Sequence[Floats], inverse_bandwidths: Sequence[Floats]
) -> Floats:
    r"""Time of a collective by the quickest of several ways. [s]

    .. math:: t(n) = \min_i \left(\alpha_i + n / \beta_i\right)

    Parameters
    ----------
    buffer_bytes
        Size of the buffer, :math:`n`. [B]
    latencies
        Time of the smallest message each way, :math:`\alpha_i`. [s]
    inverse_bandwidths
        Time per byte each way, :math:`1/\beta_i`. [s/B]

    Leaves out: that a library sometimes takes the wrong one; NCCL's forecast errs at the borders.

    References
    ----------
    .. [1] NCCL ``tuning.cc``, ``ncclTopoGetAlgoTime``.

    >>> lines = {"latencies": (15e-6, 56e-6), "inverse_bandwidths": (1 / 80e9, 1 / 210e9)}
    >>> [round(float(quickest_time(n, **lines)) * 1e6, 1) for n in (1e3, 1e9)]
    [15.0, 4817.9]
    """
    quickest: Floats = latencies[0] + buffer_bytes * inverse_bandwidths[0]
    for latency, inverse in zip(latencies[1:], inverse_bandwidths[1:], strict=True):
        quickest = np.minimum(quickest, latency + buffer_bytes * inverse)
    return quickest


def _up_and_down(
    group_size: Floats,
    stride: Floats,
    level_sizes: Sequence[float],
    level_bandwidths: Sequence[Floats],
    max_rails: float,
) -> Floats:
    """Slowest crossing of a double tree between the domains of each level but the innermost."""
    inner: Floats = _members(group_size, stride, level_sizes[0], last=len(level_sizes) == 1)
    slowest: Floats = 0.0 * inner / level_bandwidths[0]
    for size, bandwidth in zip(level_sizes[1:], level_bandwidths[1:], strict=True):
        inside = np.maximum(inner, _members(group_size, stride, size, last=size == level_sizes[-1]))
        links = np.minimum(inner, max_rails) if size == level_sizes[1] else inner
        rails = links * bandwidth
        sent = np.where(inside > 2.0 * inner, 2.0, 1.0)
        slowest = np.maximum(slowest, np.where(inside > inner, sent / rails, 0.0 / rails))
        inner = inside
    return slowest


def _members(group_size: Floats, stride: Floats, level_size: float, *, last: bool) -> Floats:
    if last:
        return group_size * 1.0
    return members_inside(group_size, stride, level_size=level_size)


def tree_inverse_bandwidth(
    group_size: Floats,
    stride: Floats,
    *,
    level_sizes: Sequence[float],
    level_bandwidths: Sequence[Floats],
    max_rails: float = np.inf,
) -> Floats:
    r"""Time per byte of an all-reduce over a double binary tree. [s/B]

    .. math:: \frac{t}{n} = \max\left(\frac{2}{\beta_0},
       \frac{u}{\min(r_{\ell-1}, R)\,\beta_\ell}\right),\quad
       u = \begin{cases}1 & \text{two domains}\\2 & \text{more}\end{cases}

    Inside a domain the ranks form a chain, and each sends the buffer up and down. Between domains
    each is inner node of one half-tree and leaf of the other: it sends one half up and one down to
    each of two children, and the other half up, two buffers in all. Of two domains each is root of
    one half and leaf of the other, and sends one: two nodes are special.

    Parameters
    ----------
    group_size
        Ranks of the group, :math:`g`. [1]
    stride
        Distance between consecutive members. [1]
    level_sizes
        Accelerators joined by each level, rising. [1]
    level_bandwidths
        Bandwidth of one accelerator through each level, one direction, :math:`\beta_\ell`. [B/s]
    max_rails
        Links that a group drives at once out of an innermost domain, at most, :math:`R`. [1]

    Leaves out: the size-dependent corrections of NCCL's tuner.

    References
    ----------
    .. [1] P. Sanders, J. Speck, J. Träff, "Two-tree algorithms for full bandwidth broadcast,
       reduction and scan," Parallel Computing 35(12), 2009.

    >>> node = {"level_sizes": (8, 1024), "level_bandwidths": (1000e9, 50e9)}
    >>> [round(1e-9 / float(tree_inverse_bandwidth(n, 1.0, **node))) for n in (16.0, 32.0)]
    [400, 200]
    """
    alone = len(level_sizes) == 1
    inside = _members(group_size, stride, level_sizes[0], last=alone)
    chain = np.where(inside > 1.0, 2.0 / level_bandwidths[0], 0.0 / level_bandwidths[0])
    outside = _up_and_down(group_size, stride, level_sizes, level_bandwidths, max_rails)
    return np.maximum(chain, outside)


def switch_inverse_bandwidth(
    group_size: Floats,
    stride: Floats,
    *,
    level_sizes: Sequence[float],
    level_bandwidths: Sequence[Floats],
    max_rails: float = np.inf,
) -> Floats:
    r"""Time per byte of an all-reduce that the scale-up switches add up (NVLS). [s/B]

    .. math:: \frac{t}{n} = \max\left(\frac{2(r_0-1)}{r_0\,\beta_0},
       \frac{u}{\min(r_{\ell-1}, R)\,\beta_\ell}\right)

    :math:`\beta_0` is the bus bandwidth with which the switches' work is reported, not a wire's
    rate: each byte crosses the link once up and once down instead of going round. Between domains
    the sums travel over the double tree (NVLSTree), :math:`u` as there.

    Parameters
    ----------
    group_size
        Ranks of the group. [1]
    stride
        Distance between consecutive members. [1]
    level_sizes
        Accelerators joined by each level, rising. [1]
    level_bandwidths
        Of the innermost level: bus bandwidth of the switches' all-reduce; of the others: bandwidth
        of one accelerator, one direction. [B/s]
    max_rails
        Links that a group drives at once out of an innermost domain, at most, :math:`R`. [1]

    Leaves out: that a domain whose group does not fill it leaves switches idle.

    References
    ----------
    .. [1] NCCL ``tuning.cc``, NVLS and NVLSTree.

    >>> node = {"level_sizes": (8, 1024), "level_bandwidths": (476e9, 50e9)}
    >>> time = float(switch_inverse_bandwidth(16.0, 1.0, **node))
    >>> round(2 * 15 / 16 / time / 1e9)  # what two nodes report as bus bandwidth: above their 400
    510
    """
    alone = len(level_sizes) == 1
    inside = _members(group_size, stride, level_sizes[0], last=alone)
    switches = 2.0 * (inside - 1.0) / inside / level_bandwidths[0]
    outside = _up_and_down(group_size, stride, level_sizes, level_bandwidths, max_rails)
    return np.maximum(switches, outside)


def one_shot_inverse_bandwidth(group_size: Floats, *, level_bandwidth: Floats) -> Floats:
    r"""Time per byte of an all-reduce in which every rank reads all buffers at once. [s/B]

    .. math:: \frac{t}{n} = \frac{g-1}{\beta}

    One step instead of two: the way of inference engines with small messages. In two steps (a
    reduce-scatter and an all-gather by direct reads) the numerator is :math:`2(g-1)/g`.

    Parameters
    ----------
    group_size
        Ranks of the group, :math:`g`. [1]
    level_bandwidth
        What one rank can read from its peers, :math:`\beta`. [B/s]

    Leaves out: the barrier (in the latency).

    References
    ----------
    .. [1] NVIDIA TensorRT-LLM, customAllReduceKernels: one-shot and two-shot.

    >>> round(1e-9 / float(one_shot_inverse_bandwidth(8.0, level_bandwidth=350e9)))
    50
    """
    return (group_size - 1.0) / level_bandwidth


def expected_domains(top_k: Floats, num_domains: Floats, max_domains: Floats) -> Floats:
    r"""Domains that a token's experts lie in, on average. [1]

    .. math:: E = M\left(1 - \left(1 - \frac{1}{M}\right)^k\right),\quad
       M = \min(D, D_\mathrm{max})

    :math:`k` experts drawn evenly over the :math:`M` domains that the router may use.

    Parameters
    ----------
    top_k
        Experts of a token, :math:`k`. [1]
    num_domains
        Domains that the experts are spread over, :math:`D`. [1]
    max_domains
        Domains that the router allows a token, :math:`D_\mathrm{max}`. [1]

    Leaves out: that a token's experts are distinct, and that routers are not even.

    References
    ----------
    .. [1] DeepSeek-AI, "DeepSeek-V3 technical report," arXiv:2412.19437, 2024, section 2.1.2: at
       most 4 nodes a token.

    >>> round(float(expected_domains(8.0, 8.0, 4.0)), 2), float(expected_domains(1.0, 8.0, 8.0))
    (3.6, 1.0)
    """
    spread = np.minimum(num_domains, max_domains)
    return spread * (1.0 - (1.0 - 1.0 / spread) ** top_k)


def dispatch_time_per_token(
    group_size: Floats,
    stride: Floats,
    *,
    top_k: Floats,
    max_domains: Floats,
    token_bytes: Floats,
    level_sizes: Sequence[float],
    level_bandwidths: Sequence[Floats],
) -> Floats:
    r"""Time to send one token to its experts, once per domain and from there on. [s]

    .. math:: t = b \max\left(\frac{E\,(1 - 1/D)}{\beta_1},
       \frac{E\,E_0\,(1 - 1/r_0)}{\beta_0}\right),\qquad
       E_0 = r_0\left(1 - \left(1 - \frac{1}{r_0}\right)^{k/E}\right)

    The token goes over the network to each of the :math:`E` domains that hold some of its experts,
    once, to the member of the same number, and from there once to each of the :math:`E_0` ranks
    that hold some. Both work side by side, the slower decides. Combining is the same backwards.

    Parameters
    ----------
    group_size
        Ranks that share the experts. [1]
    stride
        Distance between consecutive members. [1]
    top_k
        Experts of a token, :math:`k`. [1]
    max_domains
        Domains that the router allows a token. [1]
    token_bytes
        Bytes of one token, :math:`b`. [B]
    level_sizes
        Accelerators joined by each level, rising. [1]
    level_bandwidths
        Bandwidth of one accelerator through each level, one direction, :math:`\beta_\ell`. [B/s]

    Leaves out: routing that is not even; queues at the member that fans out.

    References
    ----------
    .. [1] DeepSeek-V3 technical report, section 3.2.2; DeepEP.

    >>> node = {"level_sizes": (8, 1024), "level_bandwidths": (160e9, 50e9)}
    >>> limited = dispatch_time_per_token(
    ...     64.0, 1.0, top_k=8.0, max_domains=4.0, token_bytes=7168.0, **node
    ... )
    >>> round(float(limited) * 1e9)  # 8 sendings over the network would take 1003
    452
    """
    inside = _members(group_size, stride, level_sizes[0], last=len(level_sizes) == 1)
    domains = group_size / inside
    visited = expected_domains(top_k, domains, max_domains)
    ranks = visited * expected_domains(top_k / visited, inside, inside)
    slowest = ranks * (1.0 - 1.0 / inside) / level_bandwidths[0]
    inner = inside
    for size, bandwidth in zip(level_sizes[1:], level_bandwidths[1:], strict=True):
        around = np.maximum(inner, _members(group_size, stride, size, last=size == level_sizes[-1]))
        leaving = np.where(around > inner, visited * (1.0 - inner / group_size), 0.0)
        slowest = np.maximum(slowest, leaving / bandwidth)
        inner = around
    return token_bytes * slowest
