"""From the query of an address to the words of a command, and from a refusal to its field."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from clusterwright.errors import InputError, UnknownNameError, nearest_names
from clusterwright.web.fencing import largest
from clusterwright.web.forms import Field, Form

Query = Sequence[tuple[str, str]]

LONGEST = 400
"""Letters of one value."""
MOST = 64
"""Values of one query."""
FILES = (".json", ".toml", ".csv", ".gz", ".jsonl", ".parquet", ".sqlite")
_DRIVE = re.compile(r"[A-Za-z]:|[\\/]")
_OPTION = re.compile(r"--[a-z][a-z0-9-]*")
_PLACE = re.compile(r"parameter ([A-Z-]+)")


def words_of(form: Form, query: Query) -> list[str]:
    """Make the words of a command of a query; empty values are not said.

    Raises
    ------
    InputError
        A field that is not there or is given twice, a value that is too long, a path outside the
        folder.
    """
    said = _said(form, query)
    options: list[str] = []
    for name, values in said.items():
        if form.fields[name].option:
            options += (word for value in values for word in _option(form.fields[name], value))
    ahead = _ahead(form, said)
    # After two dashes a word that begins with one is a name like any other.
    return [*form.words, *options, *(["--", *ahead] if ahead else [])]


def _said(form: Form, query: Query) -> dict[str, list[str]]:
    """What is said of each field; a field that takes one value has one."""
    fields = form.fields
    whole = [(name, value.strip()) for name, value in query if value.strip()]
    if len(whole) > MOST:
        raise InputError(f"{len(whole)} values are more than the {MOST} that a page takes")
    said: dict[str, list[str]] = {}
    for name, value in whole:
        if name not in fields:
            near = nearest_names(name[:LONGEST], fields, count=1)
            raise InputError(f"no field is called {name[:LONGEST]!r}{_did_you(near)}")
        check_value(name, value)
        if name in said and not fields[name].several:
            raise InputError(f"{name} is given twice, but takes one value")
        said.setdefault(name, []).append(value)
    return said


def _ahead(form: Form, said: dict[str, list[str]]) -> list[str]:
    """Words before the options: their fields tell them apart by order alone, so none may lack."""
    places = [field for field in form.fields.values() if not field.option]
    words: list[str] = []
    missing = ""
    for field in places:
        values = said.get(field.name, ())
        if values and missing:
            raise InputError(f"{missing} is missing: it is needed beside {field.name}")
        if not values:
            missing = missing or field.name
        for value in values:
            words += _split(value) if field.several else [value]
    return words


def _did_you(near: Sequence[str]) -> str:
    return f": did you mean {near[0]}?" if near else ""


def check_value(name: str, value: str) -> None:
    """Refuse what no command should be handed from a page.

    Raises
    ------
    InputError
        Too long, not printable, or the path of a file outside the folder that is served.
    """
    if len(value) > LONGEST:
        raise InputError(f"{name} has {len(value):,} letters, but can have {LONGEST} at most")
    if not value.isprintable():
        raise InputError(f"{name} has letters that cannot be printed")
    # A name with blanks in it may be taken as one, or as several.
    for word in dict.fromkeys((value, *_split(value))):
        if _is_outside(word):
            raise InputError(f"{name} is {word!r}, but must lie in the folder that is served")
        _check_file(name, Path(word))


def _is_outside(word: str) -> bool:
    """Whether a word names a file that is not below the working folder, in any system's way."""
    both: tuple[PurePath, ...] = (PurePosixPath(word), PureWindowsPath(word))
    if any(one.is_absolute() or ".." in one.parts for one in both) or _DRIVE.match(word):
        return True
    if word.startswith("~") or "://" in word:
        return True
    path = Path(word)
    if not (os.path.lexists(word) or word.lower().endswith(FILES)):
        return False
    try:
        return not path.resolve().is_relative_to(Path.cwd().resolve())
    except (OSError, RuntimeError):  # too long a name, links that go round and round
        return True


def _check_file(name: str, path: Path) -> None:
    """Refuse what takes too long to read, or has no end."""
    if not os.path.lexists(path) or path.is_dir():
        return
    if not path.is_file():
        raise InputError(f"{name} is {str(path)!r}, which is no file that can be read")
    size = path.stat().st_size
    if size > (most := largest(str(path))):
        raise InputError(
            f"{name} is {str(path)!r}, which has {size / 2**20:,.0f} MiB, but a page reads "
            f"{most / 2**20:,.0f} MiB at most: ask the command line"
        )


def _option(field: Field, value: str) -> Iterator[str]:
    if field.flag:
        if value not in ("true", "on", "1", "false", "off", "0"):
            raise InputError(f"{field.option} is {value!r}, but must be true or false")
        if value in ("true", "on", "1"):
            yield field.option
    elif field.choices == ("true", "false"):
        if value not in field.choices:
            raise InputError(f"{field.option} is {value!r}, but must be true or false")
        yield field.option if value == "true" else f"--no-{field.option[2:]}"
    elif field.several:
        yield from (f"{field.option}={word}" for word in _split(value))
    else:
        yield f"{field.option}={value}"


def _split(value: str) -> list[str]:
    """Words between spaces; those in quotes are one."""
    try:
        return shlex.split(value)
    except ValueError:
        return value.split()


def command_of(words: Iterable[str]) -> str:
    """The same question as one types it in a shell.

    >>> command_of(["plan", "train", "--accelerators=64", "--", "llama-3.1-8b"])
    'clusterwright plan train llama-3.1-8b --accelerators 64'
    >>> command_of(["plan", "fleet", "--price=$2.10", "--", "llama-3.1-8b"])
    "clusterwright plan fleet llama-3.1-8b --price '$2.10'"
    """
    listed = list(words)
    end = listed.index("--") if "--" in listed else len(listed)
    first = next((at for at, word in enumerate(listed[:end]) if word.startswith("--")), end)
    options = [part for word in listed[first:end] for part in word.split("=", 1)]
    typed = ["clusterwright", *listed[:first], *listed[end + 1 :], *options]
    return " ".join(shlex.quote(word) for word in typed)


def field_of(form: Form, error: Exception) -> str:
    """The field that a refusal is about; "" where it is about none, or about several."""
    fields = form.fields
    if isinstance(error, UnknownNameError):
        for field in fields.values():
            if field.names == error.listed or field.names.rstrip("s") == error.kind:
                return field.name
    words = str(error)
    named = [word[2:] for word in _OPTION.findall(words)]
    named += [word.lower() for word in _PLACE.findall(words)]
    first = words.partition(" ")[0].rstrip(":")
    return next((name for name in (*named, first) if name in fields), "")
