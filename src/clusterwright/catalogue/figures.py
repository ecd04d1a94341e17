"""What a catalogue entry is made of: figures that carry their source."""

from __future__ import annotations

from typing import Any, cast

from clusterwright.errors import InputError
from clusterwright.records import Record


class Disagreement(Record, frozen=True, kw_only=True):
    """What another source says. ``value`` in SI, ``text`` as written."""

    value: float
    text: str
    source: str = ""
    note: str = ""


class Figure(Record, frozen=True, kw_only=True):
    """One sourced value.

    ``value`` is in SI, in the unit that ``dimension`` names; ``text`` is what the file says. A
    range has ``low`` and ``high``, and its middle as ``value``. ``kind`` is one of vendor-peak,
    published, measured, estimated, quoted-by-press. ``confidence``: A vendor, official or paper;
    B analyst or second-hand; C press or community; D derived.
    """

    value: float
    text: str
    dimension: str
    kind: str = ""
    source: str = ""
    confidence: str = ""
    checked: str = ""
    note: str = ""
    low: float | None = None
    high: float | None = None
    disagrees: tuple[Disagreement, ...] = ()


class Entry(Record, frozen=True, kw_only=True):
    """One thing of the catalogue; ``data`` holds what its file says, figures in SI."""

    kind: str
    noun: str
    id: str
    data: dict[str, Any]

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.data.get("name", self.id))

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names it is found under."""
        return tuple(self.data.get("aliases", ()))

    def text(self, key: str) -> str:
        """Return the words under ``key``; empty where there are none."""
        return str(self.data.get(key, ""))

    def figure(self, key: str) -> Figure | None:
        """Return the figure under ``key`` (``memory``, ``peaks.bf16``), None where it is blank."""
        found: object = self.data
        for part in key.split("."):
            found = cast("dict[str, Any]", found).get(part) if isinstance(found, dict) else None
        return self.as_figure(found)

    def as_figure(self, found: object) -> Figure | None:
        """Make a figure of one compiled table; what it leaves out it inherits from the entry."""
        if not isinstance(found, dict) or not {"value", "text"} <= found.keys():
            return None
        fields = cast("dict[str, Any]", found)
        inherited = {key: self.text(key) for key in ("source", "confidence", "checked")}
        others = tuple(Disagreement(**other) for other in fields.get("disagrees", ()))
        return Figure(**{**inherited, **fields, "disagrees": others})

    def figures(self, key: str) -> dict[str, Figure]:
        """Return a family of figures such as ``peaks`` by its keys."""
        family = self.data.get(key, {})
        found = {part: self.figure(f"{key}.{part}") for part in family}
        return {part: figure for part, figure in found.items() if figure is not None}

    def all_figures(self) -> dict[str, Figure]:
        """Return every figure by its dotted key."""
        found: dict[str, Figure] = {}
        for key in self.data:
            figure = self.figure(key)
            if figure is not None:
                found[key] = figure
            elif isinstance(self.data[key], dict):
                found |= {f"{key}.{part}": one for part, one in self.figures(key).items()}
        return found

    def value(self, key: str) -> float | None:
        """Return the SI value under ``key``, None where it is blank."""
        figure = self.figure(key)
        return None if figure is None else figure.value

    def require(self, key: str) -> Figure:
        """Return the figure under ``key``.

        Raises
        ------
        InputError
            Where nobody published it; says which source was looked at.
        """
        figure = self.figure(key)
        if figure is None:
            what = key.replace("_", " ").replace(".", " ")
            looked = self.text("source") or "none named"
            raise InputError(
                f"nobody published the {what} of {self.id}; source looked at: {looked}; "
                f"give it in a TOML file of your own"
            )
        return figure
