"""Looking into the catalogue: what there is, what one entry says, what should be looked at again.

Everything is returned as plain lists and dicts; printing is the command line's business.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec

from clusterwright.catalogue.authoring import read_folder
from clusterwright.catalogue.schema import read_schema
from clusterwright.errors import InputError, UnknownNameError, nearest_names
from clusterwright.units import format_quantity

if TYPE_CHECKING:
    from pathlib import Path

    from clusterwright.catalogue.figures import Entry, Figure
    from clusterwright.catalogue.store import Catalogue

STALE_AFTER = 180
"""Days after which a person should look at a source again."""
_SHOWN_APART = ("id", "name", "aliases", "fabric", "config_json")


def list_kinds(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return each kind with the number of its entries and what it holds."""
    kinds = catalogue.schema.kinds
    return [
        {"kind": name, "entries": len(catalogue.entries(name)), "what": kinds[name].doc}
        for name in catalogue.kinds
    ]


def list_entries(catalogue: Catalogue, kind: str) -> list[dict[str, Any]]:
    """Return one row per entry of a kind; blank cells are None, figures in people's units.

    Raises
    ------
    InputError
        If there is no such kind (``accelerator`` will do for ``accelerators``).
    """
    name = _kind_called(catalogue, kind)
    columns = catalogue.schema.kinds[name].columns
    return [
        {"id": entry.id, "name": entry.name, **{key: _cell(entry, key) for key in columns}}
        for entry in catalogue.entries(name).values()
    ]


def show_entry(catalogue: Catalogue, name: str) -> dict[str, Any]:
    """Return all that the catalogue says of one thing, whatever its kind.

    ``name`` is an id or alias, or ``kind/id`` where a name is used in several kinds.

    Raises
    ------
    InputError
        If nothing is called so; the nearest names of all kinds are offered.
    """
    entry = _find(catalogue, name)
    figures = entry.all_figures()
    skipped = {key.split(".")[0] for key in figures} | set(_SHOWN_APART)
    shown: dict[str, Any] = {
        "kind": entry.kind,
        "id": entry.id,
        "name": entry.name,
        "aliases": list(entry.aliases),
        "figures": {key: _figure_row(figure) for key, figure in figures.items()},
        "says": {key: value for key, value in entry.data.items() if key not in skipped},
    }
    if "fabric" in entry.data:
        shown["fabric"] = entry.data["fabric"]
    return shown


def check_catalogue(
    catalogue: Catalogue, *, today: dt.date, folder: Path | None = None
) -> list[dict[str, Any]]:
    """Return what should be looked at: schema errors, stale entries, entries with one source.

    Parameters
    ----------
    catalogue
        What is checked for age and sources.
    today
        The day that ages are counted to.
    folder
        An authored catalogue whose schema errors are listed as well.
    """
    rows: list[dict[str, Any]] = []
    if folder is not None:
        if not (folder / "schema").is_dir():
            raise InputError(f"{folder} is no authored catalogue: it has no folder 'schema'")
        reading = read_folder(folder, read_schema(folder / "schema"))
        rows += [
            {"finding": "schema", "kind": "", "id": problem.entry, "message": str(problem)}
            for problem in reading.problems
        ]
    for kind in catalogue.kinds:
        for entry in catalogue.entries(kind).values():
            rows += [
                {"finding": finding, "kind": kind, "id": entry.id, "message": message}
                for finding, message in _findings(entry, today)
            ]
    return rows


def _findings(entry: Entry, today: dt.date) -> list[tuple[str, str]]:
    """Say what is stale and what stands on one source."""
    found: list[tuple[str, str]] = []
    checked = entry.text("checked")
    if checked:
        age = (today - dt.date.fromisoformat(checked)).days
        if age > STALE_AFTER:
            found.append(("stale", f"last checked {checked}, {age} days ago: look at it again"))
    figures = entry.all_figures().values()
    others = {other.source for figure in figures for other in figure.disagrees}
    sources = {*entry.text("source").split(" ; "), *(figure.source for figure in figures), *others}
    if figures and len(sources - {""}) == 1:
        found.append(("single-source", f"all figures from: {entry.text('source')}"))
    return found


def _kind_called(catalogue: Catalogue, kind: str) -> str:
    by_name = {name: name for name in catalogue.kinds}
    by_name |= {one.noun: one.name for one in catalogue.schema.kinds.values()}
    by_name |= {one.table: one.name for one in catalogue.schema.kinds.values()}
    if kind not in by_name:
        known = ", ".join(catalogue.kinds)
        raise InputError(f"no kind of facts called {kind!r}: one of {known}")
    return by_name[kind]


def _find(catalogue: Catalogue, name: str) -> Entry:
    kind, slash, rest = name.partition("/")
    if slash and kind in catalogue.kinds:
        return catalogue.entry(kind, rest)
    known: list[str] = []
    # Machines and models first: a name that two kinds share means those.
    for one in ("accelerators", "models", "clusters", *catalogue.kinds):
        try:
            return catalogue.entry(one, name)
        except UnknownNameError:
            entries = catalogue.entries(one)
        known += [*entries, *(alias for entry in entries.values() for alias in entry.aliases)]
    near = nearest_names(name, known)
    mend = f"did you mean {' or '.join(near)}?" if near else "see `clusterwright catalogue list`"
    raise InputError(f"nothing in the catalogue is called {name!r}: {mend}")


def _cell(entry: Entry, key: str) -> str | None:
    figure = entry.figure(key)
    if figure is not None:
        return _people(figure)
    value = entry.data.get(key)
    return None if value is None or isinstance(value, dict) else str(value)


def _people(figure: Figure) -> str:
    """Write a figure for people: counts in full, ranges by their ends, binary sizes as such."""
    if figure.low is not None and figure.high is not None:
        ends = (figure.low, figure.high)
        return " to ".join(format_quantity(end, figure.dimension, digits=4) for end in ends)
    if figure.text.endswith("iB"):
        return figure.text
    if figure.dimension == "1" and figure.value.is_integer():
        return f"{figure.value:,.0f}"
    return format_quantity(figure.value, figure.dimension, digits=4)


def _figure_row(figure: Figure) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(figure))
    row = {"shown": _people(figure), **fields}
    return {key: value for key, value in row.items() if value not in (None, "", [])}
