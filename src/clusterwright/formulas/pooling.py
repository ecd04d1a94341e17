r"""What several studies of the same rate say of a further one.

Rates of different machines and teams differ by factors, so their logarithms are pooled.

References
----------
.. [1] J. Aitchison, J. A. C. Brown, *The Lognormal Distribution*, Cambridge 1957, chapter 5.
.. [2] G. J. Hahn, W. Q. Meeker, *Statistical Intervals*, Wiley 1991, section 4.7 (a future value).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Floats = Any

NORMAL = 1.2815515655446004
"""Standard deviations from the middle of a normal distribution to its outer tenths."""
STUDENT = (3.0777, 1.8856, 1.6377, 1.5332, 1.4759, 1.4398)
"""The same of Student's distribution with 1, 2, ... degrees of freedom."""


def middle_rate(study_rates: Sequence[Floats]) -> Floats:
    r"""Geometric mean of the rates of several studies. [1/s]

    .. math:: \bar r = \left(\prod_{i=1}^{n} r_i\right)^{1/n}

    Parameters
    ----------
    study_rates
        :math:`r_i`, one of each study. [1/s]

    Leaves out: that some studies watched more machines than others; they differ by more than
    their counts' chance.

    Examples
    --------
    >>> round(float(middle_rate((1.0, 4.0, 16.0))), 9)
    4.0
    """
    first = study_rates[0]
    return first * np.exp(np.mean([np.log(rate / first) for rate in study_rates]))


def further_spread(study_rates: Sequence[Floats]) -> Floats:
    r"""Standard deviation of the logarithm of a further study's rate. [1]

    .. math:: \sigma = s \sqrt{1 + \frac{1}{n}}, \qquad
       s^2 = \frac{1}{n - 1} \sum_i \left(\ln \frac{r_i}{\bar r}\right)^2

    Parameters
    ----------
    study_rates
        :math:`r_i`, two studies or more. [1/s]

    Leaves out: that s itself is uncertain where studies are few; see `further_reach`.

    Examples
    --------
    >>> round(float(further_spread((1.0, 4.0, 16.0))), 2)
    1.6
    """
    first = study_rates[0]
    logs = [np.log(rate / first) for rate in study_rates]
    return np.std(logs, ddof=1) * np.sqrt(1.0 + 1.0 / len(logs))


def further_reach(study_rates: Sequence[Floats]) -> Floats:
    r"""How far a further study's rate reaches: its 90th percentile over the middle [2]_. [1]

    .. math:: e^{t_{0.9,\,n-1}\, \sigma}

    with Student's quantile, as the spread :math:`\sigma` is known from n studies only. The 10th
    percentile is as far below.

    Parameters
    ----------
    study_rates
        :math:`r_i`, two studies or more. [1/s]

    Leaves out: that studies of one company are alike.

    Examples
    --------
    >>> round(float(further_reach((1.0, 4.0, 16.0))), 1)
    20.5
    """
    freedom = len(study_rates) - 1
    return np.exp(_student(freedom) * further_spread(study_rates))


def _student(freedom: int) -> float:
    """The quantile that a tenth lies above, by a table and then by Fisher's expansion."""
    if freedom <= len(STUDENT):
        return STUDENT[freedom - 1]
    z = NORMAL
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    return z + first / freedom + second / freedom**2
