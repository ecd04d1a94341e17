"""clusterwright: design, predict, price and launch AI superclusters.

>>> import clusterwright as cw
>>> cw.__version__.count(".") >= 2
True

Importing the package imports nothing else: each public name is fetched from its module on first
use. A new public name is one line in ``_HOME``, one in ``__all__`` and one in the block that type
checkers read; a test holds the three together.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clusterwright.errors import ClusterwrightError

    __version__: str

__all__ = ["ClusterwrightError", "__version__"]

_HOME = {
    "ClusterwrightError": "clusterwright.errors",
}
"""Public name → the module where it lives."""


def __getattr__(name: str) -> object:
    """Fetch a public name on first use and keep it (PEP 562)."""
    value: object
    if name == "__version__":
        from importlib.metadata import version

        value = version("clusterwright")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg, name=name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, fetched or not."""
    return sorted({*globals(), *__all__})
