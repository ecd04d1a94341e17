"""What a page shows of an answer: its verdict, figures, pictures, and where to go from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from clusterwright.records import Record


class Tile(Record, frozen=True, kw_only=True):
    """One figure that a person decides on, in the words of the command line.

    ``note``: its interval, or what it rests on. ``bad``: it stands against the answer.
    """

    label: str
    text: str
    note: str = ""
    bad: bool = False


class Picture(Record, frozen=True, kw_only=True):
    """A picture and its caption: a Vega-Lite ``spec``, an ``svg``, or the address of ``columns``."""

    title: str
    spec: dict[str, Any] | None = None
    svg: str = ""
    columns: str = ""
    note: str = ""


class Table(Record, frozen=True, kw_only=True):
    """Rows in words under a head; a cell of the first column may be a link."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    links: tuple[str, ...] = ()


class Link(Record, frozen=True, kw_only=True):
    """Another question that this answer raises."""

    text: str
    href: str


class View(Record, frozen=True, kw_only=True):
    """All that is shown of one answer; ``words``: as the command prints it."""

    title: str
    about: tuple[str, ...] = ()
    tiles: tuple[Tile, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    links: tuple[Link, ...] = ()
    words: str = ""


def address(path: str, query: Mapping[str, object]) -> str:
    """The address of a page; what is not said is left out.

    >>> address("/plan/train", {"model": "llama-3.1-8b", "tokens": None})
    '/plan/train?model=llama-3.1-8b'
    """
    said = {name: str(value) for name, value in query.items() if value not in (None, "", ())}
    return f"{path}?{urlencode(said)}" if said else path


def drawn(title: str, spec: dict[str, Any] | None, note: str = "") -> tuple[Picture, ...]:
    """The picture, if there is anything to draw."""
    return () if spec is None else (Picture(title=title, spec=spec, note=note),)
