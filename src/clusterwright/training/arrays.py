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


def unique_rows(columns: list[Array]) -> tuple[Array, Array]:
    """Distinct combinations of columns, (columns, unique), and each row's index among them."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values, index = np.unique(column, return_inverse=True)
        codes = codes * len(values) + index
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return np.array([column[first] for column in columns], dtype=float), inverse
