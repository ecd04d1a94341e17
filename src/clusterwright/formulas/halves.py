r"""Two halves of a batch that take turns: one computes while the other's tokens travel.

References
----------
.. [1] DeepSeek-AI, "DeepSeek-V3 technical report," arXiv:2412.19437 (sections 3.4.1 and 3.4.2).
.. [2] vLLM, "Dual batch overlap," design documents.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = Any


def halved_time(kernel_time: Floats, traffic_time: Floats) -> Floats:
    r"""Seconds that a batch takes in two halves. [s]

    .. math:: t = 2 \max(t_k, t_x)

    Kernels and network each serve one half at a time, so that whichever is busier sets the pace.

    Parameters
    ----------
    kernel_time
        :math:`t_k`, of one half on the device. [s]
    traffic_time
        :math:`t_x`, of one half between devices. [s]

    Leaves out: the first and the last turn, in which one of them waits; units of the device that
    the traffic takes; layers in which the shares differ.

    Examples
    --------
    >>> float(halved_time(3.0, 2.0)), float(halved_time(3.0, 4.0))
    (6.0, 8.0)
    """
    return 2.0 * np.maximum(kernel_time, traffic_time)
