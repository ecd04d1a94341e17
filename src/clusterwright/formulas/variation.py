r"""What unequal accelerators cost a job in which all wait for the slowest."""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def slowest_of_many(spread: Floats, count: Floats) -> Floats:
    r"""Expected excess of the slowest of ``count`` equal parts over their mean. [1]

    .. math:: \delta = \sigma \sqrt{2 \ln n}

    the leading term of the expected maximum of :math:`n` independent normal variables.

    Parameters
    ----------
    spread
        Standard deviation of one part's time over its mean, :math:`\sigma`. [1]
    count
        Parts that wait for each other, :math:`n`. [1]

    Leaves out: stragglers that persist or fail (they are replaced), and clusters sorted by speed.

    References
    ----------
    .. [1] H. Cramér, *Mathematical Methods of Statistics*, 1946, section 28.6.

    >>> float(round(slowest_of_many(0.01, 2048), 4))
    0.0391
    """
    return spread * np.sqrt(2.0 * np.log(np.maximum(count, 1.0)))
