"""The benchmarks' own machinery; `make smoke` runs the benchmarks themselves."""

from __future__ import annotations

import json

import pytest

from benchmarks import __main__ as harness
from benchmarks import specs
from benchmarks.registry import REGISTRY, Absent, BenchSpec, register


def spec(**changes):
    fields = {
        "name": "test.one",
        "build": lambda: None,
        "run": lambda _: 2.0,
        "unit": "s",
        "goal": 3.0,
        "doc": "A test.",
    }
    return BenchSpec(**{**fields, **changes})


def absent():
    raise Absent("nothing there")


def test_specs_register_themselves_and_say_what_they_measure():
    specs.load()
    assert "start.help" in REGISTRY
    assert all(one.doc.endswith(".") and "." in one.name for one in REGISTRY.values())


def test_a_name_is_registered_once():
    specs.load()
    with pytest.raises(ValueError, match="twice"):
        register(REGISTRY["start.help"])


@pytest.mark.parametrize(
    ("better", "figure", "met"),
    [("lower", 3.0, True), ("lower", 3.1, False), ("higher", 3.0, True), ("higher", 2.9, False)],
)
def test_goal(better, figure, met):
    assert spec(better=better).met(figure) is met


def test_the_best_figure_counts():
    figures = iter([5.0, 1.0, 4.0])
    row = harness.measure(spec(run=lambda _: next(figures)), rounds=3, calibration=0.5)
    assert (row.figure, row.ratio, row.note) == (1.0, 2.0, "met")


def test_what_is_absent_has_no_figure():
    row = harness.measure(spec(build=absent), rounds=1, calibration=None)
    assert row.figure is None
    assert row.note == "absent: nothing there"


def test_json_has_a_row_per_spec(capsys):
    assert harness.main(["start.import", "--json", "--rounds", "1"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["name"] for row in rows] == ["start.import", "start.import-heavy"]
    assert rows[1]["figure"] == 0
