"""A formula's parameters by least squares on the logarithm of the time, deaf to outliers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from clusterwright.errors import InputError
from clusterwright.validation.kernel_tables import Array


class Parameter(NamedTuple):
    """One parameter of a formula: where the search starts and between which bounds it stays.

    All are positive and searched by their logarithm, so that 1e-6 s and 1e6 elements are alike.
    """

    name: str
    start: float
    low: float
    high: float


def fit(
    times: Callable[[Mapping[str, float]], Array],
    measured: Array,
    parameters: Sequence[Parameter],
    *,
    tolerance: float = 0.05,
    starts: Sequence[Mapping[str, float]] = ({},),
) -> dict[str, float]:
    r"""Return the parameters whose times lie nearest to measured ones.

    .. math:: \min \sum_i \rho\!\left( \ln \frac{t_i(\theta)}{\hat t_i} \right), \qquad
       \rho(r) = 2 s^2 \left( \sqrt{1 + (r/s)^2} - 1 \right)

    Beyond ``tolerance`` :math:`s` an error counts by its size, not its square: a table's odd rows
    do not bend the rest.

    Parameters
    ----------
    times
        From values by name to the time of each row. [s]
    measured
        Time of each row. [s]
    parameters
        What to search.
    tolerance
        Relative error where outliers begin, :math:`s`. [1]
    starts
        Values to start from instead of each parameter's own; the best end counts.

    Raises
    ------
    InputError
        When there are fewer rows than parameters, or scipy is not installed.
    """
    least_squares = _least_squares()
    if len(measured) < 2 * len(parameters):
        raise InputError(
            f"{len(measured)} rows are too few to fit {len(parameters)} parameters: "
            f"measure at least {2 * len(parameters)} shapes"
        )
    names = [p.name for p in parameters]
    low, high = (np.log([getattr(p, side) for p in parameters]) for side in ("low", "high"))
    target = np.log(measured)

    def residuals(logs: Array) -> Array:
        values = dict(zip(names, np.exp(logs), strict=True))
        return np.log(times(values)) - target

    best = None
    for start in starts:
        first = np.log([start.get(p.name, p.start) for p in parameters])
        first = np.clip(first, low + 1e-6, high - 1e-6)
        found = least_squares(
            residuals, first, bounds=(low, high), loss="soft_l1", f_scale=tolerance, max_nfev=60
        )
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    return dict(zip(names, np.exp(best.x).tolist(), strict=True))


def _least_squares() -> Callable[..., Any]:
    try:
        from scipy.optimize import least_squares
    except ImportError:
        raise InputError("fitting needs scipy: pip install 'clusterwright[calibrate]'") from None
    found: Callable[..., Any] = least_squares
    return found
