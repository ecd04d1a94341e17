"""``python -m benchmarks``: measure, and say which goals are met."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass

from benchmarks import specs
from benchmarks.calibration import calibration_time
from benchmarks.registry import REGISTRY, Absent, BenchSpec


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured spec. ``figure`` is None when there was nothing to measure."""

    spec: BenchSpec
    figure: float | None
    ratio: float | None
    note: str

    def cells(self) -> tuple[str, ...]:
        """Return what the table shows."""
        sign = "≤" if self.spec.better == "lower" else "≥"
        goal = f"{sign} {_short(self.spec.goal)}"
        figure = "-" if self.figure is None else _short(self.figure)
        ratio = "-" if self.ratio is None else _short(self.ratio)
        return self.spec.name, figure, self.spec.unit, goal, ratio, self.note

    def as_dict(self) -> dict[str, object]:
        """Return what ``--json`` shows."""
        return {
            "name": self.spec.name,
            "doc": self.spec.doc,
            "figure": self.figure,
            "unit": self.spec.unit,
            "goal": self.spec.goal,
            "better": self.spec.better,
            "calibration_ratio": self.ratio,
            "met": None if self.figure is None else self.spec.met(self.figure),
            "note": self.note,
        }


def measure(spec: BenchSpec, *, rounds: int, calibration: float | None) -> Row:
    """Run one spec some times and keep its best figure."""
    try:
        state = spec.build()
    except Absent as reason:
        return Row(spec=spec, figure=None, ratio=None, note=f"absent: {reason}")
    figure = spec.best([spec.run(state) for _ in range(rounds)])
    timed = spec.unit == "s" and calibration is not None
    ratio = figure / calibration if timed and calibration else None
    return Row(spec=spec, figure=figure, ratio=ratio, note="met" if spec.met(figure) else "NOT MET")


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for; the exit code is 0 unless a spec breaks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of names; default: all")
    parser.add_argument("--smoke", action="store_true", help="run each once, judge nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=5, help="runs per spec; the best counts")
    options = parser.parse_args(arguments)
    specs.load()
    prefixes = tuple(options.names) or ("",)
    chosen = [spec for name, spec in sorted(REGISTRY.items()) if name.startswith(prefixes)]
    calibration = None if options.smoke else calibration_time()
    rounds = 1 if options.smoke else options.rounds
    rows = [measure(spec, rounds=rounds, calibration=calibration) for spec in chosen]
    if options.json:
        out = {"calibration_time": calibration, "rows": [row.as_dict() for row in rows]}
        print(json.dumps(out, indent=2))
    elif options.smoke:
        ran = sum(row.figure is not None for row in rows)
        print(f"{ran} of {len(rows)} ran", *_absences(rows), sep="\n  ")
    else:
        print(f"calibration kernel: {calibration:.3g} s CPU (the unit of `ratio`)")
        _print_table(rows)
    return 0


def _absences(rows: list[Row]) -> list[str]:
    return [f"{row.spec.name} {row.note}" for row in rows if row.figure is None]


def _print_table(rows: list[Row]) -> None:
    lines = [("name", "figure", "unit", "goal", "ratio", ""), *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [
            cell.ljust(width) if column in {0, 2, 5} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
