r"""Time of a mixture's experts on one accelerator: two grouped products and what lies around them.

Few tokens touch few experts, and reading those experts' weights binds; many tokens fill tiles of
every expert, and arithmetic binds.

References
----------
.. [1] T. Gale, D. Narayanan, C. Young, M. Zaharia, "MegaBlocks: efficient sparse training with
   mixture-of-experts," MLSys 2023, arXiv:2211.15841.
.. [2] N. Shazeer, "GLU variants improve transformer," 2020, arXiv:2002.05202 (gated experts).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.formulas.roofline import cached_share

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def touched_experts(tokens: Floats, top_k: Floats, *, num_experts: Floats) -> Floats:
    r"""Experts that at least one of a batch's tokens goes to, by even and independent choice. [1]

    .. math:: E \left[ 1 - \left( 1 - k/E \right)^{n} \right]

    Parameters
    ----------
    tokens
        Of the batch, :math:`n`. [1]
    top_k
        Experts that each token goes to, :math:`k`. [1]
    num_experts
        Of a layer, :math:`E`. [1]

    Leaves out: experts that are favoured; they leave others without a token.

    >>> [round(float(touched_experts(n, 8.0, num_experts=256.0)), 1) for n in (1.0, 32.0, 512.0)]
    [8.0, 163.3, 256.0]
    """
    return num_experts * (1.0 - (1.0 - top_k / num_experts) ** tokens)


def experts_time(
    rows: Floats,
    hidden_size: Floats,
    intermediate_size: Floats,
    *,
    num_groups: Floats,
    tokens: Floats,
    num_matrices: Floats,
    peak_flops: Floats,
    memory_bandwidth: Floats,
    weight_bytes: Floats,
    element_bytes: Floats,
    peak_efficiency: Floats,
    memory_efficiency: Floats,
    half_tile: Floats,
    activation_passes: Floats,
    floor: Floats,
    fill_area: Floats = 0.0,
    foreign_rows: Floats = 0.0,
    foreign_cost: Floats = 0.0,
    foreign_passes: Floats = 0.0,
    cache_bytes: Floats = 0.0,
    cache_speedup: Floats = 1.0,
) -> Floats:
    r"""Time of all experts of one layer on one accelerator: route, multiply twice, add up. [s]

    .. math:: t = t_0 + \sqrt{t_c^2 + t_m^2} +
       \frac{e}{\beta} \left[ p\,m' (H + c\,I) + p\,n H + p_f\,m_f H \right]

    .. math:: t_c = \frac{2}{P\,\hat\eta} \left[ (m' + g\,h)\,c\,H I + A_0 (H + I) \right], \quad
       t_m = \frac{g\,c\,H I\,e_w}{\beta\,\eta_\beta} \left[ 1 - \gamma + \frac{\gamma}{u} \right]

    Rows :math:`m` are pairs of a token and one of its experts here; :math:`m' = m + \rho\,m_f` adds
    those of experts elsewhere, which some engines multiply all the same, and which pass the memory
    :math:`p_f` times where results of all slots are added up. Every group loses half a tile of
    rows :math:`h`; the activations pass the memory :math:`p` times, since sorting rows by expert,
    the activation between the products and adding up are kernels of their own.

    Parameters
    ----------
    rows
        :math:`m`. [1]
    hidden_size, intermediate_size
        Of the layer and of one expert's shard here, :math:`H, I`. [1]
    num_groups
        Experts here with at least one row, :math:`g`. [1]
    tokens
        Whose results are added up, :math:`n`. [1]
    num_matrices
        Of an expert, :math:`c`: 3 with a gate [2]_, 2 without. [1]
    peak_flops, memory_bandwidth
        See `matmul_time`.
    weight_bytes
        Of one element of a weight, :math:`e_w`, scales included. [B]
    element_bytes
        Of one element of an activation, :math:`e`. [B]
    peak_efficiency, memory_efficiency, half_tile, fill_area, floor
        See `matmul_time`; the efficiency with large loads.
    activation_passes
        :math:`p`. [1]
    foreign_rows, foreign_cost, foreign_passes
        :math:`m_f`, what each costs of a row here, :math:`\rho`, and :math:`p_f`. [1]
    cache_bytes, cache_speedup
        See `attention_time`: weights left in the cache; :math:`\gamma` and :math:`u`.

    Leaves out: the router's product, shared experts, the all-to-all, and the steps in which tiles
    grow with the load.

    >>> h100 = dict(
    ...     peak_flops=989.4e12,
    ...     memory_bandwidth=3.35e12,
    ...     weight_bytes=2,
    ...     element_bytes=2,
    ...     peak_efficiency=0.9,
    ...     memory_efficiency=1.0,
    ...     half_tile=100.0,
    ...     fill_area=5e5,
    ...     activation_passes=2.6,
    ...     floor=37e-6,
    ...     num_matrices=3.0,
    ... )
    >>> one = experts_time(8.0, 4096.0, 1536.0, num_groups=8.0, tokens=1.0, **h100)
    >>> many = experts_time(16384.0, 4096.0, 1536.0, num_groups=128.0, tokens=2048.0, **h100)
    >>> round(float(one) * 1e6), round(float(many) * 1e6)
    (136, 2176)
    """
    elements = num_matrices * hidden_size * intermediate_size
    worked = rows + foreign_cost * foreign_rows
    multiplied = (worked + num_groups * half_tile) * elements
    multiplied = multiplied + fill_area * (hidden_size + intermediate_size)
    arithmetic_time = 2.0 * multiplied / (peak_flops * peak_efficiency)
    weights = num_groups * elements * weight_bytes
    cached = cached_share(weights, cache_bytes=cache_bytes)
    memory_time = weights / (memory_bandwidth * memory_efficiency)
    memory_time = memory_time * (1.0 - cached + cached / cache_speedup)
    moved = worked * (hidden_size + num_matrices * intermediate_size) + tokens * hidden_size
    moved = activation_passes * moved + foreign_passes * foreign_rows * hidden_size
    passes_time = moved * element_bytes / memory_bandwidth
    return floor + np.sqrt(arithmetic_time**2 + memory_time**2) + passes_time
