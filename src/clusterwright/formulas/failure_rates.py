r"""How often something fails, of many parts all of which a job needs.

References
----------
.. [1] R. E. Barlow, F. Proschan, "Mathematical theory of reliability," Wiley 1965 (series systems).
.. [2] A. Kokolis et al., "Revisiting reliability in large-scale machine learning research
   clusters," arXiv:2410.21680 (47.7 days for jobs of 8 accelerators, 7.9 hours for those of 1,024,
   for which the rate of large runs would give 29).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def first_failure_time(mean_time_to_failure: Floats, count: Floats) -> Floats:
    r"""Mean time until the first of many equal parts fails [1]_. [s]

    .. math:: M_n = M / n

    Parameters
    ----------
    mean_time_to_failure
        :math:`M`, of one part. [s]
    count
        :math:`n`, parts. [1]

    Leaves out: early failures and wear, where a part's rate is not constant, and what takes several
    parts with it.

    Examples
    --------
    Five years for one link; 100,000 links.

    >>> round(first_failure_time(5 * 365 * 86400, 100_000) / 60, 2)
    26.28
    """
    return mean_time_to_failure / count


def job_failure_rate(
    num_nodes: Floats,
    small_rate: Floats,
    large_rate: Floats,
    small_nodes: Floats,
    large_nodes: Floats,
) -> Floats:
    r"""Rate at which a job fails, where small jobs fail more often per node [2]_. [1/s]

    .. math::

       \Lambda = N\, r_l \left(\frac{r_s}{r_l}\right)^{x}, \qquad
       x = \operatorname{clip}\left(\frac{\ln(N_l / N)}{\ln(N_l / N_s)},\ 0,\ 1\right)

    The rate per node is :math:`r_s` up to :math:`N_s` nodes, :math:`r_l` from :math:`N_l` on, and a
    straight line between them where both axes are logarithmic.

    Parameters
    ----------
    num_nodes
        :math:`N`, nodes of the job. [1]
    small_rate
        :math:`r_s`, failures of one node of small jobs. [1/s]
    large_rate
        :math:`r_l`, failures of one node of large runs. [1/s]
    small_nodes
        :math:`N_s`, nodes up to which a job is small. [1]
    large_nodes
        :math:`N_l > N_s`, nodes from which a run is large. [1]

    Leaves out: why. Small jobs are many people's, larger runs pick their nodes and drop those that
    fail often; what lies between the two regimes is interpolated and not measured.

    Examples
    --------
    Llama 3, 419 interruptions in 54 days on 2,048 nodes, lies in the regime of large runs.

    >>> rate = 419 / (54 * 2048)
    >>> round(job_failure_rate(2048, 5.9 * rate, rate, 128, 2048) * 54)
    419
    """
    place = np.log(large_nodes / num_nodes) / np.log(large_nodes / small_nodes)
    return num_nodes * large_rate * (small_rate / large_rate) ** np.clip(place, 0.0, 1.0)
