r"""Times of one engine's own matrix products: tiles, waves, caches, and what is done to operands.

`formulas.roofline` has the line around which kernels lie; this is how one measured kernel goes
about it, for parameters fitted to an engine, a precision and a range of shapes,

.. math:: t = \left[ t_h^{\,8} + \left( t_0 + \left( t_c^{\,q} + t_m^{\,q} \right)^{1/q}
   + t_\lambda + t_x \right)^{8} \right]^{1/8}

with arithmetic :math:`t_c` on whole tiles and waves, memory traffic :math:`t_m`, the serial
depth of one tile's loop :math:`t_\lambda`, passes over the operands before the product
:math:`t_x`, and the host, which cannot launch kernels faster than one in :math:`t_h`. Each term
grows with each size of the product, so that more work in one kernel never takes less time.

References
----------
.. [1] NVIDIA, "Matrix multiplication background user's guide," 2023 (tile and wave quantisation).
.. [2] S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance model
   for multicore architectures," CACM 52(4), 2009.
"""

from __future__ import annotations

import numpy as np

from clusterwright.formulas.roofline import Floats, soft_maximum

HOST_SHARPNESS = 8.0
"""A host that launches kernels and the kernels themselves hardly hinder each other. [1]"""


def tiled_area(
    rows: Floats,
    columns: Floats,
    *,
    tile_rows: Floats,
    tile_columns: Floats,
    num_units: Floats,
    wave_share: Floats,
) -> Floats:
    r"""Output elements that the machine pays for when it works on whole tiles. [1]

    .. math:: A = b_m b_n U \left[ w \lceil T \rceil + (1 - w) \max(T, 1) \right], \qquad
       T = \frac{1}{U} \left\lceil \frac{m}{b_m} \right\rceil \left\lceil \frac{n}{b_n} \right\rceil

    Parameters
    ----------
    rows, columns
        Of the product, :math:`m, n`. [1]
    tile_rows, tile_columns
        Of the part of it that one unit computes, :math:`b_m, b_n`. [1]
    num_units
        Units that work on one tile each, :math:`U`. [1]
    wave_share
        How far all units wait for the last of a wave, :math:`w`: 0 where tiles are handed out one
        by one or split, 1 where a wave must end before the next begins. [1]

    Leaves out: tiles of several sizes in one product.

    >>> tile = dict(tile_rows=128.0, tile_columns=128.0, num_units=132.0)
    >>> float(tiled_area(128.0, 128.0, wave_share=1.0, **tile)) == 132 * 128 * 128
    True
    >>> round(float(tiled_area(1536.0, 1536.0, wave_share=1.0, **tile)) / 1536**2, 2)
    1.83
    """
    tiles = np.ceil(rows / tile_rows) * np.ceil(columns / tile_columns) / num_units
    waves = wave_share * np.ceil(tiles) + (1.0 - wave_share) * np.maximum(tiles, 1.0)
    return tile_rows * tile_columns * num_units * waves


def warm_traffic_time(
    num_bytes: Floats,
    *,
    memory_bandwidth: Floats,
    cache_bytes: Floats,
    cache_share: Floats,
    cache_speedup: Floats,
) -> Floats:
    r"""Time to read and write operands that the run before may have left in the cache. [s]

    .. math:: t = \frac{n}{\beta} \left[ 1 - h + \frac{h}{r} \right], \qquad
       h = \frac{1}{1 + (n / s C)^{6}}

    Parameters
    ----------
    num_bytes
        :math:`n`, not 0. [B]
    memory_bandwidth
        That large streams reach, :math:`\beta`. [B/s]
    cache_bytes
        Last-level cache, :math:`C`; 0 for operands that are read for the first time. [B]
    cache_share
        Share of it that is left to them, :math:`s`. [1]
    cache_speedup
        How much faster the cache is than the memory, :math:`r`. [1]

    Leaves out: which of the operands stay, and the caches of each unit.

    >>> l40s = dict(memory_bandwidth=864e9, cache_share=0.5, cache_speedup=3.0)
    >>> small, large = (warm_traffic_time(n, cache_bytes=96e6, **l40s) for n in (1e7, 1e9))
    >>> round(float(small) * 1e6, 2), round(float(large) * 1e6)
    (3.86, 1157)
    """
    cube = (cache_bytes * cache_share / num_bytes) ** 3
    kept = cube * cube / (1.0 + cube * cube)  # the sixth power, without a general power's cost
    return num_bytes / memory_bandwidth * (1.0 - kept + kept / cache_speedup)


def serial_depth_time(depth: Floats, *, depth_time: Floats, split_depth: Floats) -> Floats:
    r"""Time of the loop over the depth that one tile runs through alone. [s]

    .. math:: t_\lambda = \lambda \frac{k\,k_s}{\sqrt{k^2 + k_s^2}}

    Parameters
    ----------
    depth
        Of the product, :math:`k`. [1]
    depth_time
        Time of one step of the loop over the length of the step, :math:`\lambda`. [s]
    split_depth
        Depth over which several units share it, :math:`k_s`. [1]

    Leaves out: what adding up the parts costs.

    >>> round(float(serial_depth_time(4096.0, depth_time=1e-9, split_depth=3000.0)) * 1e6, 2)
    2.42
    """
    return depth_time * depth * split_depth / (depth**2.0 + split_depth**2.0) ** 0.5


