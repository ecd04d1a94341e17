"""Authored TOML to entries; every mistake is found in one pass, each with the move to make."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterwright.catalogue.checking import EntryChecker
from clusterwright.errors import CatalogueError, nearest_names
from clusterwright.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clusterwright.catalogue.schema import Attribute, Kind, Schema

Entries = dict[str, dict[str, dict[str, Any]]]
"""Kind → id → compiled entry."""


class Problem(Record, frozen=True, kw_only=True):
    """One thing to mend: where it stands and what to do. ``line`` is 0 where it is not known."""

    path: str
    message: str
    line: int = 0
    entry: str = ""

    def __str__(self) -> str:
        """Return ``file:line: entry: message``."""
        place = f"{self.path}:{self.line}" if self.line else self.path
        parts = (place, self.entry, self.message)
        return ": ".join(part for part in parts if part)


class Reading(Record, frozen=True, kw_only=True):
    """What was read: entries, and the problems found on the way."""

    entries: Entries
    problems: tuple[Problem, ...]

    def check(self) -> Entries:
        """Return the entries, or raise all problems as one error.

        Raises
        ------
        CatalogueError
            With one line per problem, the first twenty of them.
        """
        if not self.problems:
            return self.entries
        if len(self.problems) == 1:
            raise CatalogueError(f"to mend in the catalogue: {self.problems[0]}")
        shown = "\n  ".join(str(problem) for problem in self.problems[:20])
        more = len(self.problems) - 20
        tail = f"\n  … and {more} more" if more > 0 else ""
        raise CatalogueError(f"{len(self.problems)} to mend in the catalogue:\n  {shown}{tail}")


def read_folder(root: Path, schema: Schema) -> Reading:
    """Read the whole authored catalogue: ``root/<kind>/*.toml`` and ``root/<kind>.toml``."""
    reader = _Reader(schema, base=root)
    for name, kind in schema.kinds.items():
        single = root / f"{name}.toml"
        paths = [single] if single.is_file() else []
        for path in [*paths, *sorted((root / name).glob("*.toml"))]:
            reader.read(path, kind)
    reader.check_references(reader.entries)
    return Reading(entries=reader.entries, problems=tuple(reader.problems))


def read_own_file(path: Path, schema: Schema, known: Mapping[str, Mapping[str, object]]) -> Reading:
    """Read a person's own TOML file, whose tables may be of any kind.

    Parameters
    ----------
    path
        The file; it may leave out provenance.
    schema
        What may stand in it.
    known
        Kind → names that its references may point to besides its own.
    """
    reader = _Reader(schema, base=path.parent, own_file=True)
    reader.read(path, None)
    everything = {kind: {**known.get(kind, {}), **reader.entries[kind]} for kind in schema.kinds}
    reader.check_references(everything)
    return Reading(entries=reader.entries, problems=tuple(reader.problems))


class _Reader:
    """Collects entries and problems over files."""

    def __init__(self, schema: Schema, *, base: Path, own_file: bool = False) -> None:
        self.schema = schema
        self.base = base
        self.own_file = own_file
        self.entries: Entries = {name: {} for name in schema.kinds}
        self.problems: list[Problem] = []
        self._home: dict[tuple[str, str], tuple[Path, str]] = {}
        self._named: dict[tuple[str, str], str] = {}

    def read(self, path: Path, expected: Kind | None) -> None:
        """Read one file; ``expected`` is the kind of its folder, None where any may stand."""
        try:
            text = path.read_text(encoding="utf-8")
            tables = tomllib.loads(text)
        except FileNotFoundError:
            self._problem(path, "no such file; name a TOML file of your own")
            return
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            self._problem(path, f"not readable as TOML: {error}")
            return
        for table, rows in tables.items():
            kind = expected or self.schema.kind_of_table(table)
            if kind is None or kind.table != table:
                self._problem(path, self._wrong_table(table, kind), line=_line(text, f"[[{table}"))
            elif not isinstance(rows, list):
                self._problem(path, f"write [[{table}]] with two brackets")
            else:
                self._read_rows(path, text, kind, rows)

    def _wrong_table(self, table: str, kind: Kind | None) -> str:
        if kind is not None:
            return f"[[{table}]] does not belong here: write [[{kind.table}]]"
        known = [kind.table for kind in self.schema.kinds.values()]
        near = nearest_names(table, known, count=1)
        mend = f"did you mean [[{near[0]}]]?" if near else f"known: {', '.join(known)}"
        return f"unknown table [[{table}]]: {mend}"

    def _read_rows(self, path: Path, text: str, kind: Kind, rows: list[object]) -> None:
        before = ""
        for index, row in enumerate(rows):
            if not isinstance(row, dict) or not isinstance(row.get("id"), str):
                self._problem(path, f"entry {index + 1} of [[{kind.table}]] has no id: add one")
                continue
            name: str = row["id"]
            if name < before and not self.own_file:
                message = f"not sorted: move it before {before!r}"
                self._problem(path, message, entry=name, line=_line(text, f'id = "{name}"'))
            before = max(before, name)
            self._read_row(path, text, kind, row)

    def _read_row(self, path: Path, text: str, kind: Kind, row: dict[str, object]) -> None:
        name = str(row["id"])

        def report(key: str, message: str) -> None:
            self._problem(path, message, entry=name, line=_line(text, f'id = "{name}"', key))

        checker = EntryChecker(kind, self.schema.figure, report, own_file=self.own_file)
        entry = checker.compile(row)
        if self.own_file and not kind.free:
            entry.setdefault("source", f"own file {path.name}")
        for other in (name, *entry.get("aliases", ())):
            taken = self._named.setdefault((kind.name, str(other).lower()), name)
            if taken != name or (other == name and name in self.entries[kind.name]):
                report("id", f"the name {other!r} is taken by {taken!r}: choose another")
        if kind.free and isinstance(entry.get("config"), str):
            entry["config_json"] = self._config(path, entry["config"], report)
        self.entries[kind.name][name] = entry
        self._home[kind.name, name] = (path, text)

    def _config(self, path: Path, name: str, report: Callable[[str, str], None]) -> object:
        """Return the JSON file that an entry names, relative to its own file."""
        try:
            return json.loads((path.parent / name).read_text(encoding="utf-8"))
        except OSError:
            report("config", f"no file {name!r} beside {path.name}: add it or mend the name")
        except ValueError as error:
            report("config", f"{name!r} is not JSON: {error}")
        return {}

    def check_references(self, known: Mapping[str, Mapping[str, object]]) -> None:
        """Report each reference that points to nothing."""
        for kind in self.schema.kinds.values():
            references = [one for one in kind.attribute if one.type == "reference"]
            for name, entry in self.entries[kind.name].items():
                for attribute in references:
                    self._check_reference(kind, name, entry.get(attribute.name), attribute, known)

    def _check_reference(
        self,
        kind: Kind,
        name: str,
        target: object,
        attribute: Attribute,
        known: Mapping[str, Mapping[str, object]],
    ) -> None:
        names = known.get(attribute.to or "", {})
        if target is None or target in names:
            return
        near = nearest_names(str(target), names)
        mend = f"did you mean {' or '.join(near)}?" if near else f"add it to {attribute.to}"
        path, text = self._home[kind.name, name]
        line = _line(text, f'id = "{name}"', attribute.name)
        message = f"{attribute.name!r} names {target!r}, which does not exist: {mend}"
        self._problem(path, message, entry=name, line=line)

    def _problem(self, path: Path, message: str, *, entry: str = "", line: int = 0) -> None:
        inside = path.is_relative_to(self.base)
        shown = path.relative_to(self.base).as_posix() if inside else str(path)
        self.problems.append(Problem(path=shown, message=message, entry=entry, line=line))


def _line(text: str, head: str, key: str = "") -> int:
    """Return the line of ``key`` in the entry that starts at ``head``; 0 where it is not found."""
    lines = text.splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith(head)), None)
    if start is None:
        return 0
    stem = re.split(r"[.\[]", key, maxsplit=1)[0]
    for number, line in enumerate(lines[start:], start=start):
        if number > start and line.startswith("[["):
            break
        if stem and re.split(r"[.\s=]", line.strip(), maxsplit=1)[0] == stem:
            return number + 1
    return start + 1
