"""Find every public formula; shared by the tests that hold them to the rules."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from clusterwright import formulas

ENTRY = re.compile(r"^(?P<names>\w+(?:, \w+)*)\n(?P<text>(?:[ \t]+.*(?:\n|$)|\n)+)", re.MULTILINE)
UNIT = re.compile(r"\[([^\[\]]+)\](?!_)")


def public_formulas() -> dict[str, Callable[..., Any]]:
    """Return ``module.function`` → function for every public function of the formulas."""
    found = {}
    for info in pkgutil.walk_packages(formulas.__path__, prefix=formulas.__name__ + "."):
        module = import_module(info.name)
        for name, thing in vars(module).items():
            own = getattr(thing, "__module__", None) == module.__name__
            if inspect.isfunction(thing) and own and not name.startswith("_"):
                found[f"{info.name.removeprefix(formulas.__name__ + '.')}.{name}"] = thing
    return found


def documented_units(formula: Callable[..., Any]) -> dict[str, str]:
    """Return parameter → unit in brackets, as its docstring gives them."""
    text = inspect.getdoc(formula) or ""
    section = re.search(
        r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", text, re.DOTALL | re.MULTILINE
    )
    units: dict[str, str] = {}
    for entry in ENTRY.finditer(section.group(1) if section else ""):
        brackets = UNIT.findall(entry["text"])
        if brackets:
            units.update(dict.fromkeys(entry["names"].split(", "), brackets[-1]))
    return units
