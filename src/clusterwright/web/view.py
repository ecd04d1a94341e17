"""What a page shows of an answer: its words, its pictures, and where to go from here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

from clusterwright.cli.answers import Answer
from clusterwright.records import Record
from clusterwright.report.labelled import Labelled, about, labelled
from clusterwright.report.shown.picture import Picture


class Table(Record, frozen=True, kw_only=True):
    """Rows in words; ``links``: where the first cell of each row leads, if anywhere.

    ``marked``: the row that matters most. ``right``: columns from which on cells are numbers.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    links: tuple[str, ...] = ()
    marked: int | None = None
    right: int | None = None


class Text(Record, frozen=True, kw_only=True):
    """A file to read in the page."""

    title: str
    text: str


class Link(Record, frozen=True, kw_only=True):
    """Another question that this answer raises."""

    text: str
    href: str


class View(Record, frozen=True, kw_only=True):
    """All that is shown of one answer.

    ``title``, ``about``: what was asked. ``figures``: what a person decides on, the first of the
    answer's words. ``words``: all of them, as the command prints them; "" where tables say all.
    ``beside``: pictures stand beside each other where there is room.
    ``later``: addresses of pictures that come once the page is there. ``command``: what answers the
    same, where it is not the page's own. ``again``: after how long the same is asked again, while
    what it rests on still grows; 0: never. [s]
    """

    title: str
    about: tuple[str, ...]
    figures: tuple[Labelled, ...]
    words: str
    pictures: tuple[Picture, ...] = ()
    beside: bool = False
    tables: tuple[Table, ...] = ()
    texts: tuple[Text, ...] = ()
    later: tuple[Link, ...] = ()
    command: str = ""
    links: tuple[Link, ...] = ()
    again: int = 0


def view_of(
    found: Answer,
    *,
    title: str = "",
    pictures: Iterable[Picture] = (),
    links: Iterable[Link] = (),
) -> View:
    """Show an answer's own words, with pictures and links.

    ``title``: of answers that begin with a table.
    """
    words = found.words()
    title, *asked = (title,) if title else about(words)
    return View(
        title=title,
        about=tuple(asked),
        figures=labelled(words),
        words=words,
        pictures=tuple(pictures),
        links=tuple(links),
    )


def address(path: str, query: Mapping[str, object]) -> str:
    """The address of a page; what is not said is left out.

    >>> address("/plan/train", {"model": "llama-3.1-8b", "tokens": None})
    '/plan/train?model=llama-3.1-8b'
    """
    said = {name: str(value) for name, value in query.items() if value not in (None, "", ())}
    return f"{path}?{urlencode(said)}" if said else path


def reports(path: str, query: Mapping[str, object]) -> tuple[Link, ...]:
    """What a plan's page can be taken along as, to send."""
    return (
        Link(text="Report to send", href=address(f"{path}.report", query)),
        Link(text="Report as PDF", href=address(f"{path}.pdf", query)),
    )
