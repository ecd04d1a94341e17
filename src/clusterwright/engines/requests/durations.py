"""How long a step takes, read from tables: linear between the points of a grid, and beyond."""

from __future__ import annotations

from clusterwright.engines.requests.things import Array, Kind


def cell(tables: Array, at: int, points: int, value: float) -> int:
    """Return the last point of a grid that is not above a value; never the very last point."""
    low, high = 0, points - 1
    while high - low > 1:
        middle = (low + high) >> 1
        if tables[at + middle] <= value:
            low = middle
        else:
            high = middle
    return low


def interpolated(tables: Array, grid_at: int, points: int, values_at: int, value: float) -> float:
    """Return what a table says at a value of its grid."""
    low = cell(tables, grid_at, points, value)
    start, end = tables[grid_at + low], tables[grid_at + low + 1]
    one, other = tables[values_at + low], tables[values_at + low + 1]
    found: float = one + (value - start) / (end - start) * (other - one)
    return found


def attention_line(
    tables: Array, kind: Kind, sequences: float, context: float
) -> tuple[float, float, float]:
    """Attention of decoding near a mean context: time [s], its slope [s/token], where that ends."""
    columns = kind.num_context
    row = cell(tables, kind.rows_at, kind.num_rows, sequences)
    column = cell(tables, kind.context_at, columns, context)
    below, above = tables[kind.rows_at + row], tables[kind.rows_at + row + 1]
    share = (sequences - below) / (above - below)
    low = kind.attention_at + row * columns + column
    high = low + columns
    left = tables[low] + share * (tables[high] - tables[low])
    right = tables[low + 1] + share * (tables[high + 1] - tables[low + 1])
    start, end = tables[kind.context_at + column], tables[kind.context_at + column + 1]
    slope = (right - left) / (end - start)
    if column + 2 == columns:
        end = 1e18  # the last cell goes on for ever
    return left + slope * (context - start), slope, end
