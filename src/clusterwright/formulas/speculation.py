r"""Tokens that a step gains when a drafter proposes some and the model keeps the first that agree.

References
----------
.. [1] Y. Leviathan, M. Kalman, Y. Matias, "Fast inference from transformers via speculative
   decoding," ICML 2023, arXiv:2211.17192 (equation 1).
"""

from __future__ import annotations


def accepted_tokens(drafted: int, acceptance: float) -> float:
    r"""Drafted tokens that a step keeps on average. [1]

    .. math:: \sum_{i=1}^{\gamma} \alpha^i = \frac{1 - \alpha^{\gamma + 1}}{1 - \alpha} - 1

    A drafted token is kept if all before it are and it agrees, which it does with the same
    probability at each place.

    Parameters
    ----------
    drafted
        :math:`\gamma \ge 0`, tokens proposed in a step. [1]
    acceptance
        :math:`0 \le \alpha \le 1`, probability that one agrees. [1]

    Leaves out: that later places agree less often, and that texts differ.

    Examples
    --------
    >>> accepted_tokens(1, 0.85)
    0.85
    >>> round(1 + accepted_tokens(5, 0.8), 2)
    3.69
    """
    return sum(acceptance**place for place in range(1, drafted + 1))
