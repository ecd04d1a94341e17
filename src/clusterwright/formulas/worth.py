r"""What things are worth: with age, after many were made, as part of a cluster, in dollars.

References
----------
.. [1] E. L. Grant, W. G. Ireson, R. S. Leavenworth, *Principles of Engineering Economy*, 1990.
.. [2] B. Cottier et al., "The rising costs of training frontier AI models," arXiv:2405.21015.
.. [3] T. P. Wright, "Factors affecting the cost of airplanes," J. Aeronautical Sciences 3 (1936).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def straight_line_value(price: Floats, age: Floats, life: Floats) -> Floats:
    r"""What is left in the books of a price that is written off evenly. [USD]

    .. math:: B = P \max(0, 1 - a / L)

    Parameters
    ----------
    price
        What was paid, :math:`P`. [USD]
    age
        Time since, :math:`a`. [s]
    life
        Until nothing is left, :math:`L`. [s]

    Leaves out: what anybody would pay for it.

    Examples
    --------
    >>> float(straight_line_value(30_000.0, 2.0, 5.0))
    18000.0
    """
    return price * np.maximum(0.0, 1.0 - age / life)


def eroded_value(price: Floats, age: Floats, erosion_rate: Floats) -> Floats:
    r"""What a thing is worth when better ones appear at a steady pace. [USD]

    .. math:: V = P \cdot 10^{-k a}

    Cottier et al. [2]_ take :math:`k` = 0.14 orders of magnitude a year for accelerators; it is the
    resale value and the price of the same work alike.

    Parameters
    ----------
    price
        When new, :math:`P`. [USD]
    age
        Time since, :math:`a`. [s]
    erosion_rate
        Orders of magnitude lost in a time, :math:`k`. [1/s]

    Leaves out: scarcity. Rents of H100 rose by 40 % in half a year.

    Examples
    --------
    >>> year = 365.25 * 86_400.0
    >>> round(float(eroded_value(30_000.0, 4 * year, 0.14 / year)))
    8263
    """
    return price * 10.0 ** (-erosion_rate * age)


def learned_price(price: Floats, volume_ratio: Floats, learning_rate: Floats) -> Floats:
    r"""Price after more has been made, by the learning curve. [USD]

    .. math:: P' = P \, x^{\log_2 (1 - \lambda)}

    Each doubling of all that was ever made takes the same share off the price [3]_.

    Parameters
    ----------
    price
        Before, :math:`P`. [USD]
    volume_ratio
        All that was made by then over all that was made before, :math:`x`. [1]
    learning_rate
        Share that a doubling takes off, :math:`0 \le \lambda < 1`. [1]

    Leaves out: margins, which follow demand and not cost.

    Examples
    --------
    >>> float(learned_price(1000.0, 4.0, 0.2))
    640.0
    """
    return price * volume_ratio ** np.log2(1.0 - learning_rate)


def cluster_price(price: Floats, server_factor: Floats, network_share: Floats) -> Floats:
    r"""Price of a cluster per accelerator, from the price of a chip. [USD]

    .. math:: C = \frac{P f}{1 - s}

    Parameters
    ----------
    price
        Of a chip, :math:`P`. [USD]
    server_factor
        Price of a server over that of its chips, :math:`f`. [1]
    network_share
        Share of the network in the price of the cluster, :math:`0 \le s < 1`. [1]

    Leaves out: storage, building, installation. Method and shares of [2]_.

    Examples
    --------
    >>> round(float(cluster_price(26_500.0, 1.82, 0.19)))
    59543
    """
    return price * server_factor / (1.0 - network_share)


def in_dollars(amount: Floats, exchange_rate: Floats) -> Floats:
    r"""Dollars for an amount of another currency. [USD]

    .. math:: P = a x

    Parameters
    ----------
    amount
        Units of the other currency, :math:`a`. [1]
    exchange_rate
        Dollars for one of them on the day, :math:`x`. [USD]

    Leaves out: the spread of a bank, and what the money buys at home.

    Examples
    --------
    >>> round(in_dollars(3.5, 0.1375), 3)
    0.481
    """
    return amount * exchange_rate
