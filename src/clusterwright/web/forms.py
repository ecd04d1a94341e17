"""The fields of a page, read from the options of its command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from clusterwright.cli.tree import build
from clusterwright.records import Record

if TYPE_CHECKING:
    from cyclopts import App, Argument

FILES = ("catalogue", "requests", "save")
"""Options that name files, whatever their type."""

NAMES = {
    "model": "models",
    "train": "models",
    "drafter": "models",
    "cluster": "clusters",
    "target": "clusters",
    "accelerator": "accelerators",
    "machines": "accelerators",
    "names": "accelerators",
    "baseline": "accelerators",
    "software": "software",
    "engine": "inference",
    "device": "devices",
    "region": "regions",
    "cooling": "cooling",
    "scenario": "scenarios",
}
"""Field → kind of the catalogue whose names it takes."""

OTHERS = "More"
_DEFAULT = re.compile(r"\s*\[default: (.*?)\]", re.DOTALL)
_EXAMPLE = re.compile(r"such as (?:--[a-z-]+ )?(?:\"([^\"]+)\"|([^\s,;()\"]+))")
_SEVERAL = re.compile(r"\s*\((?:and )?may be repeated\)")


class Field(Record, frozen=True, kw_only=True):
    """One field of a form.

    ``name``: its key in the address. ``option``: its name on the command line, "" where it has
    none. ``usual``: what is taken when nothing is said, ``example``: what may be said; both in
    words. ``names``: kind of the catalogue whose names it takes, "" if of none. ``whole``: takes a
    whole number.
    """

    name: str
    option: str
    help: str
    usual: str = ""
    example: str = ""
    choices: tuple[str, ...] = ()
    flag: bool = False
    several: bool = False
    required: bool = False
    names: str = ""
    whole: bool = False

    @property
    def label(self) -> str:
        """What stands before it."""
        return self.name.replace("-", " ")


class Group(Record, frozen=True, kw_only=True):
    """Fields that stand together, under a heading."""

    title: str
    fields: tuple[Field, ...]


class Form(Record, frozen=True, kw_only=True):
    """All fields of a command, named by its words."""

    words: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def fields(self) -> dict[str, Field]:
        """By their names."""
        return {field.name: field for group in self.groups for field in group.fields}

    @property
    def kinds(self) -> list[str]:
        """Kinds of the catalogue whose names any of them takes."""
        known = {field.names for field in self.fields.values()}
        return sorted(kind for kind in known if kind and not kind.endswith(" files"))


@cache
def form_of(
    words: tuple[str, ...],
    hidden: tuple[str, ...] = (),
    files: tuple[tuple[str, str], ...] = (),
    choices: tuple[tuple[str, tuple[str, ...]], ...] = (),
) -> Form:
    """Read a command's options.

    What names files of the server, unless among ``files``, and how the answer is printed, has no
    field; nor has what is ``hidden``. ``choices``: of fields that have others than their command
    tells.
    """
    app: Any = build()
    for word in words:
        app = app[word]
    groups = _groups(app, hidden, dict(files))
    return Form(words=words, groups=tuple(_with_choices(group, dict(choices)) for group in groups))


def _with_choices(group: Group, choices: dict[str, tuple[str, ...]]) -> Group:
    fields = tuple(
        msgspec.structs.replace(field, choices=choices.get(field.name, field.choices))
        for field in group.fields
    )
    return msgspec.structs.replace(group, fields=fields)


def _groups(app: App, hidden: tuple[str, ...], files: dict[str, str]) -> Iterator[Group]:
    arguments = list(app.assemble_argument_collection(parse_docstring=True))
    grouped = {child.name for argument in arguments for child in argument.children}
    alone = [one for one in arguments if not one.children and one.name not in grouped]
    ahead = [one for one in alone if not one.name.startswith("--")]
    others = [one for one in alone if one.name.startswith("--")]
    yield from _group("", ahead, hidden, files)
    for argument in arguments:
        if argument.children:
            title = (argument.hint.__doc__ or OTHERS).splitlines()[0].rstrip(".")
            yield from _group(title, list(argument.children), hidden, files)
    yield from _group(OTHERS, others, hidden, files)


def _group(
    title: str, arguments: list[Argument], hidden: tuple[str, ...], files: dict[str, str]
) -> Iterator[Group]:
    left = {*hidden, *FILES, "json"} - files.keys()
    fields = [(_field(one), _is_file(one.hint)) for one in arguments]
    shown = tuple(
        msgspec.structs.replace(field, names=files.get(field.name, field.names))
        for field, is_file in fields
        if field.name not in left and (field.name in files or not is_file)
    )
    if shown:
        yield Group(title=title, fields=shown)


def _is_file(hint: Any) -> bool:  # noqa: ANN401 - any annotation
    return hint is Path or any(_is_file(part) for part in get_args(hint))


def _field(argument: Argument) -> Field:
    positional = not argument.name.startswith("--")
    name = argument.field_info.name.replace("_", "-") if positional else argument.name[2:]
    said = " ".join((argument.parameter.help or "").replace("``", "").split())
    usual = _DEFAULT.search(said)
    plain = _SEVERAL.sub("", _DEFAULT.sub("", said))
    example = _EXAMPLE.search(plain)
    default = argument.field_info.default
    flag = argument.hint is bool
    choices = tuple(str(one) for one in argument.get_choices() or ())
    stated = isinstance(default, str | int | float) and default != "" and not flag
    return Field(
        name=name,
        option="" if positional else argument.name,
        help=plain,
        usual=usual[1] if usual else str(default) if stated else "",
        example=(example[1] or example[2]).rstrip(".:") if example else "",
        choices=("true", "false") if flag and default is True else choices,
        flag=flag and default is not True,
        several=bool(get_args(argument.hint)) and "tuple" in str(argument.hint),
        required=bool(argument.required),
        names=NAMES.get(name, ""),
        whole=not choices and argument.hint in (int, int | None),
    )
