r"""Time of fused (flash) attention on one accelerator.

The kernel computes scores, softmax and weighted values tile by tile, so that its memory traffic is
its operands once and it is arithmetic that binds, as in `clusterwright.formulas.roofline`.

References
----------
.. [1] T. Dao, "FlashAttention-2: faster attention with better parallelism and work partitioning,"
   ICLR 2024, arXiv:2307.08691.
.. [2] J. Shah et al., "FlashAttention-3: fast and accurate attention with asynchrony and
   low-precision," NeurIPS 2024, arXiv:2407.08608.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.formulas.roofline import cached_share, soft_maximum

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def attended_pairs(
    query_length: Floats, key_length: Floats, *, causal: Floats = 1.0, window: Floats = 0.0
) -> Floats:
    r"""(query, key) pairs of one head in one sequence that attention computes. [1]

    .. math:: \text{full: } s\,\ell \qquad
       \text{causal: } w\,s - \tfrac12\,c\,(c - 1), \quad c = \max(0, \min(s, w - \ell + s))

    The last query sees all keys; a causal query sees the :math:`w` keys up to its own (:math:`w =
    \ell` without a window), and the first :math:`c` queries see fewer.

    Parameters
    ----------
    query_length, key_length
        :math:`s \le \ell`. [1]
    causal
        1 (true) or 0 (false: every query sees every key). [1]
    window
        Keys that a causal query sees at most; 0 is no window. [1]

    >>> float(attended_pairs(4, 4)), float(attended_pairs(4, 4, causal=0))
    (10.0, 16.0)
    >>> float(attended_pairs(4, 4, window=2)), float(attended_pairs(2, 4))
    (7.0, 7.0)
    """
    seen = np.where(window > 0, np.minimum(window, key_length), key_length)
    growing = np.maximum(0.0, np.minimum(query_length, seen - key_length + query_length))
    triangle = seen * query_length - 0.5 * growing * (growing - 1.0)
    return np.where(causal, triangle, 1.0 * query_length * key_length)


def attention_time(
    batch_size: Floats,
    num_heads: Floats,
    query_length: Floats,
    key_length: Floats,
    *,
    num_kv_heads: Floats,
    qk_dim: Floats,
    value_dim: Floats,
    peak_flops: Floats,
    memory_bandwidth: Floats,
    element_bytes: Floats,
    peak_efficiency: Floats,
    half_length: Floats,
    half_head_dim: Floats,
    fill_rows: Floats,
    memory_efficiency: Floats,
    floor: Floats,
    causal: Floats = 1.0,
    window: Floats = 0.0,
    flop_factor: Floats = 1.0,
    traffic_factor: Floats = 1.0,
    query_tile: Floats = 1.0,
    least_tile: Floats = 1.0,
    packed: Floats = 0.0,
    window_waste: Floats = 0.0,
    start_time: Floats = 0.0,
    query_passes: Floats = 0.0,
    key_passes: Floats = 0.0,
    cache_bytes: Floats = 0.0,
    cache_speedup: Floats = 1.0,
) -> Floats:
    r"""Time of fused (flash) attention: scores, softmax and values in one kernel. [s]

    .. math:: t_c = \frac{f \cdot 2 (d_{qk} + d_v)}{P\,\hat\eta}
       \left[ 1 + \left( \tfrac{d_0}{d} \right)^{q} \right]^{1/q}
       \left[ b\,h\,\tilde s\,(N/s + \ell_0) + r_0\,(w + \ell_0) \right]

    with :math:`N` the `attended_pairs` of a head, :math:`\tilde s` its queries rounded up to whole
    tiles and :math:`d = (d_{qk} + d_v)/2`. Each query pays for :math:`\ell_0` keys more than it
    sees (the masked part of the diagonal's tile, the loop's start and end); :math:`r_0` rows of the
    longest, :math:`w` keys, are the last wave; and below a head size :math:`d_0` the exponentials
    take longer than the products. Memory moves queries, keys, values and results once.

    A serving engine also turns and casts what it is given and appends keys and values to their
    cache, in kernels of their own: :math:`p_q` more passes over the bytes :math:`n_q` of queries
    and results, :math:`p_k` over the :math:`n_k` of keys and values, and it looks up where each of
    the :math:`b\,h_k` sequences of keys lies,

    .. math:: t_a = b\,h_k\,\tau + \frac{p_q n_q + p_k n_k}{\beta}
       \left[ 1 - \gamma + \frac{\gamma}{u} \right]

    of all of which the `cached_share` :math:`\gamma` goes :math:`u` times faster.

    Parameters
    ----------
    batch_size, num_heads, query_length, key_length
        :math:`b, h, s, \ell` on one accelerator. [1]
    num_kv_heads
        Heads of keys and values (grouped-query attention). [1]
    qk_dim, value_dim
        Sizes of a head in the scores and in the values, :math:`d_{qk}, d_v`. [1]
    peak_flops, memory_bandwidth, element_bytes
        See `matmul_time`.
    peak_efficiency
        Share of the peak that long sequences and large heads near, :math:`\hat\eta`. [1]
    half_length
        :math:`\ell_0`. [1]
    half_head_dim
        :math:`d_0`. [1]
    fill_rows
        :math:`r_0`. [1]
    memory_efficiency, floor
        See `matmul_time`.
    causal, window
        See `attended_pairs`.
    flop_factor
        :math:`f`: 1 forward; 2.5 backward (five products for the forward's two) [1]_. [1]
    traffic_factor
        Memory traffic over the forward's; 2 to 3 backward. [1]
    query_tile, least_tile
        Queries that one unit works on together, and for short sequences at least: tiles halve as
        long as they hold the queries. 1 leaves the tile's edge out. [1]
    packed
        1: the query heads that share keys fill a tile together (short queries waste less). [1]
    window_waste
        Share of the pairs beyond the window that the kernel computes all the same; 1 for a kernel
        that masks them and skips nothing. [1]
    start_time
        :math:`\tau`; 0 where keys lie in order, as in training. [s]
    query_passes, key_passes
        :math:`p_q, p_k`; 0 in training. [1]
    cache_bytes
        Of the last-level cache; 0 where other layers leave nothing in it. [B]
    cache_speedup
        :math:`u`. [1]

    Leaves out: the split over keys that a few long sequences need (decoding), dropout, packed
    sequences of unequal length (sum their pairs instead).

    References
    ----------
    .. [1] Dao 2024, section 4.1 (FLOP counts); Shah et al. 2024 (exponentials); see the module.

    >>> fa3 = dict(
    ...     peak_flops=989.4e12,
    ...     memory_bandwidth=3.35e12,
    ...     element_bytes=2,
    ...     peak_efficiency=0.73,
    ...     half_length=220.0,
    ...     half_head_dim=90.0,
    ...     fill_rows=3500.0,
    ...     memory_efficiency=0.8,
    ...     floor=5e-6,
    ...     num_kv_heads=16.0,
    ...     qk_dim=128.0,
    ...     value_dim=128.0,
    ... )
    >>> time = attention_time(1.0, 16.0, 16384.0, 16384.0, causal=0, **fa3)
    >>> round(4 * 16 * 128 * 16384.0**2 / time / 1e12)  # TFLOP/s; Shah et al. measure 648
    636
    """
    seen = np.where(window > 0, np.minimum(window, key_length), key_length)
    pairs = attended_pairs(query_length, key_length, causal=causal, window=window)
    beyond = attended_pairs(query_length, key_length, causal=causal) - pairs
    pairs = pairs + window_waste * beyond
    group = np.where(packed, num_heads / num_kv_heads, 1.0)
    short = np.maximum(least_tile, 2.0 ** np.ceil(np.log2(query_length * group)))
    tile = np.minimum(query_tile, short)
    rows = tile * np.ceil(query_length * group / tile) / group
    work = batch_size * num_heads * rows * (pairs / query_length + half_length)
    work = work + fill_rows * (seen + half_length)
    dims = qk_dim + value_dim
    exponentials = soft_maximum(1.0, half_head_dim / (0.5 * dims))
    arithmetic_time = 2.0 * flop_factor * dims * work * exponentials
    arithmetic_time = arithmetic_time / (peak_flops * peak_efficiency)
    queries = batch_size * query_length * num_heads * dims * element_bytes
    keys = batch_size * key_length * num_kv_heads * dims * element_bytes
    cached = cached_share(queries + keys, cache_bytes=cache_bytes)
    byte_time = (1.0 - cached + cached / cache_speedup) / memory_bandwidth
    traffic_time = traffic_factor * (queries + keys) * byte_time / memory_efficiency
    append_time = (query_passes * queries + key_passes * keys) * byte_time
    append_time = append_time + batch_size * num_kv_heads * start_time
    return floor + soft_maximum(arithmetic_time, traffic_time) + append_time
