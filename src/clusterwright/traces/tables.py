"""Traces that are tables: Azure, BurstGPT and our own plain one.

Columns are found by their names, in any order and in either case; those that are not named here
are not looked at, except in a plain table, which is ours and has no others.

Sources, read on stored copies in 2026: ``AzureLLMInferenceDataset2023.md``, ``…2024.md`` and
``data/AzureLLMInferenceTrace_code.csv`` of github.com/Azure/AzurePublicDataset (CC-BY; Patel et
al., Splitwise, ISCA 2024; Stojkovic et al., DynamoLLM, arXiv 2408.00741). ``README.md`` of
github.com/HPMLL/BurstGPT (CC-BY; Wang et al., arXiv 2401.17644), whose first files have 6 columns;
``Session ID`` and ``Elapsed time`` came with ``BurstGPT_3.csv``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from clusterwright.errors import TableError, nearest_names
from clusterwright.traces.gathering import MOST, Gathered, UnfitError, clipped, moment, whole
from clusterwright.traces.opening import text_lines_of
from clusterwright.traces.trace import Trace

FAILED = "failed requests (0 response tokens)"
PRIORITY = "priority"

_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T]([01]\d|2[0-3]):([0-5]\d):([0-5]\d(?:\.\d{1,9})?)"
    r"(?:Z|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)


class Calendar:
    """Seconds from the minute that is asked for first, so that fractions keep their digits.

    >>> calendar = Calendar()
    >>> calendar("2023-11-16 18:17:03.5000000", "TIMESTAMP")
    3.5
    >>> calendar("2023-11-17T20:18:00+02:00", "TIMESTAMP")
    86460.0
    """

    def __init__(self) -> None:
        self._minute_of_day: dict[str, int] = {}
        self._first: int | None = None

    def __call__(self, text: str, name: str) -> float:
        """Return the time of an ISO date and time; one without a zone is in UTC. [s]"""
        found = _STAMP.fullmatch(text)
        if found is None or (minute := self._midnight(found[1])) is None:
            raise UnfitError(
                f"{name} is {clipped(text)}, but must be a date and time such as "
                "2023-11-16 18:17:03.9799600"
            )
        _, hours, minutes, seconds, sign, zone_hours, zone_minutes = found.groups()
        minute += 60 * int(hours) + int(minutes)
        if sign:
            zone = 60 * int(zone_hours) + int(zone_minutes)
            minute += zone if sign == "-" else -zone
        if self._first is None:
            self._first = minute
        return 60 * (minute - self._first) + float(seconds)

    def _midnight(self, text: str) -> int | None:
        """Return the minute at which a day begins, or ``None`` if there is no such day."""
        if text not in self._minute_of_day:
            try:
                self._minute_of_day[text] = date.fromisoformat(text).toordinal() * 24 * 60
            except ValueError:
                return None
        return self._minute_of_day[text]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a format calls its columns.

    ``clock`` makes what turns a cell into seconds. ``may_fail``: no output means that a request
    failed. ``closed``: there are no other columns than these and ``priority``.
    """

    name: str
    time: str
    prompt: str
    output: str
    clock: Callable[[], Callable[[str, str], float]]
    may_fail: bool = False
    closed: bool = False

    @property
    def columns(self) -> tuple[str, str, str]:
        """The columns that must be there."""
        return self.time, self.prompt, self.output


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("azure", "TIMESTAMP", "ContextTokens", "GeneratedTokens", Calendar),
        Layout(
            "burstgpt",
            "Timestamp",
            "Request tokens",
            "Response tokens",
            lambda: moment,
            may_fail=True,
        ),
        Layout("plain", "arrival_s", "prompt_tokens", "output_tokens", lambda: moment, closed=True),
    )
}


def header_cells(line: str) -> list[str]:
    """Return the names in the first line of a table in lower case, whatever separates them."""
    return [name.strip(' "\r\n').lower() for name in re.split(r"[,;\t|]", line)]


def read_table(path: Path, layout: Layout) -> Trace:
    """Read a trace that is a table, plain or gzip.

    ``azure``: times are dates, to 100 ns in 2023 and with a zone in 2024. ``burstgpt``: times are
    seconds; requests with 0 response tokens failed and are dropped. ``plain``: times are seconds;
    priorities are whole numbers, and less goes first.

    Raises
    ------
    InputError
        There is no such file.
    TableError
        A column is missing, or lines are broken; names them.
    """
    rows = _rows(path)
    _, header = next(rows, (0, []))
    names = _checked_header(path, header, layout)
    at_time, at_prompt, at_output = (names.index(name.lower()) for name in layout.columns)
    at_priority = names.index(PRIORITY) if layout.closed and PRIORITY in names else None
    clock = layout.clock()
    least_output = 0 if layout.may_fail else 1
    gathered = Gathered(path)
    for line, cells in rows:
        try:
            if len(cells) != len(names):
                raise UnfitError(f"{len(cells)} cells under {len(names)} columns")  # noqa: TRY301
            seconds = clock(cells[at_time].strip(), layout.time)
            output = whole(cells[at_output].strip(), layout.output, least=least_output)
            failed = output == 0 and layout.may_fail
            prompt = whole(cells[at_prompt].strip(), layout.prompt, least=0 if failed else 1)
            if failed:
                gathered.drop(line, FAILED)
                continue
            priority = 0 if at_priority is None else _priority(cells[at_priority])
            gathered.add(seconds, prompt, output, priority=priority)
        except UnfitError as unfit:
            gathered.refuse(line, str(unfit))
    return gathered.trace()


def _priority(cell: str) -> int:
    return whole(cell.strip(), PRIORITY, least=-MOST)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield rows that are not blank, with the line on which each starts."""
    reader = csv.reader(text_lines_of(path), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise TableError(
                f"{path}, line {line}: not readable as CSV ({error}); is a quote left open or the "
                "file truncated?"
            ) from None
        if any(map(str.strip, cells)):
            yield line, cells


def _checked_header(path: Path, header: list[str], layout: Layout) -> list[str]:
    """Return the column names in lower case, or say what is wrong with them."""
    shown = [name.strip() for name in header]
    names = [name.lower() for name in shown]
    if len(names) == 1:
        for mark, word in _DELIMITERS.items():
            if mark in names[0]:
                raise TableError(f"{path}, line 1: separated by {word}; save it with commas")
    wanted = [*layout.columns, *([PRIORITY] if layout.closed else [])]
    known = [name.lower() for name in wanted]
    twice = sorted(name for name in wanted if names.count(name.lower()) > 1)
    if twice:
        raise TableError(f"{path}, line 1: column {twice[0]!r} occurs twice; keep one")
    others = [name for name in shown if name.lower() not in known]
    for name in layout.columns:
        if name.lower() not in names:
            near = nearest_names(name, others, count=1)
            mend = f"rename {near[0]!r}" if near else f"it needs {', '.join(layout.columns)}"
            raise TableError(
                f"{path}, line 1: there is no column {name!r}, which a trace of format "
                f"{layout.name!r} has; {mend}"
            )
    if layout.closed and others:
        raise TableError(
            f"{path}, line 1: column {others[0]!r} is not one of {', '.join(wanted)}; rename or "
            "delete it"
        )
    return names
