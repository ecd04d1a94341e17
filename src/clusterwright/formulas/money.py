r"""Money: what owning costs by the hour, and when renting is cheaper.

Rates are dollars a second. Interest is per period, and a number of periods goes with it, so that no
formula knows how long a year or a month is.

References
----------
.. [1] E. L. Grant, W. G. Ireson, R. S. Leavenworth, *Principles of Engineering Economy*, 1990
   (capital recovery, present worth).
.. [2] L. A. Barroso, U. Hölzle, P. Ranganathan, *The Datacenter as a Computer*, 2018, chapter 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def part_interest(interest: Floats, parts: Floats) -> Floats:
    r"""Interest of one of the equal parts of a period that compound to the period's own. [1]

    .. math:: i_m = (1 + i)^{1/m} - 1

    Parameters
    ----------
    interest
        Of the whole period, :math:`i \ge 0`. [1]
    parts
        Parts of a period, :math:`m`. [1]

    Leaves out: nominal rates, which banks quote and which compound to more than they say.

    Examples
    --------
    >>> float(round(part_interest(0.1, 12), 6))
    0.007974
    """
    return np.expm1(np.log1p(interest) / parts)


def capital_recovery(interest: Floats, periods: Floats) -> Floats:
    r"""Share of a price that is paid each period until it is paid off with interest. [1]

    .. math:: c = \frac{i}{1 - (1 + i)^{-n}}, \qquad c = \frac{1}{n} \text{ without interest}

    Parameters
    ----------
    interest
        Per period, :math:`i \ge 0`. [1]
    periods
        Number of equal payments, each at the end of its period, :math:`n > 0`. [1]

    Leaves out: taxes, and what depreciation saves of them.

    Examples
    --------
    >>> round(float(capital_recovery(0.08, 5)), 4), float(capital_recovery(0.0, 5))
    (0.2505, 0.2)
    """
    bears = np.asarray(interest) > 0.0
    rate = np.where(bears, interest, 1.0)
    paid = rate / -np.expm1(-np.asarray(periods) * np.log1p(rate))
    return np.where(bears, paid, 1.0 / np.asarray(periods, float))


def annuity(price: Floats, residual: Floats, interest: Floats, periods: Floats) -> Floats:
    r"""Payment each period for what is bought now and sold for something at the end. [USD]

    .. math:: A = \big( P - R (1 + i)^{-n} \big) c(i, n)

    Parameters
    ----------
    price
        What is paid now, :math:`P`. [USD]
    residual
        What it is sold for after the last period, :math:`R`. [USD]
    interest
        Per period. [1]
    periods
        How many. [1]

    Leaves out: the cost of selling.

    Examples
    --------
    >>> round(float(annuity(30_000.0, 6_000.0, 0.08, 5)), 2)
    6490.95
    """
    worth_now = price - residual * (1.0 + interest) ** -periods
    return worth_now * capital_recovery(interest, periods)


def present_value(cash_flows: Sequence[Floats], interest: Floats) -> Floats:
    r"""What payments at the ends of periods are worth now; the first is due now. [USD]

    .. math:: V = \sum_{t} \frac{F_t}{(1 + i)^t}

    Parameters
    ----------
    cash_flows
        :math:`F_0, F_1, \dots`, what is paid out below zero. [USD]
    interest
        Per period. [1]

    Leaves out: when in its period a payment falls.

    Examples
    --------
    >>> round(float(present_value((-100.0, 60.0, 60.0), 0.1)), 2)
    4.13
    """
    return sum(flow / (1.0 + interest) ** place for place, flow in enumerate(cash_flows))


def energy_cost_rate(power: Floats, pue: Floats, energy_price: Floats) -> Floats:
    r"""Electricity bill of a facility. [USD/s]

    .. math:: \dot K_E = W \cdot \text{PUE} \cdot p_E

    Parameters
    ----------
    power
        Mean power of the equipment, :math:`W`. [W]
    pue
        Power of the facility over that of its equipment. [1]
    energy_price
        Tariff, :math:`p_E`. [USD/J]

    Leaves out: demand charges for the highest quarter of an hour, and taxes on them.

    Examples
    --------
    >>> year = 365.25 * 86_400.0
    >>> round(energy_cost_rate(140e6, 1.294, 0.078 / 3.6e6) * year / 1e6, 1)
    123.9
    """
    return power * pue * energy_price


def accelerator_cost_rate(
    capital_cost_rate: Floats,
    running_cost_rate: Floats,
    num_accelerators: Floats,
    utilisation: Floats,
) -> Floats:
    r"""What an accelerator costs while it is used. [USD/s]

    .. math:: \dot K = \frac{\dot K_C + \dot K_R}{N u}

    Parameters
    ----------
    capital_cost_rate
        Annuities of all that was bought, :math:`\dot K_C`. [USD/s]
    running_cost_rate
        Energy, staff, upkeep, rent, licences, :math:`\dot K_R`. [USD/s]
    num_accelerators
        :math:`N`. [1]
    utilisation
        Share of the time for which they are used, :math:`0 < u \le 1`. [1]

    Leaves out: what idle accelerators save of energy. After [2]_.

    Examples
    --------
    >>> round(accelerator_cost_rate(100.0, 40.0, 360_000, 0.8) * 3600, 2)
    1.75
    """
    return (capital_cost_rate + running_cost_rate) / (num_accelerators * utilisation)


def break_even_utilisation(cost_rate: Floats, rent_rate: Floats) -> Floats:
    r"""Share of the time above which owning is cheaper than renting by the hour. [1]

    .. math:: u^* = \dot K / \dot R

    Above 1: renting is cheaper at any use.

    Parameters
    ----------
    cost_rate
        What owning costs, used or not, :math:`\dot K`. [USD/s]
    rent_rate
        What a used hour costs, :math:`\dot R`. [USD/s]

    Leaves out: the risk of owning what nobody wants, and of finding nothing to rent.

    Examples
    --------
    >>> round(break_even_utilisation(1.42, 2.35), 3)
    0.604
    """
    return cost_rate / rent_rate


def payback_time(price: Floats, rent_rate: Floats, running_cost_rate: Floats) -> Floats:
    r"""Time after which the rent that is saved has paid for the purchase. [s]

    .. math:: T = \frac{P}{\dot R - \dot K_R}

    Infinite where renting costs less than running.

    Parameters
    ----------
    price
        Paid now, :math:`P`. [USD]
    rent_rate
        Rent that is saved. [USD/s]
    running_cost_rate
        What running one's own costs. [USD/s]

    Leaves out: interest, and rents that fall in the meantime.

    Examples
    --------
    >>> round(float(payback_time(31_250.0, 2.35 / 3600, 0.40 / 3600)) / 86_400)
    668
    """
    saved = rent_rate - running_cost_rate
    with np.errstate(divide="ignore"):
        return price / np.maximum(saved, np.abs(0.0 * saved))


def cost_per_token(cost_rate: Floats, token_rate: Floats) -> Floats:
    r"""What a token costs. [USD]

    .. math:: k = \dot K / v

    Parameters
    ----------
    cost_rate
        Of what makes them, :math:`\dot K`. [USD/s]
    token_rate
        Tokens trained on or served in a time, :math:`v`. [1/s]

    Leaves out: that tokens in and tokens out cost different amounts of work.

    Examples
    --------
    >>> round(cost_per_token(16 * 2.0 / 3600, 5_000.0) * 1e6, 3)
    1.778
    """
    return cost_rate / token_rate


def work_cost(total_flops: Floats, peak_flops: Floats, mfu: Floats, cost_rate: Floats) -> Floats:
    r"""What work on accelerators costs. [USD]

    .. math:: K = \frac{C}{F \eta} \dot K

    Parameters
    ----------
    total_flops
        Work, :math:`C`; 1 for the cost of a FLOP. [FLOP]
    peak_flops
        Peak of an accelerator, :math:`F`. [FLOP/s]
    mfu
        Share of it that is reached, failures included, :math:`\eta`. [1]
    cost_rate
        Of an accelerator, :math:`\dot K`. [USD/s]

    Leaves out: staff, data, and runs that came to nothing.

    Examples
    --------
    >>> million = 6 * 175e9 * 1e6
    >>> round(work_cost(million, 1978.9e12, 0.395, 1.42 / 3600), 2)
    0.53
    """
    return total_flops / (peak_flops * mfu) * cost_rate
