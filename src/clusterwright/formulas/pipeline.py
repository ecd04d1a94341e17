r"""Pipeline parallelism in closed form: time of a step, and micro-batches in flight.

Symbols: :math:`p` stages (ranks), :math:`v` chunks of layers per rank, :math:`m` micro-batches,
:math:`t_i` the time of rank :math:`i` for one micro-batch forward and backward.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def bubble_time(
    sum_time: Floats,
    slowest_time: Floats,
    *,
    num_stages: Floats,
    num_chunks: Floats,
    num_micro_batches: Floats,
) -> Floats:
    r"""Idle time of the slowest rank in 1F1B (one chunk) or interleaved 1F1B. [s]

    .. math:: t_\mathrm{bubble} = \frac{\sum_i t_i - \max_i t_i}{v}
       + (v-1)\,\left(-m \bmod p\right)\,\frac{\max_i t_i}{v}

    For equal stages the first term is :math:`(p-1)\,t/v` [1]_, [2]_. The second is paid when the
    micro-batches do not fill whole rounds of the interleaved schedule.

    Parameters
    ----------
    sum_time
        Sum over ranks of one micro-batch's forward and backward. [s]
    slowest_time
        The largest of them. [s]
    num_stages, num_chunks, num_micro_batches
        :math:`p`, :math:`v`, :math:`m`. [1]

    Leaves out: hop times (added by the caller), imbalance of chunks within a rank, jitter.

    References
    ----------
    .. [1] D. Narayanan et al., "Efficient large-scale language model training on GPU clusters using
       Megatron-LM," SC21, section 2.2: (p-1)/m and (p-1)/(v m).
    .. [2] D. Narayanan et al., "Memory-efficient pipeline-parallel DNN training," ICML 2021.

    >>> float(bubble_time(8.0, 1.0, num_stages=8, num_chunks=1, num_micro_batches=32))
    7.0
    >>> float(bubble_time(8.0, 1.0, num_stages=8, num_chunks=2, num_micro_batches=32))
    3.5
    """
    missing = np.mod(-num_micro_batches, num_stages)
    tail = (num_chunks - 1.0) * missing * slowest_time / num_chunks
    return (sum_time - slowest_time) / num_chunks + tail


def zero_bubble_saving(
    weight_gradient_time: Floats, *, num_stages: Floats, delayed: Floats = 1.0
) -> Floats:
    r"""What delaying weight gradients takes off the 1F1B bubble. [s]

    .. math:: \Delta t = (p-1)\,k\,t_W

    1F1B idles :math:`(p-1)(t_F+t_B+t_W)`; ZB-H1 idles :math:`(p-1)(t_F+t_B-t_W)`, so
    :math:`k = 2` in its convention where :math:`t_B` is the input gradient alone.

    Parameters
    ----------
    weight_gradient_time
        One rank's weight gradients of one micro-batch, :math:`t_W`. [s]
    num_stages
        :math:`p`. [1]
    delayed
        How many :math:`t_W` each stage wins, :math:`k`. [1]

    Leaves out: the optimizer barrier, and unequal stages.

    References
    ----------
    .. [1] P. Qi et al., "Zero bubble pipeline parallelism," ICLR 2024, table 2.

    >>> float(zero_bubble_saving(1.0, num_stages=8, delayed=2.0))
    14.0
    """
    return (num_stages - 1.0) * delayed * weight_gradient_time


def dualpipe_bubble_time(
    both_time: Floats, backward_time: Floats, weight_gradient_time: Floats, *, num_stages: Floats
) -> Floats:
    r"""Idle time of DualPipe. [s]

    .. math:: t_\mathrm{bubble} = (p/2 - 1)\,(t_{F\&B} + t_B - 3 t_W)

    Parameters
    ----------
    both_time
        A forward and a backward run together, :math:`t_{F\&B}`. [s]
    backward_time
        A full backward, weight gradients included, :math:`t_B`. [s]
    weight_gradient_time
        Its weight gradients, :math:`t_W`. [s]
    num_stages
        :math:`p`, even. [1]

    Leaves out: that the two directions need twice the parameters (see the memory formulas).

    References
    ----------
    .. [1] DeepSeek-AI, "DualPipe," 2025, README table; DeepSeek-V3, arXiv 2412.19437, sec. 3.2.1.

    >>> float(dualpipe_bubble_time(3.0, 2.0, 1.0, num_stages=8))
    6.0
    """
    idle = (num_stages / 2.0 - 1.0) * (both_time + backward_time - 3.0 * weight_gradient_time)
    return np.maximum(idle, 0.0 * both_time)


def exposed_hop_time(
    one_hop_time: Floats,
    *,
    num_stages: Floats,
    num_chunks: Floats,
    num_micro_batches: Floats,
    overlapped: Floats,
) -> Floats:
    r"""Transfers between stages that a step waits for. [s]

    .. math:: t = 2\,(pv-1)\,t_h \ \text{(overlapped)}, \qquad
       t = 2\,(p-1)\,t_h + 2\,m\,v\,t_h \ \text{(else)}

    Sent beside the computation, transfers show while the pipeline fills and drains: the first
    micro-batch crosses from chunk to chunk :math:`pv-1` times before any backward can begin, and
    nothing is there to do meanwhile; the last one's gradient crosses back. Sent in its own time,
    each chunk's forward and backward is followed by a transfer as well.

    Parameters
    ----------
    one_hop_time
        One activation, or its gradient, from a rank to its neighbour, :math:`t_h`. [s]
    num_stages, num_chunks, num_micro_batches
        :math:`p`, :math:`v`, :math:`m`. [1]
    overlapped
        Whether transfers run beside the computation. [1]

    Leaves out: groups of more than :math:`p` micro-batches per chunk, and weight gradients that
    fill the waits (both hide some of it). The event engine counts them; tests hold the two
    together.

    >>> shape = {"num_stages": 8, "num_chunks": 4, "num_micro_batches": 64}
    >>> [round(float(exposed_hop_time(1e-3, overlapped=o, **shape)), 3) for o in (True, False)]
    [0.062, 0.526]
    """
    aside = 2.0 * (num_stages * num_chunks - 1.0) * one_hop_time
    in_turn = 2.0 * (num_stages - 1.0 + num_micro_batches * num_chunks) * one_hop_time
    return np.where(overlapped, aside, in_turn)


def micro_batches_in_flight(
    rank: Floats, *, num_stages: Floats, num_chunks: Floats, num_micro_batches: Floats
) -> Floats:
    r"""Micro-batches whose activations a rank holds at its peak in (interleaved) 1F1B. [1]

    .. math:: a_r = \min\left(m,\ \frac{2(p-1-r) + (v-1)p + 1}{v}\right) \ (v>1),\qquad
       a_r = \min(m, p-r) \ (v=1)

    in units of the whole rank's layers. For rank 0 of the interleaved schedule this is
    :math:`p(1+(p-1)/(pv))` [1]_.

    Parameters
    ----------
    rank
        Position in the pipeline, 0 is first, :math:`r`. [1]
    num_stages, num_chunks, num_micro_batches
        :math:`p`, :math:`v`, :math:`m`. [1]

    Leaves out: allocator fragmentation.

    References
    ----------
    .. [1] V. Korthikanti et al., "Reducing activation recomputation in large transformer models,"
       MLSys 2023, section 4.2.3.

    >>> shape = {"num_stages": 8, "num_micro_batches": 64}
    >>> [float(micro_batches_in_flight(r, num_chunks=1, **shape)) for r in (0, 7)]
    [8.0, 1.0]
    >>> float(micro_batches_in_flight(0, num_chunks=2, **shape))
    11.5
    """
    plain = num_stages - rank * 1.0
    looped = (2.0 * (num_stages - 1.0 - rank) + (num_chunks - 1.0) * num_stages + 1.0) / num_chunks
    return np.minimum(num_micro_batches * 1.0, np.where(num_chunks > 1, looped, plain))
