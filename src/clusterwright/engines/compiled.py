"""Choose how a loop runs: compiled by numba (the extra ``sim``), or as it stands."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any

from clusterwright.errors import InputError

WORTH_COMPILING = 400_000
"""Operations from which loading numba (about half a second from its cache) pays for itself."""
WORTH_WHEN_LOADED = 4_000
"""The same once something else has loaded it: a loop comes from the cache in milliseconds."""


def has_numba() -> bool:
    """Whether numba can be imported."""
    return find_spec("numba") is not None


@lru_cache
def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """The loop compiled, from numba's cache if it was compiled before.

    Raises
    ------
    InputError
        When numba is not installed.
    """
    return _compile(loop)


@lru_cache
def compiled_family(*modules: str) -> dict[str, Callable[..., Any]]:
    """The functions of modules compiled together, so that they call each other compiled.

    They may make no arrays: those that they are given are not counted as used, which is most of
    what a call of a small function would cost.

    Parameters
    ----------
    modules
        Full names, those that others import from first. Each function is compiled in a copy of
        its module's names, in which functions compiled before have taken the place of their
        source.

    Raises
    ------
    InputError
        When numba is not installed.
    """
    found: dict[str, Callable[..., Any]] = {}
    loaded = [import_module(name) for name in modules]
    folders = sorted({Path(str(module.__file__)).parent for module in loaded})
    files = [Path(__file__), *(path for f in folders for path in sorted(f.glob("*.py")))]
    sources = b"".join(path.read_bytes() for path in files)
    stamp = hashlib.sha256(sources).hexdigest()[:12]
    for module in loaded:
        names = {**vars(module), **found}
        for name, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                copy = FunctionType(function.__code__, names, name, function.__defaults__)
                # numba's cache looks at a function's own file alone: any change gives a new name.
                copy.__qualname__ = f"{name}_{stamp}"
                found[name] = names[name] = _compile(copy, counted=False)
    return found


def _compile(function: Callable[..., Any], *, counted: bool = True) -> Callable[..., Any]:
    if not has_numba():
        raise InputError(
            "numba is not installed: pip install 'clusterwright[sim]', or run without it"
        )
    from numba import njit

    options: dict[str, Any] = {} if counted else {"_nrt": False}
    found: Callable[..., Any]
    try:
        found = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that numba may write its cache to
        found = njit(**options)(function)
    return found


def should_compile(num_operations: int, wanted: bool | None) -> bool:
    """Whether to compile: as wanted, else if it is worth it and can be done."""
    if wanted is not None:
        return wanted
    least = WORTH_WHEN_LOADED if "numba" in sys.modules else WORTH_COMPILING
    return num_operations >= least and has_numba()
