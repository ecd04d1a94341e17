"""``clusterwright catalogue list | show | check``: a thin face over `catalogue.browsing`."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from clusterwright.catalogue import browsing
from clusterwright.catalogue.store import Catalogue
from clusterwright.cli.answers import Answer
from clusterwright.errors import CatalogueError

app = App(
    name="catalogue",
    help="Look into, and check, the facts: accelerators, clusters, models, sources.",
)

Json = Annotated[bool, Parameter(name="--json", negative="")]
Own = Annotated[tuple[Path, ...], Parameter(name="--catalogue", negative=())]


@app.command(name="list")
def list_command(kind: str | None = None, /, *, as_json: Json = False, own: Own = ()) -> Answer:
    """List the kinds of facts, or all entries of one kind.

    Parameters
    ----------
    kind
        For example accelerators, clusters, models, networks.
    as_json
        Print JSON.
    own
        A TOML file of your own to add; may be given several times.
    """
    facts = Catalogue().with_files(own) if own else Catalogue()
    rows = browsing.list_kinds(facts) if kind is None else browsing.list_entries(facts, kind)
    return Answer(rows, lambda: _table(rows), json=as_json)


@app.command(name="show")
def show_command(name: str, /, *, as_json: Json = False, own: Own = ()) -> Answer:
    """Show all that is known of one thing, each figure with its source.

    Parameters
    ----------
    name
        An id or alias of any kind, or kind/id.
    as_json
        Print JSON.
    own
        A TOML file of your own to add; may be given several times.
    """
    facts = Catalogue().with_files(own) if own else Catalogue()
    shown = browsing.show_entry(facts, name)
    return Answer(shown, lambda: "\n".join(_shown_lines(shown)), json=as_json)


@app.command(name="check")
def check_command(*, folder: Path | None = None, as_json: Json = False, own: Own = ()) -> Answer:
    """List stale entries, entries that stand on one source, and schema errors.

    Parameters
    ----------
    folder
        An authored catalogue to check against its schema; any error gives exit code 4.
    as_json
        Print JSON.
    own
        A TOML file of your own to check; may be given several times.
    """
    facts = Catalogue().with_files(own) if own else Catalogue()
    today = dt.datetime.now(tz=dt.UTC).date()
    rows = browsing.check_catalogue(facts, today=today, folder=folder)
    broken = sum(row["finding"] == "schema" for row in rows)
    code = CatalogueError.exit_code if broken else 0
    end = f"\n{broken} to mend in {folder}: see the list above" if broken else ""
    return Answer(rows, lambda: _table(rows) + end, json=as_json, code=code)


def _shown_lines(shown: dict[str, Any]) -> Iterator[str]:
    """All that is known of an entry, as lines."""
    yield f"{shown['name']} ({shown['kind']}/{shown['id']})"
    if shown["aliases"]:
        yield f"also called: {', '.join(shown['aliases'])}"
    if shown["figures"]:
        yield _table([_figure_line(key, figure) for key, figure in shown["figures"].items()])
    for level in shown.get("fabric", {}).get("levels", ()):
        over = f", {level['oversubscription']:g}:1" if "oversubscription" in level else ""
        bandwidth = level["bandwidth"]["text"]
        yield f"level {level['name']}: {level['size']} accelerators, {bandwidth}{over}"
    for key, value in shown["says"].items():
        yield f"{key}: {value if isinstance(value, str) else json.dumps(value)}"


def _figure_line(key: str, figure: dict[str, Any]) -> dict[str, Any]:
    others = "; ".join(
        " ".join(filter(None, (o["text"], o.get("source", ""), o.get("note", ""))))
        for o in figure.get("disagrees", ())
    )
    return {
        "figure": key,
        "value": figure["shown"],
        "kind": figure["kind"],
        "confidence": figure.get("confidence"),
        "note": figure.get("note"),
        "others say": others,
        "source": figure.get("source"),
    }


def _table(rows: list[dict[str, Any]]) -> str:
    """A table: drawn on a terminal, tab-separated where it is piped."""
    if not rows:
        return ""
    columns = [key for key in rows[0] if any(row.get(key) not in (None, "") for row in rows)]
    cells = [["" if row.get(key) is None else str(row[key]) for key in columns] for row in rows]
    if not sys.stdout.isatty():
        return "\n".join("\t".join(line) for line in (columns, *cells))
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    first = Column(columns[0], no_wrap=True)
    table = Table(first, *columns[1:], box=None, header_style="bold", pad_edge=False)
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))
    console = Console()
    with console.capture() as drawn:
        console.print(table)
    return drawn.get()
