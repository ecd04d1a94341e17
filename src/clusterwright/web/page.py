"""What a page is."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from clusterwright.records import Record
from clusterwright.web.forms import Field, Form, Group, form_of


class Example(Record, frozen=True, kw_only=True):
    """A question worth looking at, one click away."""

    title: str
    query: dict[str, str]


class Asked(Record, frozen=True, kw_only=True):
    """What a source is asked: what was said, by field, and the words of the page's command."""

    said: dict[str, str]
    words: tuple[str, ...] = ()


class Page(Record, frozen=True, kw_only=True):
    """One page.

    Its path is that of its command: ``/plan/train`` is ``clusterwright plan train``; ``command``:
    another one, "" for none. ``group``: of pages that it stands with. ``view``: the function that
    says what of an answer is shown, as ``module:name`` in `clusterwright.web.views`. ``source``:
    the function that answers in the place of the command, as ``module:name`` in
    `clusterwright.web`. ``open``: fields that are seen at once; the others wait under their
    headings. ``hidden``: options that a page has no use for; ``files``: those that name files of
    the folder that is served, each with their kind. ``fields``: where there is no command.
    ``choices``: of fields whose command knows them only once it is asked: they are the keys of
    mappings, each as ``module:name``. ``at_once``: whether it has an answer before anything is
    said. ``seconds``: after which a question is stopped. [s] ``listed``: whether the pages' list
    has it.
    """

    path: str
    group: str
    title: str
    about: str
    view: str
    open: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    hidden: tuple[str, ...] = ()
    files: dict[str, str] = {}
    fields: tuple[Field, ...] = ()
    choices: dict[str, tuple[str, ...]] = {}
    command: str | None = None
    source: str = ""
    at_once: bool = False
    seconds: float = 60.0
    listed: bool = True

    @property
    def words(self) -> tuple[str, ...]:
        """Of its command."""
        said = self.path[1:].replace("/", " ") if self.command is None else self.command
        return tuple(said.split())

    @property
    def form(self) -> Form:
        """Its fields."""
        if self.words and not self.fields:
            known = tuple((name, _keys(places)) for name, places in self.choices.items())
            return form_of(self.words, self.hidden, tuple(self.files.items()), known)
        return Form(words=self.words, groups=own_fields(self.fields))


def _keys(places: Iterable[str]) -> tuple[str, ...]:
    """Keys of mappings; loaded only once the page is asked for."""
    parts = (place.split(":") for place in places)
    found = [getattr(import_module(f"clusterwright.{module}"), name) for module, name in parts]
    return tuple(key for mapping in found for key in mapping)


def own_fields(fields: tuple[Field, ...]) -> tuple[Group, ...]:
    """Fields that no command has, under no heading."""
    return (Group(title="", fields=fields),) if fields else ()
