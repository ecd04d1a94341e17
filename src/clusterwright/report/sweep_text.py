"""Studies as text: what will be asked, how far it is, what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusterwright.aligned import aligned
from clusterwright.report.folding import WIDTH, fold
from clusterwright.sweep.designs import Table
from clusterwright.sweep.options import UNITS
from clusterwright.sweep.study import Study
from clusterwright.sweep.summing import Moved, Place, Summary
from clusterwright.sweep.sweeping import Progress
from clusterwright.uncertain import Interval
from clusterwright.units import format_quantity, format_time

FIRST = 5
MOST_COLUMNS = 4
SHARES = ("mfu", "hfu", "goodput", "closed_form", "busy", "waited")
USUAL = {
    "plan train": ("step_time", "mfu", "wall", "cost"),
    "estimate train": ("step_time", "mfu", "memory"),
    "plan serve": ("used", "ttft_p90", "tpot_p90", "million_owned"),
    "fleet": ("goodput", "duration", "standby"),
    "site": ("expected", "energy", "bill", "hour"),
}
"""Results that are shown where a study does not name its own."""


def begun_text(study: Study, table: Table) -> str:
    """What a study will ask."""
    lines = [f"{study.question}: {_counted(table.count, 'question')}"]
    for axis in table.axes:
        lines += fold(f"  {axis.name:<14} {len(axis.cases)}: {'; '.join(axis.labels)}", 17)
    for name, spread in study.uncertain.items():
        ends = [spread.at(study.asks.options[name], place) for place in (0.0, 0.5, 1.0)]
        lines.append(f"  {name:<14} drawn: {', '.join(_shown(name, end, study) for end in ends)}")
    if study.uncertain:
        lines.append(
            f"  {study.design}: {_counted(study.samples, 'sample')} from seed {study.seed}, "
            f"{_counted(table.block, 'question')} for each of {_counted(table.cells, 'place')}"
        )
    lines += ["", "The first ones"]
    for index in range(min(FIRST, table.count)):
        row = table.row(index).items()
        words = (f"{name} {_shown(name, value, study)}" for name, value in row)
        lines += fold(f"  {index}: {'; '.join(words)}", 5)
    return "\n".join(lines) + "\n"


def progress_words(progress: Progress) -> str:
    """How far a sweep is, in one line."""
    left = format_time(progress.left) if math.isfinite(progress.left) else "?"
    return f"{progress.done:,} of {progress.rows:,} questions, {progress.rate:,.3g}/s, {left} to go"


def summary_text(found: Summary, study: Study) -> str:
    """What came of a study."""
    blocks = [
        _title(found),
        _best(found, study),
        *([_line] for one in found.best[:1] for _line in _place_moved(one, study)),
        *(_moved(one, study, "") for one in found.moved),
        _said("Refused", found.refusals),
        _said("A fault of clusterwright; please report it", found.faults),
        _said("Not done", [(why, 0) for why in found.failed]),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def left_text(found: Summary, out: Path) -> str:
    """What is left to do, and where the answers are."""
    left = found.rows - found.done
    more = f"; {left:,} to go: the same command goes on" if left else ""
    return f"\nAnswers: {out}{more}\n"


def _title(found: Summary) -> list[str]:
    parts = [f"{found.answered:,} answered"]
    parts += [f"{found.refused:,} refused"] if found.refused else []
    parts += [f"{found.broke:,} broke"] if found.broke else []
    return [f"{found.question}: {_counted(found.rows, 'question')}, {', '.join(parts)}"]


def _best(found: Summary, study: Study) -> list[str]:
    """The best places of the grid, as a table."""
    if not found.best:
        return []
    header, rows, named = places_table(found, study)
    for one in (header, *rows):
        one[0] = f"  {one[0]}"
    words = f"{'Most' if found.most else 'Least'} {called(found.by)} first"
    if study.uncertain:
        words += ": medians over the samples, and 80 % intervals"
    table = aligned(header, rows, align="l" * named + "r" * (len(header) - named))
    how = [place.how for place in found.best[:1] if place.how]
    chosen = fold(f"  the first: {how[0]}", 13) if how else []
    return [words, *table, *chosen]


def places_table(found: Summary, study: Study) -> tuple[list[str], list[list[str]], int]:
    """The best places of a grid: header, rows, and how many columns name a place."""
    shown = _shown_results(found, study)
    names = list(dict.fromkeys(name for place in found.best for name in place.case))
    rows = [_best_row(place, names, shown, study) for place in found.best]
    return [*(names or [""]), *shown], rows, max(1, len(names))


def _best_row(place: Place, names: list[str], shown: list[str], study: Study) -> list[str]:
    cells = [_plain(place.case.get(name, "-")) for name in names] or [""]
    for name in shown:
        value = place.results.get(name)
        spread = place.spreads.get(name)
        if spread is not None:
            cells.append(_interval(name, spread, study))
        else:
            cells.append("-" if value is None else quantity_words(name, value, study))
    return cells


def _shown_results(found: Summary, study: Study) -> list[str]:
    usual = study.results or tuple(n for n in USUAL[study.question] if n in study.kept)
    names = list(dict.fromkeys([found.by, *usual]))[:MOST_COLUMNS]
    some = [n for n in names if any(place.results.get(n) is not None for place in found.best)]
    return some or [found.by]


def _place_moved(place: Place, study: Study) -> list[str]:
    """What moves the results of the best place."""
    where = ", ".join(map(_plain, place.case.values()))
    blocks = [_moved(one, study, where) for one in place.moved]
    return ["\n".join(block) for block in blocks if block]


def _moved(one: Moved, study: Study, where: str) -> list[str]:
    """A tornado, and Sobol' indices beside it."""
    if not one.swings:
        return []
    shares: Mapping[str, tuple[float, float]] = {
        found.name: (found.first, found.total) for found in one.influences
    }
    header = ["  what moves it", "low", "high"]
    header += ["alone", "with others"] if shares else []
    rows = [
        [
            f"  {swing.name}",
            quantity_words(one.result, swing.low, study),
            quantity_words(one.result, swing.high, study),
            *(f"{max(0.0, share):.0%}" for share in shares.get(swing.name, ())),
        ]
        for swing in one.swings
    ]
    title = f"{called(one.result).capitalize()}{f' with {where}' if where else ''}"
    meaning = (
        "low and high: each alone at its 10th and 90th percentile"
        if study.uncertain
        else "low and high: of the means over all else"
    )
    meaning += "; shares of the variance" if shares else ""
    lines = fold(f"{title}, {meaning}", 2) + aligned(header, rows)
    return [*lines, f"  {one.why_not}"] if one.why_not else lines


