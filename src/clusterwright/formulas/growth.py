r"""Growth: of hardware over the years, and of one fleet while it trains.

References
----------
.. [1] C. Gottbrath et al., "The effects of Moore's law and slacking on large computations,"
   arXiv:astro-ph/9912202 (when waiting for better hardware finishes a run earlier).
.. [2] Epoch AI, "Trends in AI supercomputers," arXiv:2504.16026 (leading systems double in nine
   months).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""

LN2 = float(np.log(2.0))


def doubling_time(growth: Floats, span: Floats) -> Floats:
    r"""Time in which a quantity doubles that grows evenly by a factor over a span. [s]

    .. math:: T_2 = T \, \frac{\ln 2}{\ln g}

    Parameters
    ----------
    growth
        :math:`g > 1`, factor over the span. [1]
    span
        :math:`T`. [s]

    Leaves out: growth that speeds up or saturates.

    Examples
    --------
    A million times in ten years is four times a year, a doubling in six months:

    >>> round(float(doubling_time(1e6, 10 * 12.0)), 2)
    6.02
    """
    return span * LN2 / np.log(growth)


def grown(span: Floats, doubling_time: Floats) -> Floats:
    r"""Factor by which a quantity grows over a span. [1]

    .. math:: g = 2^{T / T_2}

    Parameters
    ----------
    span
        :math:`T`. [s]
    doubling_time
        :math:`T_2`, as in [2]_. [s]

    Leaves out: growth that speeds up or saturates.

    Examples
    --------
    Leading systems that double in nine months grow ten thousand times in ten years [2]_:

    >>> round(float(grown(10 * 12.0, 9.0)), -2)
    10300.0
    """
    return np.exp2(span / doubling_time)


def best_wait(run_time: Floats, doubling_time: Floats) -> Floats:
    r"""How long to wait for better hardware so that a run ends earliest. [s]

    .. math:: w = T_2 \log_2 \frac{t \ln 2}{T_2}, \quad \text{or } 0

    the least of :math:`w + t \, 2^{-w / T_2}` [1]_.

    Parameters
    ----------
    run_time
        :math:`t`, of the run if it began today. [s]
    doubling_time
        :math:`T_2`, of the speed that the same money buys. [s]

    Leaves out: what an answer is worth while others wait; hardware that joins a run.

    Examples
    --------
    With speeds that double in 24 months, only runs of more than 34.6 are worth a wait:

    >>> float(best_wait(30.0, 24.0)), round(float(best_wait(60.0, 24.0)), 1)
    (0.0, 19.0)
    """
    return doubling_time * np.log2(np.maximum(1.0, run_time * LN2 / doubling_time))


def ramp_work(start_count: Floats, count_rate: Floats, unit_flops: Floats, span: Floats) -> Floats:
    r"""Work done by a fleet that grows evenly. [FLOP]

    .. math:: W = p \left( n_0 t + \tfrac12 r t^2 \right)

    Parameters
    ----------
    start_count
        :math:`n_0`, accelerators at the beginning. [1]
    count_rate
        :math:`r`, accelerators added in a unit of time. [1/s]
    unit_flops
        :math:`p`, delivered by one accelerator. [FLOP/s]
    span
        :math:`t`. [s]

    Leaves out: what the last ones of a larger fleet deliver less, and restarts.

    Examples
    --------
    >>> ramp_work(10.0, 2.0, 1e15, 5.0)
    7.5e+16
    """
    return unit_flops * (start_count * span + 0.5 * count_rate * span**2)


def ramp_time(
    total_flops: Floats, start_count: Floats, count_rate: Floats, unit_flops: Floats
) -> Floats:
    r"""Time in which a fleet that grows evenly does a piece of work. [s]

    .. math:: t = \frac{2 w}{n_0 + \sqrt{n_0^2 + 2 r w}}, \quad w = \frac{W}{p}

    the inverse of `ramp_work`.

    Parameters
    ----------
    total_flops
        :math:`W`. [FLOP]
    start_count
        :math:`n_0`, accelerators at the beginning. [1]
    count_rate
        :math:`r`, accelerators added in a unit of time; not 0 together with :math:`n_0`. [1/s]
    unit_flops
        :math:`p`, delivered by one accelerator. [FLOP/s]

    Leaves out: what the last ones of a larger fleet deliver less, and restarts.

    Examples
    --------
    >>> float(ramp_time(7.5e16, 10.0, 2.0, 1e15))
    5.0
    """
    alone = total_flops / unit_flops
    return 2.0 * alone / (start_count + np.sqrt(start_count**2 + 2.0 * count_rate * alone))
