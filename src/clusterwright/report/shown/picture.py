"""A picture with its title, as pages and reports show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clusterwright.records import Record


class Picture(Record, frozen=True, kw_only=True):
    """A picture: a Vega-Lite ``spec``, an ``svg`` (and one for narrow pages), or a timeline.

    ``columns``: the address of the timeline's operations. ``said``: what is seen, in sentences with
    numbers.
    """

    title: str
    said: str = ""
    spec: dict[str, Any] | None = None
    svg: str = ""
    narrow: str = ""
    columns: str = ""
    note: str = ""

    @property
    def caption(self) -> str:
        """What is said below the title: an ``svg`` has its words in itself."""
        return self.said if self.spec is not None else ""

    @property
    def links(self) -> list[tuple[str, str]]:
        """Where its points lead, in words, for those who do not point; the last drawn first."""
        rows = self.spec["data"].get("values", ()) if self.spec and "data" in self.spec else ()
        return [(_named(row), row["href"]) for row in rows[::-1] if "href" in row]


def drawn(title: str, spec: dict[str, Any] | None, note: str = "") -> Iterator[Picture]:
    """The picture, if there is anything to draw."""
    if spec is not None:
        yield Picture(title=title, said=spec["description"], spec=spec, note=note)


def _named(row: Mapping[str, Any]) -> str:
    """A point of a front: what it is, and what it takes."""
    said = (row.get(name) for name in ("strategy", "cut", "step", "memory", "user", "accelerator"))
    return ", ".join(str(one) for one in said if one)