def engine_matmul_time(
    rows: Floats,
    columns: Floats,
    depth: Floats,
    *,
    peak_flops: Floats,
    memory_bandwidth: Floats,
    cache_bytes: Floats,
    num_units: Floats,
    input_bytes: Floats,
    weight_bytes: Floats,
    output_bytes: Floats,
    ragged: Floats,
    peak_efficiency: Floats,
    memory_efficiency: Floats,
    floor: Floats,
    sharpness: Floats = 3.0,
    tile_rows: float = 0.0,
    tile_columns: float = 0.0,
    wave_share: Floats = 1.0,
    half_rows: Floats = 0.0,
    half_columns: Floats = 0.0,
    half_depth: Floats = 0.0,
    depth_time: Floats = 0.0,
    split_depth: Floats = 1.0,
    cache_share: Floats = 0.0,
    cache_speedup: Floats = 1.0,
    cast_traffic: Floats = 0.0,
    repack_traffic: Floats = 0.0,
    host_time: Floats = 0.0,
) -> Floats:
    r"""Time of an engine's product of (m, k) inputs with (k, n) weights. [s]

    .. math:: t_c = \frac{2 A (k + k_0)}{P \hat\eta}, \qquad
       t_x = \frac{(e_o + e_w) m k\,x_c + e_w k n\,x_r\,[m\ \text{ragged}]}{\beta}

    with :math:`A` the area of whole tiles and waves (`tiled_area`), or
    :math:`(m + h_m)(n + h_n)` for a library that picks its tile by the shape; the other terms as
    in the module's equation.

    Parameters
    ----------
    rows, columns, depth
        Shape, :math:`m, n, k`, all positive. [1]
    peak_flops
        Dense peak rate at this precision, :math:`P`. [FLOP/s]
    memory_bandwidth
        Of the accelerator's memory, :math:`\beta`. [B/s]
    cache_bytes, cache_share, cache_speedup
        See `warm_traffic_time`.
    num_units, tile_rows, tile_columns, wave_share
        See `tiled_area`; no tile (0) for a library that picks one.
    input_bytes, weight_bytes, output_bytes
        Of one element, scales included, :math:`e_x, e_w, e_o`. [B]
    ragged
        1 where the rows do not fill the kernel's alignment, else 0. [1]
    peak_efficiency
        Share of the peak that whole tiles reach, :math:`\hat\eta`. [1]
    memory_efficiency
        Share of the bandwidth that large streams reach, :math:`\eta_\beta`. [1]
    floor
        Shortest time of the kernels on the device, :math:`t_0`. [s]
    sharpness
        Of the knee between arithmetic and memory, :math:`q`. [1]
    half_rows, half_columns, half_depth
        Rows, columns and depth at which half is waste, :math:`h_m, h_n, k_0`. [1]
    depth_time, split_depth
        See `serial_depth_time`.
    cast_traffic
        Passes over the inputs to scale them to this precision, :math:`x_c`: each is read as wide as
        the output and written as narrow as the weights. [1]
    repack_traffic
        Passes over the weights that ragged rows cost, :math:`x_r`. [1]
    host_time
        Between two launches, :math:`t_h`. [s]

    Leaves out: clocks that fall under power; what the kernel before left in the cache (give
    ``cache_bytes`` 0 for weights that come from memory).

    >>> h100 = dict(peak_flops=989.4e12, memory_bandwidth=3.35e12, cache_bytes=0.0, num_units=132)
    >>> bf16 = dict(input_bytes=2.0, weight_bytes=2.0, output_bytes=2.0, ragged=0.0)
    >>> fit = dict(peak_efficiency=0.8, memory_efficiency=0.84, floor=2.6e-6, half_depth=150.0)
    >>> time = engine_matmul_time(8192.0, 8192.0, 8192.0, **h100, **bf16, **fit)
    >>> round(float(time) * 1e3, 3)
    1.418
    """
    if tile_rows:
        area = tiled_area(
            rows,
            columns,
            tile_rows=tile_rows,
            tile_columns=tile_columns,
            num_units=num_units,
            wave_share=wave_share,
        )
    else:
        area = (rows + half_rows) * (columns + half_columns)
    cache = {
        "cache_bytes": cache_bytes,
        "cache_share": cache_share,
        "cache_speedup": cache_speedup,
    }
    inputs, weights = rows * depth, depth * columns
    traffic = input_bytes * inputs + weight_bytes * weights + output_bytes * (rows * columns)
    arithmetic_time = 2.0 * area * (depth + half_depth) / (peak_flops * peak_efficiency)
    streamed = warm_traffic_time(
        traffic, memory_bandwidth=memory_bandwidth * memory_efficiency, **cache
    )
    cast = warm_traffic_time(
        (output_bytes + weight_bytes) * inputs, memory_bandwidth=memory_bandwidth, **cache
    )
    device_time = (
        floor
        + soft_maximum(arithmetic_time, streamed, sharpness=sharpness)
        + serial_depth_time(depth, depth_time=depth_time, split_depth=split_depth)
        + cast_traffic * cast
        + repack_traffic * ragged * weight_bytes * weights / memory_bandwidth
    )
    return soft_maximum(device_time, host_time, sharpness=HOST_SHARPNESS)
