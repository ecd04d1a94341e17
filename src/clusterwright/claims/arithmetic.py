"""A formula as a person writes it in a claim: names, numbers, + - * / ** and a few functions."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clusterwright.errors import InputError

Floats = Any

_OPERATORS: dict[type, Callable[..., Floats]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
_FUNCTIONS: dict[str, Callable[..., Floats]] = {
    "sqrt": np.sqrt,
    "log": np.log,
    "ceil": np.ceil,
    "minimum": np.minimum,
    "maximum": np.maximum,
}
LONGEST = 500
"""Characters of a formula."""


def evaluate(formula: str, names: Mapping[str, Floats]) -> Floats:
    """The value of a formula; names may stand for arrays.

    Raises
    ------
    InputError
        Not a formula of numbers, known names and the few functions; or it divides by zero.

    >>> evaluate("new / old - 1", {"new": 192.0, "old": 141.0})
    0.36170212765957444
    """
    if len(formula) > LONGEST:
        raise InputError(f"the formula has {len(formula)} characters, but may have {LONGEST}")
    try:
        tree = ast.parse(formula, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        raise InputError(f"{formula!r} is not a formula, such as count * power * 8766") from None
    try:
        return _value(tree, names, formula)
    except (ZeroDivisionError, OverflowError) as error:
        raise InputError(f"{formula!r} cannot be computed: {error}") from None


def _value(node: ast.expr, names: Mapping[str, Floats], formula: str) -> Floats:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.operand, names, formula))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = (_value(side, names, formula) for side in (node.left, node.right))
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function = _FUNCTIONS.get(node.func.id)
        if function is not None:
            return function(*(_value(one, names, formula) for one in node.args))
    if isinstance(node, ast.Name):
        known = ", ".join(names) or "none"
        raise InputError(f"{formula!r} names {node.id!r}, which is not given (given: {known})")
    known = ", ".join(_FUNCTIONS)
    raise InputError(
        f"{formula!r} has {ast.unparse(node)!r}: write numbers, names, + - * / ** and {known}"
    )
