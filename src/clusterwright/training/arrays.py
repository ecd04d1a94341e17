"""Sums and maxima over arrays of different shapes, and distinct rows of columns."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def sum_parts(parts: dict[str, Array]) -> Array:
    """Sum of arrays of different shapes, equal shapes first, then rising sizes."""
    by_shape: dict[tuple[int, ...], Array] = {}
    for part in parts.values():
        shape = np.shape(part)
        by_shape[shape] = by_shape[shape] + part if shape in by_shape else part
    arrays = sorted(by_shape.values(), key=np.size)
    return sum(arrays[1:], start=arrays[0])


def total_of(arrays: list[Array]) -> Array:
    """Sum of a few arrays that broadcast."""
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total


def largest_of(arrays: list[Array]) -> Array:
    """Element-wise maximum of arrays that broadcast."""
    largest = arrays[0]
    for array in arrays[1:]:
        largest = np.maximum(largest, array)
    return largest


def distinct(values: Array) -> Array:
    """Distinct whole numbers, 0 or more, rising.

    >>> distinct(np.array([3, 0, 3]))
    array([0, 3])
    """
    return np.flatnonzero(np.bincount(values))


def unique_rows(columns: list[Array]) -> tuple[Array, Array]:
    """Distinct combinations of columns, (columns, unique), and each row's index among them."""
    codes, highest = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        if column.strides == (0,):  # one value everywhere
            continue
        values, index = _ranked(column)
        codes = codes * len(values) + index
        highest *= len(values)
        if highest > len(codes):  # what never occurs goes, so that there are few codes at any time
            kinds, codes = _ranked(codes)
            highest = len(kinds)
    _, codes = _ranked(codes)
    first = np.empty(codes.max(initial=-1) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return np.array([column[first] for column in columns], dtype=float), codes


def _ranked(column: Array) -> tuple[Array, Array]:
    """Distinct values, rising, and each row's place among them; quick for small whole numbers."""
    whole = column.astype(np.int64)
    low, high = whole.min(initial=0), whole.max(initial=0)
    if low >= 0 and high <= 4 * len(whole) and (whole == column).all():
        values = distinct(whole)
        place = np.zeros(high + 1, dtype=np.int64)
        place[values] = np.arange(len(values))
        return values, place[whole]
    return np.unique(column, return_inverse=True)
