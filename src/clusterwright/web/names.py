"""Names of the catalogue that a field may take, with what each is called in full."""

from __future__ import annotations

from functools import cache

from clusterwright.facts import shipped


@cache
def names_of(kind: str) -> tuple[tuple[str, str], ...]:
    """Ids and names of all entries of a kind."""
    return tuple(
        sorted((name, entry.text("name")) for name, entry in shipped().entries(kind).items())
    )
