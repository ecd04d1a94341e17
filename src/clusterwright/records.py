"""The base of every frozen record."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keyword-only, immutable, compared by value; refuses fields it does not know."""
