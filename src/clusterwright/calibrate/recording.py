"""Stack factors and intervals as words, and as files of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from clusterwright.aligned import aligned, percent
from clusterwright.calibrate.intervals import LEAST_SOURCES, Coverage
from clusterwright.calibrate.stacks import StackFit
from clusterwright.calibrate.writing import toml_value
from clusterwright.software import Stack
from clusterwright.training.intervals import IntervalGroup, Intervals

EVIDENCE = ("rows", "sources", "residual", "held_out", "note")
FACTORS = tuple(name for name in Stack.__struct_fields__ if name not in EVIDENCE)
NAMES = ("software", "chip", "kind", "scale")


def stacks_as_text(fits: Iterable[StackFit]) -> str:
    """Return a table: each framework's error before and after, and the factors that moved."""
    rows = []
    for fit in fits:
        stack = fit.stack
        moved = ", ".join(f"{name} {value:.3g}" for name, value in _moved(stack).items())
        counts = (str(stack.rows), str(stack.sources))
        held_out = "-" if stack.held_out is None else percent(stack.held_out)
        errors = (percent(fit.before), percent(fit.after), held_out)
        rows.append([fit.software, *counts, *errors, moved or "none earned its place"])
    header = ("framework", "rows", "sources", "before", "after", "held out", "factors")
    return "\n".join(aligned(header, rows, align="lrrrrrl")) + "\n"


def stacks_as_toml(fits: Iterable[StackFit], *, source: str, checked: str) -> str:
    """Return the entries of ``catalogue/stacks``, sorted by id.

    Parameters
    ----------
    source
        The runs that the factors were fitted to.
    checked
        Day of the fit, such as 2026-11-22.
    """
    blocks = []
    for fit in sorted(fits, key=lambda fit: fit.software):
        stack = fit.stack
        fields = [f"{name} = {float(f'{value:.3g}')!r}" for name, value in _moved(stack).items()]
        fields += [f"rows = {stack.rows}", f"sources = {stack.sources}"]
        fields.append(f"residual = {stack.residual}")
        if stack.held_out is not None:
            fields.append(f"held_out = {stack.held_out}")
        fields.append(f"checked = {checked}")
        head = ["[[stacks]]", f'id = "{fit.software}"']
        blocks.append("\n".join([*head, *fields, f"source = {toml_value(source)}"]) + "\n")
    return "\n".join(blocks)


def intervals_as_text(intervals: Intervals, checks: dict[str, Coverage]) -> str:
    """Return every group, and how many runs their intervals hold by each way of checking."""
    rows = [
        [one.description, str(one.rows), str(one.sources), f"{one.low:.2f}", f"{one.high:.2f}"]
        for one in intervals.groups
    ]
    lines = aligned(("runs alike", "rows", "sources", "low", "high"), rows)
    lines += [
        f"80 % intervals hold {coverage.rows:.0%} of runs, {coverage.sources:.0%} as the mean "
        f"over sources ({name})"
        for name, coverage in checks.items()
    ]
    if not checks:
        lines.append(
            f"How many other runs they hold is unknown: that takes {LEAST_SOURCES} sources or more"
        )
    return "\n".join(lines) + "\n"


def intervals_as_toml(intervals: Intervals, *, source: str, checked: str) -> str:
    """Return the entry of ``catalogue/settings`` that holds the groups.

    Parameters
    ----------
    source
        The runs that the intervals were set from.
    checked
        Day of the fit, such as 2026-11-22.
    """
    head = [
        "[[settings]]",
        'id = "intervals"',
        f"checked = {checked}",
        f"source = {toml_value(source)}",
    ]
    rows = [f"  {{ {_cells(group)} }}," for group in intervals.groups]
    return "\n".join([*head, "groups = [", *rows, "]"]) + "\n"


def _moved(stack: Stack) -> dict[str, float]:
    """The factors that are not at their defaults."""
    default = Stack()
    values = {name: getattr(stack, name) for name in FACTORS}
    return {
        name: value
        for name, value in values.items()
        if value is not None and value != getattr(default, name)
    }


def _cells(group: IntervalGroup) -> str:
    named = [f'{name} = "{getattr(group, name)}"' for name in NAMES if getattr(group, name)]
    numbers = [f"{name} = {getattr(group, name)}" for name in ("low", "high", "rows", "sources")]
    return ", ".join(named + numbers)
