"""The schema of the catalogue, which is data: what may stand in a file, and what it means."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import msgspec

from clusterwright.errors import CatalogueError
from clusterwright.records import Record

if TYPE_CHECKING:
    from pathlib import Path

SHARED = ("common", "figure")
"""Schema files that describe no kind of their own."""


class Attribute(Record, frozen=True, kw_only=True):
    """One key of an entry.

    ``type``: id, text, texts, date, integer, number, degrees, boolean, size, reference, figure,
    figures, table, tables; inside a figure also quantity, range, disagreements. ``dimension``: SI
    unit of a figure; absent, the entry's own ``dimension`` says. ``provenance``: a person's own
    file may leave it out although it is required. ``to``: the kind that a reference points to.
    """

    name: str
    type: str
    doc: str
    required: bool = False
    provenance: bool = False
    dimension: str | None = None
    to: str | None = None
    choices: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    attribute: tuple[Attribute, ...] = ()


class Kind(Record, frozen=True, kw_only=True):
    """One kind of entry: the folder of its files is its name, ``table`` heads each entry.

    ``free``: keys are another module's business. ``figure_kind``: what its figures are when they
    do not say. ``columns``: what a list of its entries shows.
    """

    name: str = ""
    table: str
    noun: str
    doc: str
    free: bool = False
    include: str = ""
    figure_kind: str = "published"
    columns: tuple[str, ...] = ()
    attribute: tuple[Attribute, ...] = ()


class Schema(Record, frozen=True, kw_only=True):
    """All kinds by name, and the keys that a figure may have."""

    kinds: dict[str, Kind]
    figure: tuple[Attribute, ...]

    def kind_of_table(self, table: str) -> Kind | None:
        """Return the kind whose entries stand under ``[[table]]``."""
        return next((kind for kind in self.kinds.values() if kind.table == table), None)


def read_schema(folder: Path) -> Schema:
    """Read ``schema/*.toml``.

    Raises
    ------
    CatalogueError
        When a schema file cannot be read or breaks the form of a schema.
    """
    shared = {name: _attributes(folder / f"{name}.toml") for name in SHARED}
    kinds: dict[str, Kind] = {}
    for path in sorted(folder.glob("*.toml")):
        if path.stem in SHARED:
            continue
        kind = _convert(_load(path), path)
        own = (*shared.get(kind.include, ()), *kind.attribute)
        kinds[path.stem] = msgspec.structs.replace(kind, name=path.stem, attribute=own)
    if not kinds:
        raise CatalogueError(f"{folder}: no schema files; is this the catalogue's folder?")
    return Schema(kinds=kinds, figure=shared["figure"])


def _attributes(path: Path) -> tuple[Attribute, ...]:
    return _convert({"table": "", "noun": "", **_load(path)}, path).attribute


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"{path}: cannot read this schema: {error}") from None


def _convert(table: dict[str, Any], path: Path) -> Kind:
    try:
        return msgspec.convert(table, Kind)
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{path}: not a schema: {error}") from None
