"""What a study's answers say together: the best rows, intervals, and what moves the results."""

from __future__ import annotations

from typing import Any

import numpy as np

from clusterwright.records import Record
from clusterwright.sweep.answered import Answered
from clusterwright.sweep.designs import Table
from clusterwright.sweep.study import Case
from clusterwright.uncertain import Influence, Interval, Swing, interval_of, shares_of_variance

Array = Any

MOST_BEST = 10
MOST_MOVED = 4
MOST_SAID = 5


class Moved(Record, frozen=True, kw_only=True):
    """What moves one result: by each option alone, and its share of the variance, widest first.

    ``swings`` of a drawn option: the result with it at its 10th and 90th percentile, the others
    likely; of an axis: the least and the most of the means over all else. ``influences``: Sobol'
    indices; none, and ``why_not``: rows lack, or the design has none.
    """

    result: str
    swings: tuple[Swing, ...]
    influences: tuple[Influence, ...] = ()
    why_not: str = ""


class Place(Record, frozen=True, kw_only=True):
    """One place of the grid: what is set there, what was chosen, what came of it.

    ``row``: of the grid, or of the likely values. ``results``: its numbers in SI; ``spreads``: over
    the samples, of the answered ``share`` of them; ``moved``: what moves them there.
    """

    row: int
    case: Case
    how: str
    results: dict[str, float | None]
    spreads: dict[str, Interval] = {}
    share: float = 1.0
    moved: tuple[Moved, ...] = ()


class Summary(Record, frozen=True, kw_only=True):
    """A study in the end, or as far as it is.

    ``by``: the result by which places are ranked, the least first or the ``most``. ``best``: those
    places. ``moved``: what the axes of a grid move. ``refusals``, ``faults``: sentences, and how
    many rows each refuses or breaks; ``failed``: chunks of rows whose workers died.
    """

    question: str
    rows: int
    answered: int
    refused: int
    broke: int
    by: str
    most: bool
    best: tuple[Place, ...]
    moved: tuple[Moved, ...]
    refusals: tuple[tuple[str, int], ...]
    faults: tuple[tuple[str, int], ...]
    failed: tuple[str, ...]

    @property
    def done(self) -> int:
        """Rows that are done."""
        return self.answered + self.refused + self.broke


def summed(store: Answered, *, most_best: int = MOST_BEST) -> Summary:
    """Sum a study's answers up, with so many of the best places."""
    study, table, counts = store.study, store.table, store.counts()
    by = study.most or study.least or next(iter(study.kept))
    results = _moved_results(store, by)
    columns = {name: store.column(name).reshape(table.cells, table.block) for name in results}
    best = _ranked(table, columns[by], most=bool(study.most))[:most_best]
    drawn = bool(table.names)
    return Summary(
        question=study.question,
        rows=table.count,
        answered=counts.get("answered", 0),
        refused=counts.get("refused", 0),
        broke=counts.get("broke", 0),
        by=by,
        most=bool(study.most),
        best=tuple(_place(store, int(cell), columns) for cell in best),
        moved=() if drawn else _axes_moved(table, columns),
        refusals=tuple(store.refusals("refused")[:MOST_SAID]),
        faults=tuple(store.refusals("broke")[:MOST_SAID]),
        failed=_not_done(store),
    )


def _not_done(store: Answered) -> tuple[str, ...]:
    """Chunks that could not be done, in words; of many the first."""
    every = store.failed()
    said = [
        f"rows {chunk.first:,} to {chunk.first + chunk.rows - 1:,}: {why}"
        for chunk, why in every[:MOST_SAID]
    ]
    more = len(every) - len(said)
    return (*said, f"and {more:,} more such runs of rows") if more else tuple(said)


def _moved_results(store: Answered, by: str) -> list[str]:
    """The results of which it is said what moves them: those asked for, the ranked one first."""
    return list(dict.fromkeys([by, *store.study.results]))[:MOST_MOVED]


def _ranked(table: Table, column: Array, *, most: bool) -> Array:
    """Cells of the grid by a result, or by its median over samples, the best first."""
    value = column[:, 0]
    if table.names:
        found = column[:, table.within("ours")]
        some = np.isfinite(found).any(axis=1)
        value = np.full(len(column), np.nan)
        value[some] = np.nanmedian(found[some], axis=1)
    order = np.argsort(-value if most else value, kind="stable")
    return order[np.isfinite(value[order])]


