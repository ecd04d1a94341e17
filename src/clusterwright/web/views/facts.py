"""What is shown of facts: scores, claims, the catalogue's kinds and entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec

from clusterwright.claims.records import Checked
from clusterwright.cli.answers import Answer
from clusterwright.facts import shipped
from clusterwright.report.pictures.chips import chips
from clusterwright.report.pictures.claims import claims
from clusterwright.report.pictures.fleets import fleet
from clusterwright.report.pictures.scorecard import partial, scorecard
from clusterwright.report.shown.picture import Picture, drawn
from clusterwright.scorecard.records import Scorecard
from clusterwright.web.view import Link, Table, View, address, view_of

Said = Mapping[str, str]
Rows = list[dict[str, Any]]


def entries(found: Answer, said: Said) -> View:
    """The kinds of facts, or all entries of one."""
    rows, kind = cast("Rows", found.value), said.get("kind", "")
    if not kind:
        links = [address("/catalogue/list", {"kind": row["kind"]}) for row in rows]
        return _listed("All kinds of facts", rows, links)
    links = [address("/catalogue/show", {"name": f"{kind}/{row['id']}"}) for row in rows]
    pictures = _chips() if kind == "accelerators" else ()
    return _listed(f"All {len(rows):,} {kind}", rows, links, pictures)


def _listed(title: str, rows: Rows, links: list[str], pictures: Iterable[Picture] = ()) -> View:
    table = _table(title, rows, links)
    return View(
        title=title, about=(), figures=(), words="", tables=(table,), pictures=tuple(pictures)
    )


def _chips() -> Iterator[Picture]:
    """Accelerators by the day on which they came, against what they can."""
    known = list(shipped().entries("accelerators").values())
    yield from drawn("Peak of bf16 by date", chips(known, "peak"))
    yield from drawn("Memory bandwidth by date", chips(known, "bandwidth"))
    yield from drawn("Peak for a watt by date", chips(known, "peak-per-watt"))


def scores(found: Answer, said: Said) -> View:  # noqa: ARG001 - as all views are called
    """Accelerators in three layers."""
    card = cast("Scorecard", found.value)
    pictures = list(drawn("Scores, the baseline at 1", scorecard(card), partial(card)))
    for one in card.fleets:
        pictures += drawn(f"{one.name}, counted in {card.baseline}", fleet(one, card.baseline))
    shown = view_of(found, pictures=pictures)
    rivals = ", ".join([chip.id for chip in card.chips[1:]] + [one.name for one in card.fleets])
    title = f"{rivals or card.chips[0].name} against {card.baseline}"
    return msgspec.structs.replace(shown, title=title, about=(shown.title, *shown.about))


def checks(found: Answer, said: Said) -> View:
    """What was claimed against what comes out."""
    made = cast("list[Checked]", found.value)
    links = [Link(text="All claims", href="/claims")] if said.get("name") else []
    if len(made) > 1:
        links = [
            Link(text=f"{one.claim.id}: {one.claim.about}", href=f"/claims?name={one.claim.id}")
            for one in made
        ]
    return view_of(
        found,
        pictures=drawn("What comes out over what was said", claims(made)),
        links=links,
    )


def _table(title: str, rows: Rows, links: list[str] | None = None) -> Table:
    """Columns in which anything is said."""
    head = [name for name in (rows[0] if rows else ()) if any(row.get(name) for row in rows)]
    cells = tuple(tuple(_cell(row.get(name)) for name in head) for row in rows)
    return Table(title=title, head=tuple(head), rows=cells, links=tuple(links or ()))


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    return "" if value is None else str(value)


def entry(found: Answer, said: Said) -> View:  # noqa: ARG001 - as all views are called
    """One entry: each figure with its source, date and disagreement."""
    shown = cast("dict[str, Any]", found.value)
    rows = [{"figure": name, **_figure(figure)} for name, figure in shown["figures"].items()]
    called = shown["aliases"]
    return View(
        title=shown["name"],
        about=(
            f"{shown['kind']}/{shown['id']}",
            *((f"also called {', '.join(called)}",) if called else ()),
        ),
        figures=(),
        words=found.words(),
        tables=(_table("Figures", rows),) if rows else (),
    )


def _figure(figure: dict[str, Any]) -> dict[str, str]:
    others = "; ".join(
        " ".join(filter(None, (one["text"], one.get("source"), one.get("note"))))
        for one in figure.get("disagrees", ())
    )
    plain = {"shown": "value", "kind": "kind", "confidence": "confidence", "checked": "checked"}
    said = {name: str(figure[key]) for key, name in plain.items() if figure.get(key)}
    return said | {
        "note": figure.get("note") or "",
        "others say": others,
        "source": figure.get("source") or "",
    }
