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

    Leaves out: that s itself is uncertain, which Student's distribution would add where studies are
    few.

    Examples
    --------
    >>> round(float(further_spread((1.0, 4.0, 16.0))), 2)
    1.6
    """
    first = study_rates[0]
    logs = [np.log(rate / first) for rate in study_rates]
    return np.std(logs, ddof=1) * np.sqrt(1.0 + 1.0 / len(logs))
