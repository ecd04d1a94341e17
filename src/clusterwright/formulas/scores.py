r"""Several measures of an accelerator as one number, and a fleet as so many of another kind."""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def weighted_mean_ratio(ratios: Floats, weights: Floats) -> Floats:
    r"""Weighted geometric mean of ratios to a reference, over the first axis. [1]

    .. math:: S = \exp \frac{\sum_i w_i \ln r_i}{\sum_i w_i}

    The one mean of ratios that does not depend on which machine is the reference: that of
    :math:`a/b` is that of :math:`a/c` over that of :math:`b/c`.

    Parameters
    ----------
    ratios
        :math:`r_i > 0`, measures over those of the reference, more being better. [1]
    weights
        :math:`w_i > 0`; they need not add up to 1. [1]

    Leaves out: measures that are missing. Drop them with their weights, and say so.

    References
    ----------
    .. [1] P. J. Fleming, J. J. Wallace, "How not to lie with statistics: the correct way to
       summarize benchmark results," Communications of the ACM 29(3), 1986.

    >>> float(round(weighted_mean_ratio([2.0, 0.5], [0.5, 0.5]), 9))
    1.0
    >>> float(round(weighted_mean_ratio([4.0, 1.0], [1.0, 1.0]), 9))
    2.0
    """
    ratios, weights = np.asarray(ratios), np.asarray(weights)
    # Column by column where the ratios have more axes than one.
    aligned = weights.reshape(weights.shape + (1,) * (ratios.ndim - weights.ndim))
    return np.exp(np.sum(aligned * np.log(ratios), axis=0) / np.sum(weights))


def fleet_equivalents(counts: Floats, ratios: Floats) -> Floats:
    r"""How many of a reference accelerator do what a mixed fleet does. [1]

    .. math:: E = \sum_i n_i r_i

    Parameters
    ----------
    counts
        :math:`n_i`, accelerators of each kind. [1]
    ratios
        :math:`r_i`, what one of a kind does over what the reference does: peak, or work. [1]

    Leaves out: whether kinds can work on one job together, and what they lose by it.

    >>> float(fleet_equivalents([150e3, 50e3], [1.0, 1.5]))
    225000.0
    """
    return np.sum(np.asarray(counts) * np.asarray(ratios), axis=0)
