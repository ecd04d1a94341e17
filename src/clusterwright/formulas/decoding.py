r"""Time of attention while decoding: one new query per sequence over the keys it has cached.

Each query reads every key and value of its sequence once, so that memory binds, unless the keys are
few (then starting the tiles does) or many query heads share them (then arithmetic does).

References
----------
.. [1] T. Dao, D. Haziza, F. Massa, G. Sizov, "Flash-Decoding for long-context inference," 2023.
.. [2] J. Ainslie et al., "GQA: training generalized multi-query transformer models from multi-head
   checkpoints," EMNLP 2023, arXiv:2305.13245.
.. [3] DeepSeek-AI, "DeepSeek-V2: a strong, economical, and efficient mixture-of-experts language
   model," 2024, arXiv:2405.04434 (latent attention and its absorbed form).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.formulas.roofline import cached_share

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def decode_attention_time(
    batch_size: Floats,
    num_heads: Floats,
    key_length: Floats,
    *,
    num_kv_heads: Floats,
    qk_dim: Floats,
    value_dim: Floats,
    key_width: Floats,
    peak_flops: Floats,
    memory_bandwidth: Floats,
    element_bytes: Floats,
    memory_efficiency: Floats,
    peak_efficiency: Floats,
    floor: Floats,
    tile_time: Floats,
    fill_tiles: Floats,
    split_keys: Floats,
    split_latency: Floats,
    chunk_time: Floats,
    key_time: Floats = 0.0,
    query_tile: Floats = 64.0,
    alone: Floats = 0.0,
    reread_speedup: Floats = 1.0,
    window: Floats = 0.0,
    window_waste: Floats = 0.0,
    cache_bytes: Floats = 0.0,
    cache_speedup: Floats = 1.0,
) -> Floats:
    r"""Time of attention of one query per sequence over its cached keys. [s]

    .. math:: t = t_0 + \tau_s \log_2 n_s + \tau_c \min(1, \ell/\kappa) +
       \sqrt{t_m^2 + t_n^2 + (\ell\,\tau_k)^2 + t_r^2 + t_c^2}

    .. math:: n = b\,h_k \lceil g / M \rceil, \qquad t_n = \tau\,\frac{n^2}{n + N}, \qquad
       n_s = \min\!\left( \max(1, N/n),\ \max(1, \ell/\kappa) \right)

    .. math:: t_m = \frac{B}{\beta\,\eta_\beta}\left[ 1 - \gamma + \frac{\gamma}{u} \right], \quad
       t_r = \frac{B\,(n/(b h_k) - 1)}{\beta\,u_r}, \quad
       t_c = \frac{2\,(d_{qk} + d_v)\,b\,h\,\ell}{P\,\hat\eta}, \quad B = b\,h_k\,\ell\,w_k\,e

    The :math:`g = h/h_k` query heads that share keys [2]_ make tiles of at most :math:`M`. A
    machine that :math:`N` tiles fill cuts the keys of fewer tiles into :math:`n_s` parts, no
    shorter than :math:`\kappa`, and adds the parts up in as many steps as their logarithm (flash
    decoding) [1]_. Tiles after the first read their keys again from the cache.

    Parameters
    ----------
    batch_size, num_heads, key_length
        :math:`b, h, \ell` on one accelerator. [1]
    num_kv_heads
        :math:`h_k`; 1 for latent attention in its absorbed form [3]_. [1]
    qk_dim, value_dim
        Sizes of a head in the scores and in the values, :math:`d_{qk}, d_v`. [1]
    key_width
        Elements cached for a key and its value, :math:`w_k`: both sizes, or the latent's alone. [1]
    peak_flops, memory_bandwidth, element_bytes
        See `matmul_time`; the bytes are those of a cached element.
    memory_efficiency, peak_efficiency, floor
        See `matmul_time`.
    tile_time
        Time for which each tile more keeps the machine once it is full, :math:`\tau`. [s]
    fill_tiles
        :math:`N`. [1]
    split_keys
        :math:`\kappa`. [1]
    split_latency
        Time of each doubling of the parts, :math:`\tau_s`. [s]
    chunk_time
        Time in which one unit works through :math:`\kappa` keys, :math:`\tau_c`. [s]
    key_time
        Time that one unit takes for each key, :math:`\tau_k`, in kernels that do not cut them. [s]
    query_tile
        :math:`M`. [1]
    alone
        1: each query head makes a tile of its own (a kernel without shared keys). [1]
    reread_speedup
        Rate of the cache over the memory's, :math:`u_r`. [1]
    window, window_waste
        See `attention_time`: keys seen at most, and the share of the others that is read anyway.
    cache_bytes, cache_speedup
        See `attention_time`: :math:`\gamma` comes of the first, :math:`u` is the second.

    Leaves out: sequences of unequal length (give their mean; the longest then ends last), pages
    of the cache shared by several sequences.

    >>> h100 = dict(
    ...     peak_flops=989.4e12,
    ...     memory_bandwidth=3.35e12,
    ...     element_bytes=2,
    ...     memory_efficiency=0.88,
    ...     peak_efficiency=0.3,
    ...     floor=10.8e-6,
    ...     tile_time=28e-9,
    ...     fill_tiles=132.0,
    ...     split_keys=128.0,
    ...     split_latency=0.3e-6,
    ...     chunk_time=1.9e-6,
    ...     num_kv_heads=8.0,
    ...     qk_dim=128.0,
    ...     value_dim=128.0,
    ...     key_width=256.0,
    ... )
    >>> [round(float(decode_attention_time(64.0, 32.0, n, **h100)) * 1e6) for n in (64.0, 4096.0)]
    [24, 377]
    """
    queries_per_key = num_heads / num_kv_heads
    together = np.where(alone, 1.0, query_tile)
    copies = np.ceil(queries_per_key / together)
    tiles = batch_size * num_kv_heads * copies
    seen = np.where(window > 0, np.minimum(window, key_length), key_length)
    seen = seen + window_waste * (key_length - seen)
    read = batch_size * num_kv_heads * seen * key_width * element_bytes
    cached = cached_share(read, cache_bytes=cache_bytes)
    memory_time = read / (memory_bandwidth * memory_efficiency)
    memory_time = memory_time * (1.0 - cached + cached / cache_speedup)
    reread_time = read * (copies - 1.0) / (memory_bandwidth * reread_speedup)
    flops = 2.0 * (qk_dim + value_dim) * batch_size * num_heads * seen
    arithmetic_time = flops / (peak_flops * peak_efficiency)
    squares = memory_time**2 + reread_time**2 + arithmetic_time**2
    waiting = tiles * (tiles / (tiles + fill_tiles))
    squares = squares + (waiting * tile_time) ** 2 + (seen * key_time) ** 2
    parts = np.minimum(np.maximum(1.0, fill_tiles / tiles), np.maximum(1.0, seen / split_keys))
    first = chunk_time * np.minimum(1.0, seen / split_keys)
    return floor + split_latency * np.log2(parts) + first + np.sqrt(squares)
