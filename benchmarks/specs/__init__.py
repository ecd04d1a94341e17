"""The specs, one file per topic; importing this package registers them all."""

from __future__ import annotations

import pkgutil
from importlib import import_module


def load() -> None:
    """Import every module of this package; each registers its specs."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
