r"""Times of kernels: matrix products, and kernels that only move memory.

Every kernel takes a floor (launching it and draining it, on the device) and then whichever is
longer of its arithmetic and its memory traffic,

.. math:: t = t_0 + \left( t_c^{\,q} + t_m^{\,q} \right)^{1/q}, \qquad q = 3

The power mean in place of a maximum says that a kernel near the ridge of the roofline reaches
neither roof [1]_ ; on measured kernels it is nearer than the maximum. Arithmetic runs at the peak
rate times an efficiency whose only shape dependence is *waste*: rows, columns and depth that fill a
tile, and tiles that fill the machine, are paid for whether they are wanted or not. Waste is added
smoothly, so that more work never takes less time; real kernels go up in steps around this line.

Shapes are positive. A kernel that does not run has no time: leave it out rather than give it a 0.

References
----------
.. [1] S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance model
   for multicore architectures," CACM 52(4), 2009.
.. [2] NVIDIA, "Matrix multiplication background user's guide," 2023 (tile and wave quantisation).
.. [3] M. Osama et al., "Stream-K: work-centric parallel decomposition for dense matrix-matrix
   multiplication on the GPU," PPoPP 2023, arXiv:2301.03598.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def soft_maximum(first: Floats, second: Floats, *, sharpness: Floats = 3.0) -> Floats:
    r"""Power mean that nears the larger of two times as they part. [unit of the arguments]

    .. math:: (a^q + b^q)^{1/q}

    Parameters
    ----------
    first, second
        Times that overlap, :math:`a` and :math:`b`, not negative. [s]
    sharpness
        :math:`q`; the maximum as it grows, 26 % above it at a = b with 3. [1]

    >>> round(soft_maximum(4.0, 4.0), 3), round(soft_maximum(1.0, 10.0), 3)
    (5.04, 10.003)
    """
    return (first**sharpness + second**sharpness) ** (1.0 / sharpness)


def cached_share(num_bytes: Floats, *, cache_bytes: Floats) -> Floats:
    r"""Share of what a repeated kernel reads that its last run left in the last-level cache. [1]

    .. math:: \gamma = \frac{1}{1 + (n / C)^4}

    Least-recently-used replacement keeps all of what fits and, read in order, nothing of what does
    not; the fourth power is the step that measured kernels make of it.

    Parameters
    ----------
    num_bytes
        What each run reads, :math:`n`. [B]
    cache_bytes
        Of the last-level cache, :math:`C`; 0 leaves nothing. [B]

    Leaves out: what other kernels put there between two runs.

    >>> [float(cached_share(n, cache_bytes=50e6)) for n in (25e6, 50e6, 100e6)]
    [0.9411764705882353, 0.5, 0.058823529411764705]
    """
    fourth = (cache_bytes / num_bytes) ** 4
    return fourth / (1.0 + fourth)


def matmul_work(
    rows: Floats,
    columns: Floats,
    depth: Floats,
    *,
    half_tile: Floats,
    half_depth: Floats,
    fill_area: Floats,
    split_depth: Floats,
    num_groups: Floats = 1.0,
) -> Floats:
    r"""Multiply-adds that the machine pays for in a product (m, k) × (k, n), waste included. [1]

    .. math:: W = g\,(m + h)(n + h)(k + k_0) + A_0\,\frac{k\,k_s}{k + k_s}

    The first term is tiles: half a tile is lost at each edge on average, and each tile's main loop
    has a prologue and an epilogue worth :math:`k_0` of depth. The second is the last wave: tiles of
    area :math:`A_0` in all stand idle while it drains, for a time that grows with the depth
    until splitting the depth over several units pays (:math:`k_s`; split-K, stream-K).

    Parameters
    ----------
    rows, columns, depth
        Shape of one product, :math:`m, n, k`. [1]
    half_tile
        Rows and columns lost at the edges, :math:`h`. [1]
    half_depth
        Depth at which the main loop is half of a tile's time, :math:`k_0`. [1]
    fill_area
        Output elements lost in the last wave, :math:`A_0`. [1]
    split_depth
        Depth over which a wave's loss stops growing, :math:`k_s`. [1]
    num_groups
        Products of this shape that one kernel runs, :math:`g`. [1]

    Leaves out: the steps of tile and wave quantisation (nearly 0 on average, 10 to 15 % at the 90th
    percentile) and alignment penalties of odd sizes.

    References
    ----------
    .. [1] NVIDIA 2023; Osama et al. 2023 (see the module).

    >>> exact = dict(half_tile=0.0, half_depth=0.0, fill_area=0.0, split_depth=1.0)
    >>> matmul_work(2.0, 3.0, 4.0, **exact)
    24.0
    """
    tiles = num_groups * (rows + half_tile) * (columns + half_tile) * (depth + half_depth)
    return tiles + fill_area * (depth * split_depth / (depth + split_depth))


def matmul_efficiency(
    rows: Floats,
    columns: Floats,
    depth: Floats,
    *,
    peak_efficiency: Floats,
    half_tile: Floats,
    half_depth: Floats,
    fill_area: Floats,
    split_depth: Floats,
) -> Floats:
    r"""Share of the peak rate that a product (m, k) × (k, n) reaches when arithmetic binds. [1]

    .. math:: \eta = \hat\eta\,\frac{m\,n\,k}{W(m, n, k)}

    Parameters
    ----------
    rows, columns, depth
        Shape, :math:`m, n, k`. [1]
    peak_efficiency
        What it nears for ever larger shapes, :math:`\hat\eta`: issue slots, clock under load. [1]
    half_tile, half_depth, fill_area, split_depth
        See `matmul_work`. [1]

    Leaves out: memory; see `matmul_time`.

    >>> shape = dict(half_tile=0.0, half_depth=100.0, fill_area=5e5, split_depth=5e3)
    >>> round(matmul_efficiency(8192.0, 8192.0, 8192.0, peak_efficiency=0.8, **shape), 3)
    0.788
    >>> round(matmul_efficiency(128.0, 4096.0, 4096.0, peak_efficiency=0.8, **shape), 3)
    0.517
    """
    work = matmul_work(
        rows,
        columns,
        depth,
        half_tile=half_tile,
        half_depth=half_depth,
        fill_area=fill_area,
        split_depth=split_depth,
    )
    return peak_efficiency * (rows * columns * depth / work)


def matmul_time(
    rows: Floats,
    columns: Floats,
    depth: Floats,
    *,
    peak_flops: Floats,
    memory_bandwidth: Floats,
    element_bytes: Floats,
    output_bytes: Floats,
    peak_efficiency: Floats,
    half_tile: Floats,
    half_depth: Floats,
    fill_area: Floats,
    split_depth: Floats,
    memory_efficiency: Floats,
    floor: Floats,
) -> Floats:
    r"""Time of one matrix product (m, k) × (k, n). [s]

    .. math:: t = t_0 + \left[ \left( \frac{2\,m\,n\,k}{P\,\eta} \right)^{q}
       + \left( \frac{e\,(m k + k n) + e_o\,m n}{\beta\,\eta_\beta} \right)^{q} \right]^{1/q}

    Parameters
    ----------
    rows, columns, depth
        Shape, :math:`m, n, k`, all positive. [1]
    peak_flops
        Dense peak rate at this precision, :math:`P`. [FLOP/s]
    memory_bandwidth
        Of the accelerator's memory, :math:`\beta`. [B/s]
    element_bytes, output_bytes
        Of one input and one output element, :math:`e, e_o`; scales included. [B]
    peak_efficiency, half_tile, half_depth, fill_area, split_depth
        See `matmul_efficiency`. [1]
    memory_efficiency
        Share of the bandwidth that large streams reach, :math:`\eta_\beta`. [1]
    floor
        Shortest time of such a kernel on the device, :math:`t_0`. [s]

    Leaves out: reuse of operands left in the last-level cache by the kernel before.

    References
    ----------
    .. [1] Williams, Waterman, Patterson 2009 (see the module).

    >>> h100 = dict(
    ...     peak_flops=989.4e12,
    ...     memory_bandwidth=3.35e12,
    ...     peak_efficiency=0.8,
    ...     half_tile=0.0,
    ...     half_depth=100.0,
    ...     fill_area=5e5,
    ...     split_depth=5e3,
    ...     memory_efficiency=0.82,
    ...     floor=2.7e-6,
    ... )
    >>> time = matmul_time(8192.0, 8192.0, 8192.0, element_bytes=2, output_bytes=2, **h100)
    >>> round(float(time) * 1e3, 3)  # three engines measured 1.40 to 1.67
    1.413
    """
    return grouped_matmul_time(
        rows,
        columns,
        depth,
        num_groups=1.0,
        peak_flops=peak_flops,
        memory_bandwidth=memory_bandwidth,
        element_bytes=element_bytes,
        output_bytes=output_bytes,
        peak_efficiency=peak_efficiency,
        half_tile=half_tile,
        half_depth=half_depth,
        fill_area=fill_area,
        split_depth=split_depth,
        memory_efficiency=memory_efficiency,
        floor=floor,
    )


def grouped_matmul_time(
    rows: Floats,
    columns: Floats,
    depth: Floats,
    *,
    num_groups: Floats,
    peak_flops: Floats,
    memory_bandwidth: Floats,
    element_bytes: Floats,
    output_bytes: Floats,
    peak_efficiency: Floats,
    half_tile: Floats,
    half_depth: Floats,
    fill_area: Floats,
    split_depth: Floats,
    memory_efficiency: Floats,
    floor: Floats,
) -> Floats:
    r"""Time of one kernel that multiplies m rows in g groups, each by its own weights. [s]

    .. math:: t = t_0 + \left[ \left( \frac{2\,W_g}{P\,\hat\eta} \right)^{q}
       + \left( \frac{e\,(m k + g\,k n) + e_o\,m n}{\beta\,\eta_\beta} \right)^{q} \right]^{1/q}

    with :math:`W_g` the work of :math:`g` products of :math:`m/g` rows, one last wave for all: the
    experts of a mixture on one accelerator. Groups without a row load no weights, so that at most
    :math:`m` of them count.

    Parameters
    ----------
    rows
        Rows of all groups together, :math:`m`. [1]
    columns, depth
        Shape of each group's weights, :math:`n, k`. [1]
    num_groups
        :math:`g`. [1]
    peak_flops, memory_bandwidth, element_bytes, output_bytes
        See `matmul_time`.
    peak_efficiency, half_tile, half_depth, fill_area, split_depth, memory_efficiency, floor
        See `matmul_time`.

    Leaves out: unequal groups (give the busiest accelerator's rows), gathering and scattering of
    tokens, and the activation between two products.

    >>> experts = dict(
    ...     peak_flops=989.4e12,
    ...     memory_bandwidth=3.35e12,
    ...     element_bytes=2,
    ...     output_bytes=2,
    ...     peak_efficiency=0.8,
    ...     half_tile=32.0,
    ...     half_depth=100.0,
    ...     fill_area=5e5,
    ...     split_depth=5e3,
    ...     memory_efficiency=0.82,
    ...     floor=2.7e-6,
    ... )
    >>> one = grouped_matmul_time(8192.0, 4096.0, 7168.0, num_groups=1.0, **experts)
    >>> many = grouped_matmul_time(8192.0, 4096.0, 7168.0, num_groups=32.0, **experts)
    >>> round(float(many / one), 2)
    1.46
    """
    groups = np.minimum(num_groups, rows)
    work = matmul_work(
        rows / groups,
        columns,
        depth,
        half_tile=half_tile,
        half_depth=half_depth,
        fill_area=fill_area,
        split_depth=split_depth,
        num_groups=groups,
    )
    inputs = element_bytes * (rows * depth + groups * depth * columns)
    traffic = inputs + output_bytes * (rows * columns)
    arithmetic_time = 2.0 * work / (peak_flops * peak_efficiency)
    return floor + soft_maximum(arithmetic_time, traffic / (memory_bandwidth * memory_efficiency))


def memory_time(
    num_bytes: Floats,
    *,
    memory_bandwidth: Floats,
    efficiency: Floats,
    ramp_bytes: Floats,
    floor: Floats,
    cache_bytes: Floats = 0.0,
    cache_speedup: Floats = 1.0,
) -> Floats:
    r"""Time of a kernel that only moves memory: norms, activations, the optimizer. [s]

    .. math:: t = t_0 + \frac{n + n_0}{\beta\,\eta_\beta}
       \left[ 1 - \gamma + \frac{\gamma}{u} \right]

    so that the bandwidth reached is :math:`\beta\,\eta_\beta\,n / (n + n_0)` above the floor: the
    memory must have :math:`n_0` in flight before it streams (Little's law). Of what the kernel
    before left in the caches, the `cached_share` :math:`\gamma`, they deliver :math:`u` times as
    fast.

    Parameters
    ----------
    num_bytes
        Bytes read and written, :math:`n`. [B]
    memory_bandwidth
        :math:`\beta`. [B/s]
    efficiency
        Share of it that large streams reach, :math:`\eta_\beta`. [1]
    ramp_bytes
        Bytes at which half of that is reached, :math:`n_0`. [B]
    floor
        Shortest time of a kernel on the device, :math:`t_0`. [s]
    cache_bytes
        Traffic that caches hold from one kernel to the next; 0 leaves them out. [B]
    cache_speedup
        Their rate over the memory's, :math:`u`; 1 leaves them out. [1]

    Leaves out: which tensor a kernel finds there; each level of caches after the first.

    References
    ----------
    .. [1] J. McCalpin, "Memory bandwidth and machine balance in current high performance
       computers," IEEE TCCA Newsletter, 1995.

    >>> h100 = dict(memory_bandwidth=3.35e12, efficiency=0.9, ramp_bytes=2e6, floor=2e-6)
    >>> round(float(memory_time(1e9, **h100)) * 1e6, 1), float(memory_time(0.0, **h100)) < 3e-6
    (334.3, True)
    """
    time = (num_bytes + ramp_bytes) / (memory_bandwidth * efficiency)
    if np.any(cache_speedup != 1.0):
        cached = cached_share(np.maximum(num_bytes, 1e-9 * cache_bytes), cache_bytes=cache_bytes)
        time = time * (1.0 - cached + cached / cache_speedup)
    return floor + time
