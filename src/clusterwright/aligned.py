"""Tables as text: columns that line up, in any room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, align: str = "", indent: str = ""
) -> list[str]:
    """Return the lines of a table, the header first.

    Parameters
    ----------
    header
        Names of the columns.
    rows
        Cells, as many in each row as there are columns.
    align
        A letter a column, ``l`` (left) or ``r`` (right); by default the first to the left and the
        others to the right.
    indent
        What every line begins with.

    >>> aligned(["chip", "runs"], [["h100", "983"], ["a100", "36"]])
    ['chip  runs', 'h100   983', 'a100    36']
    """
    grid = [list(header), *[list(row) for row in rows]]
    sides = align or "l" + "r" * (len(header) - 1)
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = []
    for row in grid:
        cells = [
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def percent(share: float, *, signed: bool = False, digits: int = 1) -> str:
    """Return a share in per cent, to so many decimals.

    >>> percent(0.0719), percent(-0.02), percent(0.02, signed=True), percent(0.5, digits=0)
    ('7.2 %', '-2.0 %', '+2.0 %', '50 %')
    """
    sign = "+" if signed else ""
    return f"{100.0 * share:{sign}.{digits}f} %"
