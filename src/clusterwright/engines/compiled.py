"""Choose how a loop runs: compiled by numba (the extra ``sim``), or as it stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from clusterwright.errors import InputError

WORTH_COMPILING = 400_000
"""Operations from which loading numba (about half a second from its cache) pays for itself."""


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
    if not has_numba():
        raise InputError(
            "numba is not installed: pip install 'clusterwright[sim]', or run without it"
        )
    from numba import njit

    found: Callable[..., Any]
    try:
        found = njit(cache=True)(loop)
    except RuntimeError:  # no folder that numba may write its cache to
        found = njit(loop)
    return found


def should_compile(num_operations: int, wanted: bool | None) -> bool:
    """Whether to compile: as wanted, else if it is worth it and can be done."""
    if wanted is not None:
        return wanted
    return num_operations >= WORTH_COMPILING and has_numba()
