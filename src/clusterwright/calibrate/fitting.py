"""A formula's parameters by least squares on the logarithm of the time, deaf to outliers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from clusterwright.errors import InputError, TableError
from clusterwright.kernels.columns import Array


class Parameter(NamedTuple):
    """One parameter of a formula: where the search starts and between which bounds it stays.

    All are positive and searched by their logarithm, so that 1e-6 s and 1e6 elements are alike.
    ``neutral``: value that the formula takes where it is not given; ``None``: it must be given.
    """

    name: str
    start: float
    low: float
    high: float
    neutral: float | None = None


def fit(
    times: Callable[[Mapping[str, float]], Array],
    measured: Array,
    parameters: Sequence[Parameter],
    *,
    start: Mapping[str, float] | None = None,
    tolerance: float = 0.05,
    max_steps: int = 60,
) -> tuple[float, dict[str, float]]:
    r"""Return the loss per row, and the parameters whose times lie nearest to measured ones.

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
    start
        Values to start from instead of the parameters' own.
    tolerance
        Relative error where outliers begin, :math:`s`. [1]
    max_steps
        Steps of the search at the most.

    Raises
    ------
    TableError
        When there are too few rows for the parameters.
    InputError
        When scipy is not installed.
    """
    least_squares = _least_squares()
    if len(measured) < 2 * len(parameters):
        raise TableError(
            f"{len(measured)} rows are too few to fit {len(parameters)} parameters: "
            f"measure at least {2 * len(parameters)} shapes"
        )
    names = [p.name for p in parameters]
    low, high = (np.log([getattr(p, side) for p in parameters]) for side in ("low", "high"))
    target, given = np.log(measured), start or {}

    def residuals(logs: Array) -> Array:
        values = dict(zip(names, np.exp(logs), strict=True))
        return np.log(times(values)) - target

    first = np.log([given.get(p.name, p.start) for p in parameters])
    found = least_squares(
        residuals,
        np.clip(first, low + 1e-6, high - 1e-6),
        bounds=(low, high),
        loss="soft_l1",
        f_scale=tolerance,
        max_nfev=max_steps,
    )
    values = dict(zip(names, np.exp(found.x).tolist(), strict=True))
    return float(found.cost) / len(measured), values


def _least_squares() -> Callable[..., Any]:
    try:
        from scipy.optimize import least_squares
    except ImportError:
        raise InputError("fitting needs scipy: pip install 'clusterwright[calibrate]'") from None
    found: Callable[..., Any] = least_squares
    return found
