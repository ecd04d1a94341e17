"""The base of every frozen record."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keyword-only, immutable, compared by value; refuses fields it does not know."""


class Shown(Record, frozen=True):
    """A record that a notebook shows as HTML, made when it is looked at and not before."""

    def _repr_html_(self) -> str:
        # The words live floors above: the public face knows where, and imports it only now.
        from clusterwright import notebook_html

        return notebook_html(self)  # type: ignore[arg-type]  # its subclasses are what it takes
