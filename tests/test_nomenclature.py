"""`docs/nomenclature.md` lists every parameter of every formula once, and units never differ."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from formula_walk import documented_units, public_formulas

PAGE = Path(__file__).parents[1] / "docs" / "nomenclature.md"
FORMULAS = public_formulas()
EXACT = {"attention.attended_pairs", "roofline.soft_maximum"}
"""Mathematics, not physics: these leave nothing out."""


def rows() -> list[tuple[str, str]]:
    found = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]+?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    return [(name, unit.strip("`")) for name, unit in found]


def test_every_name_is_listed_once_in_order():
    names = [name for name, _ in rows()]
    assert names == sorted(set(names))


def test_the_page_and_the_formulas_use_the_same_names():
    used = {name for f in FORMULAS.values() for name in inspect.signature(f).parameters}
    listed = {name for name, _ in rows()}
    assert used - listed == set(), "add these to docs/nomenclature.md"
    assert listed - used == set(), "no formula uses these"


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_parameters_have_the_units_of_the_page(name):
    formula = FORMULAS[name]
    page = dict(rows())
    # A docstring that points to another one ("see `matmul_time`") gives no unit of its own.
    for parameter, unit in documented_units(formula).items():
        assert unit == page[parameter], f"unit of {parameter} in {name}"


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_a_formula_is_a_small_paper(name):
    text = inspect.getdoc(FORMULAS[name]) or ""
    summary = text.split("\n\n")[0]
    assert re.search(r"\[[^\[\]]+\]$", summary), "the summary ends with the unit of the result"
    assert ("Leaves out" in text) != (name in EXACT), "say what it leaves out"
    assert ">>> " in text, "give an example"