def _said(title: str, said: Sequence[tuple[str, int]]) -> list[str]:
    """Sentences, and how many rows each is about."""
    if not said:
        return []
    lines = [title]
    for sentence, count in said:
        lines += _folded(f"  {count:>7,}  {sentence}" if count else f"  {sentence}")
    return lines


def _folded(line: str) -> list[str]:
    import textwrap

    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * 11, break_on_hyphens=False)


def quantity_words(name: str, value: float, study: Study) -> str:
    """A result as a person reads it."""
    if name in SHARES:
        return f"{value:.1%}"
    return format_quantity(value, study.kept[name])


def _interval(name: str, one: Interval, study: Study) -> str:
    middle, low, high = (quantity_words(name, at, study) for at in (one.middle, one.low, one.high))
    return middle if low == high else f"{middle} ({low} to {high})"


def called(result: str) -> str:
    """A result by its name, in words."""
    return result.replace("_", " ")


def _shown(name: str, value: object, study: Study) -> str:
    """A value in people's units, also where it was drawn and is in SI."""
    spread = study.uncertain.get(name)
    if spread is None or spread.dimension not in UNITS or not isinstance(value, str):
        return _plain(value)
    number = value.removesuffix(f" {UNITS[spread.dimension]}")
    return _plain(value) if number == value else format_quantity(float(number), spread.dimension)


def _plain(value: object) -> str:
    """A value as a person writes it; drawn ones have more digits than that."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    number, blank, unit = str(value).partition(" ")
    try:
        return f"{float(number):.4g}{blank}{unit}" if blank else str(value)
    except ValueError:
        return str(value)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