def _place(store: Answered, cell: int, columns: dict[str, Array]) -> Place:
    table = store.table
    row = cell * table.block
    answer = store.answer(row)
    numbers = {name: answer.get(name) for name in store.study.kept}
    found = Place(row=row, case=table.case(cell), how=answer.get("how", ""), results=numbers)
    if not table.names:
        return found
    spreads, share = {}, 1.0
    for name, column in columns.items():
        draws = column[cell, _plain(table)]
        known = draws[np.isfinite(draws)]
        if len(known):
            spreads[name] = interval_of(known)
            share = min(share, len(known) / len(draws))
    moved = tuple(_drawn_moved(table, name, column[cell]) for name, column in columns.items())
    return Place(
        row=row, case=found.case, how=found.how, results=numbers,
        spreads=spreads, share=share, moved=moved,
    )  # fmt: skip


def _plain(table: Table) -> list[int]:
    """Numbers of a cell's samples in which all options are drawn alike."""
    both = [*table.within("ours")]
    return [*both, *table.within("others")] if table.study.design == "sobol" else both


def _drawn_moved(table: Table, result: str, column: Array) -> Moved:
    """What the drawn options move in one cell."""
    swings = [
        Swing(name=name, low=float(column[1 + 2 * place]), high=float(column[2 + 2 * place]))
        for place, name in enumerate(table.names)
    ]
    known = [one for one in swings if np.isfinite((one.low, one.high)).all()]
    known.sort(key=lambda one: (-abs(one.high - one.low), one.name))
    if table.study.design != "sobol":
        return Moved(result=result, swings=tuple(known))
    ours, others = column[table.within("ours")], column[table.within("others")]
    mixed = {n: column[table.within("mixed", place)] for place, n in enumerate(table.names)}
    whole = np.isfinite(np.stack([ours, others, *mixed.values()])).all(axis=0)
    if np.count_nonzero(whole) < 2:
        return Moved(result=result, swings=tuple(known), why_not="no sample is answered in full")
    found = shares_of_variance(
        ours[whole], others[whole], {name: one[whole] for name, one in mixed.items()}
    )
    left = len(whole) - int(np.count_nonzero(whole))
    said = f"{left:,} of {len(whole):,} samples are left out: not answered in full" if left else ""
    return Moved(result=result, swings=tuple(known), influences=tuple(found), why_not=said)


def _axes_moved(table: Table, columns: dict[str, Array]) -> tuple[Moved, ...]:
    """What the axes of a grid move; of a full grid the indices are exact."""
    shape = [len(axis.cases) for axis in table.axes]
    loose = [place for place, size in enumerate(shape) if size > 1]
    if not loose:
        return ()
    return tuple(
        _axis_moved(table, name, column.reshape(shape), loose) for name, column in columns.items()
    )


def _axis_moved(table: Table, result: str, grid: Array, loose: list[int]) -> Moved:
    names = [axis.name for axis in table.axes]
    swings, influences = [], []
    whole = bool(np.isfinite(grid).all())
    variance = float(np.var(grid)) if whole else 0.0
    for place in loose:
        others = tuple(one for one in range(grid.ndim) if one != place)
        means = _means(grid, others)
        if means.size:
            low, high = float(means.min()), float(means.max())
            swings.append(Swing(name=names[place], low=low, high=high))
        if variance:
            first = float(np.var(grid.mean(axis=others))) / variance
            total = float(np.mean(np.var(grid, axis=place))) / variance
            influences.append(Influence(name=names[place], first=first, total=total))
    swings.sort(key=lambda one: (one.low - one.high, one.name))
    influences.sort(key=lambda one: (-one.total, one.name))
    why = "" if whole else "rows without an answer: no shares of the variance"
    return Moved(result=result, swings=tuple(swings), influences=tuple(influences), why_not=why)


def _means(grid: Array, over: tuple[int, ...]) -> Array:
    """Means of what is answered, where anything is."""
    known = np.isfinite(grid)
    count = known.sum(axis=over)
    total = np.where(known, grid, 0.0).sum(axis=over)
    return total[count > 0] / count[count > 0]
